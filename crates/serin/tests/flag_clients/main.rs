//! Other people's clients, unmodified, against the real binary: what an app sees.
//!
//! Each client is a script of a few lines that is asked by lines of JSON. Versions are pinned in
//! `node/package-lock.json` and `python/requirements.txt`; `cargo xtask clients` installs them.
#![allow(clippy::unwrap_used)]

#[path = "../../../serin-flags/tests/differential/answer.rs"]
mod answer;
#[path = "../../../serin-flags/tests/differential/cases.rs"]
#[allow(dead_code)] // the comparison with other evaluators uses more of it
mod cases;
mod client;
mod edge;
mod eval;
mod installed;
mod openfeature;
#[path = "../../../serin-flags/tests/differential/rules.rs"]
#[allow(dead_code)] // as above
mod rules;
mod unleash;
