//! From the values of a row to its leaf.

use std::ops::Range;

use super::hash::{Hash, sha256_each, sha256_of};
use super::json::Members;
use super::record::{Kind, RECORD_BYTES, Record, leaf_of};
use super::schema::{PreparedSchema, Schema};
use super::value::{Encoder, TAG_APART, TAG_NULL, Value};

mod redacted;

pub use redacted::Misfit;

/// What keeps a commitment from being guessed: half of a hash of the row's salt.
pub type CommitmentSalt = [u8; 16];

/// What a commitment is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// All fields that cannot be erased.
    Group = 0,
    /// A whole value.
    Value = 1,
    /// One member of a JSON object.
    Member = 2,
}

/// A field of the row that can be erased, and where its parts are.
#[derive(Debug, Clone, Copy)]
struct Apart {
    no: u16,
    /// Where in the message of the group it stands.
    group: (usize, usize),
    /// Which commitments are its: the first and how many. None when it is NULL.
    first: usize,
    count: usize,
}

/// What a commitment hashes: `agf1`, the salt (filled in last), the field, the form, the key, the value.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: usize,
    end: usize,
    field: u16,
    form: Form,
    /// How many bytes the key of a member has.
    key: usize,
}

impl Part {
    /// Where the key is; empty for a whole value.
    const fn key_range(&self) -> Range<usize> {
        let start = self.start + if matches!(self.form, Form::Member) { KEY } else { BODY };
        start..start + self.key
    }

    /// Where the text of a member's value is, after the tag and its length.
    const fn value_range(&self) -> Range<usize> {
        self.start + KEY + self.key + 5..self.end
    }
}

/// Where in a commitment's message the salt stands.
const SALT: Range<usize> = 4..20;
/// Where the value stands, but for members.
const BODY: usize = 23;
/// Where a member's key stands.
const KEY: usize = 27;

/// A commitment of the row that was hashed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment<'a> {
    /// The field; 0 for the group.
    pub field: u16,
    /// What it is to.
    pub form: Form,
    /// The key of a member.
    pub key: &'a [u8],
    /// The commitment.
    pub hash: Hash,
    /// Its salt; `None` when what it commits to was erased.
    pub salt: Option<CommitmentSalt>,
}

/// Hashes rows, one after the other. It keeps its memory, so that a row costs no allocation.
///
/// Per row: [`begin`](Self::begin), then every field in the order of the schema, then
/// [`finish`](Self::finish) or [`finish_redacted`](Self::finish_redacted).
#[derive(Debug, Default)]
pub struct RowHasher {
    /// The messages of all commitments but the group's, one after the other.
    messages: Vec<u8>,
    /// The message of the group's commitment.
    group: Vec<u8>,
    /// The commitments but the group's.
    parts: Vec<Part>,
    apart: Vec<Apart>,
    /// `agr1`, the schema's hash, how many commitments, the commitments.
    root: Vec<u8>,
    /// Whose salts are hashed: a field, which pair of its salts, and whether only the first of it is used.
    pairs: Vec<(u16, u32, bool)>,
    salts: Vec<CommitmentSalt>,
    /// Of a redacted row, which commitments have nothing left; their salts are unknown.
    erased: Vec<bool>,
    /// Scratch: the key of a member.
    key: Vec<u8>,
    record: Option<[u8; RECORD_BYTES]>,
}

impl RowHasher {
    /// One without a row.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a row.
    #[inline]
    pub fn begin(&mut self) {
        self.messages.clear();
        self.group.clear();
        self.parts.clear();
        self.apart.clear();
        self.group.extend_from_slice(&message_start(0, Form::Group));
        self.record = None;
    }

    /// A field that cannot be erased; `encode` appends the value, NULL, too.
    #[inline]
    pub fn plain(&mut self, no: u16, encode: impl FnOnce(&mut Vec<u8>)) {
        self.group.extend_from_slice(&no.to_be_bytes());
        encode(&mut self.group);
    }

    /// A field that can be erased and is NULL.
    #[inline]
    pub fn null(&mut self, no: u16) {
        let start = self.group.len();
        self.group.extend_from_slice(&no.to_be_bytes());
        self.group.push(TAG_NULL);
        self.apart.push(Apart { no, group: (start, self.group.len()), first: self.parts.len(), count: 0 });
    }

