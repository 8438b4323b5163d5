//! How the values of a column become JSON: the decision once per column, the conversion per value.

use super::buffer::Buffer;
use super::jsonb::{self, Value, kind};
use super::memory::Memory;
use super::{scalars, tuple};
use pgrx::PgTupleDesc;
use pgrx::prelude::*;
use std::io::Write;

/// The conversion of one column's values.
pub(crate) enum Encoder {
    Bool,
    Int2,
    Int4,
    Int8,
    Numeric,
    Text,
    Uuid,
    DateTime(pg_sys::Oid),
    Jsonb,
    /// The text of the type's output function, as a JSON string.
    Output(Function),
    /// `to_jsonb` itself: floats, arrays, composites, json, whatever has a cast to json.
    ToJsonb(Function),
}

/// A prepared call of a function of the server, which lives in the memory of the plan.
pub(crate) struct Function(*mut pg_sys::FmgrInfo);

impl Encoder {
    /// Decides for a type; domains count as what they are made of.
    pub(crate) fn for_type(declared: pg_sys::Oid, memory: &Memory) -> Self {
        // SAFETY: looks into catalogue caches by type OID.
        let base = unsafe { pg_sys::getBaseType(declared) };
        match base {
            pg_sys::BOOLOID => Self::Bool,
            pg_sys::INT2OID => Self::Int2,
            pg_sys::INT4OID => Self::Int4,
            pg_sys::INT8OID => Self::Int8,
            pg_sys::NUMERICOID => Self::Numeric,
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID => Self::Text,
            pg_sys::UUIDOID => Self::Uuid,
            pg_sys::DATEOID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Self::DateTime(base),
            pg_sys::JSONBOID => Self::Jsonb,
            _ if is_plain(base) => Self::Output(Function::output_of(base, memory)),
            _ => Self::ToJsonb(Function::to_jsonb(declared, memory)),
        }
    }

    /// Whether the text depends on settings of the session, unless they are pinned.
    pub(crate) fn reads_settings(&self) -> bool {
        matches!(self, Self::Output(_) | Self::ToJsonb(_))
    }

    /// Appends the JSON of a value that is not null.
    #[inline]
    pub(crate) fn encode(&self, value: pg_sys::Datum, buffer: &mut Buffer) -> Value {
        match self {
            Self::Bool => scalars::boolean(value.value() as u8 != 0),
            Self::Int2 => scalars::integer(buffer, i64::from(value.value() as i16)),
            Self::Int4 => scalars::integer(buffer, i64::from(value.value() as i32)),
            Self::Int8 => scalars::integer(buffer, value.value() as i64),
            Self::Numeric => tuple::with_payload(value, |payload| scalars::numeric(buffer, payload)),
            Self::Text => tuple::with_payload(value, |payload| scalars::string(buffer, payload)),
            Self::Uuid => scalars::uuid(buffer, tuple::fixed(value)),
            Self::DateTime(type_oid) => scalars::date_time(buffer, value, *type_oid),
            Self::Jsonb => tuple::with_payload(value, |payload| embed(buffer, payload)),
            Self::Output(function) => function.text(value, |text| scalars::string(buffer, text)),
            Self::ToJsonb(function) => {
                tuple::with_payload(function.call(value), |payload| embed(buffer, payload))
            }
        }
    }

    /// Appends the text that `image ->> column` gives, and returns the JSON type that it has there; `scratch`
    /// is an emptied buffer.
    pub(crate) fn text(&self, value: pg_sys::Datum, scratch: &mut Buffer, out: &mut Vec<u8>) -> u32 {
        let number = match self {
            Self::Int2 => i64::from(value.value() as i16),
            Self::Int4 => i64::from(value.value() as i32),
            Self::Int8 => value.value() as i64,
            _ => {
                let encoded = self.encode(value, scratch);
                render(encoded, scratch, out);
                return encoded.kind;
            }
        };
        // Writing to a vector cannot fail.
        let _ = write!(out, "{number}");
        kind::NUMERIC
    }
}

/// The types whose values are printed as the name of an object, qualified only where that is necessary.
const NAMES_OF_OBJECTS: [pg_sys::Oid; 11] = [
    pg_sys::REGPROCOID,
    pg_sys::REGPROCEDUREOID,
    pg_sys::REGOPEROID,
    pg_sys::REGOPERATOROID,
    pg_sys::REGCLASSOID,
    pg_sys::REGCOLLATIONOID,
    pg_sys::REGTYPEOID,
    pg_sys::REGROLEOID,
    pg_sys::REGNAMESPACEOID,
    pg_sys::REGCONFIGOID,
    pg_sys::REGDICTIONARYOID,
];

/// Whether `to_jsonb` prints a type by its output function: neither array nor row, no json, no cast to json.
fn is_plain(base: pg_sys::Oid) -> bool {
    if matches!(base, pg_sys::JSONOID | pg_sys::FLOAT4OID | pg_sys::FLOAT8OID | pg_sys::RECORDOID) {
        return false;
    }
    let mut function = pg_sys::InvalidOid;
    // SAFETY: look-ups in catalogue caches by type OID.
    unsafe {
        if pg_sys::get_element_type(base) != pg_sys::InvalidOid
            || matches!(base, pg_sys::ANYARRAYOID | pg_sys::RECORDARRAYOID)
            || pg_sys::type_is_rowtype(base)
        {
            return false;
        }
        base.to_u32() < pg_sys::FirstNormalObjectId
            || pg_sys::find_coercion_pathway(
                pg_sys::JSONOID,
                base,
                pg_sys::CoercionContext::COERCION_EXPLICIT,
                &mut function,
            ) != pg_sys::CoercionPathType::COERCION_PATH_FUNC
    }
}

