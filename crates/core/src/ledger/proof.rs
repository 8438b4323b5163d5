//! Proofs of RFC 6962: that a leaf is in a tree, and that one tree is the beginning of another.

use super::hash::{Hash, node_hash};
use super::tree::{empty_root, perfect_root};

/// Where the hashes of a tree come from.
pub trait Nodes {
    /// The root of the perfect subtree of 2^`level` leaves that begins with leaf `index` << `level`; `None`
    /// when it is not to be had.
    fn node(&self, level: u8, index: u64) -> Option<Hash>;
}

impl Nodes for [Hash] {
    /// All leaves of a tree.
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let width = 1_usize.checked_shl(level.into())?;
        let start = usize::try_from(index).ok()?.checked_mul(width)?;
        perfect_root(self.get(start..start.checked_add(width)?)?)
    }
}

/// Hashes that are kept at every eighth level only, as tiles have them.
///
/// The function gives hashes of one such level: the level (0 for leaves, 1 for roots of 256 leaves, and so
/// on), the index of the first, how many. There are at most 128, and none of them lies beyond the tree.
pub struct Tiles<F>(pub F);

impl<F: Fn(u8, u64, usize) -> Option<Vec<Hash>>> Nodes for Tiles<F> {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let below = level % 8;
        let hashes = (self.0)(level / 8, index.checked_shl(below.into())?, 1 << below)?;
        if hashes.len() == 1 << below { perfect_root(&hashes) } else { None }
    }
}

/// The proof that leaf `index` is in the tree of `size` leaves: from its sibling up to the root's child.
/// `None` when there is no such leaf, or a hash is not to be had.
#[must_use]
pub fn inclusion(nodes: &(impl Nodes + ?Sized), index: u64, size: u64) -> Option<Vec<Hash>> {
    if index >= size {
        return None;
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range_root(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range_root(nodes, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Some(proof)
}

/// The proof that the tree of `first` leaves is the beginning of the tree of `second`. `None` when `first` is
/// zero or larger, or a hash is not to be had.
#[must_use]
pub fn consistency(nodes: &(impl Nodes + ?Sized), first: u64, second: u64) -> Option<Vec<Hash>> {
    if first == 0 || first > second {
        return None;
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, second);
    while first != end {
        let middle = start + split(end - start);
        if first <= middle {
            proof.push(range_root(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range_root(nodes, start, middle)?);
            start = middle;
        }
    }
    // The verifier knows the old root, but not a part of it.
    if start > 0 {
        proof.push(range_root(nodes, start, end)?);
    }
    proof.reverse();
    Some(proof)
}

/// The root of the tree of the first `size` leaves.
#[must_use]
pub fn root(nodes: &(impl Nodes + ?Sized), size: u64) -> Option<Hash> {
    if size == 0 { Some(empty_root()) } else { range_root(nodes, 0, size) }
}

/// The roots of the perfect subtrees that make up the tree of `size` leaves, the largest first: what
/// [`super::tree::Frontier`] keeps.
#[must_use]
pub fn frontier(nodes: &(impl Nodes + ?Sized), size: u64) -> Option<Vec<Hash>> {
    perfect_subtrees(0, size).map(|(level, index)| nodes.node(level, index)).collect()
}

/// The root that a proof of inclusion leads to; `None` when it has too many hashes or too few.
#[must_use]
pub fn root_from_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // Where the right edge has no sibling, a node is its parent.
            let levels = if node & 1 == 1 { 0 } else { node.trailing_zeros().min(63) };
            node = node.wrapping_shr(levels);
            last >>= levels;
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// Whether `proof` shows that the tree of this root has this leaf.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    root_from_inclusion(leaf, index, size, proof).as_ref() == Some(root)
}

/// Whether `proof` shows that the tree of `first` leaves is the beginning of the tree of `second`. Of an
/// empty first tree nothing can be shown.
#[must_use]
pub fn verify_consistency(
    first: u64,
    second: u64,
    proof: &[Hash],
    first_root: &Hash,
    second_root: &Hash,
) -> bool {
    if first == second {
        let is_empty = first == 0;
        return proof.is_empty() && first_root == second_root && (!is_empty || *first_root == empty_root());
    }
    if first == 0 || first > second {
        return false;
    }
    // A first tree that is perfect is a node of the second one, and known.
    let mut proof = proof.iter();
    let start = if first.is_power_of_two() { Some(first_root) } else { proof.next() };
    let Some(start) = start else { return false };
    let levels = (first - 1).trailing_ones();
    let (mut node, mut last) = ((first - 1) >> levels, (second - 1) >> levels);
    let (mut old, mut new) = (*start, *start);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            let levels = if node & 1 == 1 { 0 } else { node.trailing_zeros().min(63) };
            node >>= levels;
            last >>= levels;
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == *first_root && new == *second_root
}

/// The largest power of two below `count`, which is at least 2.
const fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The root over the leaves from `start` to before `end`, of which `start` is a multiple of a power of two
/// that is not smaller than their count.
fn range_root(nodes: &(impl Nodes + ?Sized), start: u64, end: u64) -> Option<Hash> {
    let roots: Option<Vec<Hash>> =
        perfect_subtrees(start, end).map(|(level, index)| nodes.node(level, index)).collect();
    roots?.into_iter().rev().reduce(|below, left| node_hash(&left, &below))
}

/// Level and index of the perfect subtrees that make up such a range, the largest first.
fn perfect_subtrees(start: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let level = (end - at).checked_ilog2()? as u8;
        let subtree = (level, at >> level);
        at += 1 << level;
        Some(subtree)
    })
}
