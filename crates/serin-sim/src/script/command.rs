//! One line of a script as a command.

use super::words;
use crate::draw::Truth;
use crate::machine::Orders;
use crate::world::{Act, Faults, Weather};
use serin_core::Version;

/// The forms of all commands, for whoever mistyped one.
const FORMS: &str = "service NAME [KEY=VALUE ...], on NAME, deploy NAME VERSION [allow-bad] \
    [now] [migrate] [because=WHY], advance TIME, settle, traffic NAME REQUESTS-A-SECOND, truth VERSION WHAT, \
    promote [full], pause, resume, abort [because=WHY], approve [by=WHO], retry [allow-bad], \
    release, mark VERSION bad|good, rollback [to VERSION], remove, \
    drop|duplicate next apply|observation|counts, delay next apply|observation|counts TIME, \
    faults none|[drop=SHARE] [duplicate=SHARE] [delay=SHARE] [by=TIME], counts lost TIME, \
    orders taken|refused|half, crash controller [after next decision], second controller TIME, \
    restart data plane, power cut, kill all|VERSION, hang VERSION, heal VERSION, disk full|ok, database well|away|slow|refuses|apart, contract [override], \
    skew SHARE, fresh never-ready|ok, test NAME fails|passes, clock +TIME|-TIME, drift +TIME|-TIME (in each second), \
    flag SERVICE KEY kill|on|off|SHARE, dice NUMBER, plan, show";

/// A deploy that somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish {
    /// The service.
    pub service: String,
    /// The version.
    pub version: Version,
    /// Even if it was rolled back before.
    pub allow_bad: bool,
    /// Without waiting for its train.
    pub now: bool,
    /// With a migration of its own.
    pub migrates: bool,
    /// Why.
    pub because: Option<String>,
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// Chance decides what is left open, from this number on.
    Dice(u64),
    /// The service that commands without a name mean.
    On(String),
    /// Faults end, and time passes until everything is at rest.
    Settle,
    /// How messages are treated.
    Faults(Faults),
    /// Nothing is counted for so many seconds.
    CountsLost(u64),
    /// What the platform makes of orders.
    Orders(Orders),
    /// A controller takes over while the old one goes on for so many seconds.
    SecondController(u64),
    /// Everything dies at once and comes back.
    Power,
    /// Instances end.
    Kill(Target),
    /// Instances of a version run and are not ready; or are again.
    Hang(Version, bool),
    /// The wall clock gains so many milliseconds in each second.
    Drift(i64),
    /// Describes the service, or changes some of its settings; takes effect with a deploy.
    Service(String, Vec<(String, String)>),
    /// As `serin deploy`, or `serin apply` with a changed file.
    Deploy(Wish),
    /// Seconds go by.
    Advance(u64),
    /// Requests a second.
    Traffic(String, u64),
    /// What a version is really like.
    Truth(Version, Truth),
    /// A button, why, and by whom.
    Press(Button, Option<String>, Option<String>),
    /// What becomes of the next message.
    Next(Kind, Fate),
    /// The controller dies, now or between its next decision and the action.
    Crash { after_decision: bool },
    /// The load balancer dies and begins to count anew.
    RestartDataPlane,
    /// Whether the disk is full.
    Disk { full: bool },
    /// This share of the requests meant for the candidate gets lost.
    Skew(f64),
    /// Whether instances of the fresh baseline get ready.
    Fresh { hangs: bool },
    /// How a test of a step ends from now on.
    Test { name: String, fails: bool },
    /// The wall clock is moved by so many milliseconds.
    Clock(i64),
    /// A person changes a flag.
    Flag { service: String, key: String, act: Act },
    /// How the service's database fares.
    Weather(Weather),
    /// Shows what a deploy would do.
    Plan,
    /// Shows everything.
    Show,
}

/// What a person can press.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Button {
    Promote { full: bool },
    Pause,
    Resume,
    Abort,
    Approve,
    Retry { allow_bad: bool },
    Release,
    Mark { version: Version, bad: bool },
    Rollback(Option<Version>),
    Remove,
    Contract { overrides: bool },
}

/// Whose instances.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    All,
    Version(Version),
}

/// Kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An order to the machine.
    Apply,
    /// What the machine saw.
    Observation,
    /// What the data plane counted.
    Counts,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    Twice,
    /// By so many seconds.
    Late(u64),
}

