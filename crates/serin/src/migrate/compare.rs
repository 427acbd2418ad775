//! `serin migrate compare`: the rows in which two tables of two databases differ.

use crate::cli::duration;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Line, Printer, Tone};
use crate::render::words::{percent, thousands};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serin_connect::{Address, Environment};
use serin_dual::compare::{
    self, Difference, Error, Hash, Kind, Limits, Progress, Report, Request, Values,
};
use std::time::Duration;

const HELP: &str = "\
Exit codes: 0 equal, 3 rows differ, 5 rows were being written all the time, 2 it cannot be compared
like this, 6 a pooler that shares sessions is in between, 7 a database cannot be reached. Only
reads; changes nothing.

Examples:
  SERIN_COMPARE_FROM=postgres://... SERIN_COMPARE_TO=postgres://... \\
    serin migrate compare --table shop.orders
  serin migrate compare --from ... --to ... --table orders --except updated_at --values";

/// What `serin migrate compare` is asked.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct CompareArgs {
    /// The database that is right; its password is better in the environment than here
    #[arg(long, env = "SERIN_COMPARE_FROM", hide_env_values = true, value_name = "URL")]
    from: String,
    /// The database that should be the same
    #[arg(long, env = "SERIN_COMPARE_TO", hide_env_values = true, value_name = "URL")]
    to: String,
    /// The table, as written in SQL
    #[arg(long, value_name = "TABLE")]
    table: String,
    /// Its name in the other database, where that differs
    #[arg(long, value_name = "TABLE")]
    to_table: Option<String>,
    /// Columns that identify a row [default: the primary key]
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    key: Vec<String>,
    /// Compare only these columns
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',', conflicts_with = "except")]
    columns: Vec<String>,
    /// Compare all columns but these
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    except: Vec<String>,
    /// Show the values that differ, not only their columns
    #[arg(long)]
    values: bool,
    /// Rows that are listed; the others are counted
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u16,
    /// Share of the time spent asking, the rest is paused
    #[arg(long, default_value = "0.5", value_parser = duty, value_name = "PART")]
    duty: f64,
    /// Rows a second at most
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    rate: Option<u32>,
    /// Pause before what differs is looked at again; doubled each time
    #[arg(long, default_value = "1s", value_parser = duration, value_name = "TIME")]
    again: Duration,
    /// How often what differs is looked at again
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=10),
          value_name = "N")]
    looks: u32,
    /// The hash; sha256 where the servers forbid MD5
    #[arg(long, value_enum, default_value_t = HashName::Md5, value_name = "NAME")]
    hash: HashName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HashName {
    Md5,
    Sha256,
}

fn duty(text: &str) -> Result<f64, String> {
    let duty = text.parse().ok().filter(|duty| (0.01..=1.0).contains(duty));
    duty.ok_or_else(|| "allowed are 0.01 to 1".to_owned())
}

#[derive(Serialize)]
struct CompareDocument<'a> {
    schema: &'static str,
    verdict: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

/// `serin migrate compare`.
pub fn compare(printer: &Printer, args: &CompareArgs) -> Result<Exit, Failure> {
    let report = crate::blocking(asked(printer, args))?.map_err(|error| failure(&error))?;
    let (exit, verdict) = verdict(&report);
    if printer.is_json() {
        let schema = "serin.migrate.compare/v1";
        printer.document(&CompareDocument { schema, verdict, report: &report });
    } else {
        say(printer, &report);
    }
    Ok(exit)
}

async fn asked(printer: &Printer, args: &CompareArgs) -> Result<Report, Error> {
    let from = compare::connect_at(&address(&args.from, "from")?, "from").await?;
    let to = compare::connect_at(&address(&args.to, "to")?, "to").await?;
    let mut live = printer.can_redraw(Channel::Err).then(|| printer.live(Channel::Err));
    let mut show = |progress: &Progress| {
        if let Some(live) = &mut live {
            live.draw(&[progress_line(progress)]);
        }
    };
    let report = compare::compare(&from, &to, &args.request(), &mut show).await;
    if let Some(live) = &mut live {
        live.clear();
    }
    report
}

fn address(text: &str, side: &'static str) -> Result<Address, Error> {
    let read = Address::parse_in(text, &Environment::of_process());
    read.map_err(|flaw| Error::Address { side, said: flaw.to_string() })
}

impl CompareArgs {
    fn request(&self) -> Request {
        Request {
            table: self.table.clone(),
            to_table: self.to_table.clone(),
            key: self.key.clone(),
            columns: self.columns.clone(),
            except: self.except.clone(),
            hash: match self.hash {
                HashName::Md5 => Hash::Md5,
                HashName::Sha256 => Hash::Sha256,
            },
            limits: Limits {
                duty: self.duty,
                rate: self.rate.map(f64::from),
                listed: self.limit.into(),
                again: self.again,
                looks: self.looks,
                ..Limits::default()
            },
            shows_values: self.values,
        }
    }
}

