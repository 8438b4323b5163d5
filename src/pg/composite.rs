//! Values of our own composite types.

use super::call::UPDATE_HINT;
use super::{errors, names};
use pgrx::PgTupleDesc;
use pgrx::datum::AnyElement;
use pgrx::prelude::*;
use std::ffi::CStr;

/// A value of the composite type `audit.<name>` from the values of its columns in their order.
///
/// Errors: XX000 when the type is missing or has other columns, that is when the library and the installed
/// version do not fit together.
pub(crate) fn value<const N: usize>(name: &CStr, columns: [Option<pg_sys::Datum>; N]) -> Option<AnyElement> {
    let description = description(name).filter(|description| description.len() == N);
    let Some(description) = description else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            &format!("type audit.{} does not fit the loaded library", name.to_string_lossy()),
            Some(UPDATE_HINT),
        )
    };
    let mut values = columns.map(|column| column.unwrap_or(pg_sys::Datum::null()));
    let mut nulls = columns.map(|column| column.is_none());
    // SAFETY: one value and one flag for each column, of the column's type by the caller's knowledge.
    unsafe {
        let tuple = pg_sys::heap_form_tuple(description.as_ptr(), values.as_mut_ptr(), nulls.as_mut_ptr());
        let datum = pg_sys::heap_copy_tuple_as_datum(tuple, description.as_ptr());
        AnyElement::from_polymorphic_datum(datum, false, description.oid())
    }
}

/// By the catalogue's caches: reading a name as the parser reads it would take longer than all the rest.
fn description(name: &CStr) -> Option<PgTupleDesc<'static>> {
    let row_type = names::row_type(names::relation(names::namespace(c"audit")?, name)?)?;
    // SAFETY: the row type of a relation that exists; what is counted here is given back when it is dropped.
    Some(unsafe { PgTupleDesc::from_pg(pg_sys::lookup_rowtype_tupdesc(row_type, -1)) })
}
