//! Serin's own operators; what they mean is said in [`crate::operator`].

use super::{Broken, Lowering, Result, argument, keep};
use crate::{
    operator,
    rule::{
        own::{How, Network, Test, regex},
        program::{Op, Relation, Release},
        split::{Key, Method, Split, WHOLE, Weights},
    },
};
use serde_json::Value;

impl Lowering {
    pub(super) fn own_operator(&mut self, op: &str, arguments: &[Value], depth: usize) -> Result {
        match op {
            operator::SPLIT => self.own_split(arguments, depth),
            operator::RELEASE => self.release(arguments, depth),
            operator::REGEX | operator::CIDR | operator::DATE | operator::TEXT => {
                let test = self.read_test(op, arguments)?;
                self.argument(argument(arguments, 0), 0, depth)?;
                let at = keep(&mut self.program.tests, test)?;
                self.emit(Op::Test(at));
                Ok(())
            }
            "$ref" => {
                let name = argument(arguments, 0).as_str().unwrap_or("?");
                Err(self.broken(&format!("there is no evaluator `{name}`; add it, or correct it")))
            }
            _ => Err(self.broken(&format!("`{op}` is no operator"))),
        }
    }

    fn broken(&self, what: &str) -> Broken {
        Broken(format!("{}: {what}", self.place))
    }

    /// `[method, salt, unit, [variant, weight], ...]`
    fn own_split(&mut self, arguments: &[Value], depth: usize) -> Result {
        let method = self.method(argument(arguments, 0))?;
        let salt = self.salt(argument(arguments, 1))?;
        let parts = arguments.get(3..).unwrap_or_default();
        let weights = parts.iter().map(|part| self.own_weight(argument(list(part), 1)));
        let weights = weights.collect::<Result<Vec<_>>>()?;
        let Some(weights) = Weights::literal(weights) else {
            return Err(self.broken("the weights sum to nothing, or to too much"));
        };
        self.argument(argument(arguments, 2), 2, depth)?;
        let split = Split::new(method, Key::Salted(salt), weights);
        self.split(split, parts.iter().map(|part| argument(list(part), 0)), 3, depth)
    }

    /// `[method, unit, exposure, exposure_salt, arm, arm_salt, on, off]`
    fn release(&mut self, arguments: &[Value], depth: usize) -> Result {
        let release = Release {
            method: self.method(argument(arguments, 0))?,
            exposure: self.own_weight(argument(arguments, 2))?,
            exposure_salt: self.salt(argument(arguments, 3))?,
            arm: self.own_weight(argument(arguments, 4))?,
            arm_salt: self.salt(argument(arguments, 5))?,
            on: self.datum(argument(arguments, 6))?,
            off: self.datum(argument(arguments, 7))?,
        };
        self.argument(argument(arguments, 1), 1, depth)?;
        let at = keep(&mut self.program.releases, release)?;
        self.emit_placed(Op::Release(at));
        Ok(())
    }

    fn method(&self, name: &Value) -> Result<Method> {
        let method = name.as_str().and_then(Method::parse);
        method.ok_or_else(|| self.broken(&format!("{name} is no method of bucketing")))
    }

    /// With the colon that is hashed after it.
    fn salt(&self, salt: &Value) -> Result<Box<str>> {
        let salt = salt.as_str().ok_or_else(|| self.broken("the salt is not text"))?;
        Ok(format!("{salt}:").into())
    }

    fn own_weight(&self, weight: &Value) -> Result<u32> {
        let weight = weight.as_u64().and_then(|weight| u32::try_from(weight).ok());
        let weight = weight.filter(|weight| *weight <= WHOLE);
        weight.ok_or_else(|| self.broken("a weight is a whole number of parts per 100 000"))
    }

    fn read_test(&self, op: &str, arguments: &[Value]) -> Result<Test> {
        let text = |place| argument(arguments, place).as_str();
        let test = match op {
            operator::REGEX => {
                let pattern = text(1).ok_or_else(|| self.broken("the expression is not text"))?;
                let regex = regex(pattern, text(2).unwrap_or(""));
                return regex.map(Test::Regex).map_err(|error| self.broken(&error));
            }
            operator::CIDR => {
                let networks = arguments.get(1..).unwrap_or_default().iter();
                let networks = networks.map(|network| network.as_str().and_then(Network::parse));
                networks.collect::<Option<_>>().map(Test::Cidr)
            }
            operator::DATE => text(1)
                .and_then(Relation::parse)
                .zip(argument(arguments, 2).as_i64())
                .map(|(relation, seconds)| Test::Date { relation, seconds }),
            _ => text(1).and_then(How::parse).zip(text(2)).map(|(how, text)| {
                let lower = text.chars().flat_map(char::to_lowercase).collect::<String>().into();
                Test::Text { how, lower }
            }),
        };
        test.ok_or_else(|| self.broken("wrong arguments"))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
