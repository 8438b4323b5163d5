//! Receipts: one row, or some columns of it, with everything that shows that it was sealed like that. A
//! receipt leaves the database as a JSON document and is verified without it.

mod build;
mod verify;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use build::{Protection, ReceiptError, Sealed, build};
pub use verify::{Trust, verify};

use super::{Malformed, base64};

const VERSION: u8 = 1;

/// The document. Integers that may be large are text in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    audit_guard_receipt: u8,
    /// The stream of the row.
    pub stream: String,
    /// Its number in the stream.
    pub id: String,
    /// Its leaf.
    pub leaf_index: String,
    /// The 72 bytes that the leaf is the hash of.
    pub record: Base64,
    /// The definition of the schema.
    pub schema: String,
    /// The commitments, in their order.
    pub fields: Vec<ReceiptField>,
    /// The proof of inclusion.
    pub inclusion: Vec<Base64>,
    /// The checkpoint for which the proof holds: a note, or only its text.
    pub checkpoint: String,
}

/// One commitment. Either `commitment` is there, or `salt` and what it commits to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptField {
    /// The number of the field; 0 for the columns that cannot be erased.
    pub field: u16,
    /// The column; none for those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// 0 for the columns that cannot be erased, 1 for a whole value, 2 for a member of a JSON object.
    pub form: u8,
    /// The key of a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The commitment, of what is not disclosed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment: Option<Base64>,
    /// The salt, of what is disclosed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<Base64>,
    /// The value, as portable text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The values of the columns that cannot be erased, by column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<BTreeMap<String, Option<String>>>,
}

/// Bytes, in JSON as base 64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Base64 {
    fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.0.as_slice().try_into().ok()
    }
}

impl Serialize for Base64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64::decode(&text).map(Self).ok_or_else(|| serde::de::Error::custom("no base 64"))
    }
}

impl Receipt {
    /// Reads the document. Nothing of it can be relied on before [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is no receipt of version 1.
    pub fn parse(json: &str) -> Result<Self, Malformed> {
        let receipt: Self = serde_json::from_str(json)
            .map_err(|_| Malformed("it is no receipt: a member is missing or wrong"))?;
        if receipt.audit_guard_receipt == VERSION {
            Ok(receipt)
        } else {
            Err(Malformed("it is no receipt of version 1"))
        }
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with string keys always have a JSON text.
        serde_json::to_string(self).unwrap_or_default()
    }
}
