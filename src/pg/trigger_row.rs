//! Rows of pg_trigger: read, and changed where a user's DDL has made them wrong, without asking for rights
//! that the user's own statement needed anyway, and without the checks of ALTER TABLE, which refuses tables
//! in use.

use super::{encoding, names};
use pgrx::prelude::*;
use std::ffi::{CStr, c_char};

/// The firing state ALWAYS.
const ALWAYS: c_char = b'A' as c_char;

/// What becomes of a trigger.
pub(crate) enum Change<'a> {
    /// It fires in replica mode, too.
    Always,
    /// It gets other arguments, in the database's encoding.
    Arguments(&'a [Vec<u8>]),
}

/// Changes a trigger, if it still exists, and makes every session read its table's triggers again.
pub(crate) fn change(trigger: pg_sys::Oid, what: &Change<'_>) {
    let mut values = [pg_sys::Datum::null(); pg_sys::Natts_pg_trigger as usize];
    let mut nulls = [false; pg_sys::Natts_pg_trigger as usize];
    let mut replace = [false; pg_sys::Natts_pg_trigger as usize];
    let mut set = |column: u32, value: pg_sys::Datum| {
        values[column as usize - 1] = value;
        replace[column as usize - 1] = true;
    };
    match what {
        Change::Always => set(pg_sys::Anum_pg_trigger_tgenabled, pg_sys::Datum::from(ALWAYS)),
        Change::Arguments(arguments) => {
            let joined: Vec<u8> =
                arguments.iter().flat_map(|argument| argument.iter().copied().chain([0])).collect();
            set(pg_sys::Anum_pg_trigger_tgnargs, pg_sys::Datum::from(arguments.len() as i16));
            set(pg_sys::Anum_pg_trigger_tgargs, joined.into_datum().unwrap_or(pg_sys::Datum::null()));
        }
    }
    let lock = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: the row is copied before it is changed, and the arrays have one element for each column.
    with_row(trigger, lock, |catalogue, row| unsafe {
        let table = (*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_trigger>()).tgrelid;
        let changed = pg_sys::heap_modify_tuple(
            row,
            (*catalogue).rd_att,
            values.as_mut_ptr(),
            nulls.as_mut_ptr(),
            replace.as_mut_ptr(),
        );
        pg_sys::CatalogTupleUpdate(catalogue, &mut (*changed).t_self, changed);
        pg_sys::CacheInvalidateRelcacheByRelid(table);
    });
    // SAFETY: makes the change visible to the statements that follow.
    unsafe { pg_sys::CommandCounterIncrement() };
}

/// What the catalogue says about a trigger.
pub(crate) struct TriggerRow {
    pub(crate) table: pg_sys::Oid,
    pub(crate) arguments: Vec<String>,
    function: pg_sys::Oid,
}

impl TriggerRow {
    /// Whether it calls the function of this name in schema `audit`.
    pub(crate) fn calls(&self, name: &CStr) -> bool {
        names::function(name) == Some(self.function)
    }
}

/// The functions of triggers that guard their table.
const GUARDS: [&CStr; 3] = [c"enforce_retention", c"prevent_modification", c"prevent_audit_modification"];

/// Whether a trigger is one of those that guard its table.
pub(super) fn guards(trigger: pg_sys::Oid) -> bool {
    let Some(found) = read(trigger) else { return false };
    let is_protected = super::protection::class(found.table).is_guarded();
    is_protected && GUARDS.iter().any(|name| found.calls(name))
}

/// A trigger's row; None when there is no such trigger.
pub(crate) fn read(trigger: pg_sys::Oid) -> Option<TriggerRow> {
    // SAFETY: the row is read while the scan lasts; its arguments are a bytea that is never null.
    with_row(trigger, pg_sys::AccessShareLock as pg_sys::LOCKMODE, |catalogue, row| unsafe {
        let form = &*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_trigger>();
        let mut is_null = false;
        let attribute = pg_sys::Anum_pg_trigger_tgargs as i32;
        let arguments = pg_sys::heap_getattr(row, attribute, (*catalogue).rd_att, &mut is_null);
        let arguments = Vec::<u8>::from_datum(arguments, is_null).unwrap_or_default();
        // Each is ended by a zero byte, so the last piece is empty.
        let mut arguments: Vec<String> = arguments.split(|&byte| byte == 0).map(encoding::to_utf8).collect();
        arguments.pop();
        TriggerRow { table: form.tgrelid, arguments, function: form.tgfoid }
    })
}

