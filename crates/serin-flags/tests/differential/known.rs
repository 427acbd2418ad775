//! Where Serin answers something else than flagd's own evaluators, on purpose. Each difference is
//! told in `docs/flags-differences.md`, has an example that is tried, and a sign by which a random
//! case shows that it may be one. A sign alone excuses nothing: the arbiter has to agree with
//! Serin as well.

use super::answer::Answer;
use super::rules::{attributes, has, is_empty, reads_nothing};
use serde_json::{Value, json};

/// Who answers something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// `@openfeature/flagd-core`.
    JavaScript,
    /// `openfeature-flagd-core`.
    Python,
}

/// One difference.
pub struct Known {
    /// Its heading in the documentation.
    pub name: &'static str,
    pub who: Who,
    /// Whether a rule, a context and their answer may show it.
    pub sign: fn(&Value, &Value, &Answer) -> bool,
    /// Rule and context; variants are `on`, `off`, `true` and `false`, the default is `off`.
    pub example: fn() -> (Value, Value),
    /// Serin's variant, or the code of its error.
    pub ours: &'static str,
    /// Theirs.
    pub theirs: &'static str,
}

const COMPARED: &[&str] = &["==", "!=", "===", "!==", "<", "<=", ">", ">="];
const RECKONED: &[&str] = &["+", "-", "*", "/", "%", "min", "max"];

fn speaks_truth(rule: &Value, context: &Value) -> bool {
    let text = format!("{rule}{context}");
    text.contains("true") || text.contains("false")
}

