//! Background workers: how they are started, how they wait, and how they stay out of everybody's way.

use super::names;
use super::shared::Duty;
use pgrx::prelude::*;
use std::ffi::{CStr, c_char, c_int};
use std::time::Duration;

// Handed to the server as they are, without the guard that pgrx puts around each call.
unsafe extern "C-unwind" {
    fn die(signal: c_int);
    fn SignalHandlerForConfigReload(signal: c_int);
}

/// Settings that a database or a role may have and that must not decide whether a worker can do its work.
const SETTINGS: &[(&CStr, &CStr)] = &[
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_isolation", c"read committed"),
    (c"default_transaction_deferrable", c"off"),
    (c"session_replication_role", c"origin"),
    (c"statement_timeout", c"0"),
    (c"lock_timeout", c"0"),
    // Of two that wait for each other, the one that looks first gives up: not whoever drops the extension.
    (c"deadlock_timeout", c"20ms"),
    (c"row_security", c"on"),
    // What waits in shared memory is forgotten as soon as it is in the table, so the table must be safe by
    // then; but not in other places, for which the server may wait for ever.
    (c"synchronous_commit", c"local"),
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    (c"transaction_timeout", c"0"),
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    (c"event_triggers", c"on"),
];

/// How long the launcher waits until it is started again.
const RESTART_SECONDS: i32 = 1;
/// Set beside the number of the database in a worker's argument.
const FLAG: u64 = 1 << 32;

/// Names that people see in pg_stat_activity, and the function that the server calls.
fn names_of(duty: Duty) -> (&'static str, &'static str) {
    match duty {
        Duty::Launch => ("audit_guard launcher", "audit_guard_launch"),
        Duty::Record => ("audit_guard recorder", "audit_guard_record"),
        Duty::Maintain => ("audit_guard maintenance", "audit_guard_maintain"),
        Duty::Seal => ("audit_guard sealer", "audit_guard_seal"),
    }
}

fn description(duty: Duty) -> pg_sys::BackgroundWorker {
    let (name, function) = names_of(duty);
    let mut worker = pg_sys::BackgroundWorker {
        bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as c_int,
        // Never on a standby: nothing can be written there.
        bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
        bgw_restart_time: pg_sys::BGW_NEVER_RESTART,
        ..Default::default()
    };
    copy(&mut worker.bgw_name, name);
    copy(&mut worker.bgw_type, name);
    copy(&mut worker.bgw_library_name, "audit_guard");
    copy(&mut worker.bgw_function_name, function);
    worker
}

fn copy(to: &mut [c_char], text: &str) {
    for (place, byte) in to.iter_mut().zip(text.bytes()) {
        *place = byte as c_char;
    }
}

/// Has the server start the launcher, now and whenever it ends; called once, when the server itself loads the
/// library.
pub(crate) fn register_launcher() {
    // SAFETY: reads a variable of the server; registers a worker while libraries are preloaded. A server that
    // pg_upgrade runs must not write of its own accord.
    unsafe {
        if !pg_sys::IsBinaryUpgrade {
            let mut worker = description(Duty::Launch);
            worker.bgw_restart_time = RESTART_SECONDS;
            pg_sys::RegisterBackgroundWorker(&mut worker);
        }
    }
}

/// A worker that was started.
pub(crate) struct Handle(*mut pg_sys::BackgroundWorkerHandle);

/// Starts a worker for a database; None when the server has no place for one more. The starter is woken when
/// it starts and when it ends.
pub(crate) fn start(duty: Duty, database: u32, flag: bool) -> Option<Handle> {
    let mut worker = description(duty);
    worker.bgw_main_arg = pg_sys::Datum::from(u64::from(database) | if flag { FLAG } else { 0 });
    let mut handle = std::ptr::null_mut();
    // SAFETY: the description is copied; the handle is allocated where it stays as long as the process.
    unsafe {
        worker.bgw_notify_pid = pg_sys::MyProcPid;
        let caller = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let started = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
        pg_sys::MemoryContextSwitchTo(caller);
        // Without a place there is no handle either.
        started.then(|| Handle(handle))
    }
}

impl Handle {
    /// Whether the worker has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle is the server's own and stays until it is dropped.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &mut pid) };
        status == pg_sys::BgwHandleStatus::BGWH_STOPPED
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: allocated by the server in `start`.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}

/// Prepares the process that the server started for this duty. `argument` is what it was started with;
/// returns the database, 0 for none, and the flag.
pub(crate) fn begin(duty: Duty, argument: pg_sys::Datum) -> (u32, bool) {
    let argument = argument.value() as u64;
    let (database, flag) = (argument as u32, argument & FLAG != 0);
    // SAFETY: the server's own handlers, set before signals arrive; then the connection, as superuser: what
    // we call runs with the rights of its own owner. Without a database only the catalogues of the cluster
    // can be read, and nobody who wants to drop a database is in each other's way with us.
    unsafe {
        for (signal, handler) in [
            (pg_sys::SIGHUP, SignalHandlerForConfigReload as unsafe extern "C-unwind" fn(c_int)),
            (pg_sys::SIGTERM, die),
        ] {
            #[cfg(feature = "pg18")]
            pg_sys::pqsignal_be(signal as c_int, Some(handler));
            #[cfg(not(feature = "pg18"))]
            pg_sys::pqsignal(signal as c_int, Some(handler));
        }
        pg_sys::BackgroundWorkerUnblockSignals();
        if duty == Duty::Launch {
            pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0);
        } else {
            let flags = pg_sys::BGWORKER_BYPASS_ALLOWCONN;
            pg_sys::BackgroundWorkerInitializeConnectionByOid(database.into(), pg_sys::InvalidOid, flags);
            for (name, value) in SETTINGS {
                let context = pg_sys::GucContext::PGC_SUSET;
                let source = pg_sys::GucSource::PGC_S_OVERRIDE;
                pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), context, source);
            }
            pg_sys::pgstat_report_appname(c"audit_guard".as_ptr());
        }
    }
    (database, flag)
}

