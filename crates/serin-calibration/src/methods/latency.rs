//! Methods that watch latencies.

use super::fixed::HORIZON;
use super::kayenta::is_high;
use crate::traffic::{Moment, Sums};
use crate::watch::{Method, Watch};
use serin_stats::bucket::bucket_middle_ms;
use serin_stats::{BUCKETS, Histogram, normal};

/// All of them but ours.
pub const LATENCY: [Method; 8] = [
    Method { name: "Flagger p99 <= 500 ms, threshold 5", make: flagger },
    Method { name: "Kayenta on p99 every 5 min", make: || kayenta(1.0) },
    Method { name: "Kayenta on p99, allowedIncrease 1.1", make: || kayenta(1.1) },
    Method { name: "z on mean peeked, alpha 0.05", make: || welch(0.05, false) },
    Method { name: "z on mean peeked, alpha 0.01", make: || welch(0.01, false) },
    Method { name: "z on mean once at 60 min, alpha 0.05", make: || welch(0.05, true) },
    Method { name: "LIL band, alpha 0.05", make: band },
    Method { name: "AsympCS of the mean, alpha 0.05", make: asymptotic },
];

/// The 99th percentile of each arm by the minute.
struct ByMinute {
    minute: [Histogram; 2],
    seconds: u32,
    points: [Vec<f64>; 2],
    alarms: fn(&mut u32, &[Vec<f64>; 2], f64) -> bool,
    failed: u32,
    allowed: f64,
}

impl ByMinute {
    fn boxed(allowed: f64, alarms: fn(&mut u32, &[Vec<f64>; 2], f64) -> bool) -> Box<dyn Watch> {
        let (minute, points) = Default::default();
        Box::new(Self { minute, seconds: 0, points, alarms, failed: 0, allowed })
    }
}

impl Watch for ByMinute {
    fn observe(&mut self, moment: &Moment) -> bool {
        let tick = &moment.requests;
        self.minute[0].add(&tick.baseline.latency);
        self.minute[1].add(&tick.canary.latency);
        self.seconds += tick.seconds;
        if !self.seconds.is_multiple_of(60) {
            return false;
        }
        for (minute, points) in self.minute.iter_mut().zip(&mut self.points) {
            let p99 = std::mem::take(minute).quantile_bucket(0.99);
            points.push(p99.map_or(f64::NAN, bucket_middle_ms));
        }
        (self.alarms)(&mut self.failed, &self.points, self.allowed)
    }
}

/// Flagger: p99 at most 500 ms over the last minute; the fifth failed check, in total.
fn flagger() -> Box<dyn Watch> {
    ByMinute::boxed(500.0, |failed, points, limit| {
        *failed += u32::from(points[1].last().is_some_and(|p99| *p99 > limit));
        *failed >= 5
    })
}

/// Kayenta on one p99 a minute, judged every five minutes over a growing window.
fn kayenta(allowed_increase: f64) -> Box<dyn Watch> {
    ByMinute::boxed(allowed_increase, |_, points, allowed| {
        points[0].len().is_multiple_of(5) && is_high(&points[0], &points[1], allowed)
    })
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    fn mean(&self) -> f64 {
        self.sum / self.n
    }

    /// Variance of the mean.
    fn error(&self) -> f64 {
        (self.squares - self.sum * self.mean()).max(0.0) / (self.n - 1.0) / self.n
    }
}

/// Mean latencies so far.
#[derive(Default)]
struct Means {
    arms: [Sums; 2],
    seconds: f64,
}

impl Means {
    fn add(&mut self, moment: &Moment) {
        for (arm, news) in self.arms.iter_mut().zip(&moment.latency) {
            arm.add(news);
        }
        self.seconds += f64::from(moment.requests.seconds);
    }

    /// Difference of the means and its variance, with 100 requests in each arm.
    fn difference(&self) -> Option<(f64, f64)> {
        let [baseline, canary] = &self.arms;
        let enough = baseline.n >= 100.0 && canary.n >= 100.0;
        enough.then(|| (canary.mean() - baseline.mean(), canary.error() + baseline.error()))
    }
}

