//! Whatever people write, the server form, the portable form and a plain reading of the definition
//! give every user the same variant.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod hostile;
mod reference;
mod unleash;
mod written;

use proptest::prelude::*;
use reference::Reference;
use serde_json::Value;
use serin_flags::{Arm, Context, FlagSet, Form, SetDefinition, Timestamp, compile, explain};

const NOW: i64 = 1_800_000_000;

fn parsed(set: &SetDefinition, form: Form) -> (FlagSet, Vec<String>) {
    let compiled = compile(set, form).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let text = compiled.document.to_string();
    let parsed = FlagSet::parse(text.as_bytes(), set.bucketing);
    let left_out = compiled.left_out.into_iter().map(|left| left.flag.to_string());
    (parsed.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}")), left_out.collect())
}

/// The variant of a flag, and the arm of its release.
fn answer(set: &FlagSet, key: &str, context: &Value) -> (Option<String>, Option<Arm>) {
    let context = Context::from_value(context).unwrap();
    let answer = set.evaluate(key, &context, NOW);
    let answer = answer.unwrap_or_else(|error| panic!("{key}: {error}"));
    (answer.variant.map(str::to_owned), answer.arm)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn all_forms_give_every_user_the_same(
        set in written::set(),
        users in prop::collection::vec(written::user(), 12),
    ) {
        let (server, none) = parsed(&set, Form::Server);
        prop_assert!(none.is_empty());
        let (portable, left_out) = parsed(&set, Form::Portable);
        for user in &users {
            let reference = Reference { set: &set, user, now: NOW };
            for (key, definition) in &set.flags {
                let key = key.as_str();
                let (variant, arm) = reference.evaluate(key, definition);
                let at = format!("{key} of {user}\n{}", set.to_json());
                prop_assert_eq!(answer(&server, key, user), (variant.clone(), arm), "server, {}", at);
                if !left_out.iter().any(|left| left == key) {
                    prop_assert_eq!(answer(&portable, key, user).0, variant, "portable, {}", at);
                }
            }
        }
    }

    #[test]
    fn every_answer_can_be_explained(set in written::set(), user in written::user()) {
        let reference = Reference { set: &set, user: &user, now: NOW };
        for (key, definition) in &set.flags {
            let told = explain(&set, key, &user, Timestamp(NOW)).unwrap();
            let (variant, arm) = reference.evaluate(key.as_str(), definition);
            prop_assert_eq!(&told.variant, &variant, "{}", told);
            prop_assert!(arm.is_none() || told.buckets.len() == 2, "{}", told);
            let default = told.because.contains("default holds");
            prop_assert!(!default || variant == definition.default_variant, "{}", told);
        }
    }

    #[test]
    fn a_set_is_read_as_it_was_written(set in written::set()) {
        prop_assert_eq!(SetDefinition::from_json(set.to_json().as_bytes()), Ok(set));
    }
}
