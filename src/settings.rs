//! Settings of the extension. None can be changed by an ordinary user.

use crate::pg::session;
use audit_guard_core::request::RequestRules;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::CString;

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
    session::reserve_settings(c"audit_guard");
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
