//! Under which keys failed logins are counted.

use crate::pg::{encoding, inet};
use crate::settings;
use audit_guard_core::throttle;
use pgrx::datum::Uuid;
use pgrx::prelude::*;

/// The key of an account, however its email is written; NULL for a blank one. Text is in the database's
/// encoding.
#[pg_extern(sql = false, stable)]
fn account_key(email: &[u8]) -> Option<Uuid> {
    throttle::account_key(&encoding::to_utf8(email), settings::fold_plus_tags()).map(Uuid::from_bytes)
}

/// What stands for an account among the failures of a network.
#[pg_extern(sql = false, immutable)]
fn account_tag(account: Uuid) -> i32 {
    throttle::account_tag(account.as_bytes()).into()
}

/// The key of an account in a network.
#[pg_extern(sql = false, immutable)]
fn pair_key(account: Uuid, network: &[u8]) -> Option<Uuid> {
    let (network, prefix) = inet::read(network)?;
    Some(Uuid::from_bytes(throttle::pair_key(account.as_bytes(), network, prefix)))
}

/// The key of an account on a device; NULL for a blank fingerprint.
#[pg_extern(sql = false, immutable)]
fn device_key(account: Uuid, fingerprint: &[u8]) -> Option<Uuid> {
    throttle::device_key(account.as_bytes(), &encoding::to_utf8(fingerprint)).map(Uuid::from_bytes)
}

/// The network that an address shares its budget with; NULL is an address, too.
#[pg_extern(sql = false, stable)]
fn login_network(ip: Option<&[u8]>) -> Vec<u8> {
    let address = ip.and_then(inet::read).map(|(address, _)| address);
    inet::write(throttle::login_network(address, settings::ipv6_prefix()))
}
