//! The page a person opens when a version is bad: facts, commands, measured times.

use super::version;
use super::words::moment;
use serin_core::{Millis, RevisionId, RevisionStanding};
use serin_server::api::view::{DrillRecord, KnownRevision, MeasuredWay, Runbook};
use std::fmt::Write as _;

/// The whole page as Markdown. `contacts` is put in as it is.
pub fn runbook(facts: &Runbook, contacts: Option<&str>) -> String {
    let parts = [
        head(facts),
        first_thing(facts),
        now(facts),
        before(facts),
        ways(facts),
        measured(facts),
        known(facts),
        verify(facts),
        message(facts),
        after(facts),
        people(contacts),
    ];
    parts.join("\n")
}

fn head(facts: &Runbook) -> String {
    let service = &facts.service;
    format!(
        "# Going back: {service} ({})\n\n\
         Written {} by `serin runbook {service}` from what was true then. Write it anew after each \
         release.\n",
        facts.environment,
        moment(facts.at)
    )
}

fn first_thing(facts: &Runbook) -> String {
    let service = &facts.service;
    format!(
        "## In a hurry\n\n```sh\nserin rollback {service} --reason \"what you see\"\n```\n\n\
         No version has to be known: it shows what runs and what was good last, leads all traffic \
         there and proves that it worked. Exit code 0 means that it did.\n"
    )
}

fn now(facts: &Runbook) -> String {
    let mut rows = vec![
        ("state", facts.state.clone()),
        ("running", named(facts.running.as_ref())),
        ("last good, where `serin rollback` leads", named(facts.last_good.as_ref())),
        ("instances", facts.replicas.to_string()),
    ];
    if let Some(candidate) = &facts.candidate {
        rows.insert(2, ("on trial", version(candidate).to_owned()));
    }
    if let Some(listen) = facts.listen {
        rows.push(("users come in at", format!("http://{listen}")));
    }
    let mut text = "## What runs\n\n| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

fn named(revision: Option<&RevisionId>) -> String {
    revision.map_or_else(|| "none".into(), |id| version(id).to_owned())
}

fn before(facts: &Runbook) -> String {
    format!(
        "## Before\n\n\
         1. Is somebody at it already? Ask where incidents are talked about; `serin explain {0}` \
         shows who did what.\n\
         2. Say there that you begin.\n\
         3. Note the time and what you see. `serin status {0}` has the error rates of each \
         version.\n",
        facts.service
    )
}

fn ways(facts: &Runbook) -> String {
    let service = &facts.service;
    let asked = |way: &&MeasuredWay| way.asked;
    let by_hand = typical(facts.measured.iter().filter(asked).filter_map(|way| way.routed));
    let by_verdict =
        typical(facts.measured.iter().filter(|way| !way.asked).filter_map(|w| w.routed));
    let drilled = typical(facts.drills.iter().filter_map(|drill| drill.routed));
    let mut text =
        "## Ways back\n\nUntil the route is confirmed; only measured times are named.\n\n\
                    | way | when | command | took |\n|---|---|---|---|\n"
            .to_owned();
    let rows = [
        ("back to the last good", "a version that was promoted is bad", "rollback", &by_hand),
        ("stop the rollout", "the version on trial is bad", "abort", &by_hand),
        ("by itself", "evidence or health decides against it", "", &by_verdict),
        ("rehearsed", "on a copy, any day", "drill", &drilled),
    ];
    for (way, when, verb, took) in rows {
        let command =
            if verb.is_empty() { "none".into() } else { format!("`serin {verb} {service}`") };
        let _ = writeln!(text, "| {way} | {when} | {command} | {took} |");
    }
    let _ = writeln!(
        text,
        "| to a certain revision | the last good is not it | `serin rollback {service} --to VERSION` | {by_hand} |"
    );
    text
}

/// Median and longest of some times.
fn typical(times: impl Iterator<Item = Millis>) -> String {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    match (times.get(times.len() / 2), times.last()) {
        (Some(median), Some(longest)) => {
            format!("{median} (longest {longest}, n={})", times.len())
        }
        _ => "not measured yet".into(),
    }
}

fn measured(facts: &Runbook) -> String {
    let mut text = "## Measured\n\n".to_owned();
    if facts.measured.is_empty() && facts.drills.is_empty() {
        let _ = writeln!(
            text,
            "Nothing yet. `serin drill {}` rehearses it on a copy and measures.",
            facts.service
        );
        return text;
    }
    text += "| when | from | to | by | route | last request | errors back |\n|---|---|---|---|---|---|---|\n";
    facts.measured.iter().for_each(|way| text += &way_row(way));
    facts.drills.iter().for_each(|drill| text += &drill_row(drill));
    text
}

fn way_row(way: &MeasuredWay) -> String {
    let by = if way.asked { "a person" } else { "verdict" };
    format!(
        "| {} | {} | {} | {by} | {} | {} | {} |\n",
        moment(way.at),
        version(&way.from),
        named(way.to.as_ref()),
        time(way.routed),
        time(way.silent),
        time(way.recovered)
    )
}

fn drill_row(drill: &DrillRecord) -> String {
    let by = if drill.passed { "drill, passed" } else { "drill, **failed**" };
    format!(
        "| {} | a bad copy | {} | {by} | {} | {} | {} |\n",
        moment(drill.at),
        drill.version,
        time(drill.routed),
        time(drill.silent),
        time(drill.recovered)
    )
}

fn time(time: Option<Millis>) -> String {
    time.map_or_else(|| "-".into(), |time| time.to_string())
}

fn known(facts: &Runbook) -> String {
    let mut text =
        "## Known revisions\n\n| revision | stable since | what is known |\n|---|---|---|\n"
            .to_owned();
    for known in &facts.revisions {
        let since = known.promoted_at.map_or_else(|| "-".into(), moment);
        let _ =
            writeln!(text, "| {} | {since} | {} |", version(&known.revision), worth(facts, known));
    }
    text
}

fn worth(facts: &Runbook, known: &KnownRevision) -> &'static str {
    match known.standing {
        _ if facts.running.as_ref() == Some(&known.revision) => "**running**",
        _ if facts.last_good.as_ref() == Some(&known.revision) => "**last known good**",
        RevisionStanding::Good => "good",
        RevisionStanding::Promoted => "promoted, not long enough ago to be called good",
        RevisionStanding::Bad => "bad: never go back to it",
        RevisionStanding::Left => "was good until somebody went back from it",
        RevisionStanding::Untried => "never finished",
    }
}

