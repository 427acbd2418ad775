//! Numbers as JavaScript reads and writes them (ECMA-262, "StringToNumber" and
//! "Number::toString").

use std::fmt::{self, Write};

/// JavaScript's `Number(text)`: NaN for what is no number.
pub(crate) fn parse_number(text: &str) -> f64 {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}');
    if text.is_empty() {
        return 0.0;
    }
    match text {
        "Infinity" | "+Infinity" => return f64::INFINITY,
        "-Infinity" => return f64::NEG_INFINITY,
        _ => {}
    }
    if let Some(number) = radix(text) {
        return number;
    }
    // Rust's parser also knows words for infinity and NaN.
    let decimal = text.bytes().all(|c| c.is_ascii_digit() || b".eE+-".contains(&c));
    if decimal { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

/// `0x1F`, `0o17`, `0b11`.
fn radix(text: &str) -> Option<f64> {
    let (radix, digits) = match text.get(..2)? {
        "0x" | "0X" => (16, &text[2..]),
        "0o" | "0O" => (8, &text[2..]),
        "0b" | "0B" => (2, &text[2..]),
        _ => return None,
    };
    let digit = |c: char| c.to_digit(radix).map(f64::from);
    let add = |sum: f64, digit: f64| sum * f64::from(radix) + digit;
    let number = digits.chars().map(digit).try_fold(0.0, |sum, digit| Some(add(sum, digit?)));
    Some(number.filter(|_| !digits.is_empty()).unwrap_or(f64::NAN))
}

/// Writes JavaScript's `String(number)`: no fraction on whole numbers, an exponent from 10^21 and
/// below 10^-6.
pub(crate) fn write_number(number: f64, out: &mut impl Write) -> fmt::Result {
    let size = number.abs();
    if number.is_nan() {
        out.write_str("NaN")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else if number == 0.0 {
        out.write_str("0")
    } else if size >= 1e21 {
        let text = format!("{number:e}");
        out.write_str(&text.replace('e', "e+"))
    } else if size < 1e-6 {
        write!(out, "{number:e}")
    } else {
        write!(out, "{number}")
    }
}
