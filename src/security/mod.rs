//! People: who a request is from, failed logins, sessions. Most of it is SQL, and this is what SQL cannot do,
//! or not fast enough.

mod failures;
mod keys;
mod request;
mod state;
