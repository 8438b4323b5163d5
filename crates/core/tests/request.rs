//! What is read from claims and headers: golden cases.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use std::net::IpAddr;

use audit_guard_core::request::{RequestContext, RequestRules, RequestSettings, read_request};
use serde_json::{Value, json};

const SESSION: &str = "6f1e8c4a-0b2d-4c3e-9f10-1234567890ab";
const SESSION_BYTES: [u8; 16] =
    [0x6f, 0x1e, 0x8c, 0x4a, 0x0b, 0x2d, 0x4c, 0x3e, 0x9f, 0x10, 0x12, 0x34, 0x56, 0x78, 0x90, 0xab];

fn read(settings: RequestSettings<'_>) -> RequestContext {
    read_request(&settings, &RequestRules::default())
}

fn read_claims(claims: &str) -> RequestContext {
    read(RequestSettings { claims: Some(claims), ..RequestSettings::default() })
}

fn read_headers(headers: &str, trusted_proxy_count: usize) -> RequestContext {
    let settings = RequestSettings { headers: Some(headers), ..RequestSettings::default() };
    read_request(&settings, &RequestRules { trusted_proxy_count, ..RequestRules::default() })
}

fn extra(context: &RequestContext) -> Value {
    Value::Object(context.extra.clone())
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn a_request_through_supabase() {
    let claims = format!(
        r#"{{"iss": "https://x.supabase.co/auth/v1", "sub": "0c0ffee0-0000-4000-8000-000000000001",
            "aud": "authenticated", "exp": 1795000000, "email": "ada@example.org",
            "app_metadata": {{"provider": "email", "providers": ["email"], "community_id": "c-7"}},
            "user_metadata": {{"tenant_id": "forged"}}, "role": "authenticated", "aal": "aal1",
            "session_id": "{SESSION}", "is_anonymous": false}}"#
    );
    let headers = r#"{"host": "x", "user-agent": "curl/8", "x-request-id": "r-1",
                      "x-forwarded-for": "198.51.100.7, 203.0.113.9"}"#;
    let context = read(RequestSettings {
        claims: Some(&claims),
        headers: Some(headers),
        method: Some("PATCH"),
        path: Some("/packages"),
        ..RequestSettings::default()
    });
    assert_eq!(context.actor_id.as_deref(), Some("0c0ffee0-0000-4000-8000-000000000001"));
    assert_eq!(context.tenant_id.as_deref(), Some("c-7"));
    assert_eq!(context.session_id, Some(SESSION_BYTES));
    assert_eq!(context.client_ip, address("203.0.113.9"));
    let expected = json!({
        "user_agent": "curl/8", "request_id": "r-1", "forwarded_for": "198.51.100.7, 203.0.113.9",
        "method": "PATCH", "path": "/packages"
    });
    assert_eq!(extra(&context), expected);
}

#[test]
fn nothing_declared_is_nothing_read() {
    assert_eq!(read(RequestSettings::default()), RequestContext::default());
    let empty = Some("");
    let settings = RequestSettings {
        claims: empty,
        claim_sub: empty,
        claim_session_id: empty,
        headers: empty,
        method: empty,
        path: empty,
    };
    assert_eq!(read(settings), RequestContext::default());
    assert_eq!(read_claims("{}"), RequestContext::default());
}