impl Command {
    /// The command of a line; none when it is empty or a comment.
    pub(crate) fn parse(line: &str) -> Result<Option<Self>, String> {
        let words = words::split(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((verb, rest)) = words.split_first() else { return Ok(None) };
        parse(verb, rest).map(Some)
    }
}

fn parse(verb: &str, rest: &[&str]) -> Result<Command, String> {
    match (verb, rest) {
        ("service", [name, settings @ ..]) => service(name, settings),
        ("deploy", [name, version, terms @ ..]) => deploy(name, version, terms),
        ("dice", [number]) => words::number(number, 0, u64::MAX).map(Command::Dice),
        ("on", [name]) => Ok(Command::On((*name).into())),
        ("settle", []) => Ok(Command::Settle),
        ("flag", [service, key, act]) => {
            let (service, key) = ((*service).into(), (*key).into());
            Ok(Command::Flag { service, key, act: flag(act)? })
        }
        ("plan", []) => Ok(Command::Plan),
        ("show", []) => Ok(Command::Show),
        ("advance", [time]) => words::seconds(time).map(Command::Advance),
        ("traffic", [name, rate]) => {
            Ok(Command::Traffic((*name).into(), words::number(rate, 0, 10_000)?))
        }
        ("truth", [version, what @ ..]) => {
            Ok(Command::Truth(self::version(version)?, truth(what)?))
        }
        ("drop", ["next", kind]) => next(kind, Fate::Lost),
        ("duplicate", ["next", kind]) => next(kind, Fate::Twice),
        ("delay", ["next", kind, time]) => next(kind, Fate::Late(words::seconds(time)?)),
        _ => fault(verb, rest),
    }
}

fn fault(verb: &str, rest: &[&str]) -> Result<Command, String> {
    match (verb, rest) {
        ("crash", ["controller"]) => Ok(Command::Crash { after_decision: false }),
        ("crash", ["controller", "after", "next", "decision"]) => {
            Ok(Command::Crash { after_decision: true })
        }
        ("second", ["controller", time]) => words::seconds(time).map(Command::SecondController),
        ("power", ["cut"]) => Ok(Command::Power),
        ("kill", ["all"]) => Ok(Command::Kill(Target::All)),
        ("kill", [version]) => Ok(Command::Kill(Target::Version(self::version(version)?))),
        ("hang", [version]) => Ok(Command::Hang(self::version(version)?, true)),
        ("heal", [version]) => Ok(Command::Hang(self::version(version)?, false)),
        ("orders", [how]) => orders(how),
        ("counts", ["lost", time]) => words::seconds(time).map(Command::CountsLost),
        ("faults", terms) if !terms.is_empty() => faults(terms),
        ("drift", [by]) => clock(by).map(Command::Drift),
        ("restart", ["data", "plane"]) => Ok(Command::RestartDataPlane),
        ("skew", [share]) => words::share(share).map(Command::Skew),
        ("fresh", ["never-ready"]) => Ok(Command::Fresh { hangs: true }),
        ("fresh", ["ok"]) => Ok(Command::Fresh { hangs: false }),
        ("test", [name, end @ ("fails" | "passes")]) => {
            Ok(Command::Test { name: (*name).into(), fails: *end == "fails" })
        }
        ("database", [how]) => weather(how),
        ("disk", ["full"]) => Ok(Command::Disk { full: true }),
        ("disk", ["ok"]) => Ok(Command::Disk { full: false }),
        ("clock", [by]) => clock(by).map(Command::Clock),
        _ => button(verb, rest),
    }
}

fn button(verb: &str, rest: &[&str]) -> Result<Command, String> {
    let (because, rest) = term("because=", rest);
    let (by, rest) = term("by=", rest);
    let button = match (verb, rest) {
        ("promote", []) => Button::Promote { full: false },
        ("promote", ["full"]) => Button::Promote { full: true },
        ("pause", []) => Button::Pause,
        ("resume", []) => Button::Resume,
        ("abort", []) => Button::Abort,
        ("approve", []) => Button::Approve,
        ("retry", []) => Button::Retry { allow_bad: false },
        ("retry", ["allow-bad"]) => Button::Retry { allow_bad: true },
        ("release", []) => Button::Release,
        ("mark", [of, "bad"]) => Button::Mark { version: version(of)?, bad: true },
        ("mark", [of, "good"]) => Button::Mark { version: version(of)?, bad: false },
        ("rollback", []) => Button::Rollback(None),
        ("rollback", ["to", to]) => Button::Rollback(Some(version(to)?)),
        ("remove", []) => Button::Remove,
        ("contract", []) => Button::Contract { overrides: false },
        ("contract", ["override"]) => Button::Contract { overrides: true },
        _ => {
            let line = [&[verb], rest].concat().join(" ");
            return Err(format!("`{line}` is not a command; allowed: {FORMS}"));
        }
    };
    Ok(Command::Press(button, because, by))
}

/// What the last word says if it begins with `key`, and what is before it.
fn term<'a, 'b>(key: &str, words: &'b [&'a str]) -> (Option<String>, &'b [&'a str]) {
    match words.split_last() {
        Some((last, rest)) if last.starts_with(key) => {
            (last.strip_prefix(key).map(ToOwned::to_owned), rest)
        }
        _ => (None, words),
    }
}

