//! The server's side: everything that touches its memory or calls its internals, and all our unsafe code.
//!
//! What is above this folder sees safe types only. A call of the server may raise an ERROR, which pgrx turns
//! into an unwinding panic; so nothing here is left half changed across such a call.
#![allow(unsafe_code)]

pub(crate) mod acting;
pub(crate) mod advisory;
pub(crate) mod buffer;
pub(crate) mod call;
pub(crate) mod catalogue;
pub(crate) mod classify;
pub(crate) mod composite;
pub(crate) mod ddl;
pub(crate) mod drop;
pub(crate) mod encoder;
pub(crate) mod encoding;
pub(crate) mod errors;
pub(crate) mod events;
pub(crate) mod field_value;
pub(crate) mod hooks;
pub(crate) mod ids;
mod index;
pub(crate) mod inet;
pub(crate) mod jsonb;
pub(crate) mod jsonb_text;
pub(crate) mod leaf;
pub(crate) mod log;
mod maintenance;
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod permit;
pub(crate) mod pinned;
pub(crate) mod protection;
pub(crate) mod query;
pub(crate) mod relation;
pub(crate) mod rewrite;
pub(crate) mod row_filter;
pub(crate) mod scalars;
pub(crate) mod scan;
pub(crate) mod sealing;
pub(crate) mod session;
pub(crate) mod shared;
mod shared_catalogue;
pub(crate) mod surgery;
mod tree;
pub(crate) mod trigger;
pub(crate) mod trigger_row;
pub(crate) mod tuple;
pub(crate) mod types;
pub(crate) mod unsealed;
pub(crate) mod worker;
pub(crate) mod writer;
