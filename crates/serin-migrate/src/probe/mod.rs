//! Questions to the server that only it can answer: what an expression reads, of which type it is
//! and whether it fits, what a type is called, how a condition reads under other names. All of it
//! on scratch tables without rows, in a transaction that is rolled back.

mod answer;
mod session;
mod text;
mod views;

pub use answer::answer;
pub use session::{ProbeError, Session};
pub use views::order;
