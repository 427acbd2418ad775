//! help, docs, version, completions.

use crate::cli::{self, CompletionsArgs, HelpArgs};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::printer::Printer;
use serde_json::json;

/// `serin help`.
pub fn help(printer: &Printer, args: &HelpArgs) -> Result<Exit, Failure> {
    let topic: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    let text = match topic.as_slice() {
        [] => cli::SHORT_HELP.to_owned(),
        ["exit-codes"] => exit::TABLE.to_owned(),
        verbs => verb_help(verbs)?,
    };
    let topic = (!topic.is_empty()).then(|| topic.join(" "));
    if printer.is_json() {
        printer.document(&json!({ "schema": "serin.help/v1", "topic": topic, "text": text }));
    } else {
        printer.data_text(&text);
    }
    Ok(Exit::Reached)
}

fn verb_help(verbs: &[&str]) -> Result<String, Failure> {
    let mut grammar = cli::grammar(true);
    grammar.build();
    let mut command = &mut grammar;
    for verb in verbs {
        command = command.find_subcommand_mut(verb).ok_or_else(|| {
            let message = format!("there is no help on `{}`", verbs.join(" "));
            Failure::usage("no-topic", message)
                .hint("topics are the verbs of `serin -h`, and `exit-codes`")
        })?;
    }
    Ok(command.render_long_help().to_string())
}

/// `serin docs`: the file format by example.
pub fn docs(printer: &Printer) -> Exit {
    let text = serin_spec::reference();
    if printer.is_json() {
        printer.document(&json!({ "schema": "serin.docs/v1", "text": text }));
    } else {
        printer.data_text(text);
    }
    Exit::Reached
}

/// `serin version`.
pub fn version(printer: &Printer) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    if printer.is_json() {
        printer.document(&json!({ "schema": "serin.version/v1", "version": version }));
    } else {
        printer.data_text(&format!("serin {version}"));
    }
    Exit::Reached
}

/// `serin completions`.
pub fn completions(printer: &Printer, args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::grammar(true), "serin", &mut script);
    printer.data_text(&String::from_utf8_lossy(&script));
    Exit::Reached
}
