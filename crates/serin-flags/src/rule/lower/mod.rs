//! From JsonLogic to code.

mod lists;
mod operators;
mod own;
mod split;

use crate::{
    Bucketing, Datum,
    names::Name,
    rule::{
        program::{Op, Program},
        refs::measure,
    },
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
};

/// A rule that can never be run, and why. Its flag answers with PARSE_ERROR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken(pub String);

pub(crate) type Result<T = ()> = std::result::Result<T, Broken>;

/// How deep operators may lie in each other, so that reading a rule needs little stack.
const NESTING_MAX: usize = 200;

/// Compiles a rule.
pub(crate) fn lower(rule: &Value, bucketing: Bucketing) -> Result<Program> {
    let mut lowering = Lowering {
        program: Program::default(),
        bucketing,
        inner: false,
        nesting: 0,
        names: BTreeMap::new(),
        place: String::new(),
    };
    lowering.expression(rule, 0)?;
    lowering.emit(Op::Done);
    let mut program = lowering.program;
    shorten_jumps(&mut program.ops);
    program.ops.shrink_to_fit();
    program.places.sort_by_key(|(at, _)| *at);
    Ok(program)
}

/// A jump to a jump goes where that goes, and one to the end ends at once. Aims lie ahead, so that
/// those of later instructions are short already.
fn shorten_jumps(ops: &mut [Op]) {
    for at in (0..ops.len()).rev() {
        if let Op::Jump(to) = ops[at] {
            match ops[to as usize] {
                Op::Done => ops[at] = Op::Done,
                Op::Jump(further) => ops[at] = Op::Jump(further),
                _ => {}
            }
        }
    }
}

struct Lowering {
    program: Program,
    bucketing: Bucketing,
    /// Inside of `map` and the like, where paths begin at the item.
    inner: bool,
    nesting: usize,
    /// Where an attribute's name is in the program.
    names: BTreeMap<String, u32>,
    /// The place in the rule, as a JSON pointer.
    place: String,
}

impl Lowering {
    /// Emits code that leaves the value of an expression on the stack, over `depth` others.
    fn expression(&mut self, expression: &Value, depth: usize) -> Result {
        self.program.depth = self.program.depth.max(depth + 1);
        self.program.nodes += 1;
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(Broken(format!("nested deeper than {NESTING_MAX} operators; flatten it")));
        }
        match expression {
            Value::Object(object) => self.object(object, expression, depth)?,
            Value::Array(items) => self.list(items, expression, depth)?,
            _ => self.constant(expression)?,
        }
        self.nesting -= 1;
        Ok(())
    }

    /// An object with one key is an operator; any other is itself.
    fn object(&mut self, object: &Map<String, Value>, whole: &Value, depth: usize) -> Result {
        let mut entries = object.iter();
        let (Some((op, arguments)), None) = (entries.next(), entries.next()) else {
            return self.constant(whole);
        };
        let arguments = match arguments {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        self.placed(op, |lowering| lowering.operator(op, arguments, depth))
    }

    fn list(&mut self, items: &[Value], whole: &Value, depth: usize) -> Result {
        if items.iter().all(is_constant) {
            return self.constant(whole);
        }
        let count = self.arguments(items, depth)?;
        self.emit(Op::List(count));
        Ok(())
    }

    /// Emits code for several values, the last one on top; says how many.
    fn arguments(&mut self, arguments: &[Value], depth: usize) -> Result<u16> {
        let count = u16::try_from(arguments.len())
            .map_err(|_| Broken(format!("{} arguments; 65535 are allowed", arguments.len())))?;
        for (place, argument) in arguments.iter().enumerate() {
            self.argument(argument, place, depth + place)?;
        }
        Ok(count)
    }

    /// One argument, with its place known.
    fn argument(&mut self, argument: &Value, place: usize, depth: usize) -> Result {
        self.placed(place, |lowering| lowering.expression(argument, depth))
    }

    /// Does some work one step further into the rule.
    fn placed<T>(
        &mut self,
        step: impl Display,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let length = self.place.len();
        // Writing into a String cannot fail.
        let _ = write!(self.place, "/{step}");
        let done = work(self)?;
        self.place.truncate(length);
        Ok(done)
    }

    fn constant(&mut self, value: &Value) -> Result {
        let constant = self.datum(value)?;
        let at = keep(&mut self.program.constants, constant)?;
        self.emit(Op::Const(at));
        Ok(())
    }

    fn datum(&mut self, value: &Value) -> Result<Datum<'static>> {
        if value.is_array() || value.is_object() {
            self.program.nodes += measure(value).0;
        }
        constant(value)
    }

    fn null(&mut self) -> Result {
        self.constant(&Value::Null)
    }

    fn emit(&mut self, op: Op) -> usize {
        self.program.ops.push(op);
        self.program.ops.len() - 1
    }

    /// Emits an instruction that decides something, and remembers where it comes from.
    fn emit_placed(&mut self, op: Op) -> usize {
        let at = self.emit(op);
        self.program.places.push((at as u32, self.place.as_str().into()));
        at
    }

    /// Where the next instruction will be.
    fn here(&self) -> u32 {
        self.program.ops.len() as u32
    }

    /// Gives an instruction that was emitted before its aim: here.
    fn aim_here(&mut self, at: usize) {
        let here = self.here();
        match &mut self.program.ops[at] {
            Op::Jump(to)
            | Op::JumpIfFalse(to)
            | Op::KeepIfFalse(to)
            | Op::KeepIfTrue(to)
            | Op::KeepIfSet(to)
            | Op::Each(_, to) => *to = here,
            _ => {}
        }
    }

    fn aim_all_here(&mut self, places: Vec<usize>) {
        for at in places {
            self.aim_here(at);
        }
    }

    /// Emits what reads a path that is known.
    fn path(&mut self, path: &str) -> Result {
        let op = match path {
            "$flagd.flagKey" if !self.inner => Op::FlagKey,
            "$flagd.timestamp" if !self.inner => Op::Timestamp,
            _ if self.inner || path.is_empty() || path.contains('.') || path == "$flagd" => {
                Op::Path(keep(&mut self.program.paths, path.into())?)
            }
            _ => Op::Attribute(self.name(path)?),
        };
        self.program.reads_time |= path.is_empty() || path.starts_with("$flagd");
        self.emit(op);
        Ok(())
    }

    fn name(&mut self, text: &str) -> Result<u32> {
        if let Some(at) = self.names.get(text) {
            return Ok(*at);
        }
        let at = keep(&mut self.program.names, Name::new(text))?;
        self.names.insert(text.to_owned(), at);
        Ok(at)
    }
}

/// Adds something to a table of the program.
fn keep<T>(table: &mut Vec<T>, item: T) -> Result<u32> {
    table.push(item);
    u32::try_from(table.len() - 1).map_err(|_| Broken("too many constants".to_owned()))
}

fn constant(value: &Value) -> Result<Datum<'static>> {
    let datum = Datum::from_value(value);
    datum.map(Datum::into_owned).ok_or_else(|| Broken("a constant nested too deep".to_owned()))
}

/// Whether a value holds no operator.
fn is_constant(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_constant),
        Value::Object(object) => object.len() != 1,
        _ => true,
    }
}

fn argument(arguments: &[Value], place: usize) -> &Value {
    arguments.get(place).unwrap_or(&Value::Null)
}
