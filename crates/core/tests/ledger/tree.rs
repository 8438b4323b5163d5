//! The tree as it grows.

use std::collections::BTreeMap;

use audit_guard_core::ledger::hash::{Hash, leaf_hash, node_hash, sha256};
use audit_guard_core::ledger::tree::Frontier;
use proptest::prelude::*;

use super::reference::{root, sha};

pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count as u64).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

#[test]
fn hashes() {
    assert_eq!(leaf_hash(b"x"), sha(&[b"\0x"]));
    assert_eq!(node_hash(&[1; 32], &[2; 32]), sha(&[&[1], &[1; 32], &[2; 32]]));
    assert_eq!(sha256(&[b"a", b"", b"bc"]), sha(&[b"abc"]));
}

#[test]
fn every_size_up_to_600_gives_the_root() {
    let leaves = leaves(600);
    let mut tree = Frontier::new();
    assert_eq!(tree.root(), sha(&[]));
    for (size, leaf) in (1..).zip(&leaves) {
        tree.push(*leaf, &mut |_, _, _| {});
        assert_eq!(tree.root(), root(&leaves[..size]), "size {size}");
        let bytes = tree.to_bytes();
        assert_eq!(Frontier::from_bytes(tree.size(), &bytes), Some(tree.clone()));
        assert_eq!(Frontier::from_bytes(tree.size() * 2 + 1, &bytes), None);
        assert_eq!(Frontier::from_bytes(tree.size(), &bytes[1..]), None);
    }
}

#[test]
fn complete_subtrees_are_told() {
    let leaves = leaves((1 << 16) + 600);
    let mut told = BTreeMap::new();
    let mut tree = Frontier::new();
    // The second part starts beside a boundary.
    for part in [&leaves[..1], &leaves[1..70], &leaves[70..1000], &leaves[1000..]] {
        tree.extend(part, &mut |level, index, hash| {
            assert_eq!(told.insert((level, index), *hash), None, "told twice");
        });
    }
    let mut expected: BTreeMap<(u8, u64), Hash> =
        leaves.chunks_exact(256).zip(0..).map(|(tile, index)| ((1, index), root(tile))).collect();
    expected.insert((2, 0), root(&leaves[..1 << 16]));
    assert_eq!(told, expected);
    assert_eq!(tree.root(), root(&leaves));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn many_at_once_are_as_one_by_one(parts in prop::collection::vec(0_usize..700, 0..5)) {
        let leaves = leaves(parts.iter().sum());
        let (mut rest, mut tree, mut told) = (&leaves[..], Frontier::new(), Vec::new());
        for count in parts {
            let (part, later) = rest.split_at(count);
            tree.extend(part, &mut |level, index, hash| told.push((level, index, *hash)));
            rest = later;
        }
        let (mut slow, mut slowly_told) = (Frontier::new(), Vec::new());
        for leaf in &leaves {
            slow.push(*leaf, &mut |level, index, hash| slowly_told.push((level, index, *hash)));
        }
        prop_assert_eq!(tree.root(), root(&leaves));
        prop_assert_eq!(tree, slow);
        prop_assert_eq!(told, slowly_told);
    }
}
