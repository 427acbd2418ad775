//! Runs every test of the workspace and counts them while they run.

use super::counts::Counts;
use crate::{
    command,
    failure::{Doing, Failure, Result},
};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

/// Runs the tests; one failing binary does not hide the others.
pub fn run(counts: &mut Counts) -> Result<()> {
    count(&mut command::cargo(&["test", "--workspace", "--no-fail-fast"]), counts)?;
    if counts.passed == 0 {
        return Err(Failure::new("`cargo test` ran no test at all"));
    }
    Ok(())
}

/// Runs some tests and counts them.
pub fn count(cargo: &mut Command, counts: &mut Counts) -> Result<()> {
    let mut child =
        cargo.stdout(Stdio::piped()).spawn().doing(|| "starting `cargo test`".to_owned())?;
    let echoed = echo(&mut child, counts);
    let status = child.wait().doing(|| "waiting for `cargo test`".to_owned())?;
    echoed?;
    command::check(cargo, status)
}

fn echo(child: &mut Child, counts: &mut Counts) -> Result<()> {
    let Some(pipe) = child.stdout.take() else { return Ok(()) };
    let mut out = std::io::stdout();
    for line in BufReader::new(pipe).split(b'\n') {
        let line = line.doing(|| "reading the output of `cargo test`".to_owned())?;
        let text = String::from_utf8_lossy(&line);
        counts.absorb(&text);
        // Whoever closed our stdout wants no more lines; the tests still count.
        let _ = writeln!(out, "{text}");
    }
    Ok(())
}
