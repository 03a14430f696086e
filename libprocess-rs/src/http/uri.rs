//! Decoding of request targets: percent escapes, queries, and the checks every path has to pass.

use std::collections::BTreeMap;

use thiserror::Error;

/// Why a request target cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A `%` is not followed by two hexadecimal digits.
    #[error("'%' in '{0}' is not followed by two hexadecimal digits")]
    BadEscape(String),
    /// The escapes decode to bytes that are not UTF-8.
    #[error("'{0}' does not decode to UTF-8 text")]
    NotUtf8(String),
}

/// Decodes percent escapes; every other character stays as it is.
///
/// # Errors
///
/// Fails for incomplete escapes and for results that are not UTF-8.
pub fn percent_decode(text: &str) -> Result<String, DecodeError> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = bytes.next().and_then(hex_digit).zip(bytes.next().and_then(hex_digit));
        let (high, low) = digits.ok_or_else(|| DecodeError::BadEscape(text.to_owned()))?;
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).map_err(|_| DecodeError::NotUtf8(text.to_owned()))
}

/// Escapes everything but the unreserved characters of RFC 3986, as metric names and process ids in paths need it.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 0x0f] {
                encoded.push(
                    char::from_digit(u32::from(digit), 16)
                        .unwrap_or('0')
                        .to_ascii_uppercase(),
                );
            }
        }
    }
    encoded
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Decodes a query: `&` and `;` separate, `+` means blank, a missing `=` gives an empty value, the last value of a
/// repeated key wins.
///
/// Source: shared facts, `libprocess_wire.md` section 4.
///
/// # Errors
///
/// Fails for bad percent escapes in any key or value.
pub fn parse_query(query: &str) -> Result<BTreeMap<String, String>, DecodeError> {
    let mut values = BTreeMap::new();
    for pair in query.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        values.insert(decode_query_part(key)?, decode_query_part(value)?);
    }
    Ok(values)
}

fn decode_query_part(part: &str) -> Result<String, DecodeError> {
    if part.contains('+') {
        percent_decode(&part.replace('+', " "))
    } else {
        percent_decode(part)
    }
}

/// Splits a path into its decoded first segment and what follows, without slashes at the ends of either.
///
/// # Errors
///
/// Fails for bad percent escapes in the first segment; the rest is handed on undecoded.
pub fn split_first_segment(path: &str) -> Result<(String, &str), DecodeError> {
    let trimmed = path.trim_matches('/');
    let (first, rest) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    Ok((percent_decode(first)?, rest.trim_matches('/')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_decode_in_both_forms() {
        assert_eq!(
            split_first_segment("/slave%281%29/state"),
            Ok(("slave(1)".to_owned(), "state"))
        );
        assert_eq!(
            split_first_segment("/slave(1)/a/b/"),
            Ok(("slave(1)".to_owned(), "a/b"))
        );
        assert_eq!(split_first_segment("/"), Ok((String::new(), "")));
    }

    #[test]
    fn queries_follow_the_facts() {
        let query = parse_query("a=1&b=x+y;c&a=2&d=%2Fp%3d").expect("well formed");
        let pairs: Vec<(&str, &str)> = query
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(pairs, [("a", "2"), ("b", "x y"), ("c", ""), ("d", "/p=")]);
        assert_eq!(parse_query(""), Ok(BTreeMap::new()));
        assert_eq!(
            parse_query("=1").map(|query| query.get("").cloned()),
            Ok(Some("1".to_owned()))
        );
    }

    #[test]
    fn bad_escapes_are_refused() {
        for text in ["%", "%4", "%zz", "a%2", "%-1", "%+1"] {
            assert_eq!(percent_decode(text), Err(DecodeError::BadEscape(text.to_owned())));
        }
        assert_eq!(percent_decode("%ff"), Err(DecodeError::NotUtf8("%ff".to_owned())));
        assert!(parse_query("path=%zz").is_err());
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in any::<String>()) {
            prop_assert_eq!(percent_decode(&percent_encode(&text)), Ok(text));
        }

        #[test]
        fn decoding_never_panics(text in any::<String>()) {
            let _ = percent_decode(&text);
            let _ = parse_query(&text);
        }
    }
}
