//! `serin flag rollout`: begins a release and stays with it.

use super::args::{Goal, RolloutArgs, Until};
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
        evidence: args.evidence.map(Into::into),
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
    let mut steps = args.steps.clone();
    if args.goal.is_some() && steps.len() == 1 {
        steps.insert(0, 50.0);
    }
    for (at, share) in steps.iter().enumerate() {
        let _ = writeln!(text, "    - setWeight: {share}");
        text += &match &args.goal {
            _ if at + 1 == steps.len() => String::new(),
            Some(goal) if at + 2 == steps.len() => experiment(goal, args),
            _ => bake(args),
        };
    }
    text
}

/// What ends a step.
fn bake(args: &RolloutArgs) -> String {
    let (bake, deadline) = (args.bake.as_millis(), args.deadline.as_millis());
    match args.until {
        Until::Evidence => format!(
            "    - bake: {{ atLeast: {bake}ms, until: evidence, deadline: {deadline}ms }}\n"
        ),
        Until::Time => format!("    - bake: {{ atLeast: {bake}ms }}\n"),
        Until::Person => "    - pause: {}\n".to_owned(),
    }
}

/// Which variant is the better one for the goal; after the deadline a person decides.
fn experiment(goal: &Goal, args: &RolloutArgs) -> String {
    let (least, deadline) = (args.bake.as_millis(), args.deadline.as_millis());
    let word = if goal.is_prefix { "prefix" } else { "exact" };
    let method = goal.method.as_ref().map(|m| format!("method: {}, ", quoted(m)));
    format!(
        "    - experiment: {{ duration: {least}ms, deadline: {deadline}ms, winner: {{ goal: {{ \
         {}path: {{ {word}: {} }} }}, otherwise: pause }} }}\n",
        method.unwrap_or_default(),
        quoted(&goal.path)
    )
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
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

    #[test]
    fn a_goal_is_an_experiment_at_the_last_step_before_all() {
        let trial = |goal: &str| {
            format!(
                "    - experiment: {{ duration: 60000ms, deadline: 3600000ms, winner: {{ goal: {{ \
                 {goal} }}, otherwise: pause }} }}\n    - setWeight: 100\n"
            )
        };
        for (words, first, goal) in [
            ("--steps 100 --goal /buy", "50", "path: { exact: \"/buy\" }"),
            ("--steps 20,100 --goal /buy/*", "20", "path: { prefix: \"/buy/\" }"),
        ] {
            let text = format!("canary:\n  steps:\n    - setWeight: {first}\n{}", trial(goal));
            assert_eq!(steps(words), text);
        }
        let line = "flag rollout a --service shop --steps 5,50,100 --until time --goal";
        let words: Vec<_> = line.split_whitespace().chain(["post /buy"]).collect();
        let line = Line::try_parse_from(words).unwrap();
        let crate::flag::args::FlagVerb::Rollout(args) = line.args.verb else { panic!() };
        let text = written(&args);
        let end = trial("method: \"POST\", path: { exact: \"/buy\" }");
        let begin = "    - setWeight: 5\n    - bake: { atLeast: 60000ms }\n    - setWeight: 50\n";
        assert_eq!(text, format!("canary:\n  steps:\n{begin}{end}"));
        for bad in ["buy", "POST buy", "/buy?x=1"] {
            let words = ["flag", "rollout", "a", "--service", "shop", "--goal", bad];
            assert!(Line::try_parse_from(words).is_err(), "{bad}");
        }
    }
}
