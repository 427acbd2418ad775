//! Flag keys in one text: where known ones stand, and which unknown ones code asks for.

use std::collections::BTreeSet;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Byte of the line, from 1.
    pub column: u32,
}

/// What a text says about flags, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Known keys.
    pub known: Vec<(Place, String)>,
    /// Keys that code asks for and nobody knows, with the call.
    pub unknown: Vec<(Place, String, String)>,
}

/// Methods of flag SDKs that take the key first, in lower case without `_`.
const CALLS: [&str; 24] = [
    "getbooleanvalue",
    "getbooleandetails",
    "getstringvalue",
    "getstringdetails",
    "getnumbervalue",
    "getnumberdetails",
    "getintegervalue",
    "getintegerdetails",
    "getfloatvalue",
    "getfloatdetails",
    "getobjectvalue",
    "getobjectdetails",
    "booleanvalue",
    "stringvalue",
    "floatvalue",
    "intvalue",
    "objectvalue",
    "boolvariation",
    "stringvariation",
    "isfeatureenabled",
    "usebooleanflagvalue",
    "usestringflagvalue",
    "usenumberflagvalue",
    "useobjectflagvalue",
];

/// Methods that other libraries have too: they count where the receiver speaks of flags.
const COMMON_CALLS: [&str; 6] =
    ["isenabled", "getvariant", "variation", "ison", "isoff", "getfeaturevalue"];

/// What a receiver of [`COMMON_CALLS`] is called.
const RECEIVERS: [&str; 5] = ["flag", "feature", "toggle", "unleash", "growthbook"];

/// Longest key, in bytes.
const KEY_MAX: usize = 200;
/// How far before a key its call may begin, in bytes.
const CALL_MAX: usize = 120;

/// Looks through `text` for `keys`.
pub fn look(text: &str, keys: &BTreeSet<String>) -> Found {
    let mut found = Found::default();
    for (index, line) in text.lines().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        look_at_line(line, number, keys, &mut found);
    }
    found
}

fn look_at_line(line: &str, number: u32, keys: &BTreeSet<String>, found: &mut Found) {
    let place =
        |at: usize| Place { line: number, column: u32::try_from(at + 1).unwrap_or(u32::MAX) };
    for (start, run) in runs(line) {
        for (at, key) in known_in(run, keys) {
            found.known.push((place(start + at), key.to_owned()));
        }
        if let Some(call) = asked(line, start, run)
            && !keys.contains(run)
        {
            found.unknown.push((place(start), run.to_owned(), call));
        }
    }
}

/// Whether a byte may be in a key.
fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:-".contains(&byte)
}

/// Longest runs of bytes that may be in a key, each with its place.
fn runs(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = line.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|byte| is_key(*byte))?;
        let len = bytes[start..].iter().take_while(|byte| is_key(**byte)).count();
        at = start + len;
        Some((start, &line[start..at]))
    })
}

/// Whether a key may begin or end beside this byte: `flags.new_checkout` names `new_checkout`,
/// `new_checkout_v2` does not.
fn parts(byte: u8) -> bool {
    b".:".contains(&byte)
}

/// Known keys in a run: the longest one from each place where one may begin.
fn known_in<'r>(run: &'r str, keys: &BTreeSet<String>) -> Vec<(usize, &'r str)> {
    let bytes = run.as_bytes();
    let begins = |at: usize| at == 0 || parts(bytes[at - 1]);
    let ends = |at: usize| at == bytes.len() || parts(bytes[at]);
    let mut found = Vec::new();
    let mut from = 0;
    while from < bytes.len() {
        let most = bytes.len().min(from + KEY_MAX);
        let longest = (from + 1..=most).rev().filter(|to| begins(from) && ends(*to));
        match longest.map(|to| &run[from..to]).find(|word| keys.contains(*word)) {
            Some(key) => {
                found.push((from, key));
                from += key.len();
            }
            None => from += 1,
        }
    }
    found
}

