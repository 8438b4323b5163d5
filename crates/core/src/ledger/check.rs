//! Compares what is stored with what was sealed: seals with each other and with their tree, rows with their
//! leaves. The database and the command outside use the same.

mod seal;
mod slice;

pub use seal::Seal;
pub use slice::{Key, Position, Slice, Span, StoredRow, span_around, window_spans};

use super::verdict::Code;

/// Something that is not as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub code: Code,
    /// The stream and the row's number in it, when it is about a row.
    pub row: Option<(u16, i64)>,
    /// The index of the leaf, when there is one.
    pub leaf_index: Option<u64>,
    /// In words.
    pub detail: String,
}

impl Finding {
    fn of_seal(code: Code, seal: &Seal, detail: impl std::fmt::Display) -> Self {
        let detail = format!("seal {}: {detail}", seal.seal_no);
        Self { code, row: None, leaf_index: Some(seal.first_leaf), detail }
    }
}
