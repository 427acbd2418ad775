use super::*;
use crate::flags::Compiled;
use serin_edge::Ended;
use serin_flags::{
    Context, Definition, Goal, Judged, Kind, PathTest, Release, SetDefinition, WHOLE,
};
use std::sync::Arc;

const SERVICE: &str = "flag:production:a";
/// Windows of 10 s begin at these seconds.
const START_MS: u64 = 6_000_000;

fn sets(n: u64, reported: bool) -> Sets {
    let goal = Goal { method: None, path: PathTest::Exact("/paid".into()) };
    let judged = Judged {
        service: SERVICE.into(),
        carrier: "worker".into(),
        on: "on@0b".into(),
        off: "off@0a".into(),
        window_s: 10,
        goal: Some(goal),
        reported,
    };
    let release = Release::new("a", "on", "off").at(WHOLE / 2);
    let release = Release { generation: format!("1.{n}"), judged: Some(judged), ..release };
    let flag = Definition { release: Some(release), ..Definition::boolean(Kind::Release, "shop") };
    let mut set = SetDefinition::new("production");
    set.flags.insert("a".parse().unwrap(), flag);
    let flags = Arc::new(serin_flags::FlagSet::of(&set).unwrap());
    Sets::from([("production".to_owned(), Compiled { definition: Arc::new(set), flags })])
}

#[derive(Default)]
struct Rig {
    sessions: Sessions,
    reported: Reported,
    sets: Sets,
}

/// An outcome without anything special.
#[derive(Clone, Copy)]
struct Word<'a> {
    arm: Arm,
    drawn: bool,
    ended: Ended,
    id: Option<&'a str>,
    age_ms: u64,
}

const GOOD: Word<'_> = Word {
    arm: Arm::Treatment,
    drawn: true,
    ended: Ended { failed: false, took_us: Some(1_000), reached: false },
    id: None,
    age_ms: 0,
};

impl Rig {
    fn new() -> Self {
        let mut rig = Self::default();
        rig.adopt(sets(1, true));
        rig
    }

    fn adopt(&mut self, sets: Sets) {
        self.reported.adopt(&sets, &self.sessions, START_MS);
        self.sets = sets;
    }

    fn say(&self, user: &str, word: Word<'_>, now_ms: u64) -> Taken {
        let mut context = Context::new();
        context.set_targeting_key(user);
        let flag = &self.sets["production"].definition.flags["a"];
        let watched = watched_one("a", flag).unwrap();
        let outcome = serin_edge::Outcome {
            set: "production",
            flag: "a",
            arm: word.arm,
            drawn: word.drawn,
            context: &context,
            ended: word.ended,
            id: word.id.map(str::as_bytes),
            age_ms: word.age_ms,
        };
        self.reported.count(&watched, &outcome, now_ms)
    }

    fn counters(&self, now_ms: u64) -> Vec<ServiceCounters> {
        let mut counters = Counters { closed_through_s: u64::MAX, ..Counters::default() };
        self.reported.report(now_ms, &mut counters);
        self.sessions.report(now_ms, &mut counters);
        counters.services
    }

    /// Users, errors, goals and those with a latency, of both arms, when all windows are closed.
    fn judged(&self) -> [[u64; 4]; 2] {
        let all = self.counters(START_MS + 600_000);
        let of = |arm: &ArmCounters| {
            let judged = &arm.judged;
            assert_eq!(arm.sessions_assigned, judged.n, "who is in the sample has an outcome");
            let timed = judged.latency.iter().map(|(_, n)| n).sum();
            [judged.n, judged.errors, judged.goals, timed]
        };
        let arms = &all.last().unwrap().arms;
        [of(&arms[0]), of(&arms[1])]
    }
}

