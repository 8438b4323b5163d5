//! What one trigger has to do: read once from the catalogue, kept until something about the table changes.

use super::tracking_state::live;
use crate::pg::buffer::Varlena;
use crate::pg::encoder::{self, Encoder};
use crate::pg::events::{Stale, watch};
use crate::pg::jsonb::{self, Frame, key_order};
use crate::pg::memory::Memory;
use crate::pg::names::TableName;
use crate::pg::relation::{self, Column};
use crate::pg::trigger::TriggerCall;
use crate::pg::{errors, pinned};
use audit_guard_core::options::{
    ColumnRef, Detail, LiveColumn, Resolved, TrackingOptions, resolve, resolve_one,
};
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

/// Bytes that a reused buffer keeps; what one huge row needed goes back after it.
pub(super) const KEEP: usize = 1 << 20;

/// How deep a type is searched for parts whose text depends on rarer settings.
const TYPE_DEPTH: u8 = 8;

/// A column that is logged.
pub(super) struct PlanColumn {
    pub(super) column: Column,
    /// Its position in the row.
    pub(super) position: usize,
    pub(super) encoder: Encoder,
    /// Logged as null.
    pub(super) masked: bool,
    /// Its name as an element of a `text[]`.
    pub(super) array_element: Vec<u8>,
}

/// A column that is read for its text: part of the key, or the tenant.
pub(super) struct KeyColumn {
    pub(super) column: Column,
    pub(super) position: usize,
    pub(super) encoder: Encoder,
}

/// Everything about a trigger that does not change from row to row.
pub(super) struct Plan {
    pub(super) schema: Varlena,
    pub(super) table: Varlena,
    /// The logged columns in the table's order.
    pub(super) columns: Vec<PlanColumn>,
    /// Their indexes in the order of keys in a JSON object.
    pub(super) order: Vec<usize>,
    pub(super) frame: Frame,
    pub(super) key: Vec<KeyColumn>,
    pub(super) tenant: Option<KeyColumn>,
    pub(super) detail: Detail,
    pub(super) phi: bool,
    pub(super) log_truncated_rows: bool,
    /// The table on which tracking was enabled.
    pub(super) tracked: pg_sys::Oid,
    /// Whether rows carry the number of the command that made them.
    pub(super) numbers_commands: bool,
    reads_settings: bool,
    reads_more_settings: bool,
    stale: Stale,
    /// Holds the prepared calls of the encoders; last, because it must go last.
    _memory: Memory,
}

#[derive(Default)]
struct Plans {
    by_trigger: HashMap<pg_sys::Oid, Rc<Plan>>,
    last: Option<(pg_sys::Oid, Rc<Plan>)>,
    warned: Vec<pg_sys::Oid>,
}