/// A trigger, and what the server cloned from it for partitions at any depth.
pub(crate) fn with_clones(trigger: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    let Some((table, _)) = table_and_parent(trigger) else { return Vec::new() };
    let mut found = vec![trigger];
    for partition in super::relation::partitions(table) {
        // Parents come before their partitions in the list.
        found.extend(clone_on(partition, &found));
    }
    found
}

/// The trigger of a table that is a clone of one of `parents`.
fn clone_on(table: pg_sys::Oid, parents: &[pg_sys::Oid]) -> Option<pg_sys::Oid> {
    find_on(table, |row| row.tgparentid != pg_sys::InvalidOid && parents.contains(&row.tgparentid))
}

/// Whether a table has a trigger that guards it and is switched off.
pub(super) fn has_disabled_guard(table: pg_sys::Oid) -> bool {
    const DISABLED: c_char = b'D' as c_char;
    let functions = GUARDS.map(names::function);
    find_on(table, |row| row.tgenabled == DISABLED && functions.contains(&Some(row.tgfoid))).is_some()
}

/// The last trigger of a table that `is_wanted`.
fn find_on(
    table: pg_sys::Oid,
    is_wanted: impl Fn(&pg_sys::FormData_pg_trigger) -> bool,
) -> Option<pg_sys::Oid> {
    let mut result = None;
    // SAFETY: an index scan of pg_trigger by table; each row is read while the scan stands on it.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let catalogue = pg_sys::table_open(pg_sys::TriggerRelationId, lock);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_trigger_tgrelid as pg_sys::AttrNumber,
            pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
            pg_sys::F_OIDEQ.into(),
            table.into(),
        );
        let index = pg_sys::Oid::from(pg_sys::TriggerRelidNameIndexId);
        let scan = pg_sys::systable_beginscan(catalogue, index, true, std::ptr::null_mut(), 1, &mut key);
        loop {
            let row = pg_sys::systable_getnext(scan);
            if row.is_null() {
                break;
            }
            let form = &*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_trigger>();
            if is_wanted(form) {
                result = Some(form.oid);
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalogue, lock);
    }
    result
}

/// The table of a trigger, and the trigger on the parent that it is a clone of, if it is one; None when the
/// trigger does not exist.
pub(crate) fn table_and_parent(trigger: pg_sys::Oid) -> Option<(pg_sys::Oid, Option<pg_sys::Oid>)> {
    // SAFETY: the fixed part of the row is read while the scan lasts.
    with_row(trigger, pg_sys::AccessShareLock as pg_sys::LOCKMODE, |_, row| unsafe {
        let form = &*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_trigger>();
        (form.tgrelid, (form.tgparentid != pg_sys::InvalidOid).then_some(form.tgparentid))
    })
}

/// Gives the row of a trigger to `action`, with the catalogue open under `lock`.
fn with_row<T>(
    trigger: pg_sys::Oid,
    lock: pg_sys::LOCKMODE,
    action: impl FnOnce(pg_sys::Relation, pg_sys::HeapTuple) -> T,
) -> Option<T> {
    // SAFETY: an index scan of pg_trigger by OID; the row is valid until the scan ends, after the action.
    unsafe {
        let catalogue = pg_sys::table_open(pg_sys::TriggerRelationId, lock);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_trigger_oid as pg_sys::AttrNumber,
            pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
            pg_sys::F_OIDEQ.into(),
            trigger.into(),
        );
        let index = pg_sys::Oid::from(pg_sys::TriggerOidIndexId);
        let scan = pg_sys::systable_beginscan(catalogue, index, true, std::ptr::null_mut(), 1, &mut key);
        let row = pg_sys::systable_getnext(scan);
        let result = (!row.is_null()).then(|| action(catalogue, row));
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalogue, lock);
        result
    }
}
