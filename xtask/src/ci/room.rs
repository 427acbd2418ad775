//! Whether there is room for what a run builds. A disk that fills up in the middle says so with
//! a failed linker, half an hour later.

use super::Ended;
use crate::{
    command,
    failure::{Failure, Result},
    root,
};
use std::{path::Path, process::Command};

/// What a run leaves in the target directory, and what its tests need for a while, in MiB.
const WHOLE: u64 = 6 * 1024;

/// Less is never enough: a run that has built everything before still links all tests anew.
const LEAST: u64 = 1024;

/// Fails when the disk of the target directory will not do.
pub fn check() -> Result<Ended> {
    let target = root::target();
    let built = built(&target);
    let disk = target.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let Some(free) = free(disk) else {
        return Ok(Ended::Skipped("`df` does not say how much room there is".to_owned()));
    };
    enough(free, built, disk).map(|()| Ended::Done)
}

fn enough(free: u64, built: u64, disk: &Path) -> Result<()> {
    let needed = WHOLE.saturating_sub(built).max(LEAST);
    if free >= needed {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{free} MiB are free on the disk of {}, and the run may need {needed}: make room, or set \
         CARGO_TARGET_DIR to a folder on another disk",
        disk.display()
    )))
}

/// MiB that are built already.
fn built(target: &Path) -> u64 {
    let mut du = Command::new("du");
    let told = command::capture(du.arg("-sk").arg(target)).unwrap_or_default();
    told.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// MiB that are free on the disk of `folder`.
fn free(folder: &Path) -> Option<u64> {
    let mut df = Command::new("df");
    free_of(&command::capture(df.arg("-Pk").arg(folder)).ok()?)
}

/// The fourth column of the second line of `df -Pk`, in MiB.
fn free_of(told: &str) -> Option<u64> {
    let columns = told.lines().nth(1)?.split_whitespace();
    let kib: u64 = columns.rev().nth(2)?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn df_is_read_also_with_blanks_in_the_name_of_the_disk() {
        let head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n";
        for disk in ["/dev/vda", "//nas/my files"] {
            let line = format!("{head}{disk} 263174212 30000000 2097152 32% /\n");
            assert_eq!(free_of(&line), Some(2048));
        }
        assert_eq!(free_of(head), None);
        assert_eq!(free_of(""), None);
    }

    #[test]
    fn what_is_built_already_needs_no_room() {
        let disk = Path::new("/build");
        for (free, built, fits) in [
            (WHOLE, 0, true),
            (WHOLE - 1, 0, false),
            (LEAST, WHOLE, true),
            (LEAST - 1, WHOLE, false),
            (2048, WHOLE - 2048, true),
        ] {
            assert_eq!(enough(free, built, disk).is_ok(), fits, "{free} {built}");
        }
        let said = enough(10, 0, disk).unwrap_err().to_string();
        assert!(said.starts_with("10 MiB are free on the disk of /build, and"), "{said}");
    }
}
