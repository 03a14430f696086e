//! From a line to what it says.

use super::operation::operations;
use super::step::{Act, Action, Claim, Expected, GateAction, Line, Request, Step};
use super::token::{Pair, Relation};
use super::words::{WordError, Words};

/// A line and the indented lines below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Number in its file, from 1.
    pub number: usize,
    /// Without what is indented below it, unless it continues it.
    pub text: String,
    /// What is indented below a line that ends with `:`.
    pub block: Vec<String>,
}

/// Reads one line.
///
/// # Errors
///
/// Says what was expected where.
pub fn line(source: &Source) -> Result<Line, WordError> {
    let mut words = Words::new(source.text.trim_end_matches(':'))?;
    let takes_block = source.text.ends_with(':');
    if takes_block == source.block.is_empty() {
        return Err(WordError::Block);
    }
    let mut parsed = step(source.number, &source.text, &mut words)?;
    words.end()?;
    if takes_block {
        match &mut parsed.step {
            Step::Scheduler {
                act: Act::Accepts { operations: list, .. },
                ..
            } => *list = operations(&source.block)?,
            _ => return Err(WordError::Block),
        }
    }
    Ok(parsed)
}

fn step(number: usize, text: &str, words: &mut Words) -> Result<Line, WordError> {
    let subject = words.word("a name or a word that begins a step")?;
    let step = match subject.as_str() {
        "framework" => framework(words)?,
        "executor" => Step::Executor {
            name: words.word("a name for the executor")?,
            pairs: words.pairs(),
        },
        "let" => Step::Let {
            name: words.word("a name")?,
            value: words.value("a value")?,
        },
        "check" => check(words)?,
        "operator" => operator(words)?,
        "agent" => {
            let agent = Some(words.word("the name of an agent")?);
            process(agent, words)?
        }
        "master" => process(None, words)?,
        "gate" => gate(words)?,
        "no" => {
            words.need("sooner")?;
            words.need("than")?;
            let than = words.duration()?;
            let step = Box::new(self::step(number, text, words)?);
            Step::NoSooner { than, step }
        }
        name if words.eat("becomes") => Step::Becomes {
            task: name.to_owned(),
            state: words.word("a state")?,
            pairs: words.pairs(),
        },
        name => Step::Scheduler {
            framework: name.to_owned(),
            act: act(number, text, words)?,
        },
    };
    Ok(Line {
        number,
        text: text.to_owned(),
        step,
    })
}

fn framework(words: &mut Words) -> Result<Step, WordError> {
    let name = words.word("a name for the framework")?;
    let like = if words.eat("like") {
        Some(words.word("the name of a framework")?)
    } else {
        None
    };
    let pairs = words.pairs();
    Ok(Step::Framework { name, like, pairs })
}

fn check(words: &mut Words) -> Result<Step, WordError> {
    let value = words.value("what to look at, as ${O.resources}")?;
    let claim = match words.word("'has' or 'is'")?.as_str() {
        "has" if words.eat("no") => Claim::FitsNot(words.json().ok_or(WordError::End("a JSON pattern"))?),
        "has" => match words.json() {
            Some(pattern) => Claim::Fits(pattern),
            None => Claim::Has(words.pairs()),
        },
        "is" if words.eat("not") => Claim::IsNot(words.value("a value")?),
        "is" => Claim::Is(words.value("a value")?),
        other => {
            return Err(WordError::Other {
                wanted: "'has' or 'is'",
                found: format!("'{other}'"),
            });
        }
    };
    Ok(Step::Check { value, claim })
}

