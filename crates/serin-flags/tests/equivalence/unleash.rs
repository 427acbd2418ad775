//! What goes to Unleash and comes back answers as before.

use crate::{NOW, answer, parsed, reference::Reference, written};
use proptest::prelude::*;
use serde_json::{Value, json};
use serin_flags::{Form, Method, SetDefinition, import, unleash};

/// A set whose flags hash as Unleash does, and whose users are text throughout, as there.
fn set() -> impl Strategy<Value = SetDefinition> {
    written::set().prop_map(|mut set| {
        for flag in set.flags.values_mut() {
            flag.release = None;
            flag.bucketing = Some(Method::Unleash);
            if flag.default_variant.is_none() {
                flag.default_variant = Some("off".to_owned());
            }
        }
        set
    })
}

fn user() -> impl Strategy<Value = Value> {
    written::user().prop_map(|user| {
        let texts = user.as_object().unwrap().iter().filter_map(|(name, value)| match value {
            Value::String(text) if !text.is_empty() => Some((name.clone(), json!(text))),
            Value::Number(number) => Some((name.clone(), json!(number.to_string()))),
            _ => None,
        });
        Value::Object(texts.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn there_and_back_gives_every_user_the_same(
        set in set(),
        users in prop::collection::vec(user(), 12),
    ) {
        let exported = unleash::features(&set).unwrap();
        let text = exported.document.to_string();
        let back = import::unleash(text.as_bytes(), "prod", "production").unwrap();
        let (there, _) = parsed(&back.set, Form::Server);
        for (key, definition) in &set.flags {
            if !back.set.flags.contains_key(key) || set.flags[key].killed.is_some() {
                continue;
            }
            // Unleash gives who cannot be bucketed a random share, or false; the notes say so.
            let known = |user: &&Value| {
                user.get("targetingKey").is_some() && user.get("orgId").is_some()
            };
            for user in users.iter().filter(known) {
                let reference = Reference { set: &set, user, now: NOW };
                let (expected, _) = reference.evaluate(key.as_str(), definition);
                let (found, _) = answer(&there, key.as_str(), user);
                let at = format!("{key} of {user}\n{}\n{text}", set.to_json());
                prop_assert_eq!(found, expected, "{}", at);
            }
        }
    }
}