/// Waits until something is to be done, at most for `time`. Ends the process when it is told to end.
pub(crate) fn nap(duty: Duty, time: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: the latch of this process. What the server asks of it, a new reading of the configuration or of
    // shared caches, is done here, where nothing is half done.
    unsafe {
        let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, milliseconds as _, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        if pg_sys::ProcDiePending != 0 {
            // Quietly. Only a worker that failed is started again.
            pg_sys::proc_exit(c_int::from(duty == Duty::Launch));
        }
        pg_sys::check_for_interrupts!();
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Runs `action` in a transaction. An ERROR ends the process, after the server has logged it.
pub(crate) fn transaction<T>(activity: &CStr, action: impl FnOnce() -> T) -> T {
    // SAFETY: the server's own sequence for a worker's transaction.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr());
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let result = action();
        pg_sys::PopActiveSnapshot();
        pg_sys::CommitTransactionCommand();
        pg_sys::pgstat_report_stat(true);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
        result
    }
}

/// A database of this cluster.
pub(crate) struct Database {
    pub(crate) oid: u32,
    pub(crate) name: String,
    pub(crate) is_template: bool,
    pub(crate) allows_connections: bool,
}

/// All databases; inside a transaction.
pub(crate) fn databases() -> Vec<Database> {
    let mut all = Vec::new();
    // SAFETY: a scan of a catalogue that every process can read; each row is copied while the scan stands on
    // it.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let catalogue = pg_sys::table_open(pg_sys::DatabaseRelationId, lock);
        let no_keys = std::ptr::null_mut();
        let snapshot = std::ptr::null_mut();
        let scan = pg_sys::systable_beginscan(catalogue, pg_sys::InvalidOid, false, snapshot, 0, no_keys);
        loop {
            let row = pg_sys::systable_getnext(scan);
            if row.is_null() {
                break;
            }
            let row = &*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_database>();
            all.push(Database {
                oid: row.oid.to_u32(),
                name: names::text(row.datname.data.as_ptr()),
                is_template: row.datistemplate,
                allows_connections: row.datallowconn,
            });
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalogue, lock);
    }
    all
}

/// Whether somebody is about to drop, rename or copy a database, for which nobody may be connected to it;
/// inside a transaction.
pub(crate) fn is_wanted(database: u32) -> bool {
    let tag = pg_sys::LOCKTAG {
        locktag_field1: 0,
        locktag_field2: pg_sys::DatabaseRelationId.to_u32(),
        locktag_field3: database,
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    let mode = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: the lock that every new connection takes for a moment; asked for without waiting, and given
    // back.
    unsafe {
        let taken = pg_sys::LockAcquire(&tag, mode, false, true);
        if taken != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
            pg_sys::LockRelease(&tag, mode, false);
        }
        taken == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}

/// Whether this database has the extension; inside a transaction. Only a superuser can install it, and nobody
/// else can then make functions in schema audit.
pub(crate) fn has_extension() -> bool {
    // SAFETY: a NUL-terminated name; a missing extension gives InvalidOid.
    unsafe { pg_sys::get_extension_oid(c"audit_guard".as_ptr(), true) != pg_sys::InvalidOid }
}

/// The number of the present transaction, which is given one.
pub(crate) fn transaction_id() -> u64 {
    // SAFETY: inside a transaction.
    unsafe { pg_sys::GetTopFullTransactionId().value }
}

/// Makes sure that the present transaction's number is given to no other, whatever happens; after the
/// transaction has written something.
pub(crate) fn make_number_lasting() {
    // SAFETY: waits until what this transaction has written to the write-ahead log is safe.
    unsafe { pg_sys::XLogFlush(pg_sys::XactLastRecEnd) };
}

/// Whether a transaction was committed; inside a transaction. What the server no longer knows, or does not
/// know yet, because somebody put an older state of the data directory back, counts as not.
pub(crate) fn has_committed(transaction: u64) -> bool {
    // SAFETY: a function of the server, called as the server calls it; its result is a text, which is copied.
    unsafe {
        if transaction >= pg_sys::ReadNextFullTransactionId().value {
            return false;
        }
        let known = pgrx::direct_function_call::<String>(
            pg_sys::pg_xact_status,
            &[Some(pg_sys::Datum::from(transaction))],
        );
        known.as_deref() == Some("committed")
    }
}

/// Defines the function that the server calls in a worker's process: `$body` is a safe function of the
/// argument.
macro_rules! worker_function {
    ($symbol:ident, $body:path) => {
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        #[doc(hidden)]
        #[pgrx::pg_guard]
        pub(crate) extern "C-unwind" fn $symbol(argument: pgrx::pg_sys::Datum) {
            $body(argument);
        }
    };
}
pub(crate) use worker_function;
