//! Addresses between the server's form and ours: the bytes of an inet, without the header of a varlena.

use std::net::IpAddr;

/// As in the server's utils/inet.h.
const IPV4: u8 = 2;
const IPV6: u8 = 3;

/// The address and the length of its prefix; None for what is no inet.
pub(crate) fn read(inet: &[u8]) -> Option<(IpAddr, u8)> {
    match *inet {
        [IPV4, prefix, ref address @ ..] => Some((<[u8; 4]>::try_from(address).ok()?.into(), prefix)),
        [IPV6, prefix, ref address @ ..] => Some((<[u8; 16]>::try_from(address).ok()?.into(), prefix)),
        _ => None,
    }
}

/// The bytes of an inet.
pub(crate) fn write((address, prefix): (IpAddr, u8)) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => [&[IPV4, prefix], address.octets().as_slice()].concat(),
        IpAddr::V6(address) => [&[IPV6, prefix], address.octets().as_slice()].concat(),
    }
}
