//! Reading parse trees: lists, strings, and the relations that names mean.

use super::names;
use pgrx::prelude::*;
use std::ffi::{CStr, c_char};

/// The nodes of a list.
///
/// # Safety
/// `list` is a list of nodes, or null.
pub(super) unsafe fn nodes<'a>(list: *mut pg_sys::List) -> impl Iterator<Item = *mut pg_sys::Node> + 'a {
    // SAFETY: the caller's promise.
    let count = unsafe { list.as_ref() }.map_or(0, |list| list.length);
    // SAFETY: positions within the list.
    (0..count).map(move |at| unsafe { (*(*list).elements.add(at as usize)).ptr_value.cast() })
}

/// The strings of a list of names.
///
/// # Safety
/// `list` is a list of String nodes, or null.
pub(super) unsafe fn strings(list: *mut pg_sys::List) -> Vec<&'static CStr> {
    // SAFETY: the caller's promise; the tree outlives the statement.
    unsafe { nodes(list).filter_map(|node| string(node)).collect() }
}

/// The text of a String node.
///
/// # Safety
/// `node` is a valid node; its text outlives the statement.
pub(super) unsafe fn string(node: *mut pg_sys::Node) -> Option<&'static CStr> {
    // SAFETY: the caller's promise; the cast follows the tag.
    unsafe {
        if node.is_null() || (*node).type_ != pg_sys::NodeTag::T_String {
            return None;
        }
        Some(CStr::from_ptr((*node.cast::<pg_sys::String>()).sval))
    }
}

/// A C string of a statement, if it has it.
///
/// # Safety
/// `text` is null or a NUL-terminated string that outlives the statement.
pub(super) unsafe fn text(text: *const c_char) -> Option<&'static CStr> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// The relation that a name means, if there is one; takes no lock.
///
/// # Safety
/// `name` is a valid RangeVar, or null.
pub(super) unsafe fn relation(name: *const pg_sys::RangeVar) -> Option<pg_sys::Oid> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; a missing relation gives InvalidOid. An ERROR (of a schema that may not
    // be used, for example) is the one that the statement itself would raise.
    let oid = unsafe {
        pg_sys::RangeVarGetRelidExtended(
            name,
            pg_sys::NoLock as pg_sys::LOCKMODE,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The relation that a list of names means.
///
/// # Safety
/// `list` is a list of String nodes with one to three elements.
pub(super) unsafe fn relation_of_names(list: *mut pg_sys::List) -> Option<pg_sys::Oid> {
    // SAFETY: the caller's promise.
    unsafe { relation(pg_sys::makeRangeVarFromNameList(list)) }
}

/// The relation of an object that is named `schema.relation.object`, and the object's name.
///
/// # Safety
/// `list` is a list of String nodes.
pub(super) unsafe fn relation_and_name(
    list: *mut pg_sys::List,
) -> Option<(Option<pg_sys::Oid>, &'static CStr)> {
    // SAFETY: the caller's promise; the copy is shortened by its last element.
    unsafe {
        let name = strings(list).pop()?;
        let relation_names = pg_sys::list_truncate(pg_sys::list_copy(list), (*list).length - 1);
        let relation = if (*relation_names).length > 0 { relation_of_names(relation_names) } else { None };
        Some((relation, name))
    }
}

/// The type that a TypeName node means, if there is one.
///
/// # Safety
/// `node` is a TypeName node, or null.
pub(super) unsafe fn type_of(node: *const pg_sys::TypeName) -> Option<pg_sys::Oid> {
    if node.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let oid = unsafe { pg_sys::LookupTypeNameOid(std::ptr::null_mut(), node, true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The type that a list of names means.
///
/// # Safety
/// `list` is a list of String nodes, or null.
pub(super) unsafe fn type_of_names(list: *mut pg_sys::List) -> Option<pg_sys::Oid> {
    // SAFETY: the caller's promise.
    unsafe { type_of(pg_sys::makeTypeNameFromNameList(list)) }
}

/// The role that a RoleSpec means, if there is one.
///
/// # Safety
/// `node` is a RoleSpec node, or null.
pub(super) unsafe fn role(node: *const pg_sys::RoleSpec) -> Option<pg_sys::Oid> {
    if node.is_null() {
        return None;
    }
    // SAFETY: the caller's promise. PUBLIC has no number.
    unsafe {
        if (*node).roletype == pg_sys::RoleSpecType::ROLESPEC_PUBLIC {
            return None;
        }
        let oid = pg_sys::get_rolespec_oid(node, true);
        (oid != pg_sys::InvalidOid).then_some(oid)
    }
}

/// Whether a list of names can mean something in schema `audit`.
///
/// # Safety
/// `list` is a list of String nodes.
pub(super) unsafe fn is_in_audit(list: *mut pg_sys::List) -> bool {
    // SAFETY: the caller's promise.
    let parts = unsafe { strings(list) };
    match parts.as_slice() {
        [.., schema, _] => *schema == c"audit",
        [_] => names::search_path_has_audit(),
        [] => false,
    }
}
