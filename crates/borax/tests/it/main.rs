//! The binary on a real control plane: one file per story.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod harness;

mod automation;
mod automation_races;
mod budget;
mod build_charts;
mod charts;
mod d1;
mod d1_updates;
mod elsewhere;
mod faults;
mod first_slice;
mod flux_cli;
mod helm_budget;
mod helm_faults;
mod helm_kill;
mod helm_release;
mod helm_story;
mod images;
mod install;
mod steps;
mod template;
mod tenants;
mod trees;
mod waiting;
mod words;