fn operator(words: &mut Words) -> Result<Step, WordError> {
    if words.eat("watches") {
        words.need("as")?;
        let name = words.word("a name for the stream")?;
        return Ok(Step::Watch { name });
    }
    let mut at = agent_named(words)?;
    let request = if words.eat("calls") {
        let kind = words.word("the type of a call")?;
        at = at.or(agent_named(words)?);
        let mut body = serde_json::json!({"type": kind});
        if let Some(payload) = words.json() {
            body[kind.to_lowercase()] = payload;
        }
        Request {
            method: "POST".to_owned(),
            path: "/api/v1".to_owned(),
            body: Some(body),
            headers: header_lines(words)?,
        }
    } else {
        let method = words.word_if(|word| word.bytes().all(|byte| byte.is_ascii_uppercase()));
        let method = method.ok_or(WordError::End("'calls', 'watches' or a method as GET"))?;
        let path = words.word("a path")?;
        let body = words.json().or_else(|| words.text().map(serde_json::Value::String));
        let headers = header_lines(words)?;
        Request {
            method,
            path,
            body,
            headers,
        }
    };
    let answer = answers(words)?;
    if answer.status.is_none() {
        return Err(WordError::End("'answers' and a status code"));
    }
    Ok(Step::Http { at, request, answer })
}

/// `at A`, when it is next.
fn agent_named(words: &mut Words) -> Result<Option<String>, WordError> {
    if words.eat("at") {
        words.word("the name of an agent").map(Some)
    } else {
        Ok(None)
    }
}

/// `header="Name: value"`, any number of times.
fn header_lines(words: &mut Words) -> Result<Vec<String>, WordError> {
    words
        .pairs()
        .into_iter()
        .map(|pair| match (pair.key.as_str(), pair.relation, pair.value) {
            ("header", Relation::Is, serde_json::Value::String(line)) => Ok(line),
            (key, ..) => Err(WordError::Left(format!("'{key}'"))),
        })
        .collect()
}

/// `answers CODE [as NAME] [Header~value …] [{pattern}] ["text" …]`
fn answers(words: &mut Words) -> Result<Expected, WordError> {
    let mut expected = Expected::default();
    if words.eat("answers") {
        let code = words.word("a status code")?;
        expected.status = Some(code.parse().map_err(|_| WordError::End("a status code"))?);
        if words.eat("as") {
            expected.name = Some(words.word("a name")?);
        }
        expected.headers = words.pairs();
        expected.pattern = words.json();
    }
    expected.texts = words.texts();
    Ok(expected)
}

fn process(agent: Option<String>, words: &mut Words) -> Result<Step, WordError> {
    const WANTED: &str = "what happens: starts, launches, restarts, crashes, freezes, thaws, stops, leaves, fails";
    let action = match words.word(WANTED)?.as_str() {
        "starts" => Action::Starts,
        "launches" => Action::Launches,
        "restarts" => Action::Restarts,
        "crashes" => Action::Crashes,
        "freezes" => Action::Freezes,
        "thaws" => Action::Thaws,
        "stops" => Action::Stops,
        "leaves" => Action::Leaves,
        "fails" => {
            words.need("to")?;
            words.need("restart")?;
            Action::FailsToRestart
        }
        other => {
            return Err(WordError::Other {
                wanted: WANTED,
                found: format!("'{other}'"),
            });
        }
    };
    let flags = words.rest();
    Ok(Step::Process { agent, action, flags })
}

fn gate(words: &mut Words) -> Result<Step, WordError> {
    let name = words.word("a name for the gate")?;
    let action = if words.eat("opens") {
        GateAction::Open
    } else if words.eat("is") {
        match words.word("'passed', 'held' or 'left'")?.as_str() {
            "passed" => GateAction::Passed,
            "held" => GateAction::Held,
            "left" => GateAction::Left,
            _ => return Err(WordError::End("'passed', 'held' or 'left'")),
        }
    } else {
        GateAction::Make
    };
    Ok(Step::Gate { name, action })
}

