//! Rules: JsonLogic with flagd's operators and ours, compiled to flat code and run without
//! recursion.

mod builtin;
mod lower;
mod number;
mod own;
mod program;
mod refs;
mod run;
mod semver;
mod split;
mod val;

pub(crate) use lower::{Broken, lower};
pub(crate) use program::Program;
pub(crate) use refs::{Evaluators, TooLarge};
pub use run::Draw;
pub(crate) use run::{Silent, Tracer, run};
pub(crate) use split::{Drawn, Method};
pub(crate) use val::{Frame, Made, TooMuch, Val};
