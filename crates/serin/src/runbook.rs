//! `serin runbook`: the page for the day a version is bad.

use crate::cli::RunbookArgs;
use crate::context::{Context, path_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Line;
use crate::render;
use serin_server::api::view::Runbook;
use std::path::Path;

/// `serin runbook`.
pub async fn runbook(context: &Context<'_>, args: RunbookArgs) -> Result<Exit, Failure> {
    let service = context.service(args.service).await?;
    let contacts = args.contacts.as_deref().map(read).transpose()?;
    let document = context.client.document(&path_of(&service, "/runbook")).await?;
    let page = render::runbook(&document.read::<Runbook>()?, contacts.as_deref());
    if let Some(path) = &args.output {
        write(path, &page)?;
        let text = format!("{service}: {} is written", path.display());
        context.printer.note(&Line::plain(text));
    }
    match (context.printer.is_json(), &args.output) {
        (true, _) => context.printer.pass(&document),
        (false, None) => context.printer.data_text(&page),
        (false, Some(_)) => {}
    }
    Ok(Exit::Reached)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read `{}`: {error}", path.display());
        Failure::usage("unreadable-file", message).hint("name a text file with --contacts")
    })
}

/// Whole or not at all: a half page is worse than an old one.
fn write(path: &Path, page: &str) -> Result<(), Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = std::fs::write(&part, page).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|error| {
        let message = format!("cannot write `{}`: {error}", path.display());
        Failure::usage("unwritable-file", message).hint("name a file in a directory you may write")
    })
}
