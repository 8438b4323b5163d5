//! Reading a request against arbitrary input, with `serde_json` as the independent reference; declared
//! context.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use audit_guard_core::request::{
    MALFORMED_LIMIT, RESERVED_CONTEXT_KEYS, RequestContext, RequestRules, RequestSettings,
    check_declared_context, merge, read_request,
};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => unreachable!("not an object: {other}"),
    }
}

/// Text that is JSON, nearly JSON, or anything.
fn text() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        "\"(sub|session_id|app_metadata)\": ?(\"[^\"]{0,12}\"|-?[0-9]{1,4}|null|\\{\\})",
        "\"(user-agent|x-request-id|x-forwarded-for)\": ?(\"[^\"]{0,12}\"|-?[0-9]{1,4}|null)",
        "\"(sub|app_metadata)\":\\{?\"(tenant_id|community_id)\":[0-9]\\}?",
        "\"sub\":\"(\\\\u0000|\\\\ud[89a-f]00|\\\\n|\\PC){0,4}\"",
        "\"x-forwarded-for\":\"[0-9.:,\\[\\] a-f]{0,30}\"",
    ];
    prop_oneof![
        4 => prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        1 => "(?s).*",
        1 => "[{}\\[\\]\":,\\\\a-z0-9 ]{0,40}",
    ]
}

fn json_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(?s).{0,8}".prop_map(Value::from),
    ]
}

fn json_object() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec!["sub", "app_metadata", "tenant_id", "community_id", "app", "x"]);
    let names = names.prop_map(str::to_owned);
    let value = json_leaf().prop_recursive(3, 24, 5, move |inner| {
        prop::collection::btree_map(names.clone(), inner, 0..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    });
    value.prop_filter("an object", Value::is_object)
}

/// What a claim must become, said independently.
fn expected_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() && !text.contains('\0') => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn storable(context: &RequestContext) -> bool {
    fn value_storable(value: &Value) -> bool {
        match value {
            Value::String(text) => !text.contains('\0'),
            Value::Object(map) => map.iter().all(|(key, value)| !key.contains('\0') && value_storable(value)),
            _ => true,
        }
    }
    let texts = [&context.actor_id, &context.tenant_id];
    texts.into_iter().flatten().all(|text| !text.contains('\0')) && context.extra.values().all(value_storable)
}

proptest! {
    #[test]
    fn any_request_is_read_and_can_be_stored(
        texts in prop::array::uniform6(prop::option::of(text())),
        actor_claim in prop_oneof![Just("sub".to_owned()), ".*"],
        paths in ".*",
        trusted_proxy_count in 0_usize..4,
    ) {
        let [claims, claim_sub, claim_session_id, headers, method, path] = &texts;
        let settings = RequestSettings {
            claims: claims.as_deref(),
            claim_sub: claim_sub.as_deref(),
            claim_session_id: claim_session_id.as_deref(),
            headers: headers.as_deref(),
            method: method.as_deref(),
            path: path.as_deref(),
        };
        let tenant_claims = RequestRules::parse_paths(&paths);
        for rules in [
            RequestRules { trusted_proxy_count, ..RequestRules::default() },
            RequestRules { actor_claim, tenant_claims, trusted_proxy_count },
        ] {
            let context = read_request(&settings, &rules);
            prop_assert!(storable(&context));
            prop_assert!(context.actor_id.as_deref() != Some("") && context.tenant_id.as_deref() != Some(""));
            let malformed = context.extra.get("malformed").and_then(Value::as_object);
            for text in malformed.into_iter().flat_map(Map::values) {
                prop_assert!(text.as_str().unwrap().chars().count() <= MALFORMED_LIMIT);
            }
        }
    }

    #[test]
    fn claims_agree_with_a_full_parse(claims in json_object(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&claims).unwrap() } else { claims.to_string() };
        let settings = RequestSettings { claims: Some(&text), ..RequestSettings::default() };
        let context = read_request(&settings, &RequestRules::default());
        prop_assert_eq!(context.actor_id, expected_text(claims.get("sub")));
        let tenant = ["/app_metadata/tenant_id", "/app_metadata/community_id"];
        let tenant = tenant.into_iter().find_map(|pointer| expected_text(claims.pointer(pointer)));
        prop_assert_eq!(context.tenant_id, tenant);
    }

    #[test]
    fn claims_are_malformed_exactly_when_they_are_no_object(claims in text()) {
        let settings = RequestSettings { claims: Some(&claims), ..RequestSettings::default() };
        let actor_claim = "absent".to_owned();
        let rules = RequestRules { actor_claim, tenant_claims: vec![], trusted_proxy_count: 0 };
        let context = read_request(&settings, &rules);
        let full = serde_json::from_str::<Map<String, Value>>(&claims);
        // Both readings are lenient in other places; only where they agree is the answer fixed.
        let skimmed = serde_json::from_str::<&RawValue>(&claims);
        let noted = context.extra.get("malformed").is_some_and(|malformed| malformed.get("claims").is_some());
        if full.is_ok() {
            prop_assert!(!noted);
        } else if skimmed.is_err() && !claims.is_empty() {
            prop_assert!(noted);
        }
    }

    #[test]
    fn merging_keeps_later_keys_and_forgets_none(earlier in json_object(), later in json_object()) {
        let (earlier, later) = (object(earlier), object(later));
        let mut merged = earlier.clone();
        merge(&mut merged, later.clone());
        for (key, value) in &merged {
            let (old, new) = (earlier.get(key), later.get(key));
            match (old.and_then(Value::as_object), new.and_then(Value::as_object)) {
                (Some(old), Some(new)) if key == "app" => {
                    let mut both = old.clone();
                    both.extend(new.clone());
                    prop_assert_eq!(value, &Value::Object(both));
                }
                _ => prop_assert_eq!(Some(value), new.or(old)),
            }
        }
        prop_assert!(earlier.keys().chain(later.keys()).all(|key| merged.contains_key(key)));
    }
}

#[test]
fn later_declarations_replace_and_app_is_merged() {
    let mut context =
        object(json!({"note": {"a": 1}, "app": {"ticket": "HD-88", "step": {"n": 1}}, "kept": 1}));
    merge(&mut context, object(json!({"note": {"b": 2}, "app": {"step": {"m": 2}, "who": null}})));
    let expected = json!({
        "note": {"b": 2}, "app": {"ticket": "HD-88", "step": {"m": 2}, "who": null}, "kept": 1
    });
    assert_eq!(Value::Object(context.clone()), expected);
    merge(&mut context, object(json!({"app": "flat"})));
    assert_eq!(context["app"], json!("flat"));
    merge(&mut context, object(json!({"app": {"again": true}})));
    assert_eq!(context["app"], json!({"again": true}));
}

#[test]
fn reserved_keys_are_the_servers_alone() {
    assert_eq!(check_declared_context(&Map::new()), Ok(()));
    assert_eq!(check_declared_context(&object(json!({"user_agent": "mine", "app": {"jwt_sub": 1}}))), Ok(()));
    for key in RESERVED_CONTEXT_KEYS {
        let error = check_declared_context(&object(json!({ "app": {}, key: null }))).unwrap_err();
        assert_eq!(error.to_string(), format!("context key \"{key}\" is written by the server only"));
        assert!(error.hint().is_some_and(|hint| hint.contains(key)));
    }
}
