//! What a verification finds.

use serde::{Deserialize, Serialize};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Everything agrees with a checkpoint that somebody trusted has signed.
    Ok,
    /// Everything agrees with itself. Whoever can rewrite all of it can make that so.
    InternallyConsistent,
    /// A row is not what was sealed.
    Modified,
    /// A sealed row is not there.
    Missing,
    /// A row is there that its seal does not have.
    Orphan,
    /// A row is there, or was sealed, twice.
    Duplicate,
    /// Hashes do not lead to the root.
    TreeMismatch,
    /// Seals are missing, or do not follow each other.
    SealGap,
    /// A signature is wrong, or a text that should be signed is not.
    BadSignature,
    /// The tree is smaller than a checkpoint says.
    Rollback,
    /// The tree is another than a checkpoint says.
    Fork,
    /// What is there is too old to say something.
    Stale,
    /// Something was erased without a sealed event that says so.
    UnauthorisedRedaction,
    /// Rows went before their time, or without a sealed event that says so.
    PrematurePrune,
    /// A row has a schema that is not registered, or is not what was registered.
    UnknownSchema,
    /// The database was set back, and somebody has declared it.
    AcknowledgedGap,
}

/// What a finding means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was changed.
    Intact,
    /// Not everything could be checked, or not against something outside of the database.
    Open,
    /// Something was changed.
    Tampered,
}

const NAMES: [(Code, &str); 16] = [
    (Code::Ok, "ok"),
    (Code::InternallyConsistent, "internally_consistent"),
    (Code::Modified, "modified"),
    (Code::Missing, "missing"),
    (Code::Orphan, "orphan"),
    (Code::Duplicate, "duplicate"),
    (Code::TreeMismatch, "tree_mismatch"),
    (Code::SealGap, "seal_gap"),
    (Code::BadSignature, "bad_signature"),
    (Code::Rollback, "rollback"),
    (Code::Fork, "fork"),
    (Code::Stale, "stale"),
    (Code::UnauthorisedRedaction, "unauthorised_redaction"),
    (Code::PrematurePrune, "premature_prune"),
    (Code::UnknownSchema, "unknown_schema"),
    (Code::AcknowledgedGap, "acknowledged_gap"),
];

impl Code {
    /// All codes.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(code, _)| *code)
    }

    /// The name, as in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(code, _)| *code == self).map_or("", |(_, name)| name)
    }

    /// The code of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(code, _)| *code)
    }

    /// What it means.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Ok => Outcome::Intact,
            Self::InternallyConsistent | Self::Stale | Self::AcknowledgedGap => Outcome::Open,
            _ => Outcome::Tampered,
        }
    }
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was found.
    pub code: Code,
    /// In which stream.
    pub stream: Option<String>,
    /// At which row.
    pub id: Option<String>,
    /// At which leaf.
    pub leaf_index: Option<u64>,
    /// In words. Never a value of a row.
    pub detail: String,
}
