//! Hooks of the preloaded library: what is written, dropped, emptied, called, and which commands are run.
//!
//! A hook calls the one that was there before it. Commands reach us through the hook in [`super::events`].

use super::classify::Command;
use super::{drop, names, surgery};
use pgrx::prelude::*;
use std::cell::Cell;
use std::ffi::c_void;

/// What a statement does to a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Write {
    Insert,
    Update,
    Delete,
}

/// What a hook asks. Each raises an ERROR to refuse.
#[derive(Clone, Copy)]
pub(crate) struct Judges {
    pub(crate) write: fn(table: pg_sys::Oid, write: Write),
    pub(crate) truncate: fn(table: pg_sys::Oid),
    pub(crate) drop: fn(class: pg_sys::Oid, object: pg_sys::Oid, column: i32),
    pub(crate) call: fn(function: pg_sys::Oid),
    pub(crate) command: fn(command: &Command),
}

thread_local! {
    static JUDGES: Cell<Option<Judges>> = const { Cell::new(None) };
    static NEXT_START: Cell<pg_sys::ExecutorStart_hook_type> = const { Cell::new(None) };
    static NEXT_ACCESS: Cell<pg_sys::object_access_hook_type> = const { Cell::new(None) };
}

/// Installs the hooks; called once, when the server loads the library as it starts.
pub(crate) fn install(judges: Judges) {
    JUDGES.set(Some(judges));
    // SAFETY: functions that live as long as the process; the previous hooks are kept and called.
    unsafe {
        NEXT_START.set(pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(on_executor_start);
        NEXT_ACCESS.set(pg_sys::object_access_hook);
        pg_sys::object_access_hook = Some(on_object_access);
    }
}

pub(crate) fn are_installed() -> bool {
    JUDGES.get().is_some()
}

/// The judges, unless the server upgrades itself, or a script of our own extension runs.
#[inline]
fn judges() -> Option<Judges> {
    JUDGES.get().filter(|_| !is_exempt())
}

fn is_exempt() -> bool {
    // SAFETY: reads variables of the server; the look-up is made in a transaction only.
    unsafe {
        if pg_sys::IsBinaryUpgrade || !pg_sys::IsTransactionState() {
            return true;
        }
        pg_sys::creating_extension
            && pg_sys::CurrentExtensionObject == pg_sys::get_extension_oid(c"audit_guard".as_ptr(), true)
    }
}

/// Whether a script of our own extension runs, or the server upgrades itself.
pub(crate) fn is_own_script() -> bool {
    is_exempt()
}

/// Judges a command before it runs.
///
/// # Safety
/// `tree` is a valid parse tree of a utility statement.
pub(super) unsafe fn before_command(tree: *mut pg_sys::Node) {
    use pg_sys::NodeTag::*;
    // SAFETY: the caller's promise.
    unsafe {
        // What every transaction consists of.
        if matches!((*tree).type_, T_TransactionStmt | T_VariableSetStmt | T_ExecuteStmt | T_FetchStmt) {
            return;
        }
        if let Some(judges) = judges() {
            (judges.command)(&Command::new(tree));
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_executor_start(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: the server passes a valid query; it is handed on unchanged.
    unsafe {
        let statement = &*(*query).plannedstmt;
        let explains = flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0;
        let writes = statement.hasModifyingCTE
            || !matches!(statement.commandType, pg_sys::CmdType::CMD_SELECT | pg_sys::CmdType::CMD_UTILITY);
        if writes
            && !explains
            && let Some(judges) = judges()
        {
            judge_writes(statement, judges);
        }
        match NEXT_START.get() {
            Some(next) => pg_sys::ffi::pg_guard_ffi_boundary(|| next(query, flags)),
            None => pg_sys::standard_ExecutorStart(query, flags),
        }
    }
}

/// What a statement writes stands in its plan and, for WITH, in its subplans.
unsafe fn judge_writes(statement: &pg_sys::PlannedStmt, judges: Judges) {
    // SAFETY: a valid plan; the cast follows the node's tag, and relations are positions in the range table.
    unsafe {
        let subplans = super::tree::nodes(statement.subplans);
        for node in std::iter::once(statement.planTree.cast::<pg_sys::Node>()).chain(subplans) {
            if node.is_null() || (*node).type_ != pg_sys::NodeTag::T_ModifyTable {
                continue;
            }
            let plan = &*node.cast::<pg_sys::ModifyTable>();
            let writes = writes_of(plan);
            let count = plan.resultRelations.as_ref().map_or(0, |list| list.length);
            let results = (0..count).map(|at| (*(*plan.resultRelations).elements.add(at as usize)).int_value);
            let root = Some(plan.rootRelation as i32).filter(|&root| root > 0);
            // The table that was named before its partitions.
            for position in root.into_iter().chain(results) {
                let entry = (*(*statement.rtable).elements.add(position as usize - 1)).ptr_value;
                let table = (*entry.cast::<pg_sys::RangeTblEntry>()).relid;
                writes.iter().for_each(|&write| (judges.write)(table, write));
            }
        }
    }
}

unsafe fn writes_of(plan: &pg_sys::ModifyTable) -> Vec<Write> {
    use pg_sys::CmdType::*;
    let of = |operation| match operation {
        CMD_INSERT => Some(Write::Insert),
        CMD_UPDATE => Some(Write::Update),
        CMD_DELETE => Some(Write::Delete),
        _ => None,
    };
    // SAFETY: a list for each target of lists of MERGE's actions.
    unsafe {
        let actions = super::tree::nodes(plan.mergeActionLists).flat_map(|list| {
            super::tree::nodes(list.cast())
                .filter_map(move |action| of((*action.cast::<pg_sys::MergeAction>()).commandType))
        });
        let on_conflict =
            (plan.onConflictAction == pg_sys::OnConflictAction::ONCONFLICT_UPDATE).then_some(Write::Update);
        of(plan.operation).into_iter().chain(on_conflict).chain(actions).collect()
    }
}

/// Whether the server drops something as part of another command, which was judged: a trigger's clone on a partition
/// that is detached, the old index when one is built anew.
///
/// # Safety
/// `argument` is what the server passes with OAT_DROP.
unsafe fn is_internal(argument: *mut c_void) -> bool {
    // SAFETY: the caller's promise.
    let flags =
        unsafe { argument.cast::<pg_sys::ObjectAccessDrop>().as_ref() }.map_or(0, |drop| drop.dropflags);
    flags & pg_sys::PERFORM_DELETION_INTERNAL as i32 != 0
}

#[pg_guard]
unsafe extern "C-unwind" fn on_object_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    column: i32,
    argument: *mut c_void,
) {
    use pg_sys::ObjectAccessType::*;
    match access {
        // Functions of the server itself are called all the time, and are harmless but for one.
        OAT_FUNCTION_EXECUTE => {
            if (!names::is_built_in(object) || surgery::writes_files(object))
                && let Some(judges) = judges()
            {
                (judges.call)(object);
            }
        }
        OAT_DROP => {
            // SAFETY: this is what the server passes for a drop.
            if !unsafe { is_internal(argument) }
                && !drop::is_running()
                && let Some(judges) = judges()
            {
                (judges.drop)(class, object, column);
            }
        }
        OAT_TRUNCATE => {
            if let Some(judges) = judges() {
                (judges.truncate)(object);
            }
        }
        _ => {}
    }
    if let Some(next) = NEXT_ACCESS.get() {
        // SAFETY: the server's own arguments, handed on unchanged.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| next(access, class, object, column, argument)) };
    }
}
