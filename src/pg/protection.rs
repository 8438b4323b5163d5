//! What a relation is to the guard: cached by its OID until the server says that it changed.

use super::names;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// What a relation is to the guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Nothing that we protect.
    Ordinary,
    /// A system catalogue.
    Catalogue,
    /// A table of ours that only grows: a stream or a leaf of one.
    Stream,
    /// Something else of ours.
    Own,
    /// A table of a user's that `audit.protect` protects, or a partition of one.
    Protected,
}

impl Class {
    /// Whether it holds what must not be weakened.
    pub(crate) fn is_guarded(self) -> bool {
        matches!(self, Self::Stream | Self::Own | Self::Protected)
    }
}

thread_local! {
    static CLASSES: RefCell<HashMap<pg_sys::Oid, Class>> = RefCell::new(HashMap::new());
    /// Counts what the server said, so that nothing is kept that was read before.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
}

/// The server says that a relation changed, or with InvalidOid that all may have.
pub(super) fn changed(relation: pg_sys::Oid) {
    CHANGES.set(CHANGES.get() + 1);
    CLASSES.with_borrow_mut(|classes| {
        if relation == pg_sys::InvalidOid {
            classes.clear();
        } else {
            classes.remove(&relation);
        }
    });
}

/// What a relation is; an index or a TOAST table is what its table is.
#[inline]
pub(crate) fn class(relation: pg_sys::Oid) -> Class {
    if let Some(known) = CLASSES.with_borrow(|classes| classes.get(&relation).copied()) {
        return known;
    }
    let before = CHANGES.get();
    let class = read(relation);
    if CHANGES.get() == before {
        CLASSES.with_borrow_mut(|classes| classes.insert(relation, class));
    }
    class
}

/// Whether the extension is installed in this database.
pub(crate) fn is_installed() -> bool {
    names::function(c"enforce_retention").is_some()
}

fn read(relation: pg_sys::Oid) -> Class {
    if names::is_built_in(relation) {
        return Class::Catalogue;
    }
    let functions = [c"enforce_retention", c"prevent_modification", c"prevent_audit_modification"]
        .map(|name| names::function(name).unwrap_or(pg_sys::InvalidOid));
    if functions[0] == pg_sys::InvalidOid {
        return Class::Ordinary;
    }
    // SAFETY: the relation stays open while it is read; an index gives its table's OID.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let found = pg_sys::try_relation_open(relation, lock);
        if found.is_null() {
            return Class::Ordinary;
        }
        let form = &*(*found).rd_rel;
        let table = match form.relkind as u8 {
            b'i' | b'I' => (*(*found).rd_index).indrelid,
            _ => relation,
        };
        let is_ours = form.relnamespace == names::namespace(c"audit").unwrap_or(pg_sys::InvalidOid);
        let own = own_triggers(&*found, functions);
        pg_sys::relation_close(found, lock);
        match own {
            _ if table != relation => class(table),
            (_, true) if is_ours => Class::Stream,
            _ if is_ours => Class::Own,
            (true, _) => Class::Protected,
            _ => Class::Ordinary,
        }
    }
}

/// Whether a table has a trigger that enforces a retention, and one that makes it append-only.
fn own_triggers(relation: &pg_sys::RelationData, functions: [pg_sys::Oid; 3]) -> (bool, bool) {
    // SAFETY: the description of an open relation lists `numtriggers` triggers.
    let triggers = unsafe {
        match relation.trigdesc.as_ref() {
            None => return (false, false),
            Some(known) => std::slice::from_raw_parts(known.triggers, known.numtriggers as usize),
        }
    };
    let calls = |wanted: &[pg_sys::Oid]| triggers.iter().any(|trigger| wanted.contains(&trigger.tgfoid));
    (calls(&functions[..1]), calls(&functions[1..]))
}
