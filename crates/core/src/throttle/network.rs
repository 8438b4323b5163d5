//! Which addresses share one budget.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of an address and the length of its prefix: one address of IPv4, and of IPv6 as many as one
/// customer gets, which the prefix says. Who has no address shares the network 0.0.0.0 with all others that
/// have none.
#[must_use]
pub fn login_network(address: Option<IpAddr>, ipv6_prefix: u8) -> (IpAddr, u8) {
    match address.map(|address| address.to_canonical()) {
        None => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 32),
        Some(IpAddr::V4(address)) => (IpAddr::V4(address), 32),
        Some(IpAddr::V6(address)) => {
            let prefix = ipv6_prefix.min(128);
            let host_bits = 128 - u32::from(prefix);
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            (IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask)), prefix)
        }
    }
}
