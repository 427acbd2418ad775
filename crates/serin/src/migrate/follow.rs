//! Stays with a migration that runs in this process, and tells how far it is.

use super::args::Stay;
use super::look::{show, with_more};
use super::render::{rows, status_lines};
use super::target::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Line, Live, Printer, Tone};
use crate::render::now;
use serin_migrate::{Error, Hidden, Runner, State, Status};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Time between two looks.
const PACE: Duration = Duration::from_millis(700);

/// Time between two lines about rows where nothing is redrawn.
const LINES: Duration = Duration::from_secs(5);

/// Runs something of a runner to its end, or until it is interrupted.
pub async fn follow(
    printer: &Printer,
    runner: &Runner,
    stay: &Stay,
    work: impl Future<Output = Result<Status, Error>>,
) -> Result<Result<Status, Error>, Failure> {
    tokio::pin!(work);
    let mut screen = Screen::new(printer);
    let mut tick = interval(PACE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let late = async {
        match stay.timeout {
            Some(time) => sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(late);
    loop {
        tokio::select! {
            ended = &mut work => {
                screen.clear();
                return Ok(ended);
            }
            _ = tokio::signal::ctrl_c() => {
                screen.clear();
                return Err(interrupted());
            }
            () = &mut late => {
                screen.clear();
                return Err(too_late(stay));
            }
            _ = tick.tick() => {
                // Who cannot be asked now is asked again. What is told before the work has begun is
                // that nobody does it.
                let status = runner.status().await.ok().flatten();
                if let Some(status) = status.filter(|status| status.holder.is_some()) {
                    screen.show(&status);
                }
            }
        }
    }
}

/// What can be done with what is left.
const AFTER: &str = "go on with `serin migrate resume`, or back with `serin migrate rollback`";

fn interrupted() -> Failure {
    let message = "interrupted: what was done stays, and nothing is half done";
    Failure::new(Exit::Detached, "interrupted", message).hint(AFTER)
}

fn too_late(stay: &Stay) -> Failure {
    let seconds = stay.timeout.map_or(0, |time| time.as_secs());
    let message = format!("not done after {seconds} s: what was done stays, nothing is half done");
    Failure::new(Exit::TimedOut, "timeout", message).hint(AFTER)
}

/// Shows the end of it: this process does nothing more.
pub fn ended(printer: &Printer, status: &Status) {
    show(printer, Some(&Status { holder: None, ..status.clone() }));
}

/// The end of a contract, with what it hid.
pub async fn contracted(printer: &Printer, runner: &Runner, status: &Status) {
    // What cannot be asked now is told by `serin migrate status`.
    let hidden = runner.hidden().await.unwrap_or_default();
    let own: Vec<Hidden> = hidden.into_iter().filter(|one| one.migration == status.id).collect();
    with_more(printer, Some(&Status { holder: None, ..status.clone() }), None, &own);
}

/// What an end that is an error means.
pub fn stopped(error: Error) -> Failure {
    failed(error)
}

/// Where it is shown: in place on a terminal, in lines elsewhere, in documents for programs.
struct Screen<'p> {
    printer: &'p Printer,
    live: Option<Live<'p>>,
    told: String,
    told_at: Instant,
}

impl<'p> Screen<'p> {
    fn new(printer: &'p Printer) -> Self {
        let live = printer.can_redraw(Channel::Err).then(|| printer.live(Channel::Err));
        Self { printer, live, told: String::new(), told_at: Instant::now() }
    }

    fn show(&mut self, status: &Status) {
        if let Some(live) = &mut self.live {
            live.draw(&status_lines(status, &[], now()));
            return;
        }
        let now = summary(status);
        let due = self.told_at.elapsed() > LINES && status.progress.is_some();
        // Where it rests, the end says more.
        let rests = matches!(status.state, State::Dual) || status.state.is_over();
        if rests || now == self.told && !due {
            return;
        }
        self.told_at = Instant::now();
        self.told = now;
        if self.printer.is_json() {
            show(self.printer, Some(status));
        } else {
            self.printer.note(&line(status));
        }
    }

    fn clear(&mut self) {
        if let Some(live) = &mut self.live {
            live.clear();
        }
    }
}

/// What is worth a line when it changes.
fn summary(status: &Status) -> String {
    let step = status.step.as_ref().map_or("", |step| step.title.as_str());
    let waiting = status.waiting.as_deref().unwrap_or("");
    format!("{}/{step}/{waiting}/{}", status.state.word(), status.paused)
}

fn line(status: &Status) -> Line {
    let mut line = Line::toned(Tone::Bold, status.state.word());
    if let Some(step) = &status.step {
        line = line.text(format!("  {} of {}: {}", step.number, step.of, step.title));
    }
    if let Some(progress) = &status.progress {
        line = line.text(format!("; {}", rows(progress)));
    }
    if let Some(why) = &status.waiting {
        line = line.text(format!("; waiting on {why}"));
    }
    if status.paused { line.text("; paused, `serin migrate resume` goes on") } else { line }
}
