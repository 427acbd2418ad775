//! `serin-hostile [--runs N] [--only NAME,..] [--version NAME] [--services N] [--horizon SECONDS]
//! [--out FILE] [--notes]`: measures the judge under hostile conditions.

use anyhow::{Context as _, Result, bail};
use serin_hostile::bench::{self, Effort};
use serin_hostile::condition::{self, Condition, Version};
use serin_hostile::run::Terms;
use serin_hostile::spec::ALPHA;
use serin_hostile::{plane, table};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

struct Options {
    effort: Effort,
    conditions: Vec<Condition>,
    versions: Vec<Version>,
    out: Option<PathBuf>,
    notes: bool,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.as_slice() {
        [word, folder] if word == plane::WORD => plane::be(Path::new(folder)),
        words => parse(words).and_then(|options| run(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse(words: &[String]) -> Result<Options> {
    let (prelude, horizon) = (Duration::from_secs(4), Duration::from_secs(36));
    let terms = Terms { alpha: ALPHA, prelude, horizon };
    let mut options = Options {
        effort: Effort { runs: 200, services: 70, terms },
        conditions: condition::all(),
        versions: vec![Version::Same, Version::Border, Version::Harmful],
        out: None,
        notes: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--runs" => options.effort.runs = value()?.parse()?,
            "--services" => options.effort.services = value()?.parse()?,
            "--horizon" => options.effort.terms.horizon = Duration::from_secs(value()?.parse()?),
            "--only" => options.conditions = named(value()?)?,
            "--version" => {
                let word = value()?;
                options.versions.retain(|version| version.word() == word);
            }
            "--out" => options.out = Some(PathBuf::from(value()?)),
            "--notes" => options.notes = true,
            _ => bail!("no such option: `{word}`"),
        }
    }
    Ok(options)
}

fn named(names: &str) -> Result<Vec<Condition>> {
    let known = || condition::all().iter().map(|c| c.name).collect::<Vec<_>>().join(", ");
    let named = |name| condition::named(name);
    let find = |name| named(name).with_context(|| format!("no `{name}`; there are {}", known()));
    names.split(',').map(find).collect()
}

fn run(options: &Options) -> Result<()> {
    raise_descriptor_limit();
    let (start, before) = (Instant::now(), cpu_s());
    let program = std::env::current_exe()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = bench::measure(&options.conditions, &options.versions, options.effort, &program);
    let (cells, broken) = runtime.block_on(measured)?;
    let mut table = table::empty();
    for cell in &cells {
        cell.row(&mut table);
    }
    println!("{}", table.text());
    if options.notes {
        let notes: Vec<String> = cells.iter().map(table::Cell::notes).collect();
        println!("{}\n", notes.join("\n"));
    }
    let time = start.elapsed().as_secs_f64();
    eprintln!(
        "{time:.0} s, {:.2} cores in clients, instances and engines",
        (cpu_s() - before) / time
    );
    if let Some(out) = &options.out {
        std::fs::write(out, table.csv()).with_context(|| out.display().to_string())?;
    }
    match broken {
        0 => Ok(()),
        broken => bail!("{broken} runs broke off and are in no row; the causes are above"),
    }
}

/// Each connection takes some.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Refused, a run breaks off and says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Processor time this process and its ended children have used.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(4).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
