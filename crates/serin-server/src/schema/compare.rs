//! Looks whether both shapes of the tables say the same, for as long as both are in use.

use super::world::Facts;
use super::{FIRST, LONGEST, work};
use serin_core::{Doubt, MigrationNews, MigrationOrder};
use serin_migrate::Error;

/// Rows of each table, about, that one look compares.
const ROWS: u32 = 10_000;

/// Looks in a row that must fail before it is told: a server that is started again is none.
const FAILURES: u32 = 3;

/// Looks in a row that must find nothing after one that did: each looks at other rows.
const CLEAN: u32 = 10;

/// Said where the database knows nothing of two shapes.
const ENDED: &str = "the database has only one of them: somebody ended the migration past this server. \
     `serin migrate history` with its address tells who and how; `serin migrate contract SERVICE` \
     takes note that it is done, `serin rollback SERVICE` that it was taken back";

/// What a look found; why there was none.
type Look = Result<Option<Doubt>, String>;

/// What was told, and what the looks since then found.
#[derive(Debug)]
struct Told {
    last: Option<Doubt>,
    clean: u32,
    failures: u32,
}

impl Told {
    /// With what is known already, by whichever controller.
    fn knowing(last: Option<Doubt>) -> Self {
        Self { last, clean: 0, failures: 0 }
    }

    /// What is to be told after a look. The sentence of what was told already stays.
    fn after(&mut self, look: Look) -> Option<MigrationNews> {
        self.failures = if look.is_err() { self.failures + 1 } else { 0 };
        self.clean = if look == Ok(None) { self.clean + 1 } else { 0 };
        let doubt = match look {
            Ok(doubt) => doubt,
            Err(_) if self.failures < FAILURES => return None,
            Err(why) => Some(Doubt::Unseen { why }),
        };
        let kind = |doubt: &Option<Doubt>| doubt.as_ref().map(std::mem::discriminant);
        let was_apart = matches!(self.last, Some(Doubt::Apart { .. }));
        if kind(&self.last) == kind(&doubt) || was_apart && self.clean < CLEAN {
            return None;
        }
        self.last.clone_from(&doubt);
        Some(MigrationNews::Compared { doubt })
    }
}

/// Tells what is found, and again when it is something else. Looks often at first, when few
/// requests reach the new version, then seldom. Never done.
pub(super) async fn compare(order: &MigrationOrder, facts: &Facts, tell: &impl Fn(MigrationNews)) {
    let (mut wait, mut told) = (FIRST, Told::knowing(facts.doubt()));
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
        let news = told.after(look(order, facts).await);
        // What changed, or seems to, is looked at again soon.
        if news.is_some() || (1..FAILURES).contains(&told.failures) {
            wait = FIRST;
        }
        news.into_iter().for_each(tell);
    }
}

async fn look(order: &MigrationOrder, facts: &Facts) -> Look {
    let runner = match work::runner(order, facts) {
        Ok(runner) => runner,
        Err(work::Stop::Later(why) | work::Stop::Never(why) | work::Stop::Own(why)) => {
            return Err(why);
        }
    };
    match runner.drift(ROWS).await {
        Ok(drift) if drift.is_none() => Ok(None),
        Ok(drift) => Ok(Some(Doubt::Apart { what: drift.to_string() })),
        Err(Error::None(_)) => Err(ENDED.into()),
        // A value that cannot be worked out again is no sign of anything.
        Err(error) if error.is_own_fault() => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(rows: u32) -> Doubt {
        Doubt::Apart { what: format!("{rows} rows differ") }
    }

    fn away() -> Look {
        Err("the database does not answer".into())
    }

    fn told(looks: impl IntoIterator<Item = Look>) -> Vec<(usize, String)> {
        after(Told::knowing(None), looks)
    }

    fn after(mut told: Told, looks: impl IntoIterator<Item = Look>) -> Vec<(usize, String)> {
        let all = looks.into_iter().enumerate();
        let said = all.filter_map(|(at, look)| match told.after(look)? {
            MigrationNews::Compared { doubt } => {
                Some((at, doubt.map_or("none".into(), |doubt| doubt.to_string())))
            }
            _ => None,
        });
        said.collect()
    }

    fn pairs(all: &[(usize, &str)]) -> Vec<(usize, String)> {
        all.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
    }

    #[test]
    fn only_what_changes_is_told() {
        let looks =
            [Ok(None), Ok(None), Ok(Some(apart(3))), Ok(Some(apart(5))), Ok(Some(apart(1)))];
        assert_eq!(told(looks.clone()), pairs(&[(2, "3 rows differ")]));
        let known = || Told::knowing(Some(apart(3)));
        assert_eq!(after(known(), looks), [], "a controller that took over tells it no more");
        assert_eq!(after(known(), vec![Ok(None); 10]), pairs(&[(9, "none")]));
    }

    #[test]
    fn a_look_at_other_rows_takes_nothing_back() {
        let mut looks = vec![Ok(Some(apart(3))), Ok(None), Ok(None), Ok(Some(apart(1)))];
        looks.extend(vec![Ok(None); 9]);
        looks.push(away());
        looks.extend(vec![Ok(None); 12]);
        assert_eq!(told(looks), pairs(&[(0, "3 rows differ"), (23, "none")]));
    }

    #[test]
    fn a_server_that_is_started_again_is_nothing_to_tell() {
        let gone = "the two shapes cannot be compared: the database does not answer";
        let looks = [away(), away(), Ok(None), away(), away(), away(), away(), Ok(None)];
        assert_eq!(told(looks), pairs(&[(5, gone), (7, "none")]));
        let looks = [away(), away(), away(), Ok(Some(apart(2))), away(), away(), away()];
        assert_eq!(told(looks), pairs(&[(2, gone), (3, "2 rows differ")]));
    }
}
