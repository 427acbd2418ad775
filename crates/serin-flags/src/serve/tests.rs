use super::*;
use crate::{
    Context, Kind, Portable, Prerequisite, Rule, Segment, Serve, Share, State, Timestamp, WHOLE,
    compile,
};
use proptest::prelude::*;
use serde_json::json;

fn key(text: &str) -> FlagKey {
    text.parse().unwrap()
}

fn set(flags: &[(&str, Definition)]) -> SetDefinition {
    let flags = flags.iter().map(|(name, flag)| (key(name), flag.clone())).collect();
    SetDefinition { flags, ..SetDefinition::new("production") }
}

fn flag() -> Definition {
    Definition::boolean(Kind::Ops, "shop")
}

fn needing(other: &str) -> Definition {
    let needs = Prerequisite { flag: key(other), variants: vec!["on".into()] };
    Definition { prerequisites: vec![needs], default_variant: Some("on".into()), ..flag() }
}

fn killed() -> Definition {
    let killed = crate::Killed { by: "ada".into(), at: Timestamp(1), reason: "x".into() };
    Definition { killed: Some(killed), ..flag() }
}

fn value(flags: &FlagSet, key: &str) -> Option<bool> {
    flags.evaluate(key, &Context::new(), 0).unwrap().boolean().unwrap()
}

/// What a change comes to, and how many flags were made anew.
fn after(before: &SetDefinition, next: &SetDefinition) -> Result<(FlagSet, usize), Vec<Problem>> {
    let old = FlagSet::of(before).unwrap();
    let new = old.after(before, next)?;
    let shared = |flag: &&Arc<Flag>| old.flags.iter().any(|held| Arc::ptr_eq(held, flag));
    let anew = new.flags.iter().filter(|flag| !shared(flag)).count();
    Ok((new, anew))
}

#[test]
fn a_change_makes_one_flag_anew_and_those_that_need_it() {
    let on = Definition { default_variant: Some("on".into()), ..flag() };
    let before = set(&[("a", on), ("b", needing("a")), ("c", needing("b")), ("d", flag())]);
    let mut next = before.clone();
    next.flags.insert(key("a"), killed());
    let (flags, anew) = after(&before, &next).unwrap();
    assert_eq!(anew, 3);
    assert_eq!(["a", "b", "c", "d"].map(|key| value(&flags, key)), [Some(false); 4]);
    let mut next = before.clone();
    next.flags.insert(key("d"), killed());
    let (flags, anew) = after(&before, &next).unwrap();
    assert_eq!((anew, value(&flags, "c")), (1, Some(true)));
}

#[test]
fn a_change_is_refused_for_what_it_breaks_elsewhere() {
    let before = set(&[("a", flag()), ("b", needing("a")), ("c", needing("b"))]);
    let changed = |key: &str, flag: Option<Definition>| {
        let mut next = before.clone();
        match flag {
            Some(flag) => drop(next.flags.insert(self::key(key), flag)),
            None => drop(next.flags.remove(key)),
        }
        after(&before, &next).map(|(_, anew)| anew)
    };
    let renamed = json!([{"name": "yes", "value": true}, {"name": "off", "value": false}]);
    let renamed = Definition { variants: serde_json::from_value(renamed).unwrap(), ..flag() };
    for (key, flag) in [
        ("a", None),
        ("a", Some(Definition { archived_at: Some(Timestamp(1)), ..flag() })),
        ("a", Some(renamed)),
        ("a", Some(needing("c"))),
        ("d", Some(needing("e"))),
    ] {
        assert!(changed(key, flag.clone()).is_err(), "{key} {flag:?}");
    }
    assert_eq!(changed("c", None), Ok(0));
    // Off, it does not read what it needs: no circle.
    let off = Definition { state: State::Off, ..needing("c") };
    assert_eq!(changed("a", Some(off)), Ok(3));
}

#[test]
fn another_frame_makes_all_anew() {
    let before = set(&[("a", flag()), ("b", flag())]);
    let mut next = before.clone();
    next.segments.insert("beta".into(), Segment::default());
    assert_eq!(after(&before, &next).unwrap().1, 2);
    let next = SetDefinition { require_targeting_key: true, ..before.clone() };
    let (flags, _) = after(&before, &next).unwrap();
    assert!(flags.evaluate("a", &Context::new(), 0).is_err());
}

/// One of a few kinds of flag.
fn some_flag(kind: u8, weight: u32) -> Definition {
    let share = |variant: &str, weight| Share { variant: variant.into(), weight };
    let shares = vec![share("on", weight), share("off", WHOLE - weight)];
    let serve = Serve::Split { shares, by: None, salt: None };
    let rule = Rule { name: String::new(), segments: vec![], clauses: vec![], serve };
    match kind % 6 {
        0 => flag(),
        1 => Definition { default_variant: Some("on".into()), ..flag() },
        2 => Definition { rules: vec![rule], ..flag() },
        3 => killed(),
        4 => Definition { archived_at: Some(Timestamp(1)), ..flag() },
        _ => needing(["a", "b", "c"][weight as usize % 3]),
    }
}

proptest! {
    /// However a set came about, it is what its definitions say.
    #[test]
    fn steps_lead_where_one_leap_does(
        steps in prop::collection::vec((0_usize..6, 0_u8..8, 0..=WHOLE), 1..40),
    ) {
        let mut held = set(&[]);
        let mut flags = FlagSet::of(&held).unwrap();
        for (at, kind, weight) in steps {
            let mut next = held.clone();
            let name = ["a", "b", "c", "d", "e", "f"][at];
            if kind > 5 {
                next.flags.remove(name);
            } else {
                next.flags.insert(key(name), some_flag(kind, weight));
            }
            let whole = FlagSet::of(&next);
            let step = flags.after(&held, &next);
            prop_assert_eq!(step.is_ok(), whole.is_ok());
            if let (Ok(step), Ok(whole)) = (step, whole) {
                let prints = |flags: &FlagSet| -> Vec<(String, u64)> {
                    flags.flags().iter().map(|one| (one.key().to_owned(), one.print())).collect()
                };
                prop_assert_eq!(prints(&step), prints(&whole));
                prop_assert_eq!(step.nodes, whole.nodes);
                for flag in whole.flags() {
                    prop_assert_eq!(value(&step, flag.key()), value(&whole, flag.key()));
                }
                (held, flags) = (next, step);
            }
        }
    }

    #[test]
    fn pieces_make_the_portable_document(
        kinds in prop::collection::vec((0_u8..6, 0..=WHOLE), 1..6),
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let all = kinds.iter().zip(names).map(|((kind, weight), name)| (key(name), some_flag(*kind, *weight)));
        let set = SetDefinition { flags: all.collect(), ..SetDefinition::new("production") };
        let Ok(whole) = compile(&set, Form::Portable) else { return Ok(()) };
        let mut portable = Portable::of(&set);
        let pieces = names.into_iter().filter_map(|name| {
            Some((name, portable.flag(name).unwrap()?.to_string()))
        });
        let pieces: Vec<_> = pieces.collect();
        let text = portable.document(pieces.iter().map(|(key, text)| (*key, text.as_str())));
        prop_assert_eq!(text, whole.document.to_string());
    }
}
