//! A database, a plan written by hand, and a runner, for tests of the runner alone.

use serde_json::{Value, json};
use serin_migrate::{
    Action, Alone, Database, Derive, Error, Ident, Input, Key, Patience, Plan, Runner, Say, Stage,
    Status, Step, TableSync, World, trigger,
};
use serin_postgres::{Cluster, shared};
use std::sync::{Arc, Mutex};

pub const ORDERS: &str = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text);
    INSERT INTO orders SELECT n, n, 'n' || n FROM generate_series(1, 1000) n;";

/// One database.
pub struct Lab {
    pub cluster: &'static Cluster,
    pub database: String,
}

pub fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

/// Short waits, so that a refusal comes soon.
pub fn patience() -> Patience {
    Patience { budget_ms: 20_000, server_ms: 20_000, quiet_ms: 0, ..Patience::default() }
}

/// What a person says who knows.
pub fn sure() -> Say {
    Say { backup: Some("none needed: a test".into()), ..Say::default() }
}

impl Lab {
    /// A database with these tables; `None` without a server.
    pub fn new(setup: &str) -> Option<Self> {
        let cluster = shared()?;
        Some(Self::on(cluster, setup))
    }

    pub fn on(cluster: &'static Cluster, setup: &str) -> Self {
        let lab = Self { cluster, database: cluster.database().unwrap() };
        lab.sql(setup);
        lab
    }

    /// Runs SQL, with what it printed.
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// Runs SQL as a client of the new shape.
    pub fn new_client(&self, sql: &str) -> String {
        self.sql(&format!("SET search_path = public_02, public; {sql}"))
    }

    pub fn url(&self) -> String {
        self.cluster.url(&self.database)
    }

    pub fn runner(&self) -> Runner {
        self.runner_in(Arc::new(Alone))
    }

    pub fn runner_in(&self, world: Arc<dyn World>) -> Runner {
        let database = Database::new(&self.url(), ident("public")).unwrap();
        Runner::new(database, world, "tester").patience(patience())
    }

    /// Everything in the database that could be left behind.
    pub fn shape(&self) -> String {
        self.sql(
            "SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), \
               a.attnotnull::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
               JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE 'public%' \
               AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'i' \
             UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, '', '' FROM pg_trigger \
               WHERE NOT tgisinternal \
             UNION ALL SELECT 'function', proname, '', '', '' FROM pg_proc p \
               JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname LIKE 'public%' \
             UNION ALL SELECT 'sequence', sequencename, '', '', '' FROM pg_sequences \
               WHERE schemaname = 'serin' AND sequencename LIKE 'zzz%' \
             UNION ALL SELECT 'schema', nspname, '', '', '' FROM pg_namespace \
               WHERE nspname LIKE 'public%' ORDER BY 1, 2, 3",
        )
    }
}

/// Runs to the end on a runtime of its own.
pub fn block<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(work)
}

pub fn start(lab: &Lab, plan: &Plan) -> Result<Status, Error> {
    block(lab.runner().start(plan))
}

/// How the table of a plan is.
pub struct Shape {
    pub key: Key,
    pub up: &'static str,
    pub down: &'static str,
    pub old_type: &'static str,
    pub new_type: &'static str,
    pub serin: Value,
}

pub fn by_id() -> Key {
    Key::Columns { columns: vec![(ident("id"), "integer".into())] }
}

/// `orders.total` from whole coins to cents.
pub fn cents() -> Shape {
    Shape {
        key: by_id(),
        up: "total::bigint * 100",
        down: "orders.total / 100",
        old_type: "integer",
        new_type: "bigint",
        serin: json!({"backfill": {"duty": 1}, "contract": {"grace": "0s"}}),
    }
}

fn derive(target: &str, data_type: &str, expression: &str, input: (&str, &str)) -> Derive {
    Derive {
        target: ident(target),
        data_type: data_type.into(),
        expression: expression.into(),
        scope: ident("orders"),
        inputs: vec![Input {
            logical: ident("total"),
            physical: ident(input.0),
            data_type: input.1.into(),
        }],
        volatile: false,
        reads_others: false,
        path: None,
    }
}

pub fn sync_of(shape: &Shape, lossy: serin_migrate::LossyDown) -> TableSync {
    let (old, new) = (shape.old_type, shape.new_type);
    TableSync {
        table: ident("orders"),
        leaves: vec![ident("orders")],
        key: shape.key.clone(),
        up: vec![derive("_serin_new_total", new, shape.up, ("total", old))],
        down: vec![derive("total", old, shape.down, ("_serin_new_total", new))],
        done: ident("_serin_done"),
        trigger: ident("zzz_serin_orders"),
        every_update: false,
        always: false,
        lossy,
        passive: false,
    }
}

fn step(stage: Stage, title: &str, action: Action) -> Step {
    Step { stage, title: title.into(), action }
}

fn on_orders(stage: Stage, title: &str, sql: Vec<String>) -> Step {
    step(stage, title, Action::transaction(sql, vec![ident("orders")]))
}

