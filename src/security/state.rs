//! What the server knows about tables and people of ours.

use crate::pg::{advisory, encoding, ids, names, relation, session};
use audit_guard_core::throttle::person_hash;
use pgrx::datum::Uuid;
use pgrx::prelude::*;

/// Milliseconds from 1970 to 2000.
const TO_2000: i64 = 946_684_800_000;

/// A uuid of version 7 (RFC 9562): ids of about the same time lie side by side, so that an index by block
/// finds one.
#[pg_extern(sql = false, volatile)]
fn event_id() -> Uuid {
    Uuid::from_bytes(version_7(session::now().div_euclid(1000) + TO_2000, ids::salt()))
}

/// Sixteen random bytes with a time in milliseconds since 1970 in the first six.
fn version_7(milliseconds: i64, random: [u8; 16]) -> [u8; 16] {
    let time = u128::from(milliseconds.cast_unsigned() & 0xFFFF_FFFF_FFFF) << 80;
    let rest = u128::from_be_bytes(random) & 0x0FFF_3FFF_FFFF_FFFF_FFFF;
    (time | 0x7000_8000_0000_0000_0000 | rest).to_be_bytes()
}

/// Whether a partitioned table has a partition.
#[pg_extern(sql = false, stable)]
fn has_leaves(stream: pg_sys::Oid) -> bool {
    relation::has_partitions(stream)
}

/// Whether the changes of a table are recorded: all of them, of rows and by TRUNCATE.
#[pg_extern(sql = false, stable)]
fn has_triggers(target: pg_sys::Oid) -> bool {
    names::function(c"log_changes").is_some_and(|function| relation::calls(target, function))
}

/// Lets one transaction at a time go on with this person; the others wait until it ends.
#[pg_extern(sql = false, volatile)]
fn lock_person(subject: &[u8]) {
    advisory::lock(advisory::Class::Person, person_hash(&encoding::to_utf8(subject)), true);
}