fn verify(facts: &Runbook) -> String {
    let service = &facts.service;
    let path = facts.ready_path.as_deref().unwrap_or("/");
    let curl = facts.listen.map(|at| format!("curl -fsS http://{at}{path}   # a sample answer\n"));
    format!(
        "## Is it well?\n\n`serin rollback` looks at the first two itself and tells what it saw.\n\n\
         ```sh\n\
         serin status {service}    # all traffic on the good version, its error rate, its instances\n\
         serin explain {service}   # route confirmed, last request on the bad version, errors back\n\
         {}\
         serin logs {service} --lines 50 | grep -i error\n```\n",
        curl.unwrap_or_default()
    )
}

fn message(facts: &Runbook) -> String {
    let bad = named(facts.candidate.as_ref().or(facts.running.as_ref()));
    let good = match &facts.candidate {
        Some(_) => named(facts.running.as_ref()),
        None => named(facts.last_good.as_ref()),
    };
    format!(
        "## What to say\n\n```text\nROLLBACK COMPLETED\n\
         Service:      {}\n\
         Bad version:  {bad}\n\
         Good version: {good}\n\
         Time:         <when it was over>\n\
         Reason:       <what was seen>\n\
         Status:       <well | being watched>\n\
         Look at:      serin status {0}\n```\n",
        facts.service
    )
}

fn after(facts: &Runbook) -> String {
    format!(
        "## Afterwards\n\n\
         - [ ] `serin mark {0} VERSION bad --reason \"...\"`, so that nobody deploys it again\n\
         - [ ] write down what happened; `serin explain {0} --json` and `serin history {0}` have \
         the times\n\
         - [ ] post-mortem within 48 hours\n\
         - [ ] when the fix is there: `serin release {0}`, then deploy it\n\
         - [ ] rehearse: `serin drill {0}`; write this page anew: `serin runbook {0} -o ROLLBACK.md`\n",
        facts.service
    )
}

fn people(contacts: Option<&str>) -> String {
    let nobody = "Nobody is named: `serin runbook --contacts FILE` puts a file in here.";
    format!("## Whom to call\n\n{}\n", contacts.map_or(nobody, str::trim))
}