/// The plan for such a change, as the planner would make it.
pub fn plan_of(shape: &Shape) -> Plan {
    let document = json!({
        "version_schema": "02",
        "operations": [{"alter_column": {"table": "orders", "column": "total",
            "type": shape.new_type, "up": shape.up, "down": shape.down}}],
        "serin": shape.serin,
    });
    let migration = serin_migrate::migration("02", &document).unwrap();
    let sync = sync_of(shape, migration.settings.on_down_error);
    let (schema, new_view) = (ident("public"), ident("public_02"));
    let sides = trigger::Sides { schema: &schema, old: &schema, new: &new_view };
    Plan {
        forward: forward(shape, &sync, sides),
        contract: contract(&sync, &schema),
        back: back(&sync, &schema),
        migration,
        schema: schema.clone(),
        old_view: None,
        new_view: new_view.clone(),
        tables: vec![ident("orders")],
        syncs: vec![sync],
        warnings: Vec::new(),
    }
}

fn forward(shape: &Shape, sync: &TableSync, sides: trigger::Sides<'_>) -> Vec<Step> {
    let add = format!(
        "ALTER TABLE public.orders ADD COLUMN IF NOT EXISTS _serin_new_total {}",
        shape.new_type
    );
    let columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'public.orders'::regclass";
    let view = format!(
        "DO $$ DECLARE columns text; BEGIN SELECT string_agg(CASE attname \
         WHEN 'total' THEN '_serin_new_total AS total' ELSE quote_ident(attname) END, ', ' \
         ORDER BY attnum) INTO columns FROM ({columns} AND attnum > 0 AND NOT attisdropped \
         AND attname NOT LIKE '\\_serin%') a JOIN pg_attribute b USING (attname) \
         WHERE b.attrelid = 'public.orders'::regclass; \
         EXECUTE 'CREATE OR REPLACE VIEW public_02.orders AS SELECT ' || columns || \
         ' FROM public.orders'; END $$"
    );
    vec![
        on_orders(Stage::Expand, "add column _serin_new_total to orders", vec![add]),
        on_orders(Stage::Expand, "trigger on orders", trigger::create(sync, sides)),
        step(Stage::Backfill, "fill in orders", Action::Backfill { sync: 0 }),
        step(Stage::Backfill, "give back what was put aside", Action::Restore { sync: 0 }),
        step(Stage::Verify, "all of orders is filled in", Action::AllDone { sync: 0 }),
        step(
            Stage::Verify,
            "index of the new column",
            Action::IndexConcurrently {
                create: "CREATE INDEX CONCURRENTLY _serin_total ON public.orders \
                         (_serin_new_total)"
                    .into(),
                index: ident("_serin_total"),
                table: ident("orders"),
                same: None,
            },
        ),
        step(
            Stage::Publish,
            "views of public_02",
            Action::transaction(
                vec!["CREATE SCHEMA IF NOT EXISTS public_02".into(), view],
                Vec::new(),
            ),
        ),
    ]
}

fn contract(sync: &TableSync, schema: &Ident) -> Vec<Step> {
    let mut swap = trigger::drop(sync, schema);
    swap.push("ALTER TABLE public.orders RENAME COLUMN total TO _serin_gone_total".into());
    swap.push("ALTER TABLE public.orders RENAME COLUMN _serin_new_total TO total".into());
    swap.push("ALTER INDEX public._serin_total RENAME TO orders_total".into());
    let gone = "ALTER TABLE public.orders DROP COLUMN IF EXISTS _serin_gone_total";
    vec![
        on_orders(Stage::Swap, "only the new shape of orders", swap),
        on_orders(Stage::Grace, "drop the old total", vec![gone.into()]),
    ]
}

fn back(sync: &TableSync, schema: &Ident) -> Vec<Step> {
    let views = "DROP SCHEMA IF EXISTS public_02 CASCADE";
    let mut drop = trigger::drop(sync, schema);
    drop.push("ALTER TABLE public.orders DROP COLUMN IF EXISTS _serin_new_total".into());
    vec![
        on_orders(Stage::Unpublish, "drop the views", vec![views.into()]),
        step(Stage::Salvage, "put values of orders aside", Action::Salvage { sync: 0 }),
        step(
            Stage::Revert,
            "drop the index",
            Action::DropIndexConcurrently { index: ident("_serin_total"), table: ident("orders") },
        ),
        on_orders(Stage::Revert, "drop what was added to orders", drop),
    ]
}

/// Calls something at each point that the runner reaches.
pub struct Points<F>(pub F);

impl<F: Fn(&str) + Send + Sync> World for Points<F> {
    fn reached(&self, point: &str) {
        (self.0)(point);
    }
}

/// All points that a run reaches, each once.
pub fn points_of(lab: &Lab, run: impl AsyncFn(Runner)) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let note = move |point: &str| {
        let mut seen = noted.lock().unwrap();
        if !seen.iter().any(|before: &String| before == point) {
            seen.push(point.to_owned());
        }
    };
    block(run(lab.runner_in(Arc::new(Points(note)))));
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}
