//! Keys of accounts, networks and devices.

use audit_guard_core::throttle::{
    account_key, account_tag, device_key, login_network, normalised, pair_key, person_hash,
};
use proptest::prelude::*;
use std::net::IpAddr;

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn key(email: &str) -> String {
    hex(account_key(email, false).unwrap())
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(text: &str, prefix: u8) -> String {
    let (network, length) = login_network(Some(address(text)), prefix);
    format!("{network}/{length}")
}

#[test]
fn keys_are_what_they_always_were() {
    assert_eq!(key("maria@example.org"), MARIA);
    assert_eq!(key("müller@exämple.org"), "ae2c5284f5098c385c0676e742e8490a");
    let maria = account_key("maria@example.org", false).unwrap();
    let (v4, prefix) = login_network(Some(address("192.0.2.7")), 64);
    assert_eq!(hex(pair_key(&maria, v4, prefix)), "bd081223b37842fc8c1f84a108c05f11");
    let (v6, prefix) = login_network(Some(address("2001:db8:1:2:3:4:5:6")), 64);
    assert_eq!(hex(pair_key(&maria, v6, prefix)), "3701084d91f8c40a974ad752f45efc77");
    assert_eq!(hex(device_key(&maria, "Firefox é").unwrap()), "690b8a88a6e81190c99e40b4f24d263e");
    assert_eq!(person_hash("user-1"), 7_081_402_220_787_298_255);
    assert_eq!(account_tag(&maria), 0x8692);
}

const MARIA: &str = "86923f02de1d913f1ade8f3a0e25cb22";

#[test]
fn one_account_has_one_key() {
    for spelling in [
        "  Maria@Example.ORG\t",
        "MARIA@EXAMPLE.ORG",
        "\u{2003}maria@example.org\u{a0}",
        "ｍａｒｉａ＠ｅｘａｍｐｌｅ．ｏｒｇ",
        "maria@example．org",
    ] {
        assert_eq!(key(spelling), MARIA, "{spelling:?}");
    }
    assert_eq!(key("JOSÉ@example.org"), key("jose\u{301}@example.org"));
    assert_eq!(key("ΣΊΣΥΦΟΣ@example.org"), key("σίσυφος@example.org"));
    assert_eq!(key("ΣΊΣΥΦΟΣ"), key("σίσυφος"));
    assert_eq!(key("STRAẞE@example.org"), key("straße@example.org"));
    assert_eq!(key("ﬁnn@example.org"), key("FINN@example.org"));
    assert_ne!(key("maria@example.org"), key("mario@example.org"));
    assert_ne!(key("m.aria@example.org"), MARIA);
}

#[test]
fn tags_are_cut_off_only_if_wanted() {
    let same = |tagged, plain| account_key(tagged, true) == account_key(plain, true);
    assert_ne!(account_key("maria+shop@example.org", false), account_key("maria@example.org", false));
    assert!(same("Maria+Shop@example.org", "maria@example.org"));
    assert!(same("maria+a+b@example.org", "maria@example.org"));
    assert!(same("maria＋shop@example.org", "maria@example.org"));
    // The domain begins with the last sign; a tag without a name, and what is no email, stay.
    assert!(same("\"a@b\"+x@example.org", "\"a@b\"@example.org"));
    assert!(!same("+a@example.org", "+b@example.org"));
    assert!(!same("+491", "+492") && !same("a+b", "a"));
    assert!(!same("maria@example+x.org", "maria@example.org"));
}

#[test]
fn what_says_nothing_has_no_key() {
    for blank in ["", " ", "\t\r\n", "\u{2003}\u{a0}", &" ".repeat(5000)] {
        assert_eq!(account_key(blank, true), None, "{blank:?}");
        assert_eq!(device_key(&[0; 16], blank), None, "{blank:?}");
    }
}

#[test]
fn an_endless_email_is_hashed_as_it_is() {
    let long = "A".repeat(1025);
    assert_eq!(key(&long), "0d85347a533230edf832ea01c1e1f031");
    assert_eq!(key(&format!("  {long} ")), key(&long));
    assert_ne!(key(&long), key(&long.to_lowercase()));
    assert_eq!(key(&"A".repeat(1024)), key(&"a".repeat(1024)));
}

#[test]
fn a_device_is_what_it_says_exactly() {
    let maria = account_key("maria@example.org", false).unwrap();
    assert_ne!(device_key(&maria, "abc"), device_key(&maria, "ABC"));
    assert_ne!(device_key(&maria, "abc"), device_key(&[7; 16], "abc"));
}

#[test]
fn one_customer_has_one_network() {
    assert_eq!(network("192.0.2.7", 64), "192.0.2.7/32");
    assert_eq!(network("::ffff:192.0.2.7", 64), "192.0.2.7/32");
    assert_eq!(network("2001:db8:1:2:3:4:5:6", 64), "2001:db8:1:2::/64");
    assert_eq!(network("2001:db8:1:2ff:3:4:5:6", 56), "2001:db8:1:200::/56");
    assert_eq!(network("2001:db8:1:2:3:4:5:6", 48), "2001:db8:1::/48");
    assert_eq!(network("2001:db8::1", 128), "2001:db8::1/128");
    assert_eq!(network("2001:db8::1", 255), "2001:db8::1/128");
    assert_eq!(network("2001:db8::1", 0), "::/0");
    assert_eq!(login_network(None, 64), (address("0.0.0.0"), 32));
}

proptest! {
    #[test]
    fn a_normalised_email_stays_as_it_is(email in "(?s).{0,24}", fold: bool) {
        let once = normalised(&email, fold).into_owned();
        let twice = normalised(&once, false).into_owned();
        prop_assert_eq!(&twice, &once);
        prop_assert_eq!(once.trim(), once.as_str());
    }

    #[test]
    fn ascii_takes_a_short_cut_to_the_same(email in "[ -~\t\n]{0,24}", fold: bool) {
        // The same text with a letter that goes away with normalising, so that the long way is taken.
        let long_way = normalised(&format!("Å{email}"), false).into_owned();
        let short_way = format!("å{}", email.to_lowercase());
        prop_assert_eq!(long_way.trim_end(), short_way.trim_end());
        prop_assert_eq!(account_key(&email, fold), account_key(&email.to_uppercase(), fold));
    }

    #[test]
    fn all_addresses_of_a_network_are_one(bits: u128, host: u128, prefix in 48_u8..=128) {
        let host = host & u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let mask = !u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let one = login_network(Some(IpAddr::V6(bits.into())), prefix);
        let other = login_network(Some(IpAddr::V6(((bits & mask) | host).into())), prefix);
        prop_assert_eq!(one, other);
    }
}
