//! What the session declared with `set_context` and `begin_restore`: lasts for the transaction, and goes back
//! with a savepoint.

use crate::pg::session;
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};

/// What a caller says about who acts. A declaration, never proof.
#[derive(Clone, Default)]
pub(super) struct Declared {
    /// Text in the database's encoding.
    pub(super) actor_id: Option<Vec<u8>>,
    pub(super) session_id: Option<[u8; 16]>,
    pub(super) client_ip: Option<String>,
    /// Text in the database's encoding.
    pub(super) tenant_id: Option<Vec<u8>>,
    pub(super) phi_accessed: Option<bool>,
    pub(super) context: Map<String, Value>,
    /// Whether the transaction loads what was saved elsewhere; only `begin_restore` says so.
    pub(super) restore: bool,
}

thread_local! {
    /// Declarations with the nesting level at which they were made, deeper ones later.
    static STACK: RefCell<Vec<(i32, Declared)>> = const { RefCell::new(Vec::new()) };
    static VERSION: Cell<u64> = const { Cell::new(0) };
}

/// A number that changes with every change of what is declared.
pub(super) fn version() -> u64 {
    VERSION.get()
}

/// What is declared now.
pub(super) fn current() -> Declared {
    STACK.with_borrow(|stack| stack.last().map(|(_, declared)| declared.clone()).unwrap_or_default())
}

/// Whether `begin_restore` was called in this transaction.
pub(crate) fn is_restoring() -> bool {
    STACK.with_borrow(|stack| stack.last().is_some_and(|(_, declared)| declared.restore))
}

/// Declares from now on, until the current savepoint is rolled back or the transaction ends.
pub(super) fn declare(declared: Declared) {
    let depth = session::depth();
    STACK.with_borrow_mut(|stack| {
        stack.pop_if(|(level, _)| *level >= depth);
        stack.push((depth, declared));
    });
    changed();
}

pub(super) fn end_transaction() {
    STACK.with_borrow_mut(|stack| {
        if !stack.is_empty() {
            stack.clear();
            changed();
        }
    });
}

pub(super) fn abort_savepoint(depth: i32) {
    STACK.with_borrow_mut(|stack| {
        let before = stack.len();
        stack.retain(|(level, _)| *level < depth);
        if stack.len() != before {
            changed();
        }
    });
}

/// A released savepoint hands its declaration to the level around it.
pub(super) fn release_savepoint(depth: i32) {
    STACK.with_borrow_mut(|stack| {
        if let Some((_, declared)) = stack.pop_if(|(level, _)| *level >= depth) {
            stack.retain(|(level, _)| *level < depth - 1);
            stack.push((depth - 1, declared));
        }
    });
}

fn changed() {
    VERSION.set(VERSION.get() + 1);
}
