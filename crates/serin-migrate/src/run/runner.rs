//! The runner: takes a plan through its stages, in one schema of one database.

use super::connect::{Database, Purpose};
use super::drift::{self, Drift};
use super::error::{Error, Result};
use super::options::{Patience, Say};
use super::session::{self, Session};
use super::state::{State, Wish};
use super::status::{Deed, Past, Status};
use super::store::{self, Kept, Part};
use super::world::World;
use super::{brown, connect, gates, grace, halt, report, shape, steps};
use crate::{CatalogError, Migration, Plan, PlanError, catalog, plan};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Client;

/// Longest try to note what stopped it: the database may not answer.
const NOTE: Duration = Duration::from_secs(5);

/// Takes migrations of one schema through their stages. Cheap: it connects when it is asked for
/// something, and everything it knows is in the database.
#[derive(Clone)]
pub struct Runner {
    database: Database,
    patience: Patience,
    world: Arc<dyn World>,
    who: String,
}

impl Runner {
    /// For a schema of a database, in the name of somebody.
    pub fn new(database: Database, world: Arc<dyn World>, who: impl Into<String>) -> Self {
        Self { database, patience: Patience::default(), world, who: who.into() }
    }

    /// With other limits for waiting.
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The database it works on.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A connection for looking at the schema, with the path in which names are looked up.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect(&self) -> Result<Client> {
        self.database.connect(Purpose::Look).await
    }

    /// Plans a migration: the database is only asked. The plan of one that is open already is the
    /// one that was kept when it started.
    ///
    /// # Errors
    /// [`Error::Flaws`] with everything that is wrong, [`Error::Open`] while another one is open.
    pub async fn plan(&self, migration: &Migration) -> Result<Plan> {
        let client = self.connect().await?;
        let schema = self.database.schema();
        let mut old_view = None;
        if session::version(&client).await?.is_some() {
            if let Some(open) = store::open(&client, schema.as_str()).await? {
                self.is_same(&open, migration)?;
                return Ok(open.plan);
            }
            old_view = store::view_in_use(&client, schema.as_str()).await?;
        }
        self.database.check_writes(&client).await?;
        let catalog = catalog::read(&client, schema).await.map_err(|error| match error {
            CatalogError::Database(error) => Error::sql("reading the catalogue")(error),
            answer @ CatalogError::Answer(_) => Error::Unfit(answer.to_string()),
        })?;
        let made = plan::make(&client, &catalog, migration, old_view.as_ref()).await;
        let mut plan = made.map_err(|error| match error {
            PlanError::Flaws(flaws) => Error::Flaws(flaws),
            PlanError::Database(error) => Error::sql("planning")(error),
            PlanError::Catalog(error) => Error::Unfit(error.to_string()),
        })?;
        plan.warnings.extend(connect::blind(&client).await?);
        Ok(plan)
    }

    /// Starts a migration and takes it to where both shapes are in use. One that was started and
    /// not ended is gone on with. Before a new one begins, what earlier ones hid goes if its grace
    /// time is over; where that fails the migration begins all the same, with a warning.
    ///
    /// # Errors
    /// [`Error::Open`] when another one is open, [`Error::Applied`] when it is done; whatever
    /// stopped it, which is also kept for the status.
    pub async fn start(&self, plan: &Plan) -> Result<Status> {
        let mut session = self.session().await?;
        let schema = self.database.schema().as_str();
        if let Some(open) = store::open(&session.look, schema).await? {
            self.is_same(&open, &plan.migration)?;
            return self.forward(&mut session, open).await;
        }
        let name = plan.migration.name.as_str();
        let last = store::last(&session.look, schema, Some(name)).await?;
        if last.is_some_and(|last| last.state == State::Done) {
            return Err(Error::Applied(name.into()));
        }
        self.database.check_owner(&session.look, &plan.tables).await?;
        let mut plan = plan.clone();
        plan.warnings.extend(grace::sweep(&mut session, &plan).await);
        session.keep(&plan).await?;
        let kept = open(&session).await?;
        self.forward(&mut session, kept).await
    }

    fn is_same(&self, open: &Kept, migration: &Migration) -> Result<()> {
        if open.plan.migration == *migration {
            return Ok(());
        }
        Err(Error::Open {
            name: open.plan.migration.name.clone(),
            schema: self.database.schema().as_str().into(),
            state: open.state,
        })
    }

