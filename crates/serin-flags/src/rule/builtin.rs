//! JsonLogic's functions of any number of values.

use crate::rule::{
    program::Builtin,
    run::Scope,
    semver::Version,
    val::{Frame, Made, TooMuch, Val},
};

type Result<'v> = std::result::Result<Val<'v>, TooMuch>;

/// Where a function is called.
pub(crate) struct Call<'c, 'v> {
    pub frame: &'c Frame<'v>,
    pub scope: Scope<'v>,
    pub made: &'c mut Made<'v>,
}

impl<'v> Call<'_, 'v> {
    pub fn run(&mut self, builtin: Builtin, values: &[Val<'v>]) -> Result<'v> {
        let value = |place: usize| values.get(place).copied().unwrap_or(Val::Null);
        match builtin {
            Builtin::Cat => return self.cat(values),
            Builtin::Substr => return self.substr(value(0), value(1), values.get(2).copied()),
            Builtin::Merge => return self.merge(values),
            Builtin::Missing => return self.missing(values),
            Builtin::MissingSome => return self.missing_some(value(0), value(1)),
            _ => {}
        }
        Ok(match builtin {
            Builtin::In => Val::Bool(self.within(value(0), value(1))?),
            Builtin::StartsWith => self.texts(values, |text, start| text.starts_with(start)),
            Builtin::EndsWith => self.texts(values, |text, end| text.ends_with(end)),
            Builtin::SemVer => self.sem_ver(values)?,
            Builtin::First => value(0),
            Builtin::Chain(relation) => {
                let holds = |pair: &[Val<'v>]| relation.holds(self.made.order(&pair[0], &pair[1]));
                Val::Bool(values.windows(2).all(holds))
            }
            _ => Val::Float(self.arithmetic(builtin, values)),
        })
    }

    fn arithmetic(&self, builtin: Builtin, values: &[Val<'v>]) -> f64 {
        let mut numbers = values.iter().map(|value| self.made.number(*value));
        match builtin {
            Builtin::Add => numbers.sum(),
            Builtin::Multiply => numbers.product(),
            Builtin::Least => numbers.fold(f64::INFINITY, |a, b| extreme(a, b, f64::min)),
            Builtin::Greatest => numbers.fold(f64::NEG_INFINITY, |a, b| extreme(a, b, f64::max)),
            _ => {
                let first = numbers.next().unwrap_or(f64::NAN);
                match builtin {
                    Builtin::Subtract if values.len() < 2 => -first,
                    Builtin::Divide if values.len() < 2 => 1.0 / first,
                    Builtin::Remainder if values.len() < 2 => f64::NAN,
                    Builtin::Subtract => numbers.fold(first, |a, b| a - b),
                    Builtin::Divide => numbers.fold(first, |a, b| a / b),
                    _ => numbers.fold(first, |a, b| a % b),
                }
            }
        }
    }

    fn cat(&mut self, values: &[Val<'v>]) -> Result<'v> {
        let mut text = String::new();
        for value in values {
            self.made.write(*value, &mut text)?;
        }
        self.made.keep_text(text)
    }

    /// A negative start counts from the end; a negative length leaves out so many at the end.
    fn substr(&mut self, value: Val<'v>, start: Val<'v>, length: Option<Val<'v>>) -> Result<'v> {
        let text = self.made.written(value)?.into_owned();
        let all = text.chars().count() as f64;
        let whole = |value| {
            let number = self.made.number(value).trunc();
            if number.is_nan() { 0.0 } else { number }
        };
        let start = whole(start);
        let start = if start < 0.0 { (all + start).max(0.0) } else { start.min(all) };
        let rest = all - start;
        let length = match length {
            None | Some(Val::Null) => rest,
            Some(length) => match whole(length) {
                length if length < 0.0 => (rest + length).max(0.0),
                length => length.min(rest),
            },
        };
        let part = text.chars().skip(start as usize).take(length as usize).collect();
        self.made.keep_text(part)
    }

    fn merge(&mut self, values: &[Val<'v>]) -> Result<'v> {
        let count = |value: &Val<'v>| self.made.list_len(*value).unwrap_or(1);
        self.made.spend(values.iter().map(count).sum())?;
        let items = values.iter().flat_map(|value| self.made.items(*value));
        let items = items.collect();
        self.made.keep_list(items)
    }

    /// Which of some paths lead to nothing, or to an empty text.
    fn missing(&mut self, values: &[Val<'v>]) -> Result<'v> {
        let first = values.first().copied().unwrap_or(Val::Null);
        let listed = self.made.list_len(first).is_some();
        let paths: Vec<Val<'v>> =
            if listed { self.made.items(first).collect() } else { values.to_vec() };
        self.made.spend(paths.len())?;
        let mut missing = Vec::new();
        for path in paths {
            if self.is_missing(path)? {
                missing.push(path);
            }
        }
        self.made.keep_list(missing)
    }

    fn is_missing(&self, path: Val<'v>) -> std::result::Result<bool, TooMuch> {
        let value = self.scope.walk(&self.made.written(path)?, self.frame, self.made);
        Ok(matches!(value, Val::Null) || self.made.text(value) == Some(""))
    }

    /// Nothing, if at least so many are there; else what is missing.
    fn missing_some(&mut self, wanted: Val<'v>, paths: Val<'v>) -> Result<'v> {
        let Some(all) = self.made.list_len(paths) else { return self.made.keep_list(Vec::new()) };
        let missing = self.missing(&[paths])?;
        let there = all - self.made.list_len(missing).unwrap_or(0);
        if there as f64 >= self.made.number(wanted) {
            return self.made.keep_list(Vec::new());
        }
        Ok(missing)
    }

    /// In a list by being the same, in a text by being part of it.
    fn within(&self, needle: Val<'v>, hay: Val<'v>) -> std::result::Result<bool, TooMuch> {
        if self.made.list_len(hay).is_some() {
            return Ok(self.made.items(hay).any(|item| self.made.same(item, needle)));
        }
        // JsonLogic looks into nothing empty, so not even an empty text is within one.
        let Some(hay) = self.made.text(hay).filter(|hay| !hay.is_empty()) else { return Ok(false) };
        Ok(hay.contains(&*self.made.written(needle)?))
    }

    /// Null unless there are exactly two texts.
    fn texts(&self, values: &[Val<'v>], test: fn(&str, &str) -> bool) -> Val<'v> {
        let [a, b] = values else { return Val::Null };
        match (self.made.text(*a), self.made.text(*b)) {
            (Some(a), Some(b)) => Val::Bool(test(a, b)),
            _ => Val::Null,
        }
    }

    /// Null unless there are a version, an operator and a version.
    fn sem_ver(&self, values: &[Val<'v>]) -> Result<'v> {
        let [a, op, b] = values else { return Ok(Val::Null) };
        let (a, b) = (self.made.written(*a)?, self.made.written(*b)?);
        let matches = Version::parse(&a)
            .zip(Version::parse(&b))
            .and_then(|(a, b)| a.matches(self.made.text(*op)?, &b));
        Ok(matches.map_or(Val::Null, Val::Bool))
    }
}

/// NaN wins, as in JavaScript.
fn extreme(a: f64, b: f64, pick: fn(f64, f64) -> f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { pick(a, b) }
}
