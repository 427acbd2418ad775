//! Noise for arms that do not vary at all.
//!
//! Two constant arms leave the rank statistic without variance, so Kayenta adds Gaussian noise of
//! 1e-5 of the value, unseeded. Ours is the same noise from a generator that is seeded by the value
//! itself: splitmix64 (Steele, Lea and Flood 2014) through the Box-Muller transform. The
//! same arm has the same noise on every machine and whichever side it is on.

use std::f64::consts::TAU;

const SCALE: f64 = 1e-5;

/// The values with noise, standard deviation 1e-5 of the first value. A 0 stays a 0.
pub fn add_noise(values: &[f64]) -> Vec<f64> {
    let level = values.first().copied().unwrap_or(0.0);
    let mut state = level.to_bits();
    values.iter().map(|v| v + gaussian(&mut state) * level * SCALE).collect()
}

fn gaussian(state: &mut u64) -> f64 {
    let (u, v) = (uniform(state), uniform(state));
    libm::sqrt(-2.0 * libm::log(u)) * libm::cos(TAU * v)
}

/// Uniform in (0, 1), never 0.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON / 4.0
}
