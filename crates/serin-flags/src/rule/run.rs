//! Running a compiled rule.

use crate::{
    Arm,
    rule::{
        builtin::Call,
        program::{Each, Op, Program, Set},
        split::{Drawn, Method, unit_text},
        val::{Frame, Made, TooMuch, Val},
    },
};
use serde::{Deserialize, Serialize};

/// Items of lists that one evaluation may look at, so that lists in lists cannot multiply without
/// bound.
const ITEMS_MAX: u32 = 10_000;

/// Who is told what a rule decides while it runs.
pub(crate) trait Tracer {
    /// A condition was looked at.
    fn condition(&mut self, _program: &Program, _pc: usize, _holds: bool) {}
    /// Someone was put into a bucket.
    fn drawn(
        &mut self,
        _program: &Program,
        _pc: usize,
        _draw: Draw,
        _method: Method,
        _drawn: Option<Drawn>,
    ) {
    }
}

/// What a bucket decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Draw {
    /// Which part of a split.
    Part,
    /// Whether someone is exposed to a guarded release: part 0 is.
    Exposure,
    /// On which side of a guarded release the exposed are: part 0 is treated.
    Arm,
}

/// Nobody is told.
pub(crate) struct Silent;

impl Tracer for Silent {}

/// Where paths begin.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'v> {
    /// At the context.
    Root,
    /// At an item of a list.
    Item(Val<'v>),
    /// At an item and what the items before it came to.
    Pair { current: Val<'v>, accumulator: Val<'v> },
}

impl<'v> Scope<'v> {
    /// What is at a path.
    pub fn walk(self, path: &str, frame: &Frame<'v>, made: &Made<'v>) -> Val<'v> {
        match self {
            Self::Root => frame.walk(Val::Root, path, made),
            Self::Item(item) => frame.walk(item, path, made),
            Self::Pair { current, accumulator } => {
                let (name, rest) = path.split_once('.').unwrap_or((path, ""));
                match name {
                    "current" => frame.walk(current, rest, made),
                    "accumulator" => frame.walk(accumulator, rest, made),
                    _ => Val::Null,
                }
            }
        }
    }
}

/// A list whose items are being looked at.
#[derive(Debug)]
struct Loop<'v> {
    list: Val<'v>,
    /// The item that is looked at.
    at: usize,
    outer: Scope<'v>,
    kept: Vec<Val<'v>>,
    accumulator: Val<'v>,
}

/// Runs a rule: its value, and the side of the release it went through.
pub(crate) fn run<'v>(
    program: &'v Program,
    frame: &Frame<'v>,
    made: &mut Made<'v>,
    tracer: &mut impl Tracer,
) -> Result<(Val<'v>, Option<Arm>), TooMuch> {
    // Almost every rule fits the first, and none of usual size allocates.
    match program.depth {
        0..=8 => machine(program, frame, &mut [Val::Null; 8], made, tracer),
        9..=64 => machine(program, frame, &mut [Val::Null; 64], made, tracer),
        depth => machine(program, frame, &mut vec![Val::Null; depth], made, tracer),
    }
}

fn machine<'v, T: Tracer>(
    program: &'v Program,
    frame: &Frame<'v>,
    stack: &mut [Val<'v>],
    made: &mut Made<'v>,
    tracer: &mut T,
) -> Result<(Val<'v>, Option<Arm>), TooMuch> {
    let mut machine = Machine {
        program,
        frame,
        stack,
        top: 0,
        pc: 0,
        made,
        loops: Vec::new(),
        items: 0,
        scope: Scope::Root,
        arm: None,
        tracer,
    };
    machine.run()?;
    machine.made.spend(0)?;
    Ok((machine.pop(), machine.arm))
}

struct Machine<'m, 'v, T: Tracer> {
    program: &'v Program,
    frame: &'m Frame<'v>,
    stack: &'m mut [Val<'v>],
    top: usize,
    pc: usize,
    made: &'m mut Made<'v>,
    loops: Vec<Loop<'v>>,
    items: u32,
    scope: Scope<'v>,
    arm: Option<Arm>,
    tracer: &'m mut T,
}

