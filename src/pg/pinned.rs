//! The settings under which images are made, whatever the session has set.
//!
//! Output functions read a handful of the server's variables. They are exchanged around the conversion of
//! one row and put back after it; an ERROR in between ends at least a subtransaction, and the abort callbacks
//! put them back. The currency of `money` is behind a cache of the server that only SET empties, so it goes
//! through SET machinery, for tables that need it only.

use pgrx::pg_sys;
use std::cell::Cell;

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

/// Runs `convert` under the pinned settings; `money` says whether it may print a `money` value.
pub(crate) fn with<T>(money: bool, convert: impl FnOnce() -> T) -> T {
    let nest_level = if money { pin_currency() } else { None };
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
        // SAFETY: ends the level that `pin_currency` opened.
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

/// SET lc_monetary = 'C' for the calls until the returned level ends. An ERROR ends it with its transaction.
fn pin_currency() -> Option<i32> {
    let name = c"lc_monetary".as_ptr();
    // SAFETY: constant names and values; the current value is compared before anything else may change it.
    unsafe {
        let value = pg_sys::GetConfigOption(name, true, false);
        if value.is_null() || std::ffi::CStr::from_ptr(value) == c"C" {
            return None;
        }
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::set_config_option(
            name,
            c"C".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        Some(level)
    }
}