    async fn forward(&self, session: &mut Session<'_>, mut kept: Kept) -> Result<Status> {
        may(&kept, Wish::Forward)?;
        if matches!(kept.state, State::Dual | State::Contracting) {
            return report::status(&session.look, kept.id).await;
        }
        self.go(session, &mut kept, Part::Forward).await
    }

    /// Goes on with what was paused, stopped by an error, or left by a crash, in the direction it
    /// had.
    ///
    /// # Errors
    /// [`Error::None`] when no migration is open; whatever stops it again.
    pub async fn resume(&self, say: &Say) -> Result<Status> {
        // First, so that a pause that somebody asks of the runner at work is not lifted again.
        self.set(&self.connect().await?, "paused = false").await?;
        let mut session = self.session().await?;
        let mut kept = open(&session).await?;
        if say.accept_foreign {
            shape::accept(&session, &mut kept).await?;
        }
        session.note_say(kept.id, say).await?;
        match kept.state.open() {
            None => report::status(&session.look, kept.id).await,
            Some(Wish::Forward) => self.go(&mut session, &mut kept, Part::Forward).await,
            Some(Wish::Contract) => self.contracted(&mut session, &mut kept, say).await,
            Some(Wish::Revert) => self.go(&mut session, &mut kept, Part::Back).await,
        }
    }

    /// Takes the migration from both shapes to the new one alone.
    ///
    /// # Errors
    /// [`Error::Refused`] with everything that speaks against it; whatever stops it.
    pub async fn contract(&self, say: &Say) -> Result<Status> {
        let mut session = self.session().await?;
        let mut kept = open(&session).await?;
        may(&kept, Wish::Contract)?;
        if say.accept_foreign {
            shape::accept(&session, &mut kept).await?;
        }
        self.contracted(&mut session, &mut kept, say).await
    }

    async fn contracted(
        &self,
        session: &mut Session<'_>,
        kept: &mut Kept,
        say: &Say,
    ) -> Result<Status> {
        let reasons = gates::against_contract(session, kept, say).await?;
        gates::decide("the contract", reasons)?;
        session.note_say(kept.id, say).await?;
        while let Err(error) = brown::soak(session, kept).await {
            match error {
                Error::Lost(_) => session.renew().await?,
                other => return Err(other),
            }
        }
        let status = self.go(session, kept, Part::Contract).await?;
        match kept.plan.migration.settings.contract.grace_ms {
            0 => grace::cleaned(session, kept).await,
            _ => Ok(status),
        }
    }

    /// Takes the migration back to the old shape, from wherever it is. What the old shape cannot
    /// hold is put aside, and given back when the migration starts again.
    ///
    /// A contract that another process works on is ended for it, while nothing of it is final.
    /// With a reason, SQL by hand that fails on the way back is passed over: who gives it did by
    /// hand what it should do.
    ///
    /// # Errors
    /// [`Error::Refused`] while clients of the new version live; whatever stops it.
    pub async fn revert(&self, say: &Say) -> Result<Status> {
        let mut session = halt::session_to_return(self).await?;
        let mut kept = halt::to_return(&session).await?;
        may(&kept, Wish::Revert)?;
        halt::may_return(&session, &kept).await?;
        gates::decide("the way back", gates::against_revert(&session, &kept, say).await?)?;
        session.note_say(kept.id, say).await?;
        shape::forget(&session, &mut kept).await?;
        brown::open(&session, &kept).await?;
        loop {
            match self.go(&mut session, &mut kept, Part::Back).await {
                Err(error) if halt::may_pass_over(&kept, &error, say) => {
                    halt::pass_over(&session, &kept, &error).await?;
                }
                done => return done,
            }
        }
    }

    /// Stops the backfill after the batch under way, until [`Runner::resume`].
    ///
    /// # Errors
    /// [`Error::None`] when no migration is open.
    pub async fn pause(&self) -> Result<()> {
        self.set(&self.connect().await?, "paused = true").await
    }

    /// Sets the share of the time the backfill works, 0.01 to 1; `None` for what the migration
    /// says. A runner at work hears of it with its next batch.
    ///
    /// # Errors
    /// [`Error::None`] when no migration is open.
    pub async fn set_rate(&self, duty: Option<f64>) -> Result<()> {
        let client = self.connect().await?;
        match duty {
            Some(duty) => self.set(&client, &format!("duty = {}", duty.clamp(0.01, 1.0))).await,
            None => self.set(&client, "duty = NULL").await,
        }
    }

