//! `serin analysis`: what a rollout was judged by.

use crate::client::Pieces;
use crate::context::{Context, path_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Line;
use crate::render::words::count;
use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::json;
use serin_server::api::view::History;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// What `serin analysis` is asked.
#[derive(Debug, Args)]
pub struct AnalysisArgs {
    #[command(subcommand)]
    pub verb: AnalysisVerb,
}

/// The parts of it.
#[derive(Debug, Subcommand)]
pub enum AnalysisVerb {
    /// All counts that the judge of a rollout was given, as JSON lines
    Export(ExportArgs),
}

/// What `serin analysis export` is asked.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin analysis export shop | serin stats judge -")]
pub struct ExportArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// Number of the rollout, as in `serin history` [default: the one under way, or the last
    /// that was judged]
    #[arg(long, value_name = "N")]
    pub rollout: Option<u64>,
    /// The file to write [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `serin analysis`.
pub async fn analysis(context: &Context<'_>, args: AnalysisArgs) -> Result<Exit, Failure> {
    match args.verb {
        AnalysisVerb::Export(args) => export(context, args).await,
    }
}

async fn export(context: &Context<'_>, args: ExportArgs) -> Result<Exit, Failure> {
    let service = context.moving_service(args.service).await?;
    let rollout = match args.rollout {
        Some(id) => id,
        None => newest(context, &service).await?,
    };
    let path = path_of(&service, &format!("/rollouts/{rollout}/ticks"));
    let pieces = context.client.pieces(&path).await?;
    let Some(file) = args.output else {
        let mut out = context.printer.lines();
        let seen = copy(pieces, |piece| out.text(piece)).await?;
        drop(out);
        note(context, &service, rollout, &seen);
        return Ok(Exit::Reached);
    };
    let seen = to_file(pieces, &file).await?;
    if context.printer.is_json() {
        context.printer.document(&json!({ "schema": "serin.export/v1", "service": service,
            "rollout": rollout, "file": file, "lines": seen.lines }));
    }
    note(context, &service, rollout, &seen);
    Ok(Exit::Reached)
}

/// The rollout under way, or the last that was judged, or the last.
async fn newest(context: &Context<'_>, service: &str) -> Result<u64, Failure> {
    if let Some(rollout) = context.view(service).await?.rollout {
        return Ok(rollout.id);
    }
    let history: History = context.client.get(&path_of(service, "/history")).await?;
    let judged = history.rollouts.iter().find(|record| record.assessment.is_some());
    judged.or(history.rollouts.first()).map(|record| record.id).ok_or_else(|| {
        Failure::usage("no-rollout", format!("{service} had no rollout yet"))
            .hint("deploy something first: `serin deploy`")
    })
}

/// What went through.
#[derive(Default)]
struct Seen {
    lines: u64,
    /// How the last line begins.
    last: Vec<u8>,
    is_open: bool,
}

/// Bytes of a line that tell what it is.
const TELLING: usize = 200;

impl Seen {
    fn add(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|b| *b == b'\n') {
            if !self.is_open {
                self.last.clear();
                self.lines += 1;
            }
            let room = TELLING.saturating_sub(self.last.len()).min(part.len());
            self.last.extend_from_slice(&part[..room]);
            self.is_open = !part.ends_with(b"\n");
        }
    }

    /// Since when the ticks are kept no longer, ms of Unix time, when the last line says so.
    fn gone_since(&self) -> Option<i64> {
        let last = String::from_utf8_lossy(&self.last).into_owned();
        let (_, rest) = last.split_once("\"gone_since\":")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// Whether the last line is the one that ends an export.
    fn is_whole(&self) -> bool {
        !self.is_open && String::from_utf8_lossy(&self.last).contains("\"recorded\":")
    }
}

async fn copy(mut from: Pieces, mut to: impl FnMut(&Bytes)) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    while let Some(piece) = from.next().await? {
        seen.add(&piece);
        to(&piece);
    }
    if seen.is_whole() {
        return Ok(seen);
    }
    let message = format!("the export broke off after {}", count(seen.lines, "line"));
    Err(Failure::new(Exit::Unreachable, "connection-lost", message).hint("ask again"))
}

/// Under another name until it is whole, so that nobody takes a part for all of it.
async fn to_file(from: Pieces, path: &Path) -> Result<Seen, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage("unwritable-file", format!("cannot write `{}`: {error}", path.display()))
            .hint("name a file in a directory that is there and yours")
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = BufWriter::new(File::create(&part).map_err(failed)?);
    let mut written = Ok(());
    let copied = copy(from, |piece| {
        if written.is_ok() {
            written = file.write_all(piece);
        }
    })
    .await;
    let done = written.and_then(|()| file.flush());
    let seen = copied.and_then(|seen| done.map(|()| seen).map_err(failed));
    let seen = seen.and_then(|seen| std::fs::rename(&part, path).map(|()| seen).map_err(failed));
    if seen.is_err() {
        // What is left of it is of no use; that it stays is said by its name.
        let _ = std::fs::remove_file(&part);
    }
    seen
}

fn note(context: &Context<'_>, service: &str, rollout: u64, seen: &Seen) {
    let judged = seen.lines.saturating_sub(2);
    let text = if let Some(at) = seen.gone_since() {
        let since =
            jiff::Timestamp::from_millisecond(at).map_or(String::new(), |at| at.to_string());
        format!(
            "the counts of rollout {rollout} of {service} are gone since {since}: those of the last \
             20 rollouts are kept; its verdict stays in the last line and in `serin history`"
        )
    } else if seen.lines < 2 {
        format!("rollout {rollout} of {service} was not judged: there is nothing to export")
    } else {
        format!("rollout {rollout} of {service}: {}", count(judged, "record"))
    };
    context.printer.note(&Line::plain(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_says_that_its_counts_are_gone() {
        let mut seen = Seen::default();
        seen.add(
            b"{\"run\":\"a/1\",\"recorded\":{\"gone_since\":1700000000000,\"verdict\":null}}\n",
        );
        assert!(seen.is_whole());
        assert_eq!(seen.gone_since(), Some(1_700_000_000_000));
        assert_eq!(Seen::default().gone_since(), None);
    }

    #[test]
    fn an_export_is_whole_when_its_last_line_is_there() {
        let text =
            b"{\"run\":\"a/1\",\"settings\":{}}\n{\"t\":1}\n{\"run\":\"a/1\",\"recorded\":{}}\n";
        for size in [1, 5, text.len()] {
            let mut seen = Seen::default();
            for (at, piece) in text.chunks(size).enumerate() {
                let all = (at + 1) * size >= text.len();
                seen.add(piece);
                assert_eq!(seen.is_whole(), all, "{size} {at}");
            }
            assert_eq!(seen.lines, 3);
        }
    }
}
