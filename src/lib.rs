//! audit_guard: a complete, immutable audit trail, enforced by the database itself.
//!
//! Layers, each of which knows only those below it: the capabilities (`capture`, `guard`, `ledger`, `security`),
//! the server (`pg`: everything unsafe), and `audit_guard_core`, which knows no PostgreSQL. The SQL surface is in
//! `sql/install`, listed in [`sql`].

mod capture;
mod guard;
mod ledger;
mod pg;
#[cfg(any(test, feature = "pg_test"))]
mod pg_tests;
mod security;
mod settings;
mod sql;

use pgrx::prelude::*;

pgrx::pg_module_magic!();

#[pg_guard]
extern "C-unwind" fn _PG_init() {
    pg::session::forget_backtrace_wish();
    pg::session::note_preload();
    settings::define();
    if pg::session::is_preloaded() {
        pg::shared::install(settings::denial_slots);
        pg::worker::register_launcher();
    }
    guard::install_lockdown();
    pg::events::listen(&[capture::LISTENER, guard::LISTENER, ledger::LISTENER]);
}

/// The version of the loaded library, for example `0.1.0`.
#[pg_extern(sql = false, immutable, parallel_safe)]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Whether the server loaded this library at start (`shared_preload_libraries`).
#[pg_extern(sql = false, stable)]
fn is_preloaded() -> bool {
    pg::session::is_preloaded()
}

/// What pgrx's test framework asks of the crate.
#[cfg(test)]
pub mod pg_test {
    /// Nothing to prepare.
    pub fn setup(_options: Vec<&str>) {}

    /// The servers' own settings will do.
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec![]
    }
}
