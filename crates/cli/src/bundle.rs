//! The folder in which a ledger leaves its database: `bundle.json`, `rows/NNNNNN.jsonl`, `tile/...`,
//! `checkpoint`.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use audit_guard_core::ledger::check::Seal;
use audit_guard_core::ledger::header::SealKind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::facts::Facts;
use crate::failure::{Failure, Result};
use crate::files;

const VERSION: u32 = 1;
const DESCRIPTION_LIMIT: u64 = 1 << 30;

/// What `bundle.json` says. It is written anew after every file of rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) version: u32,
    pub(crate) origins: Vec<String>,
    #[serde(with = "as_text")]
    pub(crate) from_size: u64,
    #[serde(with = "as_text")]
    pub(crate) to_size: u64,
    /// The root of the first `to_size` leaves, in base64.
    pub(crate) root: String,
    pub(crate) facts: Facts,
    pub(crate) files: Vec<RowsFile>,
    /// The events that say which months were removed.
    pub(crate) certificates: Vec<Excuse>,
    /// The events that say what was erased.
    pub(crate) redactions: Vec<Excuse>,
}

/// One file of rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RowsFile {
    pub(crate) file: String,
    #[serde(with = "as_text")]
    pub(crate) first_leaf: u64,
    #[serde(with = "as_text")]
    pub(crate) leaves: u64,
    #[serde(with = "as_text")]
    pub(crate) last_seal: u64,
}

/// An event that excuses something. Whether it is as it was sealed is seen from its row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Excuse {
    #[serde(with = "as_text")]
    pub(crate) id: i64,
    pub(crate) object: Option<String>,
    pub(crate) detail: serde_json::Value,
}

impl Description {
    pub(crate) fn new() -> Self {
        Self {
            version: VERSION,
            origins: Vec::new(),
            from_size: 0,
            to_size: 0,
            root: STANDARD.encode(audit_guard_core::ledger::tree::empty_root()),
            facts: Facts::default(),
            files: Vec::new(),
            certificates: Vec::new(),
            redactions: Vec::new(),
        }
    }

    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.join("bundle.json")
    }

    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = Self::path(folder);
        let text = files::read(&path, DESCRIPTION_LIMIT)?;
        let wrong = |why: String| Failure::usage(format!("{}: {why}", path.display()));
        let own: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        match own.version {
            VERSION => Ok(own),
            _ => Err(wrong("a bundle of another version".to_owned())),
        }
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Failure::usage(error.to_string()))?;
        files::replace(&Self::path(folder), text.as_bytes())
    }
}

/// A line of a file of rows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line<'a> {
    #[serde(with = "as_text")]
    pub(crate) leaf: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<Header<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<Cow<'a, str>>,
    #[serde(default, with = "as_optional_text", skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<i64>,
    #[serde(default, with = "as_optional_text", skip_serializing_if = "Option::is_none")]
    pub(crate) transaction_id: Option<i64>,
    /// Microseconds since 1970.
    #[serde(default, with = "as_optional_text", skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<i64>,
    /// In hexadecimal.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) salt: Option<Cow<'a, str>>,
    /// In base64.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) redaction: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) values: Option<Values<'a>>,
    /// Of a row that is gone, in base64.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) pruned: bool,
}

impl Line<'_> {
    /// One with nothing but its place.
    pub(crate) const fn at(leaf: u64) -> Self {
        Self {
            leaf,
            header: None,
            stream: None,
            number: None,
            transaction_id: None,
            time: None,
            salt: None,
            redaction: None,
            values: None,
            hash: None,
            pruned: false,
        }
    }
}

/// Columns and what is in them, in their order.
#[derive(Debug, Default)]
pub(crate) struct Values<'a>(pub(crate) Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>);

/// A string that is only copied when it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Values<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("columns and their values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Values<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, Option<Text<'de>>>()? {
                    pairs.push((name.0, value.map(|value| value.0)));
                }
                Ok(Values(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// What a seal says about itself; its leaves are in the tiles.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header<'a> {
    #[serde(with = "as_text")]
    pub(crate) seal_no: u64,
    pub(crate) incarnation: u32,
    #[serde(with = "as_text")]
    pub(crate) batch: u64,
    pub(crate) chunk: u32,
    pub(crate) is_last: bool,
    pub(crate) kind: i16,
    #[serde(borrow)]
    pub(crate) prev_snapshot: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) snapshot: Cow<'a, str>,
    pub(crate) rows: u32,
    #[serde(with = "as_text")]
    pub(crate) oldest_at: i64,
    #[serde(with = "as_text")]
    pub(crate) newest_at: i64,
    /// In base64.
    #[serde(borrow)]
    pub(crate) entries: Cow<'a, str>,
    #[serde(with = "as_text")]
    pub(crate) sealed_at: i64,
    #[serde(borrow)]
    pub(crate) origin: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) checkpoint_note: Cow<'a, str>,
}

impl<'a> Header<'a> {
    pub(crate) fn of(seal: &'a Seal) -> Self {
        Self {
            seal_no: seal.seal_no,
            incarnation: seal.incarnation,
            batch: seal.batch,
            chunk: seal.chunk,
            is_last: seal.is_last,
            kind: seal.kind as i16,
            prev_snapshot: Cow::Borrowed(&seal.prev_snapshot),
            snapshot: Cow::Borrowed(&seal.snapshot),
            rows: seal.leaves.saturating_sub(1),
            oldest_at: seal.oldest_at,
            newest_at: seal.newest_at,
            entries: Cow::Owned(STANDARD.encode(&seal.entries)),
            sealed_at: seal.sealed_at,
            origin: Cow::Borrowed(&seal.origin),
            checkpoint_note: Cow::Borrowed(&seal.checkpoint_note),
        }
    }

    /// The seal, but for its leaves and the tree with it. None when it cannot be one.
    pub(crate) fn seal(&self, first_leaf: u64) -> Option<Seal> {
        Some(Seal {
            seal_no: self.seal_no,
            incarnation: self.incarnation,
            batch: self.batch,
            chunk: self.chunk,
            is_last: self.is_last,
            kind: SealKind::from_number(self.kind)?,
            prev_snapshot: self.prev_snapshot.clone().into_owned(),
            snapshot: self.snapshot.clone().into_owned(),
            first_leaf,
            leaves: self.rows.checked_add(1)?,
            oldest_at: self.oldest_at,
            newest_at: self.newest_at,
            entries: STANDARD.decode(self.entries.as_bytes()).ok()?,
            leaf_hashes: Vec::new(),
            size_after: first_leaf.checked_add(u64::from(self.rows) + 1)?,
            root_after: Vec::new(),
            frontier: Vec::new(),
            sealed_at: self.sealed_at,
            origin: self.origin.clone().into_owned(),
            checkpoint_note: self.checkpoint_note.clone().into_owned(),
        })
    }
}

/// Numbers of 64 bits as text: not every reader of JSON has room for them.
pub(crate) mod as_text {
    use std::borrow::Cow;
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("a number as text is expected"))
    }
}

/// The same, if it is there.
pub(crate) mod as_optional_text {
    use serde::{Deserializer, Serializer};

    use super::as_text;

    pub(crate) fn serialize<S: Serializer>(number: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => as_text::serialize(number, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        as_text::deserialize(deserializer).map(Some)
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Half a byte is below 16.
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What [`hex`] wrote, 16 bytes of it.
pub(crate) fn unhex16(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