    /// A field that can be erased, is not NULL and is no JSON object with members; `encode` appends the
    /// value.
    #[inline]
    pub fn scalar(&mut self, no: u16, encode: impl FnOnce(&mut Vec<u8>)) {
        self.apart(no, 1);
        let start = self.messages.len();
        self.messages.extend_from_slice(&message_start(no, Form::Value));
        encode(&mut self.messages);
        self.parts.push(Part { start, end: self.messages.len(), field: no, form: Form::Value, key: 0 });
    }

    /// A field that can be erased and is a JSON object of `count` members, at least one. As many calls of
    /// [`member`](Self::member) follow.
    #[inline]
    pub fn members(&mut self, no: u16, count: u32) {
        self.apart(no, count);
    }

    /// A member: its key without escapes, the value's text as PostgreSQL prints it.
    #[inline]
    pub fn member(&mut self, no: u16, key: &[u8], json_text: &[u8]) {
        let start = self.messages.len();
        self.messages.extend_from_slice(&message_start(no, Form::Member));
        self.messages.extend_from_slice(&(key.len() as u32).to_be_bytes());
        self.messages.extend_from_slice(key);
        Encoder::new(&mut self.messages).jsonb(json_text);
        let part = Part { start, end: self.messages.len(), field: no, form: Form::Member, key: key.len() };
        self.parts.push(part);
    }

    /// A jsonb field that can be erased, from its text: [`members`](Self::members) or
    /// [`scalar`](Self::scalar), whichever it is.
    pub fn jsonb(&mut self, no: u16, text: &str) {
        let (messages, group, parts) = (self.messages.len(), self.group.len(), self.parts.len());
        self.members(no, 0);
        match self.push_members(no, text) {
            Some(count) if count > 0 => self.set_count(count),
            _ => {
                self.messages.truncate(messages);
                self.group.truncate(group);
                self.parts.truncate(parts);
                self.apart.pop();
                self.scalar(no, |out| Encoder::new(out).jsonb(text.as_bytes()));
            }
        }
    }

    /// All fields of a row at once, in the order of the schema; `None` when they are not as many.
    #[must_use]
    pub fn values(&mut self, schema: &Schema, values: &[Value]) -> Option<()> {
        if values.len() != schema.fields.len() {
            return None;
        }
        for (field, value) in schema.fields.iter().zip(values) {
            match value {
                _ if !field.erasable => self.plain(field.no, |out| value.encode(out)),
                Value::Null => self.null(field.no),
                Value::Jsonb(text) => self.jsonb(field.no, text),
                _ => self.scalar(field.no, |out| value.encode(out)),
            }
        }
        Some(())
    }

    /// Ends a row that nothing was erased from, and gives its leaf.
    pub fn finish(
        &mut self,
        schema: &PreparedSchema,
        salt: &[u8; 16],
        number: i64,
        transaction_id: i64,
        time: i64,
    ) -> Hash {
        self.begin_root(schema, self.parts.len() + 1);
        self.derive_salts(salt);
        self.push_group();
        self.push_parts();
        self.finish_root(schema, number, transaction_id, time)
    }

    /// The record of the row that was ended last; zeros before the first.
    #[must_use]
    pub fn record(&self) -> &[u8; RECORD_BYTES] {
        self.record.as_ref().unwrap_or(&[0; RECORD_BYTES])
    }

