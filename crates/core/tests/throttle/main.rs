//! Failed logins: keys, networks, the times and their bytes, and the windows, against models that are as
//! simple as can be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod bytes;
mod keys;
mod model;
mod times;
mod windows;
