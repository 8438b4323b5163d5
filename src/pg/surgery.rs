//! Functions that change tables behind the server's back, by the library that they are in.

use super::names;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;

/// The libraries that hold them.
const LIBRARIES: [&[u8]; 1] = [b"pg_surgery"];

thread_local! {
    /// What is known of a function; forgotten when any function changes.
    static KNOWN: RefCell<HashMap<pg_sys::Oid, bool>> = RefCell::new(HashMap::new());
}

/// A function was made, replaced or dropped.
pub(super) fn functions_changed() {
    KNOWN.with_borrow_mut(HashMap::clear);
}

/// Whether it is the function of the server that writes a file anywhere: `lo_export`.
pub(crate) fn writes_files(function: pg_sys::Oid) -> bool {
    function.to_u32() == pg_sys::F_LO_EXPORT
}

/// The name of a function, if it is one of them.
pub(crate) fn name(function: pg_sys::Oid) -> Option<String> {
    let known = KNOWN.with_borrow(|known| known.get(&function).copied());
    let is_one = known.unwrap_or_else(|| {
        let is_one = is_in_such_a_library(function);
        KNOWN.with_borrow_mut(|known| known.insert(function, is_one));
        is_one
    });
    // SAFETY: a copy of the name, or null.
    is_one.then(|| unsafe { names::text(pg_sys::get_func_name(function)) })
}

fn is_in_such_a_library(function: pg_sys::Oid) -> bool {
    // SAFETY: the entry is released after it was read; the attribute is a text, or null.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
        let entry = pg_sys::SearchSysCache1(cache, function.into());
        if entry.is_null() {
            return false;
        }
        let mut is_null = false;
        let column = pg_sys::Anum_pg_proc_probin as pg_sys::AttrNumber;
        let library = pg_sys::SysCacheGetAttr(cache, entry, column, &mut is_null);
        let library = Vec::<u8>::from_datum(library, is_null).unwrap_or_default();
        pg_sys::ReleaseSysCache(entry);
        LIBRARIES.iter().any(|name| library.windows(name.len()).any(|part| part == *name))
    }
}
