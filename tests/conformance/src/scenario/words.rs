//! A line's tokens, read from the left.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::token::{Pair, Token, TokenError, tokens};

/// Why a line says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WordError {
    /// It cannot be taken apart.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Something is not there.
    #[error("expected {0} at the end of the line")]
    End(&'static str),
    /// Something else is there.
    #[error("expected {wanted}, found {found}")]
    Other {
        /// What would be right.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// The line goes on after its end.
    #[error("nothing can follow here, found {0}")]
    Left(String),
    /// A block that nobody asked for, or none where one is needed.
    #[error("a line that ends with ':' wants operations below it, indented, and no other line has them")]
    Block,
}

/// Tokens that were not used yet.
#[derive(Clone, Debug)]
pub struct Words {
    tokens: std::collections::VecDeque<Token>,
}

/// A token as it is shown in errors.
fn shown(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("'{word}'"),
        Token::Text(text) => format!("\"{text}\""),
        Token::Json(value) => value.to_string(),
        Token::Pair(pair) => format!("'{}' with a value", pair.key),
    }
}

impl Words {
    /// Takes a line apart.
    ///
    /// # Errors
    ///
    /// As [`tokens`].
    pub fn new(line: &str) -> Result<Self, WordError> {
        Ok(Self {
            tokens: tokens(line)?.into(),
        })
    }

    fn unexpected(&self, wanted: &'static str) -> WordError {
        match self.tokens.front() {
            None => WordError::End(wanted),
            Some(token) => WordError::Other {
                wanted,
                found: shown(token),
            },
        }
    }

    /// The next token, which has to be a bare word.
    ///
    /// # Errors
    ///
    /// Says what was wanted.
    pub fn word(&mut self, wanted: &'static str) -> Result<String, WordError> {
        self.word_if(|_| true).ok_or_else(|| self.unexpected(wanted))
    }

    /// The next token when it is a bare word of this kind.
    pub fn word_if(&mut self, right: impl Fn(&str) -> bool) -> Option<String> {
        match self.tokens.front() {
            Some(Token::Word(word)) if right(word) => match self.tokens.pop_front() {
                Some(Token::Word(word)) => Some(word),
                _ => None,
            },
            _ => None,
        }
    }

    /// Takes one given word when it is next.
    pub fn eat(&mut self, word: &str) -> bool {
        self.word_if(|next| next == word).is_some()
    }

    /// Takes one given word.
    ///
    /// # Errors
    ///
    /// Says that it was wanted.
    pub fn need(&mut self, word: &'static str) -> Result<(), WordError> {
        if self.eat(word) {
            Ok(())
        } else {
            Err(self.unexpected(word))
        }
    }

    /// The text in quotes that is next.
    pub fn text(&mut self) -> Option<String> {
        match self.tokens.front() {
            Some(Token::Text(_)) => match self.tokens.pop_front() {
                Some(Token::Text(text)) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// All texts in quotes that are next.
    pub fn texts(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.text()).collect()
    }

    /// The JSON value that is next.
    pub fn json(&mut self) -> Option<Value> {
        match self.tokens.front() {
            Some(Token::Json(_)) => match self.tokens.pop_front() {
                Some(Token::Json(value)) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// A value of any kind; a bare word is a number or a truth value when it looks like one.
    ///
    /// # Errors
    ///
    /// Says what was wanted.
    pub fn value(&mut self, wanted: &'static str) -> Result<Value, WordError> {
        if let Some(value) = self.json() {
            return Ok(value);
        }
        if let Some(text) = self.text() {
            return Ok(Value::String(text));
        }
        self.word(wanted).map(|word| super::token::plain(&word))
    }

    /// All pairs that are next.
    pub fn pairs(&mut self) -> Vec<Pair> {
        std::iter::from_fn(|| match self.tokens.front() {
            Some(Token::Pair(_)) => match self.tokens.pop_front() {
                Some(Token::Pair(pair)) => Some(pair),
                _ => None,
            },
            _ => None,
        })
        .collect()
    }

    /// A number and a unit.
    ///
    /// # Errors
    ///
    /// Says what was wanted.
    pub fn duration(&mut self) -> Result<Duration, WordError> {
        const WANTED: &str = "a time as '5 secs' (ms, secs, mins, hours, days)";
        let number = self.word(WANTED)?.parse::<f64>();
        let unit = match self.word(WANTED)?.trim_end_matches(':') {
            "ms" => 0.001,
            "sec" | "secs" => 1.0,
            "min" | "mins" => 60.0,
            "hour" | "hours" => 3600.0,
            "day" | "days" => 86_400.0,
            _ => return Err(WordError::End(WANTED)),
        };
        number
            .ok()
            .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
            .ok_or(WordError::End(WANTED))
    }

    /// `for TIME`, when it is next.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the time.
    pub fn for_time(&mut self) -> Result<Option<Duration>, WordError> {
        if self.eat("for") {
            self.duration().map(Some)
        } else {
            Ok(None)
        }
    }

    /// All bare words that are left.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.word_if(|_| true)).collect()
    }

    /// Whether the last token is this word; takes it away.
    pub fn eat_last(&mut self, word: &str) -> bool {
        let last = matches!(self.tokens.back(), Some(Token::Word(last)) if last == word);
        if last {
            self.tokens.pop_back();
        }
        last
    }

    /// Checks that all was used.
    ///
    /// # Errors
    ///
    /// Shows what is left.
    pub fn end(&self) -> Result<(), WordError> {
        self.tokens
            .front()
            .map_or(Ok(()), |token| Err(WordError::Left(shown(token))))
    }
}
