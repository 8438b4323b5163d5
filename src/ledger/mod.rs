//! Ledger: every row of every stream becomes a leaf of one Merkle tree, and whoever holds a root of that tree can
//! prove later that no row was changed, removed or slipped in.
//!
//! Writers do nothing for it. Whoever seals takes the rows of the transactions that finished between two
//! snapshots, in a fixed order, and appends them ([`seal`]). Verifying does the same again and compares
//! ([`verify`]). What is hashed, and how, is in `audit_guard_core::ledger` and in docs/ledger-format.md.

// pgrx reads the columns of a set from the type of the function, so it has to be written out.
#![allow(clippy::type_complexity)]

mod erase;
mod explain;
mod ids;
mod listener;
mod locate;
mod proofs;
mod receipts;
mod rows;
mod seal;
mod store;
mod stream;
mod tree;
mod verify;
mod wait;
pub(crate) mod worker;

pub(crate) use listener::LISTENER;
