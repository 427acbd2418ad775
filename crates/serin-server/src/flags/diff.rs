//! What is different between two documents, field by field. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Differences that are listed, at most.
const MOST: usize = 200;

/// A field that is different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Its path, such as `metadata.team`.
    pub field: String,
    /// What it was; none: it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it becomes; none: it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// All differences between two documents, by path; lists are compared whole, because the order of
/// rules decides. No more than 200 are listed.
pub fn differences(before: &impl Serialize, after: &impl Serialize) -> Vec<Difference> {
    let before = serde_json::to_value(before).unwrap_or_default();
    let after = serde_json::to_value(after).unwrap_or_default();
    let mut found = Vec::new();
    compare("", Some(&before), Some(&after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if before == after || found.len() >= MOST {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let added = new.keys().filter(|name| !old.contains_key(*name));
        for name in old.keys().chain(added) {
            let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            compare(&place, old.get(name), new.get(name), found);
        }
        return;
    }
    let (before, after) = (before.filter(|v| !v.is_null()), after.filter(|v| !v.is_null()));
    let difference =
        Difference { field: path.to_owned(), before: before.cloned(), after: after.cloned() };
    found.push(difference);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_told_by_path_and_lists_whole() {
        let before = json!({ "a": 1, "b": { "c": [1, 2], "d": "x" }, "gone": true, "same": [{}] });
        let after = json!({ "a": 2, "b": { "c": [2, 1], "d": "x" }, "new": null, "same": [{}] });
        let found = differences(&before, &after);
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.field.as_str(), one.before.clone(), one.after.clone()))
            .collect();
        assert_eq!(
            told,
            [
                ("a", Some(json!(1)), Some(json!(2))),
                ("b.c", Some(json!([1, 2])), Some(json!([2, 1]))),
                ("gone", Some(json!(true)), None),
                ("new", None, None),
            ]
        );
        assert_eq!(differences(&before, &before), []);
    }

    #[test]
    fn what_is_new_as_a_whole_is_one_difference_and_there_is_a_limit() {
        let found = differences(&Value::Null, &json!({ "a": 1, "b": 2 }));
        assert_eq!((found.len(), found[0].field.as_str()), (1, ""));
        let many: serde_json::Map<_, _> = (0..500).map(|n| (n.to_string(), n.into())).collect();
        assert_eq!(differences(&json!({}), &Value::Object(many)).len(), MOST);
    }
}
