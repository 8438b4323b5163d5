//! Who is connected, from where, and what the session has declared in settings.

use super::buffer::Varlena;
use super::{encoding, events, names};
use pgrx::prelude::*;
use std::ffi::CStr;

/// The roles of a moment, outermost first. None can be changed by the user without the right to be that role,
/// except that `login` can never be changed.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Roles {
    /// Who authenticated; SET SESSION AUTHORIZATION does not change it.
    pub(crate) login: pg_sys::Oid,
    /// session_user.
    pub(crate) session: pg_sys::Oid,
    /// The role of the outermost statement: SET ROLE changes it, SECURITY DEFINER does not.
    pub(crate) outer: pg_sys::Oid,
    /// current_user: the definer inside of a SECURITY DEFINER function.
    pub(crate) effective: pg_sys::Oid,
}

// Asked for every row, and unable to raise an ERROR: called without the guard that pgrx puts around each call.
unsafe extern "C-unwind" {
    safe fn GetAuthenticatedUserId() -> pg_sys::Oid;
    safe fn GetSessionUserId() -> pg_sys::Oid;
    safe fn GetOuterUserId() -> pg_sys::Oid;
    safe fn GetUserId() -> pg_sys::Oid;
    safe fn GetCurrentCommandId(used: bool) -> pg_sys::CommandId;
}

#[inline]
pub(crate) fn roles() -> Roles {
    Roles {
        login: GetAuthenticatedUserId(),
        session: GetSessionUserId(),
        outer: GetOuterUserId(),
        effective: GetUserId(),
    }
}

/// Whether a name read from `role_name` earlier may have changed.
pub(crate) fn roles_changed() -> bool {
    events::roles_changed()
}

/// The name of a role, in the database's encoding; its number when it was dropped meanwhile.
pub(crate) fn role_name(role: pg_sys::Oid) -> Vec<u8> {
    // SAFETY: a copy of the name from the catalogue cache, or null.
    let name = unsafe { names::bytes(pg_sys::GetUserNameFromId(role, true)) };
    if name.is_empty() { role.to_u32().to_string().into_bytes() } else { name }
}

/// Transaction and command: what a session declares can only change between two commands.
#[inline]
pub(crate) fn moment() -> (u64, u32) {
    // SAFETY: assigns a transaction id, which the row that is about to be written needs anyway.
    let transaction = unsafe { pg_sys::GetTopFullTransactionId().value };
    (transaction, GetCurrentCommandId(false))
}

/// The value of a setting; None when it is unknown or empty. Valid until the setting changes.
pub(crate) fn setting<'a>(name: &CStr) -> Option<&'a CStr> {
    // SAFETY: the server returns a NUL-terminated string, or null for a setting that nobody has made.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null() && *value != 0).then(|| CStr::from_ptr(value))
    }
}

/// `application_name`, empty when the client gave none.
#[inline]
pub(crate) fn application_name<'a>() -> &'a [u8] {
    // SAFETY: a NUL-terminated string that stays until the setting changes, or null.
    unsafe {
        let name = pg_sys::application_name;
        if name.is_null() { b"" } else { CStr::from_ptr(name).to_bytes() }
    }
}

/// The client's address as the server sees it, as an inet; None for a unix socket.
pub(crate) fn client_address() -> Option<Varlena> {
    // SAFETY: a function of the server without arguments, called as the server calls it; the result is copied.
    unsafe {
        let address = pgrx::direct_function_call_as_datum(pg_sys::inet_client_addr, &[])?;
        Some(copy(address))
    }
}

/// An address in the server's form; an ERROR for what is none.
pub(crate) fn inet(address: &str) -> Varlena {
    // SAFETY: an inet is a varlena; the result is copied.
    unsafe { copy(input(pg_sys::INETOID, -1, address.as_bytes())) }
}

/// The text of a jsonb value, given without its varlena header.
pub(crate) fn jsonb_text(container: &[u8]) -> String {
    let mut aligned = super::buffer::Buffer::default();
    aligned.push(container);
    // SAFETY: a whole container on a multiple of eight; it is only read, and its text is copied.
    let text = unsafe {
        let start = aligned.bytes().as_ptr().cast_mut().cast();
        names::bytes(pg_sys::JsonbToCString(std::ptr::null_mut(), start, container.len() as i32))
    };
    encoding::to_utf8(&text)
}

/// A JSON text in the server's binary form; an ERROR for what is no JSON.
pub(crate) fn jsonb(text: &str) -> Varlena {
    // SAFETY: a jsonb is a varlena; the result is copied.
    unsafe { copy(input(pg_sys::JSONBOID, -1, &encoding::from_utf8(text))) }
}

/// A value from its text, by the type's input function, which raises an ERROR for what is none. The value
/// lives in the memory of the call.
pub(crate) fn input(type_oid: pg_sys::Oid, type_modifier: i32, text: &[u8]) -> pg_sys::Datum {
    let Ok(text) = std::ffi::CString::new(text) else {
        super::errors::raise(
            PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
            "a value cannot hold a zero character",
            None,
        )
    };
    let mut function = pg_sys::InvalidOid;
    let mut parameter = pg_sys::InvalidOid;
    // SAFETY: a NUL-terminated string, read by the input function of its type.
    unsafe {
        pg_sys::getTypeInputInfo(type_oid, &mut function, &mut parameter);
        pg_sys::OidInputFunctionCall(function, text.as_ptr().cast_mut(), parameter, type_modifier)
    }
}

