//! What the environment tells an instance about itself.

use super::sessions::Kept;
use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use std::time::Duration;

/// No answer of the app takes longer than this: the tail of a log-normal has no end.
const LONGEST: Duration = Duration::from_secs(10);

/// One instance of the app.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// Port on 127.0.0.1.
    pub(super) port: u16,
    pub(super) version: String,
    pub(super) instance: String,
    pub(super) commit: Option<String>,
    pub(super) build_time: Option<String>,
    pub(super) behaviour: Behaviour,
    /// Time until it says that it is ready.
    pub(super) start_delay: Duration,
    /// Requests until it crashes.
    pub(super) crash_after: Option<u64>,
    pub(super) seed: u64,
    pub(super) sessions: Kept,
    /// A flag's header and the variant with which every request fails.
    pub(super) bad_flag: Option<(String, String)>,
    /// A flag's header and the variant with which alone users buy.
    pub(super) buys_flag: Option<(String, String)>,
}

/// How it treats requests. Rates are shares of requests, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Behaviour {
    /// Median latency in milliseconds.
    pub(super) median_ms: f64,
    /// Standard deviation of the logarithm of the latency.
    pub(super) sigma: f64,
    /// Share answered with 500.
    pub(super) error_rate: f64,
    /// Share that takes `slow_ms` longer.
    pub(super) slow_rate: f64,
    pub(super) slow_ms: f64,
    pub(super) leak: Leak,
}

/// Something is lost with each request: after a while the app fails or slows down, more and more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Leak {
    /// Requests until it shows.
    pub(super) after: u64,
    /// Added to the error rate by each further request.
    pub(super) errors: f64,
    /// Milliseconds added by each further request.
    pub(super) ms: f64,
}

impl Settings {
    /// Reads them with `get`, which knows the environment.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let env = Env { get };
        let port = env.parse("PORT", "a port", "8080")?;
        Ok(Self {
            port: port.context("PORT is not set; give it a value, for example PORT=8080")?,
            version: env.text("VERSION").unwrap_or_else(|| "dev".into()),
            instance: env.text("INSTANCE").unwrap_or_default(),
            commit: env.text("COMMIT"),
            build_time: env.text("BUILD_TIME"),
            behaviour: env.behaviour()?,
            start_delay: env.millis("START_DELAY_MS")?,
            crash_after: env.parse("CRASH_AFTER", "a number of requests", "100")?,
            seed: env.parse("SEED", "a whole number", "1")?.unwrap_or(1),
            sessions: env.text("SESSION_KEY").map_or(Kept::Memory, Kept::Signed),
            bad_flag: env.flag("BAD_FLAG")?,
            buys_flag: env.flag("BUYS_FLAG")?,
        })
    }
}

impl Settings {
    /// A seed no other instance has.
    pub(super) fn own_seed(&self) -> u64 {
        self.seed ^ (u64::from(self.port) << 32)
    }
}

/// The environment, with names and wishes for the messages.
struct Env<G> {
    get: G,
}

impl<G: Fn(&str) -> Option<String>> Env<G> {
    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|text| !text.is_empty())
    }

    fn parse<T: std::str::FromStr>(
        &self,
        name: &'static str,
        wanted: &'static str,
        example: &'static str,
    ) -> Result<Option<T>> {
        let Some(found) = self.text(name) else { return Ok(None) };
        match found.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => bail!("{name}={found} is not {wanted}; for example {name}={example}"),
        }
    }

    fn number(
        &self,
        name: &'static str,
        most: f64,
        wanted: &'static str,
        default: f64,
    ) -> Result<f64> {
        let example = if most <= 1.0 { "0.05" } else { "25" };
        match self.parse(name, wanted, example)? {
            None => Ok(default),
            Some(value) if (0.0..=most).contains(&value) => Ok(value),
            Some(value) => bail!("{name}={value} is not {wanted}; for example {name}={example}"),
        }
    }

    fn share(&self, name: &'static str) -> Result<f64> {
        self.number(name, 1.0, "a share from 0 to 1", 0.0)
    }

    fn ms(&self, name: &'static str, default: f64) -> Result<f64> {
        self.number(name, 600_000.0, "a number of milliseconds from 0 to 600000", default)
    }

    fn millis(&self, name: &'static str) -> Result<Duration> {
        self.ms(name, 0.0).map(|ms| Duration::from_secs_f64(ms / 1000.0))
    }

    fn behaviour(&self) -> Result<Behaviour> {
        Ok(Behaviour {
            median_ms: self.ms("LATENCY_MS", 25.0)?,
            sigma: self.number("LATENCY_SIGMA", 3.0, "a number from 0 to 3", 0.5)?,
            error_rate: self.share("ERROR_RATE")?,
            slow_rate: self.share("SLOW_RATE")?,
            slow_ms: self.ms("SLOW_MS", 200.0)?,
            leak: self.leak()?,
        })
    }

    fn flag(&self, name: &'static str) -> Result<Option<(String, String)>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let Some((key, variant)) = text.split_once('=') else {
            bail!("{name}={text} is not a flag and a variant; for example {name}=checkout=on");
        };
        Ok(Some((format!("x-serin-flag-{key}"), variant.to_owned())))
    }

    fn leak(&self) -> Result<Leak> {
        Ok(Leak {
            after: self.parse("LEAK_AFTER", "a number of requests", "1000")?.unwrap_or(0),
            errors: self.share("LEAK_ERRORS")?,
            ms: self.ms("LEAK_MS", 0.0)?,
        })
    }
}

/// The luck of one instance: the same for the same seed and name.
#[derive(Debug)]
pub(super) struct Dice {
    rng: Rng,
    behaviour: Behaviour,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Roll {
    pub(super) delay: Duration,
    pub(super) fails: bool,
}

impl Dice {
    pub(super) fn new(settings: &Settings) -> Self {
        let rng = Rng::with_seed(settings.seed ^ fnv1a(settings.instance.as_bytes()));
        Self { rng, behaviour: settings.behaviour }
    }

    /// For a request that `served` others came before.
    pub(super) fn roll(&mut self, served: u64) -> Roll {
        let b = self.behaviour;
        let lost = served.saturating_sub(b.leak.after) as f64;
        let slow = if self.rng.f64() < b.slow_rate { b.slow_ms } else { 0.0 };
        let ms = b.median_ms * (b.sigma * self.normal()).exp() + slow + b.leak.ms * lost;
        let delay = Duration::from_secs_f64(ms / 1000.0).min(LONGEST);
        Roll { delay, fails: self.rng.f64() < b.error_rate + b.leak.errors * lost }
    }

    /// A standard normal number, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.rng.f64()).cos()
    }
}

/// FNV-1a, 64 bits: spreads the names of instances over the seeds.
fn fnv1a(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