fn act(number: usize, text: &str, words: &mut Words) -> Result<Act, WordError> {
    const WANTED: &str = "what a framework does (see tests/conformance/README.md)";
    Ok(match words.word(WANTED)?.as_str() {
        "subscribes" => Act::Subscribes { pairs: words.pairs() },
        "is" => {
            words.need("refused")?;
            refused(words)?
        }
        "disconnects" => Act::Disconnects,
        "loses" => {
            words.need("its")?;
            words.need("stream")?;
            Act::LosesStream
        }
        "gets" => gets(number, text, words)?,
        "waits" => {
            words.need("for")?;
            words.need("offer")?;
            offer(words, true)?
        }
        "accepts" => Act::Accepts {
            offers: offers(words)?,
            refuse: words.for_time()?,
            operations: Vec::new(),
        },
        "declines" => Act::Declines {
            offers: offers(words)?,
            refuse: words.for_time()?,
        },
        "calls" => Act::Calls {
            kind: words.word("the type of a call")?,
            payload: words.json(),
            headers: header_lines(words)?,
            answer: answers(words)?,
        },
        "kills" => kills(words)?,
        "reconciles" => {
            let everything = words.eat("everything");
            let tasks = words.rest();
            if everything != tasks.is_empty() {
                return Err(WordError::End("'everything' or ids of tasks"));
            }
            Act::Reconciles { tasks }
        }
        "revives" => Act::Revives { roles: words.rest() },
        "suppresses" => Act::Suppresses { roles: words.rest() },
        "tears" => {
            words.need("down")?;
            Act::TearsDown
        }
        "updates" => Act::Updates {
            pairs: words.pairs(),
            answer: answers(words)?,
        },
        "sees" => sees(words)?,
        "acknowledges" => Act::Acknowledges {
            task: words.word("the id of a task")?,
        },
        other => {
            return Err(WordError::Other {
                wanted: WANTED,
                found: format!("'{other}'"),
            });
        }
    })
}

fn refused(words: &mut Words) -> Result<Act, WordError> {
    let pairs = words.pairs();
    let status = words.word_if(|word| word.parse::<u16>().is_ok());
    Ok(Act::Refused {
        pairs,
        status: status.and_then(|status| status.parse().ok()),
        texts: words.texts(),
    })
}

fn gets(number: usize, text: &str, words: &mut Words) -> Result<Act, WordError> {
    if words.eat("offer") {
        return offer(words, false);
    }
    if words.eat("no") {
        let kind = words.word("an event as RESCIND, or 'offer'")?.to_uppercase();
        let pattern = words.json();
        words.need("until")?;
        let until = Box::new(step(number, text, words)?);
        return Ok(Act::NoEvent { kind, pattern, until });
    }
    let kind = words.word("'offer' or an event as RESCIND")?;
    let name = if words.eat("as") {
        Some(words.word("a name for the event")?)
    } else {
        None
    };
    let pattern = words.json();
    Ok(Act::Event { kind, name, pattern })
}

fn offer(words: &mut Words, declining: bool) -> Result<Act, WordError> {
    let name = words.word("a name for the offer")?;
    let agent = if words.eat("from") {
        Some(words.word("the name of an agent")?)
    } else {
        None
    };
    words.eat("with");
    let pairs: Vec<Pair> = words.pairs();
    let pattern = words.json();
    Ok(Act::Offer {
        name,
        agent,
        pairs,
        pattern,
        declining,
    })
}

/// Names up to the word `for`.
fn offers(words: &mut Words) -> Result<Vec<String>, WordError> {
    let names: Vec<String> = std::iter::from_fn(|| words.word_if(|word| word != "for")).collect();
    if names.is_empty() {
        return Err(WordError::End("the name of an offer"));
    }
    Ok(names)
}

fn kills(words: &mut Words) -> Result<Act, WordError> {
    let task = words.word("the id of a task")?;
    let grace = if words.eat("after") {
        Some(words.duration()?)
    } else {
        None
    };
    Ok(Act::Kills { task, grace })
}

fn sees(words: &mut Words) -> Result<Act, WordError> {
    let operation = words.eat("operation");
    let id = words.word("the id of a task")?;
    let acknowledge = !words.eat_last("unacknowledged");
    Ok(Act::Sees {
        id,
        operation,
        state: words.word("a state")?,
        pairs: words.pairs(),
        acknowledge,
    })
}
