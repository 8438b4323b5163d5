//! Names and numbers of objects, from the server's catalogue caches.

use super::encoding;
use pgrx::prelude::*;
use std::ffi::CStr;

/// The OID of a schema, if it exists.
pub(crate) fn namespace(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: a NUL-terminated name; a missing schema gives InvalidOid.
    valid(unsafe { pg_sys::get_namespace_oid(name.as_ptr(), true) })
}

/// The OID of a relation of any kind in a schema, if it exists.
pub(crate) fn relation(namespace: pg_sys::Oid, name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: a NUL-terminated name; a missing relation gives InvalidOid.
    valid(unsafe { pg_sys::get_relname_relid(name.as_ptr(), namespace) })
}

/// The OIDs of the labels of an enum type; an ERROR when the type or a label is missing.
pub(crate) fn enum_values<const N: usize>(
    namespace: pg_sys::Oid,
    type_name: &CStr,
    labels: [&CStr; N],
) -> [pg_sys::Oid; N] {
    // SAFETY: the names are NUL-terminated and outlive the look-ups; enum_in raises an ERROR for what is not a
    // label of the type.
    unsafe {
        let type_oid = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as i32,
            pg_sys::Anum_pg_type_oid as pg_sys::AttrNumber,
            pg_sys::Datum::from(type_name.as_ptr()),
            namespace.into(),
            pg_sys::Datum::from(0),
            pg_sys::Datum::from(0),
        );
        labels.map(|label| {
            let mut input = pg_sys::InvalidOid;
            let mut parameter = pg_sys::InvalidOid;
            pg_sys::getTypeInputInfo(type_oid, &mut input, &mut parameter);
            let value = pg_sys::OidInputFunctionCall(input, label.as_ptr().cast_mut(), type_oid, -1);
            pg_sys::Oid::from(value.value() as u32)
        })
    }
}

/// Schema and name of a table, in the bytes of the database's encoding.
pub(crate) struct TableName {
    pub(crate) schema: Vec<u8>,
    pub(crate) table: Vec<u8>,
}

impl TableName {
    pub(crate) fn of(relation: &pg_sys::RelationData) -> Self {
        // SAFETY: the caller holds the relation open, so its pg_class row is there; both names are copied.
        unsafe {
            let class = &*relation.rd_rel;
            let schema = pg_sys::get_namespace_name(class.relnamespace);
            Self { schema: bytes(schema), table: bytes(class.relname.data.as_ptr()) }
        }
    }
}

/// For messages, which pgrx hands to the server as UTF-8.
impl std::fmt::Display for TableName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", encoding::to_utf8(&self.schema), encoding::to_utf8(&self.table))
    }
}

/// A copy of a NUL-terminated string of the server; empty for a null pointer.
///
/// # Safety
/// `string` is null or points to a NUL-terminated string.
pub(crate) unsafe fn bytes(string: *const core::ffi::c_char) -> Vec<u8> {
    if string.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_bytes().to_vec()
}

/// The same as UTF-8 text.
///
/// # Safety
/// As for `bytes`.
pub(crate) unsafe fn text(string: *const core::ffi::c_char) -> String {
    // SAFETY: the caller's promise.
    encoding::to_utf8(&unsafe { bytes(string) })
}

/// An element of a list of OIDs.
///
/// # Safety
/// `list` is a list of OIDs with more than `position` elements.
pub(crate) unsafe fn list_oid(list: *mut pg_sys::List, position: i32) -> pg_sys::Oid {
    // SAFETY: the caller's promise.
    unsafe { (*(*list).elements.add(position as usize)).oid_value }
}

fn valid(oid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    (oid != pg_sys::InvalidOid).then_some(oid)
}
