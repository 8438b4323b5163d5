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
    let (oid, bounds) = covering(parent, time)?;
    let operations = names::enum_values(schema, c"operation", [c"INSERT", c"UPDATE", c"DELETE", c"TRUNCATE"]);
    Some(Leaf { oid, bounds, stale: watch(vec![oid]), sequence, operations })
}

/// Which partition of `parent` holds `time`, with its bounds, from the server's partition descriptor.
fn covering(parent: pg_sys::Oid, time: i64) -> Option<(pg_sys::Oid, (i64, i64))> {
    use pg_sys::PartitionRangeDatumKind::*;
    let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the descriptor belongs to the open relation and is read before that is closed; the arrays have
    // the lengths that the descriptor gives. The log is partitioned by range of one timestamptz column.
    unsafe {
        let relation = pg_sys::table_open(parent, lock);
        let description = pg_sys::RelationGetPartitionDesc(relation, true);
        let mut found = None;
        if (*description).nparts > 0 {
            let info = &*(*description).boundinfo;
            let bound = |index: i32| -> i64 {
                if index < 0 {
                    return i64::MIN;
                }
                if index >= info.ndatums {
                    return i64::MAX;
                }
                match **info.kind.add(index as usize) {
                    PARTITION_RANGE_DATUM_MINVALUE => i64::MIN,
                    PARTITION_RANGE_DATUM_MAXVALUE => i64::MAX,
                    _ => (**info.datums.add(index as usize)).value() as i64,
                }
            };
            let below = (0..info.ndatums).take_while(|&index| bound(index) <= time).count() as i32;
            let part = *info.indexes.add(below as usize);
            if part >= 0 {
                let oid = *(*description).oids.add(part as usize);
                found = Some((oid, (bound(below - 1), bound(below))));
            }
        }
        pg_sys::table_close(relation, lock);
        found
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
