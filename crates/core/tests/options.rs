//! Trigger arguments: golden cases, refusals and the round trip.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use audit_guard_core::options::{ColumnRef, Detail, OptionError, TrackingOptions};
use proptest::prelude::*;

fn column(name: &str, attnum: Option<i16>, relid: Option<u32>) -> ColumnRef {
    ColumnRef { name: name.to_owned(), attnum, relid }
}

#[test]
fn no_arguments_are_the_defaults() {
    let options = TrackingOptions::parse([]).unwrap();
    assert_eq!(options, TrackingOptions::default());
    assert_eq!(options.detail, Detail::Full);
    assert!(options.to_args().is_empty());
}

#[test]
fn every_option_at_once() {
    let args = [
        "exclude=photo#4@16385",
        "exclude=note",
        "mask=iban#7@16385",
        "tenant=community_id#2@16385",
        "detail=delta",
        "log_truncated_rows",
        "phi",
    ];
    let options = TrackingOptions::parse(args).unwrap();
    let expected = TrackingOptions {
        exclude: vec![column("photo", Some(4), Some(16385)), column("note", None, None)],
        mask: vec![column("iban", Some(7), Some(16385))],
        tenant: Some(column("community_id", Some(2), Some(16385))),
        detail: Detail::Delta,
        log_truncated_rows: true,
        phi: true,
    };
    assert_eq!(options, expected);
    assert_eq!(options.to_args(), args);
}

#[test]
fn the_order_of_arguments_does_not_matter() {
    let forwards = TrackingOptions::parse(["phi", "mask=a", "detail=changed"]).unwrap();
    let backwards = TrackingOptions::parse(["detail=changed", "mask=a", "phi"]).unwrap();
    assert_eq!(forwards, backwards);
}

#[test]
fn the_default_detail_may_be_written_but_is_not() {
    let options = TrackingOptions::parse(["detail=full"]).unwrap();
    assert_eq!(options, TrackingOptions::default());
    assert!(options.to_args().is_empty());
}

#[test]
fn column_texts_are_read_from_the_right() {
    let cases = [
        ("a", column("a", None, None)),
        ("a#3@9", column("a", Some(3), Some(9))),
        ("a#3@", column("a", Some(3), None)),
        ("a#@9", column("a", None, Some(9))),
        ("a#1@2#3@9", column("a#1@2", Some(3), Some(9))),
        ("a=b#3@9", column("a=b", Some(3), Some(9))),
        ("user@home#3@9", column("user@home", Some(3), Some(9))),
        ("##3@4294967295", column("#", Some(3), Some(u32::MAX))),
        ("Straße#32767@1", column("Straße", Some(i16::MAX), Some(1))),
    ];
    for (text, expected) in cases {
        let parsed = ColumnRef::parse(text);
        assert_eq!(parsed, expected, "{text}");
        assert_eq!(parsed.to_string(), text);
    }
}

#[test]
fn what_is_no_suffix_belongs_to_the_name() {
    let names = [
        "a#",
        "a@9",
        "a#3",
        "#3@9",
        "a#x@9",
        "a#3@y",
        "a#03@9",
        "a#3@+9",
        "a#32768@9",
        "a#3@4294967296",
        "a#3 @9",
        " a ",
    ];
    for name in names {
        assert_eq!(ColumnRef::parse(name), ColumnRef::named(name), "{name}");
        assert_eq!(ColumnRef::named(name).to_string(), name);
    }
}

#[test]
fn a_bare_name_that_looks_suffixed_survives() {
    for name in ["a#3@9", "a#@", "a#3@", "a#@9", "a#@#@"] {
        let bare = ColumnRef::named(name);
        assert_eq!(bare.to_string(), format!("{name}#@"));
        assert_eq!(ColumnRef::parse(&bare.to_string()), bare);
    }
}

