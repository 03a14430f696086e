//! Tables for the language of the scenarios: what lines say, what is wrong with them, what fits what.

use std::path::Path;

use serde_json::json;

use super::file::parse;
use super::json::{Names, fill, fits};
use super::resources::{enough, resources};
use super::token::{Pair, Token, tokens};

fn errors_of(text: &str) -> String {
    match parse(Path::new("x.txt"), "x", text) {
        Ok(_) => "fine".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_file_is_a_header_and_scenarios() {
    let text = "
# what it is about
master: --offer_timeout=1secs
agent A: --attributes=rack:a
agent B:

scenario: first
pitfall: D1 D2
framework F roles=web
    capabilities=MULTI_ROLE
F accepts O P for 2 secs:
  launch t cpus=1
    command=\"sleep 1\"
  and u cpus=1

scenario: second
needs: a reason
afterwards
operator GET /health answers 200
";
    let scenarios = parse(Path::new("x.txt"), "area/behaviour", text).unwrap();
    let [first, second] = &scenarios[..] else {
        panic!("{scenarios:?}")
    };
    assert_eq!((first.name.as_str(), first.lines.len()), ("first", 2));
    assert_eq!(first.pitfalls, ["D1", "D2"]);
    assert_eq!(first.setting.master, ["--offer_timeout=1secs"]);
    assert_eq!(first.setting.agents.len(), 2);
    assert!(!first.setting.is_plain());
    assert_eq!(first.lines[1].number, 11);
    let shown = format!("{:?}", first.lines[1].step);
    assert!(
        shown.contains("sleep 1") && shown.contains("\"u\"") && shown.contains("2s"),
        "{shown}"
    );
    assert_eq!(second.needs.as_deref(), Some("a reason"));
    assert_eq!((second.lines.len(), second.afterwards.len()), (0, 1));
}

#[test]
fn mistakes_are_told_with_file_and_line() {
    let table = [
        ("scenario: s\nF subscribes\n", "fine"),
        ("mastre: --x\n", "x.txt:1: a header line"),
        ("scenario: s\nF dances\n", "x.txt:2: expected what a framework does"),
        (
            "scenario: s\n\nF gets offer\n",
            "x.txt:3: expected a name for the offer",
        ),
        ("scenario: s\nF declines O for 5 parsecs\n", "x.txt:2: expected a time"),
        ("scenario: s\nF declines\n", "x.txt:2: expected the name of an offer"),
        (
            "scenario: s\nF subscribes now\n",
            "x.txt:2: nothing can follow here, found 'now'",
        ),
        ("scenario: s\nF accepts O\n", "fine"),
        ("scenario: s\nF accepts O:\n", "x.txt:2: a line that ends with ':'"),
        (
            "scenario: s\nF subscribes:\n  launch t\n",
            "x.txt:2: a line that ends with ':'",
        ),
        (
            "scenario: s\nF accepts O:\n  lunch t\n",
            "expected launch, and, reserve",
        ),
        ("scenario: s\nF accepts O:\n  and t\n", "'and' without a launch"),
        (
            "scenario: s\noperator GET /x\n",
            "x.txt:2: expected 'answers' and a status code",
        ),
        ("scenario: s\nlet x {\"a\": }\n", "x.txt:2: not JSON"),
        ("scenario: s\nlet x \"a\n", "no closing quote"),
        ("scenario: s\nF updates name= \n", "x.txt:2: 'name' wants a value"),
        ("scenario: s\nagent A sleeps\n", "x.txt:2: expected what happens"),
        ("scenario: s\nF reconciles\n", "'everything' or ids of tasks"),
        ("scenario: s\ncheck x was y\n", "expected 'has' or 'is', found 'was'"),
    ];
    for (text, wanted) in table {
        let told = errors_of(text);
        assert!(told.contains(wanted), "{text:?}: {told}");
    }
}

#[test]
fn tokens_are_words_texts_values_and_pairs() {
    let line = r#"F gets offer O with cpus(web)>=0.5 ports=[1-3] x~"a b" {"k": "${O.id}"} --f=1 /p?q=1 "say \"x\"\n""#;
    let shown: Vec<String> = tokens(line)
        .unwrap()
        .into_iter()
        .map(|token| match token {
            Token::Word(word) => word,
            Token::Text(text) => format!("<{text}>"),
            Token::Json(value) => value.to_string(),
            Token::Pair(pair) => format!("{}|{:?}|{}", pair.key, pair.relation, pair.value),
        })
        .collect();
    let wanted = [
        "F",
        "gets",
        "offer",
        "O",
        "with",
        "cpus(web)|AtLeast|0.5",
        "ports|Is|\"[1-3]\"",
        "x|Contains|\"a b\"",
        r#"{"k":"${O.id}"}"#,
        "--f=1",
        "/p?q=1",
        "<say \"x\"\n>",
    ];
    assert_eq!(shown, wanted);
}

#[test]
fn values_fit_patterns() {
    let value = json!({"a": 0.1, "b": [{"x": 1}, {"x": 2}], "c": "hello", "d": [], "e": {"f": true}});
    let table = [
        (json!({"a": 0.100_000_1}), true),
        (json!({"a": 0.2}), false),
        (json!({"b": [{"x": 2}]}), true),
        (json!({"b": [{"x": 2}, {"x": 2}]}), false),
        (json!({"b": [{}, {}, {}]}), false),
        (json!({"b": []}), false),
        (json!({"c": "~ell", "e": {"f": true}}), true),
        (json!({"c": "ell"}), false),
        (json!({"c": "*"}), true),
        (json!({"z": "*"}), false),
        (json!({"z": null, "d": null}), true),
        (json!({"z": [], "d": []}), true),
        (json!({"c": null}), false),
        (json!({"e": {}}), true),
        (json!({"z": {}}), false),
        (json!({"z": {"y": null}}), true),
    ];
    for (pattern, right) in table {
        assert_eq!(fits(&value, &pattern), right, "{pattern}");
    }
}

#[test]
fn names_are_filled_in() {
    let mut names = Names::new();
    names.insert("O".to_owned(), json!({"id": {"value": "o1"}, "list": [{"n": 5}]}));
    let filled = |text: &str| fill(&names, &json!(text)).map_err(|error| error.to_string());
    assert_eq!(filled("${O.id}"), Ok(json!({"value": "o1"})));
    assert_eq!(filled("id=${O.id}!"), Ok(json!("id=o1!")));
    assert_eq!(filled("${O.list.0.n}"), Ok(json!(5)));
    assert_eq!(filled("x ${O.list.0.n}"), Ok(json!("x 5")));
    assert!(filled("${P}").unwrap_err().contains("'P'"));
    assert!(filled("${O.nothing}").unwrap_err().contains("'nothing'"));
    assert!(filled("x${O").unwrap_err().contains('}'));
    assert_eq!(fill(&names, &json!({"k": ["${O.id.value}"]})), Ok(json!({"k": ["o1"]})));
}

fn pairs(line: &str) -> Vec<Pair> {
    let tokens = tokens(line).unwrap();
    let pair = |token| match token {
        Token::Pair(pair) => pair,
        other => panic!("{other:?}"),
    };
    tokens.into_iter().map(pair).collect()
}

#[test]
fn resources_are_written_and_counted() {
    let written = pairs("cpus=1.5 mem(web)=64 cpus(static:eng,eng/dev)=2 ports=[1-3,7-7]");
    let list = resources(&written.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(list[1]["reservations"], json!([{"type": "DYNAMIC", "role": "web"}]));
    assert_eq!(
        list[2]["reservations"],
        json!([{"type": "STATIC", "role": "eng"}, {"type": "DYNAMIC", "role": "eng/dev"}])
    );
    let table = [
        ("cpus=3.5", true),
        ("cpus(*)=1.5", true),
        ("cpus(eng/dev)>=2", true),
        ("cpus(eng)=0", true),
        ("mem(web)<=63", false),
        ("ports=4", true),
        ("gpus=0", true),
    ];
    for (line, right) in table {
        assert_eq!(enough(&list, &pairs(line)[0]), right, "{line}");
    }
    // Offers to frameworks of old have the role beside the resource.
    let old = json!([{"name": "cpus", "role": "web", "scalar": {"value": 1}}, {"name": "cpus", "role": "*", "scalar": {"value": 2}}]);
    assert!(enough(&old, &pairs("cpus(web)=1")[0]) && enough(&old, &pairs("cpus(*)=2")[0]));
    let wrong = pairs("cpus=lots");
    assert!(resources(&wrong.iter().collect::<Vec<_>>()).is_err());
}

#[test]
fn every_scenario_can_be_read_and_has_a_name_of_its_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let scenarios = super::load(&folder).unwrap_or_else(|error| panic!("{error}"));
    let mut names = std::collections::BTreeSet::new();
    for scenario in &scenarios {
        assert!(
            names.insert((&scenario.place, &scenario.name)),
            "twice: {}",
            scenario.name
        );
        assert!(!scenario.lines.is_empty(), "{}: says nothing", scenario.name);
    }
}

#[test]
fn bytes_are_written_as_json_has_them() {
    let table: [(&[u8], &str); 4] = [(b"", ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"finish", "ZmluaXNo")];
    for (bytes, text) in table {
        assert_eq!(super::describe::base64(bytes), text);
    }
}
