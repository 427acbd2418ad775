//! `serin flag scan`: a checkout against the flags there are.

use super::args::ScanArgs;
use super::eval;
use super::scan::{Mention, Scan};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Line, Printer, Tone};
use crate::render::Frame;
use crate::render::table::Table;
use serde::Serialize;
use serin_flags::Bucketing;
use std::collections::BTreeSet;

#[derive(Serialize)]
struct ScanDocument<'a> {
    schema: &'static str,
    path: String,
    flags: usize,
    #[serde(flatten)]
    scan: &'a Scan,
}

/// `serin flag scan` with the keys of a file.
pub fn scan(printer: &Printer, args: &ScanArgs) -> Result<Exit, Failure> {
    let Some(file) = &args.flags else {
        return Err(Failure::internal("no file of flags is named"));
    };
    let set = eval::read_set(file, Bucketing::V3)?;
    let keys = set.flags().iter().map(|flag| flag.key().to_owned()).collect();
    scan_for(printer, args, &keys)
}

/// `serin flag scan` with known keys.
pub fn scan_for(
    printer: &Printer,
    args: &ScanArgs,
    keys: &BTreeSet<String>,
) -> Result<Exit, Failure> {
    let keys = match &args.flag {
        None => keys.clone(),
        Some(key) => BTreeSet::from([known(key, keys)?]),
    };
    let mut scan = Scan::of(&args.path, &keys)?;
    if args.flag.is_some() {
        // Only one key was looked for: the others are not unknown.
        scan.unknown.clear();
    }
    if printer.is_json() {
        let (schema, path) = ("serin.flag-scan/v1", args.path.display().to_string());
        printer.document(&ScanDocument { schema, path, flags: keys.len(), scan: &scan });
    } else {
        lines(printer, &scan, args.flag.is_some());
    }
    let strict = args.strict && !scan.unreferenced.is_empty();
    let bad = !scan.unknown.is_empty() || strict;
    Ok(if bad { Exit::Usage } else { Exit::Reached })
}

fn known(key: &str, keys: &BTreeSet<String>) -> Result<String, Failure> {
    keys.get(key).cloned().ok_or_else(|| {
        let names: Vec<_> = keys.iter().map(String::as_str).collect();
        let hint = crate::misuse::nearest(key, &names);
        let hint = hint.map_or("`serin flag list` lists them".into(), |near| {
            format!("did you mean `{near}`?")
        });
        Failure::usage("unknown-flag", format!("there is no flag `{key}`")).hint(hint)
    })
}

fn lines(printer: &Printer, scan: &Scan, every: bool) {
    let frame = Frame::of(printer, Channel::Out);
    let mut table = Table::new(&["FLAG", "WHERE", "OWNER", "WHAT"], &[]);
    for mention in &scan.unknown {
        let call = mention.call.as_deref().unwrap_or_default();
        table.row(row(mention, Line::toned(Tone::Bad, format!("unknown, in {call}"))));
    }
    for mention in scan.references.iter().filter(|_| every) {
        table.row(row(mention, Line::plain(mention.kind.as_str())));
    }
    if every || !scan.unknown.is_empty() {
        table.lines(&frame, "").iter().for_each(|line| printer.data(line));
    }
    for key in &scan.unreferenced {
        printer.data(&Line::toned(Tone::Bold, key).text(": no code mentions it"));
    }
    let (known, files) = (scan.counts.len(), scan.files);
    let (unknown, zero) = (scan.unknown.len(), scan.unreferenced.len());
    printer.note(&Line::plain(format!(
        "{files} files, {known} flags: {unknown} unknown in code, {zero} that no code mentions"
    )));
}

fn row(mention: &Mention, what: Line) -> Vec<Line> {
    let place = format!("{}:{}:{}", mention.file, mention.line, mention.column);
    let owner = mention.owner.as_deref().unwrap_or_default();
    vec![Line::toned(Tone::Bold, &mention.flag), Line::plain(place), Line::plain(owner), what]
}
