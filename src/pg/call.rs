//! Calls SQL functions of ours that nobody has the right to call: the call goes to the function itself, and
//! so passes no check of rights. What the function may do then is decided by how it was declared.

use super::{errors, names};
use pgrx::prelude::*;
use std::ffi::CStr;

/// What to do when the library and the installed version do not fit together.
pub(crate) const UPDATE_HINT: &str = "ALTER EXTENSION audit_guard UPDATE;";

/// Calls `audit.<name>`, which takes N texts and returns a text, none of them null. Text is in the database's
/// encoding.
///
/// Errors: XX000 when there is no such function, that is when the library and the installed version do not
/// fit together; and whatever the function raises.
pub(crate) fn text_function<const N: usize>(name: &CStr, arguments: [&[u8]; N]) -> Vec<u8> {
    let types = [pg_sys::TEXTOID; N];
    let mut values = arguments.map(|argument| argument.into_datum().unwrap_or(pg_sys::Datum::null()));
    // SAFETY: the look-up gets a NUL-terminated name, the types of N arguments and a schema; the call gets
    // what the function was declared with (a bytea and a text have the same form); its result is a text,
    // which is copied.
    unsafe {
        let function = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as pg_sys::AttrNumber,
            pg_sys::Datum::from(name.as_ptr()),
            pg_sys::Datum::from(pg_sys::buildoidvector(types.as_ptr(), N as i32)),
            names::namespace(c"audit").unwrap_or(pg_sys::InvalidOid).into(),
            pg_sys::Datum::from(0),
        );
        if function == pg_sys::InvalidOid {
            errors::raise(
                PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
                &format!("function audit.{} is missing", name.to_string_lossy()),
                Some(UPDATE_HINT),
            );
        }
        let mut call = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(function, &mut call);
        let no_collation = pg_sys::InvalidOid;
        let result = match values.as_mut_slice() {
            [] => pg_sys::FunctionCall0Coll(&mut call, no_collation),
            [one] => pg_sys::FunctionCall1Coll(&mut call, no_collation, *one),
            [one, two] => pg_sys::FunctionCall2Coll(&mut call, no_collation, *one, *two),
            [one, two, three] => pg_sys::FunctionCall3Coll(&mut call, no_collation, *one, *two, *three),
            _ => errors::raise(
                PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
                "no function of ours has that many arguments",
                None,
            ),
        };
        Vec::<u8>::from_datum(result, false).unwrap_or_default()
    }
}
