//! What the catalogues say that all databases share.

use super::names;
use pgrx::prelude::*;
use std::ffi::CStr;

/// OIDs and column numbers of pg_shdepend that are part of the server's on-disk format, and that no header of its
/// bindings names.
const SHARED_DEPEND: u32 = 1214;
const SHARED_DEPEND_REFERENCE_INDEX: u32 = 1233;
const REFCLASSID: i16 = 5;
const REFOBJID: i16 = 6;

/// The database of this name, if our owner owns anything in it: the server notes for every database which roles
/// own what in it, so that no role is dropped that is still needed.
pub(crate) fn database_with_our_objects(database: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: a NUL-terminated name; a missing database gives InvalidOid.
    let database = unsafe { pg_sys::get_database_oid(database.as_ptr(), true) };
    (database != pg_sys::InvalidOid && owns_in(|found| found == database)).then_some(database)
}

/// Whether our owner owns anything in any database.
pub(crate) fn is_used() -> bool {
    owns_in(|_| true)
}

fn owns_in(is_meant: impl Fn(pg_sys::Oid) -> bool) -> bool {
    let Some(owner) = names::role(c"audit_owner") else { return false };
    // SAFETY: an index scan of pg_shdepend by role; each row is read while the scan stands on it.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let catalogue = pg_sys::table_open(pg_sys::Oid::from(SHARED_DEPEND), lock);
        let mut keys = [pg_sys::ScanKeyData::default(); 2];
        let columns = [REFCLASSID, REFOBJID];
        let values = [pg_sys::AuthIdRelationId, owner];
        for ((key, column), value) in keys.iter_mut().zip(columns).zip(values) {
            pg_sys::ScanKeyInit(
                key,
                column,
                pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
                pg_sys::F_OIDEQ.into(),
                value.into(),
            );
        }
        let index = pg_sys::Oid::from(SHARED_DEPEND_REFERENCE_INDEX);
        let scan =
            pg_sys::systable_beginscan(catalogue, index, true, std::ptr::null_mut(), 2, keys.as_mut_ptr());
        let mut found = false;
        while !found {
            let row = pg_sys::systable_getnext(scan);
            if row.is_null() {
                break;
            }
            // The first column says which database the row is about.
            found = is_meant(*pg_sys::GETSTRUCT(row).cast::<pg_sys::Oid>());
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalogue, lock);
        found
    }
}