fn weather(how: &str) -> Result<Command, String> {
    match how {
        "well" => Ok(Command::Weather(Weather::Well)),
        "away" => Ok(Command::Weather(Weather::Away)),
        "slow" => Ok(Command::Weather(Weather::Slow)),
        "refuses" => Ok(Command::Weather(Weather::Refuses)),
        "apart" => Ok(Command::Weather(Weather::Apart)),
        _ => Err(format!(
            "`{how}` is nothing a database can be; allowed: well, away, slow, refuses, apart"
        )),
    }
}

fn orders(how: &str) -> Result<Command, String> {
    match how {
        "taken" => Ok(Command::Orders(Orders::Taken)),
        "refused" => Ok(Command::Orders(Orders::Refused)),
        "half" => Ok(Command::Orders(Orders::Half)),
        _ => Err(format!("`{how}` is nothing orders can be; allowed: taken, refused, half")),
    }
}

fn faults(terms: &[&str]) -> Result<Command, String> {
    let mut faults = Faults::default();
    for term in terms.iter().filter(|term| **term != "none") {
        match term.split_once('=') {
            Some(("drop", share)) => faults.drop = words::share(share)?,
            Some(("duplicate", share)) => faults.duplicate = words::share(share)?,
            Some(("delay", share)) => faults.delay = words::share(share)?,
            Some(("by", time)) => faults.by = words::seconds(time)?,
            _ => {
                return Err(format!(
                    "`{term}` is not of faults; allowed: none, drop, duplicate, delay, by"
                ));
            }
        }
    }
    Ok(Command::Faults(faults))
}

fn service(name: &str, settings: &[&str]) -> Result<Command, String> {
    let pair = |word: &&str| {
        let pair = word.split_once('=');
        let pair = pair.map(|(key, value)| (key.to_owned(), value.to_owned()));
        pair.ok_or_else(|| format!("`{word}` is not KEY=VALUE"))
    };
    let settings = settings.iter().map(pair).collect::<Result<_, _>>()?;
    Ok(Command::Service(name.into(), settings))
}

fn deploy(name: &str, version: &str, terms: &[&str]) -> Result<Command, String> {
    let (because, terms) = term("because=", terms);
    let (migrates, terms) = match terms.split_last() {
        Some((&"migrate", rest)) => (true, rest),
        _ => (false, terms),
    };
    let (allow_bad, now) = match terms {
        [] => (false, false),
        ["allow-bad"] => (true, false),
        ["now"] => (false, true),
        ["allow-bad", "now"] => (true, true),
        _ => return Err(format!("after the version `{}` is not allowed", terms.join(" "))),
    };
    let version = self::version(version)?;
    Ok(Command::Deploy(Wish { service: name.into(), version, allow_bad, now, migrates, because }))
}

fn flag(act: &str) -> Result<Act, String> {
    match act {
        "kill" => Ok(Act::Kill),
        "on" => Ok(Act::On),
        "off" => Ok(Act::Off),
        share => words::weight(share).map(Act::Share),
    }
}

fn version(word: &str) -> Result<Version, String> {
    word.parse().map_err(|e: serin_core::IdError| e.to_string())
}

fn truth(what: &[&str]) -> Result<Truth, String> {
    match what {
        ["good"] => Ok(Truth::Good),
        ["errors", share] => words::share(share).map(Truth::Errors),
        ["errors", share, "after", time] => {
            let (after, share) = (words::seconds(time)?, words::share(share)?);
            Ok(Truth::Late { after, share })
        }
        ["given-up", share] => words::share(share).map(Truth::GivenUp),
        ["slow", time] => words::span(time).map(|span| Truth::Slow(span.0)),
        ["wont-start"] => Ok(Truth::WontStart),
        ["never-ready"] => Ok(Truth::NeverReady),
        ["crashes", share] => words::share(share).map(Truth::Crashes),
        _ => Err(format!(
            "`{}` is not a truth; allowed: good, errors 4%, errors 4% after 10m, \
             given-up 20%, slow 200ms, wont-start, never-ready, \
             crashes 10% (of seconds)",
            what.join(" ")
        )),
    }
}

fn next(kind: &str, fate: Fate) -> Result<Command, String> {
    match kind {
        "apply" => Ok(Command::Next(Kind::Apply, fate)),
        "observation" => Ok(Command::Next(Kind::Observation, fate)),
        "counts" => Ok(Command::Next(Kind::Counts, fate)),
        _ => Err(format!("`{kind}` is not a message; allowed: apply, observation, counts")),
    }
}

fn clock(by: &str) -> Result<i64, String> {
    let wrong = || format!("`{by}` is not a move of the clock such as +30s or -5s");
    let (sign, time) = match by.strip_prefix('-') {
        Some(time) => (-1, time),
        None => (1, by.strip_prefix('+').ok_or_else(wrong)?),
    };
    let span = words::span(time).map_err(|_| wrong())?;
    Ok(sign * i64::try_from(span.0).map_err(|_| wrong())?)
}
