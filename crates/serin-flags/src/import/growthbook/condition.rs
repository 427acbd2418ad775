//! Conditions in the manner of MongoDB, as alternatives (OR) of clauses (AND).

use super::{Object, attribute};
use crate::{Clause, Operator, Scalar};
use serde_json::Value;

/// More alternatives than this are not written.
const MOST: usize = 50;

/// Lists of values that conditions name.
pub(super) struct Groups<'a>(pub Option<&'a Object>);

type Alternatives = Vec<Vec<Clause>>;

/// Whom a condition fits; none: everybody.
pub(super) fn alternatives(condition: &Value, groups: &Groups<'_>) -> Result<Alternatives, String> {
    let mut all: Alternatives = vec![Vec::new()];
    let Some(fields) = condition.as_object() else {
        let none = condition.is_null();
        return if none { Ok(all) } else { Err("a condition that is no object".to_owned()) };
    };
    for (name, wanted) in fields {
        let more = match name.as_str() {
            "$or" => list(wanted, groups)?.concat(),
            "$and" => {
                for part in list(wanted, groups)? {
                    all = both(&all, &part)?;
                }
                continue;
            }
            word if word.starts_with('$') => {
                return Err(format!("a condition with `{word}`"));
            }
            name => vec![clauses(name, wanted, groups)?],
        };
        all = both(&all, &more)?;
    }
    Ok(all)
}

fn list(conditions: &Value, groups: &Groups<'_>) -> Result<Vec<Alternatives>, String> {
    let list = conditions.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or("a condition without alternatives")?;
    list.iter().map(|condition| alternatives(condition, groups)).collect()
}

fn both(ours: &Alternatives, theirs: &Alternatives) -> Result<Alternatives, String> {
    if ours.len() * theirs.len() > MOST {
        return Err(format!("a condition with more than {MOST} alternatives"));
    }
    let join = |one: &Vec<Clause>| {
        let one = one.clone();
        theirs.iter().map(move |other| one.iter().chain(other).cloned().collect())
    };
    Ok(ours.iter().flat_map(join).collect())
}

/// All questions about one attribute.
fn clauses(name: &str, wanted: &Value, groups: &Groups<'_>) -> Result<Vec<Clause>, String> {
    let operators = wanted.as_object().filter(|fields| fields.keys().all(|k| k.starts_with('$')));
    match operators {
        Some(operators) if !operators.is_empty() => {
            operators.iter().map(|(word, value)| clause(name, word, value, groups)).collect()
        }
        _ => Ok(vec![clause(name, "$eq", wanted, groups)?]),
    }
}

fn clause(name: &str, word: &str, value: &Value, groups: &Groups<'_>) -> Result<Clause, String> {
    use Operator as Op;
    let plain = |operator, inverted, values| Clause {
        attribute: attribute(name),
        operator,
        values,
        inverted,
        ignore_case: false,
    };
    let one = |operator, inverted| Ok(plain(operator, inverted, vec![scalar(value)?]));
    match word {
        "$eq" if value.is_null() => Ok(plain(Op::Exists, true, Vec::new())),
        "$ne" if value.is_null() => Ok(plain(Op::Exists, false, Vec::new())),
        "$exists" => Ok(plain(Op::Exists, *value == false, Vec::new())),
        "$eq" => one(Op::Equals, false),
        "$ne" => one(Op::Equals, true),
        "$in" => Ok(plain(Op::In, false, scalars(value)?)),
        "$nin" => Ok(plain(Op::In, true, scalars(value)?)),
        "$inGroup" => Ok(plain(Op::In, false, group(value, groups)?)),
        "$notInGroup" => Ok(plain(Op::In, true, group(value, groups)?)),
        "$gt" => one(Op::GreaterThan, false),
        "$gte" => one(Op::AtLeast, false),
        "$lt" => one(Op::LessThan, false),
        "$lte" => one(Op::AtMost, false),
        "$regex" => one(Op::Matches, false),
        "$veq" => one(Op::VersionEquals, false),
        "$vne" => one(Op::VersionEquals, true),
        "$vgt" => one(Op::VersionGreaterThan, false),
        "$vgte" => one(Op::VersionAtLeast, false),
        "$vlt" => one(Op::VersionLessThan, false),
        "$vlte" => one(Op::VersionAtMost, false),
        "$not" => negated(name, value, groups),
        other => Err(format!("a condition with `{other}`")),
    }
}

fn negated(name: &str, value: &Value, groups: &Groups<'_>) -> Result<Clause, String> {
    match clauses(name, value, groups)?.as_slice() {
        [one] => Ok(Clause { inverted: !one.inverted, ..one.clone() }),
        _ => Err("a condition that negates several at once".to_owned()),
    }
}

fn scalar(value: &Value) -> Result<Scalar, String> {
    Scalar::from_json(value).ok_or_else(|| "a condition on a list or an object".to_owned())
}

fn scalars(value: &Value) -> Result<Vec<Scalar>, String> {
    let list = value.as_array().ok_or("a condition without its list")?;
    list.iter().map(scalar).collect()
}

fn group(name: &Value, groups: &Groups<'_>) -> Result<Vec<Scalar>, String> {
    let group = groups.0.and_then(|groups| groups.get(name.as_str()?));
    group.ok_or_else(|| "a saved group that is not in the payload".to_owned()).and_then(scalars)
}
