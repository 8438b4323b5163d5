//! Settings of the extension. None can be changed by an ordinary user.

mod security;

use crate::pg::session;
use audit_guard_core::request::RequestRules;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use std::ffi::CString;
use std::time::Duration;

pub(crate) use security::{fold_plus_tags, ipv6_prefix, login_window, touch_interval, trusts_login};

/// Which entry of x-forwarded-for, counted from the right, is the client: the number of proxies that append
/// to it. One, because one proxy in front of the API is the usual set-up.
static TRUSTED_PROXY_COUNT: GucSetting<i32> = GucSetting::<i32>::new(1);
/// The JWT claim that names the person; `sub` is the standard's.
static ACTOR_CLAIM: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"sub"));
/// Paths of the JWT claims that name the tenant; the first that is present counts.
static TENANT_CLAIMS: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"app_metadata.tenant_id, app_metadata.community_id"));
/// Column names that mean the tenant, in the order in which `enable_tracking` looks for them.
static TENANT_COLUMNS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(
    c"tenant_id, community_id, ws_id, workspace_id, org_id, organization_id",
));

/// How far the time of a row that comes into a protected table may lie from the clock, in seconds. An hour: more
/// than clocks differ, less than would matter to a retention of a day.
static INSERT_TIME_TOLERANCE: GucSetting<i32> = GucSetting::<i32>::new(3600);
/// Whether expired rows wait until a receipt says that they were exported.
static ARCHIVE_BEFORE_DROP: GucSetting<bool> = GucSetting::<bool>::new(false);

/// How much the preloaded library refuses to superusers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PostgresGucEnum)]
pub(crate) enum Lockdown {
    /// Nothing.
    #[name = c"off"]
    Off,
    /// What SQL can do to protected rows.
    #[name = c"on"]
    On,
    /// Also what reaches out of SQL.
    #[name = c"strict"]
    Strict,
}

static LOCKDOWN: GucSetting<Lockdown> = GucSetting::<Lockdown>::new(Lockdown::On);

