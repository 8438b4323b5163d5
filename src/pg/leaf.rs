//! Where the row goes: the leaf of `audit.audit_log` that covers a time, its columns and its indexes.

use super::events::{Stale, watch};
use super::names;
use pgrx::prelude::*;

/// The columns of `audit.audit_log`, in the order in which a row's values are given to the writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    Id,
    LoggedAt,
    TransactionId,
    Operation,
    TableSchema,
    TableName,
    RecordId,
    OldRecordId,
    OldRecord,
    NewRecord,
    ChangedFields,
    ActorId,
    ActorSource,
    ActorRole,
    LoginRole,
    TenantId,
    SessionId,
    ClientIp,
    ApplicationName,
    PhiAccessed,
    Outcome,
    Context,
    Salt,
}

/// Every field with the name of its column.
const COLUMNS: [(Field, &str); 23] = [
    (Field::Id, "id"),
    (Field::LoggedAt, "logged_at"),
    (Field::TransactionId, "transaction_id"),
    (Field::Operation, "operation"),
    (Field::TableSchema, "table_schema"),
    (Field::TableName, "table_name"),
    (Field::RecordId, "record_id"),
    (Field::OldRecordId, "old_record_id"),
    (Field::OldRecord, "old_record"),
    (Field::NewRecord, "new_record"),
    (Field::ChangedFields, "changed_fields"),
    (Field::ActorId, "actor_id"),
    (Field::ActorSource, "actor_source"),
    (Field::ActorRole, "actor_role"),
    (Field::LoginRole, "login_role"),
    (Field::TenantId, "tenant_id"),
    (Field::SessionId, "session_id"),
    (Field::ClientIp, "client_ip"),
    (Field::ApplicationName, "application_name"),
    (Field::PhiAccessed, "phi_accessed"),
    (Field::Outcome, "outcome"),
    (Field::Context, "context"),
    (Field::Salt, "salt"),
];

/// The number of fields that a row has.
pub(crate) const FIELDS: usize = COLUMNS.len();

/// The number of columns of a leaf as the extension makes it: the fields, then `redaction`.
pub(crate) const LEAF_COLUMNS: usize = FIELDS + 1;

/// Whether a leaf's columns are the fields in their order, so that a row's values can be used as they are.
pub(crate) fn in_order(sources: &[Option<Field>]) -> bool {
    sources.len() == LEAF_COLUMNS
        && sources[FIELDS].is_none()
        && sources.iter().zip(COLUMNS).all(|(source, (field, _))| *source == Some(field))
}

/// One leaf as the catalogue describes it; cached until the server says that it changed.
pub(crate) struct Leaf {
    pub(crate) oid: pg_sys::Oid,
    /// First microsecond that belongs to the leaf, and first that no longer does.
    pub(crate) bounds: (i64, i64),
    pub(crate) stale: Stale,
    /// The sequence of the ids, and the values of the enum `audit.operation` in its declared order.
    pub(crate) sequence: pg_sys::Oid,
    pub(crate) operations: [pg_sys::Oid; 4],
}

/// Finds the leaf that covers `time`; None when the log has no such leaf (yet).
pub(crate) fn find(time: i64) -> Option<Leaf> {
    let schema = names::namespace(c"audit")?;
    let parent = names::relation(schema, c"audit_log")?;
    let sequence = names::relation(schema, c"audit_log_id_seq")?;
    let (oid, bounds, stale) = loop {
        let (oid, found) = covering(parent, time)?;
        let stale = watch(vec![oid]);
        if bounds(oid) == Some(found) {
            break (oid, found, stale);
        }
    };
    let operations = names::enum_values(schema, c"operation", [c"INSERT", c"UPDATE", c"DELETE", c"TRUNCATE"]);
    Some(Leaf { oid, bounds, stale, sequence, operations })
}

unsafe extern "C-unwind" {
    fn find_inheritance_children(parent: pg_sys::Oid, lock: pg_sys::LOCKMODE) -> *mut pg_sys::List;
}

/// Which partition of `parent` holds `time`, with its bounds. Takes no lock on the parent, so that a writer
/// never waits for whoever makes or removes months; the caller locks the leaf and looks again.
fn covering(parent: pg_sys::Oid, time: i64) -> Option<(pg_sys::Oid, (i64, i64))> {
    // SAFETY: a catalogue scan that may raise an ERROR, so it crosses the guarded boundary; the list belongs to
    // this call.
    unsafe {
        let lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let leaves = pg_sys::ffi::pg_guard_ffi_boundary(|| find_inheritance_children(parent, lock));
        let count = leaves.as_ref().map_or(0, |list| list.length);
        let found = (0..count).map(|position| names::list_oid(leaves, position)).find_map(|leaf| {
            let (first, end) = bounds(leaf)?;
            (first <= time && (time < end || end == i64::MAX)).then_some((leaf, (first, end)))
        });
        pg_sys::list_free(leaves);
        found
    }
}

/// The bounds of a leaf, from its row in pg_class; None when it is none, or gone.
fn bounds(leaf: pg_sys::Oid) -> Option<(i64, i64)> {
    // SAFETY: the entry is released after it was read; the bound is a node tree that the server wrote, of a
    // table that is partitioned by range of one timestamptz column.
    unsafe {
        let entry = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, leaf.into());
        if entry.is_null() {
            return None;
        }
        let mut is_null = false;
        let attribute = pg_sys::Anum_pg_class_relpartbound as pg_sys::AttrNumber;
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let text = pg_sys::SysCacheGetAttr(cache, entry, attribute, &mut is_null);
        let spec = if is_null {
            std::ptr::null_mut()
        } else {
            let text = pg_sys::text_to_cstring(text.cast_mut_ptr());
            pg_sys::stringToNode(text).cast::<pg_sys::PartitionBoundSpec>()
        };
        pg_sys::ReleaseSysCache(entry);
        let spec = spec.as_ref().filter(|spec| !spec.is_default)?;
        Some((bound(spec.lowerdatums)?, bound(spec.upperdatums)?))
    }
}

/// One bound in microseconds.
///
/// # Safety
/// `bound` is a bound list of a partition by range.
unsafe fn bound(bound: *mut pg_sys::List) -> Option<i64> {
    use pg_sys::PartitionRangeDatumKind::*;
    // SAFETY: the caller's promise; a bound that is a value is a constant of the column's type.
    unsafe {
        let first = (*bound.as_ref()?.elements).ptr_value.cast::<pg_sys::PartitionRangeDatum>();
        Some(match (*first).kind {
            PARTITION_RANGE_DATUM_MINVALUE => i64::MIN,
            PARTITION_RANGE_DATUM_MAXVALUE => i64::MAX,
            _ => (*(*first).value.cast::<pg_sys::Const>()).constvalue.value() as i64,
        })
    }
}

/// For each column of an open leaf, the field that it takes; None stays null (`redaction`, a dropped column).
pub(crate) fn column_sources(leaf: pg_sys::Relation) -> Vec<Option<Field>> {
    // SAFETY: the caller holds the relation open.
    let columns = unsafe { super::relation::columns((*leaf).rd_att) };
    columns
        .iter()
        .map(|column| {
            COLUMNS.iter().find(|(_, name)| !column.dropped && *name == column.name).map(|(field, _)| *field)
        })
        .collect()
}
