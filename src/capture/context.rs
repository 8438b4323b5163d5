//! Who acts, from where: the columns of a row that do not come from the row.
//!
//! Read again only when a new command begins, a role changes or something is declared, and parsed again only
//! when the raw text of a setting is another than before.

use super::declared;
use crate::pg::buffer::Varlena;
use crate::pg::encoding;
use crate::pg::leaf::Field;
use crate::pg::names::TableName;
use crate::pg::session::{self, Roles};
use crate::pg::writer::Row;
use crate::settings;
use audit_guard_core::request::{RequestContext, RequestSettings, read_request};
use pgrx::pg_sys::Datum;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::ffi::{CStr, CString};

/// The settings by which a gateway such as PostgREST declares a request, as raw text.
#[derive(Default, PartialEq, Eq)]
struct RawRequest {
    claims: Option<CString>,
    claim_sub: Option<CString>,
    claim_session_id: Option<CString>,
    headers: Option<CString>,
    method: Option<CString>,
    path: Option<CString>,
}

/// What will be logged, in the server's form.
#[derive(Default)]
struct Context {
    moment: (u64, u32),
    roles: Roles,
    version: u64,
    is_read: bool,
    raw: RawRequest,
    rules: settings::RawRules,
    request: RequestContext,
    application: Vec<u8>,
    actor_id: Option<Varlena>,
    actor_source: Option<Varlena>,
    actor_role: Varlena,
    login_role: Varlena,
    tenant_id: Option<Varlena>,
    session_id: Option<[u8; 16]>,
    client_ip: Option<Varlena>,
    /// Whether that is what the request says, and not the connection's own.
    is_request_ip: bool,
    application_name: Option<Varlena>,
    phi_accessed: bool,
    context: Option<Varlena>,
    success: Varlena,
}

thread_local! {
    static CONTEXT: RefCell<Context> = RefCell::new(Context::default());
}

/// Fills the fields of a row that say who acted. The datums point into memory that stays as it is until the
/// next call.
pub(super) fn fill(row: &mut Row, table_is_phi: bool, row_tenant: Option<Datum>) {
    let moment = session::moment();
    CONTEXT.with_borrow_mut(|context| {
        context.read(Some(moment));
        row.set_optional(Field::ActorId, context.actor_id.as_ref().map(Varlena::datum));
        row.set_optional(Field::ActorSource, context.actor_source.as_ref().map(Varlena::datum));
        row.set(Field::ActorRole, context.actor_role.datum());
        row.set(Field::LoginRole, context.login_role.datum());
        row.set_optional(Field::TenantId, row_tenant.or(context.tenant_id.as_ref().map(Varlena::datum)));
        row.set_optional(Field::SessionId, context.session_id.as_ref().map(|id| Datum::from(id.as_ptr())));
        row.set_optional(Field::ClientIp, context.client_ip.as_ref().map(Varlena::datum));
        row.set_optional(Field::ApplicationName, context.application_name.as_ref().map(Varlena::datum));
        row.set(Field::PhiAccessed, (table_is_phi || context.phi_accessed).into());
        row.set(Field::Outcome, context.success.datum());
        row.set_optional(Field::Context, context.context.as_ref().map(Varlena::datum));
        row.set(Field::TransactionId, (moment.0 as i64).into());
    });
}

/// The context of the row that was filled last, with the name of a partition in it.
pub(super) fn with_partition(partition: &TableName) -> Varlena {
    CONTEXT.with_borrow(|context| {
        let known = context.context.as_ref().map(|known| session::jsonb_text(known.payload()));
        // It is the text of an object of our own, so it can be read.
        let mut more: Map<String, Value> =
            known.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        insert(&mut more, "partition", Some(partition.to_string()));
        session::jsonb(&Value::Object(more).to_string())
    })
}

/// What would be logged now: the columns of `audit.request_context` in their order.
pub(super) fn show<T>(look: impl FnOnce([Option<Datum>; 10]) -> T) -> T {
    CONTEXT.with_borrow_mut(|context| {
        context.read(None);
        look([
            context.actor_id.as_ref().map(Varlena::datum),
            context.actor_source.as_ref().map(Varlena::datum),
            Some(context.login_role.datum()),
            Some(context.actor_role.datum()),
            context.tenant_id.as_ref().map(Varlena::datum),
            context.session_id.as_ref().map(|id| Datum::from(id.as_ptr())),
            context.client_ip.as_ref().map(Varlena::datum),
            context.application_name.as_ref().map(Varlena::datum),
            Some(context.phi_accessed.into()),
            context.context.as_ref().map(Varlena::datum),
        ])
    })
}

/// Who acts now, as text: for what is recorded outside of this transaction.
#[derive(Default)]
pub(crate) struct Person {
    pub(crate) actor_id: Option<String>,
    pub(crate) actor_role: String,
    pub(crate) login_role: String,
    pub(crate) client_ip: Option<String>,
    pub(crate) application_name: Option<String>,
}

pub(crate) fn person() -> Person {
    CONTEXT.with_borrow_mut(|context| {
        context.read(None);
        let text = |value: &Varlena| encoding::to_utf8(value.payload());
        Person {
            actor_id: context.actor_id.as_ref().map(text),
            actor_role: text(&context.actor_role),
            login_role: text(&context.login_role),
            client_ip: context.client_ip.as_ref().map(session::inet_text),
            application_name: context.application_name.as_ref().map(text),
        }
    })
}

/// The address that was declared, or that the trusted proxies report: the bytes of an inet, without its header.
pub(crate) fn request_ip() -> Option<Vec<u8>> {
    CONTEXT.with_borrow_mut(|context| {
        context.read(None);
        let declared = context.client_ip.as_ref().filter(|_| context.is_request_ip);
        declared.map(|address| address.payload().to_vec())
    })
}

