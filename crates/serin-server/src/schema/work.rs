//! One order, done on the database.

use super::files::{Written, parsed};
use super::world::Facts;
use serin_core::{
    ContractSay, DatabaseSpec, EnvValue, MigrationFile, MigrationGoal, MigrationNews,
    MigrationOrder, MigrationProgress, Millis, bare_shape,
};
use serin_migrate::{
    Database, Error, Ident, Past, Plan, PlanError, Runner, Say, State, Status, catalog,
    phased_plan, plan,
};
use std::sync::Arc;

/// Said for data that nobody has written yet.
const UNUSED: &str = "nobody used the database yet";

/// Why an order is not done now.
pub(super) enum Stop {
    /// It is tried again.
    Later(String),
    /// It will never be done as it is written.
    Never(String),
    /// It failed by its own doing on a way back, which must be gone: tried some times, then left
    /// to people.
    Own(String),
}

type Done = Result<MigrationNews, Stop>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Later(error.to_string())
    }
}

fn later(error: impl std::fmt::Display) -> Stop {
    Stop::Later(error.to_string())
}

/// The runner for an order.
pub(super) fn runner(order: &MigrationOrder, facts: &Facts) -> Result<Runner, Stop> {
    let url = address(&order.database)?;
    let schema = Ident::new(&*order.database.schema).map_err(|why| Stop::Never(why.to_string()))?;
    let database = Database::new(&url, schema)?;
    let who = match &order.goal {
        MigrationGoal::Contract { say, .. } => say.by.0.clone(),
        _ => format!("rollout {} of {}", order.rollout, order.service),
    };
    Ok(Runner::new(database, Arc::new(facts.clone()), who))
}

/// The address of the database; errors name its source, never the address.
fn address(database: &DatabaseSpec) -> Result<String, Stop> {
    match &database.url {
        EnvValue::FromEnv(name) => std::env::var(name).map_err(|_| {
            Stop::Later(format!("`serin serve` was started without the variable `{name}`"))
        }),
        EnvValue::FromFile(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| later(format!("`{path}` cannot be read: {error}")))?;
            Ok(text.trim_end_matches('\n').to_owned())
        }
        EnvValue::Literal(_) => Err(Stop::Never("the address of the database is no secret".into())),
    }
}

/// Does what is owed, from wherever the database is.
pub(super) async fn done(order: &MigrationOrder, runner: &Runner) -> Done {
    match &order.goal {
        MigrationGoal::Ready { files, first, old } => {
            let wanted = Wanted { runner, files, first: *first, old: old.as_deref() };
            wanted.ready().await
        }
        MigrationGoal::Back { name } => back(runner, name).await,
        MigrationGoal::Contract { name, say } => contract(runner, name, say).await,
        MigrationGoal::Halt { name } => halt(runner, name).await,
        MigrationGoal::Watch { .. } => Err(Stop::Never("a look is no work".into())),
    }
}

struct Wanted<'a> {
    runner: &'a Runner,
    files: &'a [MigrationFile],
    first: bool,
    old: Option<&'a str>,
}

