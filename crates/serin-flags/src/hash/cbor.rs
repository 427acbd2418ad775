//! CBOR in its core deterministic form (RFC 8949, section 4.2.1), as flagd's third `fractional`
//! hashes it: a fraction without a fractional part is a whole number, fractions are as short as
//! they can be, maps are ordered.

use super::Sink;
use crate::Datum;

const WHOLE: u8 = 0;
const NEGATIVE: u8 = 1;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;

/// Writes a value. Depth is that of the value, which is limited where it was read.
pub(crate) fn datum(value: &Datum, out: &mut impl Sink) {
    match value {
        Datum::Null => out.put(&[0xF6]),
        Datum::Bool(flag) => bool(*flag, out),
        Datum::Int(number) => int(*number, out),
        Datum::Float(number) => float(*number, out),
        Datum::Text(content) => text(content, out),
        Datum::List(items) => {
            head(LIST, items.len() as u64, out);
            for item in items {
                datum(item, out);
            }
        }
        Datum::Map(entries) => map(entries, out),
    }
}

pub(crate) fn bool(flag: bool, out: &mut impl Sink) {
    out.put(&[if flag { 0xF5 } else { 0xF4 }]);
}

pub(crate) fn int(number: i64, out: &mut impl Sink) {
    match u64::try_from(number) {
        Ok(number) => head(WHOLE, number, out),
        Err(_) => head(NEGATIVE, !number as u64, out),
    }
}

/// Numbers from -2^63 to 2^64 - 1 without a fractional part are written as whole numbers.
pub(crate) fn float(number: f64, out: &mut impl Sink) {
    const ABOVE: f64 = 18_446_744_073_709_551_616.0;
    const LOWEST: f64 = -9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (LOWEST..ABOVE).contains(&number) {
        if number >= 0.0 { head(WHOLE, number as u64, out) } else { int(number as i64, out) }
    } else if let Some(half) = half(number) {
        out.put(&[0xF9]);
        out.put(&half.to_be_bytes());
    } else if f64::from(number as f32).to_bits() == number.to_bits() {
        out.put(&[0xFA]);
        out.put(&(number as f32).to_be_bytes());
    } else {
        out.put(&[0xFB]);
        out.put(&number.to_be_bytes());
    }
}

pub(crate) fn text(content: &str, out: &mut impl Sink) {
    text_head(content.len(), out);
    out.put(content.as_bytes());
}

/// What comes before a text of so many bytes.
pub(crate) fn text_head(length: usize, out: &mut impl Sink) {
    head(TEXT, length as u64, out);
}

/// The beginning of a list of so many items.
pub(crate) fn list_head(length: usize, out: &mut impl Sink) {
    head(LIST, length as u64, out);
}

/// Ordered by the bytes of the encoded names: a shorter name comes first.
fn map(entries: &[(std::borrow::Cow<'_, str>, Datum)], out: &mut impl Sink) {
    let mut order: Vec<_> = entries.iter().collect();
    order.sort_by(|a, b| (a.0.len(), &a.0).cmp(&(b.0.len(), &b.0)));
    head(MAP, entries.len() as u64, out);
    for (name, value) in order {
        text(name, out);
        datum(value, out);
    }
}

fn head(major: u8, number: u64, out: &mut impl Sink) {
    let major = major << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..24 => out.put(&[major | number as u8]),
        24..0x100 => out.put(&[major | 0x18, bytes[7]]),
        0x100..0x1_0000 => out.put(&[major | 0x19, bytes[6], bytes[7]]),
        0x1_0000..0x1_0000_0000 => {
            out.put(&[major | 0x1A]);
            out.put(&bytes[4..]);
        }
        _ => {
            out.put(&[major | 0x1B]);
            out.put(&bytes);
        }
    }
}

/// The bits of a number as a 16-bit float, if nothing is lost (IEEE 754, binary16).
fn half(number: f64) -> Option<u16> {
    if number.is_nan() {
        return Some(0x7E00);
    }
    let bits = number.to_bits();
    let sign = (bits >> 48) as u16 & 0x8000;
    if number.is_infinite() {
        return Some(sign | 0x7C00);
    }
    let exponent = (bits >> 52 & 0x7FF) as i32 - 1023;
    let mantissa = bits & ((1 << 52) - 1);
    match exponent {
        -14..=15 if mantissa & ((1 << 42) - 1) == 0 => {
            Some(sign | ((exponent + 15) as u16) << 10 | (mantissa >> 42) as u16)
        }
        -24..=-15 => {
            let whole = mantissa | 1 << 52;
            let drop = 42 + (-14 - exponent);
            (whole & ((1 << drop) - 1) == 0).then_some(sign | (whole >> drop) as u16)
        }
        _ => None,
    }
}
