//! Migrations of real databases: one server a run, one database a test.

#![allow(clippy::unwrap_used, reason = "tests")]

mod plan_alter;
mod plan_extra;
mod plan_keys;
mod plan_kit;
mod plan_refused;
mod plan_rules;
mod plan_runner;
mod plan_shape;
mod plan_tables;
mod plan_versions;
mod run_both;
mod run_child;
mod run_crash;
mod run_kernel;
mod run_kit;
mod run_locks;
mod run_outside;
mod run_rows;
mod run_stress;