#[test]
fn what_is_not_understood_is_refused_with_advice() {
    let cases = [
        ("excluded=a", "unknown tracking option \"excluded=a\""),
        ("EXCLUDE=a", "unknown tracking option \"EXCLUDE=a\""),
        (" phi", "unknown tracking option \" phi\""),
        ("", "unknown tracking option \"\""),
        ("exclude", "tracking option exclude needs a value"),
        ("mask=", "tracking option mask needs a value"),
        ("tenant", "tracking option tenant needs a value"),
        ("detail", "tracking option detail needs a value"),
        ("detail=", "unknown detail \"\""),
        ("detail=Full", "unknown detail \"Full\""),
        ("phi=false", "tracking option phi takes no value"),
        ("log_truncated_rows=", "tracking option log_truncated_rows takes no value"),
    ];
    for (arg, message) in cases {
        let error = TrackingOptions::parse(["mask=b", arg]).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.hint().is_some_and(|hint| hint.ends_with('.')), "{arg}");
    }
}

#[test]
fn single_values_are_given_once() {
    for args in [["tenant=a", "tenant=a"], ["detail=full", "detail=delta"]] {
        let error = TrackingOptions::parse(args).unwrap_err();
        assert!(matches!(error, OptionError::Repeated { .. }), "{args:?}");
    }
    assert!(TrackingOptions::parse(["phi", "phi"]).unwrap().phi);
}

#[test]
fn advice_fits_the_option() {
    let hint = |arg| TrackingOptions::parse([arg]).unwrap_err().hint().unwrap();
    assert_eq!(hint("mask"), "Write mask=column.");
    assert_eq!(hint("detail"), "Detail is full, delta or changed.");
    assert_eq!(hint("detail=none"), "Detail is full, delta or changed.");
    assert_eq!(hint("phi=on"), "Write phi alone, or leave it out.");
}

/// Names made mostly of the characters that mean something in an argument.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[#@=0-9a]{1,12}", "[a-z]{1,3}#[0-9]{0,5}@[0-9]{0,5}", "\\PC{1,20}", "(?s).{1,20}"]
}

fn reference() -> impl Strategy<Value = ColumnRef> {
    (name(), any::<Option<i16>>(), any::<Option<u32>>()).prop_map(|(name, attnum, relid)| ColumnRef {
        name,
        attnum,
        relid,
    })
}

fn options() -> impl Strategy<Value = TrackingOptions> {
    (
        prop::collection::vec(reference(), 0..4),
        prop::collection::vec(reference(), 0..4),
        prop::option::of(reference()),
        prop_oneof![Just(Detail::Full), Just(Detail::Delta), Just(Detail::Changed)],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(exclude, mask, tenant, detail, log_truncated_rows, phi)| TrackingOptions {
            exclude,
            mask,
            tenant,
            detail,
            log_truncated_rows,
            phi,
        })
}

proptest! {
    #[test]
    fn arguments_round_trip(options in options()) {
        let args = options.to_args();
        prop_assert_eq!(TrackingOptions::parse(args.iter().map(String::as_str)).unwrap(), options);
    }

    #[test]
    fn any_column_text_means_something_and_stays_what_it_means(text in name()) {
        let parsed = ColumnRef::parse(&text);
        prop_assert!(!parsed.name.is_empty());
        prop_assert_eq!(ColumnRef::parse(&parsed.to_string()), parsed);
    }

    #[test]
    fn accepted_arguments_are_equivalent_to_what_is_written_back(
        args in prop::collection::vec(
            prop_oneof!["(exclude|mask|tenant|detail|phi|log_truncated_rows)=?[a#@0-9]{0,6}", ".*"], 0..4)
    ) {
        if let Ok(options) = TrackingOptions::parse(args.iter().map(String::as_str)) {
            let written = options.to_args();
            prop_assert_eq!(TrackingOptions::parse(written.iter().map(String::as_str)).unwrap(), options);
        }
    }
}
