//! Random sets and users. The users' attributes are drawn from the words that the rules ask for, so
//! that rules often fit.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use serin_flags::{
    Anonymous, Bucketing, Clause, Definition, Killed, Kind, Method, Operator, Prerequisite,
    Release, Rule, Scalar, Segment, Serve, SetDefinition, Share, State, Target, Timestamp, Variant,
    Variants, WHOLE,
};

const USERS: [&str; 5] = ["u1", "u2", "ünï", "user-123", "a@example.com"];
const WORDS: [&str; 6] = ["beta", "Beta", "abc", "a", "c", "5"];
const ADDRESSES: [&str; 5] = ["10.1.2.3", "11.1.2.3", "10.9.9.9", "::1", "none"];
const TIMES: [&str; 4] = ["2020-01-01T00:00:00Z", "2027-01-15T08:00:00Z", "2030-01-01", "soon"];
const VERSIONS: [&str; 6] = ["1.0.0", "1.2.0", "1.2.3", "2.0.0", "v1.3", "x"];

/// A set of up to four flags, each needing only flags before it.
pub fn set() -> impl Strategy<Value = SetDefinition> {
    let bucketing = select(vec![Bucketing::V2, Bucketing::V3]);
    (bucketing, vec(segment(), 3), vec(flag(), 1..4), vec(any::<u8>(), 4)).prop_map(
        |(bucketing, segments, flags, needs)| {
            let mut set = SetDefinition { bucketing, ..SetDefinition::new("prod") };
            for (at, mut segment) in segments.into_iter().enumerate() {
                segment.segments.retain(|name| *name < format!("s{at}"));
                set.segments.insert(format!("s{at}"), segment);
            }
            for (at, mut flag) in flags.into_iter().enumerate() {
                if at > 0 && needs[at].is_multiple_of(2) {
                    flag.prerequisites = vec![needed(at - 1, needs[at])];
                }
                set.flags.insert(format!("f{at}").parse().unwrap(), flag);
            }
            set
        },
    )
}

fn needed(below: usize, draw: u8) -> Prerequisite {
    let variants: &[&str] = if draw.is_multiple_of(4) { &["on"] } else { &["on", "off"] };
    let variants = variants.iter().map(|name| (*name).to_owned()).collect();
    Prerequisite { flag: format!("f{below}").parse().unwrap(), variants }
}

fn segment() -> impl Strategy<Value = Segment> {
    let users = || vec(select(&USERS[..]).prop_map(str::to_owned), 0..2);
    let names = vec(select(vec!["s0", "s1"]).prop_map(str::to_owned), 0..2);
    (users(), users(), names, vec(vec(clause(), 0..3), 0..2)).prop_map(
        |(users, excluded, segments, any)| {
            let description = String::new();
            Segment { description, users, excluded, segments, any }
        },
    )
}

fn flag() -> impl Strategy<Value = Definition> {
    let serving = (vec(target(), 0..2), vec(rule(), 0..3), option::of(release()));
    let state =
        prop_oneof![8 => Just(State::On), 1 => Just(State::Off), 1 => Just(State::Disabled)];
    let expiry = prop_oneof![4 => Just(None), 1 => Just(Some(1_799_999_999)), 1 => Just(Some(1_800_000_001))];
    let method = prop_oneof![
        1 => Just(None),
        1 => select(vec![Method::V2, Method::V3, Method::Unleash]).prop_map(Some),
    ];
    let names = (option::of(Just("salt".to_owned())), option::of(Just("orgId".to_owned())));
    let anonymous = prop_oneof![
        2 => Just(Anonymous::Skip),
        1 => Just(Anonymous::Attribute("sessionId".to_owned())),
    ];
    let rest = (option::weighted(0.8, variant()), any::<bool>(), prop::bool::weighted(0.05));
    (serving, state, expiry, method, names, anonymous, rest).prop_map(built)
}