/// Whether the text of this type's values depends on settings that are dear to pin: money on lc_monetary, names
/// of objects on search_path and quote_all_identifiers.
pub(crate) fn reads_more_settings(type_oid: pg_sys::Oid, depth: u8) -> bool {
    if depth == 0 {
        return true;
    }
    // SAFETY: look-ups in catalogue caches by type OID; the row description is released after it was read.
    unsafe {
        let base = pg_sys::getBaseType(type_oid);
        if base == pg_sys::MONEYOID || NAMES_OF_OBJECTS.contains(&base) {
            return true;
        }
        let element = pg_sys::get_element_type(base);
        if element != pg_sys::InvalidOid {
            return reads_more_settings(element, depth - 1);
        }
        let mut bound = pg_sys::get_range_subtype(base);
        if bound == pg_sys::InvalidOid {
            let range = pg_sys::get_multirange_range(base);
            if range != pg_sys::InvalidOid {
                bound = pg_sys::get_range_subtype(range);
            }
        }
        if bound != pg_sys::InvalidOid {
            return reads_more_settings(bound, depth - 1);
        }
        if base == pg_sys::RECORDOID || base == pg_sys::RECORDARRAYOID {
            return true;
        }
        if pg_sys::type_is_rowtype(base) {
            return PgTupleDesc::for_composite_type_by_oid(base).is_none_or(|description| {
                description
                    .iter()
                    .any(|column| !column.is_dropped() && reads_more_settings(column.atttypid, depth - 1))
            });
        }
    }
    false
}

/// Embeds a jsonb value, given without its varlena header, as a value of an object.
fn embed(buffer: &mut Buffer, container: &[u8]) -> Value {
    let header = word(container, 0);
    if header & jsonb::IS_SCALAR == 0 {
        buffer.align4();
        let start = buffer.len();
        buffer.push(container);
        return Value { kind: kind::CONTAINER, start, end: buffer.len() };
    }
    // One scalar in an array of its own: header, entry, bytes.
    let kind = word(container, 4) & kind::MASK;
    if kind == kind::NUMERIC {
        buffer.align4();
    }
    let start = buffer.len();
    buffer.push(&container[8..]);
    Value { kind, start, end: buffer.len() }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The text of an encoded value that stands in `buffer`.
fn render(value: Value, buffer: &Buffer, out: &mut Vec<u8>) {
    let bytes = &buffer.bytes()[value.start..value.end];
    match value.kind {
        kind::STRING => out.extend_from_slice(bytes),
        kind::TRUE => out.extend_from_slice(b"true"),
        kind::FALSE => out.extend_from_slice(b"false"),
        // SAFETY: `encode` put a whole numeric there, on a multiple of four.
        kind::NUMERIC => unsafe {
            let number = pg_sys::Datum::from(bytes.as_ptr());
            let text = pg_sys::OidOutputFunctionCall(pg_sys::F_NUMERIC_OUT.into(), number);
            out.extend_from_slice(std::ffi::CStr::from_ptr(text).to_bytes());
        },
        // SAFETY: `encode` put a whole container there, on a multiple of four; it is only read.
        kind::CONTAINER => unsafe {
            let container = bytes.as_ptr().cast_mut().cast();
            let text = pg_sys::JsonbToCString(std::ptr::null_mut(), container, bytes.len() as i32);
            out.extend_from_slice(std::ffi::CStr::from_ptr(text).to_bytes());
        },
        _ => {}
    }
}

impl Function {
    fn output_of(type_oid: pg_sys::Oid, memory: &Memory) -> Self {
        let mut function = pg_sys::InvalidOid;
        let mut is_varlena = false;
        // SAFETY: looks up the type's output function; raises an ERROR for a type without one.
        unsafe { pg_sys::getTypeOutputInfo(type_oid, &mut function, &mut is_varlena) };
        Self::prepare(function, memory)
    }

    /// `to_jsonb(anyelement)`, told what its argument is.
    fn to_jsonb(type_oid: pg_sys::Oid, memory: &Memory) -> Self {
        let function = Self::prepare(pg_sys::F_TO_JSONB.into(), memory);
        // SAFETY: the expression is made in the memory of the plan, like the call that reads its type.
        memory.run(|| unsafe {
            let argument = pg_sys::makeNullConst(type_oid, -1, pg_sys::InvalidOid);
            let arguments = pg_sys::lappend(std::ptr::null_mut(), argument.cast());
            let call = pg_sys::makeFuncExpr(
                pg_sys::F_TO_JSONB.into(),
                pg_sys::JSONBOID,
                arguments,
                pg_sys::InvalidOid,
                pg_sys::InvalidOid,
                pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
            );
            (*function.0).fn_expr = call.cast();
        });
        function
    }

    fn prepare(function: pg_sys::Oid, memory: &Memory) -> Self {
        // SAFETY: the call record is made in the memory of the plan and lives as long.
        memory.run(|| unsafe {
            let info = pg_sys::palloc0(size_of::<pg_sys::FmgrInfo>()).cast::<pg_sys::FmgrInfo>();
            pg_sys::fmgr_info_cxt(function, info, memory.context());
            Self(info)
        })
    }

    fn call(&self, value: pg_sys::Datum) -> pg_sys::Datum {
        // SAFETY: the record was prepared for a function of one argument of the value's type.
        unsafe { pg_sys::FunctionCall1Coll(self.0, pg_sys::InvalidOid, value) }
    }

    fn text<T>(&self, value: pg_sys::Datum, read: impl FnOnce(&[u8]) -> T) -> T {
        // SAFETY: an output function returns a NUL-terminated string in the memory of the trigger call.
        unsafe { read(std::ffi::CStr::from_ptr(pg_sys::OutputFunctionCall(self.0, value)).to_bytes()) }
    }
}
