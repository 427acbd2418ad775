//! What happens in the demo, in order.

use super::{
    DemoArgs,
    follow::{Course, Follower},
    load::{CONNECTIONS, Load, Visitors},
    server::Server,
    shop::{self, Shop},
    summary::{Findings, Ship},
    teller::Teller,
};
use crate::failure::Failure;
use serin_core::Outcome;
use serin_server::api::view::{Applied, ApplyRequest, ServerView, VerbRequest};
use std::time::Duration;

/// Who the audit says it was.
const ACTOR: &str = "serin demo";

/// A rollout that takes longer than this will not end well either. At 400 requests a second the
/// good version needs 20 s, more on a busy machine; with fewer requests evidence takes longer.
const LIMIT_SECS: f64 = 120.0;
const USUAL_RATE: f64 = 400.0;

pub(super) struct Story<'a, 'p> {
    args: &'a DemoArgs,
    server: &'a Server,
    teller: &'a mut Teller<'p>,
}

impl<'a, 'p> Story<'a, 'p> {
    pub(super) fn new(args: &'a DemoArgs, server: &'a Server, teller: &'a mut Teller<'p>) -> Self {
        Self { args, server, teller }
    }

    pub(super) async fn tell(mut self) -> Result<Findings, Failure> {
        let server = self.server;
        let place = server.data().display();
        self.teller.say("Starting", &format!("serin serve --data-dir {place}"));
        server.ready().await?;
        let files = self.write_files()?;
        self.open(&files).await?;
        let (rate, seed) = (self.args.rate, self.args.seed);
        let load = self.load()?;
        let text = format!("{rate} requests a second, at random moments (seed {seed})");
        self.teller.say("Sending", &text);
        let good = self.ship_good(&load).await?;
        let bad = self.ship_bad(&load, &files).await?;
        // Waits for the last answers in a thread of its own, so that Ctrl-C still works.
        let tally = tokio::task::spawn_blocking(move || load.finish()).await;
        let tally = tally.map_err(|_| Failure::internal("the load generator broke"))?;
        let view: ServerView = server.client().get("/api/v1/server").await?;
        Ok(Findings { ships: vec![good, bad], tally, dropped_by_server: view.dropped })
    }

    /// The first version: nothing to compare it with, so it starts at once.
    async fn open(&mut self, files: &Files) -> Result<(), Failure> {
        let rollout = self.apply(&files.good, "v1").await?;
        let course = self.follower(None, rollout, "v1").follow().await?;
        if course.outcome() != Some(Outcome::Promoted) {
            let why = went(&course);
            return Err(Failure::internal(format!(
                "the first version of the shop did not start: {why}"
            )));
        }
        let shop = self.server.shop();
        self.teller.say("Serving", &format!("shop v1 on http://{shop}, 2 instances"));
        Ok(())
    }

    async fn ship_good(&mut self, load: &Load) -> Result<Ship, Failure> {
        let text = "v2, as good as v1: 20 % of the requests, then 50 %, then all, each on evidence";
        self.teller.say("Deploying", text);
        let wish = VerbRequest {
            revision: Some("v2".into()),
            actor: Some(ACTOR.into()),
            ..VerbRequest::default()
        };
        let path = format!("/api/v1/services/{}:deploy", shop::NAME);
        let rollout = rollout_of(&self.server.client().post(&path, &wish).await?)?;
        let course = self.follower(Some(load), rollout, "v2").follow().await?;
        Ok(Ship { version: "v2", wanted: Outcome::Promoted, course })
    }

    async fn ship_bad(&mut self, load: &Load, files: &Files) -> Result<Ship, Failure> {
        let text = "v3, a bad one: 5 % of its requests fail and 10 % are 200 ms slower";
        self.teller.say("Deploying", text);
        let rollout = self.apply(&files.bad, "v3").await?;
        let course = self.follower(Some(load), rollout, "v3").follow().await?;
        Ok(Ship { version: "v3", wanted: Outcome::RolledBack, course })
    }

    fn follower<'s>(
        &'s mut self,
        load: Option<&'s Load>,
        rollout: u64,
        version: &'s str,
    ) -> Follower<'s, 'p> {
        let limit = self.limit();
        Follower { server: self.server, teller: self.teller, load, rollout, version, limit }
    }

    fn limit(&self) -> Duration {
        let slower = (USUAL_RATE / f64::from(self.args.rate)).max(1.0);
        Duration::from_secs_f64(LIMIT_SECS * slower)
    }

    fn load(&self) -> Result<Load, Failure> {
        let visitors = Visitors {
            target: self.server.shop(),
            rate: f64::from(self.args.rate),
            seed: self.args.seed,
            connections: CONNECTIONS,
        };
        Load::start(visitors)
            .map_err(|error| Failure::internal(format!("cannot start the load: {error}")))
    }

    /// Written to the data directory, so that with `--keep` they can be applied again.
    fn write_files(&self) -> Result<Files, Failure> {
        let (program, listen) = (self.server.program()?, self.server.shop());
        let shop = Shop { program, listen, seed: self.args.seed };
        let write = |name: &'static str, text: String| {
            self.server.write(name, &text)?;
            Ok::<_, Failure>(File { name, text })
        };
        Ok(Files { good: write("good.yaml", shop.good())?, bad: write("bad.yaml", shop.bad())? })
    }

    /// Applies a file under a version; gives the rollout.
    async fn apply(&self, file: &File, version: &str) -> Result<u64, Failure> {
        let wish = ApplyRequest {
            source: file.name.into(),
            text: file.text.clone(),
            base_dir: self.server.data().display().to_string(),
            revision: Some(version.into()),
            reason: None,
            actor: Some(ACTOR.into()),
            dry_run: false,
            allow_bad: false,
            skips: serin_core::Skips::Nothing,
            now: false,
        };
        rollout_of(&self.server.client().post("/api/v1/apply", &wish).await?)
    }
}

struct Files {
    good: File,
    bad: File,
}

struct File {
    name: &'static str,
    text: String,
}

fn rollout_of(applied: &Applied) -> Result<u64, Failure> {
    let rollout = applied.services.first().and_then(|service| service.rollout);
    rollout.ok_or_else(|| Failure::internal("the server started no rollout"))
}

/// In words, how a rollout went.
pub(super) fn went(course: &Course) -> String {
    let Some(record) = &course.record else {
        return format!("it was not over in time, waiting for {}", course.waiting_for);
    };
    let word = record.outcome.as_str();
    record.cause.as_ref().map_or_else(|| word.into(), |cause| format!("{word}: {}", cause.text))
}
