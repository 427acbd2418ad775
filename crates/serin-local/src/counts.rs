//! The data plane's counters in the engine's words.

use serin_core::{ArmCounts, CountKey, Counts, Generation, RevisionId, ServiceName, Timestamp};
use serin_proxy::wire;
use serin_stats::Histogram;
use std::collections::BTreeMap;

/// The evidence in `counters`, by service and generation. Names that are none of ours are left out.
pub fn counts_of(counters: &wire::Counters) -> Vec<(ServiceName, Vec<Counts>)> {
    counts_where(counters, |_| true)
}

/// The evidence of those services that are wanted.
pub fn counts_where(
    counters: &wire::Counters,
    wanted: impl Fn(&ServiceName) -> bool,
) -> Vec<(ServiceName, Vec<Counts>)> {
    let mut by_service: BTreeMap<ServiceName, Vec<Counts>> = BTreeMap::new();
    for service in &counters.services {
        let name = service.service.parse().ok().filter(&wanted);
        if let Some(name) = name {
            by_service.entry(name).or_default().push(counts(counters, service));
        }
    }
    by_service.into_iter().collect()
}

fn counts(counters: &wire::Counters, service: &wire::ServiceCounters) -> Counts {
    let of_flag = service.service.parse().is_ok_and(|name: ServiceName| name.as_flag().is_some());
    let users = |arm: &wire::ArmCounters| if of_flag { arm.sessions_assigned } else { 0 };
    let counted = |arm: &wire::ArmCounters| ArmCounts { users: users(arm), ..arm_counts(arm) };
    let arm = |arm: &wire::ArmCounters| Some((arm.revision.parse().ok()?, counted(arm)));
    let (fresh, own): (Vec<_>, Vec<_>) =
        service.arms.iter().partition(|arm| arm.role == wire::Role::Baseline);
    Counts {
        key: CountKey { epoch: counters.epoch, seq: counters.seq },
        generation: Generation { epoch: service.generation.epoch, n: service.generation.n },
        closed_through: match service.closed_through_s {
            0 => counters.closed_through_s as i64,
            second => second as i64,
        },
        arms: own.into_iter().filter_map(arm).collect::<BTreeMap<RevisionId, _>>(),
        fresh: fresh.first().map(|arm| arm_counts(arm)),
        crossed: service.crossed,
    }
}

fn arm_counts(arm: &wire::ArmCounters) -> ArmCounts {
    ArmCounts {
        goals: arm.judged.goals,
        led: arm.led,
        n: arm.judged.n,
        errors: arm.judged.errors,
        unfinished: arm.judged.unfinished,
        latency: arm.judged.latency.iter().copied().collect::<Histogram>(),
        assigned: arm.assigned,
        last_assigned_at: (arm.last_assigned_ms > 0)
            .then_some(Timestamp(arm.last_assigned_ms as i64)),
        aborted: arm.judged.aborted,
        sessions: arm.judged.sessions,
        split: arm.split.clone(),
        users: 0,
        instances: arm.instances.iter().map(|(name, n, k)| (name.clone(), (*n, *k))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_taken_out_of_the_counters() {
        let text = r#"{"epoch":7,"seq":9,"now_ms":1,"closed_through_s":55,"services":[
            {"service":"shop","generation":{"epoch":2,"n":3},"arms":[
              {"revision":"v1@aa","role":"stable","weight_asked":95000,"assigned":120,
               "first_assigned_ms":1,"last_assigned_ms":4000,
               "judged":{"n":100,"errors":2,"unfinished":1,"aborted":0,"latency":[[300,98]]},
               "totals":{"requests":0,"responses_5xx":0,"timeouts":0,"connect_failures":0,
                 "resets":0,"client_aborts":0,"retries":0,"fallback":0,"upgrades":0,"latency":[]}}]},
            {"service":"NOT OURS","generation":{"epoch":0,"n":0},"arms":[]}],
            "instances":[],"dropped":[]}"#;
        let counters: wire::Counters = serde_json::from_str(text).unwrap();
        let all = counts_of(&counters);
        assert_eq!(all.len(), 1);
        let (name, counts) = &all[0];
        assert_eq!((name.as_str(), counts[0].closed_through), ("shop", 55));
        assert_eq!(counts[0].key, CountKey { epoch: 7, seq: 9 });
        assert_eq!(counts[0].generation, Generation { epoch: 2, n: 3 });
        let arm = &counts[0].arms[&"v1@aa".parse().unwrap()];
        assert_eq!((arm.n, arm.errors, arm.unfinished, arm.assigned), (100, 2, 1, 120));
        assert_eq!(arm.last_assigned_at, Some(Timestamp(4000)));
        assert_eq!(serde_json::to_string(&arm.latency).unwrap(), "[[300,98]]");
    }

    #[test]
    fn the_baseline_is_told_beside_the_arms_and_users_as_what_they_are() {
        let totals = r#""totals":{"requests":0,"responses_5xx":0,"timeouts":0,
            "connect_failures":0,"resets":0,"client_aborts":0,"retries":0,"fallback":0,
            "upgrades":0,"latency":[]}"#;
        let arm = |role: &str, n: u64| {
            format!(
                r#"{{"revision":"v1@aa","role":"{role}","weight_asked":1,"assigned":9,
                "first_assigned_ms":1,"last_assigned_ms":2,"sessions_assigned":7,
                "split":[[1,0],[2,1]],"instances":[["shop-v1-aa-1",5,2]],
                "judged":{{"n":{n},"errors":1,"unfinished":0,"aborted":4,"latency":[],
                "sessions":true}},{totals}}}"#
            )
        };
        let text = format!(
            r#"{{"epoch":7,"seq":9,"now_ms":1,"closed_through_s":55,"services":[
            {{"service":"shop","generation":{{"epoch":2,"n":3}},"closed_through_s":70,
              "arms":[{},{}]}}],"instances":[],"dropped":[]}}"#,
            arm("baseline", 5),
            arm("stable", 6)
        );
        let counts = counts_of(&serde_json::from_str(&text).unwrap()).remove(0).1.remove(0);
        assert_eq!(counts.closed_through, 70, "the service's own");
        assert_eq!(counts.arms.len(), 1);
        let (stable, fresh) = (&counts.arms[&"v1@aa".parse().unwrap()], counts.fresh.unwrap());
        assert_eq!((stable.n, fresh.n), (6, 5));
        assert_eq!((fresh.aborted, fresh.sessions, fresh.assigned), (4, true, 9));
        assert_eq!(fresh.split, [(1, 0), (2, 1)]);
        assert_eq!(fresh.instances, BTreeMap::from([("shop-v1-aa-1".to_string(), (5, 2))]));
    }
}
