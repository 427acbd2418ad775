//! `serin flag rollout`: begins a release and stays with it.

use super::args::{RolloutArgs, Until};
use super::change::asking;
use super::people;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::file::File;
use crate::ship;
use serin_server::api::view::FlagRollout;
use std::fmt::Write as _;

/// `serin flag rollout`.
pub async fn rollout(context: &Context<'_>, args: RolloutArgs) -> Result<Exit, Failure> {
    let strategy = match &args.file {
        Some(path) => File::read(path)?.text,
        None => written(&args),
    };
    let request = FlagRollout {
        asking: asking(args.why.reason),
        set: args.set.set,
        key: args.key,
        service: args.service,
        to: args.to,
        strategy,
        window_ms: Some(args.window.as_millis() as u64),
        allow_bad: args.allow_bad,
        dry_run: args.dry_run,
    };
    let document = context.client.submit("/api/v1/flag-rollouts", &request).await?;
    if let Some(exit) = people::waits(context, &document)? {
        return Ok(exit);
    }
    ship::settle(context, &document, args.dry_run, args.stay).await
}

/// The steps as a strategy. What is wrong with the numbers is found where every strategy is read.
fn written(args: &RolloutArgs) -> String {
    let mut text = "canary:\n  steps:\n".to_owned();
    let (bake, deadline) = (args.bake.as_millis(), args.deadline.as_millis());
    for (at, share) in args.steps.iter().enumerate() {
        let _ = writeln!(text, "    - setWeight: {share}");
        let last = at + 1 == args.steps.len();
        let _ = match args.until {
            _ if last => Ok(()),
            Until::Evidence => writeln!(
                text,
                "    - bake: {{ atLeast: {bake}ms, until: evidence, deadline: {deadline}ms }}"
            ),
            Until::Time => writeln!(text, "    - bake: {{ atLeast: {bake}ms }}"),
            Until::Person => writeln!(text, "    - pause: {{}}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flag::args::FlagArgs;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: FlagArgs,
    }

    fn steps(words: &str) -> String {
        let line = format!("flag rollout a --service shop {words}");
        let line = Line::try_parse_from(line.split_whitespace()).unwrap();
        let crate::flag::args::FlagVerb::Rollout(args) = line.args.verb else { panic!() };
        written(&args)
    }

    #[test]
    fn steps_are_written_as_a_strategy() {
        assert_eq!(
            steps("--steps 5,100 --bake 30s"),
            "canary:\n  steps:\n    - setWeight: 5\n    - bake: { atLeast: 30000ms, until: evidence, \
             deadline: 3600000ms }\n    - setWeight: 100\n"
        );
        assert!(
            steps("--steps 0.1,100 --until person").contains("setWeight: 0.1\n    - pause: {}")
        );
    }
}
