//! Values of our own composite types.

use super::errors;
use pgrx::PgTupleDesc;
use pgrx::datum::AnyElement;
use pgrx::prelude::*;

/// A value of a composite type from the values of its columns in their order.
///
/// Errors: XX000 when the type is missing or has other columns, that is when the library and the installed
/// version do not fit together.
pub(crate) fn value<const N: usize>(
    type_name: &str,
    columns: [Option<pg_sys::Datum>; N],
) -> Option<AnyElement> {
    let description = PgTupleDesc::for_composite_type(type_name).filter(|description| description.len() == N);
    let Some(description) = description else {
        errors::raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            &format!("type {type_name} does not fit the loaded library"),
            Some("ALTER EXTENSION audit_guard UPDATE;"),
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
