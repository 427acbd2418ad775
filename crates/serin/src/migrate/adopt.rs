//! `serin migrate adopt-pgroll`.

use super::args::Target;
use super::target::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Printer, Tone};
use crate::render::words::count;
use serde::Serialize;
use serin_migrate::{Adopted, adopt_pgroll};

#[derive(Serialize)]
struct AdoptDocument<'a> {
    schema: &'static str,
    #[serde(flatten)]
    adopted: &'a Adopted,
}

/// `serin migrate adopt-pgroll`.
pub async fn adopt(printer: &Printer, target: &Target) -> Result<Exit, Failure> {
    let named = target.named()?;
    let adopted = adopt_pgroll(&named.runner).await.map_err(failed)?;
    if printer.is_json() {
        let schema = "serin.migrate.adopt/v1";
        printer.document(&AdoptDocument { schema, adopted: &adopted });
        return Ok(Exit::Reached);
    }
    let migrations = count(adopted.names.len() as u64, "migration");
    let last = adopted.names.last().map_or("", String::as_str);
    let views = adopted.view.as_ref().map_or_else(
        || "no views are in use".to_owned(),
        |view| format!("clients use the views of {view}"),
    );
    let done = Line::toned(Tone::Good, printer.glyphs().done);
    printer.data(&done.text(format!(" adopted {migrations} up to `{last}`; {views}")));
    let text = "do not use pgroll on this schema any more; next: `serin migrate start`";
    printer.note(&Line::plain(text));
    Ok(Exit::Reached)
}
