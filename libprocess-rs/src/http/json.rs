//! Guards around JSON: nesting of what comes in, `?jsonp=` for what goes out.

use bytes::{BufMut, Bytes, BytesMut};

/// Deepest nesting that JSON bodies may have.
///
/// Source: shared facts, `libprocess_wire.md` section 6.
pub const JSON_DEPTH_MAX: usize = 200;

/// Longest callback name that `?jsonp=` may give.
const CALLBACK_BYTES_MAX: usize = 256;

/// Whether arrays and objects nest deeper than `depth_max`.
///
/// Looks at brackets outside of strings only, in one pass without recursion; whether the rest is JSON is the parser's
/// business.
#[must_use]
pub fn nests_deeper_than(json: &[u8], depth_max: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether a `jsonp` value is a callback that may be put into a script: identifiers, dots and indices.
#[must_use]
pub fn is_callback_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '$'));
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '$' | '.' | '[' | ']');
    starts_well && name.len() <= CALLBACK_BYTES_MAX && name.chars().all(allowed)
}

/// Wraps a JSON text into a call of `callback`.
#[must_use]
pub fn wrap_in_callback(callback: &str, json: &[u8]) -> Bytes {
    let mut script = BytesMut::with_capacity(callback.len() + json.len() + 2);
    script.put_slice(callback.as_bytes());
    script.put_u8(b'(');
    script.put_slice(json);
    script.put_u8(b')');
    script.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(!nests_deeper_than(b"[[[]]]", 3));
        assert!(nests_deeper_than(b"[[[[]]]]", 3));
        assert!(!nests_deeper_than(br#"{"a":"[[[[{{{{\"[[["}"#, 1));
        assert!(!nests_deeper_than(b"[][][][]{}{}", 1));
        assert!(nests_deeper_than("[".repeat(10_000).as_bytes(), JSON_DEPTH_MAX));
        assert!(!nests_deeper_than(b"]]]][", 1));
    }

    #[test]
    fn callbacks_cannot_smuggle_script() {
        for name in ["cb", "jQuery123_456", "angular.callbacks._0", "a[0]", "$"] {
            assert!(is_callback_name(name), "{name}");
        }
        for name in ["", "alert(1)", "a;b", "<script>", "1a", "a b", "a/*", "ü"] {
            assert!(!is_callback_name(name), "{name}");
        }
        assert!(!is_callback_name(&"a".repeat(257)));
    }

    #[test]
    fn wrapping_matches_the_recorded_form() {
        assert_eq!(wrap_in_callback("cb", b"{\"a\":1.0}").as_ref(), b"cb({\"a\":1.0})");
    }
}
