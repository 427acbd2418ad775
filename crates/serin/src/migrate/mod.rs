//! `serin migrate`: schema migrations of Postgres, with nothing but the address of a database.

mod adopt;
mod args;
mod chosen;
mod compare;
mod export;
mod follow;
mod inspected;
mod lint;
mod look;
mod order;
mod plan;
mod render;
mod run;
mod service;
mod source;
mod steer;
mod target;

pub use args::MigrateArgs;

use crate::cli::Global;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use args::{ContractArgs, MigrateVerb};

/// `serin migrate`.
pub fn migrate(global: &Global, printer: &Printer, args: MigrateArgs) -> Result<Exit, Failure> {
    match args.verb {
        MigrateVerb::Contract(ContractArgs { service: Some(service), go }) => {
            let context = Context::new(global, printer)?;
            crate::waited(service::contract(&context, &service, &go))
        }
        MigrateVerb::Export(args) => export::export(printer, &args),
        MigrateVerb::Compare(args) => compare::compare(printer, &args),
        verb => crate::waited(asked(printer, verb)),
    }
}

async fn asked(printer: &Printer, verb: MigrateVerb) -> Result<Exit, Failure> {
    match verb {
        MigrateVerb::Lint(args) => lint::lint(printer, args).await,
        MigrateVerb::Plan(args) => plan::plan(printer, args).await,
        MigrateVerb::Start(args) => run::start(printer, args).await,
        MigrateVerb::Resume(args) => run::resume(printer, args).await,
        MigrateVerb::Contract(args) => run::contract(printer, args.go).await,
        MigrateVerb::Rollback(args) => run::rollback(printer, args).await,
        MigrateVerb::Status(target) => look::status(printer, &target).await,
        MigrateVerb::History(target) => look::history(printer, &target).await,
        MigrateVerb::Pause(target) => steer::pause(printer, &target).await,
        MigrateVerb::Rate(args) => steer::rate(printer, &args).await,
        MigrateVerb::Clean(target) => steer::clean(printer, &target).await,
        MigrateVerb::AdoptPgroll(target) => adopt::adopt(printer, &target).await,
        MigrateVerb::Export(_) | MigrateVerb::Compare(_) => {
            Err(Failure::internal("this verb needs no database"))
        }
    }
}
