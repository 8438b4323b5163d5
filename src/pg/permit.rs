//! What our own maintenance does to a leaf that nobody else may: it is detached, renamed and attached again in
//! one call, so that it never stays outside of its stream.
//!
//! A permission names the relations and is good for the one statement that comes next: statements of others that
//! run inside of it (an event trigger's, for example) find it used up.

use super::protection::{self, Class};
use super::{errors, names, types};
use pgrx::prelude::*;
use std::cell::RefCell;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Permission {
    Detach { stream: pg_sys::Oid, leaf: pg_sys::Oid },
    Rename { leaf: pg_sys::Oid },
    Attach { stream: pg_sys::Oid, leaf: pg_sys::Oid },
}

thread_local! {
    static NEXT: RefCell<Option<Permission>> = const { RefCell::new(None) };
}

pub(super) fn detaches(stream: pg_sys::Oid, leaf: pg_sys::Oid) -> bool {
    take(Permission::Detach { stream, leaf })
}

pub(super) fn renames(leaf: pg_sys::Oid) -> bool {
    take(Permission::Rename { leaf })
}

pub(super) fn attaches(stream: pg_sys::Oid, leaf: pg_sys::Oid) -> bool {
    take(Permission::Attach { stream, leaf })
}

fn take(wanted: Permission) -> bool {
    NEXT.with_borrow_mut(|next| next.take_if(|given| *given == wanted)).is_some()
}

/// Takes the permission back, also when an ERROR passes.
struct Given;

impl Drop for Given {
    fn drop(&mut self) {
        NEXT.take();
    }
}

fn run(permission: Permission, command: &str) -> Result<(), spi::Error> {
    NEXT.replace(Some(permission));
    let given = Given;
    let result = Spi::run(command);
    drop(given);
    result
}

/// Gives a leaf of a stream other bounds, and another name when `new_name` is another. Bounds are microseconds
/// since 2000-01-01 UTC; None is unbounded.
///
/// Errors: 42809 for what is no leaf; whatever the server says about the bounds or a lock.
pub(crate) fn rebound(
    stream: pg_sys::Oid,
    leaf: pg_sys::Oid,
    new_name: &str,
    (lower, upper): (Option<i64>, Option<i64>),
) -> Result<(), spi::Error> {
    let is_leaf = protection::class(stream) == Class::Stream && names::parent(leaf) == Some(stream);
    if !is_leaf {
        errors::raise(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            &format!("{} is no partition of a stream", names::relation_text(leaf)),
            Some("SELECT audit.maintain_partitions();"),
        );
    }
    let bound = |moment: Option<i64>, end: &str| {
        moment.map_or_else(|| end.to_owned(), |moment| format!("'{}'", types::utc_text(moment)))
    };
    let (parent, old) = (names::quoted(stream), names::quoted(leaf));
    run(Permission::Detach { stream, leaf }, &format!("ALTER TABLE {parent} DETACH PARTITION {old}"))?;
    if names::relation_name(leaf) != new_name.as_bytes() {
        let new_name = names::quote(new_name);
        run(Permission::Rename { leaf }, &format!("ALTER TABLE {old} RENAME TO {new_name}"))?;
    }
    let (lower, upper) = (bound(lower, "MINVALUE"), bound(upper, "MAXVALUE"));
    let attach = format!(
        "ALTER TABLE {parent} ATTACH PARTITION {} FOR VALUES FROM ({lower}) TO ({upper})",
        names::quoted(leaf)
    );
    run(Permission::Attach { stream, leaf }, &attach)
}
