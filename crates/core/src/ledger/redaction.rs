//! What was erased from a row, and what the rest needs to give the same leaf: the salt of each part that is
//! still there, the commitment of each that is not.
//!
//! The row's own salt is destroyed: with it, whoever guesses an erased value could find out that they are
//! right.

use super::Malformed;
use super::hash::Hash;
use super::reader::{Reader, push_prefixed};
use super::row::{Commitment, CommitmentSalt, Form, RowHasher};

const VERSION: u8 = 1;
/// Field, form, state and salt: no entry is shorter.
const SHORTEST_ENTRY: usize = 20;

/// The commitments of a redacted row, in their order; the first is the group's, which is always kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    entries: Vec<Entry>,
}

/// One commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The field; 0 for the group.
    pub field: u16,
    /// What it is to.
    pub form: Form,
    /// The key of a member, otherwise empty.
    pub key: Vec<u8>,
    /// Whether the value is still there.
    pub state: State,
}

/// Whether a value is still there, and what a commitment needs then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is there: the salt.
    Kept(CommitmentSalt),
    /// It was erased: the commitment.
    Erased(Hash),
}

/// What to erase: a field, or one member of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The field.
    pub field: u16,
    /// The key of the member; `None` for the whole field.
    pub key: Option<&'a [u8]>,
}

impl Target<'_> {
    fn covers(&self, commitment: &Commitment<'_>) -> bool {
        let is_member = || commitment.form == Form::Member && self.key == Some(commitment.key);
        self.field == commitment.field && (self.key.is_none() || is_member())
    }
}

impl Redaction {
    /// The commitments of the row that `hasher` ended last, with `targets` erased, and how many of them were
    /// still there before. What was erased stays so. `None` when no row was ended.
    #[must_use]
    pub fn erase(hasher: &RowHasher, targets: &[Target<'_>]) -> Option<(Self, usize)> {
        let mut erased = 0;
        let entries: Vec<Entry> = hasher
            .commitments()
            .map(|commitment| {
                let is_target =
                    commitment.form != Form::Group && targets.iter().any(|target| target.covers(&commitment));
                let state = match commitment.salt {
                    Some(salt) if !is_target => State::Kept(salt),
                    salt => {
                        erased += usize::from(salt.is_some());
                        State::Erased(commitment.hash)
                    }
                };
                let Commitment { field, form, key, .. } = commitment;
                Entry { field, form, key: key.to_vec(), state }
            })
            .collect();
        if entries.is_empty() { None } else { Some((Self { entries }, erased)) }
    }

    /// All commitments, the group's first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The group's commitment.
    pub(super) fn group(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// The commitments but the group's.
    pub(super) fn parts(&self) -> &[Entry] {
        self.entries.get(1..).unwrap_or_default()
    }

    /// As the row keeps it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&(self.entries.len() as u32).to_be_bytes());
        for Entry { field, form, key, state } in &self.entries {
            out.extend_from_slice(&field.to_be_bytes());
            out.push(*form as u8);
            match state {
                State::Kept(salt) => {
                    out.push(0);
                    out.extend_from_slice(salt);
                }
                State::Erased(hash) => {
                    out.push(1);
                    out.extend_from_slice(hash);
                }
            }
            if *form == Form::Member {
                push_prefixed(key, &mut out);
            }
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote; no other bytes are taken.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the bytes are no redaction.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed("it is no redaction of version 1"));
        }
        let count = reader.u32()? as usize;
        if count > reader.remaining() / SHORTEST_ENTRY {
            return Err(Malformed("it ends too early"));
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        for _ in 0..count {
            let entry = parse_entry(&mut reader)?;
            if !follows(&entry, entries.last()) {
                return Err(Malformed("the commitments are not in their order"));
            }
            entries.push(entry);
        }
        if entries.is_empty() || !reader.is_empty() {
            return Err(Malformed("it has another number of commitments than it says"));
        }
        Ok(Self { entries })
    }
}

fn parse_entry(reader: &mut Reader<'_>) -> Result<Entry, Malformed> {
    let field = reader.u16()?;
    let form = match reader.u8()? {
        0 => Form::Group,
        1 => Form::Value,
        2 => Form::Member,
        _ => return Err(Malformed("a commitment is of an unknown form")),
    };
    let state = match reader.u8()? {
        0 => State::Kept(reader.array()?),
        1 if form != Form::Group => State::Erased(reader.array()?),
        _ => return Err(Malformed("a commitment is in an unknown state")),
    };
    let key = if form == Form::Member { reader.prefixed()?.to_vec() } else { Vec::new() };
    Ok(Entry { field, form, key, state })
}

/// The group first and once, then the fields by number; a whole value is the only commitment of its field.
fn follows(entry: &Entry, last: Option<&Entry>) -> bool {
    match last {
        None => entry.form == Form::Group && entry.field == 0,
        Some(_) if entry.form == Form::Group => false,
        Some(last) if entry.field == last.field => entry.form == Form::Member && last.form == Form::Member,
        Some(last) => entry.field > last.field,
    }
}