    async fn set(&self, client: &Client, what: &str) -> Result<()> {
        session::known(client).await?;
        let sql = format!(
            "WITH done AS (UPDATE serin.migration SET {what} WHERE schema = $1 \
             AND ended_at IS NULL RETURNING id) INSERT INTO serin.deed (migration, who, what, \
             detail) SELECT id, $2, 'set', $3 FROM done"
        );
        let schema = self.database.schema().as_str();
        let done = client.execute(&sql, &[&schema, &self.who, &what]).await;
        match done.map_err(Error::sql("setting"))? {
            0 => Err(Error::None("open")),
            _ => Ok(()),
        }
    }

    /// How far the open migration is, else the last one; `None` when there was none yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn status(&self) -> Result<Option<Status>> {
        let client = self.connect().await?;
        if session::version(&client).await?.is_none() {
            return Ok(None);
        }
        let schema = self.database.schema().as_str();
        let found = match store::open(&client, schema).await? {
            Some(open) => Some(open),
            None => store::last(&client, schema, None).await?,
        };
        match found {
            Some(kept) => report::status(&client, kept.id).await.map(Some),
            None => Ok(None),
        }
    }

    /// All migrations of the schema, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn history(&self) -> Result<Vec<Past>> {
        let client = self.connect().await?;
        match session::version(&client).await? {
            Some(_) => report::history(&client, self.database.schema().as_str()).await,
            None => Ok(Vec::new()),
        }
    }

    /// What was done to a migration and by whom, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn deeds(&self, id: i64) -> Result<Vec<Deed>> {
        let client = self.connect().await?;
        session::known(&client).await?;
        report::deeds(&client, id).await
    }

    /// The plan of the open migration.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_plan(&self) -> Result<Option<Plan>> {
        let client = self.connect().await?;
        if session::version(&client).await?.is_none() {
            return Ok(None);
        }
        let open = store::open(&client, self.database.schema().as_str()).await?;
        Ok(open.map(|kept| kept.plan))
    }

    /// Compares the two shapes in about so many rows of each table, while both are in use.
    ///
    /// # Errors
    /// [`Error::None`] when no migration is open.
    pub async fn drift(&self, rows: u32) -> Result<Drift> {
        let client = self.connect().await?;
        session::known(&client).await?;
        let open = store::open(&client, self.database.schema().as_str()).await?;
        let open = open.filter(|kept| kept.state == State::Dual);
        let open = open.ok_or(Error::None("in use in both shapes"))?;
        drift::sample(&client, &open.plan, rows).await
    }

    /// What speaks against a contract now, in sentences; empty when nothing does.
    ///
    /// # Errors
    /// [`Error::None`] when no migration is open, [`Error::Held`] when a runner is at work.
    pub async fn against_contract(&self, say: &Say) -> Result<Vec<String>> {
        let session = self.session().await?;
        let kept = open(&session).await?;
        match kept.state.may(Wish::Contract) {
            Ok(()) => gates::against_contract(&session, &kept, say).await,
            Err(why) => Ok(vec![why.to_owned()]),
        }
    }

    pub(super) async fn session(&self) -> Result<Session<'_>> {
        self.session_after(self.patience.lease_ms).await
    }

    /// A session that ends the one of a runner that has been silent for so long, ms.
    pub(super) async fn session_after(&self, silent_ms: u64) -> Result<Session<'_>> {
        let (database, world) = (&self.database, &*self.world);
        Session::open(database, self.patience, world, &self.who, silent_ms).await
    }

    /// Does a part; what stops it is kept for the status.
    async fn go(&self, session: &mut Session<'_>, kept: &mut Kept, part: Part) -> Result<Status> {
        if let Err(error) = steps::part(session, kept, part).await {
            // Who has lost the database or the lease cannot note it.
            let _ = tokio::time::timeout(NOTE, session.stopped(kept.id, &error)).await;
            return Err(error);
        }
        report::status(&session.look, kept.id).await
    }
}

pub(super) async fn open(session: &Session<'_>) -> Result<Kept> {
    let schema = session.database.schema().as_str();
    store::open(&session.look, schema).await?.ok_or(Error::None("open"))
}

pub(super) fn may(kept: &Kept, wish: Wish) -> Result<()> {
    let name = || kept.plan.migration.name.clone();
    kept.state.may(wish).map_err(|why| Error::NotNow { name: name(), why: why.to_owned() })
}