impl Wanted<'_> {
    async fn ready(&self) -> Done {
        let read = |file: &MigrationFile| parsed(file).map_err(|flaws| never(&file.name, &flaws));
        let all = self.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = all.last() else {
            return Err(Stop::Never("its text was not kept".into()));
        };
        if let Some(open) = self.runner.open_plan().await? {
            return self.go_on(&all, last, open).await;
        }
        let history = self.runner.history().await?;
        let pending: Vec<_> = all.iter().filter(|one| !is_done(&history, one.name())).collect();
        match pending.as_slice() {
            [] => applied(&history, last),
            [.., newest] if newest.name() != last.name() => Err(Stop::Never(format!(
                "{} is new to the database, and later ones are in it already",
                newest.name()
            ))),
            [only] => self.begin(only, &history).await,
            several if self.first => self.begin_all(several).await,
            several => {
                let names: Vec<_> = several.iter().map(|one| one.name()).collect();
                Err(Stop::Never(format!(
                    "{} are new to the database; one revision brings one migration",
                    names.join(", ")
                )))
            }
        }
    }

    /// Something is open: ours, perhaps left on its way by a controller that died, or another's.
    async fn go_on(&self, all: &[Written], last: &Written, open: Plan) -> Done {
        let state = self.runner.status().await?.map(|status| status.state);
        if state == Some(State::Reverting) {
            self.runner.revert(&Say::default()).await?;
            return Box::pin(self.ready()).await;
        }
        let name = open.migration.name.as_str();
        let is_earlier = all.iter().any(|one| one.name() == name);
        if self.first && is_earlier && name != last.name() {
            self.through(&open).await?;
            return Box::pin(self.ready()).await;
        }
        match last {
            Written::Operations(last) => {
                self.started(&Plan { migration: (**last).clone(), ..open }).await
            }
            // Its plan is all that is kept of phased SQL.
            Written::Phased(set) if set.set.as_str() == name => self.started(&open).await,
            Written::Phased(_) => Err(other_is_open(&open, state)),
        }
    }

    async fn begin(&self, written: &Written, history: &[Past]) -> Done {
        let plan = self.planned(written, history).await?;
        self.started(&plan).await
    }

    /// All of them one after the other: there is no old code that would need the old shapes.
    async fn begin_all(&self, several: &[&Written]) -> Done {
        let Some((last, earlier)) = several.split_last() else {
            return Err(Stop::Never("there is none".into()));
        };
        for written in earlier {
            let history = self.runner.history().await?;
            let plan = self.planned(written, &history).await?;
            self.through(&plan).await?;
        }
        let history = self.runner.history().await?;
        self.begin(last, &history).await
    }

    /// To the new shape alone.
    async fn through(&self, plan: &Plan) -> Result<(), Stop> {
        self.runner.start(plan).await?;
        let say = Say {
            backup: Some(UNUSED.into()),
            override_reason: Some(UNUSED.into()),
            ..Say::default()
        };
        self.runner.contract(&say).await?;
        Ok(())
    }

    async fn planned(&self, written: &Written, history: &[Past]) -> Result<Plan, Stop> {
        let client = self.runner.connect().await?;
        let schema = self.runner.database().schema();
        let seen = catalog::read(&client, schema).await.map_err(later)?;
        let newest = history.iter().find(|past| past.state == State::Done);
        let newest = newest.map(|past| past.new_view.as_str());
        let view = self.old.or(newest).filter(|view| *view != schema.as_str());
        let view = view.and_then(|view| Ident::new(view).ok());
        let view = view.filter(|view| seen.server.schemas.contains(view));
        let made = match written {
            Written::Operations(migration) => {
                plan::make(&client, &seen, migration, view.as_ref()).await
            }
            Written::Phased(set) => {
                let made = phased_plan(&client, set, schema.clone()).await;
                let made = made.map(|plan| match &view {
                    Some(view) => plan.taking_views(view, &seen),
                    None => plan,
                });
                made.map_err(PlanError::Flaws)
            }
        };
        match made {
            Ok(plan) => Ok(plan),
            Err(PlanError::Flaws(flaws)) => Err(never(written.name(), &flaws)),
            Err(error) => Err(later(error)),
        }
    }

    async fn started(&self, plan: &Plan) -> Done {
        let status = self.runner.start(plan).await.map_err(|error| failed(plan, error))?;
        let contract = &plan.migration.settings.contract;
        Ok(MigrationNews::Ready {
            view: shape(plan.is_phased(), &status.name, &status.new_view),
            name: status.name,
            after: Millis(contract.after_ms),
            by_hand: contract.by_hand,
        })
    }
}

/// What instances of the new version are told to use.
fn shape(phased: bool, name: &str, view: &str) -> String {
    if phased { bare_shape(name) } else { view.to_owned() }
}

/// SQL by hand that failed by its own doing is taken back as its author wrote it, and not tried
/// again and again.
fn failed(plan: &Plan, error: Error) -> Stop {
    if plan.is_phased() && error.is_own_fault() {
        Stop::Never(error.to_string())
    } else {
        error.into()
    }
}

fn other_is_open(open: &Plan, state: Option<State>) -> Stop {
    let name = open.migration.name.clone();
    let state = state.unwrap_or(State::Planned);
    later(Error::Open { name, schema: open.schema.as_str().into(), state })
}

/// All flaws, so that one look is enough.
fn never(name: &str, flaws: &serin_migrate::Flaws) -> Stop {
    let all: Vec<_> = flaws.0.iter().take(5).map(ToString::to_string).collect();
    let more = flaws.0.len().saturating_sub(all.len());
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Stop::Never(format!("{name} does not fit the database: {}{more}", all.join("; ")))
}