struct Welch {
    means: Means,
    limit: f64,
    at_end: bool,
}

impl Watch for Welch {
    fn observe(&mut self, moment: &Moment) -> bool {
        self.means.add(moment);
        let z = self.means.difference().map(|(d, v)| d / libm::sqrt(v));
        let is_time = !self.at_end || self.means.seconds >= HORIZON;
        is_time && z.is_some_and(|z| z > self.limit)
    }
}

/// Welch's test of the means, one-sided.
fn welch(alpha: f64, at_end: bool) -> Box<dyn Watch> {
    Box::new(Welch { means: Means::default(), limit: normal::quantile(1.0 - alpha), at_end })
}

/// Looks before the asymptotic test begins; the last of them says how fast information comes.
const BURN_IN: u32 = 4;

struct Asymptotic {
    means: Means,
    looks: u32,
    /// Tuning, fixed at the end of the burn-in.
    rho: Option<f64>,
}

impl Watch for Asymptotic {
    fn observe(&mut self, moment: &Moment) -> bool {
        const ALPHA: f64 = 0.05;
        self.means.add(moment);
        self.looks += 1;
        let Some((difference, variance)) = self.means.difference() else { return false };
        let information = 1.0 / variance;
        if self.looks < BURN_IN {
            return false;
        }
        let Some(rho) = self.rho else {
            let ln = -2.0 * libm::log(2.0 * ALPHA);
            let half = information * HORIZON / 2.0 / self.means.seconds;
            self.rho = Some(half / (ln + libm::log(1.0 + ln)));
            return false;
        };
        let (sum, all) = (difference * information, information + rho);
        let ln_e = 0.5 * libm::log(4.0 * rho / all)
            + sum * sum / (2.0 * all)
            + libm::log(normal::cdf(sum / libm::sqrt(all)).max(f64::MIN_POSITIVE));
        ln_e >= -libm::log(ALPHA)
    }
}

/// One-sided normal mixture on the difference of the means, tuned for half the hour (Howard et al.
/// 2021; Waudby-Smith et al. 2024): asymptotic.
fn asymptotic() -> Box<dyn Watch> {
    Box::new(Asymptotic { means: Means::default(), looks: 0, rho: None })
}

/// Everything so far, by bucket.
struct Band {
    arms: [Vec<u64>; 2],
    totals: [f64; 2],
}

impl Watch for Band {
    fn observe(&mut self, moment: &Moment) -> bool {
        let tick = &moment.requests;
        for (arm, news) in [&tick.baseline.latency, &tick.canary.latency].into_iter().enumerate() {
            for (bucket, count) in news.iter() {
                self.arms[arm][usize::from(bucket)] += count;
                self.totals[arm] += count as f64;
            }
        }
        let radius: f64 = self.totals.iter().map(|n| lil_radius(*n)).sum();
        self.largest_gap() > radius
    }
}

impl Band {
    /// By how much stable's distribution function is above the canary's, where it is most.
    fn largest_gap(&self) -> f64 {
        let (mut below, mut largest) = ([0, 0], 0.0);
        for bucket in 0..BUCKETS {
            below[0] += self.arms[0][bucket];
            below[1] += self.arms[1][bucket];
            let gap = below[0] as f64 / self.totals[0] - below[1] as f64 / self.totals[1];
            largest = f64::max(largest, gap);
        }
        largest
    }
}

/// Radius of a time-uniform band around a whole distribution function from `n` values, for alpha
/// 0.025 (Howard and Ramdas 2022, theorem 2, with A = 0.85 and from 100 values on).
fn lil_radius(n: f64) -> f64 {
    const C: f64 = 8.622_649_283_224;
    if n < 100.0 {
        return f64::INFINITY;
    }
    0.85 * libm::sqrt((libm::log(1.0 + libm::log(n / 100.0)) + C) / n)
}

/// Bands of both arms that do not meet (as in Lindon, Sanden and Shirikian 2022).
fn band() -> Box<dyn Watch> {
    Box::new(Band { arms: [vec![0; BUCKETS], vec![0; BUCKETS]], totals: [0.0; 2] })
}