type Serving = (Vec<Target>, Vec<Rule>, Option<Release>);
type Rest = (Option<String>, bool, bool);
type Parts = (
    Serving,
    State,
    Option<i64>,
    Option<Method>,
    (Option<String>, Option<String>),
    Anonymous,
    Rest,
);

fn built(parts: Parts) -> Definition {
    let (serving, state, expiry, bucketing, (salt, bucket_by), anonymous, rest) = parts;
    let (targets, mut rules, release) = serving;
    let release = release.filter(|_| bucketing != Some(Method::Unleash));
    let all = |rule: &Rule| rule.segments.is_empty() && rule.clauses.is_empty();
    if let Some(last) = rules.iter().position(all) {
        rules.truncate(last + usize::from(release.is_none()));
    }
    let (default_variant, boolean, killed) = rest;
    let killed = killed.then(|| Killed { by: "a".into(), at: Timestamp(1), reason: String::new() });
    let expires_at = expiry.map(Timestamp);
    let variants = if boolean { Variants::boolean() } else { texts() };
    Definition {
        variants,
        default_variant,
        state,
        expires_at,
        targets,
        rules,
        release,
        killed,
        salt,
        bucket_by,
        bucketing,
        anonymous,
        ..Definition::boolean(Kind::Release, "")
    }
}

fn texts() -> Variants {
    let variant = |name: &str| Variant { name: name.to_owned(), value: json!(name) };
    Variants(vec![variant("on"), variant("off")])
}

fn variant() -> impl Strategy<Value = String> {
    select(vec!["on", "off"]).prop_map(str::to_owned)
}

fn target() -> impl Strategy<Value = Target> {
    let users = vec(select(&USERS[..]).prop_map(str::to_owned), 0..3);
    (variant(), users).prop_map(|(variant, users)| Target { name: String::new(), variant, users })
}

fn rule() -> impl Strategy<Value = Rule> {
    let segments = prop_oneof![
        2 => Just(Vec::new()),
        1 => vec(select(vec!["s0", "s1", "s2"]).prop_map(str::to_owned), 1..3),
    ];
    (segments, vec(clause(), 0..2), serve()).prop_map(|(segments, clauses, serve)| Rule {
        name: String::new(),
        segments,
        clauses,
        serve,
    })
}

fn serve() -> impl Strategy<Value = Serve> {
    let by = option::of(select(vec!["orgId".to_owned(), "targetingKey".to_owned()]));
    let salt = option::of(Just("other".to_owned()));
    // Multiples of 1 000, because a flag may use Unleash's buckets.
    let percent = prop_oneof![Just(0), Just(100), 1u32..100];
    let split = (percent, variant(), by, salt).prop_map(|(percent, first, by, salt)| {
        let other = if first == "on" { "off" } else { "on" };
        let shares = vec![
            Share { variant: first, weight: percent * 1_000 },
            Share { variant: other.into(), weight: WHOLE - percent * 1_000 },
        ];
        Serve::Split { shares, by, salt }
    });
    prop_oneof![1 => variant().prop_map(Serve::Variant), 3 => split]
}

fn release() -> impl Strategy<Value = Release> {
    let weight = prop_oneof![Just(0), Just(WHOLE / 2), Just(WHOLE), 0..WHOLE];
    let segments = vec(select(vec!["s0", "s1"]).prop_map(str::to_owned), 0..2);
    (weight, segments).prop_map(|(weight, segments)| Release {
        segments,
        ..Release::new("r", "on", "off").at(weight)
    })
}

fn clause() -> impl Strategy<Value = Clause> {
    (asked(), any::<bool>(), any::<bool>()).prop_map(
        |((attribute, operator, values), inverted, fold)| {
            let ignore_case = fold && operator.compares_text() && attribute == "plan";
            Clause { attribute: attribute.to_owned(), operator, values, inverted, ignore_case }
        },
    )
}

