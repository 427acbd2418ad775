//! Shares: rules' splits and the guarded release.

use super::{Check, limit, shown};
use crate::{Definition, Method, Problem, Release, Serve, Share, WHOLE, compile::is_boolean};

impl Check<'_> {
    pub(super) fn serve(&mut self, place: &str, definition: &Definition, serve: &Serve) {
        match serve {
            Serve::Variant(name) => self.variant(place, definition, name),
            Serve::Split { shares, by, salt } => {
                self.shares(place, definition, shares);
                if let Some(by) = by {
                    self.attribute(&format!("{place}.by"), by);
                }
                if let Some(salt) = salt {
                    self.name(&format!("{place}.salt"), salt);
                }
            }
        }
    }

    fn shares(&mut self, place: &str, definition: &Definition, shares: &[Share]) {
        for share in shares {
            self.variant(place, definition, &share.variant);
        }
        self.at_most(place, shares.len(), limit::VARIANTS);
        let sum: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
        if sum != u64::from(WHOLE) {
            let found = format!("the shares sum to {sum}");
            self.add(Problem::new(place, found).allowed("100000, which is 100 %"));
        }
        let step = smallest_step(definition);
        for share in shares.iter().filter(|share| share.weight % step != 0) {
            let found = format!("{} has {} parts of 100000", shown(&share.variant), share.weight);
            let allowed = format!("multiples of {step} with this flag's bucketing");
            self.add(Problem::new(place, found).allowed(allowed));
        }
    }

    pub(super) fn release(&mut self, place: &str, definition: &Definition, release: &Release) {
        for (field, name) in [("on", &release.on), ("off", &release.off)] {
            self.variant(&format!("{place}.{field}"), definition, name);
        }
        for (field, share) in [("exposure", release.exposure), ("arm", release.arm)] {
            if share > WHOLE {
                let problem = Problem::new(format!("{place}.{field}"), format!("is {share}"));
                self.add(problem.allowed("0 to 100000, which is 100 %"));
            }
        }
        self.salts(place, release);
        self.short(&format!("{place}.generation"), &release.generation, limit::NAME);
        self.segments(&format!("{place}.segments"), &release.segments);
        if matches!(definition.bucketing, Some(Method::Md5_100 | Method::Unleash)) {
            let found = "a guarded release needs buckets finer than this flag's bucketing has";
            let problem = Problem::new(place, found);
            self.add(problem.allowed("bucketing v2 or v3, or a rule in place of the release"));
        }
    }

    fn salts(&mut self, place: &str, release: &Release) {
        self.name(&format!("{place}.exposureSalt"), &release.exposure_salt);
        self.name(&format!("{place}.armSalt"), &release.arm_salt);
        if release.exposure_salt == release.arm_salt {
            let found = "is the same as exposureSalt, so that every exposed user would be treated";
            let problem = Problem::new(format!("{place}.armSalt"), found);
            self.add(problem.allowed("another salt"));
        }
        if release.on == release.off {
            let found = "on and off are the same variant";
            self.add(Problem::new(place, found).allowed("two variants to compare"));
        }
    }
}

/// The smallest share a flag's bucketing can tell from none, parts per 100 000.
fn smallest_step(definition: &Definition) -> u32 {
    match definition.bucketing {
        Some(Method::Md5_100) => WHOLE / 100,
        Some(Method::Unleash) if is_boolean(definition) => WHOLE / 100,
        Some(Method::Unleash) => WHOLE / 1_000,
        Some(Method::V2 | Method::V3) | None => 1,
    }
}
