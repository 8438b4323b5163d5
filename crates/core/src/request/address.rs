//! Addresses as proxies write them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The entry of an `x-forwarded-for` header that was written by the outermost trusted proxy.
///
/// Each proxy appends the address it was called from, so with `trusted` proxies the client is the
/// `trusted`-th entry from the right; everything further left is the client's own claim. With fewer entries
/// it is the leftmost. Empty entries are skipped. `None` when no proxy is trusted or the header has no entry.
#[must_use]
pub fn forwarded_entry(header: &str, trusted: usize) -> Option<&str> {
    header.rsplit(',').map(str::trim).filter(|entry| !entry.is_empty()).take(trusted).last()
}

/// Reads an address with or without a port: `192.0.2.1`, `192.0.2.1:567`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`. An IPv4 address mapped into IPv6 comes out as IPv4. `None` for anything else.
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse::<IpAddr>().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}
