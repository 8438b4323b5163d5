//! Tag and payload of each kind of value.

use std::net::IpAddr;

use super::super::reader::push_prefixed;
use super::{Scalar, TAG_ARRAY, TAG_NULL};

/// From 1970 to 2000, where PostgreSQL begins to count, in microseconds.
pub const US_1970_TO_2000: i64 = 946_684_800_000_000;
/// The same in days.
pub const DAYS_1970_TO_2000: i32 = 10_957;

/// Microseconds since 1970 from PostgreSQL's microseconds since 2000. The infinities stay; what is beyond the
/// year 294246 wraps around to times before the first that PostgreSQL has, so no two become one.
#[inline]
#[must_use]
pub const fn time_from_2000(us: i64) -> i64 {
    match us {
        i64::MIN | i64::MAX => us,
        _ => us.wrapping_add(US_1970_TO_2000),
    }
}

/// Days since 1970 from PostgreSQL's days since 2000. The infinities stay.
#[inline]
#[must_use]
pub const fn date_from_2000(days: i32) -> i32 {
    match days {
        i32::MIN | i32::MAX => days,
        _ => days.wrapping_add(DAYS_1970_TO_2000),
    }
}

/// Writes value encodings at the end of a buffer.
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Writes to `out`.
    #[inline]
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// SQL NULL.
    #[inline]
    pub fn null(&mut self) {
        self.out.push(TAG_NULL);
    }

    /// A truth value.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(&[Scalar::Bool as u8, u8::from(value)]);
    }

    /// An integer of any width.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.tagged(Scalar::Int, value.to_be_bytes());
    }

    /// The text that `numeric_out` gives.
    #[inline]
    pub fn numeric(&mut self, text: &[u8]) {
        self.prefixed(Scalar::Numeric, text);
    }

    /// A floating-point number. There are many NaN, and all become one.
    #[inline]
    pub fn float(&mut self, value: f64) {
        let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
        self.tagged(Scalar::Float, bits.to_be_bytes());
    }

    /// Text in UTF-8.
    #[inline]
    pub fn text(&mut self, text: &[u8]) {
        self.prefixed(Scalar::Text, text);
    }

    /// Bytes.
    #[inline]
    pub fn bytea(&mut self, bytes: &[u8]) {
        self.prefixed(Scalar::Bytea, bytes);
    }

    /// Microseconds since 1970 UTC, see [`time_from_2000`].
    #[inline]
    pub fn timestamptz(&mut self, us: i64) {
        self.tagged(Scalar::Timestamptz, us.to_be_bytes());
    }

    /// Microseconds since 1970, see [`time_from_2000`].
    #[inline]
    pub fn timestamp(&mut self, us: i64) {
        self.tagged(Scalar::Timestamp, us.to_be_bytes());
    }

    /// Days since 1970, see [`date_from_2000`].
    #[inline]
    pub fn date(&mut self, days: i32) {
        self.tagged(Scalar::Date, days.to_be_bytes());
    }

    /// Microseconds since midnight.
    #[inline]
    pub fn time(&mut self, us: i64) {
        self.tagged(Scalar::Time, us.to_be_bytes());
    }

    /// A span of time.
    #[inline]
    pub fn interval(&mut self, months: i32, days: i32, us: i64) {
        self.tagged(Scalar::Interval, months.to_be_bytes());
        self.out.extend_from_slice(&days.to_be_bytes());
        self.out.extend_from_slice(&us.to_be_bytes());
    }

    /// A UUID.
    #[inline]
    pub fn uuid(&mut self, bytes: &[u8; 16]) {
        self.tagged(Scalar::Uuid, *bytes);
    }

    /// A host's or a network's address with the bits of its network.
    #[inline]
    pub fn inet(&mut self, is_cidr: bool, prefix: u8, address: IpAddr) {
        self.out.extend_from_slice(&[Scalar::Inet as u8, u8::from(is_cidr)]);
        match address {
            IpAddr::V4(address) => {
                self.out.extend_from_slice(&[4, prefix]);
                self.out.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                self.out.extend_from_slice(&[6, prefix]);
                self.out.extend_from_slice(&address.octets());
            }
        }
    }

    /// A jsonb as PostgreSQL prints it.
    #[inline]
    pub fn jsonb(&mut self, text: &[u8]) {
        self.prefixed(Scalar::Jsonb, text);
    }

    /// An unsigned integer.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.tagged(Scalar::U64, value.to_be_bytes());
    }

    /// The beginning of an array: what its elements are, and lower bound and length per dimension. The
    /// elements follow, each with its own tag. An array of PostgreSQL has at most six dimensions.
    #[inline]
    pub fn array(&mut self, element: Scalar, dims: &[(i32, u32)]) {
        self.out.extend_from_slice(&[TAG_ARRAY, element as u8, dims.len() as u8]);
        for (lower, length) in dims {
            self.out.extend_from_slice(&lower.to_be_bytes());
            self.out.extend_from_slice(&length.to_be_bytes());
        }
    }

    #[inline]
    fn tagged<const N: usize>(&mut self, tag: Scalar, payload: [u8; N]) {
        self.out.push(tag as u8);
        self.out.extend_from_slice(&payload);
    }

    #[inline]
    fn prefixed(&mut self, tag: Scalar, bytes: &[u8]) {
        self.out.push(tag as u8);
        push_prefixed(bytes, self.out);
    }
}
