//! How expired rows leave: a leaf of a stream as a whole, or a batch of a protected table.
//!
//! Neither rests on a switch that somebody else could use. A leaf goes natively, after a function of ours has
//! found it expired and written its certificate; a batch is an ordinary DELETE, of which the trigger judges
//! every row.

use super::certificate;
use crate::pg::call::text_function;
use crate::pg::{acting, drop, encoding, names, permit};
use pgrx::prelude::*;
use std::ffi::CStr;

/// Drops an expired leaf and returns the number of its certificate.
///
/// Errors: whatever `audit._certify_leaf` has to say against it.
#[pg_extern(sql = false)]
fn drop_leaf(leaf: pg_sys::Oid) -> i64 {
    let event = text_function(c"_certify_leaf", [leaf.to_u32().to_string().as_bytes()]);
    drop::partition(leaf);
    String::from_utf8_lossy(&event).parse().unwrap_or(0)
}

/// Runs a DELETE on a protected table with the rights of the table's owner, and returns the number of its
/// certificate; 0 when no row went.
#[pg_extern(sql = false)]
fn delete_expired(target: pg_sys::Oid, query: &str) -> Result<i64, spi::Error> {
    acting::as_owner_of(target, || Spi::run(query))?;
    let protected = std::iter::successors(Some(target), |&table| names::parent(table));
    Ok(protected.map(|table| certificate::write(table, "retention")).find(|&event| event != 0).unwrap_or(0))
}

/// Runs a SELECT of one column on a user's table with the rights of the table's owner, and returns its first value
/// as text.
#[pg_extern(sql = false, stable)]
fn read_as_owner(target: pg_sys::Oid, query: &str) -> Result<Option<String>, spi::Error> {
    let query = format!("SELECT answer.value::text FROM ({query}) AS answer(value)");
    acting::as_owner_of(target, || {
        Spi::connect(|client| {
            let rows = client.select(&query, Some(1), &[])?;
            if rows.is_empty() { Ok(None) } else { rows.first().get::<String>(1) }
        })
    })
}

/// Gives a leaf of a stream other bounds, and another name when `new_name` is another. A bound that is null is
/// open.
#[pg_extern(sql = false)]
fn rebound_leaf(
    stream: pg_sys::Oid,
    leaf: pg_sys::Oid,
    new_name: &CStr,
    lower_bound: Option<i64>,
    upper_bound: Option<i64>,
) -> Result<(), spi::Error> {
    permit::rebound(stream, leaf, &encoding::to_utf8(new_name.to_bytes()), (lower_bound, upper_bound))
}