fn progress_line(progress: &Progress) -> Line {
    let Progress { rows, estimate, found, .. } = *progress;
    let share = percent(rows as f64 / estimate.max(1) as f64);
    let (rows, found) = (thousands(rows), thousands(found));
    Line::plain(format!("{rows} rows compared, about {share}; {found} differ so far"))
}

/// The code, and the word for programs.
fn verdict(report: &Report) -> (Exit, &'static str) {
    match report.differing() {
        0 if report.is_equal() => (Exit::Reached, "equal"),
        0 if report.complete => (Exit::TimedOut, "moving"),
        _ => (Exit::RolledBack, "different"),
    }
}

fn say(printer: &Printer, report: &Report) {
    for line in lines(report, printer) {
        printer.data(&line);
    }
    for note in &report.notes {
        printer.note(&Line::toned(Tone::Warn, "note").text(": ").text(note));
    }
}

fn lines(report: &Report, printer: &Printer) -> Vec<Line> {
    let mut lines = vec![head(report, printer), counts(report)];
    lines.extend(report.differences.iter().flat_map(difference));
    let told = report.differing() + report.moving;
    let more = told - report.differences.len() as u64;
    if more > 0 {
        let text = format!("  and {} more; --limit lists them", thousands(more));
        lines.push(Line::toned(Tone::Dim, text));
    }
    if !report.complete {
        let text = "  too many: the rest of the table was not compared";
        lines.push(Line::toned(Tone::Bad, text));
    }
    lines
}

fn head(report: &Report, printer: &Printer) -> Line {
    let glyphs = printer.glyphs();
    let (tone, glyph, word) = match verdict(report).1 {
        "equal" => (Tone::Good, glyphs.done, "equal"),
        "moving" => (Tone::Warn, glyphs.paused, "not known"),
        _ => (Tone::Bad, glyphs.failed, "different"),
    };
    Line::toned(tone, format!("{glyph} {word}")).text(format!("  {}", report.table))
}

fn counts(report: &Report) -> Line {
    let number = |n: u64, what: &str| (n > 0).then(|| format!("{} {what}", thousands(n)));
    let parts = [
        number(report.missing, "missing in the other"),
        number(report.extra, "only in the other"),
        number(report.different, "with other values"),
        number(report.moving, "written all the time"),
        number(report.caught_up, "equal at a second look"),
    ];
    let rows = if report.rows_from == report.rows_to {
        format!("{} rows", thousands(report.rows_from))
    } else {
        format!("{} and {} rows", thousands(report.rows_from), thousands(report.rows_to))
    };
    let (columns, key) = (report.columns, report.key.join(", "));
    let took = report.took.as_secs_f64();
    let first = format!("{rows}, {columns} columns, key {key}, {took:.1} s");
    let all: Vec<String> = std::iter::once(first).chain(parts.into_iter().flatten()).collect();
    Line::plain(format!("  {}", all.join("; ")))
}

fn difference(difference: &Difference) -> Vec<Line> {
    let word = match difference.kind {
        Kind::Missing => "missing",
        Kind::Extra => "extra",
        Kind::Different => "different",
        Kind::Moving => "moving",
    };
    let key = difference.key.iter().map(|(name, value)| format!("{name}={value}"));
    let key = key.collect::<Vec<_>>().join(" ");
    let head = Line::plain("  ").add(Tone::Bold, format!("{word:<9}")).text(format!("  {key}"));
    let columns = difference.columns.join(", ");
    let head = if columns.is_empty() { head } else { head.add(Tone::Dim, format!("  {columns}")) };
    let values = difference.values.iter().map(|(name, values)| value(name, values));
    std::iter::once(head).chain(values).collect()
}

fn value(name: &str, values: &Values) -> Line {
    let shown = |value: &Option<String>| match value {
        Some(text) => format!("{text:?}"),
        None => "null".to_owned(),
    };
    let (from, to) = (shown(&values.from), shown(&values.to));
    Line::plain(format!("               {name}: {from} became {to}"))
}

fn failure(error: &Error) -> Failure {
    let (exit, code) = match error {
        Error::Unreachable { .. } => (Exit::Unreachable, "unreachable"),
        Error::Tls { .. } => (Exit::Unreachable, "tls"),
        Error::Pooled { .. } => (Exit::Refused, "unfit-server"),
        Error::Database { .. } => (Exit::Internal, "database"),
        Error::NoTable { .. } => (Exit::Usage, "unknown-table"),
        Error::NoColumn { .. } | Error::Columns(_) => (Exit::Usage, "columns"),
        Error::NoKey | Error::NullKey { .. } | Error::NotUnique { .. } => (Exit::Usage, "key"),
        Error::Address { .. } => (Exit::Usage, "address"),
    };
    Failure::new(exit, code, error.to_string()).hint(
        "`serin migrate compare --help` has the options; docs/store-to-store.md has the reasons",
    )
}