    /// The commitments of the row that was ended last, in their order; none before the first.
    pub fn commitments(&self) -> impl Iterator<Item = Commitment<'_>> {
        let group = (0, Form::Group, &[][..]);
        // A key stands within its message.
        let parts = self.parts.iter().map(|part| (part.field, part.form, &self.messages[part.key_range()]));
        let hashes = if self.record.is_some() { self.root.get(ROOT..).unwrap_or_default() } else { &[] };
        let hashes = hashes.as_chunks::<32>().0;
        let erased = self.erased.iter().copied().chain(std::iter::repeat(false));
        let salts = self.salts.iter().zip(erased).map(|(salt, is_erased)| (!is_erased).then_some(*salt));
        let all = std::iter::once(group).chain(parts).zip(hashes).zip(salts);
        all.map(|(((field, form, key), hash), salt)| Commitment { field, form, key, hash: *hash, salt })
    }

    fn apart(&mut self, no: u16, count: u32) {
        let start = self.group.len();
        let [high, low] = no.to_be_bytes();
        self.group.extend_from_slice(&[high, low, TAG_APART]);
        self.group.extend_from_slice(&count.to_be_bytes());
        let group = (start, self.group.len());
        self.apart.push(Apart { no, group, first: self.parts.len(), count: count as usize });
    }

    fn push_members(&mut self, no: u16, text: &str) -> Option<u32> {
        let mut key = std::mem::take(&mut self.key);
        let mut count = 0;
        let mut members = Members::new(text)?;
        while let Some(value) = members.next(&mut key)? {
            self.member(no, &key, value.as_bytes());
            count += 1;
        }
        self.key = key;
        Some(count)
    }

    /// Corrects the count of the field that was added last.
    fn set_count(&mut self, count: u32) {
        let at = self.group.len() - 4;
        // The field ends with the four bytes of its count.
        self.group[at..].copy_from_slice(&count.to_be_bytes());
        if let Some(last) = self.apart.last_mut() {
            last.count = count as usize;
        }
    }

    fn begin_root(&mut self, schema: &PreparedSchema, commitments: usize) {
        self.salts.clear();
        self.erased.clear();
        self.root.clear();
        self.root.extend_from_slice(b"agr1");
        self.root.extend_from_slice(&schema.sha256);
        self.root.extend_from_slice(&(commitments as u32).to_be_bytes());
    }

    /// The salts of all commitments: of each field two from one hash, so that what one field has does not
    /// move the salts of the others.
    fn derive_salts(&mut self, salt: &[u8; 16]) {
        let mut messages = [[0; 26]; LANES];
        for message in &mut messages {
            // Constant ranges within the array.
            message[..4].copy_from_slice(b"ags1");
            message[4..20].copy_from_slice(salt);
        }
        self.pairs.clear();
        self.pairs.push((0, 0, true));
        for field in self.apart.iter().filter(|field| field.count > 0) {
            let pairs = field.count.div_ceil(2) as u32;
            self.pairs.extend((0..pairs).map(|pair| (field.no, pair, 2 * pair as usize + 1 == field.count)));
        }
        let write = |message: &mut [u8; 26], (no, pair, _): (u16, u32, bool)| {
            // Constant ranges within the array.
            message[20..22].copy_from_slice(&no.to_be_bytes());
            message[22..].copy_from_slice(&pair.to_be_bytes());
        };
        let (lanes, rest) = self.pairs.as_chunks::<LANES>();
        for pairs in lanes {
            messages.iter_mut().zip(pairs).for_each(|(message, pair)| write(message, *pair));
            let hashes = sha256_each(messages.each_ref().map(|message| &message[..]));
            for (hash, (.., is_single)) in hashes.iter().zip(pairs) {
                self.salts.extend(hash.as_chunks::<16>().0.iter().take(if *is_single { 1 } else { 2 }));
            }
        }
        for pair in rest {
            write(&mut messages[0], *pair);
            let hash = sha256_of(&messages[0]);
            self.salts.extend(hash.as_chunks::<16>().0.iter().take(if pair.2 { 1 } else { 2 }));
        }
    }

    fn push_group(&mut self) {
        if let Some(salt) = self.salts.first() {
            // The message of the group begins as all do.
            self.group[SALT].copy_from_slice(salt);
        }
        self.root.extend_from_slice(&sha256_of(&self.group));
    }

    /// The commitments of the parts, some at a time.
    fn push_parts(&mut self) {
        // Parts are within `messages`, and each is longer than the salt's end. The first salt is the group's.
        for (part, salt) in self.parts.iter().zip(self.salts.iter().skip(1)) {
            self.messages[part.start..part.end][SALT].copy_from_slice(salt);
        }
        let message = |part: &Part| &self.messages[part.start..part.end];
        let (lanes, rest) = self.parts.as_chunks::<LANES>();
        for parts in lanes {
            let hashes = sha256_each(parts.each_ref().map(message));
            self.root.extend_from_slice(hashes.as_flattened());
        }
        for part in rest {
            self.root.extend_from_slice(&sha256_of(message(part)));
        }
    }

    fn finish_root(&mut self, schema: &PreparedSchema, number: i64, transaction_id: i64, time: i64) -> Hash {
        let record = Record {
            kind: Kind::Row,
            schema_no: schema.schema_no,
            commitments: self.salts.len() as u32,
            number,
            transaction_id,
            time,
            fields_root: sha256_of(&self.root),
        };
        let record = self.record.insert(record.to_bytes());
        leaf_of(record)
    }
}

/// How many messages are hashed at a time.
const LANES: usize = 4;
/// Where in the message of the root the commitments begin.
const ROOT: usize = 40;

fn message_start(field: u16, form: Form) -> [u8; BODY] {
    let mut start = [0; BODY];
    // Constant ranges within the array.
    start[..4].copy_from_slice(b"agf1");
    start[20..22].copy_from_slice(&field.to_be_bytes());
    start[22] = form as u8;
    start
}
