//! Settings for people, logins and sessions.
//!
//! Those without a function here are read in SQL only.

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use std::ffi::{CStr, CString};

/// What a password may be mistyped before somebody has to wait, and for how long (minutes).
static LOGIN_MAX_ATTEMPTS: GucSetting<i32> = GucSetting::<i32>::new(5);
static LOGIN_WINDOW: GucSetting<i32> = GucSetting::<i32>::new(15);
/// Twice as many for a network: several people share one.
static LOGIN_NETWORK_FACTOR: GucSetting<i32> = GucSetting::<i32>::new(2);
/// What one customer of a provider gets.
static LOGIN_IPV6_PREFIX: GucSetting<i32> = GucSetting::<i32>::new(64);
/// Off: with most providers the tag is part of the address.
static LOGIN_FOLD_PLUS_TAGS: GucSetting<bool> = GucSetting::<bool>::new(false);
/// Some two hundred megabytes.
static LOGIN_MAX_KEYS: GucSetting<i32> = GucSetting::<i32>::new(2_000_000);

/// How long sessions last, after the assurance levels of NIST SP 800-63B.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PostgresGucEnum)]
enum Profile {
    #[name = c"aal1"]
    Aal1,
    #[name = c"aal2"]
    Aal2,
    #[name = c"aal3"]
    Aal3,
}

/// What happens when somebody has too many sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PostgresGucEnum)]
enum LimitPolicy {
    #[name = c"reject_new"]
    RejectNew,
    #[name = c"end_oldest"]
    EndOldest,
    #[name = c"end_least_recent"]
    EndLeastRecent,
}

/// What happens when a session comes from another device or network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PostgresGucEnum)]
enum OnChange {
    #[name = c"ignore"]
    Ignore,
    #[name = c"flag"]
    Flag,
    #[name = c"terminate"]
    Terminate,
}

static SESSION_PROFILE: GucSetting<Profile> = GucSetting::<Profile>::new(Profile::Aal2);
/// 0 means none.
static SESSION_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(0);
static SESSION_LIMIT_POLICY: GucSetting<LimitPolicy> = GucSetting::<LimitPolicy>::new(LimitPolicy::RejectNew);
/// How old the time of the last activity may be (seconds), so that not every request writes.
static SESSION_TOUCH_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);
static SESSION_ON_CHANGE: GucSetting<OnChange> = GucSetting::<OnChange>::new(OnChange::Flag);

/// The role as which PostgREST logs in: what it says about a request is true.
static TRUSTED_LOGINS: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"authenticator"));
static ROLE_CLAIM_MAP: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(
    c"app_metadata.role: super_admin=reader, admin=tenant_admin, community_admin=tenant_admin",
));

pub(super) fn define() {
    define_logins();
    define_sessions();
    define_people();
}

fn number(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    (least, most): (i32, i32),
    unit: GucFlags,
) {
    GucRegistry::define_int_guc(name, short, long, setting, least, most, GucContext::Suset, unit);
}

fn define_logins() {
    number(
        c"audit_guard.login_max_attempts",
        c"Failed logins within the window after which an account has to wait.",
        c"Known devices and networks have a budget of the same size of their own.",
        &LOGIN_MAX_ATTEMPTS,
        (1, 100),
        GucFlags::default(),
    );
    number(
        c"audit_guard.login_window",
        c"Time within which failed logins are counted.",
        c"From one minute to one day.",
        &LOGIN_WINDOW,
        (1, 1440),
        GucFlags::UNIT_MIN,
    );
    number(
        c"audit_guard.login_network_factor",
        c"How many times as many failed logins a network may have as an account.",
        c"At most 200 in all.",
        &LOGIN_NETWORK_FACTOR,
        (1, 20),
        GucFlags::default(),
    );
    number(
        c"audit_guard.login_ipv6_prefix",
        c"Length of the prefix that makes addresses of IPv6 one network.",
        c"Another length begins new counters.",
        &LOGIN_IPV6_PREFIX,
        (48, 128),
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"audit_guard.login_fold_plus_tags",
        c"Whether name+tag@example.org is the account name@example.org.",
        c"Changing it begins new counters for such accounts.",
        &LOGIN_FOLD_PLUS_TAGS,
        GucContext::Suset,
        GucFlags::default(),
    );
    number(
        c"audit_guard.login_max_keys",
        c"About how many counters of logins are kept.",
        c"Above it, those that block nobody make room for new ones.",
        &LOGIN_MAX_KEYS,
        (1000, 1_000_000_000),
        GucFlags::default(),
    );
}

fn define_sessions() {
    GucRegistry::define_enum_guc(
        c"audit_guard.session_profile",
        c"How long sessions last, and how long without activity.",
        c"aal1: 30 days; aal2: 24 hours, 1 hour; aal3: 12 hours, 15 minutes.",
        &SESSION_PROFILE,
        GucContext::Suset,
        GucFlags::default(),
    );
    number(
        c"audit_guard.session_limit",
        c"Sessions that one person may have at a time.",
        c"0 means any number.",
        &SESSION_LIMIT,
        (0, 10_000),
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"audit_guard.session_limit_policy",
        c"What happens when a person would have more sessions.",
        c"reject_new refuses the new one; the others end one.",
        &SESSION_LIMIT_POLICY,
        GucContext::Suset,
        GucFlags::default(),
    );
    number(
        c"audit_guard.session_touch_interval",
        c"Age at which the time of a session's last activity is written again.",
        c"0 writes it at every request.",
        &SESSION_TOUCH_INTERVAL,
        (0, 86_400),
        GucFlags::UNIT_S,
    );
    GucRegistry::define_enum_guc(
        c"audit_guard.session_on_change",
        c"What happens when a session comes from another device or network.",
        c"flag marks it as suspicious and writes an event; terminate ends it.",
        &SESSION_ON_CHANGE,
        GucContext::Suset,
        GucFlags::default(),
    );
}

fn define_people() {
    GucRegistry::define_string_guc(
        c"audit_guard.trusted_logins",
        c"Roles whose sessions say truly who sends a request, comma-separated.",
        c"Over any other login, request.jwt.claims gives nobody a right.",
        &TRUSTED_LOGINS,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"audit_guard.role_claim_map",
        c"Which values of a JWT claim give which role.",
        c"A path, a colon, and value=role, comma-separated.",
        &ROLE_CLAIM_MAP,
        GucContext::Suset,
        GucFlags::default(),
    );
}

/// Whether what a session of this role says about its requests is true.
pub(crate) fn trusts_login(role: &str) -> bool {
    let names = TRUSTED_LOGINS.get().unwrap_or_default();
    super::lists(&names.to_string_lossy(), role)
}

/// In minutes.
pub(crate) fn login_window() -> i32 {
    LOGIN_WINDOW.get()
}

/// In seconds.
pub(crate) fn touch_interval() -> i32 {
    SESSION_TOUCH_INTERVAL.get()
}

/// The length of the prefix that makes addresses of IPv6 one network.
pub(crate) fn ipv6_prefix() -> u8 {
    u8::try_from(LOGIN_IPV6_PREFIX.get()).unwrap_or(128)
}

/// Whether tags of email addresses are cut off.
pub(crate) fn fold_plus_tags() -> bool {
    LOGIN_FOLD_PLUS_TAGS.get()
}