#[test]
fn scalars_become_text_and_the_rest_is_absent() {
    let actor = |json: &str| read_claims(&format!(r#"{{"sub": {json} }}"#)).actor_id;
    assert_eq!(actor(r#""4711""#).as_deref(), Some("4711"));
    assert_eq!(actor("4711").as_deref(), Some("4711"));
    assert_eq!(actor("-1.50e3").as_deref(), Some("-1.50e3"));
    assert_eq!(actor("12345678901234567890123").as_deref(), Some("12345678901234567890123"));
    assert_eq!(actor("true").as_deref(), Some("true"));
    assert_eq!(actor("false").as_deref(), Some("false"));
    assert_eq!(actor(r#""Zo\u00eb \"Z\" \ud83e\udd80""#).as_deref(), Some("Zoë \"Z\" 🦀"));
    for absent in ["null", "{}", "[1]", r#""""#, r#"{"a": "b"}"#] {
        assert_eq!(actor(absent), None, "{absent}");
        assert!(read_claims(&format!(r#"{{"sub": {absent}}}"#)).extra.is_empty(), "{absent}");
    }
}

#[test]
fn the_last_of_two_members_counts() {
    assert_eq!(read_claims(r#"{"sub": "a", "sub": "b"}"#).actor_id.as_deref(), Some("b"));
    assert_eq!(read_claims(r#"{"sub": "a", "sub": null}"#).actor_id, None);
    assert_eq!(read_claims(r#"{"s\u0075b": "a"}"#).actor_id.as_deref(), Some("a"));
}

#[test]
fn the_older_settings_fill_what_the_claims_leave_open() {
    let older = RequestSettings {
        claim_sub: Some("old"),
        claim_session_id: Some(SESSION),
        ..RequestSettings::default()
    };
    let context = read(older);
    assert_eq!(context.actor_id.as_deref(), Some("old"));
    assert_eq!(context.session_id, Some(SESSION_BYTES));

    let context = read(RequestSettings { claims: Some(r#"{"sub": "new"}"#), ..older });
    assert_eq!(context.actor_id.as_deref(), Some("new"));
    assert_eq!(context.session_id, Some(SESSION_BYTES));

    let context = read(RequestSettings { claims: Some("oops"), ..older });
    assert_eq!(context.actor_id.as_deref(), Some("old"));
    assert_eq!(extra(&context), json!({"malformed": {"claims": "oops"}}));

    let context = read(RequestSettings { claims: Some(r#"{"session_id": "nonsense"}"#), ..older });
    assert_eq!(context.session_id, Some(SESSION_BYTES));
    assert_eq!(extra(&context), json!({"malformed": {"session_id": "nonsense"}}));
}

#[test]
fn another_actor_claim_is_never_filled_from_sub() {
    let rules =
        RequestRules { actor_claim: "https://example.org/user".to_owned(), ..RequestRules::default() };
    let settings = RequestSettings {
        claims: Some(r#"{"sub": "s", "https://example.org/user": "u"}"#),
        claim_sub: Some("s"),
        ..RequestSettings::default()
    };
    assert_eq!(read_request(&settings, &rules).actor_id.as_deref(), Some("u"));
    let settings = RequestSettings { claims: Some(r#"{"sub": "s"}"#), ..settings };
    assert_eq!(read_request(&settings, &rules).actor_id, None);
}

#[test]
fn the_first_tenant_claim_with_a_value_counts() {
    let tenant = |metadata: &str| read_claims(&format!(r#"{{"app_metadata": {metadata}}}"#)).tenant_id;
    assert_eq!(tenant(r#"{"community_id": "c", "tenant_id": "t"}"#).as_deref(), Some("t"));
    assert_eq!(tenant(r#"{"community_id": "c", "tenant_id": null}"#).as_deref(), Some("c"));
    assert_eq!(tenant(r#"{"community_id": 7, "tenant_id": {"a": 1}}"#).as_deref(), Some("7"));
    for none in ["null", "7", r#""tenant_id""#, "[]", "{}", r#"{"other": {"tenant_id": "t"}}"#] {
        let context = read_claims(&format!(r#"{{"app_metadata": {none}}}"#));
        assert_eq!(context, RequestContext::default(), "{none}");
    }
}

#[test]
fn tenant_claims_may_lie_anywhere() {
    let rules = |setting| RequestRules {
        tenant_claims: RequestRules::parse_paths(setting),
        ..RequestRules::default()
    };
    let settings = RequestSettings {
        claims: Some(r#"{"org": "o", "a": {"b": {"c": "deep"}}, "https://e.org/x.y": {"t": 3}}"#),
        ..RequestSettings::default()
    };
    let tenant = |setting| read_request(&settings, &rules(setting)).tenant_id;
    assert_eq!(tenant("org").as_deref(), Some("o"));
    assert_eq!(tenant("missing, a.b.c, org").as_deref(), Some("deep"));
    assert_eq!(tenant(r#""https://e.org/x.y".t"#).as_deref(), Some("3"));
    assert_eq!(tenant("a.b, a.b.c.d, sub.x"), None);
    assert_eq!(tenant(""), None);
}

#[test]
fn paths_are_written_with_dots_commas_and_quotes() {
    let parse = RequestRules::parse_paths;
    assert_eq!(
        parse("app_metadata.tenant_id, app_metadata.community_id"),
        [["app_metadata", "tenant_id"], ["app_metadata", "community_id"]]
    );
    assert_eq!(parse("org"), [["org"]]);
    assert_eq!(parse(r#" "a.b, c" . "say ""hi""" "#), [["a.b, c", "say \"hi\""]]);
    assert!(parse("").is_empty());
    assert!(parse(" , .. ,\"\"").is_empty());
    assert_eq!(parse(",a..b,"), [["a", "b"]]);
    assert_eq!(parse("\"open.end"), [["open.end"]]);
}

#[test]
fn sessions_are_read_in_every_spelling_of_postgresql() {
    let session = |text: &str| read_claims(&json!({ "session_id": text }).to_string());
    let spellings = [
        SESSION.to_owned(),
        SESSION.to_uppercase(),
        SESSION.replace('-', ""),
        format!("{{{SESSION}}}"),
        "6f1e-8c4a-0b2d-4c3e-9f10-1234-5678-90ab".to_owned(),
    ];
    for text in spellings {
        assert_eq!(session(&text).session_id, Some(SESSION_BYTES), "{text}");
    }
    let broken = [
        "4711",
        "6f1e8c4a-0b2d-4c3e-9f10-1234567890a",
        "6f1e8c4a-0b2d-4c3e-9f10-1234567890abc",
        "6f1e8c4a-0b2d-4c3e-9f10-1234567890ab-",
        "6f-1e8c4a0b2d4c3e9f101234567890ab",
        "6f1e8c4a--0b2d-4c3e-9f10-1234567890ab",
        "{6f1e8c4a-0b2d-4c3e-9f10-1234567890ab",
        "6f1e8c4a-0b2d-4c3e-9f10-1234567890ab}",
        "gf1e8c4a-0b2d-4c3e-9f10-1234567890ab",
        " 6f1e8c4a-0b2d-4c3e-9f10-1234567890ab",
    ];
    for text in broken {
        let context = session(text);
        assert_eq!(context.session_id, None, "{text}");
        assert_eq!(extra(&context), json!({"malformed": {"session_id": text}}));
    }
}

#[test]
fn what_is_no_object_is_kept_as_text() {
    for text in
        ["oops", "null", "7", "[]", "\"a\"", "{", "{}x", "{} {}", "{\"sub\": 'a'}", "{\"a\": tru}", " "]
    {
        assert_eq!(extra(&read_claims(text)), json!({"malformed": {"claims": text}}), "{text}");
        let context = read_headers(text, 1);
        assert_eq!(extra(&context), json!({"malformed": {"headers": text}}), "{text}");
        assert_eq!(context.client_ip, None);
    }
}

#[test]
fn malformed_text_is_cut_by_characters() {
    let long = "ä".repeat(1001);
    let context = read_claims(&long);
    assert_eq!(extra(&context)["malformed"]["claims"], Value::from("ä".repeat(1000)));
    let exact = "x".repeat(1000);
    assert_eq!(extra(&read_claims(&exact))["malformed"]["claims"], Value::from(exact));
    let agent = "u".repeat(5000);
    let context = read_headers(&json!({ "user-agent": agent }).to_string(), 1);
    assert_eq!(extra(&context), json!({ "user_agent": agent }), "whole values are never cut");
}

#[test]
fn a_value_that_no_text_can_hold_spoils_only_itself() {
    let context = read_claims(r#"{"sub": "a\u0000b", "app_metadata": {"tenant_id": "t"}}"#);
    assert_eq!(context.actor_id, None);
    assert_eq!(context.tenant_id.as_deref(), Some("t"));
    assert_eq!(extra(&context), json!({"malformed": {"claims": r#""a\u0000b""#}}));

    let context =
        read_claims(r#"{"sub": "u", "app_metadata": {"tenant_id": "\ud800", "community_id": "c"}}"#);
    assert_eq!(context.actor_id.as_deref(), Some("u"));
    assert_eq!(context.tenant_id.as_deref(), Some("c"));
    assert_eq!(extra(&context), json!({"malformed": {"claims": r#""\ud800""#}}));

    let context = read_claims(r#"{"sub": "u", "other": "\u0000", "x": {"\ud800": 1}}"#);
    assert_eq!(context.actor_id.as_deref(), Some("u"));
    assert!(context.extra.is_empty(), "what nobody asks for is not looked at");

    let context = read_claims(r#"{"sub": "\u0000 1", "session_id": "\u0000 2"}"#);
    assert_eq!(extra(&context), json!({"malformed": {"claims": r#""\u0000 1""#}}), "the first is kept");

    let context = read_headers(r#"{"user-agent": "\u0000", "x-request-id": "r"}"#, 1);
    assert_eq!(extra(&context), json!({"request_id": "r", "malformed": {"headers": r#""\u0000""#}}));
}

#[test]
fn a_broken_inner_object_is_noted() {
    let context = read_claims(r#"{"sub": "u", "app_metadata": {"\ud800": 1}}"#);
    assert_eq!(context.actor_id.as_deref(), Some("u"));
    assert_eq!(context.tenant_id, None);
    assert_eq!(extra(&context), json!({"malformed": {"claims": r#"{"\ud800": 1}"#}}));
}

#[test]
fn depth_is_no_way_to_crash() {
    let deep = format!("{{\"sub\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read_claims(&deep), RequestContext::default());
    let deep = format!("{{\"app_metadata\": {}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(read_claims(&deep), RequestContext::default());
}

#[test]
fn header_names_are_in_lower_case() {
    assert!(read_headers(r#"{"User-Agent": "x", "X-Forwarded-For": "192.0.2.1"}"#, 1).extra.is_empty());
    assert_eq!(
        extra(&read_headers(r#"{"x-request-id": 7, "user-agent": null}"#, 1)),
        json!({"request_id": "7"})
    );
}

#[test]
fn the_client_is_counted_from_the_right() {
    let forwarded = "198.51.100.1, 198.51.100.2,198.51.100.3 ,, 198.51.100.4";
    let client = |trusted| read_headers(&json!({ "x-forwarded-for": forwarded }).to_string(), trusted);
    assert_eq!(client(1).client_ip, address("198.51.100.4"));
    assert_eq!(client(2).client_ip, address("198.51.100.3"));
    assert_eq!(client(4).client_ip, address("198.51.100.1"));
    assert_eq!(client(5).client_ip, address("198.51.100.1"), "too few entries: the leftmost");
    assert_eq!(client(usize::MAX).client_ip, address("198.51.100.1"));
    assert_eq!(client(0).client_ip, None);
    for trusted in [0, 1, 9] {
        assert_eq!(extra(&client(trusted)), json!({ "forwarded_for": forwarded }));
    }
}

#[test]
fn addresses_as_proxies_write_them() {
    let client = |entry: &str| read_headers(&json!({ "x-forwarded-for": entry }).to_string(), 1);
    let cases = [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\t", "192.0.2.1"),
        ("192.0.2.1:567", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8::1]:80", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:443", "192.0.2.1"),
        ("::1", "::1"),
    ];
    for (text, expected) in cases {
        let context = client(text);
        assert_eq!(context.client_ip, address(expected), "{text}");
        assert_eq!(extra(&context), json!({ "forwarded_for": text }));
    }
    for text in [
        "unknown",
        "_hidden",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1:",
        "192.0.2.1:99999",
        "[192.0.2.1]",
        "::g",
    ] {
        let context = client(text);
        assert_eq!(context.client_ip, None, "{text}");
        assert_eq!(extra(&context), json!({ "forwarded_for": text, "malformed": { "client_ip": text } }));
    }
    assert_eq!(extra(&client(" , ,")), json!({ "forwarded_for": " , ," }), "no entry is not a malformed one");
}