thread_local! {
    /// Never dropped at the end of the process, when the server's memory may be gone already.
    static PLANS: ManuallyDrop<RefCell<Option<Plans>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

fn with_plans<T>(action: impl FnOnce(&mut Plans) -> T) -> T {
    PLANS.with(|plans| action(plans.borrow_mut().get_or_insert_with(Plans::default)))
}

/// The plan of the trigger that is being called.
pub(super) fn of(call: &TriggerCall) -> Rc<Plan> {
    let trigger = call.trigger_oid();
    let known = with_plans(|plans| match &plans.last {
        Some((last, plan)) if *last == trigger && !plan.stale.get() => Some(plan.clone()),
        _ => {
            let plan = plans.by_trigger.get(&trigger).filter(|plan| !plan.stale.get())?.clone();
            plans.last = Some((trigger, plan.clone()));
            Some(plan)
        }
    });
    known.unwrap_or_else(|| {
        let plan = Rc::new(build(call));
        with_plans(|plans| {
            plans.by_trigger.retain(|_, plan| !plan.stale.get());
            plans.by_trigger.insert(trigger, plan.clone());
            plans.last = Some((trigger, plan.clone()));
        });
        plan
    })
}

impl Plan {
    /// Runs a conversion under the settings that its columns need to be pinned.
    #[inline]
    pub(super) fn convert<T>(&self, conversion: impl FnOnce() -> T) -> T {
        jsonb::converting(self.tracked);
        if self.reads_settings { pinned::with(self.reads_more_settings, conversion) } else { conversion() }
    }
}

fn build(call: &TriggerCall) -> Plan {
    let table_oid = call.relation_oid();
    let tracked = call.tracked_table();
    let stale = watch(vec![table_oid, tracked]);
    let memory = Memory::new(c"audit_guard plan");
    let (options, unreadable) = options(call);
    let columns = call.columns();
    let (name, root_columns) = match relation::describe(tracked) {
        Some((name, root)) if tracked != table_oid => (name, Some(root)),
        _ => (call.relation_name(), None),
    };
    let hidden = Hidden::find(&options, &columns, root_columns.as_deref(), table_oid, tracked);
    let lost = hidden.unresolved.first().map(|name| format!("hidden column \"{name}\" cannot be found"));
    let is_degraded = unreadable.is_some() || lost.is_some();
    if let Some(reason) = unreadable.or(lost) {
        warn_once(tracked, &name, &reason);
    }
    // A key made later of a hidden column must not show it: such a table has no key.
    let mut key_attnums = call.key_columns();
    if key_attnums.iter().any(|attnum| hidden.excluded.contains(attnum) || hidden.masked.contains(attnum)) {
        key_attnums.clear();
    }
    let key: Vec<KeyColumn> =
        key_attnums.iter().filter_map(|attnum| read_column(&columns, *attnum, &memory)).collect();
    let tenant = hidden.tenant.and_then(|attnum| read_column(&columns, attnum, &memory));
    let logged: Vec<PlanColumn> = columns
        .into_iter()
        .enumerate()
        .filter(|(_, column)| {
            !column.dropped && !column.is_virtual && !hidden.excluded.contains(&column.attnum)
        })
        .map(|(position, column)| {
            let degraded = is_degraded && !key_attnums.contains(&column.attnum);
            PlanColumn {
                position,
                encoder: Encoder::for_type(column.type_oid, &memory),
                masked: degraded || hidden.masked.contains(&column.attnum),
                array_element: array_element(&column.name_bytes),
                column,
            }
        })
        .collect();
    let mut order: Vec<usize> = (0..logged.len()).collect();
    order.sort_by(|&left, &right| {
        key_order(&logged[left].column.name_bytes, &logged[right].column.name_bytes)
    });
    let frame = Frame::new(|| order.iter().map(|&index| logged[index].column.name_bytes.as_slice()));
    let printed = logged.iter().map(|column| (&column.encoder, &column.column));
    let printed: Vec<_> =
        printed.chain(key.iter().chain(&tenant).map(|part| (&part.encoder, &part.column))).collect();
    let reads_settings = printed.iter().any(|(encoder, _)| encoder.reads_settings());
    let reads_more_settings = reads_settings
        && printed.iter().any(|(_, column)| encoder::reads_more_settings(column.type_oid, TYPE_DEPTH));
    Plan {
        schema: Varlena::new(&name.schema),
        table: Varlena::new(&name.table),
        columns: logged,
        order,
        frame,
        key,
        tenant,
        detail: options.detail,
        phi: options.phi,
        log_truncated_rows: options.log_truncated_rows,
        tracked,
        numbers_commands: call.is_heap(),
        reads_settings,
        reads_more_settings,
        stale,
        _memory: memory,
    }
}

/// Arguments that cannot be read hide everything rather than fail the user's statement; what is wrong with
/// them comes second.
fn options(call: &TriggerCall) -> (TrackingOptions, Option<String>) {
    let arguments = call.arguments();
    match TrackingOptions::parse(arguments.iter().map(String::as_str)) {
        Ok(options) => (options, None),
        Err(error) => (TrackingOptions::default(), Some(error.to_string())),
    }
}

/// Which columns of a table the options mean today, by number.
struct Hidden {
    excluded: Vec<i16>,
    masked: Vec<i16>,
    tenant: Option<i16>,
    unresolved: Vec<String>,
}

impl Hidden {
    fn find(
        options: &TrackingOptions,
        columns: &[Column],
        root: Option<&[Column]>,
        table: pg_sys::Oid,
        tracked: pg_sys::Oid,
    ) -> Self {
        let here = live(columns);
        let find_all = |refs: &[ColumnRef]| match root {
            None => resolve(refs, &here, table.to_u32()),
            Some(root) => translate(refs, &live(root), &here, tracked.to_u32()),
        };
        let excluded = find_all(&options.exclude);
        let masked = find_all(&options.mask);
        let tenant = options.tenant.as_ref().and_then(|wanted| match root {
            None => resolve_one(wanted, &here, table.to_u32()),
            Some(root) => {
                let root = live(root);
                let attnum = resolve_one(wanted, &root, tracked.to_u32())?;
                let name = root.iter().find(|column| column.attnum == attnum)?.name;
                here.iter().find(|column| !column.dropped && column.name == name).map(|column| column.attnum)
            }
        });
        let mut unresolved = excluded.unresolved;
        unresolved.extend(masked.unresolved);
        Self { excluded: excluded.attnums, masked: masked.attnums, tenant, unresolved }
    }
}

/// The columns of a partition that the references mean on the table that was tracked, by name; a name that
/// the partition itself has counts too.
fn translate(refs: &[ColumnRef], root: &[LiveColumn<'_>], here: &[LiveColumn<'_>], tracked: u32) -> Resolved {
    let mut resolved = resolve(refs, root, tracked);
    let meant = |column: &&LiveColumn<'_>| {
        !column.dropped
            && (refs.iter().any(|wanted| wanted.name == column.name)
                || root.iter().any(|parent| {
                    resolved.attnums.contains(&parent.attnum) && !parent.dropped && parent.name == column.name
                }))
    };
    let attnums = here.iter().filter(meant).map(|column| column.attnum).collect();
    resolved.attnums = attnums;
    resolved
}

/// A column that is read for its text.
pub(super) fn read_column(columns: &[Column], attnum: i16, memory: &Memory) -> Option<KeyColumn> {
    let position = columns.iter().position(|column| column.attnum == attnum && !column.dropped)?;
    let column = columns[position].clone();
    Some(KeyColumn { position, encoder: Encoder::for_type(column.type_oid, memory), column })
}

/// A name as it stands in a `text[]`: with the long header, whatever its length.
fn array_element(name: &[u8]) -> Vec<u8> {
    let mut element = (((name.len() + 4) as u32) << 2).to_ne_bytes().to_vec();
    element.extend_from_slice(name);
    element
}

fn warn_once(tracked: pg_sys::Oid, table: &TableName, reason: &str) {
    let first = with_plans(|plans| {
        let first = !plans.warned.contains(&tracked);
        if first {
            plans.warned.push(tracked);
        }
        first
    });
    if first {
        errors::warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            &format!("{table}: {reason}; every value but the key is logged as null"),
            Some("SELECT fix FROM audit.health() WHERE check_name = 'triggers';"),
        );
    }
}