/// The call that the key at `start` is the first text of, if it is one that asks for a flag.
fn asked(line: &str, start: usize, run: &str) -> Option<String> {
    let quote = start.checked_sub(1)?;
    let mark = line.as_bytes()[quote];
    let closed = line.as_bytes().get(start + run.len()) == Some(&mark);
    if !b"\"'`".contains(&mark) || !closed || run.len() > KEY_MAX {
        return None;
    }
    let floor = (quote.saturating_sub(CALL_MAX)..=quote).find(|at| line.is_char_boundary(*at))?;
    let before = &line[floor..quote];
    let open = before.rfind('(')?;
    let between = &before[open + 1..];
    // Only names may stand between: Go passes a context first.
    let plain = |c: char| c.is_alphanumeric() || "_., ".contains(c);
    if !between.chars().all(plain) {
        return None;
    }
    let call = before[..open].trim_end();
    let from = call.rfind(|c: char| !(c.is_alphanumeric() || "_.".contains(c)));
    let call =
        &call[from.map_or(0, |at| at + call[at..].chars().next().map_or(1, char::len_utf8))..];
    is_call(call).then(|| call.to_owned())
}

fn is_call(call: &str) -> bool {
    let (receiver, method) = call.rsplit_once('.').unwrap_or(("", call));
    let plain = |text: &str| text.to_lowercase().replace('_', "");
    let method = plain(method);
    let flags = || RECEIVERS.iter().any(|word| plain(receiver).contains(word));
    CALLS.contains(&&*method) || (COMMON_CALLS.contains(&&*method) && flags())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn known(text: &str, names: &[&str]) -> Vec<String> {
        look(text, &keys(names)).known.into_iter().map(|(_, key)| key).collect()
    }

    #[test]
    fn keys_are_found_whole() {
        let names = ["new_checkout", "new-search", "shop.v2"];
        for text in [
            r#"if client.get_boolean_value("new_checkout", False):"#,
            "flags.new_checkout && x",
            "FLAG: new_checkout",
            "header X:new_checkout",
        ] {
            assert_eq!(known(text, &names), ["new_checkout"], "{text}");
        }
        for text in ["new_checkout_v2", "my-new-search", "new-searches", "anew_checkout", ""] {
            assert_eq!(known(text, &names), [""; 0], "{text}");
        }
        assert_eq!(known("a.shop.v2.b", &names), ["shop.v2"]);
        assert_eq!(known("'new-search','new_checkout'", &names), ["new-search", "new_checkout"]);
    }

    #[test]
    fn the_longest_key_counts() {
        assert_eq!(known("shop.v2", &["shop", "shop.v2"]), ["shop.v2"]);
        assert_eq!(known("shop.v3", &["shop", "shop.v2"]), ["shop"]);
    }

    #[test]
    fn places_are_lines_and_bytes_from_1() {
        let found = look("\n  ä 'a'", &keys(&["a"]));
        assert_eq!(found.known, [(Place { line: 2, column: 7 }, "a".to_owned())]);
    }

    #[test]
    fn code_that_asks_for_an_unknown_key_is_told() {
        let cases = [
            (r#"client.getBooleanValue("gone", false)"#, Some("client.getBooleanValue")),
            ("client.get_boolean_value('gone', False)", Some("client.get_boolean_value")),
            (r#"client.BooleanValue(ctx, "gone", false, ec)"#, Some("client.BooleanValue")),
            (r#"const {value} = useBooleanFlagValue("gone", false)"#, Some("useBooleanFlagValue")),
            (r#"unleash.isEnabled("gone")"#, Some("unleash.isEnabled")),
            (r#"logger.isEnabled("gone")"#, None),
            (r#"getBooleanValue(name + "gone")"#, None),
            (r#"getBooleanValue("a", "gone")"#, None),
            (r#"getBooleanValue("gone"#, None),
            (r#"ä("gone")"#, None),
        ];
        for (text, call) in cases {
            let found = look(text, &keys(&["a"]));
            let calls: Vec<_> =
                found.unknown.iter().map(|(_, key, call)| (&**key, &**call)).collect();
            assert_eq!(
                calls,
                call.map(|call| ("gone", call)).into_iter().collect::<Vec<_>>(),
                "{text}"
            );
        }
        assert_eq!(look(r#"x.getStringValue("a", "")"#, &keys(&["a"])).unknown, []);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,60}|[a-z_.('\"ä]{0,40}") {
            look(&text, &keys(&["a", "a.b", "_"]));
        }

        #[test]
        fn a_key_between_quotes_is_always_found(key in "[a-zA-Z0-9_.:-]{1,30}", before in "[ a-z=(]{0,10}") {
            let text = format!("{before}\"{key}\"");
            prop_assert_eq!(known(&text, &[&key]), vec![key]);
        }
    }
}
