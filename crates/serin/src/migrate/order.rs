//! Which of the files comes next: the history is one line, and the files are the same line.

use serin_migrate::{ADOPTED, Past, State};

/// The history and the files do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What is at odds, in one sentence.
    pub message: String,
    /// One thing to do.
    pub hint: String,
}

/// How many of the files, given by their names in their order, were applied; `past` is newest
/// first. The one that is open counts as applied when `open` is true.
pub fn applied(files: &[&str], past: &[Past], open: bool) -> Result<usize, Mismatch> {
    let counts = |one: &&Past| match one.state {
        State::Done => true,
        State::Reverted => false,
        _ => open,
    };
    let line: Vec<&Past> = past.iter().rev().filter(counts).collect();
    let baseline = line.iter().rposition(|one| one.who == ADOPTED);
    let ours = line.get(baseline.map_or(0, |at| at + 1)..).unwrap_or_default();
    // Files up to where pgroll was left are its history; they may be there or not.
    let left = baseline.map(|at| line[at].name.as_str());
    let first = files.iter().position(|name| Some(*name) == left).map_or(0, |at| at + 1);
    for (at, one) in ours.iter().enumerate() {
        match files.get(first + at) {
            Some(file) if *file == one.name => {}
            Some(file) => return Err(other(file, one, files)),
            None => return Err(missing(one)),
        }
    }
    Ok(first + ours.len())
}

fn other(file: &str, one: &Past, files: &[&str]) -> Mismatch {
    if files.contains(&one.name.as_str()) {
        return Mismatch {
            message: format!("`{file}` stands before `{}`, which was applied without it", one.name),
            hint: format!("rename `{file}` so that it comes last"),
        };
    }
    missing(one)
}

fn missing(one: &Past) -> Mismatch {
    Mismatch {
        message: format!("`{}` was applied to this schema, and its file is not here", one.name),
        hint: "get all files of the history, or name one file instead of the directory".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(all: &[(&str, State, &str)]) -> Vec<Past> {
        let one = |(name, state, who): &(&str, State, &str)| Past {
            id: 1,
            name: (*name).into(),
            new_view: "public_x".into(),
            state: *state,
            who: (*who).into(),
            started_ms: 0,
            ended_ms: None,
        };
        all.iter().rev().map(one).collect()
    }

    const DONE: State = State::Done;

    #[test]
    fn files_follow_the_history() {
        let files = ["01", "02", "03"];
        let cases = [
            (past(&[]), Ok(0)),
            (past(&[("01", DONE, "a")]), Ok(1)),
            (past(&[("01", DONE, "a"), ("02", State::Reverted, "a")]), Ok(1)),
            (past(&[("01", DONE, "a"), ("02", State::Dual, "a")]), Ok(1)),
            (past(&[("00", DONE, ADOPTED), ("01", DONE, ADOPTED)]), Ok(1)),
            (past(&[("00", DONE, ADOPTED), ("old", DONE, ADOPTED)]), Ok(0)),
            (past(&[("00", DONE, ADOPTED), ("01", DONE, "a")]), Ok(1)),
            (past(&[("02", DONE, "a")]), Err("`01` stands before `02`")),
            (past(&[("01", DONE, "a"), ("x", DONE, "a")]), Err("`x` was applied to this schema")),
        ];
        for (past, wanted) in cases {
            match (applied(&files, &past, false), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{past:?}"),
                (Err(found), Err(wanted)) => assert!(found.message.contains(wanted), "{found:?}"),
                (found, _) => panic!("{found:?} for {past:?}"),
            }
        }
        let open = past(&[("01", DONE, "a"), ("02", State::Dual, "a")]);
        assert_eq!(applied(&files, &open, true), Ok(2));
    }
}
