//! The settings under which images are made, whatever the session has set.
//!
//! Output functions read a handful of the server's variables. They are exchanged around the conversion of
//! one row and put back after it; an ERROR in between ends at least a subtransaction, and the abort callbacks
//! put them back. A few settings stand behind a cache of the server that only SET renews; they go through its
//! SET machinery, for tables that need them only.

use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::CStr;

#[derive(Clone, Copy, PartialEq)]
struct Settings {
    time_zone: *mut pg_sys::pg_tz,
    date_style: i32,
    interval_style: i32,
    bytea_output: i32,
    extra_float_digits: i32,
}

thread_local! {
    static PINNED: Cell<Option<Settings>> = const { Cell::new(None) };
    static SAVED: Cell<Option<Settings>> = const { Cell::new(None) };
}

unsafe extern "C" {
    static mut bytea_output: core::ffi::c_int;
}

const BYTEA_OUTPUT_HEX: i32 = 1;

fn current() -> Settings {
    // SAFETY: plain variables of the server, read in its only thread.
    unsafe {
        Settings {
            time_zone: pg_sys::session_timezone,
            date_style: pg_sys::DateStyle,
            interval_style: pg_sys::IntervalStyle,
            bytea_output,
            extra_float_digits: pg_sys::extra_float_digits,
        }
    }
}

fn set(settings: Settings) {
    // SAFETY: plain variables of the server, written in its only thread with values that it once held or
    // that its own SET would give them.
    unsafe {
        pg_sys::session_timezone = settings.time_zone;
        pg_sys::DateStyle = settings.date_style;
        pg_sys::IntervalStyle = settings.interval_style;
        bytea_output = settings.bytea_output;
        pg_sys::extra_float_digits = settings.extra_float_digits;
    }
}

fn wanted() -> Settings {
    PINNED.get().unwrap_or_else(|| {
        let settings = Settings {
            // SAFETY: a constant, NUL-terminated name; the server keeps the zone for the process's life.
            time_zone: unsafe { pg_sys::pg_tzset(c"UTC".as_ptr()) },
            date_style: pg_sys::USE_ISO_DATES as i32,
            interval_style: pg_sys::INTSTYLE_POSTGRES as i32,
            bytea_output: BYTEA_OUTPUT_HEX,
            extra_float_digits: 1,
        };
        PINNED.set(Some(settings));
        settings
    })
}

/// Runs `convert` under the pinned settings; `more` pins also those that few types read (`RARE`).
pub(crate) fn with<T>(more: bool, convert: impl FnOnce() -> T) -> T {
    let nest_level = if more { pin_rare() } else { None };
    let before = current();
    let change = before != wanted() && SAVED.get().is_none();
    if change {
        SAVED.set(Some(before));
        set(wanted());
    }
    let result = convert();
    if change {
        restore();
    }
    if let Some(level) = nest_level {
        // SAFETY: ends the level that `pin_rare` opened.
        unsafe { pg_sys::AtEOXact_GUC(false, level) };
    }
    result
}

/// Puts the session's own settings back; does nothing when they are in place.
pub(crate) fn restore() {
    if let Some(settings) = SAVED.take() {
        set(settings);
    }
}

/// Runs `action` with the search path of our own functions.
pub(crate) fn with_search_path<T>(action: impl FnOnce() -> T) -> T {
    with_settings(&[(c"search_path", c"pg_catalog, pg_temp")], action)
}

/// Runs `action` so that queries planned in it read an index in its order, as many rows as there may be: to sort wide
/// rows costs more than to hash them.
pub(crate) fn with_index_order<T>(action: impl FnOnce() -> T) -> T {
    let settings = [
        (c"search_path", c"pg_catalog, pg_temp"),
        (c"enable_sort", c"off"),
        (c"enable_bitmapscan", c"off"),
        (c"enable_seqscan", c"off"),
        (c"jit", c"off"),
    ];
    with_settings(&settings, action)
}

fn with_settings<T>(settings: &[(&CStr, &CStr)], action: impl FnOnce() -> T) -> T {
    // SAFETY: the level is opened and ended in pairs; an ERROR ends it with its transaction.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    for (name, value) in settings {
        set_until_level_ends(name, value);
    }
    let result = action();
    // SAFETY: as above.
    unsafe { pg_sys::AtEOXact_GUC(false, level) };
    result
}

fn set_until_level_ends(name: &CStr, value: &CStr) {
    // SAFETY: constant names and values that every session may set.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Settings that only SET can change, with the value under which images are made.
const RARE: [(&CStr, &CStr); 3] =
    [(c"lc_monetary", c"C"), (c"search_path", c"pg_catalog"), (c"quote_all_identifiers", c"off")];

/// SETs what differs, until the returned level ends. An ERROR ends it with its transaction.
fn pin_rare() -> Option<i32> {
    let mut level = None;
    for (name, wanted) in RARE {
        // SAFETY: constant names and values; the present value is compared before anything may change it.
        unsafe {
            let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
            if value.is_null() || CStr::from_ptr(value) == wanted {
                continue;
            }
            level = level.or_else(|| Some(pg_sys::NewGUCNestLevel()));
            set_until_level_ends(name, wanted);
        }
    }
    level
}