/// All of them.
pub const KNOWN: &[Known] = &[
    Known {
        name: "Comparing what has no number",
        who: Who::JavaScript,
        sign: |rule, _, theirs| {
            theirs.error.is_some() && (has(rule, COMPARED) || has(rule, RECKONED))
        },
        example: || (json!({"if": [{"<": [{"var": "age"}, 18]}, "on"]}), json!({"age": "old"})),
        ours: "off",
        theirs: "GENERAL",
    },
    Known {
        name: "Looking into what is no list",
        who: Who::JavaScript,
        sign: |rule, _, theirs| theirs.error.is_some() && has(rule, &["in"]),
        example: || (json!({"if": [{"in": ["a", {"var": "age"}]}, "on"]}), json!({"age": 7})),
        ours: "off",
        theirs: "GENERAL",
    },
    Known {
        name: "Substrings of what is no text",
        who: Who::JavaScript,
        sign: |rule, _, theirs| theirs.error.is_some() && has(rule, &["substr"]),
        example: || {
            let part = json!({"substr": [{"var": "age"}, 0, 1]});
            (json!({"if": [{"==": [part, "4"]}, "on"]}), json!({"age": 42}))
        },
        ours: "on",
        theirs: "GENERAL",
    },
    Known {
        name: "An empty object is true",
        who: Who::JavaScript,
        sign: |rule, context, _| attributes(rule, context).any(is_empty),
        example: || (json!({"if": [{"var": "org"}, "on"]}), json!({"org": {}})),
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "Whether a list is true",
        who: Who::JavaScript,
        sign: |rule, context, _| {
            has(rule, &["!", "!!"]) && attributes(rule, context).any(Value::is_array)
        },
        example: || {
            let any = json!({"!!": [{"var": "tags"}]});
            (json!({"if": [any, "on"]}), json!({"tags": ["", "a"]}))
        },
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "What counts as missing",
        who: Who::JavaScript,
        sign: |rule, _, _| has(rule, &["missing", "missing_some"]),
        example: || (json!({"if": [{"missing": ["email"]}, "on"]}), json!({"email": ""})),
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "Nothing is not zero",
        who: Who::JavaScript,
        sign: |rule, context, _| has(rule, &["==", "!="]) && reads_nothing(rule, context),
        example: || (json!({"if": [{"==": [{"var": "orders"}, false]}, "on"]}), json!({})),
        ours: "off",
        theirs: "on",
    },
    Known {
        name: "All of a list that is not there",
        who: Who::JavaScript,
        sign: |rule, context, _| has(rule, &["all"]) && reads_nothing(rule, context),
        example: || {
            let dear = json!({"all": [{"var": "orders"}, {">": [{"var": "price"}, 6]}]});
            (json!({"if": [dear, "on", "off"]}), json!({}))
        },
        ours: "off",
        theirs: "on",
    },
    Known {
        name: "Nothing within a text",
        who: Who::JavaScript,
        sign: |rule, context, _| has(rule, &["cat"]) && reads_nothing(rule, context),
        example: || {
            let within = json!({"in": [{"var": "plan"}, {"cat": [{"var": "plan"}, "-"]}]});
            (json!({"if": [within, "on"]}), json!({}))
        },
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "Keys beyond ASCII",
        who: Who::JavaScript,
        sign: |rule, context, _| {
            has(rule, &["fractional"]) && !format!("{rule}{context}").is_ascii()
        },
        example: || {
            let split = json!({"fractional": [{"var": "targetingKey"}, ["on", 50], ["off", 50]]});
            (split, json!({"targetingKey": "gruppe-ä-2"}))
        },
        ours: "off",
        theirs: "on",
    },
    Known {
        name: "Percentages of an attribute that is not there",
        who: Who::JavaScript,
        sign: |rule, context, _| has(rule, &["fractional"]) && reads_nothing(rule, context),
        example: || {
            let split = json!({"fractional": [{"var": "email"}, ["on", 1]]});
            (split, json!({"targetingKey": "user-1"}))
        },
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "Rules that cannot be read",
        who: Who::JavaScript,
        sign: |rule, _, _| has(rule, &["$ref"]),
        example: || {
            let both = json!({"and": [{"var": "beta"}, {"no_such_operator": []}]});
            (json!({"if": [both, "on"]}), json!({}))
        },
        ours: "PARSE_ERROR",
        theirs: "off",
    },
    Known {
        name: "Nothing is not zero",
        who: Who::Python,
        sign: |rule, context, _| has(rule, COMPARED) && reads_nothing(rule, context),
        example: || (json!({"if": [{"==": [{"var": "orders"}, 0]}, "on"]}), json!({})),
        ours: "off",
        theirs: "on",
    },
    Known {
        name: "Nothing is no text",
        who: Who::Python,
        sign: |rule, context, _| has(rule, COMPARED) && reads_nothing(rule, context),
        example: || (json!({"if": [{"<": [{"var": "plan"}, "pro"]}, "on"]}), json!({})),
        ours: "off",
        theirs: "on",
    },
    Known {
        name: "Between, with nothing as the upper end",
        who: Who::Python,
        sign: |rule, context, _| has(rule, &["<", "<="]) && reads_nothing(rule, context),
        example: || (json!({"if": [{"<": [1, 2, {"var": "most"}]}, "on"]}), json!({})),
        ours: "off",
        theirs: "on",
    },
    Known {
        name: "Remainders of negative numbers",
        who: Who::Python,
        sign: |rule, _, _| has(rule, &["%"]),
        example: || {
            (json!({"if": [{"==": [{"%": [{"var": "n"}, 3]}, -1]}, "on"]}), json!({"n": -1}))
        },
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "Numbers in text",
        who: Who::Python,
        sign: |rule, _, _| rule.to_string().contains("0x"),
        example: || (json!({"if": [{">": ["0x10", {"var": "n"}]}, "on"]}), json!({"n": 15})),
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "Comparing lists, objects and truth values with text",
        who: Who::Python,
        sign: |rule, _, _| has(rule, COMPARED),
        example: || (json!({"if": [{"<=": [{"var": "plan"}, true]}, "on"]}), json!({"plan": ""})),
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "True is not 1",
        who: Who::Python,
        sign: |rule, context, _| has(rule, &["in"]) && speaks_truth(rule, context),
        example: || (json!({"if": [{"in": [{"var": "beta"}, [1]]}, "on"]}), json!({"beta": true})),
        ours: "off",
        theirs: "on",
    },
    Known {
        name: "Within an empty text",
        who: Who::Python,
        sign: |rule, _, _| has(rule, &["in"]),
        example: || (json!({"if": [{"in": ["", {"var": "plan"}]}, "on"]}), json!({"plan": ""})),
        ours: "off",
        theirs: "on",
    },
    Known {
        name: "Weights like 6.0",
        who: Who::Python,
        sign: |rule, _, _| has(rule, &["fractional"]),
        example: || {
            let split = json!({"fractional": [["on", {"var": "weight"}]]});
            (split, json!({"targetingKey": "user-1", "weight": 6.0}))
        },
        ours: "on",
        theirs: "off",
    },
    Known {
        name: "Rules that cannot be read",
        who: Who::Python,
        sign: |rule, _, _| has(rule, &["$ref"]),
        example: || (json!({"if": [true, "on", {"no_such_operator": []}, "off"]}), json!({})),
        ours: "PARSE_ERROR",
        theirs: "on",
    },
];
