//! The tree as it is stored: leaves in the seals, and the roots of every 256 leaves, 65,536 leaves and so on.

use super::store;
use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::proof::{Nodes, Tiles};

/// The tree in the tables.
pub(super) struct StoredTree;

impl Nodes for StoredTree {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        Tiles(stored).node(level, index)
    }
}

/// Consecutive nodes of a stored level: 0 are the leaves.
fn stored(level: u8, first: u64, count: usize) -> Option<Vec<Hash>> {
    let count = count as u64;
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
