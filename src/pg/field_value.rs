//! The values of stored rows in the ledger's own encoding, read from their stored bytes, so that no setting of
//! the session has a say in it.

use super::query::enum_label;
use super::{jsonb_text, tuple, types};
use audit_guard_core::ledger::value::{
    Encoder, Scalar, Type, US_1970_TO_2000, date_from_2000, time_from_2000,
};
use pgrx::pg_sys::{self, Datum};
use std::cell::RefCell;
use std::net::IpAddr;

/// How the values of one type are read.
pub(crate) enum Reader {
    Bool,
    Int2,
    Int4,
    Int8,
    Unsigned,
    Numeric,
    Float4,
    Float8,
    Text,
    Name,
    /// With the labels seen so far.
    Enum(RefCell<Vec<(Datum, Vec<u8>)>>),
    Bytea,
    TimestampTz,
    Timestamp,
    Date,
    Time,
    Interval,
    Uuid,
    Inet {
        is_cidr: bool,
    },
    Jsonb,
    Array(Box<Element>),
}

/// What an array is made of.
pub(crate) struct Element {
    kind: Scalar,
    reader: Reader,
    oid: pg_sys::Oid,
    length: i16,
    by_value: bool,
    align: core::ffi::c_char,
}

impl Reader {
    /// The reader of a type, with the ledger's name for it; None for types that have no place in the ledger.
    /// Domains count as what they are made of.
    pub(crate) fn for_type(declared: pg_sys::Oid) -> Option<(Self, Type)> {
        let base = types::base(declared);
        if let Some(element) = Element::of(base) {
            let kind = Type::Array(element.kind);
            return Some((Self::Array(Box::new(element)), kind));
        }
        let (reader, kind) = Self::for_scalar(base)?;
        Some((reader, Type::Scalar(kind)))
    }

    fn for_scalar(base: pg_sys::Oid) -> Option<(Self, Scalar)> {
        Some(match base {
            pg_sys::BOOLOID => (Self::Bool, Scalar::Bool),
            pg_sys::INT2OID => (Self::Int2, Scalar::Int),
            pg_sys::INT4OID => (Self::Int4, Scalar::Int),
            pg_sys::INT8OID => (Self::Int8, Scalar::Int),
            pg_sys::XID8OID | pg_sys::PG_LSNOID => (Self::Unsigned, Scalar::U64),
            pg_sys::NUMERICOID => (Self::Numeric, Scalar::Numeric),
            pg_sys::FLOAT4OID => (Self::Float4, Scalar::Float),
            pg_sys::FLOAT8OID => (Self::Float8, Scalar::Float),
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID | pg_sys::JSONOID => {
                (Self::Text, Scalar::Text)
            }
            pg_sys::NAMEOID => (Self::Name, Scalar::Text),
            pg_sys::BYTEAOID => (Self::Bytea, Scalar::Bytea),
            pg_sys::TIMESTAMPTZOID => (Self::TimestampTz, Scalar::Timestamptz),
            pg_sys::TIMESTAMPOID => (Self::Timestamp, Scalar::Timestamp),
            pg_sys::DATEOID => (Self::Date, Scalar::Date),
            pg_sys::TIMEOID => (Self::Time, Scalar::Time),
            pg_sys::INTERVALOID => (Self::Interval, Scalar::Interval),
            pg_sys::UUIDOID => (Self::Uuid, Scalar::Uuid),
            pg_sys::INETOID => (Self::Inet { is_cidr: false }, Scalar::Inet),
            pg_sys::CIDROID => (Self::Inet { is_cidr: true }, Scalar::Inet),
            pg_sys::JSONBOID => (Self::Jsonb, Scalar::Jsonb),
            _ if is_enum(base) => (Self::Enum(RefCell::default()), Scalar::Text),
            _ => return None,
        })
    }

    /// Forgets what may have changed since an earlier query.
    pub(crate) fn begin(&self) {
        if let Self::Enum(labels) = self {
            labels.borrow_mut().clear();
        }
    }

