//! A database for a test of plans: planned with the crate, run step by step with `psql`, so that
//! nothing but the plan itself is under test.

use serde_json::{Value, json};
use serin_migrate::{Action, Catalog, Flaws, Ident, Plan, PlanError, Stage, Step, catalog, plan};
use serin_postgres::{Cluster, shared};

/// The version that tests move to.
pub const VERSION: &str = "public_02_test";

/// One database.
pub struct Lab {
    pub cluster: &'static Cluster,
    pub database: String,
}

impl Lab {
    /// A database with these tables; `None` without a server.
    pub fn new(setup: &str) -> Option<Self> {
        let cluster = shared()?;
        let database = cluster.database().unwrap();
        cluster
            .sql(
                &database,
                &format!("CREATE SCHEMA serin; GRANT USAGE ON SCHEMA serin TO PUBLIC; {setup}"),
            )
            .unwrap();
        Some(Self { cluster, database })
    }

    /// Runs SQL, with what it printed.
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// Runs SQL as a client of the old shape.
    pub fn old(&self, sql: &str) -> String {
        self.sql(&format!("SET search_path = public; {sql}"))
    }

    /// Runs SQL as a client of the new shape.
    pub fn new_client(&self, sql: &str) -> String {
        self.sql(&format!("SET search_path = {VERSION}, public; {sql}"))
    }

    /// What the server says against SQL of a client of the old shape.
    pub fn old_error(&self, sql: &str) -> String {
        self.error(&format!("SET search_path = public; {sql}"))
    }

    /// What the server says against SQL of a client of the new shape.
    pub fn new_error(&self, sql: &str) -> String {
        self.error(&format!("SET search_path = {VERSION}, public; {sql}"))
    }

    fn error(&self, sql: &str) -> String {
        match self.cluster.sql(&self.database, sql) {
            Ok(out) => panic!("was not refused: {sql}\n{out}"),
            Err(error) => error.to_string(),
        }
    }

    /// Plans operations, as `user`.
    pub fn plan_as(&self, user: &str, operations: &Value, serin: &Value) -> Result<Plan, Flaws> {
        let document = json!({"operations": operations, "serin": serin});
        self.planned(user, "02_test", &document, None)
    }

    /// All that is wrong with the version `name` after another.
    pub fn next_flaws(&self, name: &str, operations: &Value, before: &str) -> String {
        let planned = self.next(name, operations, before);
        told(&planned.unwrap_err())
    }

    /// Plans the version `name` after another.
    pub fn next(&self, name: &str, operations: &Value, before: &str) -> Result<Plan, Flaws> {
        let before = Ident::new(before).unwrap();
        self.planned("postgres", name, &json!({"operations": operations}), Some(&before))
    }

