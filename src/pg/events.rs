//! What the server tells us: invalidated relations, ended transactions, utility statements.
//!
//! Callbacks may arrive in the middle of any catalogue access of ours, so they only flip flags; the code
//! that owns a cache looks at the flags when it next needs the cache.

use super::classify::Command;
use super::{drop, hooks, pinned, protection, surgery, unsealed, writer};
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

// Asked at every commit, and unable to raise an ERROR: called without the guard that pgrx puts around each call.
unsafe extern "C-unwind" {
    safe fn GetTopFullTransactionIdIfAny() -> pg_sys::FullTransactionId;
}

/// A flag that says that what was read about some relations may no longer be true.
#[derive(Clone, Default)]
pub(crate) struct Stale(Rc<Cell<bool>>);

impl Stale {
    pub(crate) fn get(&self) -> bool {
        self.0.get()
    }

    pub(crate) fn set(&self) {
        self.0.set(true);
    }
}

struct Watch {
    relations: Vec<pg_sys::Oid>,
    /// Whether a renamed schema or a new cast counts, too.
    has_names: bool,
    stale: Stale,
}

thread_local! {
    static WATCHES: RefCell<Vec<Watch>> = const { RefCell::new(Vec::new()) };
    static ROLES_CHANGED: Cell<bool> = const { Cell::new(true) };
    static LISTENERS: Cell<&'static [TransactionListener]> = const { Cell::new(&[]) };
    static NEXT_UTILITY_HOOK: Cell<pg_sys::ProcessUtility_hook_type> = const { Cell::new(None) };
}

/// A flag that is raised as soon as one of `relations` changes, its name and its types included. Watch first, read
/// afterwards.
pub(crate) fn watch(relations: Vec<pg_sys::Oid>) -> Stale {
    add(relations, true)
}

/// A flag that is raised by messages about these relations only.
pub(crate) fn listen_for(relations: Vec<pg_sys::Oid>) -> Stale {
    add(relations, false)
}

fn add(relations: Vec<pg_sys::Oid>, has_names: bool) -> Stale {
    let stale = Stale::default();
    WATCHES.with_borrow_mut(|watches| {
        watches.retain(|watch| Rc::strong_count(&watch.stale.0) > 1);
        watches.push(Watch { relations, has_names, stale: stale.clone() });
    });
    stale
}

/// Whether a role was renamed or dropped since this was last asked.
pub(crate) fn roles_changed() -> bool {
    ROLES_CHANGED.replace(false)
}

/// What a capability wants to hear about transactions. A depth is the nesting level of the subtransaction
/// that ended: 2 for the first savepoint.
#[derive(Clone, Copy)]
pub(crate) struct TransactionListener {
    /// The transaction is about to be committed or prepared; statements can still be run.
    pub(crate) ends: fn(),
    /// It was committed, and everybody sees it; with its number, if it had one.
    pub(crate) committed: fn(transaction: Option<u64>),
    pub(crate) ended: fn(),
    pub(crate) savepoint_aborted: fn(depth: i32),
    pub(crate) savepoint_released: fn(depth: i32),
}

/// Registers the callbacks; called once, when the library is loaded.
pub(crate) fn listen(listeners: &'static [TransactionListener]) {
    LISTENERS.set(listeners);
    let none = pg_sys::Datum::from(0);
    // SAFETY: registration happens once per process, with functions that live as long as the process; the
    // previous hook is kept and called.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), none);
        for cache in [pg_sys::SysCacheIdentifier::NAMESPACEOID, pg_sys::SysCacheIdentifier::CASTSOURCETARGET]
        {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(catalogue_changed), none);
        }
        let functions = pg_sys::SysCacheIdentifier::PROCOID as i32;
        pg_sys::CacheRegisterSyscacheCallback(functions, Some(function_changed), none);
        let roles = pg_sys::SysCacheIdentifier::AUTHOID as i32;
        pg_sys::CacheRegisterSyscacheCallback(roles, Some(role_changed), none);
        pg_sys::RegisterXactCallback(Some(transaction_event), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_event), std::ptr::null_mut());
        NEXT_UTILITY_HOOK.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(before_utility);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    protection::changed(relation);
    WATCHES.with_borrow(|watches| {
        for watch in watches {
            if relation == pg_sys::InvalidOid || watch.relations.contains(&relation) {
                watch.stale.set();
            }
        }
    });
}