/// The same for a domain as for the type that it is made of: a domain's checks are functions of its owner, which
/// must not run with the rights of whoever only looks something up.
pub(crate) fn base_input(type_oid: pg_sys::Oid, type_modifier: i32, text: &[u8]) -> pg_sys::Datum {
    let mut modifier = type_modifier;
    // SAFETY: a look-up in the catalogue's caches by type OID.
    let base = unsafe { pg_sys::getBaseTypeAndTypmod(type_oid, &mut modifier) };
    input(base, modifier, text)
}

/// The database of this session.
pub(crate) fn database() -> pg_sys::Oid {
    // SAFETY: reads a variable of the server.
    unsafe { pg_sys::MyDatabaseId }
}

/// Microseconds since 2000.
pub(crate) fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// The number of the present transaction, if it has one.
pub(crate) fn transaction_if_any() -> Option<u64> {
    // SAFETY: reads a variable of the server.
    Some(unsafe { pg_sys::GetTopFullTransactionIdIfAny().value }).filter(|&number| number != 0)
}

/// The number that the next transaction will have.
pub(crate) fn next_transaction() -> u64 {
    // SAFETY: reads a variable of the server under its lock.
    unsafe { pg_sys::ReadNextFullTransactionId().value }
}

/// Waits, at most for `time`; ends with an ERROR when the statement is cancelled.
pub(crate) fn pause(time: std::time::Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1);
    // SAFETY: the latch of this process.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, milliseconds as _, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        pg_sys::check_for_interrupts!();
    }
}

/// Whether catalogues can be read now.
pub(crate) fn is_in_transaction() -> bool {
    // SAFETY: reads a variable of the server.
    unsafe { pg_sys::IsTransactionState() }
}

/// Runs `action` so that no cancellation and no end of the session comes in between; they wait.
pub(crate) fn undisturbed<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: a counter of the server, which is put back to what it was: an ERROR that was caught in between has
    // set it to zero.
    unsafe {
        let before = pg_sys::InterruptHoldoffCount;
        pg_sys::InterruptHoldoffCount = before + 1;
        let result = action();
        pg_sys::InterruptHoldoffCount = before;
        result
    }
}

/// The text of an inet.
pub(crate) fn inet_text(address: &Varlena) -> String {
    // SAFETY: the output function of the value's own type, which looks up nothing; its result is copied.
    unsafe {
        let text = pgrx::direct_function_call_as_datum(pg_sys::inet_out, &[Some(address.datum())]);
        text.map(|text| names::text(text.cast_mut_ptr())).unwrap_or_default()
    }
}

/// Reserves the settings' prefix, so that nobody makes up one that does nothing.
pub(crate) fn reserve_settings(prefix: &'static CStr) {
    // SAFETY: a NUL-terminated constant.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

/// A copy of an unpacked varlena.
///
/// # Safety
/// `datum` is a varlena that is not toasted.
unsafe fn copy(datum: pg_sys::Datum) -> Varlena {
    // SAFETY: the caller's promise.
    unsafe {
        let start = datum.cast_mut_ptr::<u8>();
        Varlena::copy_of(std::slice::from_raw_parts(start, pgrx::varsize_any(start.cast())))
    }
}

/// `system_user` (16 and later): how the client authenticated, for example `cert:CN=app`.
pub(crate) fn login_identity() -> Option<String> {
    #[cfg(not(feature = "pg15"))]
    {
        // SAFETY: a NUL-terminated string for the life of the session, or null under trust.
        let identity = unsafe { names::text(pg_sys::GetSystemUser()) };
        (!identity.is_empty()).then_some(identity)
    }
    #[cfg(feature = "pg15")]
    None
}

/// Whether the present statement stands alone: neither in a transaction block nor inside a function.
pub(crate) fn is_single_statement() -> bool {
    // SAFETY: reads variables of the server. A function's body runs with an error context of its own.
    unsafe { !pg_sys::IsTransactionBlock() && pg_sys::error_context_stack.is_null() }
}

/// The nesting level of the current subtransaction, 1 outside of savepoints.
pub(crate) fn depth() -> i32 {
    // SAFETY: reads a counter of the server.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() }
}

/// Removes RUST_BACKTRACE: it would put a backtrace with paths of our build into the DETAIL of every ERROR
/// that passes a guarded call, also of errors that are none of ours.
pub(crate) fn forget_backtrace_wish() {
    // SAFETY: a server process has one thread when it loads a library.
    unsafe {
        std::env::remove_var("RUST_BACKTRACE");
        std::env::remove_var("RUST_LIB_BACKTRACE");
    }
}

thread_local! {
    static PRELOADED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Notes at load time whether the server itself loads the library.
pub(crate) fn note_preload() {
    // SAFETY: reads a variable of the server.
    PRELOADED.set(unsafe { pg_sys::process_shared_preload_libraries_in_progress });
}

pub(crate) fn is_preloaded() -> bool {
    PRELOADED.get()
}
