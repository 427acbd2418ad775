//! Random numbers that are the same on every machine: a small generator and exact samplers.
//!
//! "Exact" means that no sampler replaces a distribution by a normal one: tails at small means are
//! what false alarms are made of.

use libm::{exp, fabs, floor, lgamma, log, log1p, sqrt};

/// xoshiro256++ (Blackman and Vigna 2021), seeded by splitmix64.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
    spare: Option<f64>,
}

/// Below this mean a sampler counts events one by one, above it rejects.
const SMALL: f64 = 10.0;

impl Rng {
    /// The generator of one run: `stream` names the scenario. Runs do not depend on each other, so
    /// it does not matter which thread makes which.
    pub fn of(stream: u64, run: u64) -> Self {
        let mut seed = stream.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ run.rotate_left(32);
        Self { state: std::array::from_fn(|_| splitmix(&mut seed)), spare: None }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform, strictly between 0 and 1.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Whether something of probability `p` happens.
    pub fn happens(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Standard normal (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = u * u + v * v;
            if s < 1.0 && s > 0.0 {
                let factor = sqrt(-2.0 * log(s) / s);
                self.spare = Some(v * factor);
                return u * factor;
            }
        }
    }

    /// Number of trials up to and with the first success of probability `p`, by inversion.
    pub fn geometric(&mut self, p: f64) -> u64 {
        if p >= 1.0 {
            return 1;
        }
        1 + floor(log(self.uniform()) / log1p(-p)) as u64
    }

    /// Poisson with any mean.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            0
        } else if mean < SMALL {
            self.poisson_small(mean)
        } else {
            self.poisson_large(mean)
        }
    }

    /// Counts arrivals until the time is over.
    fn poisson_small(&mut self, mean: f64) -> u64 {
        let end = exp(-mean);
        let mut product = self.uniform();
        let mut count = 0;
        while product > end {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// Transformed rejection, PTRS (Hörmann 1993, "The transformed rejection method for generating
    /// Poisson random variables").
    fn poisson_large(&mut self, mean: f64) -> u64 {
        let slope = 0.931 + 2.53 * sqrt(mean);
        let hat = Hat {
            slope,
            tail: -0.059 + 0.02483 * slope,
            center: mean + 0.43,
            squeeze: 0.9277 - 3.6224 / (slope - 2.0),
        };
        let ln_scale = log(1.1239 + 1.1328 / (slope - 3.4));
        let ln_mean = log(mean);
        loop {
            let draw = self.draw(&hat);
            let k = draw.k;
            if k >= 0.0 && draw.is_sure {
                return k as u64;
            }
            let possible = k >= 0.0 && (draw.edge >= 0.013 || draw.height <= draw.edge);
            let accepted = k * ln_mean - mean - lgamma(k + 1.0);
            if possible && draw.ln_height(&hat) + ln_scale <= accepted {
                return k as u64;
            }
        }
    }

    /// A point under the hat, folded to a whole number.
    fn draw(&mut self, hat: &Hat) -> Draw {
        let (place, height) = (self.uniform() - 0.5, self.uniform());
        let edge = 0.5 - fabs(place);
        let k = floor((2.0 * hat.tail / edge + hat.slope) * place + hat.center);
        Draw { k, edge, height, is_sure: edge >= 0.07 && height <= hat.squeeze }
    }

    /// Events among `n` trials of probability `p`.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p <= 0.0 || n == 0 {
            0
        } else if p >= 1.0 {
            n
        } else if p > 0.5 {
            n - self.binomial(n, 1.0 - p)
        } else if n as f64 * p < SMALL {
            self.binomial_small(n, p)
        } else {
            self.binomial_large(n as f64, p)
        }
    }

    /// Goes from event to event by geometric gaps.
    fn binomial_small(&mut self, n: u64, p: f64) -> u64 {
        let ln_q = log1p(-p);
        let (mut events, mut at) = (0, 0.0);
        loop {
            at += 1.0 + floor(log(self.uniform()) / ln_q);
            if at > n as f64 {
                return events;
            }
            events += 1;
        }
    }

    /// Transformed rejection, BTRS (Hörmann 1993, "The generation of binomial random variates"),
    /// for `p` up to a half.
    fn binomial_large(&mut self, n: f64, p: f64) -> u64 {
        let spread = sqrt(n * p * (1.0 - p));
        let slope = 1.15 + 2.53 * spread;
        let hat = Hat {
            slope,
            tail: -0.0873 + 0.0248 * slope + 0.01 * p,
            center: n * p + 0.5,
            squeeze: 0.92 - 4.2 / slope,
        };
        let ln_scale = log((2.83 + 5.1 / slope) * spread);
        let mode = floor((n + 1.0) * p);
        let at_mode = lgamma(mode + 1.0) + lgamma(n - mode + 1.0);
        let ln_odds = log(p / (1.0 - p));
        loop {
            let draw = self.draw(&hat);
            let k = draw.k;
            let possible = (0.0..=n).contains(&k);
            if possible && draw.is_sure {
                return k as u64;
            }
            let accepted = at_mode - lgamma(k + 1.0) - lgamma(n - k + 1.0) + (k - mode) * ln_odds;
            if possible && draw.ln_height(&hat) + ln_scale <= accepted {
                return k as u64;
            }
        }
    }
}

/// The table mountain hat of transformed rejection (a, b, c and v_r in Hörmann's papers).
struct Hat {
    tail: f64,
    slope: f64,
    center: f64,
    squeeze: f64,
}

/// A proposal.
struct Draw {
    k: f64,
    edge: f64,
    height: f64,
    is_sure: bool,
}

impl Draw {
    /// `ln` of the height over the hat's slope, to be held against the density.
    fn ln_height(&self, hat: &Hat) -> f64 {
        log(self.height / (hat.tail / (self.edge * self.edge) + hat.slope))
    }
}

fn splitmix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
