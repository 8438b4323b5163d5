//! The Merkle tree of RFC 6962, as it grows.

use super::hash::{Hash, node_hash, node_hashes, sha256};

/// How many levels of the binary tree one tile has.
const TILE_LEVELS: u8 = 8;
const TILE: usize = 1 << TILE_LEVELS;

/// The root of the empty tree.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// What has to be kept of a tree to let it grow and to know its root: the roots of the perfect subtrees that
/// make it up, one per bit of its size, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, roots: Vec::new() }
    }

    /// A tree of `size` leaves from what [`Self::to_bytes`] gave; `None` when the length does not fit.
    #[must_use]
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (roots, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && roots.len() == size.count_ones() as usize;
        fits.then(|| Self { size, roots: roots.to_vec() })
    }

    /// The hashes, 32 bytes each, the largest subtree first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.as_flattened().to_vec()
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree; of the empty one the SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(&smallest) = roots.next() else { return empty_root() };
        roots.fold(smallest, |below, left| node_hash(left, &below))
    }

    /// Appends a leaf. `completed` is told the root of each subtree of 256^level leaves, level 1 and up, that
    /// is complete now: its level, its index in that level, the root.
    pub fn push(&mut self, leaf: Hash, completed: &mut impl FnMut(u8, u64, &Hash)) {
        self.push_subtree(0, leaf, completed);
    }

    /// Appends many leaves, as [`Self::push`] would do one by one, and several times as fast.
    pub fn extend(&mut self, leaves: &[Hash], completed: &mut impl FnMut(u8, u64, &Hash)) {
        let to_boundary = (self.size.wrapping_neg() % TILE as u64) as usize;
        // `min` keeps the middle within the slice.
        let (first, rest) = leaves.split_at(to_boundary.min(leaves.len()));
        for leaf in first {
            self.push(*leaf, completed);
        }
        let (tiles, last) = rest.as_chunks::<TILE>();
        for tile in tiles {
            let root = tile_root(tile);
            completed(1, self.size >> TILE_LEVELS, &root);
            self.push_subtree(TILE_LEVELS, root, completed);
        }
        for leaf in last {
            self.push(*leaf, completed);
        }
    }

    /// Appends a perfect subtree of 2^level leaves; the size is a multiple of that.
    fn push_subtree(&mut self, mut level: u8, mut root: Hash, completed: &mut impl FnMut(u8, u64, &Hash)) {
        let leaves = 1_u64 << level;
        while self.size >> level & 1 == 1 {
            // A set bit of the size stands for a root in the list.
            let Some(left) = self.roots.pop() else { break };
            root = node_hash(&left, &root);
            level += 1;
            if level.is_multiple_of(TILE_LEVELS) {
                completed(level / TILE_LEVELS, self.size >> level, &root);
            }
        }
        self.roots.push(root);
        self.size += leaves;
    }
}

/// The root over 256 hashes. Level by level, because then the processor works on several nodes at a time.
fn tile_root(leaves: &[Hash; TILE]) -> Hash {
    let mut nodes = [[0; 32]; TILE / 2];
    for (nodes, below) in nodes.as_chunks_mut::<4>().0.iter_mut().zip(leaves.as_chunks::<8>().0) {
        *nodes = node_hashes(below);
    }
    let mut width = TILE / 2;
    while width > 4 {
        width /= 2;
        for at in (0..width).step_by(4) {
            let mut below = [[0; 32]; 8];
            below.copy_from_slice(&nodes[2 * at..2 * at + 8]);
            nodes[at..at + 4].copy_from_slice(&node_hashes(&below));
        }
    }
    while width > 1 {
        width /= 2;
        for at in 0..width {
            // `at` is below half of what is left of the 128 nodes.
            nodes[at] = node_hash(&nodes[2 * at], &nodes[2 * at + 1]);
        }
    }
    nodes[0]
}

/// The root over hashes that are a power of two in number; `None` when they are not.
#[must_use]
pub fn perfect_root(hashes: &[Hash]) -> Option<Hash> {
    let mut tree = Frontier::new();
    tree.extend(hashes, &mut |_, _, _| {});
    hashes.len().is_power_of_two().then(|| tree.root())
}