#[test]
fn users_count_once_in_a_window_by_how_it_ended() {
    let rig = Rig::new();
    let control = Word { arm: Arm::Control, ..GOOD };
    let failed = Ended { failed: true, ..GOOD.ended };
    let ended = |took_us, reached| Ended { failed: false, took_us, reached };
    for (user, word) in [
        ("u1", GOOD),
        ("u1", GOOD),
        ("u2", Word { ended: failed, ..GOOD }),
        ("u2", GOOD),
        ("u3", control),
        ("u4", Word { ended: ended(None, true), ..control }),
        ("u5", Word { ended: ended(Some(7), true), ..control }),
        ("u6", Word { ended: ended(None, false), ..control }),
        ("u7", Word { ended: Ended { reached: true, ..failed }, ..control }),
    ] {
        assert_eq!(rig.say(user, word, START_MS), Taken::Counted);
    }
    assert_eq!(rig.judged(), [[2, 1, 0, 1], [5, 1, 2, 2]]);
    rig.say("u1", GOOD, START_MS + 700_000);
    let total: u64 = rig.counters(START_MS + 720_000)[0].arms.iter().map(|arm| arm.assigned).sum();
    assert_eq!(total, 10);
}

#[test]
fn what_comes_twice_counts_once_also_in_another_window() {
    let rig = Rig::new();
    let word = Word { id: Some("batch 1"), ..GOOD };
    assert_eq!(rig.say("u1", word, START_MS), Taken::Counted);
    for later in [1, 30_000, 299_000] {
        assert_eq!(rig.say("u1", word, START_MS + later), Taken::Repeated, "{later} ms later");
    }
    // Nobody remembers for ever; what is that old is no evidence.
    let late = Word { age_ms: 300_001, ..word };
    assert_eq!(rig.say("u1", late, START_MS + 300_001), Taken::Late);
    assert_eq!(rig.judged()[0], [1, 0, 0, 1]);
}

#[test]
fn an_id_is_known_longer_than_an_outcome_may_be_old() {
    let mut ids = Ids::default();
    assert!(ids.is_new(User(1), 10));
    assert!(ids.is_new(User(2), 10 + IDS_MS - 1));
    for n in 100..100 + MAX_IDS as u64 {
        ids.is_new(User(n), 10 + IDS_MS);
    }
    assert!(!ids.is_new(User(2), 10 + IDS_MS), "the newest {MAX_IDS} are known");
    assert!(!ids.is_new(User(2), 10 + IDS_MS + MAX_AGE_MS), "and all of the last minutes");
    assert!(ids.now.len() + ids.before.len() <= 2 * MAX_IDS);
}

#[test]
fn another_variant_than_the_drawn_one_is_no_evidence_and_is_seen() {
    let rig = Rig::new();
    rig.say("u1", GOOD, START_MS);
    let other = Word { arm: Arm::Control, drawn: false, ..GOOD };
    assert_eq!(rig.say("u1", other, START_MS), Taken::Mismatched);
    assert_eq!(rig.say("u2", other, START_MS), Taken::Mismatched);
    assert_eq!(rig.judged(), [[1, 0, 0, 1], [0, 0, 0, 0]]);
    assert_eq!(rig.counters(START_MS)[0].crossed, 1, "u1 was seen with both");
}

#[test]
fn only_a_release_that_asks_for_it_is_judged_by_reports() {
    let mut rig = Rig::default();
    rig.adopt(sets(1, false));
    assert_eq!(rig.say("u1", GOOD, START_MS), Taken::NotReported);
    assert!(rig.counters(START_MS).is_empty());
    rig.adopt(sets(2, true));
    assert_eq!(rig.counters(START_MS)[0].arms.len(), 2, "known before the first outcome");
    assert_eq!(rig.say("u1", GOOD, START_MS), Taken::Counted);
    rig.adopt(sets(3, true));
    rig.say("u1", GOOD, START_MS);
    let all = rig.counters(START_MS);
    let generations: Vec<_> = all.iter().map(|one| one.generation.n).collect();
    assert_eq!(generations, [2, 3]);
    rig.adopt(Sets::new());
    assert_eq!(rig.counters(START_MS + 59_000).len(), 2, "the last counts can be read");
    assert!(rig.counters(START_MS + 60_000).is_empty());
}
