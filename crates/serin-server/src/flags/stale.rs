//! Which flags have had their time. Three witnesses are asked: what is configured, what clients
//! asked for, and, if somebody looked, what the code mentions. Only where all agree a flag is ready
//! to be removed.

use super::held::{Mark, one_for_all, outcomes};
use super::used::Used;
use serde::{Deserialize, Serialize};
use serin_flags::{Definition, FlagType, Timestamp};

/// What is wrong with a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its end has passed.
    Expired,
    /// It lives longer than flags of its kind should.
    PastLifetime,
    /// Everybody has been given the same for a while.
    OneSided,
    /// Only true was answered for a while.
    AlwaysTrue,
    /// Only false was answered for a while.
    AlwaysFalse,
    /// Only one variant was answered for a while.
    AlwaysOne,
    /// No client has ever asked for it.
    NeverEvaluated,
    /// No client has asked for it for a while.
    NotEvaluated,
    /// No code mentions it.
    NoReferences,
}

/// What can be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// Its code: configuration and clients agree on one variant.
    RemoveCode,
    /// The flag: nobody asks, no code mentions it.
    Archive,
}

/// What is known of a flag beside its definition.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its mark.
    pub mark: &'a Mark,
    /// What clients asked for.
    pub used: Option<&'a Used>,
    /// Mentions in code; none when nobody looked.
    pub references: Option<u64>,
    /// The present.
    pub now: Timestamp,
    /// How many days are a while.
    pub days: u32,
}

/// What was found out about a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What is wrong; nothing: it is alive.
    pub verdicts: Vec<Verdict>,
    /// What can be done now; none when the witnesses do not agree.
    pub ready: Option<Ready>,
    /// The variant that stays in the code.
    pub survivor: Option<String>,
}

/// Asks the witnesses. Flags that are to stay for ever, and archived ones, are never stale.
pub fn look(flag: &Definition, known: Known<'_>) -> Found {
    let permanent = flag.kind.lifetime_days().is_none() || flag.archived_at.is_some();
    if permanent {
        return Found { verdicts: vec![], ready: None, survivor: None };
    }
    let verdicts: Vec<_> =
        config(flag, known).into_iter().chain(clients(flag, known)).chain(code(known)).collect();
    let survivor = survivor(flag, known);
    let ready = survivor.as_ref().and_then(|_| ready(known));
    Found { verdicts, ready, survivor }
}

/// The start of the time that counts.
fn since(known: Known<'_>) -> Timestamp {
    Timestamp(known.now.0 - i64::from(known.days) * 86_400)
}

fn config(flag: &Definition, known: Known<'_>) -> Vec<Verdict> {
    let made = flag.created_at.unwrap_or(known.mark.changed.at);
    let lifetime = flag.kind.lifetime_days();
    let expired = flag.expires_at.is_some_and(|end| end <= known.now);
    let old = lifetime.is_some_and(|days| made.plus_days(days) <= known.now);
    let one_sided = settled(known);
    [(expired, Verdict::Expired), (old, Verdict::PastLifetime), (one_sided, Verdict::OneSided)]
        .into_iter()
        .filter_map(|(holds, verdict)| holds.then_some(verdict))
        .collect()
}

/// Whether everybody has been given the same for a while.
fn settled(known: Known<'_>) -> bool {
    known.mark.constant.as_ref().is_some_and(|constant| constant.since <= since(known))
}

fn clients(flag: &Definition, known: Known<'_>) -> Option<Verdict> {
    let made = flag.created_at.unwrap_or(known.mark.changed.at);
    let (young, start) = (made > since(known), since(known));
    let Some(used) = known.used else { return (!young).then_some(Verdict::NeverEvaluated) };
    if used.last().is_none_or(|last| last < start) {
        return (!young).then_some(Verdict::NotEvaluated);
    }
    // What was seen for a shorter time says nothing about always.
    let [only] = used.since(start)[..] else { return None };
    if used.first > start {
        return None;
    }
    let boolean =
        flag.variants.0.iter().all(|one| FlagType::of(&one.value) == Some(FlagType::Boolean));
    Some(match flag.variants.get(only).and_then(serde_json::Value::as_bool) {
        Some(true) if boolean => Verdict::AlwaysTrue,
        Some(false) if boolean => Verdict::AlwaysFalse,
        _ => Verdict::AlwaysOne,
    })
}

fn code(known: Known<'_>) -> Option<Verdict> {
    (known.references == Some(0)).then_some(Verdict::NoReferences)
}

/// The one variant that configuration gives to everybody for a while, and that no client's answer
/// since speaks against.
fn survivor(flag: &Definition, known: Known<'_>) -> Option<String> {
    let one = one_for_all(flag)?.variant()?;
    let lately = known.used.map(|used| used.since(since(known))).unwrap_or_default();
    let agreed = lately.iter().all(|variant| *variant == one);
    (settled(known) && agreed && outcomes(flag).is_some()).then(|| one.to_owned())
}

