//! How large a change is, where versions are commits of the checkout one stands in.
//!
//! The safest deployment is a small one: whoever brings one out sees how much goes with it.

use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest that git may take; the size is a courtesy, nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What lies between two versions: commits, files and lines. `None` where one of them is no commit
/// here, or there is nothing between them.
pub async fn between(old: &str, new: &str) -> Option<String> {
    let (old, new) = (old.to_owned(), new.to_owned());
    let (said, heard) = tokio::sync::oneshot::channel();
    // A thread of its own: at the end nobody waits for a git that hangs.
    std::thread::spawn(move || said.send(count(&old, &new)));
    tokio::time::timeout(PATIENCE, heard).await.ok()?.ok()?
}

fn count(old: &str, new: &str) -> Option<String> {
    let (old, new) = (commit(old)?, commit(new)?);
    let range = format!("{old}..{new}");
    let commits: u64 = git(&["rev-list", "--count", &range])?.trim().parse().ok()?;
    let changed = git(&["diff", "--shortstat", &old, &new])?;
    sentence(commits, changed.trim())
}

fn commit(version: &str) -> Option<String> {
    let wanted = format!("{version}^{{commit}}");
    let id = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

fn git(args: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    // In the words that are read below, whatever this person's language is.
    let output = git.env("LC_ALL", "C").args(args).stdin(Stdio::null()).output().ok()?;
    let text = output.status.success().then_some(output.stdout)?;
    String::from_utf8(text).ok()
}

/// `changed` as git says it: ` 3 files changed, 4 insertions(+), 5 deletions(-)`.
fn sentence(commits: u64, changed: &str) -> Option<String> {
    if commits == 0 && changed.is_empty() {
        return None;
    }
    let commits = match commits {
        0 => "no newer commits".to_owned(),
        1 => "1 commit".to_owned(),
        n => format!("{n} commits"),
    };
    let changed = if changed.is_empty() { "no file changed" } else { changed };
    Some(format!("{commits}, {}", changed.replace("(+)", "").replace("(-)", "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_in_words() {
        let git = "3 files changed, 4 insertions(+), 1 deletion(-)";
        let cases = [
            (12, git, Some("12 commits, 3 files changed, 4 insertions, 1 deletion")),
            (1, "1 file changed, 1 insertion(+)", Some("1 commit, 1 file changed, 1 insertion")),
            (0, git, Some("no newer commits, 3 files changed, 4 insertions, 1 deletion")),
            (2, "", Some("2 commits, no file changed")),
            (0, "", None),
        ];
        for (commits, changed, wanted) in cases {
            assert_eq!(sentence(commits, changed).as_deref(), wanted, "{commits} {changed}");
        }
    }

    #[tokio::test]
    async fn what_is_no_commit_has_no_size() {
        for version in ["v999-of-nowhere", "--help", "HEAD~0:nothing"] {
            assert_eq!(between(version, "HEAD").await, None, "{version}");
        }
    }
}
