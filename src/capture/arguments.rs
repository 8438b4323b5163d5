//! Brings the arguments of tracking triggers up to date, and sets triggers to ALWAYS.

use super::tracking_state::{live, trigger};
use crate::pg::trigger_row::{Change, change};
use crate::pg::{encoding, relation, session};
use audit_guard_core::options::{ColumnRef, GONE, Rename, TrackingOptions};
use pgrx::prelude::*;
use serde_json::json;

/// Renews the arguments of a tracking trigger, and of its clones, after columns of its table were renamed or
/// dropped; an empty `old_name` means that no rename is known. True when the options name other columns now.
///
/// Arguments that cannot be read are left as they are: they hide everything.
#[pg_extern(sql = false)]
fn renew_arguments(
    trigger_id: pg_sys::Oid,
    clones: Vec<pg_sys::Oid>,
    old_name: &[u8],
    new_name: &[u8],
) -> Result<bool, spi::Error> {
    let Some((table, arguments)) = trigger(trigger_id)? else { return Ok(false) };
    let Some((_, columns)) = relation::describe(table) else { return Ok(false) };
    let Ok(options) = TrackingOptions::parse(arguments.iter().map(String::as_str)) else { return Ok(false) };
    let columns = live(&columns);
    let (from, to) = (encoding::to_utf8(old_name), encoding::to_utf8(new_name));
    let rename = (!from.is_empty()).then_some(Rename { from: &from, to: &to });
    let renewed = options.renewed(&columns, table.to_u32(), rename);
    if renewed == options {
        return Ok(false);
    }
    let written: Vec<Vec<u8>> = renewed.to_args().iter().map(|text| encoding::from_utf8(text)).collect();
    for id in std::iter::once(trigger_id).chain(clones) {
        change(id, &Change::Arguments(&written));
    }
    Ok(shown(&options) != shown(&renewed))
}

/// The names by which the options are known; those that must only not come back do not count.
fn shown(options: &TrackingOptions) -> [Vec<&str>; 3] {
    [options.exclude.as_slice(), options.mask.as_slice(), options.tenant.as_slice()].map(|columns| {
        let mut names: Vec<&str> = columns
            .iter()
            .filter(|column| column.attnum != Some(GONE))
            .map(|column| column.name.as_str())
            .collect();
        names.sort_unstable();
        names
    })
}

/// The names in the options of a tracking trigger, as the bytes of a jsonb; None when there is no such trigger or
/// its arguments cannot be read.
#[pg_extern(sql = false, stable)]
fn option_names(trigger_id: pg_sys::Oid) -> Result<Option<Vec<u8>>, spi::Error> {
    let Some((_, arguments)) = trigger(trigger_id)? else { return Ok(None) };
    let Ok(options) = TrackingOptions::parse(arguments.iter().map(String::as_str)) else { return Ok(None) };
    let names = |columns: &[ColumnRef]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let names = json!({"exclude": names(&options.exclude), "mask": names(&options.mask)});
    Ok(Some(session::jsonb(&names.to_string()).payload().to_vec()))
}

/// Makes a trigger fire in replica mode, too.
#[pg_extern(sql = false)]
fn set_always(trigger_id: pg_sys::Oid) {
    change(trigger_id, &Change::Always);
}
