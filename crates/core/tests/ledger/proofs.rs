//! Proofs: of every leaf and every pair of sizes of small trees, against two other implementations.

use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::proof::{
    Nodes, Tiles, consistency, frontier, inclusion, root as root_of, root_from_inclusion, verify_consistency,
    verify_inclusion,
};
use audit_guard_core::ledger::tree::Frontier;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles::tlog::{self, HashReader};

use super::reference::root;
use super::tree::leaves;

const SIZES: usize = 70;

/// The hashes of a Go-style log: what `tlog_tiles` reads.
struct Stored<'a>(&'a [Hash]);

impl HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        let hash = |index: &u64| {
            let (level, n) = tlog::split_stored_hash_index(*index);
            tlog::Hash(self.0.node(level, n).unwrap())
        };
        Ok(indexes.iter().map(hash).collect())
    }
}

fn plain(proof: &[tlog::Hash]) -> Vec<Hash> {
    proof.iter().map(|hash| hash.0).collect()
}

#[test]
fn every_leaf_of_small_trees() {
    let all = leaves(SIZES);
    let mut other = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    for size in 1..=SIZES {
        other.push((size as u64 - 1).to_be_bytes());
        let (tree, root) = (&all[..size], root(&all[..size]));
        assert_eq!(other.root().as_bytes()[..], root, "root of {size}");
        for index in 0..size {
            let proof = inclusion(tree, index as u64, size as u64).unwrap();
            assert!(verify_inclusion(&all[index], index as u64, size as u64, &proof, &root));
            assert_eq!(other.prove_inclusion(index).as_bytes(), proof.as_flattened(), "{index} of {size}");
            let go = tlog::prove_record(size as u64, index as u64, &Stored(&all)).unwrap();
            assert_eq!(plain(&go), proof);
            // Neither another leaf nor another place.
            let wrong = all[(index + 1) % SIZES];
            assert!(!verify_inclusion(&wrong, index as u64, size as u64, &proof, &root));
            assert!(!verify_inclusion(&all[index], index as u64 + 1, size as u64, &proof, &root));
        }
        assert_eq!(inclusion(tree, size as u64, size as u64), None);
    }
}

#[test]
fn every_pair_of_small_sizes() {
    let all = leaves(SIZES);
    let mut other = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    for second in 1..=SIZES {
        other.push((second as u64 - 1).to_be_bytes());
        let new = root(&all[..second]);
        for first in 1..=second {
            let (old, sizes) = (root(&all[..first]), (first as u64, second as u64));
            let proof = consistency(&all[..second], sizes.0, sizes.1).unwrap();
            assert!(verify_consistency(sizes.0, sizes.1, &proof, &old, &new), "{first} in {second}");
            if first < second {
                assert_eq!(other.prove_consistency(second - first).as_bytes(), proof.as_flattened());
                let go = tlog::prove_tree(sizes.1, sizes.0, &Stored(&all)).unwrap();
                assert_eq!(plain(&go), proof);
                assert!(!verify_consistency(sizes.0, sizes.1, &proof, &new, &old));
            }
        }
        assert_eq!(consistency(&all[..second], 0, second as u64), None);
        assert_eq!(consistency(&all[..second], second as u64 + 1, second as u64), None);
    }
}

#[test]
fn what_is_missing_gives_no_proof() {
    let all = leaves(9);
    assert_eq!(inclusion(&all[..8], 3, 9), None);
    assert_eq!(consistency(&all[..8], 3, 9), None);
    assert_eq!(all[..].node(63, 1), None);
    assert_eq!(all[..].node(64, 0), None);
    assert_eq!(Tiles(|_, _, _| Some(vec![])).node(3, 0), None);
    assert_eq!(root_of(&all[..], 0).unwrap(), root(&[]));
}

#[test]
fn huge_sizes_end() {
    let every = Tiles(|_, _, count| Some(vec![[7; 32]; count]));
    for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, (1 << 63) + 1), (5, 1 << 63)] {
        let proof = inclusion(&every, index, size).unwrap();
        assert!(root_from_inclusion(&[7; 32], index, size, &proof).is_some());
        assert_eq!(root_from_inclusion(&[7; 32], index, size, &proof[1..]), None);
        assert!(consistency(&every, index.max(1), size).is_some());
    }
}

/// Levels 0, 8, 16 only, and only what is within the tree.
fn tiles(all: &[Hash]) -> Tiles<impl Fn(u8, u64, usize) -> Option<Vec<Hash>>> {
    let first = all.to_vec();
    let second: Vec<Hash> = all.chunks_exact(256).map(root).collect();
    Tiles(move |level, index: u64, count| {
        let hashes = match level {
            0 => &first,
            1 => &second,
            _ => return None,
        };
        assert!(count <= 128);
        hashes.get(index as usize..index as usize + count).map(<[Hash]>::to_vec)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn proofs_from_tiles(size in 1_usize..3000, pick: prop::sample::Index, first: prop::sample::Index) {
        let all = leaves(size);
        let root = root(&all);
        let tiles = tiles(&all);
        let (index, size, first) = (pick.index(size) as u64, size as u64, first.index(size) as u64 + 1);
        prop_assert_eq!(root_of(&tiles, size), Some(root));
        let proof = inclusion(&tiles, index, size).unwrap();
        prop_assert!(verify_inclusion(&all[index as usize], index, size, &proof, &root));
        let old = root_of(&tiles, first).unwrap();
        let proof = consistency(&tiles, first, size).unwrap();
        prop_assert!(verify_consistency(first, size, &proof, &old, &root));
        let kept = frontier(&tiles, size).unwrap();
        prop_assert_eq!(Frontier::from_bytes(size, kept.as_flattened()).unwrap().root(), root);
    }

    #[test]
    fn any_proof_is_right_for_all_or_for_none(
        size in 1_u64..40,
        index in 0_u64..40,
        first in 1_u64..40,
        change in 0_usize..6,
        at: prop::sample::Index,
    ) {
        let all = leaves(40);
        let (index, first) = (index % size, (first - 1) % size + 1);
        let new = root(&all[..size as usize]);
        let old = root(&all[..first as usize]);
        let mut proof = inclusion(&all[..], index, size).unwrap();
        let mut steps = consistency(&all[..], first, size).unwrap();
        for hashes in [&mut proof, &mut steps] {
            if hashes.is_empty() {
                continue;
            }
            let at = at.index(hashes.len());
            match change {
                0 => hashes[at][3] ^= 1,
                1 => { hashes.remove(at); }
                2 => hashes.insert(at, [1; 32]),
                3 => hashes.push([1; 32]),
                4 => hashes.reverse(),
                _ => {}
            }
        }
        let digest = |hash: &Hash| sha2::digest::Output::<Sha256>::from(*hash);
        let their_new = RootHash::<Sha256>::new(digest(&new), size);
        let included = verify_inclusion(&all[index as usize], index, size, &proof, &new);
        let theirs = InclusionProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
        prop_assert_eq!(their_new.verify_inclusion(&index.to_be_bytes(), index, &theirs).is_ok(), included);
        if first < size {
            let consistent = verify_consistency(first, size, &steps, &old, &new);
            let theirs = ConsistencyProof::<Sha256>::try_from_bytes(steps.concat()).unwrap();
            let their_old = RootHash::<Sha256>::new(digest(&old), first);
            prop_assert_eq!(their_new.verify_consistency(&their_old, &theirs).is_ok(), consistent);
        }
    }
}