/// Room for the refused attempts of a second or two, while a process is started that writes them.
static DENIAL_SLOTS: GucSetting<i32> = GucSetting::<i32>::new(1024);
/// Where our workers work; everywhere.
static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// How soon after their commit rows are sealed, in milliseconds: half a second, so that many commits share a seal
/// and nobody notices the wait.
static SEAL_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(500);
/// How often the sealer shows that it is there when nothing is to be sealed, in seconds.
static HEARTBEAT: GucSetting<i32> = GucSetting::<i32>::new(60);
/// The name of the ledger in its checkpoints, when the server's own numbers will not do.
static LEDGER_ORIGIN: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// Registers the settings; called once, when the library is loaded.
pub(crate) fn define() {
    GucRegistry::define_int_guc(
        c"audit_guard.trusted_proxy_count",
        c"Number of proxies that append to x-forwarded-for.",
        c"The client's address is this entry, counted from the right; 0 ignores the header.",
        &TRUSTED_PROXY_COUNT,
        0,
        100,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"audit_guard.actor_claim",
        c"JWT claim that names the person who acts.",
        c"Read from request.jwt.claims.",
        &ACTOR_CLAIM,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"audit_guard.tenant_claims",
        c"JWT claims that name the tenant, as comma-separated paths.",
        c"The first one that is present counts.",
        &TENANT_CLAIMS,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"audit_guard.tenant_columns",
        c"Names of columns that hold the tenant, comma-separated.",
        c"enable_tracking takes the first that the table has.",
        &TENANT_COLUMNS,
        GucContext::Suset,
        GucFlags::default(),
    );
    // Settings of the server's start cannot be made later.
    if session::is_preloaded() {
        GucRegistry::define_int_guc(
            c"audit_guard.denial_slots",
            c"Refused attempts that can wait to be written to audit.denied_attempts.",
            c"When more come at once, they are counted. Each takes one kilobyte of shared memory.",
            &DENIAL_SLOTS,
            16,
            65536,
            GucContext::Postmaster,
            GucFlags::default(),
        );
        GucRegistry::define_string_guc(
            c"audit_guard.databases",
            c"Databases in which the library's own workers work, comma-separated.",
            c"Empty means every database that has the extension.",
            &DATABASES,
            GucContext::Postmaster,
            GucFlags::default(),
        );
        GucRegistry::define_enum_guc(
            c"audit_guard.lockdown",
            c"Whether what would weaken the protection of rows is refused to superusers, too.",
            c"strict also refuses files, programs, libraries and settings that reach past the guard.",
            &LOCKDOWN,
            GucContext::Postmaster,
            GucFlags::default(),
        );
    }
    GucRegistry::define_int_guc(
        c"audit_guard.insert_time_tolerance",
        c"How far the time of a new row of a protected table may lie from the clock.",
        c"Rows with other times are refused, except after audit.begin_restore().",
        &INSERT_TIME_TOLERANCE,
        0,
        86_400,
        GucContext::Suset,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_bool_guc(
        c"audit_guard.archive_before_drop",
        c"Whether retention removes only what was exported before.",
        c"What no export receipt covers stays.",
        &ARCHIVE_BEFORE_DROP,
        GucContext::Suset,
        GucFlags::default(),
    );
    define_ledger();
    security::define();
    session::reserve_settings(c"audit_guard");
}

fn define_ledger() {
    GucRegistry::define_int_guc(
        c"audit_guard.seal_interval",
        c"Time between two seals while rows are being written.",
        c"Only the preloaded library seals of its own accord.",
        &SEAL_INTERVAL,
        50,
        60_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"audit_guard.heartbeat",
        c"Time between two seals without rows, as long as the sealer is at work.",
        c"0 means none.",
        &HEARTBEAT,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_string_guc(
        c"audit_guard.ledger_origin",
        c"Name of the ledger in its checkpoints, taken over when the ledger begins.",
        c"Empty means audit_guard/<system identifier>/<database OID>.",
        &LEDGER_ORIGIN,
        GucContext::Sighup,
        GucFlags::default(),
    );
}

/// The time between two seals while rows are being written.
pub(crate) fn seal_interval() -> Duration {
    Duration::from_millis(u64::try_from(SEAL_INTERVAL.get()).unwrap_or(500))
}

/// The time between two seals without rows; None for no such seals.
pub(crate) fn heartbeat() -> Option<Duration> {
    let seconds = u64::try_from(HEARTBEAT.get()).unwrap_or(0);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// What the preloaded library refuses; nothing when it is not preloaded.
pub(crate) fn lockdown() -> Lockdown {
    if session::is_preloaded() { LOCKDOWN.get() } else { Lockdown::Off }
}

/// How many refused attempts can wait.
pub(crate) fn denial_slots() -> usize {
    DENIAL_SLOTS.get().max(0) as usize
}

/// Whether our workers work in a database.
pub(crate) fn works_in(database: &str) -> bool {
    let names = DATABASES.get().unwrap_or_default();
    let names = names.to_string_lossy();
    names.trim().is_empty() || lists(&names, database)
}

/// Whether a name is one of a list with commas.
fn lists(names: &str, name: &str) -> bool {
    names.split(',').any(|listed| listed.trim() == name)
}

/// In microseconds.
pub(crate) fn insert_time_tolerance() -> i64 {
    i64::from(INSERT_TIME_TOLERANCE.get()) * 1_000_000
}

/// The settings behind [`request_rules`] as they are, to see cheaply whether they changed.
pub(crate) type RawRules = (i32, Option<CString>, Option<CString>);

pub(crate) fn raw_rules() -> RawRules {
    (TRUSTED_PROXY_COUNT.get(), ACTOR_CLAIM.get(), TENANT_CLAIMS.get())
}

/// The rules by which a request's claims and headers are read.
pub(crate) fn request_rules() -> RequestRules {
    let text = |setting: &GucSetting<Option<CString>>| {
        setting.get().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
    };
    RequestRules {
        actor_claim: text(&ACTOR_CLAIM),
        tenant_claims: RequestRules::parse_paths(&text(&TENANT_CLAIMS)),
        trusted_proxy_count: TRUSTED_PROXY_COUNT.get().max(0) as usize,
    }
}