    /// Writes a value that is not null.
    #[inline]
    pub(crate) fn write(&self, value: Datum, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        match self {
            Self::Bool => encoder.bool(value.value() as u8 != 0),
            Self::Int2 => encoder.int(i64::from(value.value() as i16)),
            Self::Int4 => encoder.int(i64::from(value.value() as i32)),
            Self::Int8 => encoder.int(value.value() as i64),
            Self::Unsigned => encoder.u64(value.value() as u64),
            Self::Numeric => {
                let mut text = Vec::new();
                tuple::with_payload(value, |stored| jsonb_text::numeric(stored, &mut text));
                encoder.numeric(&text);
            }
            Self::Float4 => encoder.float(f64::from(f32::from_bits(value.value() as u32))),
            Self::Float8 => encoder.float(f64::from_bits(value.value() as u64)),
            Self::Text => tuple::with_payload(value, |text| encoder.text(text)),
            Self::Name => tuple::with_name(value, |text| encoder.text(text)),
            Self::Enum(labels) => with_label(labels, value, |label| encoder.text(label)),
            Self::Bytea => tuple::with_payload(value, |bytes| encoder.bytea(bytes)),
            Self::TimestampTz => encoder.timestamptz(time_from_2000(value.value() as i64)),
            Self::Timestamp => encoder.timestamp(time_from_2000(value.value() as i64)),
            Self::Date => encoder.date(date_from_2000(value.value() as i32)),
            Self::Time => encoder.time(value.value() as i64),
            Self::Interval => {
                let (months, days, micros) = tuple::interval(value);
                encoder.interval(months, days, micros);
            }
            Self::Uuid => encoder.uuid(tuple::fixed(value)),
            Self::Inet { is_cidr } => tuple::with_payload(value, |stored| {
                if let Some((prefix, address)) = address(stored) {
                    encoder.inet(*is_cidr, prefix, address);
                }
            }),
            Self::Jsonb => {
                let mut text = Vec::new();
                tuple::with_payload(value, |stored| jsonb_text::print(stored, &mut text));
                encoder.jsonb(&text);
            }
            Self::Array(element) => element.write_all(value, out),
        }
    }
}

/// The reverse of `time_from_2000`.
pub(crate) fn time_from_1970(micros: i64) -> i64 {
    if micros == i64::MIN || micros == i64::MAX { micros } else { micros.wrapping_sub(US_1970_TO_2000) }
}

/// A stored address: family (2 for IPv4, 3 for IPv6), prefix, bytes.
fn address(stored: &[u8]) -> Option<(u8, IpAddr)> {
    let (&[family, prefix], address) = stored.split_first_chunk::<2>()?;
    let address = match family {
        2 => IpAddr::from(*address.first_chunk::<4>()?),
        _ => IpAddr::from(*address.first_chunk::<16>()?),
    };
    Some((prefix, address))
}

fn is_enum(oid: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in the catalogue's caches by type OID.
    unsafe { pg_sys::type_is_enum(oid) }
}

fn with_label(labels: &RefCell<Vec<(Datum, Vec<u8>)>>, value: Datum, write: impl FnOnce(&[u8])) {
    let mut labels = labels.borrow_mut();
    if let Some((_, label)) = labels.iter().find(|(known, _)| *known == value) {
        return write(label);
    }
    let label = enum_label(value);
    write(&label);
    labels.push((value, label));
}

impl Element {
    fn of(array: pg_sys::Oid) -> Option<Self> {
        // SAFETY: look-ups in the catalogue's caches by type OID.
        let oid = unsafe { pg_sys::get_element_type(array) };
        if oid == pg_sys::InvalidOid {
            return None;
        }
        let (reader, kind) = Reader::for_scalar(types::base(oid))?;
        let (mut length, mut by_value, mut align) = (0, false, 0);
        // SAFETY: as above; the three results are written.
        unsafe { pg_sys::get_typlenbyvalalign(oid, &mut length, &mut by_value, &mut align) };
        Some(Self { kind, reader, oid, length, by_value, align })
    }

    fn write_all(&self, value: Datum, out: &mut Vec<u8>) {
        self.reader.begin();
        let mut elements = std::ptr::null_mut();
        let mut nulls = std::ptr::null_mut();
        let mut count = 0;
        // SAFETY: the datum is an array of this element type; what the call allocates lives in the memory of the
        // present row.
        unsafe {
            let array = pg_sys::pg_detoast_datum(value.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            let dimensions = (*array).ndim as usize;
            let sizes = array.add(1).cast::<i32>();
            let bounds = sizes.add(dimensions);
            let dimensions: Vec<(i32, u32)> =
                (0..dimensions).map(|at| (*bounds.add(at), *sizes.add(at) as u32)).collect();
            Encoder::new(out).array(self.kind, &dimensions);
            pg_sys::deconstruct_array(
                array,
                self.oid,
                i32::from(self.length),
                self.by_value,
                self.align,
                &mut elements,
                &mut nulls,
                &mut count,
            );
            for position in 0..count as usize {
                if *nulls.add(position) {
                    Encoder::new(out).null();
                } else {
                    self.reader.write(*elements.add(position), out);
                }
            }
        }
    }
}
