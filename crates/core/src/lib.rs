//! What audit_guard decides and encodes, without PostgreSQL.
//!
//! Everything here is a pure function of its arguments: no server, no input or output, no clock. The
//! extension feeds it settings and column lists and turns its answers into rows.
//!
//! * [`change_order`]: the order of changes that are not seen in the order in which they happened.
//! * [`denials`]: refused attempts on their way to their table.
//! * [`ledger`]: leaves, roots and proofs of the tree that shows every later change.
//! * [`options`]: the arguments of a tracking trigger, and which columns they mean today.
//! * [`request`]: what a request declares about itself in claims and headers.
//! * [`record_key`]: the text that stands for a record's key.
//! * [`schedule`]: cron expressions.
//! * [`throttle`]: when there were too many failed logins.

#![forbid(unsafe_code)]

pub mod change_order;
pub mod denials;
pub mod ledger;
pub mod options;
pub mod record_key;
pub mod request;
pub mod retention;
pub mod schedule;
pub mod throttle;
