//! Shares and times as people read them.

/// A share from 0 to 1 with up to three significant digits: `0.5 %`, `12.3 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", short(share * 100.0))
}

/// Seconds in whole units that matter: `41 s`, `9 min 54 s`, `23 min`, `3 h 5 min`, `12 days`.
pub fn span(seconds: f64) -> String {
    const YEAR: f64 = 3.2e7;
    let whole = libm::ceil(seconds.clamp(0.0, YEAR)) as u64;
    let two = |large: u64, unit: &str, small: u64, part: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {part}"),
    };
    match whole {
        0..60 => format!("{whole} s"),
        60..900 => two(whole / 60, "min", whole % 60, "s"),
        900..3600 => format!("{} min", whole.div_ceil(60)),
        3600..172_800 => {
            let minutes = whole.div_ceil(60);
            two(minutes / 60, "h", minutes % 60, "min")
        }
        _ if seconds > YEAR => "more than a year".into(),
        _ => format!("{} days", whole.div_ceil(86_400)),
    }
}

/// Up to three significant digits, no zeros behind the point, whole numbers from 100.
pub fn short(x: f64) -> String {
    let digits = match x.abs() {
        a if a >= 99.95 => 0,
        a if a >= 9.995 => 1,
        a if a >= 0.9995 => 2,
        a if a >= 0.09995 => 3,
        a if a >= 0.009_995 => 4,
        _ => 5,
    };
    let text = format!("{x:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}
