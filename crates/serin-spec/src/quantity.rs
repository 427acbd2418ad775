//! Amounts with a unit: `1h30m`, `512Mi`, `0.5%`.

use serin_core::Millis;

/// Why an amount could not be read, in words that follow "`x` ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuantityError {
    #[error("has no unit")]
    NoUnit,
    #[error("has the unit `{0}`, which is none")]
    Unit(String),
    #[error("is not a number with a unit")]
    Shape,
    #[error("is too large")]
    TooLarge,
}

use QuantityError as E;

/// `1h30m`, `5m`, `30s`, `500ms`: each unit at most once, the larger first.
pub(crate) fn duration(text: &str) -> Result<Millis, E> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (mut rest, mut total, mut smallest) = (text, 0.0, u64::MAX);
    if rest.is_empty() {
        return Err(E::Shape);
    }
    while !rest.is_empty() {
        let (number, unit, after) = part(rest)?;
        let millis = lookup(&UNITS, unit)?;
        if millis >= smallest {
            return Err(E::Shape);
        }
        (rest, smallest) = (after, millis);
        total += number * millis as f64;
    }
    whole(total).map(Millis)
}

/// `512Mi`, `1.5Gi`, `64k`: bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, E> {
    const UNITS: [(&str, u64); 8] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    match part(text)? {
        (number, unit, "") => whole(number * lookup(&UNITS, unit)? as f64),
        _ => Err(E::Shape),
    }
}

/// `11%`, `0.5 %`: a share, 1 for 100 %.
pub(crate) fn percent(text: &str) -> Result<f64, E> {
    let Some(number) = text.strip_suffix('%') else {
        return Err(if number(text).is_some() { E::NoUnit } else { E::Shape });
    };
    number_of(number.trim_end()).map(|n| n / 100.0)
}

/// A large number as it is shown.
pub(crate) fn short(number: f64) -> String {
    if number >= 1e9 { format!("{number:e}") } else { number.to_string() }
}

/// A plain decimal number; not `inf`, `nan` or hexadecimal.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| looks_decimal(text) && n.is_finite())
}

/// Whether YAML would take the text for a decimal number, however large: `12e4567`.
pub(crate) fn looks_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().all(|c| c.is_ascii_digit() || b".eE+-".contains(&c))
        && text.parse::<f64>().is_ok()
}

fn number_of(text: &str) -> Result<f64, E> {
    number(text).ok_or(E::Shape)
}

/// Splits `30s5ms` into 30, `s` and `5ms`.
fn part(text: &str) -> Result<(f64, &str, &str), E> {
    let digit = |c: char| c.is_ascii_digit() || c == '.';
    let unit_at = text.find(|c| !digit(c)).ok_or(E::NoUnit)?;
    let (number, rest) = text.split_at(unit_at);
    let number = number_of(number)?;
    let unit_end = rest.find(digit).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_end);
    Ok((number, unit.trim(), after))
}

fn lookup(units: &[(&str, u64)], unit: &str) -> Result<u64, E> {
    let found = units.iter().find(|(name, _)| *name == unit);
    found.map(|(_, size)| *size).ok_or_else(|| E::Unit(unit.into()))
}

fn whole(number: f64) -> Result<u64, E> {
    if number < 1e18 { Ok(number.round() as u64) } else { Err(E::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_their_parts() {
        let cases = [
            ("30s", 30_000),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("0.5s", 500),
            ("1d", 86_400_000),
            ("0s", 0),
            ("1m 30s", 90_000),
        ];
        for (text, millis) in cases {
            assert_eq!(duration(text), Ok(Millis(millis)), "{text}");
        }
    }

    #[test]
    fn odd_durations_are_refused() {
        let unit = |text: &str| E::Unit(text.into());
        let cases = [
            ("", E::Shape),
            ("5", E::NoUnit),
            ("5m3", E::NoUnit),
            ("-5m", E::Shape),
            ("s", E::Shape),
            ("5sec", unit("sec")),
            ("30s1m", E::Shape),
            ("1s1s", E::Shape),
            ("1..5s", E::Shape),
            ("99999999999999999999d", E::TooLarge),
            ("5µs", unit("µs")),
        ];
        for (text, error) in cases {
            assert_eq!(duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn sizes_know_both_kinds_of_unit() {
        assert_eq!(bytes("512Mi"), Ok(512 << 20));
        assert_eq!(bytes("1.5Gi"), Ok(3 << 29));
        assert_eq!(bytes("64k"), Ok(64_000));
        assert_eq!(bytes("512m"), Err(E::Unit("m".into())));
        assert_eq!(bytes("512"), Err(E::NoUnit));
        assert_eq!(bytes("1Mi2Ki"), Err(E::Shape));
    }

    #[test]
    fn percentages_need_their_sign() {
        assert_eq!(percent("0.5%"), Ok(0.005));
        assert_eq!(percent("11 %"), Ok(0.11));
        assert_eq!(percent("0.11"), Err(E::NoUnit));
        assert_eq!(percent("few%"), Err(E::Shape));
    }

    #[test]
    fn only_plain_decimals_are_numbers() {
        assert_eq!(number("1e3"), Some(1000.0));
        assert_eq!(number("-.5"), Some(-0.5));
        for text in ["inf", "nan", "0x10", "1_000", "", "e5", "1e999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
