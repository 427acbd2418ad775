//! A compiled rule.

use crate::{
    Datum,
    names::{Name, Table, name_hash, same_text},
    rule::{own::Test, split::Split},
};

/// One instruction. Values go over a stack; what a place needs beyond a number lies in a table of
/// the [`Program`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    /// Pushes a constant.
    Const(u32),
    /// Pushes an attribute of the context.
    Attribute(u32),
    /// Pushes what is at a path in the scope.
    Path(u32),
    /// Pushes the second.
    Timestamp,
    /// Pushes the flag's key.
    FlagKey,
    /// Pops a path and pushes what is there.
    PathOf,
    /// Goes on elsewhere.
    Jump(u32),
    /// Pops, and goes on elsewhere if it counts as false.
    JumpIfFalse(u32),
    /// Goes on elsewhere with the value if it counts as false, else pops it.
    KeepIfFalse(u32),
    /// Goes on elsewhere with the value if it counts as true, else pops it.
    KeepIfTrue(u32),
    /// Goes on elsewhere with the value if it is not null, else pops it.
    KeepIfSet(u32),
    /// Replaces a value by whether it counts as this.
    Truth(bool),
    /// Pops two, pushes whether they are equal, or are not, with conversion.
    Equal { negated: bool },
    /// Pops two, pushes whether they are the same, or are not.
    Same { negated: bool },
    /// Pops two, pushes how they compare.
    Order(Relation),
    /// Pops one, pushes whether it is in a constant list.
    InSet(u32),
    /// Pops so many, pushes what a function makes of them.
    Call(Builtin, u16),
    /// Pops so many, pushes a list of them.
    List(u16),
    /// Pops a list (and the start of a reduction) and runs the next instructions for each item; an
    /// empty list pushes its result and goes on elsewhere.
    Each(Each, u32),
    /// Pops the result for an item. Goes back for the next one, or pushes the result of all.
    Next(Each, u32),
    /// Pops what is hashed and weights, and goes on where the chosen part is; if none is, pushes
    /// null and goes on at the end.
    Split(u32),
    /// Pops what is hashed, pushes the variant and sets the arm.
    Release(u32),
    /// Pops one, pushes whether it passes one of our own tests.
    Test(u32),
    /// Ends with what is on the stack.
    Done,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    pub fn parse(op: &str) -> Option<Self> {
        Some(match op {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// `None` is the order of what cannot be compared: no relation holds.
    pub fn holds(self, order: Option<std::cmp::Ordering>) -> bool {
        order.is_some_and(|order| match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        })
    }
}

/// Functions of any number of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Least,
    Greatest,
    Cat,
    Substr,
    Merge,
    Missing,
    MissingSome,
    In,
    StartsWith,
    EndsWith,
    SemVer,
    /// Whether a relation holds between all neighbours.
    Chain(Relation),
    /// The first value as it is.
    First,
}

/// What is done with the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Each {
    Map,
    Filter,
    Reduce,
    All,
    Some,
    None,
}

/// A constant list, to look something up in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Set {
    table: Table,
    texts: Box<[Box<str>]>,
    /// Numbers, booleans and null.
    pub others: Box<[Datum<'static>]>,
}

impl Set {
    pub fn new(texts: Vec<Box<str>>, others: Vec<Datum<'static>>) -> Self {
        let table = Table::new(texts.iter().map(|text| name_hash(text)));
        Self { table, texts: texts.into(), others: others.into() }
    }

    pub fn has_text(&self, text: &str) -> bool {
        self.table.find(name_hash(text), |place| same_text(&self.texts[place], text)).is_some()
    }
}

/// A guarded release: who is exposed, and on which side.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub method: super::split::Method,
    /// With the colon after it, as it is hashed.
    pub exposure_salt: Box<str>,
    /// Parts per 100 000.
    pub exposure: u32,
    pub arm_salt: Box<str>,
    /// Parts per 100 000 of the exposed.
    pub arm: u32,
    pub on: Datum<'static>,
    pub off: Datum<'static>,
}

/// A compiled rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub ops: Vec<Op>,
    /// Most values on the stack at once.
    pub depth: usize,
    pub constants: Vec<Datum<'static>>,
    pub names: Vec<Name>,
    pub paths: Vec<Box<str>>,
    pub sets: Vec<Set>,
    pub splits: Vec<Split>,
    pub releases: Vec<Release>,
    pub tests: Vec<Test>,
    /// Where in the rule an instruction comes from: those that decide something.
    pub places: Vec<(u32, Box<str>)>,
    pub reads_time: bool,
    /// Operators and constants it was made of.
    pub nodes: usize,
}

impl Program {
    /// Where an instruction comes from.
    pub fn place(&self, pc: usize) -> &str {
        let found = self.places.binary_search_by_key(&(pc as u32), |(at, _)| *at);
        found.map_or("", |at| &self.places[at].1)
    }
}
