//! Types of the server: what they are made of, and the text of their values whatever the session has set.

use super::buffer::Buffer;
use super::{encoding, names, pinned, scalars, session};
use audit_guard_core::retention::Period;
use pgrx::prelude::*;

/// The type behind a domain, at any depth; the type itself when it is none.
pub(crate) fn base(type_oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a look-up in the catalogue's caches by type OID.
    unsafe { pg_sys::getBaseType(type_oid) }
}

/// An interval from its text; an ERROR for what is none.
pub(crate) fn interval(text: &str) -> Period {
    let value = session::input(pg_sys::INTERVALOID, -1, &encoding::from_utf8(text));
    // SAFETY: the type's own input function gives a pointer to a value of the type.
    let interval = unsafe { &*value.cast_mut_ptr::<pg_sys::Interval>() };
    Period { months: interval.month, days: interval.day, micros: interval.time }
}

/// How the server writes an interval, for people: `7 years`.
pub(crate) fn interval_text(text: &str) -> String {
    output(pg_sys::INTERVALOID, session::input(pg_sys::INTERVALOID, -1, &encoding::from_utf8(text)))
}

/// A moment in microseconds since 2000-01-01 UTC, as the server writes it in that zone.
pub(crate) fn utc_text(micros: i64) -> String {
    output(pg_sys::TIMESTAMPTZOID, micros.into())
}

/// The same in ISO 8601, without any look-up in a catalogue.
pub(crate) fn utc_iso(micros: i64) -> String {
    let mut text = Buffer::default();
    scalars::date_time(&mut text, micros.into(), pg_sys::TIMESTAMPTZOID);
    String::from_utf8_lossy(text.bytes()).into_owned()
}

fn output(type_oid: pg_sys::Oid, value: pg_sys::Datum) -> String {
    let mut function = pg_sys::InvalidOid;
    let mut is_varlena = false;
    pinned::with(false, || {
        // SAFETY: the output function of the value's own type; its result is copied.
        unsafe {
            pg_sys::getTypeOutputInfo(type_oid, &mut function, &mut is_varlena);
            names::text(pg_sys::OidOutputFunctionCall(function, value))
        }
    })
}
