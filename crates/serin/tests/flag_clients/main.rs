//! Other people's clients, unmodified, against the real binary: what an app sees.
//!
//! Each client is a script of a few lines that is asked by lines of JSON. Versions are pinned in
//! `node/package-lock.json` and `python/requirements.txt`; `cargo xtask clients` installs them.
#![allow(clippy::unwrap_used)]

mod client;
mod edge;
mod installed;
mod openfeature;
mod unleash;