    fn planned(
        &self,
        user: &str,
        name: &str,
        document: &Value,
        before: Option<&Ident>,
    ) -> Result<Plan, Flaws> {
        let migration = serin_migrate::migration(name, document)?;
        let url = self.cluster.url(&self.database).replace("postgres@", &format!("{user}@"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let planned = runtime.block_on(async {
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let schema = Ident::new("public").unwrap();
            let catalog: Catalog = catalog::read(&client, &schema).await.unwrap();
            plan::make(&client, &catalog, &migration, before).await
        });
        match planned {
            Ok(plan) => Ok(plan),
            Err(PlanError::Flaws(flaws)) => Err(flaws),
            Err(error) => panic!("{error}"),
        }
    }

    /// Plans operations; it must be possible.
    pub fn plan(&self, operations: &Value) -> Plan {
        let planned = self.plan_as("postgres", operations, &json!({}));
        let plan = planned.unwrap_or_else(|flaws| panic!("{:#?}", flaws.0));
        // What is stored is what is run.
        let stored = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
        plan
    }

    /// All that is wrong with operations.
    pub fn flaws(&self, operations: &Value) -> String {
        match self.plan_as("postgres", operations, &json!({})) {
            Ok(plan) => panic!("was planned: {:#?}", plan.forward),
            Err(flaws) => told(&flaws),
        }
    }

    /// Not before Postgres 15.
    pub fn views_have_their_reader_s_rights(&self) -> bool {
        self.cluster.installation().major >= 15
    }

    /// Runs steps; what stopped them.
    pub fn try_run(&self, plan: &Plan, steps: &[Step]) -> Result<(), String> {
        steps.iter().try_for_each(|step| self.step(plan, step))
    }

    /// Runs steps; they must all work.
    pub fn run(&self, plan: &Plan, steps: &[Step]) {
        self.try_run(plan, steps).unwrap_or_else(|said| panic!("{said}"));
    }

    fn step(&self, plan: &Plan, step: &Step) -> Result<(), String> {
        let all = |sql: &str| {
            let said = self.cluster.sql(&self.database, sql);
            said.map_err(|error| format!("{}: {error}\n{sql}", step.title))
        };
        let look = |sql: &str, what: &str| match all(sql)?.as_str() {
            "" | "0" | "t" => Ok(()),
            found => Err(format!("{what}: {found}")),
        };
        match &step.action {
            Action::Transaction { sql, .. } => {
                let path = "SET search_path = public";
                all(&format!("{path}; BEGIN;\n{};\nCOMMIT", sql.join(";\n"))).map(drop)
            }
            Action::IndexConcurrently { create, .. } => all(create).map(drop),
            Action::DropIndexConcurrently { index, .. } => {
                all(&format!("DROP INDEX CONCURRENTLY IF EXISTS public.{index}")).map(drop)
            }
            Action::Backfill { sync } => {
                let sync = &plan.syncs[*sync];
                let Some(first) = sync.up.iter().chain(&sync.down).next() else { return Ok(()) };
                let (table, done, target) = (&sync.table, &sync.done, &first.target);
                all(&format!(
                    "UPDATE public.{table} SET {target} = {target} WHERE {done} IS NOT TRUE"
                ))
                .map(drop)
            }
            Action::AllDone { sync } => {
                let (table, done) = (&plan.syncs[*sync].table, &plan.syncs[*sync].done);
                look(
                    &format!("SELECT count(*) FROM public.{table} WHERE {done} IS NOT TRUE"),
                    "left",
                )
            }
            Action::Violations { rule, query } => look(query, rule),
            Action::Check { sql } => look(&format!("SELECT ({sql})"), sql),
            Action::Fill(_) | Action::Salvage { .. } | Action::Restore { .. } => Ok(()),
        }
    }

    /// Everything the catalogue says of the database.
    pub fn fingerprint(&self) -> String {
        self.sql(include_str!("fingerprint.sql"))
    }

    /// The life of a migration: start, look at both shapes, go back and leave nothing, start
    /// again, contract, look at the new shape, drop what was hidden.
    pub fn life(&self, operations: &Value, dual: impl Fn(&Lab), after: impl Fn(&Lab)) -> Plan {
        let plan = self.plan(operations);
        let before = self.fingerprint();
        let rows = self.rows();
        self.run(&plan, &plan.forward);
        self.run(&plan, &plan.back);
        assert_eq!(self.fingerprint(), before, "the way back leaves something");
        assert_eq!(self.rows(), rows, "the way back changes rows");
        self.run(&plan, &plan.back);
        self.run(&plan, &plan.forward);
        dual(self);
        let swap: Vec<Step> = stage(&plan.contract, |stage| stage != Stage::Grace);
        self.run(&plan, &swap);
        after(self);
        let grace: Vec<Step> = stage(&plan.contract, |stage| stage == Stage::Grace);
        self.run(&plan, &grace);
        assert_eq!(self.left_over(), "", "something of ours is left");
        plan
    }

    fn rows(&self) -> String {
        self.sql(
            "SELECT format('SELECT %L, t::text FROM public.%I t ORDER BY 2', relname, relname) \
             FROM pg_class WHERE relnamespace = 'public'::regnamespace \
             AND relkind IN ('r', 'p') ORDER BY relname \\gexec",
        )
    }

    /// Names of ours that are left.
    pub fn left_over(&self) -> String {
        self.sql(
            "SELECT attrelid::regclass || '.' || attname FROM pg_attribute \
             JOIN pg_class r ON r.oid = attrelid WHERE attname LIKE '\\_serin%' \
             AND NOT attisdropped AND lower(relkind::text) <> 'i' \
             UNION ALL SELECT relname FROM pg_class WHERE relname LIKE '\\_serin%' \
             UNION ALL SELECT conname FROM pg_constraint WHERE conname LIKE '\\_serin%' \
             UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'zzz%' \
             UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'zzz%'",
        )
    }
}

/// All flaws, a line each.
pub fn told(flaws: &Flaws) -> String {
    flaws.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn stage(steps: &[Step], wanted: impl Fn(Stage) -> bool) -> Vec<Step> {
    steps.iter().filter(|step| wanted(step.stage)).cloned().collect()
}