fn ready(known: Known<'_>) -> Option<Ready> {
    let asked = known.used.and_then(Used::last).is_some_and(|last| last >= since(known));
    match (known.references?, asked) {
        (0, false) => Some(Ready::Archive),
        // Somebody asks whose code is elsewhere.
        (0, true) => None,
        _ => Some(Ready::RemoveCode),
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::{Constant, Stamp};
    use super::super::used::Answered;
    use super::*;
    use serin_flags::Kind;
    use std::collections::BTreeMap;

    const DAY: i64 = 86_400;
    const NOW: Timestamp = Timestamp(100 * DAY);

    fn on() -> Definition {
        let created_at = Some(Timestamp(70 * DAY));
        let default_variant = Some("on".into());
        Definition { created_at, default_variant, ..Definition::boolean(Kind::Release, "shop") }
    }

    fn mark(since: i64) -> Mark {
        let at = Timestamp(since * DAY);
        let changed = Stamp {
            n: 1,
            at,
            by: "ada".into(),
            reason: None,
            verb: "set".into(),
            approved: vec![],
            request: None,
        };
        Mark { changed, constant: Some(Constant { variant: Some("on".into()), since: at }) }
    }

    fn used(first: i64, variants: &[(&str, i64)]) -> Used {
        let answered = |(name, last): &(&str, i64)| {
            ((*name).to_owned(), Answered { count: 9, last: Timestamp(last * DAY) })
        };
        let last = variants.iter().map(|(_, last)| Timestamp(last * DAY)).max();
        let variants: BTreeMap<_, _> = variants.iter().map(answered).collect();
        Used { first: Timestamp(first * DAY), asked: last, sent_along: None, variants, errors: 0 }
    }

    fn found(flag: &Definition, since: i64, used: Option<&Used>, references: Option<u64>) -> Found {
        look(flag, Known { mark: &mark(since), used, references, now: NOW, days: 14 })
    }

    #[test]
    fn a_flag_is_ready_only_when_all_witnesses_agree() {
        let (asked, silent) = (used(71, &[("on", 99)]), used(71, &[("on", 80)]));
        let mixed = used(71, &[("on", 99), ("off", 95)]);
        let cases = [
            (80, Some(&asked), Some(3), Some(Ready::RemoveCode)),
            (80, Some(&silent), Some(3), Some(Ready::RemoveCode)),
            (80, Some(&silent), Some(0), Some(Ready::Archive)),
            (80, None, Some(0), Some(Ready::Archive)),
            // Nobody looked at the code.
            (80, Some(&asked), None, None),
            // Somebody still asks, from code that was not looked at.
            (80, Some(&asked), Some(0), None),
            // Clients still get the other one: a cache, another set.
            (80, Some(&mixed), Some(3), None),
            // Everybody has it only since yesterday.
            (99, Some(&asked), Some(3), None),
        ];
        for (since, used, references, wanted) in cases {
            let found = found(&on(), since, used, references);
            assert_eq!(found.ready, wanted, "{since} {used:?} {references:?}: {found:?}");
        }
    }

    #[test]
    fn what_clients_get_is_told() {
        let verdicts = |used: Option<&Used>| found(&on(), 99, used, None).verdicts;
        assert_eq!(verdicts(None), [Verdict::NeverEvaluated]);
        assert_eq!(verdicts(Some(&used(71, &[("on", 80)]))), [Verdict::NotEvaluated]);
        assert_eq!(verdicts(Some(&used(71, &[("on", 99)]))), [Verdict::AlwaysTrue]);
        assert_eq!(verdicts(Some(&used(71, &[("off", 99)]))), [Verdict::AlwaysFalse]);
        assert_eq!(verdicts(Some(&used(71, &[("", 99)]))), [Verdict::AlwaysOne]);
        // Watched for too short a time to say always.
        assert_eq!(verdicts(Some(&used(95, &[("on", 99)]))), []);
        assert_eq!(verdicts(Some(&used(71, &[("on", 99), ("off", 90)]))), []);
    }

    #[test]
    fn ends_and_lifetimes_are_told_and_permanent_flags_left_alone() {
        let mut flag = on();
        flag.created_at = Some(Timestamp(10 * DAY));
        flag.expires_at = Some(Timestamp(90 * DAY));
        let all = found(&flag, 80, None, Some(0)).verdicts;
        let wanted = [
            Verdict::Expired,
            Verdict::PastLifetime,
            Verdict::OneSided,
            Verdict::NeverEvaluated,
            Verdict::NoReferences,
        ];
        assert_eq!(all, wanted);
        flag.kind = Kind::KillSwitch;
        assert_eq!(found(&flag, 80, None, Some(0)).verdicts, []);
    }
}
