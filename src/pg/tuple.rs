//! Rows of a user's table: their values, and whether two values are the same.

use super::relation::Column;
use pgrx::prelude::*;

/// The values of one row by position, dropped columns included. Memory is kept between rows.
#[derive(Default)]
pub(crate) struct Values {
    datums: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Values {
    /// Takes a row apart. The values point into the row, which must stay while they are used.
    ///
    /// # Safety
    /// `row` is a row of `relation`, which is open.
    pub(crate) unsafe fn read(&mut self, row: pg_sys::HeapTuple, relation: pg_sys::Relation) {
        // SAFETY: the caller's promise.
        unsafe { self.read_described(row, (*relation).rd_att) }
    }

    /// Takes a row of any origin apart, as `read`.
    ///
    /// # Safety
    /// `row` is a row of this `description`.
    pub(crate) unsafe fn read_described(&mut self, row: pg_sys::HeapTuple, description: pg_sys::TupleDesc) {
        // SAFETY: the caller's promise; both arrays are as long as the row description.
        unsafe {
            let count = (*description).natts as usize;
            self.datums.resize(count, pg_sys::Datum::null());
            self.nulls.resize(count, true);
            pg_sys::heap_deform_tuple(row, description, self.datums.as_mut_ptr(), self.nulls.as_mut_ptr());
        }
    }

    /// Takes a row of the executor's apart, as `read`.
    ///
    /// # Safety
    /// `slot` holds a row.
    pub(crate) unsafe fn take(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the caller's promise; both arrays of the slot are as long as its row description.
        unsafe {
            let columns = (*(*slot).tts_tupleDescriptor).natts;
            if i32::from((*slot).tts_nvalid) < columns {
                pg_sys::slot_getsomeattrs_int(slot, columns);
            }
            let count = (*slot).tts_nvalid as usize;
            self.datums.clear();
            self.datums.extend_from_slice(std::slice::from_raw_parts((*slot).tts_values, count));
            self.nulls.clear();
            self.nulls.extend_from_slice(std::slice::from_raw_parts((*slot).tts_isnull, count));
        }
    }

    /// The value at a position, None when it is null.
    #[inline]
    pub(crate) fn get(&self, position: usize) -> Option<pg_sys::Datum> {
        (!self.nulls[position]).then(|| self.datums[position])
    }
}

impl Values {
    /// A copy of the value at a position, of which the caller knows the type; None when it is null.
    pub(crate) fn copy<T: pgrx::FromDatum>(&self, position: usize) -> Option<T> {
        // SAFETY: the caller's query gives a value of this type there.
        self.get(position).and_then(|datum| unsafe { T::from_datum(datum, false) })
    }
}

/// Whether a column's values in two rows are the same, by their stored bytes; nothing is converted.
#[inline]
pub(crate) fn same(column: &Column, old: Option<pg_sys::Datum>, new: Option<pg_sys::Datum>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) if column.by_value => old == new,
        (Some(old), Some(new)) => same_bytes(column.length, old, new),
        _ => false,
    }
}

fn same_bytes(length: i16, old: pg_sys::Datum, new: pg_sys::Datum) -> bool {
    // SAFETY: both datums are of the column's type: `length` bytes, or a varlena (-1), or a C string (-2).
    unsafe {
        let (left, right) = (old.cast_mut_ptr::<u8>(), new.cast_mut_ptr::<u8>());
        let bytes = |start: *mut u8, count: usize| std::slice::from_raw_parts(start.cast_const(), count);
        match length {
            -1 => {
                let (a, b) = (left.cast::<pg_sys::varlena>(), right.cast::<pg_sys::varlena>());
                let (count_a, count_b) = (pgrx::varsize_any(a), pgrx::varsize_any(b));
                if count_a == count_b && bytes(left, count_a) == bytes(right, count_b) {
                    return true;
                }
                // Other bytes may still be the same value: stored elsewhere, or compressed another time.
                with_payload(old, |a| with_payload(new, |b| a == b))
            }
            -2 => {
                let (left, right) = (left.cast_const().cast(), right.cast_const().cast());
                std::ffi::CStr::from_ptr(left) == std::ffi::CStr::from_ptr(right)
            }
            count => bytes(left, count as usize) == bytes(right, count as usize),
        }
    }
}

/// Reads the content of a varlena without its header, fetched and decompressed where necessary.
#[inline]
pub(crate) fn with_payload<T>(value: pg_sys::Datum, read: impl FnOnce(&[u8]) -> T) -> T {
    // SAFETY: the datum is a varlena; an unpacked copy lives in the memory of the trigger call.
    unsafe {
        let stored = value.cast_mut_ptr::<pg_sys::varlena>();
        let is_plain = !pgrx::varatt_is_1b_e(stored) && !pgrx::varatt_is_4b_c(stored);
        let packed = if is_plain { stored } else { pg_sys::pg_detoast_datum_packed(stored) };
        let start = pgrx::vardata_any(packed).cast::<u8>();
        read(std::slice::from_raw_parts(start, pgrx::varsize_any_exhdr(packed)))
    }
}

/// A value of a type of sixteen bytes that is passed by reference.
#[inline]
pub(crate) fn fixed<'a>(value: pg_sys::Datum) -> &'a [u8; 16] {
    // SAFETY: the caller's column is of such a type (uuid), and its row is still there.
    unsafe { &*value.cast_mut_ptr() }
}

/// Reads a value of type name.
pub(crate) fn with_name<T>(value: pg_sys::Datum, read: impl FnOnce(&[u8]) -> T) -> T {
    // SAFETY: the caller's column is of that type, a NUL-terminated array; its row is still there.
    unsafe {
        read(std::ffi::CStr::from_ptr(value.cast_mut_ptr::<core::ffi::c_char>().cast_const()).to_bytes())
    }
}

/// An interval as months, days and microseconds.
pub(crate) fn interval(value: pg_sys::Datum) -> (i32, i32, i64) {
    // SAFETY: the caller's column is of that type; its row is still there.
    let interval = unsafe { &*value.cast_mut_ptr::<pg_sys::Interval>() };
    (interval.month, interval.day, interval.time)
}
