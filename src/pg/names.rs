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

/// The function of schema `audit` that has this name and no arguments, as trigger functions have.
pub(crate) fn function(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: a NUL-terminated name and an empty list of argument types that outlive the look-up.
    unsafe {
        valid(pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as pg_sys::AttrNumber,
            pg_sys::Datum::from(name.as_ptr()),
            pg_sys::Datum::from(pg_sys::buildoidvector(std::ptr::null(), 0)),
            namespace(c"audit")?.into(),
            pg_sys::Datum::from(0),
        ))
    }
}

/// The owner of a relation, if it exists.
pub(crate) fn owner(relation: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: the entry is released after it was read.
    unsafe {
        let entry = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, relation.into());
        if entry.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(entry).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(entry);
        Some(owner)
    }
}

unsafe extern "C-unwind" {
    fn get_partition_parent(partition: pg_sys::Oid, even_if_detached: bool) -> pg_sys::Oid;
}

/// The table of which a relation is a partition, if it is one.
pub(crate) fn parent(relation: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: look-ups in the catalogue by OID; false first for what is no partition.
    unsafe {
        if !pg_sys::get_rel_relispartition(relation) {
            return None;
        }
        valid(pg_sys::ffi::pg_guard_ffi_boundary(|| get_partition_parent(relation, true)))
    }
}

/// The name of a database; its number when it does not exist.
pub(crate) fn database(database: pg_sys::Oid) -> String {
    // SAFETY: a copy of the name from the catalogue cache, or null.
    let name = unsafe { text(pg_sys::get_database_name(database)) };
    if name.is_empty() { database.to_u32().to_string() } else { name }
}

/// Schema and name of a relation for a message; its number when it no longer exists.
pub(crate) fn relation_text(relation: pg_sys::Oid) -> String {
    // SAFETY: look-ups in the catalogue's caches; the copies are read.
    unsafe {
        let table = bytes(pg_sys::get_rel_name(relation));
        if table.is_empty() {
            return relation.to_u32().to_string();
        }
        let schema = bytes(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation)));
        TableName { schema, table }.to_string()
    }
}

/// The role of this name, if it exists.
pub(crate) fn role(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: a NUL-terminated name; a missing role gives InvalidOid.
    valid(unsafe { pg_sys::get_role_oid(name.as_ptr(), true) })
}

/// Who owns a schema, if it exists.
pub(crate) fn schema_owner(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: the entry is released after it was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::NAMESPACEOID as i32;
        let entry = pg_sys::SearchSysCache1(cache, namespace(name)?.into());
        if entry.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(entry).cast::<pg_sys::FormData_pg_namespace>()).nspowner;
        pg_sys::ReleaseSysCache(entry);
        Some(owner)
    }
}

/// The row type of a relation, if it has one.
pub(crate) fn row_type(relation: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: a look-up in the catalogue's caches by OID.
    valid(unsafe { pg_sys::get_rel_type_id(relation) })
}

/// Whether a relation holds rows of its own or of its partitions.
pub(crate) fn is_table(relation: pg_sys::Oid) -> bool {
    // SAFETY: as above; zero for what does not exist.
    let kind = unsafe { pg_sys::get_rel_relkind(relation) } as u8;
    matches!(kind, b'r' | b'p')
}

/// The table of an index; None for what is no index.
pub(crate) fn table_of_index(index: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: as above.
    valid(unsafe { pg_sys::IndexGetRelation(index, true) })
}

/// Whether the server comes with functions of this name, and nobody made others.
pub(crate) fn has_function(name: &CStr) -> bool {
    let cache = pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP;
    let schemas = schemas_of(cache, name, |row| {
        // SAFETY: the cache holds rows of pg_proc.
        unsafe { (*row.cast::<pg_sys::FormData_pg_proc>()).pronamespace }
    });
    !schemas.is_empty() && schemas.iter().all(|&schema| schema == catalogue_schema())
}

/// Whether the server comes with operators of this name.
pub(crate) fn has_operator(name: &CStr) -> bool {
    let schemas = schemas_of(pg_sys::SysCacheIdentifier::OPERNAMENSP, name, |row| {
        // SAFETY: the cache holds rows of pg_operator.
        unsafe { (*row.cast::<pg_sys::FormData_pg_operator>()).oprnamespace }
    });
    schemas.contains(&catalogue_schema())
}

fn catalogue_schema() -> pg_sys::Oid {
    pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE)
}

/// The schemas of all objects that a cache, whose first key is a name, holds under this name.
fn schemas_of(
    cache: pg_sys::SysCacheIdentifier::Type,
    name: &CStr,
    schema: fn(*mut core::ffi::c_char) -> pg_sys::Oid,
) -> Vec<pg_sys::Oid> {
    let none = pg_sys::Datum::from(0);
    // SAFETY: the list is released after its members were read.
    unsafe {
        let list = pg_sys::SearchSysCacheList(cache as i32, 1, name.as_ptr().into(), none, none);
        let members = (*list).members.as_slice((*list).n_members as usize);
        let found = members.iter().map(|&member| schema(pg_sys::GETSTRUCT(&mut (*member).tuple))).collect();
        pg_sys::ReleaseCatCacheList(list);
        found
    }
}

/// Whether an unqualified name may mean something in schema `audit`.
pub(crate) fn search_path_has_audit() -> bool {
    let Some(audit) = namespace(c"audit") else { return false };
    // SAFETY: the list of OIDs belongs to this call.
    unsafe {
        let path = pg_sys::fetch_search_path(false);
        let count = path.as_ref().map_or(0, |path| path.length);
        let found = (0..count).any(|at| list_oid(path, at) == audit);
        pg_sys::list_free(path);
        found
    }
}

/// The name of a relation without its schema; empty when it does not exist.
pub(crate) fn relation_name(relation: pg_sys::Oid) -> Vec<u8> {
    // SAFETY: a copy of the name, or null.
    unsafe { bytes(pg_sys::get_rel_name(relation)) }
}

/// A name as it stands in a statement.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Schema and name of a relation as they stand in a statement.
pub(crate) fn quoted(relation: pg_sys::Oid) -> String {
    // SAFETY: copies of the names, or null.
    let schema = unsafe { text(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation))) };
    format!("{}.{}", quote(&schema), quote(&encoding::to_utf8(&relation_name(relation))))
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

/// Whether an object was made by initdb.
pub(crate) fn is_built_in(object: pg_sys::Oid) -> bool {
    object.to_u32() < pg_sys::FirstNormalObjectId
}

fn valid(oid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    (oid != pg_sys::InvalidOid).then_some(oid)
}
