//! Rows from which something was erased.

use super::{Apart, Form, Part, RowHasher, SALT, TAG_APART, message_start};
use crate::ledger::hash::{Hash, sha256_of};
use crate::ledger::reader::push_prefixed;
use crate::ledger::redaction::{Entry, Redaction, State};
use crate::ledger::schema::PreparedSchema;

/// A redacted row is not as its redaction says: it has a value that was erased, lacks one that was kept, or
/// has other keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit {
    /// The number of the field.
    pub field: u16,
}

impl RowHasher {
    /// Ends a row that something was erased from, and gives its leaf: of what was kept the commitment is made
    /// from the value, of what was erased it is taken from the redaction.
    ///
    /// # Errors
    ///
    /// [`Misfit`] with the first field that is not as the redaction says.
    pub fn finish_redacted(
        &mut self,
        schema: &PreparedSchema,
        redaction: &Redaction,
        number: i64,
        transaction_id: i64,
        time: i64,
    ) -> Result<Hash, Misfit> {
        let Some(State::Kept(group_salt)) = redaction.group().map(|group| &group.state) else {
            return Err(Misfit { field: 0 });
        };
        self.fit(redaction)?;
        self.begin_root(schema, self.parts.len() + 1);
        self.salts.push(*group_salt);
        self.erased.push(false);
        self.push_group();
        for (part, entry) in self.parts.iter().zip(redaction.parts()) {
            match &entry.state {
                State::Kept(salt) => {
                    // Parts are within `messages`, and each is longer than the salt's end.
                    let message = &mut self.messages[part.start..part.end];
                    message[SALT].copy_from_slice(salt);
                    self.root.extend_from_slice(&sha256_of(message));
                    self.salts.push(*salt);
                    self.erased.push(false);
                }
                State::Erased(hash) => {
                    self.root.extend_from_slice(hash);
                    self.salts.push([0; 16]);
                    self.erased.push(true);
                }
            }
        }
        Ok(self.finish_root(schema, number, transaction_id, time))
    }

    /// Makes group and parts what they were before something was erased, but for the values that are gone.
    fn fit(&mut self, redaction: &Redaction) -> Result<(), Misfit> {
        let mut entries = redaction.parts();
        let mut group = Vec::with_capacity(self.group.len() + 16);
        let mut parts = Vec::with_capacity(entries.len());
        let mut copied = 0;
        for index in 0..self.apart.len() {
            // `index` is below the length, and ranges within the group were noted when it was written.
            let apart = self.apart[index];
            let count = entries.iter().take_while(|entry| entry.field == apart.no).count();
            let (own, rest) = entries.split_at(count);
            entries = rest;
            group.extend_from_slice(&self.group[copied..apart.group.0]);
            copied = apart.group.1;
            if own.is_empty() && apart.count == 0 {
                group.extend_from_slice(&self.group[apart.group.0..apart.group.1]);
                continue;
            }
            let [high, low] = apart.no.to_be_bytes();
            group.extend_from_slice(&[high, low, TAG_APART]);
            group.extend_from_slice(&(count as u32).to_be_bytes());
            self.fit_field(apart, own, &mut parts).ok_or(Misfit { field: apart.no })?;
        }
        if let Some(entry) = entries.first() {
            return Err(Misfit { field: entry.field });
        }
        group.extend_from_slice(&self.group[copied..]);
        self.group = group;
        self.parts = parts;
        Ok(())
    }

    /// The parts of one field; `None` when the row does not have them as the entries say.
    fn fit_field(&mut self, apart: Apart, entries: &[Entry], parts: &mut Vec<Part>) -> Option<()> {
        if apart.count == 0 {
            // NULL: all of it was erased.
            for entry in entries {
                matches!(entry.state, State::Erased(_)).then_some(())?;
                parts.push(self.empty_part(entry));
            }
            return Some(());
        }
        let own = self.parts.get(apart.first..apart.first + apart.count)?;
        (own.len() == entries.len()).then_some(())?;
        for (part, entry) in own.iter().zip(entries) {
            let key = &self.messages[part.key_range()];
            let is_same = part.form == entry.form && key == entry.key;
            let is_kept = matches!(entry.state, State::Kept(_));
            // What was erased of an object is null in its place; what was erased whole is no longer there.
            let is_gone = part.form == Form::Member && &self.messages[part.value_range()] == b"null";
            (is_same && (is_kept || is_gone)).then_some(())?;
            parts.push(*part);
        }
        Some(())
    }

    /// A part of which nothing but the name is known.
    fn empty_part(&mut self, entry: &Entry) -> Part {
        let start = self.messages.len();
        self.messages.extend_from_slice(&message_start(entry.field, entry.form));
        if entry.form == Form::Member {
            push_prefixed(&entry.key, &mut self.messages);
        }
        let end = self.messages.len();
        Part { start, end, field: entry.field, form: entry.form, key: entry.key.len() }
    }
}
