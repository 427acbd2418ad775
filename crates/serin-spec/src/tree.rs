//! Documents of other kinds than ours, as trees of values that remember where each stands:
//! migrations, in pgroll's format and in phased SQL.
//!
//! Words are read as Go's readers of YAML do it, because files for those come here: `yes`, `off`
//! and their like are true and false. Numbers with `_` inside stay text: `2024_01_15_001` is a
//! version, not a number.

use crate::{
    Located, MAX_BYTES, Problems,
    place::{Lines, Mark},
    yaml::{self, Node, Value as Written},
};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// The words that are true, and those that are false, as YAML 1.1 has them.
const TRUE: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: [&str; 11] =
    ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];

/// All documents of a file that are not empty, YAML or JSON. Paths of [`Located::mark_of`] look
/// like `operations[0].add_column.table`.
///
/// # Errors
/// What is wrong with the text as such; what it means is for others to say.
pub fn document_tree(text: &str) -> Result<Vec<Located<Value>>, Problems> {
    if text.len() > MAX_BYTES {
        return Err(crate::too_large(text.len()));
    }
    let parsed = yaml::parse(text);
    let lines = Lines::new(text);
    if parsed.problems.is_empty() {
        return Ok(parsed.documents.iter().map(|node| located(node, &lines)).collect());
    }
    // JSON is YAML but for tabs; it has fewer ways to be wrong.
    let only_syntax = parsed.problems.iter().all(|problem| problem.code == "syntax");
    match serde_json::from_str(text).ok().filter(|_| only_syntax) {
        Some(value) => {
            Ok(vec![Located { value, mark: lines.mark(&(0..1)), marks: BTreeMap::new() }])
        }
        None => Err(Problems(parsed.problems.into_iter().map(|p| p.placed(&lines)).collect())),
    }
}

fn located(node: &Node, lines: &Lines<'_>) -> Located<Value> {
    let mut marks = BTreeMap::new();
    let value = value(node, "", lines, &mut marks);
    Located { value, mark: lines.mark(&node.span), marks }
}

fn value(node: &Node, path: &str, lines: &Lines<'_>, marks: &mut BTreeMap<String, Mark>) -> Value {
    match &node.value {
        Written::Scalar { text, plain: true } => plain(text),
        Written::Scalar { text, .. } => Value::String(text.clone()),
        Written::List(items) => {
            let item = |(at, item): (usize, &Node)| {
                let path = format!("{path}[{at}]");
                marks.insert(path.clone(), lines.mark(&item.span));
                value(item, &path, lines, marks)
            };
            Value::Array(items.iter().enumerate().map(item).collect())
        }
        Written::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{}", entry.key);
                marks.insert(path.clone(), lines.mark(&entry.key_span));
                map.insert(entry.key.clone(), value(&entry.value, &path, lines, marks));
            }
            Value::Object(map)
        }
    }
}

/// What text without quotes means.
fn plain(text: &str) -> Value {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    if TRUE.contains(&text) || FALSE.contains(&text) {
        return Value::Bool(TRUE.contains(&text));
    }
    number(text).map_or_else(|| Value::String(text.into()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Some(whole) = whole(text, digits) {
        return Some(whole);
    }
    let float =
        digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let leads = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if !float || leads {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// A number without a point: decimal, `0x1f`, `0b101`, `0o17`, and `017` as in C.
fn whole(text: &str, digits: &str) -> Option<Number> {
    let radix = |prefix, radix| digits.strip_prefix(prefix).map(|rest| (rest, radix));
    let octal = digits.strip_prefix('0').filter(|rest| !rest.is_empty()).map(|rest| (rest, 8));
    let (rest, base) = radix("0x", 16)
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8))
        .or(octal)
        .unwrap_or((digits, 10));
    if rest.starts_with(['-', '+']) {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let signed = i64::from_str_radix(&format!("{sign}{rest}"), base).map(Number::from).ok();
    let large = || u64::from_str_radix(rest, base).map(Number::from).ok();
    signed.or_else(|| large().filter(|_| sign.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        let mut documents = document_tree(text).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0).value
    }

    #[test]
    fn words_are_read_as_go_reads_them() {
        let cases = [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!(true)),
            ("'no'", json!("no")),
            ("~", json!(null)),
            ("yEs", json!("yEs")),
            ("12", json!(12)),
            ("-7", json!(-7)),
            ("0x1F", json!(31)),
            ("017", json!(15)),
            ("089", json!("089")),
            ("1.50", json!(1.5)),
            ("1e3", json!(1000.0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-18446744073709551615", json!(-18_446_744_073_709_552_000.0)),
            ("2024_01_15_001", json!("2024_01_15_001")),
            ("2024-01-15", json!("2024-01-15")),
            ("1.2.3", json!("1.2.3")),
            (".", json!(".")),
            ("varchar(255)", json!("varchar(255)")),
        ];
        for (text, value) in cases {
            assert_eq!(read(&format!("a: {text}")), json!({ "a": value }), "{text}");
        }
    }

    #[test]
    fn places_are_kept() {
        let text = "operations:\n  - add_column:\n      table: users\n      up: |\n        x\n";
        let documents = document_tree(text).unwrap();
        let place = |path| {
            let mark = documents[0].mark_of(path);
            (mark.line, mark.column)
        };
        assert_eq!(place("operations[0].add_column.table"), (3, 7));
        assert_eq!(place("operations[0].add_column.nothing"), (2, 5));
        assert_eq!(documents[0].value["operations"][0]["add_column"]["up"], json!("x\n"));
    }

    #[test]
    fn json_with_tabs_is_read() {
        let text = "{\n\t\"operations\": [\n\t\t{\"sql\": {\"up\": \"SELECT 1\"}}\n\t]\n}\n";
        assert_eq!(read(text)["operations"][0]["sql"]["up"], json!("SELECT 1"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let twice = document_tree("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!((twice.0[0].code, twice.0[0].line), ("duplicate-key", 3));
        let broken = document_tree("a: [1, 2\nb: 3\n").unwrap_err();
        assert_eq!(broken.0[0].code, "syntax");
        let large = document_tree(&" ".repeat(MAX_BYTES + 1)).unwrap_err();
        assert_eq!(large.0[0].code, "too-large");
        assert!(document_tree("").unwrap().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-a-z0-9:\\[\\]{}#|>'\",.& \n\t_xo+e]{0,80}") {
            let _ = document_tree(&text);
        }
    }
}
