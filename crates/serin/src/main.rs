//! The `serin` binary: the command line, and every process that `serin serve` consists of.
//!
//! A verb is read (`cli`), asks the server (`client`), and what comes back is turned to lines
//! (`render`) that one module writes (`printer`). How it ended is one of the codes in `exit`.

mod analysis;
mod check;
mod cli;
mod client;
mod context;
mod demo;
mod drill;
mod exit;
mod failure;
mod file;
mod flag;
mod flags_edge;
mod follow;
mod gc;
mod info;
mod look;
mod migrate;
mod misuse;
mod notify;
mod power;
mod presets;
mod printer;
mod render;
mod runbook;
mod serve;
mod ship;
mod size;
mod stats;
mod token;
mod who;

use cli::{Cli, Verb};
use context::Context;
use exit::Exit;
use failure::Failure;
use printer::Printer;
use std::ffi::OsString;
use std::pin::Pin;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    match words.get(1).and_then(|word| word.to_str()) {
        Some("__exec") => serin_keeper::exec_main(),
        Some("__control") => serve::control_main(&words),
        Some("__proxy") => serve::proxy_main(&words),
        Some("__drill-app") => drill::app_main(&words),
        Some("__demo-app") => demo::app_main(),
        _ => command(&words),
    }
}

fn command(words: &[OsString]) -> ExitCode {
    match cli::parse(words) {
        Ok(Cli { global, verb: Verb::Demo(args) }) => {
            demo::run(&args, &Printer::new(global.settings()))
        }
        Ok(cli) => run(cli).into(),
        Err(error) => misuse::say(words, &error).into(),
    }
}

fn run(cli: Cli) -> Exit {
    let Cli { global, verb } = cli;
    let printer = Printer::new(global.settings());
    let result = match verb {
        Verb::Serve(args) => {
            let result = serve::serve(&global, Printer::new(global.settings()), &args);
            return ended(&printer, result);
        }
        Verb::Check(args) => check::check(&printer, &args),
        Verb::FlagsEdge(args) => flags_edge::run(&printer, &args),
        Verb::Stats(args) => stats::stats(&printer, &args),
        Verb::Help(args) => info::help(&printer, &args),
        Verb::Presets(args) => presets::show(&printer, &args),
        Verb::Flag(args) => flag::flag(&global, &printer, *args),
        Verb::Migrate(args) => migrate::migrate(&global, &printer, *args),
        Verb::Docs => Ok(info::docs(&printer)),
        Verb::Version => Ok(info::version(&printer)),
        Verb::Completions(args) => Ok(info::completions(&printer, &args)),
        verb => Context::new(&global, &printer).and_then(|context| with_server(&context, verb)),
    };
    ended(&printer, result)
}

fn with_server(context: &Context<'_>, verb: Verb) -> Result<Exit, Failure> {
    waited(asked(context, verb))
}

/// Waits for what asks a server.
fn waited(answer: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    blocking(answer)?
}

/// Waits for anything, in a runtime of its own.
fn blocking<'a, T: 'a>(answer: impl Future<Output = T> + 'a) -> Result<T, Failure> {
    // Behind a pointer its code is built once, not once for each kind of runtime.
    let answer: Pin<Box<dyn Future<Output = T> + 'a>> = Box::pin(answer);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::internal(format!("cannot start a runtime: {error}")))?;
    Ok(runtime.block_on(answer))
}

async fn asked(context: &Context<'_>, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Plan(args) => look::plan(context, args).await,
        Verb::Apply(args) => ship::apply(context, args).await,
        Verb::Deploy(args) => ship::deploy(context, args).await,
        Verb::Promote(args) => ship::promote(context, args).await,
        Verb::Pause(args) => ship::hold(context, "pause", args).await,
        Verb::Resume(args) => ship::hold(context, "resume", args).await,
        Verb::Abort(args) => ship::abort(context, args).await,
        Verb::Rollback(args) => ship::rollback(context, args).await,
        Verb::Retry(args) => ship::retry(context, args).await,
        Verb::Approve(args) => ship::approve(context, args).await,
        Verb::Release(args) => ship::release(context, args).await,
        Verb::Mark(args) => ship::mark(context, args).await,
        Verb::Drill(args) => drill::drill(context, args).await,
        Verb::Gc(args) => gc::gc(context, args).await,
        Verb::Token(args) => token::token(context, args).await,
        Verb::Notify(args) => notify::notify(context, args).await,
        Verb::Runbook(args) => runbook::runbook(context, args).await,
        Verb::Remove(args) => ship::remove(context, args).await,
        Verb::Wait(args) => ship::wait(context, args).await,
        Verb::Status(args) => look::status(context, args.service).await,
        Verb::Watch(args) => ship::watch(context, args.service).await,
        Verb::Explain(args) => look::explain(context, args.service).await,
        Verb::History(args) => look::history(context, args.service).await,
        Verb::Logs(args) => look::logs(context, args).await,
        Verb::Analysis(args) => analysis::analysis(context, args).await,
        Verb::Serve(_)
        | Verb::Demo(_)
        | Verb::FlagsEdge(_)
        | Verb::Check(_)
        | Verb::Stats(_)
        | Verb::Presets(_)
        | Verb::Flag(_)
        | Verb::Migrate(_)
        | Verb::Help(_)
        | Verb::Docs
        | Verb::Version
        | Verb::Completions(_) => Err(Failure::internal("this verb needs no server")),
    }
}

/// Prints why a command failed, once, and turns the end to its code.
fn ended(printer: &Printer, result: Result<Exit, Failure>) -> Exit {
    let broken = || Failure::internal("what was asked for could not be written to stdout");
    let result = if printer.is_broken() { Err(broken()) } else { result };
    result.unwrap_or_else(|failure| {
        printer.failure(&failure);
        if printer.is_json() {
            printer.document(&failure.document());
        }
        failure.exit
    })
}
