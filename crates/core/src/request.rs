//! What a request declares about itself through settings, JWT claims and HTTP headers.
//!
//! A gateway such as PostgREST puts these into settings of the transaction; over plain SQL anybody can. So
//! they are declarations, not proof, and nothing in them may make a user's statement fail: what cannot be
//! read is kept as text under `malformed`.

mod address;
mod claims;
mod context;
mod members;
mod rules;
mod uuid;

use std::net::IpAddr;

use serde_json::{Map, Value};

pub use address::{forwarded_entry, parse_address};
pub use claims::claims_object;
pub use context::{ContextError, RESERVED_CONTEXT_KEYS, check_declared_context, merge};
pub use rules::RequestRules;
pub use uuid::parse_uuid;

use members::{Member, Members};

/// The longest text kept under `malformed`, in characters.
pub const MALFORMED_LIMIT: usize = 1000;

const SESSION_ID: &str = "session_id";
const HEADERS: [&str; 3] = [USER_AGENT, REQUEST_ID, FORWARDED_FOR];
const USER_AGENT: &str = "user-agent";
const REQUEST_ID: &str = "x-request-id";
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The settings of a request as they are; an empty one counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestSettings<'a> {
    /// `request.jwt.claims`: all claims as one JSON object.
    pub claims: Option<&'a str>,
    /// `request.jwt.claim.sub`, the older form; used when `claims` names no actor and the actor's claim is
    /// `sub`.
    pub claim_sub: Option<&'a str>,
    /// `request.jwt.claim.session_id`, the older form; used when `claims` has no usable session.
    pub claim_session_id: Option<&'a str>,
    /// `request.headers`: a JSON object with names in lower case.
    pub headers: Option<&'a str>,
    /// `request.method`.
    pub method: Option<&'a str>,
    /// `request.path`.
    pub path: Option<&'a str>,
}

/// What was read from a request. No text in it holds a zero character, which PostgreSQL cannot store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestContext {
    /// Who acts, from the actor's claim.
    pub actor_id: Option<String>,
    /// The tenant, from the first tenant claim that has a value.
    pub tenant_id: Option<String>,
    /// The session, from the claim `session_id` when that is a UUID.
    pub session_id: Option<[u8; 16]>,
    /// The client's address as the trusted proxies report it.
    pub client_ip: Option<IpAddr>,
    /// What else is worth keeping: `user_agent`, `request_id`, `forwarded_for`, `method`, `path`,
    /// `malformed`.
    ///
    /// `malformed` is an object with any of `claims`, `headers`, `client_ip`, `session_id`: the text that
    /// could not be read, at most [`MALFORMED_LIMIT`] characters of it. When one claim or header is at fault
    /// it holds that one's JSON text and not the whole object.
    pub extra: Map<String, Value>,
}

/// Reads what a request declares. Never fails and never panics, whatever the settings hold.
///
/// Claims and headers that are strings, numbers or booleans become text (numbers as they are written); an
/// empty string, `null`, an object or an array counts as absent.
#[must_use]
pub fn read_request(settings: &RequestSettings<'_>, rules: &RequestRules) -> RequestContext {
    let mut reader = Reader::default();
    reader.read_claims(settings, rules);
    reader.read_headers(settings, rules);
    reader.finish(settings)
}

#[derive(Default)]
struct Reader {
    context: RequestContext,
    malformed: Map<String, Value>,
}

impl Reader {
    fn read_claims(&mut self, settings: &RequestSettings<'_>, rules: &RequestRules) {
        let mut session_text = None;
        if let Some(text) = present(settings.claims) {
            let mut wanted = vec![rules.actor_claim.as_str(), SESSION_ID];
            wanted.extend(rules.tenant_claims.iter().filter_map(|path| path.first()).map(String::as_str));
            match Members::read(text, &wanted) {
                Some(claims) => {
                    self.context.actor_id = self.text("claims", claims.get(&rules.actor_claim));
                    session_text = self.text("claims", claims.get(SESSION_ID));
                    self.context.tenant_id =
                        rules.tenant_claims.iter().find_map(|path| self.text("claims", claims.find(path)));
                }
                None => self.note("claims", text),
            }
        }
        // A claim of another name is another identity than `sub`, so one must not stand in for the other.
        if self.context.actor_id.is_none() && rules.actor_claim == "sub" {
            self.context.actor_id = present(settings.claim_sub).map(clean);
        }
        self.read_session(session_text.as_deref());
        if self.context.session_id.is_none() {
            self.read_session(present(settings.claim_session_id));
        }
    }

    fn read_session(&mut self, text: Option<&str>) {
        let Some(text) = text else { return };
        self.context.session_id = parse_uuid(text);
        if self.context.session_id.is_none() {
            self.note("session_id", text);
        }
    }

    fn read_headers(&mut self, settings: &RequestSettings<'_>, rules: &RequestRules) {
        let Some(text) = present(settings.headers) else { return };
        let Some(headers) = Members::read(text, &HEADERS) else {
            self.note("headers", text);
            return;
        };
        for (header, key) in [(USER_AGENT, "user_agent"), (REQUEST_ID, "request_id")] {
            if let Some(text) = self.text("headers", headers.get(header)) {
                self.context.extra.insert(key.to_owned(), Value::String(text));
            }
        }
        if let Some(forwarded) = self.text("headers", headers.get(FORWARDED_FOR)) {
            if let Some(entry) = forwarded_entry(&forwarded, rules.trusted_proxy_count) {
                self.context.client_ip = parse_address(entry);
                if self.context.client_ip.is_none() {
                    self.note("client_ip", entry);
                }
            }
            self.context.extra.insert("forwarded_for".to_owned(), Value::String(forwarded));
        }
    }

    fn finish(mut self, settings: &RequestSettings<'_>) -> RequestContext {
        for (key, setting) in [("method", settings.method), ("path", settings.path)] {
            if let Some(text) = present(setting) {
                self.context.extra.insert(key.to_owned(), Value::String(clean(text)));
            }
        }
        if !self.malformed.is_empty() {
            self.context.extra.insert("malformed".to_owned(), Value::Object(self.malformed));
        }
        self.context
    }

    /// The text of a member, if it has one; a member that cannot be text is noted.
    fn text(&mut self, source: &str, member: Member<'_>) -> Option<String> {
        match member {
            Member::Absent => None,
            Member::Text(text) => Some(text.into_owned()),
            Member::Malformed(raw) => {
                self.note(source, raw);
                None
            }
        }
    }

    /// Keeps the first text per source that could not be read.
    fn note(&mut self, source: &str, text: &str) {
        if !self.malformed.contains_key(source) {
            let end = text.char_indices().nth(MALFORMED_LIMIT).map_or(text.len(), |(at, _)| at);
            self.malformed.insert(source.to_owned(), Value::String(clean(&text[..end])));
        }
    }
}

/// A setting that says something.
fn present(setting: Option<&str>) -> Option<&str> {
    setting.filter(|text| !text.is_empty())
}

/// PostgreSQL cannot hand over a zero character, but nothing here relies on that.
fn clean(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}
