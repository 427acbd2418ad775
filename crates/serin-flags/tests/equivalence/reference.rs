//! A plain reading of a definition, as its documentation says, with hashes of its own.

use serde_json::Value;
use serin_flags::{
    Anonymous, Arm, Bucketing, Clause, Definition, Method, Operator, Rule, Scalar, Serve,
    SetDefinition, State, WHOLE,
};

/// One user of a set.
pub struct Reference<'a> {
    pub set: &'a SetDefinition,
    pub user: &'a Value,
    pub now: i64,
}

type Answer = (Option<String>, Option<Arm>);

impl Reference<'_> {
    pub fn evaluate(&self, key: &str, flag: &Definition) -> Answer {
        let off = (Some(flag.off_variant.clone()), None);
        if flag.killed.is_some() || (flag.state == State::Off) {
            return off;
        }
        if flag.state == State::Disabled {
            return (None, None);
        }
        let default = (flag.default_variant.clone(), None);
        if flag.expires_at.is_some_and(|end| self.now >= end.0) {
            return default;
        }
        for needs in &flag.prerequisites {
            let parent = &self.set.flags[&needs.flag];
            let (variant, _) = self.evaluate(needs.flag.as_str(), parent);
            if !variant.is_some_and(|variant| needs.variants.contains(&variant)) {
                return off;
            }
        }
        let user = self.user["targetingKey"].as_str().unwrap_or("\0none");
        for target in &flag.targets {
            if target.users.iter().any(|listed| listed == user) {
                return (Some(target.variant.clone()), None);
            }
        }
        for rule in flag.rules.iter().filter(|rule| self.fits(rule)) {
            if let Some(variant) = self.serve(key, flag, &rule.serve) {
                return (Some(variant), None);
            }
        }
        self.released(flag).unwrap_or(default)
    }

    fn released(&self, flag: &Definition) -> Option<Answer> {
        let release = flag.release.as_ref()?;
        if !self.in_any(&release.segments) {
            return None;
        }
        let everybody = release.exposure == WHOLE && release.arm == WHOLE;
        let Some(unit) = self.unit(flag, None) else {
            return everybody.then(|| (Some(release.on.clone()), None));
        };
        let bucket = |salt: &str| self.bucket(flag, salt, &unit);
        let off = Some(release.off.clone());
        if bucket(&release.exposure_salt) >= release.exposure {
            return Some((off, None));
        }
        Some(if bucket(&release.arm_salt) < release.arm {
            (Some(release.on.clone()), Some(Arm::Treatment))
        } else {
            (off, Some(Arm::Control))
        })
    }

    fn fits(&self, rule: &Rule) -> bool {
        self.in_any(&rule.segments) && rule.clauses.iter().all(|clause| self.holds(clause))
    }

    fn in_any(&self, segments: &[String]) -> bool {
        segments.is_empty() || segments.iter().any(|name| self.inside(name))
    }

    fn inside(&self, name: &str) -> bool {
        let segment = &self.set.segments[name];
        let user = self.user["targetingKey"].as_str().unwrap_or("\0none").to_owned();
        let listed = segment.users.contains(&user)
            || segment.segments.iter().any(|name| self.inside(name))
            || segment.any.iter().any(|all| all.iter().all(|clause| self.holds(clause)));
        listed && !segment.excluded.contains(&user)
    }

    fn serve(&self, key: &str, flag: &Definition, serve: &Serve) -> Option<String> {
        let (shares, by, salt) = match serve {
            Serve::Variant(name) => return Some(name.clone()),
            Serve::Split { shares, by, salt } => (shares, by, salt),
        };
        if let Some(whole) = shares.iter().find(|share| share.weight == WHOLE) {
            return Some(whole.variant.clone());
        }
        let unit = self.unit(flag, by.as_deref())?;
        let salt = salt.as_deref().or(flag.salt.as_deref()).unwrap_or(key);
        let bucket = self.bucket(flag, salt, &unit);
        let mut upto = 0;
        shares
            .iter()
            .find(|share| {
                upto += share.weight;
                bucket < upto
            })
            .map(|share| share.variant.clone())
    }

    /// The text that is bucketed.
    fn unit(&self, flag: &Definition, by: Option<&str>) -> Option<String> {
        let by = by.or(flag.bucket_by.as_deref()).unwrap_or("targetingKey");
        let text = |name: &str| match &self.user[name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        text(by).or_else(|| match &flag.anonymous {
            Anonymous::Skip => None,
            Anonymous::Attribute(other) => text(other),
        })
    }

    fn bucket(&self, flag: &Definition, salt: &str, unit: &str) -> u32 {
        let text = format!("{salt}:{unit}");
        let own = match self.set.bucketing {
            Bucketing::V2 => Method::V2,
            Bucketing::V3 => Method::V3,
        };
        let spread = |hash: u32| ((u64::from(hash) * u64::from(WHOLE)) >> 32) as u32;
        match flag.bucketing.unwrap_or(own) {
            Method::V2 => spread(murmur3(text.as_bytes(), 0)),
            Method::V3 => spread(murmur3(&cbor_text(&text), 0)),
            Method::Unleash if flag.variants.0[0].value.is_boolean() => {
                murmur3(text.as_bytes(), 0) % 100 * 1_000
            }
            Method::Unleash => murmur3(text.as_bytes(), 86_028_157) % 1_000 * 100,
            Method::Md5_100 => unreachable!("has its own vectors"),
        }
    }

    fn holds(&self, clause: &Clause) -> bool {
        let value = &self.user[&clause.attribute];
        let fits = match clause.operator {
            Operator::Exists => !value.is_null(),
            _ => clause.values.iter().any(|wanted| self.compares(clause, value, wanted)),
        };
        fits != clause.inverted
    }

    fn compares(&self, clause: &Clause, value: &Value, wanted: &Scalar) -> bool {
        use Operator as Op;
        let fold =
            |text: &str| if clause.ignore_case { text.to_lowercase() } else { text.to_owned() };
        let ours = value.as_str().map(fold);
        let theirs = wanted.as_str().map(fold).unwrap_or_default();
        let text = |test: fn(&str, &str) -> bool| ours.as_ref().is_some_and(|t| test(t, &theirs));
        match clause.operator {
            Op::Equals | Op::In if clause.ignore_case => text(|a, b| a == b),
            Op::Equals | Op::In => same(value, wanted),
            Op::Contains if value.is_array() && !clause.ignore_case => {
                value.as_array().unwrap().contains(&Value::from(theirs))
            }
            Op::Contains => text(|a, b| a.contains(b)),
            Op::StartsWith => text(|a, b| a.starts_with(b)),
            Op::EndsWith => text(|a, b| a.ends_with(b)),
            Op::Matches if theirs == "^a" => text(|a, _| a.starts_with('a')),
            Op::Matches => text(|a, _| a.ends_with('c')),
            Op::InNetwork if theirs == "::1" => value == "::1",
            Op::InNetwork => text(|a, _| a.starts_with("10.")),
            Op::LessThan => number(value).is_some_and(|v| v < limit(wanted)),
            Op::AtMost => number(value).is_some_and(|v| v <= limit(wanted)),
            Op::GreaterThan => number(value).is_some_and(|v| v > limit(wanted)),
            Op::AtLeast => number(value).is_some_and(|v| v >= limit(wanted)),
            Op::Before => self.time(clause, value).is_some_and(|v| v < seconds(&theirs).unwrap()),
            Op::After => self.time(clause, value).is_some_and(|v| v > seconds(&theirs).unwrap()),
            Op::Exists => unreachable!("compares nothing"),
            operator => versions(operator, value, &theirs),
        }
    }

    fn time(&self, clause: &Clause, value: &Value) -> Option<i64> {
        if clause.attribute == "$now" {
            return Some(self.now);
        }
        value.as_i64().or_else(|| seconds(value.as_str()?))
    }
}