fn is_done(history: &[Past], name: &str) -> bool {
    history.iter().any(|past| past.name == name && past.state == State::Done)
}

/// Everything was in the database before.
fn applied(history: &[Past], last: &Written) -> Done {
    let newest = history.iter().find(|past| past.state == State::Done);
    match newest {
        Some(past) if past.name == last.name() => {
            let phased = matches!(last, Written::Phased(_));
            let view = shape(phased, &past.name, &past.new_view);
            Ok(MigrationNews::Applied { name: past.name.clone(), view })
        }
        _ => Err(Stop::Never(format!(
            "{} was applied and a later one after it; write a version for the schema there is",
            last.name()
        ))),
    }
}

async fn back(runner: &Runner, name: &str) -> Done {
    match runner.status().await? {
        Some(status) if status.name == name && !status.state.is_over() => {
            runner.revert(&Say::default()).await.map_err(own)?;
        }
        // It never began, or it has gone back already.
        _ => {}
    }
    Ok(MigrationNews::Back)
}

fn own(error: Error) -> Stop {
    if error.is_own_fault() { Stop::Own(error.to_string()) } else { error.into() }
}

/// Whether a migration that was to go back has gone, by whoever's doing.
pub(super) async fn is_back(runner: &Runner, order: &MigrationOrder) -> Result<bool, Error> {
    let MigrationGoal::Back { name } = &order.goal else { return Ok(false) };
    let status = runner.status().await?;
    Ok(status.is_none_or(|status| status.name != *name || status.state.is_over()))
}

async fn contract(runner: &Runner, name: &str, say: &ContractSay) -> Done {
    let status = runner.status().await?.filter(|status| status.name == name);
    let Some(status) = status else {
        return Err(Stop::Never(format!("the database knows no open migration {name}")));
    };
    let phased = runner.open_plan().await?.is_some_and(|plan| plan.is_phased());
    let say = Say {
        override_reason: say.override_reason.clone(),
        backup: say.backup.clone(),
        accept_foreign: false,
    };
    let done = match status.state {
        State::Done => return Ok(MigrationNews::Contracted),
        State::Contracting => runner.resume(&say).await,
        _ => runner.contract(&say).await,
    };
    match done {
        Ok(_) => Ok(MigrationNews::Contracted),
        // What has dropped something has to go on, whatever is in its way.
        Err(error) if runner.past_return().await?.is_some() => Err(later(error)),
        Err(error) if phased && error.is_own_fault() => Err(Stop::Never(error.to_string())),
        Err(error) => Err(refused(error)),
    }
}

/// Ends a contract under way, if nothing of it is final.
async fn halt(runner: &Runner, name: &str) -> Done {
    let status = runner.status().await?.filter(|status| status.name == name);
    match status.map(|status| status.state) {
        Some(State::Done) => return Ok(MigrationNews::Contracted),
        Some(State::Contracting) => {}
        _ => return Ok(MigrationNews::Halted),
    }
    match runner.halt().await {
        // It was done in the moment before.
        Ok(status) if status.state == State::Done => Ok(MigrationNews::Contracted),
        Ok(_) => Ok(MigrationNews::Halted),
        Err(Error::NotNow { why, .. }) => Err(Stop::Never(why)),
        Err(error) => Err(error.into()),
    }
}

/// What speaks against a contract is an answer; a database that is away is not.
fn refused(error: Error) -> Stop {
    match error {
        Error::Refused { .. } | Error::NotNow { .. } | Error::Check { .. } | Error::Foreign(_) => {
            Stop::Never(error.to_string())
        }
        error => Stop::Later(error.to_string()),
    }
}

/// How far a migration is, in the engine's words.
pub(super) fn progress(status: &Status) -> MigrationProgress {
    let step = status.step.as_ref();
    let rows = status.progress.as_ref();
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    MigrationProgress {
        state: status.state.word().into(),
        step: step.map_or(String::new(), |step| {
            format!("step {} of {}, {}", step.number, step.of, step.title)
        }),
        rows: rows.map(|p| (count(p.rows_done), count(p.rows_total))),
        rate: rows.map_or(0, |p| p.rows_per_second.max(0.0) as u64),
        left: rows.and_then(|p| p.left_ms).map(|ms| Millis(count(ms) / 1_000 * 1_000)),
        waiting: status.waiting.clone(),
    }
}