impl Context {
    /// Brings everything up to date; `moment` is None when nothing is going to be written.
    fn read(&mut self, moment: Option<(u64, u32)>) {
        let roles = session::roles();
        let version = declared::version();
        if self.is_read && moment == Some(self.moment) && roles == self.roles && version == self.version {
            return;
        }
        let mut dirty = !self.is_read || version != self.version;
        self.is_read = false;
        if session::roles_changed() || roles != self.roles {
            self.actor_role = Varlena::new(&session::role_name(roles.outer));
            self.login_role = Varlena::new(&session::role_name(roles.login));
            self.roles = roles;
            dirty = true;
        }
        let application = session::application_name();
        if application != self.application {
            self.application = application.to_vec();
            self.application_name = (!application.is_empty()).then(|| Varlena::new(application));
        }
        dirty |= self.read_request();
        if dirty {
            self.version = version;
            self.derive();
        }
        self.moment = moment.unwrap_or_default();
        self.is_read = true;
    }

    /// Reads the request's settings; true when one of them, or a rule for reading them, is new.
    fn read_request(&mut self) -> bool {
        let claims = session::setting(c"request.jwt.claims");
        let old_form = |name: &CStr| if claims.is_none() { session::setting(name) } else { None };
        let claim_sub = old_form(c"request.jwt.claim.sub");
        let claim_session_id = claim_sub.and_then(|_| old_form(c"request.jwt.claim.session_id"));
        let headers = session::setting(c"request.headers");
        let of_request = |name: &CStr| headers.and_then(|_| session::setting(name));
        let (method, path) = (of_request(c"request.method"), of_request(c"request.path"));
        let anything = claims.or(claim_sub).or(headers).is_some();
        let rules = anything.then(settings::raw_rules);
        let raw = &self.raw;
        if raw.claims.as_deref() == claims
            && raw.claim_sub.as_deref() == claim_sub
            && raw.claim_session_id.as_deref() == claim_session_id
            && raw.headers.as_deref() == headers
            && raw.method.as_deref() == method
            && raw.path.as_deref() == path
            && rules.as_ref().is_none_or(|rules| *rules == self.rules)
        {
            return false;
        }
        let own = |value: Option<&CStr>| value.map(CStr::to_owned);
        let text = |value: Option<&'_ CStr>| value.map(|value| encoding::to_utf8(value.to_bytes()));
        let texts = [claims, claim_sub, claim_session_id, headers, method, path].map(text);
        let [t_claims, t_sub, t_session, t_headers, t_method, t_path] = &texts;
        let request = RequestSettings {
            claims: t_claims.as_deref(),
            claim_sub: t_sub.as_deref(),
            claim_session_id: t_session.as_deref(),
            headers: t_headers.as_deref(),
            method: t_method.as_deref(),
            path: t_path.as_deref(),
        };
        self.request = read_request(&request, &settings::request_rules());
        self.raw = RawRequest {
            claims: own(claims),
            claim_sub: own(claim_sub),
            claim_session_id: own(claim_session_id),
            headers: own(headers),
            method: own(method),
            path: own(path),
        };
        if let Some(rules) = rules {
            self.rules = rules;
        }
        true
    }

    /// Makes the columns from what was read.
    fn derive(&mut self) {
        let declared = declared::current();
        let request = &self.request;
        let text = |declared: &Option<Vec<u8>>, requested: &Option<String>| {
            let requested = requested.as_deref().map(encoding::from_utf8);
            declared.clone().or(requested).map(|value| Varlena::new(&value))
        };
        let source = if declared.actor_id.is_some() {
            Some("context")
        } else {
            request.actor_id.as_ref().map(|_| "jwt")
        };
        self.actor_source = source.map(|name| Varlena::new(name.as_bytes()));
        self.actor_id = text(&declared.actor_id, &request.actor_id);
        self.tenant_id = text(&declared.tenant_id, &request.tenant_id);
        self.session_id = declared.session_id.or(request.session_id);
        self.is_request_ip = declared.client_ip.is_some() || request.client_ip.is_some();
        self.client_ip = match (&declared.client_ip, request.client_ip) {
            (Some(address), _) => Some(session::inet(address)),
            (None, Some(address)) => Some(session::inet(&address.to_string())),
            (None, None) => session::client_address(),
        };
        self.phi_accessed = declared.phi_accessed == Some(true);
        let mut more = request.extra.clone();
        audit_guard_core::request::merge(&mut more, declared.context);
        if declared.actor_id.is_some() {
            insert(&mut more, "jwt_sub", request.actor_id.clone());
        }
        let roles = self.roles;
        let lossy = |role| encoding::to_utf8(&session::role_name(role));
        if roles.session != roles.login {
            insert(&mut more, "session_role", Some(lossy(roles.session)));
        }
        if roles.effective != roles.outer {
            insert(&mut more, "effective_role", Some(lossy(roles.effective)));
        }
        insert(&mut more, "login_identity", other_identity(self.login_role.payload()));
        if declared.restore {
            more.insert("restore".to_owned(), Value::Bool(true));
        }
        self.context = (!more.is_empty()).then(|| session::jsonb(&Value::Object(more).to_string()));
        self.success = Varlena::new(b"success");
    }
}

fn insert(context: &mut Map<String, Value>, key: &str, value: Option<String>) {
    if let Some(value) = value {
        context.insert(key.to_owned(), Value::String(value));
    }
}

/// How the client authenticated, when it was as somebody else than the role (a mapped certificate, say).
fn other_identity(login_role: &[u8]) -> Option<String> {
    session::login_identity()
        .filter(|identity| identity.split_once(':').is_none_or(|(_, name)| name.as_bytes() != login_role))
}
