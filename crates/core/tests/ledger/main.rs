//! The ledger: its format against a second, slow writing-down of it, against vectors of others and against
//! other implementations; and its readers against arbitrary input.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod entries;
mod headers;
mod notes;
mod proofs;
mod published;
mod receipts;
mod reference;
mod rows;
mod schema;
mod snapshot;
mod tiles;
mod tree;
mod values;
mod vectors;
