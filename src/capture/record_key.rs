//! `audit._record_key()`: a key as a person writes it, in the form in which it is logged.

use super::key::KeyWriter;
use super::plan::{KeyColumn, read_column};
use crate::pg::memory::Memory;
use crate::pg::{errors, pinned, relation, session};
use audit_guard_core::record_key::parse_composite;
use pgrx::prelude::*;
use std::borrow::Cow;

/// The logged form of a key of `target`: `'[7, "a"]'` becomes `[7,"a"]`, a uuid becomes lower case.
///
/// Errors: 42P01 for a table that is gone, 55000 for a table without a key, 22023 for a wrong number of
/// parts, 22P02 (or what the type's input function raises) for a part that is no value of its column.
#[pg_extern(sql = false, stable)]
fn record_key(target: pg_sys::Oid, record_id: &str) -> String {
    let Some((schema, table, columns)) = relation::describe(target) else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            &format!("relation with OID {} does not exist", target.to_u32()),
            Some("Name the table: audit.record_history('schema.table', ...)"),
        )
    };
    let memory = Memory::new(c"audit_guard key");
    let parts: Vec<KeyColumn> = relation::key_of(target)
        .into_iter()
        .filter_map(|attnum| read_column(&columns, attnum, &memory))
        .collect();
    if parts.is_empty() {
        errors::raise(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            &format!("{schema}.{table} has no primary key, so its rows have no record_id"),
            Some("SELECT * FROM audit.changes WHERE table_schema = '...' AND table_name = '...';"),
        );
    }
    let texts: Vec<Option<Cow<'_, str>>> = if parts.len() == 1 {
        vec![Some(Cow::Borrowed(record_id))]
    } else {
        match parse_composite(record_id, parts.len()) {
            Ok(texts) => texts.into_iter().map(|text| text.map(Cow::Owned)).collect(),
            Err(error) => errors::raise(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                &format!("key of {schema}.{table}: {error}"),
                error.hint().as_deref(),
            ),
        }
    };
    pinned::with(true, || {
        let values: Vec<Option<pg_sys::Datum>> = parts
            .iter()
            .zip(&texts)
            .map(|(part, text)| {
                let column = &part.column;
                text.as_deref().map(|text| session::input(column.type_oid, column.type_modifier, text))
            })
            .collect();
        let mut writer = KeyWriter::default();
        match (parts.as_slice(), values.as_slice()) {
            ([part], [Some(value)]) => writer.single(part, *value),
            _ => {
                let value_of = |wanted: &KeyColumn| {
                    parts.iter().position(|part| part.position == wanted.position).and_then(|at| values[at])
                };
                writer.composite(&parts, value_of).to_owned()
            }
        }
    })
}
