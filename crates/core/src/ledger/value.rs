//! Values and the bytes that stand for them.
//!
//! The bytes depend on the value only: not on settings of the session, on collations or on object numbers.

mod decode;
mod encode;
mod portable;

use std::net::IpAddr;

pub use encode::{DAYS_1970_TO_2000, Encoder, US_1970_TO_2000, date_from_2000, time_from_2000};

/// What kind of value a field has: a scalar, or an array of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// One value.
    Scalar(Scalar),
    /// An array, of any number of dimensions.
    Array(Scalar),
}

/// The kinds of single values. The number is the tag in front of the encoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Scalar {
    /// boolean
    Bool = 0x01,
    /// smallint, integer, bigint
    Int = 0x02,
    /// numeric
    Numeric = 0x03,
    /// real, double precision
    Float = 0x04,
    /// text, varchar, char, name, an enum's label, json
    Text = 0x05,
    /// bytea
    Bytea = 0x06,
    /// timestamp with time zone
    Timestamptz = 0x07,
    /// timestamp without time zone
    Timestamp = 0x08,
    /// date
    Date = 0x09,
    /// time without time zone
    Time = 0x0a,
    /// interval
    Interval = 0x0b,
    /// uuid
    Uuid = 0x0c,
    /// inet, cidr
    Inet = 0x0d,
    /// jsonb
    Jsonb = 0x0e,
    /// `xid8`, `pg_lsn`
    U64 = 0x10,
}

/// The tag of SQL NULL.
pub(super) const TAG_NULL: u8 = 0x00;
/// The tag of an array.
pub(super) const TAG_ARRAY: u8 = 0x0f;
/// The tag of a field that is committed to apart from the group.
pub(super) const TAG_APART: u8 = 0x1f;

const NAMES: [(Scalar, &str, &str); 15] = [
    (Scalar::Bool, "bool", "array:bool"),
    (Scalar::Int, "int", "array:int"),
    (Scalar::Numeric, "numeric", "array:numeric"),
    (Scalar::Float, "float", "array:float"),
    (Scalar::Text, "text", "array:text"),
    (Scalar::Bytea, "bytea", "array:bytea"),
    (Scalar::Timestamptz, "timestamptz", "array:timestamptz"),
    (Scalar::Timestamp, "timestamp", "array:timestamp"),
    (Scalar::Date, "date", "array:date"),
    (Scalar::Time, "time", "array:time"),
    (Scalar::Interval, "interval", "array:interval"),
    (Scalar::Uuid, "uuid", "array:uuid"),
    (Scalar::Inet, "inet", "array:inet"),
    (Scalar::Jsonb, "jsonb", "array:jsonb"),
    (Scalar::U64, "u64", "array:u64"),
];

impl Type {
    /// The name that schema definitions use.
    #[must_use]
    pub fn name(self) -> &'static str {
        let (Self::Scalar(scalar) | Self::Array(scalar)) = self;
        let names = NAMES.iter().find(|(known, ..)| *known == scalar);
        match self {
            Self::Scalar(_) => names.map_or("", |(_, name, _)| name),
            Self::Array(_) => names.map_or("", |(_, _, name)| name),
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find_map(|&(scalar, single, array)| match name {
            _ if name == single => Some(Self::Scalar(scalar)),
            _ if name == array => Some(Self::Array(scalar)),
            _ => None,
        })
    }

    /// The type that values of this tag have, for an array's elements.
    #[must_use]
    pub fn scalar_of_tag(tag: u8) -> Option<Scalar> {
        NAMES.iter().map(|(scalar, ..)| *scalar).find(|scalar| *scalar as u8 == tag)
    }
}

/// A value that stands for itself, away from the database.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number as `numeric_out` prints it.
    Numeric(String),
    /// A floating-point number; real is widened.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytea(Vec<u8>),
    /// Microseconds since 1970 UTC; the largest and the smallest number are the infinities.
    Timestamptz(i64),
    /// Microseconds since 1970, wherever that was.
    Timestamp(i64),
    /// Days since 1970; the largest and the smallest number are the infinities.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// A span of time.
    Interval {
        /// Months.
        months: i32,
        /// Days.
        days: i32,
        /// Microseconds.
        us: i64,
    },
    /// A UUID.
    Uuid([u8; 16]),
    /// A host's or a network's address.
    Inet {
        /// Whether it is a cidr.
        is_cidr: bool,
        /// The bits of the network.
        prefix: u8,
        /// The address.
        address: IpAddr,
    },
    /// A jsonb as PostgreSQL prints it.
    Jsonb(String),
    /// An unsigned integer.
    U64(u64),
    /// An array.
    Array {
        /// What its elements are.
        element: Scalar,
        /// Lower bound and length per dimension.
        dims: Vec<(i32, u32)>,
        /// The elements; each is of the type `element`, or NULL.
        items: Vec<Value>,
    },
}

impl Value {
    /// Appends what stands for it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        match self {
            Self::Null => encoder.null(),
            Self::Bool(value) => encoder.bool(*value),
            Self::Int(value) => encoder.int(*value),
            Self::Numeric(text) => encoder.numeric(text.as_bytes()),
            Self::Float(value) => encoder.float(*value),
            Self::Text(text) => encoder.text(text.as_bytes()),
            Self::Bytea(bytes) => encoder.bytea(bytes),
            Self::Timestamptz(us) => encoder.timestamptz(*us),
            Self::Timestamp(us) => encoder.timestamp(*us),
            Self::Date(days) => encoder.date(*days),
            Self::Time(us) => encoder.time(*us),
            Self::Interval { months, days, us } => encoder.interval(*months, *days, *us),
            Self::Uuid(bytes) => encoder.uuid(bytes),
            Self::Inet { is_cidr, prefix, address } => encoder.inet(*is_cidr, *prefix, *address),
            Self::Jsonb(text) => encoder.jsonb(text.as_bytes()),
            Self::U64(value) => encoder.u64(*value),
            Self::Array { element, dims, items } => {
                encoder.array(*element, dims);
                // The elements are no arrays themselves, so this goes one level deep.
                items.iter().for_each(|item| item.encode(out));
            }
        }
    }
}
