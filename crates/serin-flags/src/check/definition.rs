//! One flag.

use super::{Check, limit, shown};
use crate::{Anonymous, Approval, Definition, FlagKey, Prerequisite, Problem, Rule};

impl Check<'_> {
    pub(super) fn definition(&mut self, key: &FlagKey, definition: &Definition) {
        let place = format!("flags.{key}");
        self.texts(&place, definition);
        self.variants(&place, definition);
        if let Some(name) = &definition.default_variant {
            self.variant(&format!("{place}.defaultVariant"), definition, name);
        }
        self.variant(&format!("{place}.offVariant"), definition, &definition.off_variant);
        if !self.reads_rules(definition) {
            return;
        }
        self.prerequisites(&place, key, definition);
        self.targets(&place, definition);
        self.rules(&place, definition);
        if let Some(release) = &definition.release {
            self.release(&format!("{place}.release"), definition, release);
        }
        self.raw(&place, definition);
    }

    fn texts(&mut self, place: &str, definition: &Definition) {
        self.short(&format!("{place}.description"), &definition.description, limit::TEXT);
        self.short(&format!("{place}.owner"), &definition.owner, limit::NAME);
        self.metadata(&format!("{place}.metadata"), &definition.metadata);
        self.at_most(&format!("{place}.tags"), definition.tags.len(), limit::ITEMS);
        for tag in &definition.tags {
            self.name(&format!("{place}.tags"), tag);
        }
        if let Some(salt) = &definition.salt {
            self.name(&format!("{place}.salt"), salt);
        }
        if let Some(by) = &definition.bucket_by {
            self.attribute(&format!("{place}.bucketBy"), by);
        }
        if let Anonymous::Attribute(by) = &definition.anonymous {
            self.attribute(&format!("{place}.anonymous"), by);
        }
        if let Some(code) = &definition.requires {
            self.name(&format!("{place}.requires.service"), &code.service);
            self.name(&format!("{place}.requires.version"), &code.version);
        }
        if let Some(approval) = &definition.approval {
            self.approval(&format!("{place}.approval"), approval);
        }
        if let (Some(made), Some(ends)) = (definition.created_at, definition.expires_at)
            && ends <= made
        {
            let found = format!("{ends} is not after {made}, when the flag was made");
            let problem = Problem::new(format!("{place}.expiresAt"), found);
            self.add(problem.allowed("a later time"));
        }
    }

    pub(super) fn approval(&mut self, place: &str, approval: &Approval) {
        for (name, number, most) in
            [("count", approval.count, 10), ("expiresHours", approval.expires_hours, 720)]
        {
            if !(1..=most).contains(&number) {
                let problem = Problem::new(format!("{place}.{name}"), format!("is {number}"));
                self.add(problem.allowed(format!("a whole number from 1 to {most}")));
            }
        }
    }

    fn prerequisites(&mut self, place: &str, key: &FlagKey, definition: &Definition) {
        let place = format!("{place}.prerequisites");
        self.at_most(&place, definition.prerequisites.len(), limit::ITEMS);
        for (at, needs) in definition.prerequisites.iter().enumerate() {
            self.prerequisite(&format!("{place}[{at}]"), key, needs);
        }
    }

    fn prerequisite(&mut self, place: &str, key: &FlagKey, needs: &Prerequisite) {
        let set = self.set;
        let Some(parent) = set.flags.get(&needs.flag) else {
            let found = format!("there is no flag {} in this set", shown(needs.flag.as_str()));
            let others = set.flags.keys().filter(|other| *other != key).map(FlagKey::as_str);
            let problem = Problem::new(place, found).allowed("another flag of the set");
            return self.add(problem.near(needs.flag.as_str(), others));
        };
        if parent.archived_at.is_some() {
            let found = format!("{} is archived", needs.flag);
            self.add(Problem::new(place, found).allowed("a flag that is still served"));
        }
        if needs.variants.is_empty() {
            let found = "no variant is named, so that it can never be met";
            self.add(Problem::new(place, found).allowed("at least one variant"));
        }
        for name in &needs.variants {
            self.variant(place, parent, name);
        }
    }

    fn targets(&mut self, place: &str, definition: &Definition) {
        let place = format!("{place}.targets");
        self.at_most(&place, definition.targets.len(), limit::ITEMS);
        for (at, target) in definition.targets.iter().enumerate() {
            let place = format!("{place}[{at}]");
            self.variant(&format!("{place}.variant"), definition, &target.variant);
            self.short(&format!("{place}.name"), &target.name, limit::NAME);
            self.users(&format!("{place}.users"), &target.users);
        }
    }

    fn rules(&mut self, place: &str, definition: &Definition) {
        let here = format!("{place}.rules");
        self.at_most(&here, definition.rules.len(), limit::ITEMS);
        for (at, rule) in definition.rules.iter().enumerate() {
            let place = format!("{here}[{at}]");
            self.short(&format!("{place}.name"), &rule.name, limit::NAME);
            self.segments(&format!("{place}.segments"), &rule.segments);
            self.clauses(&format!("{place}.clauses"), &rule.clauses);
            self.serve(&format!("{place}.serve"), definition, &rule.serve);
        }
        self.reach(place, definition);
    }

    /// A rule for everybody ends the list: whoever comes after it would be locked out silently.
    fn reach(&mut self, place: &str, definition: &Definition) {
        let everybody = |rule: &Rule| rule.segments.is_empty() && rule.clauses.is_empty();
        let Some(last) = definition.rules.iter().position(everybody) else { return };
        let allowed = "a place before it";
        if last + 1 < definition.rules.len() {
            let found = format!("rule {} fits everybody, so this one is never reached", last + 1);
            let problem = Problem::new(format!("{place}.rules[{}]", last + 1), found);
            self.add(problem.allowed(allowed));
        }
        if definition.release.is_some() {
            let found = format!("rule {} fits everybody, so nobody is released to", last + 1);
            let problem = Problem::new(format!("{place}.release"), found);
            self.add(problem.allowed("rules that leave users over, or no release"));
        }
    }

    fn raw(&mut self, place: &str, definition: &Definition) {
        let more = !definition.targets.is_empty()
            || !definition.rules.is_empty()
            || definition.release.is_some();
        if definition.raw.as_ref().is_some_and(|raw| !raw.is_object()) {
            let problem = Problem::new(format!("{place}.raw"), "is no rule");
            self.add(problem.allowed("JsonLogic: an object with one operator"));
        }
        if definition.raw.is_some() && more {
            let found = "raw targeting stands beside targets, rules or a release";
            let problem = Problem::new(format!("{place}.raw"), found);
            self.add(problem.allowed("one of the two: take the raw targeting or the others away"));
        }
    }
}
