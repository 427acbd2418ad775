//! `map` and its kin: a piece of code that is run for every item.

use super::{Lowering, Result, argument};
use crate::rule::program::{Each, Op};
use serde_json::Value;

impl Lowering {
    pub(super) fn each(&mut self, each: Each, arguments: &[Value], depth: usize) -> Result {
        self.argument(argument(arguments, 0), 0, depth)?;
        if each == Each::Reduce {
            self.argument(argument(arguments, 2), 2, depth + 1)?;
        }
        let start = self.emit(Op::Each(each, 0));
        let body = self.here();
        let outer = std::mem::replace(&mut self.inner, true);
        self.argument(argument(arguments, 1), 1, depth)?;
        self.inner = outer;
        self.emit(Op::Next(each, body));
        self.aim_here(start);
        Ok(())
    }
}
