//! Groups of users.

use super::{clause::Conditions, list, strings};
use crate::{Problem, Segment, import::Imported};
use serde_json::{Map, Value};

/// Takes all segments over. One that cannot be kept is left out, and so are the flags that name it.
pub(super) fn all(imported: &mut Imported, segments: &Value) {
    for (name, written) in segments.as_object().into_iter().flat_map(Map::iter) {
        match segment(written) {
            Ok(segment) => drop(imported.set.segments.insert(name.clone(), segment)),
            Err(reason) => {
                let problem =
                    Problem::new(format!("segments.{name}"), format!("left out: {reason}"));
                imported.notes.push(problem);
            }
        }
    }
}

fn segment(written: &Value) -> Result<Segment, String> {
    let others = ["includedContexts", "excludedContexts"];
    if written["unbounded"] == true || others.iter().any(|of| list(&written[of]).count() > 0) {
        return Err("its members are not in the document, or are no users".to_owned());
    }
    let users = strings(&written["included"]);
    // Who is included by name is never excluded there; here the exclusion would win.
    let excluded =
        strings(&written["excluded"]).into_iter().filter(|user| !users.contains(user)).collect();
    let mut segment = Segment { users, excluded, ..Segment::default() };
    for rule in list(&written["rules"]) {
        if !rule["weight"].is_null() {
            return Err("it takes a percentage of users".to_owned());
        }
        let Conditions { segments, clauses } = Conditions::read(&rule["clauses"])?;
        match (segments.is_empty(), clauses.is_empty()) {
            (true, false) => segment.any.push(clauses),
            (false, true) => segment.segments.extend(segments),
            _ => return Err("a rule that joins a segment with other conditions".to_owned()),
        }
    }
    Ok(segment)
}
