//! Migrations that belong to a service: the server does the work, and knows what runs.

use super::args::GoArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use crate::who::actor;
use serin_core::{MigrationPhase, OpenMigration};
use serin_server::api::view::{ServiceView, VerbRequest};
use std::time::{Duration, Instant};

/// Time between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(500);

/// What became of a contract.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The server says that it is done.
    Done,
    /// It is at it.
    Goes,
    /// Something spoke against it: both shapes stay.
    Refused(String),
    /// A way back stopped it.
    Stopped,
    /// The migration is not open any more, and nobody says that its contract is done.
    Gone,
}

/// `serin migrate contract SERVICE`: drops the old shape, and stays until it is gone or refused.
pub async fn contract(
    context: &Context<'_>,
    service: &str,
    args: &GoArgs,
) -> Result<Exit, Failure> {
    let request = VerbRequest {
        actor: Some(actor()),
        override_reason: args.r#override.clone(),
        backup: args.backup.clone(),
        ..VerbRequest::default()
    };
    let until = args.stay.timeout.map(|time| Instant::now() + time);
    // Looked up before: once it is done the server does not tell which one was asked for. Without
    // one, the server says why not.
    let named = |view: &ServiceView| view.migration.as_ref().map(|open| open.name.clone());
    let before = named(&context.view(service).await?);
    let path = format!("/api/v1/services/{service}:contract");
    let mut view: ServiceView = context.client.submit(&path, &request).await?.read()?;
    let name = before.or_else(|| named(&view)).unwrap_or_default();
    loop {
        match seen(&name, view.migration.as_ref(), view.contracted.as_deref()) {
            Seen::Done => return Ok(done(context, service)),
            Seen::Goes => {}
            other => return Err(failure(&name, other)),
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Exit::TimedOut);
        }
        tokio::time::sleep(LOOK).await;
        view = context.view(service).await?;
    }
}

/// From the migration that is open, if one is, and the last that was contracted.
fn seen(name: &str, open: Option<&OpenMigration>, contracted: Option<&str>) -> Seen {
    if contracted == Some(name) {
        return Seen::Done;
    }
    // The next one may have begun already.
    let Some(open) = open.filter(|open| open.name == name) else { return Seen::Gone };
    match open.phase {
        MigrationPhase::Contracting { .. } => Seen::Goes,
        // What refuses it says why; what stops it does not.
        MigrationPhase::Promoted { .. } => {
            open.stopped.clone().map_or(Seen::Stopped, Seen::Refused)
        }
        _ => Seen::Stopped,
    }
}

fn failure(name: &str, seen: Seen) -> Failure {
    let refused = |code: &'static str, text: String| Failure::new(Exit::Refused, code, text);
    match seen {
        Seen::Refused(why) if why.contains("name the backup") => refused("refused", why)
            .hint("name it: `--backup 'nightly of 3 May'`, or `--backup 'none: test data'`"),
        Seen::Refused(why) => {
            refused("refused", why).hint("set aside what can be with `--override REASON`, or wait")
        }
        Seen::Stopped => refused("stopped", "the contract was stopped, for a way back".into())
            .hint("see `serin status`"),
        _ => refused(
            "gone",
            format!("migration {name} is not open any more, and was not contracted"),
        )
        .hint("see `serin history`: it was taken back, or goes on by itself"),
    }
}

fn done(context: &Context<'_>, service: &str) -> Exit {
    if !context.printer.is_json() {
        let line = Line::toned(Tone::Bold, service);
        context.printer.data(&line.text(": only the new shape is left"));
    }
    Exit::Reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_core::{Actor, ContractSay, DatabaseSpec, EnvValue, Millis, Timestamp};

    fn open(name: &str, phase: MigrationPhase, stopped: Option<&str>) -> OpenMigration {
        let database = DatabaseSpec {
            url: EnvValue::FromEnv("DATABASE_URL".into()),
            schema: "public".into(),
            inject: serin_core::Inject::default(),
            migration: None,
            view: None,
        };
        OpenMigration {
            rollout: 1,
            revision: "v2@0123456789ab".parse().unwrap(),
            name: name.into(),
            database,
            view: None,
            phase,
            since: Timestamp(0),
            progress: None,
            stopped: stopped.map(str::to_owned),
            after: Millis(0),
            by_hand: true,
            retry_at: None,
            doubt: None,
        }
    }

    #[test]
    fn only_what_the_server_calls_done_is_done() {
        let (promoted, at) = (Timestamp(0), Timestamp(0));
        let say = || ContractSay { by: Actor("ann".into()), override_reason: None, backup: None };
        let goes = || MigrationPhase::Contracting { say: say(), promoted };
        let halts = MigrationPhase::Halting { say: say(), promoted };
        let rests = || MigrationPhase::Promoted { at };
        let cases = [
            (None, Some("01"), Seen::Done),
            (Some(open("02", MigrationPhase::Forward, None)), Some("01"), Seen::Done),
            (Some(open("01", goes(), None)), None, Seen::Goes),
            (Some(open("01", goes(), Some("locked"))), Some("00"), Seen::Goes),
            (Some(open("01", rests(), Some("why"))), None, Seen::Refused("why".into())),
            (Some(open("01", rests(), None)), Some("00"), Seen::Stopped),
            (Some(open("01", halts, None)), None, Seen::Stopped),
            (Some(open("01", MigrationPhase::Back, None)), None, Seen::Stopped),
            (None, None, Seen::Gone),
            (None, Some("00"), Seen::Gone),
            (Some(open("02", goes(), None)), Some("00"), Seen::Gone),
        ];
        for (open, contracted, wanted) in cases {
            let phase = open.as_ref().map(|open| format!("{} {:?}", open.name, open.phase));
            assert_eq!(seen("01", open.as_ref(), contracted), wanted, "{phase:?} {contracted:?}");
        }
        assert_eq!(seen("", None, None), Seen::Gone);
    }
}
