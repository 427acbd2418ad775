//! `serin flag`: feature flags, with a server and without.

mod args;
mod carry;
mod change;
mod eval;
mod look;
mod offline;
mod people;
mod render;
mod retire;
mod rollout;
mod scan;
mod set;
mod stale;

pub use args::FlagArgs;

use crate::cli::Global;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use args::FlagVerb;

/// `serin flag`.
pub fn flag(global: &Global, printer: &Printer, args: FlagArgs) -> Result<Exit, Failure> {
    match args.verb {
        FlagVerb::Eval(args) => eval::eval(printer, &args),
        FlagVerb::Scan(args) if args.flags.is_some() => offline::scan(printer, &args),
        verb => {
            let context = Context::new(global, printer)?;
            crate::waited(asked(&context, verb))
        }
    }
}

async fn asked(context: &Context<'_>, verb: FlagVerb) -> Result<Exit, Failure> {
    match verb {
        FlagVerb::List(args) => look::list(context, args).await,
        FlagVerb::Get(args) => look::get(context, args).await,
        FlagVerb::Set(args) => set::set(context, *args).await,
        FlagVerb::On(args) => change::verb(context, "on", args).await,
        FlagVerb::Off(args) => change::verb(context, "off", args).await,
        FlagVerb::Disable(args) => change::verb(context, "disable", args).await,
        FlagVerb::Kill(args) => change::kill(context, args).await,
        FlagVerb::Rollout(args) => rollout::rollout(context, *args).await,
        FlagVerb::History(args) => look::history(context, args).await,
        FlagVerb::Restore(args) => change::restore(context, args).await,
        FlagVerb::Pending(args) => people::pending(context, args).await,
        FlagVerb::Approve(args) => {
            people::answer(context, args.request, "approve", args.why.reason).await
        }
        FlagVerb::Reject(args) => {
            people::answer(context, args.request, "reject", args.why.reason).await
        }
        FlagVerb::Retire(args) => retire::retire(context, args).await,
        FlagVerb::Archive(args) => change::archive(context, args).await,
        FlagVerb::Sets(args) => look::sets(context, args).await,
        FlagVerb::Explain(args) => carry::explain(context, args).await,
        FlagVerb::Schedule(args) => carry::schedule(context, args).await,
        FlagVerb::Test(args) => carry::test(context, args).await,
        FlagVerb::Export(args) => carry::export(context, args).await,
        FlagVerb::Import(args) => carry::import(context, args).await,
        FlagVerb::Token(args) => carry::token(context, args).await,
        FlagVerb::Stale(args) => stale::stale(context, args).await,
        FlagVerb::Ops(args) => stale::ops(context, args).await,
        FlagVerb::Scan(args) => {
            let flags = look::all(context, &args.set.set).await?;
            let keys = flags.flags.into_iter().map(|flag| flag.key).collect();
            offline::scan_for(context.printer, &args, &keys)
        }
        FlagVerb::Eval(_) => Err(Failure::internal("this verb needs no server")),
    }
}
