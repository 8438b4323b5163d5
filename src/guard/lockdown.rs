//! Lockdown: what the hooks of the preloaded library refuse, to superusers, too.

use super::denial::{self, Layer};
use super::{append_only, retention};
use crate::pg::classify::{self, Command, Scope};
use crate::pg::hooks::{self, Judges, Write};
use crate::pg::protection::{self, Class};
use crate::pg::{acting, catalogue, names, relation, session, surgery};
use crate::settings::{self, Lockdown};
use pgrx::prelude::*;

/// Installs the hooks when the server loads the library at its start and lockdown is not off.
pub(crate) fn install() {
    if settings::lockdown() != Lockdown::Off {
        hooks::install(Judges { write, truncate, drop, call, command });
    }
}

/// Whether the hooks are in force: `not preloaded`, `off`, `on` or `strict`.
#[pg_extern(sql = false, stable)]
fn lockdown() -> &'static str {
    match settings::lockdown() {
        _ if !session::is_preloaded() => "not preloaded",
        Lockdown::Off => "off",
        Lockdown::On => "on",
        Lockdown::Strict => "strict",
    }
}

/// A statement is about to write a table, by whatever way: the plan says so before any trigger has fired.
fn write(table: pg_sys::Oid, write: Write) {
    let class = protection::class(table);
    match (class, write) {
        (Class::Ordinary, _) | (Class::Protected, Write::Insert | Write::Delete) => {}
        // The trigger knows when rows may be loaded.
        (Class::Stream, Write::Insert) => {}
        (Class::Stream, Write::Update) => append_only::refuse(Layer::Hook, "UPDATE", &shown(table)),
        (Class::Stream, Write::Delete) => append_only::refuse(Layer::Hook, "DELETE", &shown(table)),
        (Class::Protected, Write::Update) => retention::refuse_update(Layer::Hook, &shown(table)),
        (Class::Own, _) if acting::in_own_function() || (write == Write::Insert && is_loading()) => {}
        (Class::Catalogue, _) if !protection::is_installed() || catalogue::may_write(table) => {}
        (Class::Own | Class::Catalogue, _) => {
            let command = match write {
                Write::Insert => "INSERT",
                Write::Update => "UPDATE",
                Write::Delete => "DELETE",
            };
            refuse(command, &shown(table), "is written by the server and by audit_guard only");
        }
    }
}

/// Whether a restore may be filling our tables.
fn is_loading() -> bool {
    !append_only::refuses_rows()
}

fn truncate(table: pg_sys::Oid) {
    let class = protection::class(table);
    // A parallel restore empties each table before it fills it, and before it makes the table's statement trigger.
    // With nothing in it, that trigger is enough; looking at other tables here could wait in a circle.
    if class.is_guarded() && relation::is_empty(table) {
        return;
    }
    match class {
        Class::Stream => append_only::refuse(Layer::Hook, "TRUNCATE", &shown(table)),
        Class::Protected => retention::refuse_truncate(Layer::Hook, &shown(table)),
        Class::Own => refuse("TRUNCATE", &shown(table), "is written by audit_guard only"),
        Class::Catalogue if protection::is_installed() => {
            refuse("TRUNCATE", &shown(table), "is written by the server only");
        }
        _ => {}
    }
}

/// The last net for what goes with something else, whatever the command was.
fn drop(class: pg_sys::Oid, object: pg_sys::Oid, column: i32) {
    if let Some(name) = classify::guarded_object(class, object, column) {
        refuse("DROP", &name, "would go with it");
    }
}

fn call(function: pg_sys::Oid) {
    if surgery::writes_files(function) {
        if settings::lockdown() == Lockdown::Strict && protection::is_installed() {
            refuse("CALL", "lo_export", "writes files of the server");
        }
        return;
    }
    if let Some(name) = surgery::name(function)
        && protection::is_installed()
    {
        refuse("CALL", &name, "changes tables behind the server's back");
    }
}

fn command(command: &Command) {
    let strict = settings::lockdown() == Lockdown::Strict;
    if let Some(refusal) = command.refusal(Scope { lockdown: true, strict }) {
        denial::refuse_in(
            refusal.database.unwrap_or_else(session::database),
            Layer::Hook,
            &command.name(),
            &refusal.object,
            refusal.code,
            &refusal.message,
            refusal.hint,
        );
    }
}

fn refuse(command: &str, object: &str, rule: &str) {
    denial::refuse(
        Layer::Hook,
        command,
        object,
        PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION,
        &format!("lockdown is on: {command} refused, {object} {rule}"),
        Some("audit_guard.lockdown = off in postgresql.conf, restart, repeat."),
    );
}

fn shown(table: pg_sys::Oid) -> String {
    names::relation_text(table)
}