fn same(value: &Value, wanted: &Scalar) -> bool {
    match wanted {
        Scalar::Text(text) => value == text.as_str(),
        Scalar::Bool(flag) => *value == *flag || *value == flag.to_string().as_str(),
        Scalar::Number(number) => {
            let equal = value.is_number() && value.as_f64() == number.as_f64();
            equal || *value == number.to_string().as_str()
        }
    }
}

/// A number as JsonLogic takes it from an attribute that is there and not empty.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if !text.is_empty() => text.parse().ok(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    }
}

fn limit(wanted: &Scalar) -> f64 {
    match wanted {
        Scalar::Number(number) => number.as_f64().unwrap(),
        _ => panic!("only numbers are ordered"),
    }
}

/// The few times that are drawn.
fn seconds(text: &str) -> Option<i64> {
    match text {
        "2020-01-01T00:00:00Z" => Some(1_577_836_800),
        "2027-01-15T08:00:00Z" => Some(1_800_000_000),
        "2030-01-01" => Some(1_893_456_000),
        _ => None,
    }
}

fn versions(operator: Operator, value: &Value, wanted: &str) -> bool {
    use Operator as Op;
    let read = |text: &str| -> Option<Vec<u64>> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts: Vec<u64> = text.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        parts.resize(3, 0);
        Some(parts)
    };
    let Some(ours) = value.as_str().and_then(read) else { return false };
    let theirs = read(wanted).unwrap();
    match operator {
        Op::VersionEquals => ours == theirs,
        Op::VersionLessThan => ours < theirs,
        Op::VersionAtMost => ours <= theirs,
        Op::VersionGreaterThan => ours > theirs,
        Op::VersionAtLeast => ours >= theirs,
        Op::VersionSameMajor => ours[0] == theirs[0],
        _ => ours[..2] == theirs[..2],
    }
}

fn cbor_text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let mut bytes = if length < 24 { vec![0x60 | length] } else { vec![0x78, length] };
    bytes.extend(text.as_bytes());
    bytes
}

fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mix = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = seed;
    for block in bytes.chunks(4) {
        let mut word = [0; 4];
        word[..block.len()].copy_from_slice(block);
        hash ^= mix(u32::from_le_bytes(word));
        if block.len() == 4 {
            hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        }
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}
