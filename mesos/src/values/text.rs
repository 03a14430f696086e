//! The text grammar of values, shared by `--resources` and `--attributes`.

use super::{Range, Ranges, Scalar, Set, Value};

/// Why a text is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Ranges without their closing bracket, with a word in them, or with an odd count of numbers.
    #[error("`{text}` begins like ranges but is not of the form [1-3, 5-6]")]
    MalformedRanges {
        /// The text, blanks dropped.
        text: String,
    },
    /// A range ends before it begins.
    #[error("`{text}` has the range {begin}-{end}, which ends before it begins")]
    ReversedRange {
        /// The text, blanks dropped.
        text: String,
        /// The first number as given.
        begin: u64,
        /// The last number as given.
        end: u64,
    },
    /// A set without its closing brace.
    #[error("`{text}` begins like a set but is not of the form {{a,b}}")]
    MalformedSet {
        /// The text, blanks dropped.
        text: String,
    },
    /// A number that is negative, infinite, not a number or subnormal.
    #[error("`{text}` is not a usable number: it must be finite and not negative")]
    UnusableNumber {
        /// The text, blanks dropped.
        text: String,
    },
    /// Nothing stands there.
    #[error("the value is empty")]
    Empty,
}

/// Reads a value: `[…]` is ranges, `{…}` a set, a number a scalar, anything else text. Blanks are dropped first.
///
/// # Errors
///
/// Broken ranges and sets, unusable numbers and empty texts are errors.
pub fn parse(text: &str) -> Result<Value, ValueError> {
    let text: String = text.chars().filter(|character| *character != ' ').collect();
    if text.is_empty() {
        return Err(ValueError::Empty);
    }
    if text.starts_with('[') {
        return parse_ranges(&text).map(Value::Ranges);
    }
    if text.starts_with('{') {
        return parse_set(&text).map(Value::Set);
    }
    match text.parse::<f64>() {
        Ok(number) if number == 0.0 && !number.is_sign_negative() => Ok(Value::Scalar(Scalar::ZERO)),
        Ok(number) if number.is_normal() && number > 0.0 => Ok(Value::Scalar(Scalar::from_f64(number))),
        Ok(_) => Err(ValueError::UnusableNumber { text }),
        Err(_) => Ok(Value::Text(text)),
    }
}

fn parse_ranges(text: &str) -> Result<Ranges, ValueError> {
    let malformed = || ValueError::MalformedRanges { text: text.to_owned() };
    if !text.ends_with(']') {
        return Err(malformed());
    }
    let numbers = text
        .split(['[', ']', '-', ',', '\n'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse::<u64>().map_err(|_| malformed()))
        .collect::<Result<Vec<u64>, ValueError>>()?;
    if numbers.len() % 2 != 0 {
        return Err(malformed());
    }
    let mut ranges = Vec::with_capacity(numbers.len() / 2);
    for pair in numbers.chunks_exact(2) {
        let (begin, end) = (pair[0], pair[1]);
        if begin > end {
            return Err(ValueError::ReversedRange {
                text: text.to_owned(),
                begin,
                end,
            });
        }
        ranges.push(Range { begin, end });
    }
    Ok(Ranges::new(ranges))
}

fn parse_set(text: &str) -> Result<Set, ValueError> {
    if !text.ends_with('}') {
        return Err(ValueError::MalformedSet { text: text.to_owned() });
    }
    let items = text.split(['{', '}', ',', '\n']).filter(|part| !part.is_empty());
    Ok(Set::new(items.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_recognised_by_its_beginning() {
        assert_eq!(parse(" 4 "), Ok(Value::Scalar(Scalar::from_whole(4))));
        assert_eq!(parse("0"), Ok(Value::Scalar(Scalar::ZERO)));
        assert_eq!(parse("1e3"), Ok(Value::Scalar(Scalar::from_whole(1000))));
        assert_eq!(parse("[31000-32000]").expect("ranges").to_string(), "[31000-32000]");
        assert_eq!(parse("[ 5-6, 1-3 ]").expect("ranges").to_string(), "[1-3, 5-6]");
        assert_eq!(parse("[]"), Ok(Value::Ranges(Ranges::default())));
        assert_eq!(parse("{b,a}").expect("set").to_string(), "{a, b}");
        assert_eq!(parse("rack one"), Ok(Value::Text("rackone".to_owned())));
    }

    #[test]
    fn broken_values_are_errors() {
        for text in ["[1-2", "[1-2-3]", "[a-b]", "[1]"] {
            assert!(matches!(parse(text), Err(ValueError::MalformedRanges { .. })), "{text}");
        }
        assert!(matches!(parse("[3-1]"), Err(ValueError::ReversedRange { .. })));
        assert!(matches!(parse("{a"), Err(ValueError::MalformedSet { .. })));
        for text in ["-1", "nan", "inf", "-0", "1e-310"] {
            assert!(matches!(parse(text), Err(ValueError::UnusableNumber { .. })), "{text}");
        }
        assert_eq!(parse("  "), Err(ValueError::Empty));
    }
}
