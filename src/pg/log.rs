//! The server's log: lines that no client sees and no setting of a session holds back.

use super::encoding;
use pgrx::prelude::*;
use std::ffi::{CString, c_char, c_int};

// The C functions behind `ereport`: pgrx's own way of reporting cannot leave out the statement and the
// context, which may hold values of users' rows.
unsafe extern "C-unwind" {
    fn errstart(level: c_int, domain: *const c_char) -> bool;
    fn errmsg_internal(format: *const c_char, ...) -> c_int;
    fn errhidestmt(hide: bool) -> c_int;
    fn errhidecontext(hide: bool) -> c_int;
    fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
}

/// Writes one line of level LOG, without the statement and without context, whatever the session has chosen
/// for `log_min_messages`.
pub(crate) fn line(text: &str) {
    let text = CString::new(encoding::from_utf8(&text.replace('\0', " "))).unwrap_or_default();
    // SAFETY: the server's own sequence of calls, with strings that outlive it; the variable that is changed
    // for its time belongs to the process.
    unsafe {
        let chosen = pg_sys::log_min_messages;
        pg_sys::log_min_messages = pg_sys::WARNING as c_int;
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            if errstart(pg_sys::LOG_SERVER_ONLY as c_int, std::ptr::null()) {
                errmsg_internal(c"%s".as_ptr(), text.as_ptr());
                errhidestmt(true);
                errhidecontext(true);
                errfinish(c"audit_guard".as_ptr(), 0, c"line".as_ptr());
            }
        });
        pg_sys::log_min_messages = chosen;
    }
}
