//! `audit._tracking_state()`: the options of a tracking trigger, as today's columns have them.

use crate::pg::relation::{self, Column};
use crate::pg::{encoding, session};
use audit_guard_core::options::{LiveColumn, TrackingOptions, resolve, resolve_one};
use pgrx::prelude::*;
use serde_json::json;

/// Describes the trigger with this OID, as the bytes of a jsonb; None when there is none.
#[pg_extern(sql = false, stable)]
fn tracking_state(trigger_id: pg_sys::Oid) -> Result<Option<Vec<u8>>, spi::Error> {
    let Some((table, arguments)) = trigger(trigger_id)? else { return Ok(None) };
    let Some((_, columns)) = relation::describe(table) else { return Ok(None) };
    let live = live(&columns);
    let (options, readable) = match TrackingOptions::parse(arguments.iter().map(String::as_str)) {
        Ok(options) => (options, true),
        Err(_) => (TrackingOptions::default(), false),
    };
    let relid = table.to_u32();
    let name_of = |attnum: i16| live.iter().find(|column| column.attnum == attnum).map(|column| column.name);
    let names = |attnums: &[i16]| attnums.iter().filter_map(|&attnum| name_of(attnum)).collect::<Vec<_>>();
    let exclude = resolve(&options.exclude, &live, relid);
    let mask = resolve(&options.mask, &live, relid);
    let tenant =
        options.tenant.as_ref().and_then(|wanted| resolve_one(wanted, &live, relid)).and_then(name_of);
    let is_hidden = |part: &i16| exclude.attnums.contains(part) || mask.attnums.contains(part);
    let state = json!({
        "exclude": names(&exclude.attnums),
        "mask": names(&mask.attnums),
        "tenant_column": tenant,
        "detail": options.detail.as_str(),
        "log_truncated_rows": options.log_truncated_rows,
        "phi": options.phi,
        "degraded": !readable
            || !exclude.unresolved.is_empty()
            || !mask.unresolved.is_empty()
            || relation::key_of(table).iter().any(&is_hidden),
    });
    Ok(Some(session::jsonb(&state.to_string()).payload().to_vec()))
}

/// The columns of a table, as options are resolved against them.
pub(super) fn live(columns: &[Column]) -> Vec<LiveColumn<'_>> {
    columns
        .iter()
        .map(|column| LiveColumn { attnum: column.attnum, name: &column.name, dropped: column.dropped })
        .collect()
}

/// The table and the arguments of the trigger with this OID, if there is one.
pub(super) fn trigger(trigger_id: pg_sys::Oid) -> Result<Option<(pg_sys::Oid, Vec<String>)>, spi::Error> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT tgrelid, tgargs FROM pg_catalog.pg_trigger WHERE oid OPERATOR(pg_catalog.=) $1",
            Some(1),
            &[trigger_id.into()],
        )?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        let table = row.get::<pg_sys::Oid>(1)?;
        let arguments = row.get::<Vec<u8>>(2)?.unwrap_or_default();
        let mut arguments: Vec<String> = arguments.split(|&byte| byte == 0).map(encoding::to_utf8).collect();
        // Each is ended by a zero byte, so the last piece is empty.
        arguments.pop();
        Ok(table.map(|table| (table, arguments)))
    })
}
