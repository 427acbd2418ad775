use super::*;

fn named(flag: &str, variants: &[&str]) -> Named {
    let outcomes: Vec<_> =
        variants.iter().map(|name| ((*name).into(), "STATIC", (*name).into())).collect();
    let cells = Cells::new(outcomes.len());
    Named { set: "s".into(), flag: flag.into(), strategy: "all".into(), outcomes, cells }
}

fn counts(tally: &Tally) -> Vec<(String, String, Protocol, u64)> {
    let all = tally.read().evaluations.into_iter();
    all.map(|one| (one.answer.flag, one.answer.variant, one.answer.protocol, one.count)).collect()
}

#[test]
fn counts_go_on_when_a_flag_changes_and_changes_back() {
    let tally = Tally::default();
    let first = tally.named(named("a", &["on", "off"]));
    first.cells.count(0, Protocol::Ofrep);
    first.cells.count(1, Protocol::Flagd);
    let again = tally.named(named("a", &["on", "off"]));
    again.cells.count(0, Protocol::Ofrep);
    drop((first, again));
    let other = tally.named(named("a", &["on", "off", "blue"]));
    tally.retire();
    other.cells.count(0, Protocol::Ofrep);
    let wanted = [
        ("a".into(), "off".into(), Protocol::Flagd, 1),
        ("a".into(), "on".into(), Protocol::Ofrep, 3),
    ];
    assert_eq!(counts(&tally), wanted);
}

#[test]
fn what_clients_make_up_takes_no_more_than_its_room() {
    let tally = Tally::default();
    for n in 0..2 * MAX_UNKNOWN {
        tally.unknown("s", &format!("k{n}"), 1);
    }
    tally.unknown("s", "k0", 5);
    tally.unknown("s", &"x".repeat(MAX_NAME + 1), 1);
    let read = tally.read();
    assert_eq!((read.unknown.len(), read.unknown[0].count), (MAX_UNKNOWN, 6));
    assert_eq!(read.forgotten, MAX_UNKNOWN as u64 + 1);
    let answer = |n: usize| Answer {
        set: "s".into(),
        flag: "a".into(),
        variant: format!("v{n}"),
        reason: "UNKNOWN".into(),
        protocol: Protocol::Otlp,
        result: String::new(),
        strategy: String::new(),
    };
    (0..=MAX_REPORTED).for_each(|n| tally.report(answer(n), u64::MAX));
    tally.report(answer(0), u64::MAX);
    assert_eq!(tally.read().evaluations.len(), MAX_REPORTED);
    assert_eq!(tally.read().forgotten, u64::MAX);
}
