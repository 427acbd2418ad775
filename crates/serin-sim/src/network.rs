//! Messages on their way, mistreated.

use fastrand::Rng;

/// How badly messages are treated; shares of messages, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// Lost.
    pub drop: f64,
    /// Delivered twice.
    pub duplicate: f64,
    /// Late.
    pub delay: f64,
    /// Turns a late one may be late.
    pub delay_max: u32,
}

impl Faults {
    /// A network that does its work.
    pub const NONE: Self = Self { drop: 0.0, duplicate: 0.0, delay: 0.0, delay_max: 0 };

    /// A random kind of bad network.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut share = |most: f64| if rng.bool() { rng.f64() * most } else { 0.0 };
        let (drop, duplicate, delay) = (share(0.5), share(0.3), share(0.5));
        Self { drop, duplicate, delay, delay_max: 1 + rng.u32(..20) }
    }
}

/// Messages of one kind on their way.
#[derive(Debug)]
pub struct Network<T> {
    on_the_way: Vec<(u64, T)>,
}

impl<T> Default for Network<T> {
    fn default() -> Self {
        Self { on_the_way: Vec::new() }
    }
}

impl<T: Clone> Network<T> {
    /// Sends at `turn`; what becomes of it is up to `faults`.
    pub fn send(&mut self, message: T, turn: u64, faults: Faults, rng: &mut Rng) {
        if rng.f64() < faults.drop {
            return;
        }
        if rng.f64() < faults.duplicate {
            let at = turn + u64::from(rng.u32(0..=faults.delay_max));
            self.on_the_way.push((at, message.clone()));
        }
        let late = rng.f64() < faults.delay;
        let at = turn + if late { u64::from(rng.u32(0..=faults.delay_max)) } else { 0 };
        self.on_the_way.push((at, message));
    }

    /// What arrives by `turn`, in any order.
    pub fn arrived(&mut self, turn: u64, rng: &mut Rng) -> Vec<T> {
        let (mut here, later): (Vec<_>, Vec<_>) =
            self.on_the_way.drain(..).partition(|(at, _)| *at <= turn);
        self.on_the_way = later;
        rng.shuffle(&mut here);
        here.into_iter().map(|(_, message)| message).collect()
    }
}
