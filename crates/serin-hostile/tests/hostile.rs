//! A few runs through the real data plane. How quickly a verdict comes is not asserted, and what
//! could come by chance has no chance: alpha is one in a billion.

use serin_hostile::bench::{Effort, measure};
use serin_hostile::condition::{Condition, Version, named};
use serin_hostile::run::{Outcomes, Terms};
use std::path::Path;
use std::time::Duration;

fn measured(names: &[&str], version: Version) -> Vec<(String, Outcomes)> {
    let conditions: Vec<Condition> =
        names.iter().map(|name| named(name).expect("a condition")).collect();
    let (prelude, horizon) = (Duration::from_secs(1), Duration::from_secs(12));
    let terms = Terms { alpha: 1e-9, prelude, horizon };
    let effort = Effort { runs: 3, services: 9, terms };
    let program = Path::new(env!("CARGO_BIN_EXE_serin-hostile"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let versions = [version];
    let measured = measure(&conditions, &versions, effort, program);
    let (cells, broken) = runtime.block_on(measured).expect("a measurement");
    assert_eq!(broken, 0);
    let named = |name: &str, outcomes: Vec<Outcomes>| {
        outcomes.into_iter().map(|one| (name.to_owned(), one)).collect::<Vec<_>>()
    };
    cells.into_iter().flat_map(|cell| named(cell.condition.name, cell.outcomes)).collect()
}

#[test]
fn a_version_that_hangs_never_passes() {
    let names = ["hangs", "hangs-given-up-early", "hangs-sticky"];
    let runs = measured(&names, Version::Harmful);
    assert_eq!(runs.len(), 9);
    for (name, run) in runs {
        assert_eq!((run.whole.pass, run.errors.pass), (None, None), "{name}: {run:?}");
        assert!(run.last.is_some(), "{name} was not judged");
    }
}

#[test]
fn the_same_version_does_not_fail() {
    let names = ["plain", "hanging-clients", "both-restart"];
    let runs = measured(&names, Version::Same);
    assert_eq!(runs.len(), 9);
    for (name, run) in runs {
        assert_eq!((run.whole.fail, run.errors.fail), (None, None), "{name}: {run:?}");
        assert!(run.has_data(), "{name} was not judged");
    }
}
