//! Words that are no command: help where it was asked for, else what is wrong with them, for people
//! and for programs.

use crate::cli::{self, SHORT_HELP};
use crate::ended;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Printer, Settings};
use clap::builder::{FalseyValueParser, TypedValueParser as _};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Where the verbs are listed.
const VERBS_HINT: &str = "`serin -h` lists the verbs";

/// Says what clap found: help on stdout, errors on stderr.
pub fn say(words: &[OsString], error: &clap::Error) -> Exit {
    let printer = Printer::new(Settings { json: wants_json(words), ..Settings::default() });
    let text = error.render().to_string();
    let result = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            printer.data_text(&text);
            Ok(Exit::Reached)
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let missing = Failure::usage("usage", "a verb is missing").hint(VERBS_HINT);
            Ok(drawn(&printer, SHORT_HELP, &missing))
        }
        ErrorKind::InvalidSubcommand => Err(unknown_verb(error)),
        _ => Ok(drawn(&printer, &text, &failure(&text))),
    };
    ended(&printer, result)
}

/// A failure for programs that people see as `text`.
fn drawn(printer: &Printer, text: &str, failure: &Failure) -> Exit {
    printer.alarm_text(text);
    if printer.is_json() {
        printer.document(&failure.document());
    }
    failure.exit
}

/// Whether documents are wanted, as far as words can tell that cannot be read.
fn wants_json(words: &[OsString]) -> bool {
    let said = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let set = || {
        let value = std::env::var_os("SERIN_JSON")?;
        FalseyValueParser::new().parse_ref(&cli::grammar(true), None, &value).ok()
    };
    said || set().unwrap_or(false)
}

fn unknown_verb(error: &clap::Error) -> Failure {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return Failure::usage("unknown-verb", "there is no such verb").hint(VERBS_HINT);
    };
    let near: Vec<_> = near(word).iter().map(|verb| format!("`serin {verb}`")).collect();
    let hint = match near.as_slice() {
        [] => VERBS_HINT.to_owned(),
        near => format!("did you mean {}? {VERBS_HINT}", near.join(" or ")),
    };
    Failure::usage("unknown-verb", format!("there is no verb `{word}`")).hint(hint)
}

/// The verbs that begin like this, or that a slip of the finger makes of it.
fn near(word: &str) -> Vec<String> {
    let slips = (word.chars().count() / 3).max(1);
    let alike =
        |verb: &String| verb.starts_with(word) || strsim::damerau_levenshtein(verb, word) <= slips;
    let grammar = cli::grammar(true);
    grammar.get_subcommands().map(|verb| verb.get_name().to_owned()).filter(alike).collect()
}

/// Of clap's paragraphs the first says what is wrong, and a later one may say what was meant.
fn failure(text: &str) -> Failure {
    let paragraphs: Vec<String> = text.split("\n\n").map(one_line).collect();
    let after = |start: &str| paragraphs.iter().find_map(|text| text.strip_prefix(start));
    let message = after("error: ").unwrap_or("the words cannot be read");
    let usage = after("Usage: ").map(|usage| format!("write `{usage}`"));
    let hint = after("tip: ").map(ToOwned::to_owned).or(usage);
    Failure { hint, ..Failure::usage("usage", message) }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Of `names` the one that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let slips = (word.chars().count() / 3).max(1);
    let by = |name: &&str| strsim::damerau_levenshtein(name, word);
    names.iter().copied().min_by_key(by).filter(|name| by(name) <= slips)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_verbs_are_suggested() {
        assert_eq!(near("deploi"), ["deploy"]);
        assert_eq!(near("rolback"), ["rollback"]);
        assert_eq!(near("stat"), ["status", "stats"]);
        assert_eq!(near("start"), [""; 0]);
        assert_eq!(near("xyz"), [""; 0]);
    }

    #[test]
    fn the_first_paragraph_is_the_message() {
        let text = "error: these are missing:\n  --revision <REV>\n\nUsage: serin deploy\n\nMore.";
        let found = failure(text);
        assert_eq!(found.message, "these are missing: --revision <REV>");
        assert_eq!(found.hint.as_deref(), Some("write `serin deploy`"));
        let tip = failure("error: no `--x`\n\n  tip: there is `--y`\n\nUsage: serin");
        assert_eq!(tip.hint.as_deref(), Some("there is `--y`"));
    }

    #[test]
    fn documents_are_asked_for_before_the_end_of_the_flags() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&words("serin deploi --json")));
        assert!(!wants_json(&words("serin deploi -- --json")));
    }
}
