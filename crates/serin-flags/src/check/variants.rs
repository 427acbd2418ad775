//! The values of a flag.

use super::{Check, limit, repeated, shown};
use crate::{Definition, FlagType, Problem};

impl Check<'_> {
    pub(super) fn variants(&mut self, place: &str, definition: &Definition) {
        let here = format!("{place}.variants");
        let variants = &definition.variants;
        if variants.0.is_empty() {
            self.add(Problem::new(&here, "the flag has no variants").allowed("at least one"));
        }
        self.at_most(&here, variants.0.len(), limit::VARIANTS);
        if let Some(name) = repeated(variants.names()) {
            let found = format!("{} comes twice", shown(name));
            self.add(Problem::new(&here, found).allowed("names that differ"));
        }
        self.one_type(&here, definition);
        for variant in &variants.0 {
            self.name(&here, &variant.name);
            let size = variant.value.to_string().len();
            if size > limit::VALUE {
                let found = format!("the value of {} has {size} bytes", shown(&variant.name));
                let allowed = format!("at most {} bytes", limit::VALUE);
                self.add(Problem::new(&here, found).allowed(allowed));
            }
        }
        self.code_default(place, definition);
    }

    fn one_type(&mut self, place: &str, definition: &Definition) {
        let first = definition.variants.0.first().and_then(|one| FlagType::of(&one.value));
        for variant in &definition.variants.0 {
            let (name, kind) = (shown(&variant.name), FlagType::of(&variant.value));
            match (kind, first) {
                (None, _) => {
                    let problem = Problem::new(place, format!("{name} is null"));
                    self.add(problem.allowed("a boolean, string, number, object or list"));
                }
                (Some(kind), Some(first)) if kind != first => {
                    let found = format!("{name} is a {kind}, the first variant a {first}");
                    self.add(Problem::new(place, found).allowed("values of one type"));
                }
                (Some(_), _) => {}
            }
        }
    }

    fn code_default(&mut self, place: &str, definition: &Definition) {
        let Some(value) = &definition.code_default else { return };
        let ours = definition.variants.0.first().and_then(|one| FlagType::of(&one.value));
        if let (Some(theirs), Some(ours)) = (FlagType::of(value), ours)
            && theirs != ours
        {
            let found = format!("the code's default is a {theirs}, the variants are a {ours}");
            let problem = Problem::new(format!("{place}.codeDefault"), found);
            self.add(problem.allowed("one type, or the app never gets this flag's value"));
        }
    }

    /// That a name is one of the flag's variants.
    pub(super) fn variant(&mut self, place: &str, definition: &Definition, name: &str) {
        if definition.variants.get(name).is_none() {
            let names: Vec<&str> = definition.variants.names().take(10).collect();
            let problem = Problem::new(place, format!("there is no variant {}", shown(name)));
            let problem = problem.allowed(names.join(", "));
            self.add(problem.near(name, definition.variants.names()));
        }
    }
}
