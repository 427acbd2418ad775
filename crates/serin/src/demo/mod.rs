//! `serin demo`: two versions of a small shop, real processes and real traffic; one of them is bad.

mod app;
mod follow;
mod load;
mod server;
mod shop;
mod story;
mod summary;
mod teller;

use crate::failure::Failure;
use crate::printer::Printer;
use server::{Kept, Server};
use std::process::ExitCode;
use story::Story;
use summary::Findings;
use teller::Teller;
use tokio::signal::unix::{SignalKind, signal};

/// What the demo can be told.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  serin demo --keep    then look around with `serin status`")]
pub struct DemoArgs {
    /// Leave everything running, and say how to reach and how to stop it
    #[arg(long)]
    pub keep: bool,
    /// The same number gives the same requests at the same moments
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Requests a second; with fewer, evidence takes longer
    #[arg(long, default_value_t = 400, value_name = "N",
        value_parser = clap::value_parser!(u32).range(100..=2000))]
    pub rate: u32,
}

/// The demo's child processes, `serin __demo-app`: its web app, or the users it leaves behind.
pub fn app_main() -> ExitCode {
    match std::env::var(load::TARGET) {
        Ok(target) => load::stay(&target),
        Err(_) => app::main(),
    }
}

/// Tells the story. The exit code is 0 only if it went as promised.
pub fn run(args: &DemoArgs, printer: &Printer) -> ExitCode {
    let broken = || Failure::internal("what was found could not be written to stdout");
    let told = stage(args, printer);
    match if printer.is_broken() { Err(broken()) } else { told } {
        Ok(code) => code,
        Err(failure) => {
            printer.failure(&failure);
            if printer.is_json() {
                printer.document(&failure.document());
            }
            failure.exit.into()
        }
    }
}

/// How the story was left.
enum Ending {
    Told(Box<Findings>),
    Failed(Failure),
    /// By a signal; the exit code it stands for.
    Interrupted(u8),
}

fn stage(args: &DemoArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::internal(format!("no runtime: {error}")))?;
    // Dropped last: whatever happens below, the server and its processes end with it.
    let mut server = None;
    let mut teller = Teller::new(printer);
    let ending = runtime.block_on(async {
        let interrupted = interrupted()?;
        let server = server.insert(Server::start(args.keep)?);
        Ok(tokio::select! {
            biased;
            code = interrupted => Ending::Interrupted(code),
            told = Story::new(args, server, &mut teller).tell() => match told {
                Ok(findings) => Ending::Told(Box::new(findings)),
                Err(failure) => Ending::Failed(failure),
            }
        })
    })?;
    teller.clear();
    let server = server.ok_or_else(|| Failure::internal("the demo has no server"))?;
    end(ending, server, args, &mut teller)
}

fn end(
    ending: Ending,
    server: Server,
    args: &DemoArgs,
    teller: &mut Teller<'_>,
) -> Result<ExitCode, Failure> {
    match ending {
        Ending::Interrupted(code) => {
            server.stop()?;
            teller.say("Stopped", "everything the demo had started has ended");
            Ok(ExitCode::from(code))
        }
        Ending::Failed(failure) => {
            let detail = failure.detail.clone().or_else(|| server.last_words());
            // The first failure is the one to report.
            let _ = server.stop();
            Err(Failure { detail, ..failure })
        }
        Ending::Told(findings) => {
            let kept = leave(server, args)?;
            Ok(summary::show(&findings, kept.as_ref(), teller.printer()))
        }
    }
}

fn leave(server: Server, args: &DemoArgs) -> Result<Option<Kept>, Failure> {
    if args.keep { server.keep(args).map(Some) } else { server.stop().map(|()| None) }
}

/// Done at Ctrl-C (130) or when somebody else ends the demo (128 and the signal's number).
fn interrupted() -> Result<impl Future<Output = u8>, Failure> {
    let watch = |kind| {
        signal(kind).map_err(|error| Failure::internal(format!("cannot watch signals: {error}")))
    };
    let mut interrupt = watch(SignalKind::interrupt())?;
    let mut terminate = watch(SignalKind::terminate())?;
    let mut hang_up = watch(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
            _ = hang_up.recv() => 129,
        }
    })
}
