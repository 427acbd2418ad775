#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use super::*;
use serin_core::{Amount, Millis, RolloutKind, Service, Step, Weight, outlook};

/// A service of four instances whose schedule has these steps.
fn spec(capacity: Capacity, steps: Vec<Step>) -> ServiceSpec {
    let file = "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: { name: shop }
spec:
  replicas: 4
  run: { command: [\"/bin/sh\", \"$(PORT)\"] }
  traffic: { listen: \"127.0.0.1:8080\" }
";
    let base_dir = std::path::Path::new("/srv");
    let source = serin_spec::Source { name: "serin.yaml", text: file, base_dir };
    let spec = serin_spec::load(&source).unwrap().services.remove(0).value;
    let schedule = Schedule { capacity, ..Schedule::of("test", steps) };
    ServiceSpec { schedule: schedule.into(), instance_hour_cost: Some(2.0), ..spec }
}

fn half_and_all() -> Vec<Step> {
    let hour = Step::Pause(Some(Millis::secs(3600)));
    vec![Step::SetWeight(Weight::HALF), hour, Step::SetWeight(Weight::ALL)]
}

fn foreseen(spec: &ServiceSpec) -> Foresight {
    let mut service = Service::new(spec.clone());
    service.stable = Some("v1@aa".parse().unwrap());
    foresee(spec, &outlook(&service, &spec.schedule, RolloutKind::Release), &[])
}

fn sizes(foresight: &Foresight) -> Vec<(u32, u32)> {
    foresight.steps.iter().map(|room| (room.stable, room.candidate)).collect()
}

#[test]
fn beside_stable_the_candidate_is_extra() {
    let seen = foreseen(&spec(Capacity::Beside, half_and_all()));
    assert_eq!(sizes(&seen), [(4, 2), (4, 2), (4, 4)]);
    assert_eq!((seen.extra_at_most, seen.downtime), (4, None));
    assert!((seen.extra_hours - 2.0).abs() < 1e-9, "two instances for an hour");
    assert!((seen.extra_cost.unwrap() - 4.0).abs() < 1e-9);
}

#[test]
fn in_stables_places_nothing_is_extra_but_the_surge() {
    let capacity =
        Capacity::Replace { max_surge: Amount::Percent(25), max_unavailable: Amount::Count(0) };
    let seen = foreseen(&spec(capacity, half_and_all()));
    assert_eq!(sizes(&seen), [(2, 2), (2, 2), (0, 4)]);
    assert_eq!(seen.extra_at_most, 1);
    assert!(seen.capacity.contains("at most 5 at once, at least 4 ready"), "{}", seen.capacity);
}

#[test]
fn stopping_first_is_downtime() {
    let capacity =
        Capacity::Replace { max_surge: Amount::Count(0), max_unavailable: Amount::Percent(100) };
    let seen = foreseen(&spec(capacity, vec![Step::SetWeight(Weight::ALL)]));
    assert_eq!(seen.extra_at_most, 0);
    assert!(seen.downtime.unwrap().contains("503"));
    assert!(seen.capacity.contains("stopped before"), "{}", seen.capacity);
}

#[test]
fn a_size_of_its_own_counts() {
    let mut steps = vec![Step::SetScale(Scale::Share(Weight::ALL))];
    steps.extend(half_and_all());
    let seen = foreseen(&spec(Capacity::Beside, steps));
    assert_eq!(sizes(&seen)[0], (4, 4));
}
