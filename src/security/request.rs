//! Who a request is from, as far as it can be believed.

use crate::capture;
use crate::pg::{encoding, session};
use crate::settings;
use audit_guard_core::request::claims_object;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::ffi::{CStr, CString};

/// The claims that were read last: the two settings that can hold them, and the bytes of the jsonb.
#[derive(Default)]
struct Claims {
    claims: Option<CString>,
    sub: Option<CString>,
    jsonb: Option<Vec<u8>>,
}

thread_local! {
    static CLAIMS: RefCell<Claims> = RefCell::new(Claims::default());
}

/// The address of the client as the application or a trusted proxy gives it; NULL when none does, also when
/// the connection has one.
#[pg_extern(sql = false, stable)]
fn request_ip() -> Option<Vec<u8>> {
    capture::request_ip()
}

/// The claims of the request as jsonb; NULL unless the session's login is trusted to say the truth, and what
/// it says is an object.
#[pg_extern(sql = false, stable)]
fn claims() -> Option<Vec<u8>> {
    let claims = session::setting(c"request.jwt.claims");
    let sub = if claims.is_none() { session::setting(c"request.jwt.claim.sub") } else { None };
    claims.or(sub)?;
    if !settings::trusts_login(&encoding::to_utf8(&session::role_name(session::roles().login))) {
        return None;
    }
    CLAIMS.with_borrow_mut(|known| {
        if known.claims.as_deref() != claims || known.sub.as_deref() != sub {
            *known = Claims {
                claims: claims.map(CStr::to_owned),
                sub: sub.map(CStr::to_owned),
                jsonb: read(claims, sub),
            };
        }
        known.jsonb.clone()
    })
}

fn read(claims: Option<&CStr>, sub: Option<&CStr>) -> Option<Vec<u8>> {
    let text = |setting: &CStr| encoding::to_utf8(setting.to_bytes());
    let object = match claims {
        Some(claims) => claims_object(&text(claims))?,
        None => serde_json::json!({ "sub": text(sub?) }).to_string(),
    };
    Some(session::jsonb(&object).payload().to_vec())
}

/// `audit_guard.login_window` in minutes.
#[pg_extern(sql = false, stable)]
fn login_window() -> i32 {
    settings::login_window()
}

/// `audit_guard.session_touch_interval`.
#[pg_extern(sql = false, stable)]
fn touch_interval() -> Interval {
    Interval::from_seconds(settings::touch_interval().into())
}
