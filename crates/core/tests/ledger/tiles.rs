//! Tiles: their paths and numbers, and what is in them.

use std::collections::HashSet;

use audit_guard_core::ledger::tile::{Tile, TileKind, entries, levels, push_entry, tiles};
use proptest::prelude::*;

const fn tile(kind: TileKind, index: u64, width: u16) -> Tile {
    Tile { kind, index, width }
}

#[test]
fn paths() {
    for (tile, path) in [
        (tile(TileKind::Hashes(0), 0, 256), "tile/0/000"),
        (tile(TileKind::Hashes(2), 999, 1), "tile/2/999.p/1"),
        (tile(TileKind::Hashes(63), 1_234_067, 256), "tile/63/x001/x234/067"),
        (tile(TileKind::Entries, 1000, 255), "tile/entries/x001/000.p/255"),
    ] {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse_path(path), Some(tile));
    }
    for path in [
        "",
        "tile/0",
        "tile/0/",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/00/000",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/data/000",
        "/tile/0/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/000/",
    ] {
        assert_eq!(Tile::parse_path(path), None, "{path}");
    }
}

#[test]
fn tiles_of_70_000_leaves() {
    let widths = |level| tiles(TileKind::Hashes(level), 0, 70_000).map(|tile| tile.width).collect::<Vec<_>>();
    assert_eq!(levels(70_000), 3);
    assert_eq!((widths(0).len(), widths(0)[273]), (274, 112));
    assert_eq!(widths(1), [256, 17]);
    assert_eq!(widths(2), [1]);
    assert!(widths(3).is_empty());
    let later: Vec<_> = tiles(TileKind::Entries, 69_900, 70_000).collect();
    assert_eq!(later, [tile(TileKind::Entries, 273, 112)]);
    assert!(later[0].is_partial() && later[0].first() == 273 * 256);
    assert_eq!((levels(0), levels(255), levels(256), levels(u64::MAX)), (0, 1, 2, 8));
    assert_eq!(tiles(TileKind::Hashes(8), 0, u64::MAX).count(), 0);
}

#[test]
fn records_of_a_tile() {
    let mut bytes = Vec::new();
    assert!(push_entry(b"", &mut bytes) && push_entry(b"abc", &mut bytes));
    assert_eq!(bytes, b"\0\0\0\x03abc");
    assert_eq!(entries(&bytes).unwrap(), [&b""[..], b"abc"]);
    assert!(!push_entry(&[0; 65_536], &mut bytes) && bytes.len() == 7);
    assert!(push_entry(&[0; 65_535], &mut bytes));
    assert!(entries(&bytes[..6]).is_err());
    assert!(entries(&[0; 512]).is_ok());
    assert!(entries(&[0; 514]).is_err());
}

proptest! {
    #[test]
    fn tiles_are_those_of_cloudflare(size in 0_u64..150_000, from in 0_u64..150_000) {
        let from = from.min(size);
        let ours: Vec<String> = (0..levels(size))
            .flat_map(|level| tiles(TileKind::Hashes(level), from >> (8 * u32::from(level)), size))
            .map(|tile| tile.path())
            .collect();
        // Theirs have the height in front, and leave out levels in which nothing is new.
        let theirs: Vec<String> = tlog_tiles::Tile::new_tiles(8, from, size)
            .iter()
            .map(|tile| tile.path().replacen("tile/8/", "tile/", 1))
            .collect();
        let known: HashSet<&String> = ours.iter().collect();
        prop_assert!(theirs.iter().all(|path| known.contains(path)));
        if from == 0 {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn any_path_is_read_or_refused(
        path in "(tile/)?([0-9]{1,2}|entries)(/x[0-9]{3}){0,8}/[0-9]{3}(\\.p/[0-9]{1,3})?|\\PC*",
    ) {
        if let Some(tile) = Tile::parse_path(&path) {
            prop_assert_eq!(tile.path(), path);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, short in prop::collection::vec(0_u8..3, 0..60)) {
        for bytes in [bytes, short] {
            if let Ok(records) = entries(&bytes) {
                let mut again = Vec::new();
                prop_assert!(records.iter().all(|record| push_entry(record, &mut again)));
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