/// A renamed schema or a new cast sends no message about the relations that it touches.
#[pg_guard]
unsafe extern "C-unwind" fn catalogue_changed(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    protection::changed(pg_sys::InvalidOid);
    WATCHES.with_borrow(|watches| {
        watches.iter().filter(|watch| watch.has_names).for_each(|watch| watch.stale.set());
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn function_changed(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    surgery::functions_changed();
}

#[pg_guard]
unsafe extern "C-unwind" fn role_changed(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    ROLES_CHANGED.set(true);
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_event(
    event: pg_sys::XactEvent::Type,
    _argument: *mut core::ffi::c_void,
) {
    use pg_sys::XactEvent::*;
    match event {
        XACT_EVENT_PRE_COMMIT | XACT_EVENT_PRE_PREPARE => {
            tell(|listener| (listener.ends)());
            writer::close();
        }
        XACT_EVENT_COMMIT => {
            let transaction = Some(GetTopFullTransactionIdIfAny().value).filter(|&number| number != 0);
            tell(|listener| (listener.committed)(transaction));
            tell(|listener| (listener.ended)());
        }
        XACT_EVENT_PREPARE => tell(|listener| (listener.ended)()),
        XACT_EVENT_ABORT => {
            pinned::restore();
            writer::forget();
            tell(|listener| (listener.ended)());
        }
        _ => {}
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn subtransaction_event(
    event: pg_sys::SubXactEvent::Type,
    _mine: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut core::ffi::c_void,
) {
    use pg_sys::SubXactEvent::*;
    // SAFETY: only reads a counter of the server.
    let depth = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    match event {
        SUBXACT_EVENT_ABORT_SUB => {
            pinned::restore();
            // What is open may have been made by the savepoint that is going away.
            writer::close();
            tell(|listener| (listener.savepoint_aborted)(depth));
        }
        SUBXACT_EVENT_COMMIT_SUB => tell(|listener| (listener.savepoint_released)(depth)),
        _ => {}
    }
}

fn tell(message: impl Fn(TransactionListener)) {
    LISTENERS.get().iter().copied().for_each(message);
}

/// An open writer makes the server refuse DDL on the log ("being used by active queries in this session"),
/// so it is closed before every statement that might be DDL.
#[pg_guard]
#[expect(clippy::too_many_arguments, reason = "the server's own list")]
unsafe extern "C-unwind" fn before_utility(
    statement: *mut pg_sys::PlannedStmt,
    source: *const core::ffi::c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    use pg_sys::NodeTag::*;
    // SAFETY: the server passes a valid statement node; the arguments are handed on unchanged.
    unsafe {
        let tree = (*statement).utilityStmt;
        let tag = (*tree).type_;
        hooks::before_command(tree);
        // What it wrote was noted by another session, which is no longer in it.
        if tag == T_TransactionStmt && commits_prepared(tree) {
            unsealed::note_write();
        }
        let uninstalls = hooks::are_installed() && Command::new(tree).uninstalls();
        // What could be lost with the extension was judged above.
        let _permission = uninstalls.then(drop::Permission::give);
        if !matches!(
            tag,
            T_TransactionStmt
                | T_VariableSetStmt
                | T_ExecuteStmt
                | T_CopyStmt
                | T_DoStmt
                | T_CallStmt
                | T_ExplainStmt
        ) {
            writer::close();
        }
        match NEXT_UTILITY_HOOK.get() {
            Some(next) => pg_sys::ffi::pg_guard_ffi_boundary(|| {
                next(
                    statement,
                    source,
                    read_only_tree,
                    context,
                    parameters,
                    environment,
                    destination,
                    completion,
                );
            }),
            None => pg_sys::standard_ProcessUtility(
                statement,
                source,
                read_only_tree,
                context,
                parameters,
                environment,
                destination,
                completion,
            ),
        }
    }
}

/// Whether a transaction statement is COMMIT PREPARED.
///
/// # Safety
/// `tree` is a transaction statement.
unsafe fn commits_prepared(tree: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's promise.
    let kind = unsafe { (*tree.cast::<pg_sys::TransactionStmt>()).kind };
    kind == pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED
}
