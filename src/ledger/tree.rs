//! The tree as it is stored: leaves in the seals, and the roots of every 256 leaves, 65,536 leaves and so on.

use super::store;
use audit_guard_core::ledger::hash::{Hash, node_hash};
use audit_guard_core::ledger::proof::Nodes;
use audit_guard_core::ledger::tree::empty_root;

/// Levels between two that are stored.
const STORED_LEVELS: u8 = 8;

/// The tree in the tables.
pub(super) struct StoredTree;

impl Nodes for StoredTree {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let below = level % STORED_LEVELS;
        let first = index.checked_shl(u32::from(below))?;
        Some(perfect_root(stored((level - below) / STORED_LEVELS, first, 1 << below)?))
    }
}

/// Consecutive nodes of a stored level: 0 are the leaves.
fn stored(level: u8, first: u64, count: u64) -> Option<Vec<Hash>> {
    if level == 0 {
        return store::leaves(first, count);
    }
    let rows = store::subtrees(level, first, first + (count - 1));
    let nodes: Option<Vec<Hash>> = (first..)
        .zip(rows)
        .map(|(index, (stored, hash))| Hash::try_from(hash).ok().filter(|_| stored == index))
        .collect();
    nodes.filter(|nodes| nodes.len() as u64 == count)
}

fn perfect_root(mut nodes: Vec<Hash>) -> Hash {
    while nodes.len() > 1 {
        nodes = nodes.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    nodes.pop().unwrap_or_else(empty_root)
}