type Asked = (&'static str, Operator, Vec<Scalar>);

/// An attribute with a question that suits it.
fn asked() -> impl Strategy<Value = Asked> {
    use Operator as Op;
    let texts = |words: &'static [&'static str]| vec(select(words).prop_map(Scalar::from), 1..3);
    let one = |values: Vec<Scalar>, operator: Op| {
        if operator == Op::Equals { values[..1].to_vec() } else { values }
    };
    let text = vec![Op::Equals, Op::In, Op::Contains, Op::StartsWith, Op::EndsWith];
    let order = vec![Op::LessThan, Op::AtMost, Op::GreaterThan, Op::AtLeast];
    let version = vec![
        Op::VersionEquals,
        Op::VersionLessThan,
        Op::VersionAtMost,
        Op::VersionGreaterThan,
        Op::VersionAtLeast,
        Op::VersionSameMajor,
        Op::VersionSameMinor,
    ];
    let number = select(vec![json!(0), json!(5), json!(-1), json!(17.5)]);
    let number = number.prop_map(|n| Scalar::from_json(&n).unwrap());
    let exact = select(vec![json!(5), json!(true), json!("5"), json!("beta")]);
    let exact = exact.prop_map(|value| Scalar::from_json(&value).unwrap());
    prop_oneof![
        (select(text), texts(&WORDS)).prop_map(move |(op, values)| ("plan", op, one(values, op))),
        exact.prop_map(|value| ("age", Op::Equals, vec![value])),
        (select(order), vec(number, 1..3)).prop_map(|(op, values)| ("age", op, values)),
        (select(version), texts(&VERSIONS[..5])).prop_map(|(op, values)| ("version", op, values)),
        texts(&["^a", "c$"]).prop_map(|values| ("plan", Op::Matches, values)),
        texts(&["10.0.0.0/8", "::1"]).prop_map(|values| ("ip", Op::InNetwork, values)),
        (select(vec![Op::Before, Op::After]), select(vec!["born", "$now"]), texts(&TIMES[..3]))
            .prop_map(|(op, attribute, values)| (attribute, op, values)),
        select(vec!["plan", "orgId"]).prop_map(|attribute| (attribute, Op::Exists, vec![])),
    ]
}

/// What is known about a user: any attribute may be missing, empty or of another type.
pub fn user() -> impl Strategy<Value = Value> {
    let words = |words: &[&str]| select(words.iter().map(|w| json!(w)).collect::<Vec<_>>());
    let odd = || select(vec![json!(null), json!(""), json!(true)]);
    let id = prop_oneof!["[a-z0-9-]{1,12}".prop_map(Value::from), words(&USERS), Just(json!(""))];
    let age = select(vec![
        json!(5),
        json!(0),
        json!(17.5),
        json!(30),
        json!("5"),
        json!("x"),
        json!("-1"),
    ]);
    let tags = Just(json!(["beta", "x"]));
    let plan = prop_oneof![4 => words(&WORDS), 1 => tags, 1 => odd(), 1 => Just(json!(5))];
    let org = prop_oneof![4 => (0..1_000).prop_map(Value::from), 1 => odd(), 1 => words(&["o1"])];
    let born = prop_oneof![4 => words(&TIMES), 1 => Just(json!(1_000_000_000)), 1 => odd()];
    let attributes = (
        option::weighted(0.9, id),
        option::weighted(0.8, plan),
        option::weighted(0.8, prop_oneof![5 => age, 1 => odd()]),
        option::weighted(0.8, prop_oneof![5 => words(&VERSIONS), 1 => odd()]),
        option::weighted(0.8, prop_oneof![5 => words(&ADDRESSES), 1 => odd()]),
        option::weighted(0.8, org),
        option::weighted(0.8, born),
        option::of(words(&["session-1", "session-2"])),
    );
    attributes.prop_map(|(id, plan, age, version, ip, org, born, session)| {
        let all = [
            ("targetingKey", id),
            ("plan", plan),
            ("age", age),
            ("version", version),
            ("ip", ip),
            ("orgId", org),
            ("born", born),
            ("sessionId", session),
        ];
        let known = all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(known.collect::<Map<_, _>>())
    })
}