impl<'v, T: Tracer> Machine<'_, 'v, T> {
    fn run(&mut self) -> Result<(), TooMuch> {
        loop {
            let op = self.program.ops[self.pc];
            self.pc += 1;
            match op {
                Op::Const(at) => self.push(Val::of(&self.program.constants[at as usize])),
                Op::Attribute(at) => {
                    let name = &self.program.names[at as usize];
                    self.push(Val::of_option(self.frame.context.lookup(name)));
                }
                Op::Path(at) => {
                    let path = &self.program.paths[at as usize];
                    self.push(self.scope.walk(path, self.frame, self.made));
                }
                Op::Timestamp => self.push(Val::Int(self.frame.now_s)),
                Op::FlagKey => self.push(Val::Text(self.frame.flag_key)),
                Op::PathOf => self.path_of()?,
                Op::Jump(to) => self.pc = to as usize,
                Op::JumpIfFalse(to) => {
                    if !self.condition() {
                        self.pc = to as usize;
                    }
                    self.top -= 1;
                }
                Op::KeepIfFalse(to) => self.keep_or_pop(to, false),
                Op::KeepIfTrue(to) => self.keep_or_pop(to, true),
                Op::KeepIfSet(to) => {
                    let set = !matches!(self.peek(), Val::Null);
                    if set { self.pc = to as usize } else { self.top -= 1 }
                }
                Op::Truth(wanted) => {
                    let truth = self.made.truthy(self.peek());
                    self.replace(Val::Bool(truth == wanted));
                }
                Op::Equal { negated } => self.compare(|made, a, b| made.equal(a, b) != negated),
                Op::Same { negated } => self.compare(|made, a, b| made.same(*a, *b) != negated),
                Op::Order(relation) => {
                    self.compare(|made, a, b| relation.holds(made.order(a, b)));
                }
                Op::InSet(at) => self.in_set(&self.program.sets[at as usize]),
                Op::Test(at) => {
                    let passes = self.program.tests[at as usize].passes(*self.peek(), self.made);
                    self.replace(Val::Bool(passes));
                }
                Op::Split(at) => self.split(at as usize),
                Op::Release(at) => self.release(at as usize),
                Op::Done => return Ok(()),
                Op::Call(..) | Op::List(_) | Op::Each(..) | Op::Next(..) => self.rare(op)?,
            }
        }
    }

    fn rare(&mut self, op: Op) -> Result<(), TooMuch> {
        match op {
            Op::Call(builtin, count) => {
                self.top -= usize::from(count);
                let values = &self.stack[self.top..self.top + usize::from(count)];
                let mut call = Call { frame: self.frame, scope: self.scope, made: self.made };
                let value = call.run(builtin, values)?;
                self.push(value);
            }
            Op::List(count) => {
                self.top -= usize::from(count);
                let items = self.stack[self.top..self.top + usize::from(count)].to_vec();
                let list = self.made.keep_list(items)?;
                self.push(list);
            }
            Op::Each(each, end) => self.enter(each, end)?,
            Op::Next(each, body) => self.next(each, body)?,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, value: Val<'v>) {
        self.stack[self.top] = value;
        self.top += 1;
    }

    fn pop(&mut self) -> Val<'v> {
        self.top -= 1;
        self.stack[self.top]
    }

    fn peek(&self) -> &Val<'v> {
        &self.stack[self.top - 1]
    }

    fn replace(&mut self, value: Val<'v>) {
        self.stack[self.top - 1] = value;
    }

    /// Whether the condition on top holds; whoever listens is told.
    fn condition(&mut self) -> bool {
        let holds = self.made.truthy(self.peek());
        self.tracer.condition(self.program, self.pc - 1, holds);
        holds
    }

    fn keep_or_pop(&mut self, to: u32, wanted: bool) {
        if self.condition() == wanted {
            self.pc = to as usize;
        } else {
            self.top -= 1;
        }
    }

    fn compare(&mut self, holds: impl Fn(&Made<'v>, &Val<'v>, &Val<'v>) -> bool) {
        let (a, b) = (&self.stack[self.top - 2], &self.stack[self.top - 1]);
        let holds = holds(self.made, a, b);
        self.top -= 1;
        self.replace(Val::Bool(holds));
    }

    fn path_of(&mut self) -> Result<(), TooMuch> {
        let value = *self.peek();
        let found = match value {
            Val::Null => self.scope.walk("", self.frame, self.made),
            _ => self.scope.walk(&self.made.written(value)?, self.frame, self.made),
        };
        self.replace(found);
        Ok(())
    }

    fn in_set(&mut self, set: &'v Set) {
        let needle = match self.peek() {
            Val::Text(text) => return self.replace(Val::Bool(set.has_text(text))),
            needle => *needle,
        };
        let found = match self.made.text(needle) {
            Some(text) => set.has_text(text),
            None => set.others.iter().any(|other| self.made.same(Val::of(other), needle)),
        };
        self.replace(Val::Bool(found));
    }

    fn split(&mut self, at: usize) {
        let split = &self.program.splits[at];
        self.top -= split.values();
        let values = &self.stack[self.top..self.top + split.values()];
        let drawn = split.draw(values, self.frame, self.made);
        self.tracer.drawn(self.program, self.pc - 1, Draw::Part, split.method, drawn);
        let target = drawn.and_then(|drawn| split.targets.get(drawn.part?));
        if target.is_none() {
            self.push(Val::Null);
        }
        self.pc = *target.unwrap_or(&split.end) as usize;
    }

    fn release(&mut self, at: usize) {
        let release = &self.program.releases[at];
        let unit = unit_text(*self.peek(), self.made);
        let Some(unit) = unit else { return self.replace(Val::Null) };
        let mut draw = |what, salt, share| {
            let bucket = release.method.bucket(salt, &unit);
            let part = Some(usize::from(bucket >= share));
            let drawn = Drawn { bucket, total: super::split::WHOLE, part };
            self.tracer.drawn(self.program, self.pc - 1, what, release.method, Some(drawn));
            bucket < share
        };
        let exposed = draw(Draw::Exposure, &release.exposure_salt, release.exposure);
        let treated = exposed && draw(Draw::Arm, &release.arm_salt, release.arm);
        let arm = if treated { Arm::Treatment } else { Arm::Control };
        self.arm = exposed.then_some(arm);
        self.stack[self.top - 1] = Val::of(if treated { &release.on } else { &release.off });
    }

    fn enter(&mut self, each: Each, end: u32) -> Result<(), TooMuch> {
        let accumulator = if each == Each::Reduce { self.pop() } else { Val::Null };
        let list = self.pop();
        let Some(first) = self.made.item(list, 0) else {
            let empty = self.result(each, Vec::new(), accumulator, false)?;
            self.push(empty);
            self.pc = end as usize;
            return Ok(());
        };
        let outer = self.scope;
        self.loops.push(Loop { list, at: 0, outer, kept: Vec::new(), accumulator });
        self.look_at(each, first, accumulator)
    }

    fn look_at(
        &mut self,
        each: Each,
        current: Val<'v>,
        accumulator: Val<'v>,
    ) -> Result<(), TooMuch> {
        self.items += 1;
        if self.items > ITEMS_MAX {
            return Err(TooMuch);
        }
        self.scope = match each {
            Each::Reduce => Scope::Pair { current, accumulator },
            _ => Scope::Item(current),
        };
        Ok(())
    }

    fn next(&mut self, each: Each, body: u32) -> Result<(), TooMuch> {
        let result = self.pop();
        let truth = self.made.truthy(&result);
        let Some(current) = self.loops.last_mut() else { return Err(TooMuch) };
        match each {
            Each::Map => current.kept.push(result),
            Each::Filter if truth => {
                let item = self.made.item(current.list, current.at);
                current.kept.push(item.unwrap_or(Val::Null));
            }
            Each::Reduce => current.accumulator = result,
            Each::Filter | Each::All | Each::Some | Each::None => {}
        }
        let decided = match each {
            Each::All => !truth,
            Each::Some | Each::None => truth,
            Each::Map | Each::Filter | Each::Reduce => false,
        };
        current.at += 1;
        let (list, at, accumulator) = (current.list, current.at, current.accumulator);
        match self.made.item(list, at).filter(|_| !decided) {
            Some(item) => {
                self.pc = body as usize;
                self.look_at(each, item, accumulator)
            }
            None => self.leave(each, decided),
        }
    }

    fn leave(&mut self, each: Each, decided: bool) -> Result<(), TooMuch> {
        let Some(done) = self.loops.pop() else { return Err(TooMuch) };
        self.scope = done.outer;
        let all = each == Each::All && !decided;
        let result = self.result(each, done.kept, done.accumulator, decided || all)?;
        let result = match (each, result) {
            (Each::All, _) => Val::Bool(all),
            (_, result) => result,
        };
        self.push(result);
        Ok(())
    }

    /// What a list comes to; `found` says whether one item decided it.
    fn result(
        &mut self,
        each: Each,
        kept: Vec<Val<'v>>,
        accumulator: Val<'v>,
        found: bool,
    ) -> Result<Val<'v>, TooMuch> {
        match each {
            Each::Map | Each::Filter => self.made.keep_list(kept),
            Each::Reduce => Ok(accumulator),
            Each::All | Each::Some => Ok(Val::Bool(found)),
            Each::None => Ok(Val::Bool(!found)),
        }
    }
}
