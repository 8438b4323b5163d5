//! One refused attempt, as text and as it lies in memory.

use super::Waiting;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{Ordering, compiler_fence};

/// A refused attempt. Empty means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// OID of the database in whose table it belongs.
    pub database: u32,
    /// Microseconds since 2000-01-01 00:00 UTC.
    pub attempted_at: i64,
    /// What refused it: trigger, event_trigger or hook.
    pub layer: String,
    /// The command, for example `DROP TABLE`.
    pub command: String,
    /// The object of the command.
    pub object: String,
    /// The acting person, as declared.
    pub actor_id: String,
    /// The role in force.
    pub actor_role: String,
    /// The role that logged in.
    pub login_role: String,
    /// Address of the person, else of the connection.
    pub client_ip: String,
    /// `application_name` of the connection.
    pub application_name: String,
}

/// Texts of an attempt, and the most bytes that each may take: names are at most 63 bytes in the server,
/// which can be three times as many in UTF-8, and an object is two names in quotes.
const LIMITS: [usize; 8] = [16, 64, 288, 128, 128, 128, 64, 128];
const SPACE: usize = 944;

/// In place of the number of a transaction: somebody has begun to write the attempt.
pub(super) const TAKEN: u64 = u64::MAX;

/// An attempt in memory that several processes share. All zero is a free place.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    used: u32,
    pub(super) database: u32,
    pub(super) sequence: u64,
    pub(super) lost_before: u64,
    /// 0: nobody has begun to write it.
    pub(super) written_by: u64,
    attempted_at: i64,
    /// Where each text ends in `text`; each begins where the one before it ends.
    ends: [u16; LIMITS.len()],
    text: [u8; SPACE],
}

impl Entry {
    /// What too long a text loses is replaced by `…`; a zero character, which no table can hold, by a space.
    pub fn new(attempt: &Attempt) -> Self {
        let mut entry = Self {
            used: 1,
            database: attempt.database,
            sequence: 0,
            lost_before: 0,
            written_by: 0,
            attempted_at: attempt.attempted_at,
            ends: [0; LIMITS.len()],
            text: [0; SPACE],
        };
        let texts = [
            &attempt.layer,
            &attempt.command,
            &attempt.object,
            &attempt.actor_id,
            &attempt.actor_role,
            &attempt.login_role,
            &attempt.client_ip,
            &attempt.application_name,
        ];
        let mut end = 0;
        for ((text, limit), place) in texts.into_iter().zip(LIMITS).zip(&mut entry.ends) {
            let text = shortened(text, limit);
            entry.text[end..end + text.len()].copy_from_slice(text.as_bytes());
            end += text.len();
            *place = end as u16;
        }
        entry
    }

    pub(super) fn of(waiting: &Waiting) -> Self {
        let mut entry = Self::new(&waiting.attempt);
        entry.sequence = waiting.sequence;
        entry.lost_before = waiting.lost_before;
        entry.written_by = waiting.written_by.unwrap_or(0);
        entry
    }

    pub(super) fn is_used(&self) -> bool {
        self.used == 1
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Copies another entry here. The place counts as free until all of it is there, because the process may
    /// be killed meanwhile.
    pub(super) fn put(&mut self, entry: &Self) {
        self.used = 0;
        compiler_fence(Ordering::Release);
        *self = Self { used: 0, ..*entry };
        compiler_fence(Ordering::Release);
        self.used = 1;
    }

    pub(super) fn waiting(&self) -> Waiting {
        let mut begin = 0;
        let [layer, command, object, actor_id, actor_role, login_role, client_ip, application_name] =
            self.ends.map(|end| {
                let end = usize::from(end).clamp(begin, SPACE);
                let text = String::from_utf8_lossy(&self.text[begin..end]).into_owned();
                begin = end;
                text
            });
        Waiting {
            sequence: self.sequence,
            lost_before: self.lost_before,
            written_by: Some(self.written_by).filter(|number| ![0, TAKEN].contains(number)),
            attempt: Attempt {
                database: self.database,
                attempted_at: self.attempted_at,
                layer,
                command,
                object,
                actor_id,
                actor_role,
                login_role,
                client_ip,
                application_name,
            },
        }
    }
}

const MARK: &str = "…";

fn shortened(text: &str, limit: usize) -> String {
    let mut kept = text.replace('\0', " ");
    if kept.len() > limit {
        kept.truncate(kept.floor_char_boundary(limit - MARK.len()));
        kept.push_str(MARK);
    }
    kept
}

// Every text fits, and an entry is a round number of bytes.
const _: () = {
    let mut sum = 0;
    let mut position = 0;
    while position < LIMITS.len() {
        sum += LIMITS[position];
        position += 1;
    }
    assert!(sum <= SPACE && size_of::<Entry>() == 1000);
};
