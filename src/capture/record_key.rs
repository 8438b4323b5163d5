//! `audit._record_key()`: a key as a person writes it, in the form in which it is logged.

use super::key::KeyWriter;
use super::plan::{KeyColumn, read_column};
use crate::pg::memory::Memory;
use crate::pg::names::TableName;
use crate::pg::{errors, pinned, relation, session};
use audit_guard_core::record_key::{fit, parse_composite};
use pgrx::prelude::*;

/// The logged form of a key of `target`: `'[7, "a"]'` becomes `[7,"a"]`, a uuid becomes lower case. Text
/// comes and goes in the database's encoding.
///
/// Errors: 42P01 for a table that is gone, 55000 for a table without a key, 22023 for a wrong number of
/// parts or a null part, 22P02 (or what the type's input function raises) for a part that is no value of its
/// column.
#[pg_extern(sql = false, stable)]
fn record_key(target: pg_sys::Oid, record_id: &[u8]) -> Vec<u8> {
    let Some((table, columns)) = relation::describe(target) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            &format!("relation with OID {} does not exist", target.to_u32()),
            Some("SELECT * FROM audit.tracked_tables;"),
        )
    };
    let memory = Memory::new(c"audit_guard key");
    let parts: Vec<KeyColumn> = relation::key_of(target)
        .into_iter()
        .filter_map(|attnum| read_column(&columns, attnum, &memory))
        .collect();
    let texts = match parts.len() {
        0 => refuse_keyless(&table),
        1 => vec![record_id.to_vec()],
        arity => split(&table, record_id, arity),
    };
    pinned::with(true, || {
        let values: Vec<pg_sys::Datum> = parts
            .iter()
            .zip(&texts)
            .map(|(part, text)| session::base_input(part.column.type_oid, part.column.type_modifier, text))
            .collect();
        let mut writer = KeyWriter::default();
        if let ([part], [value]) = (parts.as_slice(), values.as_slice()) {
            return fit(writer.single(part, *value)).into_owned();
        }
        let value_of = |wanted: &KeyColumn| {
            parts.iter().position(|part| part.position == wanted.position).map(|at| values[at])
        };
        fit(writer.composite(&parts, value_of).as_bytes()).into_owned()
    })
}

/// The texts of a key of several columns.
fn split(table: &TableName, record_id: &[u8], arity: usize) -> Vec<Vec<u8>> {
    let refuse = |reason: &str, hint: Option<&str>| -> ! {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            &format!("key of {table}: {reason}"),
            hint,
        )
    };
    match parse_composite(&String::from_utf8_lossy(record_id), arity) {
        Ok(texts) => texts
            .into_iter()
            .map(|text| text.map(String::into_bytes).unwrap_or_else(|| refuse("a key holds no null", None)))
            .collect(),
        Err(error) => refuse(&error.to_string(), error.hint().as_deref()),
    }
}

fn refuse_keyless(table: &TableName) -> ! {
    let literal = |name: &[u8]| String::from_utf8_lossy(name).replace('\'', "''");
    errors::raise(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        &format!("{table} has no primary key, so its rows have no record_id"),
        Some(&format!(
            "SELECT * FROM audit.changes WHERE table_schema = '{}' AND table_name = '{}';",
            literal(&table.schema),
            literal(&table.table)
        )),
    )
}
