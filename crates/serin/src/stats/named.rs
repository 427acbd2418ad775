//! `--named NAME=KIND,key=value`: metrics whose numbers come as `samples`.

use super::settings::{decimal, share};
use crate::misuse::nearest;
use serin_stats::{Kind, Metric, MetricSettings, Role, Worse};

/// What the keys of a kind may be.
const KEYS: &str = "role, worse, ratio, floor, harm, low, high";

/// Reads `restarts=count,worse=rise,ratio=2`.
pub fn named(text: &str) -> Result<MetricSettings, String> {
    let (name, rest) = text.split_once('=').ok_or("write NAME=KIND, for example restarts=count")?;
    let mut parts = rest.split(',').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let mut wish = Wish::default();
    parts.try_for_each(|part| wish.add(part))?;
    let metric = Metric::from(name.trim().to_owned());
    if !matches!(metric, Metric::Named(_)) || name.trim().is_empty() {
        return Err(format!("`{name}` cannot be the name of a metric of your own"));
    }
    Ok(MetricSettings { metric, role: wish.role, kind: wish.kind(kind)? })
}

/// Reads `critical`, `normal` or `watch-only`.
pub fn role(text: &str) -> Result<Role, String> {
    match text {
        "critical" => Ok(Role::Critical),
        "normal" => Ok(Role::Normal),
        "watch-only" => Ok(Role::WatchOnly),
        _ => Err(unknown("role", text, &["critical", "normal", "watch-only"])),
    }
}

/// `` unknown x `y`; allowed: a, b (did you mean `a`?) ``
pub fn unknown(what: &str, text: &str, allowed: &[&str]) -> String {
    let all = allowed.join(", ");
    match nearest(text, allowed) {
        Some(near) => format!("unknown {what} `{text}`; allowed: {all} (did you mean `{near}`?)"),
        None => format!("unknown {what} `{text}`; allowed: {all}"),
    }
}

struct Wish {
    role: Role,
    worse: Worse,
    ratio: f64,
    floor: Option<f64>,
    harm: Option<f64>,
    low: f64,
    high: f64,
}

impl Default for Wish {
    fn default() -> Self {
        let (role, worse) = (Role::Critical, Worse::Rise);
        Self { role, worse, ratio: 2.0, floor: None, harm: None, low: 0.0, high: 1.0 }
    }
}

impl Wish {
    fn add(&mut self, part: &str) -> Result<(), String> {
        let (key, value) = part.split_once('=').ok_or(format!("`{part}` is not key=value"))?;
        match key {
            "role" => self.role = role(value)?,
            "worse" => self.worse = worse(value)?,
            "ratio" => self.ratio = decimal(value)?,
            "floor" => self.floor = Some(share(value)?),
            "harm" => self.harm = Some(share(value)?),
            "low" => self.low = decimal(value)?,
            "high" => self.high = decimal(value)?,
            _ => return Err(unknown("key", key, &KEYS.split(", ").collect::<Vec<_>>())),
        }
        Ok(())
    }

    fn kind(&self, name: &str) -> Result<Kind, String> {
        let Self { worse, ratio: harm_ratio, low, high, .. } = *self;
        match name {
            "share" => Ok(Kind::Share { harm_ratio, harm_floor: self.floor.unwrap_or(0.005) }),
            "count" => Ok(Kind::Count { worse, harm_ratio, harm_floor: self.floor.unwrap_or(0.0) }),
            "mean" => Ok(Kind::Mean { worse, harm: self.harm.unwrap_or(0.1) }),
            "bounded-mean" => {
                let harm = self.harm.unwrap_or((high - low) * 0.05);
                Ok(Kind::BoundedMean { low, high, worse, harm })
            }
            _ => Err(unknown("kind", name, &["share", "count", "mean", "bounded-mean"])),
        }
    }
}

fn worse(text: &str) -> Result<Worse, String> {
    match text {
        "rise" => Ok(Worse::Rise),
        "drop" => Ok(Worse::Drop),
        _ => Err(unknown("direction", text, &["rise", "drop"])),
    }
}
