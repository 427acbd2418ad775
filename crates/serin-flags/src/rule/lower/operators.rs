//! The operators of JsonLogic.

use super::{Broken, Lowering, Result, argument, constant, is_constant, keep};
use crate::rule::program::{Builtin, Each, Op, Relation, Set};
use serde_json::Value;

impl Lowering {
    pub(super) fn operator(&mut self, op: &str, arguments: &[Value], depth: usize) -> Result {
        match op {
            "var" => self.var(arguments, depth),
            "if" | "?:" => self.branches(arguments, depth),
            "and" => self.chain(arguments, depth, Op::KeepIfFalse(0)),
            "or" => self.chain(arguments, depth, Op::KeepIfTrue(0)),
            "!" => self.unary(arguments, depth, Op::Truth(false)),
            "!!" => self.unary(arguments, depth, Op::Truth(true)),
            "==" => self.binary(op, arguments, depth, Op::Equal { negated: false }),
            "!=" => self.binary(op, arguments, depth, Op::Equal { negated: true }),
            "===" => self.binary(op, arguments, depth, Op::Same { negated: false }),
            "!==" => self.binary(op, arguments, depth, Op::Same { negated: true }),
            "<" | "<=" | ">" | ">=" => self.relation(op, arguments, depth),
            "in" => self.within(arguments, depth),
            "map" => self.each(Each::Map, arguments, depth),
            "filter" => self.each(Each::Filter, arguments, depth),
            "reduce" => self.each(Each::Reduce, arguments, depth),
            "all" => self.each(Each::All, arguments, depth),
            "some" => self.each(Each::Some, arguments, depth),
            "none" => self.each(Each::None, arguments, depth),
            "fractional" => self.fractional(arguments, depth),
            _ => match builtin(op) {
                Some(builtin) => self.call(builtin, arguments, depth),
                None => self.own_operator(op, arguments, depth),
            },
        }
    }

    pub(super) fn call(&mut self, builtin: Builtin, arguments: &[Value], depth: usize) -> Result {
        let count = self.arguments(arguments, depth)?;
        self.emit(Op::Call(builtin, count));
        Ok(())
    }

    /// `{"var": path}`, `{"var": [path, default]}`. No path, or an empty one, is everything.
    fn var(&mut self, arguments: &[Value], depth: usize) -> Result {
        match argument(arguments, 0) {
            Value::Null => self.path("")?,
            Value::String(path) => self.path(path)?,
            Value::Number(number) => self.path(&number.to_string())?,
            path => {
                self.argument(path, 0, depth)?;
                self.program.reads_time = true;
                self.emit(Op::PathOf);
            }
        }
        if let Some(default) = arguments.get(1) {
            let found = self.emit(Op::KeepIfSet(0));
            self.argument(default, 1, depth)?;
            self.aim_here(found);
        }
        Ok(())
    }

    /// Conditions and results in turn, and a result for when none holds.
    fn branches(&mut self, arguments: &[Value], depth: usize) -> Result {
        let mut ends = Vec::new();
        let pairs = arguments.chunks_exact(2);
        let last = pairs.remainder();
        for (pair, arguments) in pairs.enumerate() {
            self.argument(&arguments[0], pair * 2, depth)?;
            let jump = |lowering: &mut Self| Ok(lowering.emit_placed(Op::JumpIfFalse(0)));
            let otherwise = self.placed(pair * 2, jump)?;
            self.argument(&arguments[1], pair * 2 + 1, depth)?;
            ends.push(self.emit(Op::Jump(0)));
            self.aim_here(otherwise);
        }
        match last {
            [otherwise] => self.argument(otherwise, arguments.len() - 1, depth)?,
            _ => self.null()?,
        }
        self.aim_all_here(ends);
        Ok(())
    }

    /// `and`, `or`: the value that decides, not merely true or false.
    fn chain(&mut self, arguments: &[Value], depth: usize, keep: Op) -> Result {
        let Some((last, others)) = arguments.split_last() else { return self.null() };
        let mut decided = Vec::new();
        for (place, argument) in others.iter().enumerate() {
            self.argument(argument, place, depth)?;
            decided.push(self.placed(place, |lowering| Ok(lowering.emit_placed(keep)))?);
        }
        self.argument(last, others.len(), depth)?;
        self.aim_all_here(decided);
        Ok(())
    }

    fn unary(&mut self, arguments: &[Value], depth: usize, op: Op) -> Result {
        self.argument(argument(arguments, 0), 0, depth)?;
        self.emit(op);
        Ok(())
    }

    fn binary(&mut self, name: &str, arguments: &[Value], depth: usize, op: Op) -> Result {
        let (Some(a), Some(b)) = (arguments.first(), arguments.get(1)) else {
            let count = arguments.len();
            return Err(Broken(format!(
                "{} `{name}` needs two arguments, not {count}",
                self.place
            )));
        };
        self.argument(a, 0, depth)?;
        self.argument(b, 1, depth + 1)?;
        self.emit(op);
        Ok(())
    }

    fn relation(&mut self, op: &str, arguments: &[Value], depth: usize) -> Result {
        let relation = Relation::parse(op).unwrap_or(Relation::Less);
        match arguments.len() {
            0..=2 => self.binary(op, arguments, depth, Op::Order(relation)),
            _ => self.call(Builtin::Chain(relation), arguments, depth),
        }
    }

    /// In a constant list of single values, things are found by hash.
    fn within(&mut self, arguments: &[Value], depth: usize) -> Result {
        match argument(arguments, 1) {
            Value::Array(items)
                if items.iter().all(|item| !item.is_array() && is_constant(item)) =>
            {
                self.argument(argument(arguments, 0), 0, depth)?;
                self.program.nodes += items.len();
                let set = constant_set(items)?;
                let at = keep(&mut self.program.sets, set)?;
                self.emit(Op::InSet(at));
                Ok(())
            }
            _ => self.call(Builtin::In, arguments, depth),
        }
    }
}

fn constant_set(items: &[Value]) -> Result<Set> {
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Value::String(text) => texts.push(text.as_str().into()),
            // No object is the same as another one.
            Value::Object(_) => {}
            _ => others.push(constant(item)?),
        }
    }
    Ok(Set::new(texts, others))
}

fn builtin(op: &str) -> Option<Builtin> {
    Some(match op {
        "+" => Builtin::Add,
        "-" => Builtin::Subtract,
        "*" => Builtin::Multiply,
        "/" => Builtin::Divide,
        "%" => Builtin::Remainder,
        "min" => Builtin::Least,
        "max" => Builtin::Greatest,
        "cat" => Builtin::Cat,
        "substr" => Builtin::Substr,
        "merge" => Builtin::Merge,
        "missing" => Builtin::Missing,
        "missing_some" => Builtin::MissingSome,
        "starts_with" => Builtin::StartsWith,
        "ends_with" => Builtin::EndsWith,
        "sem_ver" => Builtin::SemVer,
        "log" => Builtin::First,
        _ => return None,
    })
}
