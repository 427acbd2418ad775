//! `$(PORT)` and its like inside commands and environment values; `$$(X)` stands for `$(X)`.

use crate::{field::Field, nearest::nearest, problem::Problem, yaml::shown};

/// What an instance can be told.
pub(crate) const KNOWN: [&str; 5] = ["PORT", "REVISION", "ROLE", "INSTANCE", "COLOUR"];

/// Names of the variables in `text`, without the escaped ones.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('$')?..];
            if let Some(escaped) = rest.strip_prefix("$$(") {
                rest = escaped;
            } else if let Some((name, tail)) = variable(rest) {
                rest = tail;
                return Some(name);
            } else {
                rest = &rest[1..];
            }
        }
    })
}

/// `$(NAME)tail` as (NAME, tail).
fn variable(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("$(")?.split_once(')')
}

/// Whether `text` uses the variable `name`.
pub(crate) fn names(text: &str, name: &str) -> bool {
    variables(text).any(|found| found == name)
}

/// Reports variables that are not `known`.
pub(crate) fn check_among(field: &Field<'_>, text: &str, known: &[&str]) {
    let list: Vec<_> = known.iter().map(|name| format!("$({name})")).collect();
    for name in variables(text).filter(|name| !known.contains(name)) {
        let written = format!("$({name})");
        let message = format!("nothing fills in `{}`", shown(&written));
        let hint = format!(
            "known: {}; for the text itself write `$${}`",
            list.join(", "),
            shown(&written[1..])
        );
        let problem =
            Problem::error("unknown-variable", field.span_of(&written), message).hint(hint);
        field.report(match nearest(name, known.iter().copied()) {
            Some(near) => problem.label(format!("did you mean `$({near})`?")),
            None => problem,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_and_escapes_are_not() {
        let cases: [(&str, &[&str]); 8] = [
            ("--port=$(PORT)", &["PORT"]),
            ("$(A)$(B)", &["A", "B"]),
            ("$$(A) $(B)", &["B"]),
            ("$$$(A)", &[]),
            ("$$ $(A)", &["A"]),
            ("$HOME costs 5$", &[]),
            ("$(open", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(variables(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
