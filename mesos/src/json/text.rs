//! How strings, bytes and numbers are printed.
//!
//! Public because renderers of endpoints that are no protobuf messages print the same way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends a quoted string. Quotes, backslashes and control characters are escaped; everything else, slashes
/// included, stands as it is.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.push_str(&text[written..index]);
        written = index + 1;
        out.push('\\');
        match byte {
            b'"' => out.push('"'),
            b'\\' => out.push('\\'),
            0x08 => out.push('b'),
            0x0c => out.push('f'),
            b'\n' => out.push('n'),
            b'\r' => out.push('r'),
            b'\t' => out.push('t'),
            _ => {
                out.push_str("u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&text[written..]);
    out.push('"');
}

/// Appends bytes as a quoted base64 string with padding.
pub fn write_bytes(out: &mut String, bytes: &[u8]) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

/// Appends an unsigned integer.
pub fn write_u64(out: &mut String, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend(digits[start..].iter().map(|digit| char::from(*digit)));
}

/// Appends a signed integer.
pub fn write_i64(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    write_u64(out, value.unsigned_abs());
}

/// Largest count of thousandths whose decimal text is sure to be the shortest for its double.
const EXACT_THOUSANDTHS: f64 = 1e15;

/// Appends a number with the fewest digits that give the same double back; integral values keep `.0`. Very large
/// and very small values get an exponent. Gives `false`, and appends nothing, for what JSON cannot express.
pub fn write_f64(out: &mut String, value: f64) -> bool {
    if !value.is_finite() {
        return false;
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    let magnitude = value.abs();
    let thousandths = (magnitude * 1000.0).round();
    #[expect(
        clippy::float_cmp,
        reason = "the short form is right only when it is exactly the same number"
    )]
    if thousandths < EXACT_THOUSANDTHS && thousandths / 1000.0 == magnitude {
        write_thousandths(out, thousandths);
    } else {
        write_shortest(out, magnitude);
    }
    true
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number below 10^15, not negative"
)]
fn write_thousandths(out: &mut String, thousandths: f64) {
    let count = thousandths as u64;
    write_u64(out, count / 1000);
    out.push('.');
    let fraction = count % 1000;
    let digits = [fraction / 100, fraction / 10 % 10, fraction % 10];
    let used = digits.iter().rposition(|digit| *digit != 0).unwrap_or(0) + 1;
    for digit in &digits[..used] {
        write_u64(out, *digit);
    }
}

/// Prints a positive number from its shortest digits: plainly up to 21 digits before the point or 6 zeros behind it,
/// else with an exponent.
fn write_shortest(out: &mut String, magnitude: f64) {
    let scientific = format!("{magnitude:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let before_point = exponent + 1;
    match usize::try_from(before_point) {
        Ok(before) if (1..=21).contains(&before) => {
            if before >= digits.len() {
                out.push_str(&digits);
                out.extend(std::iter::repeat_n('0', before - digits.len()));
                out.push_str(".0");
            } else {
                out.push_str(&digits[..before]);
                out.push('.');
                out.push_str(&digits[before..]);
            }
        }
        _ if (-5..=0).contains(&before_point) => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', before_point.unsigned_abs() as usize));
            out.push_str(&digits);
        }
        _ => {
            out.push_str(&digits[..1]);
            if digits.len() > 1 {
                out.push('.');
                out.push_str(&digits[1..]);
            }
            out.push('e');
            write_i64(out, i64::from(exponent));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: f64) -> String {
        let mut out = String::new();
        assert!(write_f64(&mut out, value));
        out
    }

    #[test]
    fn numbers_print_short_and_keep_their_point() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.1 + 0.2, "0.30000000000000004"),
            (10.05, "10.05"),
            (1_795_176_243.735_165, "1795176243.735165"),
            (1_795_176_211.629_841_8, "1795176211.6298418"),
            (123_456_789_012_345_680.0, "123456789012345680.0"),
            (1e20, "100000000000000000000.0"),
            (1e21, "1e21"),
            (1.5e300, "1.5e300"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::from(0.1_f32), "0.10000000149011612"),
        ] {
            assert_eq!(number(value), text);
        }
        let mut out = String::new();
        assert!(!write_f64(&mut out, f64::NAN) && !write_f64(&mut out, f64::NEG_INFINITY));
        assert_eq!(out, "");
    }

    #[test]
    fn strings_escape_only_what_they_must() {
        let mut out = String::new();
        write_string(&mut out, "a\"b\\c/d\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}é");
        assert_eq!(out, "\"a\\\"b\\\\c/d\\b\\f\\n\\r\\t\\u0001\\u001F\u{7f}é\"");
    }

    proptest! {
        #[test]
        fn printed_numbers_read_back_equal(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(number(value).parse::<f64>().expect("a number").to_bits(), bits);
            }
        }

        #[test]
        fn printed_thousandths_read_back_equal(count in -2_000_000_000_000_i64..2_000_000_000_000) {
            let value = count as f64 / 1000.0;
            prop_assert_eq!(number(value).parse::<f64>().expect("a number"), value);
        }

        #[test]
        fn printed_strings_read_back_equal(text: String) {
            let mut out = String::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).expect("JSON"), text);
        }

        #[test]
        fn printed_integers_are_decimal(unsigned: u64, signed: i64) {
            let mut out = String::new();
            write_u64(&mut out, unsigned);
            out.push(' ');
            write_i64(&mut out, signed);
            prop_assert_eq!(out, format!("{unsigned} {signed}"));
        }
    }
}
