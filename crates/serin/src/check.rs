//! `serin check`: all errors of a file, without a server.

use crate::cli::CheckArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::file::File;
use crate::printer::{Channel, Line, Printer, Tone};
use serde::Serialize;
use serin_server::{contracts_that_wait, has, read_migrations};
use serin_spec::{Problem, Problems, environment_problems};

#[derive(Serialize)]
struct CheckDocument<'a> {
    schema: &'static str,
    file: &'a str,
    services: &'a [String],
    problems: &'a [Problem],
}

/// Reads the file and looks at this machine: does the command exist, the directory, the files.
pub fn check(printer: &Printer, args: &CheckArgs) -> Result<Exit, Failure> {
    let file = File::read(args.file())?;
    let (services, mut problems) = match serin_spec::load(&file.source()) {
        Err(problems) => (Vec::new(), problems),
        Ok(mut loaded) => {
            let variable = |name: &str| std::env::var(name).ok();
            let mut problems = loaded.warnings;
            problems.extend(read_migrations(&mut loaded.services));
            problems.extend(contracts_that_wait(&loaded.services));
            problems.extend(environment_problems(&loaded.services, has, variable));
            let names = loaded.services.iter().map(|service| service.value.name.to_string());
            (names.collect(), Problems(problems))
        }
    };
    problems.0.sort_by_key(|problem| (problem.line, problem.column));
    if printer.is_json() {
        let schema = "serin.check/v1";
        let problems = &problems.0;
        printer.document(&CheckDocument {
            schema,
            file: &file.name,
            services: &services,
            problems,
        });
    } else {
        say(printer, &file, &services, &problems);
    }
    Ok(if problems.has_errors() { Exit::Usage } else { Exit::Reached })
}

fn say(printer: &Printer, file: &File, services: &[String], problems: &Problems) {
    if !problems.0.is_empty() {
        printer.alarm_text(&problems.render(&file.source(), printer.has_color(Channel::Err)));
    }
    if problems.has_errors() {
        let failure = file.failure(problems, false);
        printer.alarm(&Line::new());
        printer.alarm(&Line::toned(Tone::Bad, "error").text(": ").text(failure.message));
    } else {
        let line = Line::toned(Tone::Good, printer.glyphs().done);
        printer.data(&line.text(format!(" {}: {}", file.name, services.join(", "))));
    }
}
