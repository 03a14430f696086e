//! Words of a line: bare words, quoted texts, JSON values, and pairs of a key and one of these.

use serde_json::Value;
use thiserror::Error;

/// How a key and its value are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `key=value`
    Is,
    /// `key>=value`
    AtLeast,
    /// `key<=value`
    AtMost,
    /// `key~value`: a text that contains the value
    Contains,
}

/// `key=value` and its relatives.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// What is left of the sign.
    pub key: String,
    /// The sign.
    pub relation: Relation,
    /// What is right of it; a bare word that is a number or a truth value is one.
    pub value: Value,
}

/// One part of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// Characters up to the next space.
    Word(String),
    /// Characters between quotes.
    Text(String),
    /// A JSON object or array.
    Json(Value),
    /// A key with a value.
    Pair(Pair),
}

/// Why a line cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// A quote without its partner.
    #[error("the text that begins with {0} has no closing quote")]
    OpenQuote(String),
    /// Not JSON.
    #[error("not JSON: {reason}: {start}")]
    Json {
        /// What the JSON reader said.
        reason: String,
        /// Where it starts.
        start: String,
    },
    /// A key without value.
    #[error("'{0}' wants a value right after the sign")]
    NoValue(String),
}

/// Takes a line apart.
///
/// # Errors
///
/// Names the part that is not whole.
pub fn tokens(line: &str) -> Result<Vec<Token>, TokenError> {
    let mut rest = line.trim_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (token, after) = token(rest)?;
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn token(rest: &str) -> Result<(Token, &str), TokenError> {
    match rest.as_bytes()[0] {
        b'"' => quoted(rest).map(|(text, after)| (Token::Text(text), after)),
        b'{' | b'[' => json(rest).map(|(value, after)| (Token::Json(value), after)),
        b'/' | b'-' | b'$' => {
            let (word, after) = bare(rest);
            Ok((Token::Word(word.to_owned()), after))
        }
        _ => word_or_pair(rest),
    }
}

fn bare(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
}

fn quoted(rest: &str) -> Result<(String, &str), TokenError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((text, &rest[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, escaped)) => text.push(escaped),
                None => break,
            },
            other => text.push(other),
        }
    }
    Err(TokenError::OpenQuote(beginning(rest)))
}

fn json(rest: &str) -> Result<(Value, &str), TokenError> {
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok((value, &rest[values.byte_offset()..])),
        Some(Err(error)) => Err(TokenError::Json {
            reason: error.to_string(),
            start: beginning(rest),
        }),
        None => Err(TokenError::NoValue(beginning(rest))),
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(40).collect()
}

fn word_or_pair(rest: &str) -> Result<(Token, &str), TokenError> {
    let end = rest.find(|character: char| character.is_whitespace() || "=~<>".contains(character));
    let end = end.unwrap_or(rest.len());
    let (key, after) = rest.split_at(end);
    let signs = [
        (">=", Relation::AtLeast),
        ("<=", Relation::AtMost),
        ("=", Relation::Is),
        ("~", Relation::Contains),
    ];
    let sign = signs.iter().find(|(sign, _)| after.starts_with(sign));
    let Some((sign, relation)) = sign.filter(|_| !key.is_empty()) else {
        let (word, after) = bare(rest);
        return Ok((Token::Word(word.to_owned()), after));
    };
    let (value, after) = value(key, &after[sign.len()..])?;
    let pair = Pair {
        key: key.to_owned(),
        relation: *relation,
        value,
    };
    Ok((Token::Pair(pair), after))
}

fn value<'a>(key: &str, rest: &'a str) -> Result<(Value, &'a str), TokenError> {
    match rest.as_bytes().first() {
        None | Some(b' ') => Err(TokenError::NoValue(key.to_owned())),
        Some(b'"') => quoted(rest).map(|(text, after)| (Value::String(text), after)),
        // `[31000-31005]` are ranges, not JSON.
        Some(b'{' | b'[') if !is_range(rest) => json(rest),
        Some(_) => {
            let (word, after) = bare(rest);
            Ok((plain(word), after))
        }
    }
}

fn is_range(rest: &str) -> bool {
    let (word, _) = bare(rest);
    word.strip_prefix('[')
        .and_then(|word| word.strip_suffix(']'))
        .is_some_and(|inner| {
            inner.contains('-') && inner.bytes().all(|byte| byte.is_ascii_digit() || b"-,".contains(&byte))
        })
}

/// A bare word as a value: a number or a truth value when it looks like one.
pub(crate) fn plain(word: &str) -> Value {
    match serde_json::from_str::<Value>(word) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => value,
        _ => Value::String(word.to_owned()),
    }
}
