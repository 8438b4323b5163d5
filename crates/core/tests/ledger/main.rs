//! The ledger: its format against a second, slow writing-down of it, against vectors of others and against
//! other implementations; and its readers against arbitrary input.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod entries;
mod reference;
mod rows;
mod schema;
mod snapshot;
mod tree;
mod values;
