//! The tree as files, by C2SP tlog-tiles: `tile/0/...` holds the leaves, `tile/1/...` the roots of 256 of
//! them and so on, `tile/entries/...` the records.

use std::path::{Path, PathBuf};

use audit_guard_core::ledger::hash::Hash;
use audit_guard_core::ledger::record::RECORD_BYTES;
use audit_guard_core::ledger::tile::{TILE_WIDTH, Tile, TileKind, push_entry};
use audit_guard_core::ledger::tree::Frontier;

use crate::failure::{Failure, Result};
use crate::files;

/// How many hashes a full tile has.
const WIDTH: u64 = TILE_WIDTH as u64;

/// How many bytes a place in a tile has; a record has its length in front.
const fn place_bytes(kind: TileKind) -> usize {
    match kind {
        TileKind::Hashes(_) => 32,
        TileKind::Entries => RECORD_BYTES + 2,
    }
}

/// Where a tile is; one of a width that no tile has is nowhere.
fn path(folder: &Path, kind: TileKind, index: u64, width: u64) -> PathBuf {
    let width = u16::try_from(width).unwrap_or(0);
    folder.join(Tile { kind, index, width }.path())
}

/// What is not yet a full tile, per level.
pub(crate) struct TileWriter {
    folder: PathBuf,
    size: u64,
    /// Hashes of each level behind its last full tile.
    open: Vec<Vec<Hash>>,
    /// The records behind the last full tile. None when one of them is not there any more.
    records: Option<Vec<u8>>,
}

impl TileWriter {
    /// Goes on behind the first `size` leaves, whose tiles are there already.
    pub(crate) fn open(folder: &Path, size: u64) -> Result<Self> {
        let mut writer =
            Self { folder: folder.to_owned(), size, open: vec![Vec::new()], records: Some(Vec::new()) };
        let reader = TileReader::new(folder);
        let mut rest = size;
        let mut level = 0;
        while rest > 0 {
            let (full, width) = (rest / WIDTH, rest % WIDTH);
            let bytes = match width {
                0 => Some(Vec::new()),
                _ => reader.tile(TileKind::Hashes(level), full, width)?,
            };
            let bytes = bytes
                .ok_or_else(|| Failure::usage("the bundle's tiles are not complete; begin a new one"))?;
            // One level per number of eight bits.
            writer.open.resize(usize::from(level) + 1, Vec::new());
            if let Some(hashes) = writer.open.last_mut() {
                hashes.extend_from_slice(bytes.as_chunks::<32>().0);
            }
            if level == 0 && width > 0 {
                writer.records = reader.tile(TileKind::Entries, full, width)?;
            }
            rest = full;
            level += 1;
        }
        Ok(writer)
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf; its record when the row is still there.
    pub(crate) fn push(&mut self, leaf: Hash, record: Option<&[u8; RECORD_BYTES]>) -> Result<()> {
        match (record, &mut self.records) {
            (Some(record), Some(records)) => {
                // A record is never too long for it.
                let _ = push_entry(record, records);
            }
            _ => self.records = None,
        }
        self.size += 1;
        if self.size.is_multiple_of(WIDTH)
            && let Some(records) = self.records.replace(Vec::new())
        {
            self.write(TileKind::Entries, self.size / WIDTH - 1, WIDTH, &records)?;
        }
        let mut hash = leaf;
        for level in 0_u8.. {
            if self.open.len() <= usize::from(level) {
                self.open.push(Vec::new());
            }
            let Some(hashes) = self.open.get_mut(usize::from(level)) else { break };
            hashes.push(hash);
            if hashes.len() < WIDTH as usize {
                break;
            }
            let full = std::mem::take(hashes);
            let mut tree = Frontier::new();
            tree.extend(&full, &mut |_, _, _| {});
            hash = tree.root();
            let index = (self.size >> (8 * (u32::from(level) + 1))) - 1;
            self.write(TileKind::Hashes(level), index, WIDTH, full.as_flattened())?;
        }
        Ok(())
    }

    /// Writes what is not full, so that the tree of this size is complete. It is on disk after
    /// [`files::sync_all`].
    pub(crate) fn write_open(&self) -> Result<()> {
        for (level, hashes) in (0_u8..).zip(&self.open) {
            let index = self.size >> (8 * (u32::from(level) + 1));
            if !hashes.is_empty() {
                self.write(TileKind::Hashes(level), index, hashes.len() as u64, hashes.as_flattened())?;
            }
        }
        let width = self.size % WIDTH;
        match &self.records {
            Some(records) if width > 0 => self.write(TileKind::Entries, self.size / WIDTH, width, records),
            _ => Ok(()),
        }
    }

    /// Writes the tiles that a tree of an earlier size has and this one has in a larger form.
    pub(crate) fn write_for(&self, size: u64) -> Result<()> {
        let reader = TileReader::new(&self.folder);
        let mut rest = size;
        let mut level = 0;
        while rest > 0 {
            let (index, width) = (rest / WIDTH, rest % WIDTH);
            let kinds: &[TileKind] = if level == 0 {
                &[TileKind::Hashes(0), TileKind::Entries]
            } else {
                &[TileKind::Hashes(level)]
            };
            for &kind in kinds.iter().filter(|_| width > 0) {
                let larger = reader.at_size(kind, index, self.size)?;
                if let Some(part) =
                    larger.as_ref().and_then(|tile| tile.get(..width as usize * place_bytes(kind)))
                {
                    self.write(kind, index, width, part)?;
                }
            }
            rest = index;
            level += 1;
        }
        Ok(())
    }

    fn write(&self, kind: TileKind, index: u64, width: u64, bytes: &[u8]) -> Result<()> {
        let path = path(&self.folder, kind, index, width);
        if let Some(folder) = path.parent() {
            files::make_folder(folder)?;
        }
        files::replace_soon(&path, bytes)
    }
}

/// Reads tiles.
pub(crate) struct TileReader {
    folder: PathBuf,
    /// The tile of each level that was read last.
    last: Vec<ReadTile>,
}

impl TileReader {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), last: Vec::new() }
    }

    /// A tile of this width; None when it is not there.
    fn tile(&self, kind: TileKind, index: u64, width: u64) -> Result<Option<Vec<u8>>> {
        let path = path(&self.folder, kind, index, width);
        match std::fs::read(&path) {
            Ok(bytes) if bytes.len() as u64 == width * place_bytes(kind) as u64 => Ok(Some(bytes)),
            Ok(_) => Err(Failure::unchecked(format!("{}: not as long as it has to be", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file(&path, &error)),
        }
    }

    /// The tile that a tree of this size has there.
    fn at_size(&self, kind: TileKind, index: u64, size: u64) -> Result<Option<Vec<u8>>> {
        let hashes = match kind {
            TileKind::Hashes(level) => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
            TileKind::Entries => size,
        };
        let width = hashes.saturating_sub(index.saturating_mul(WIDTH)).min(WIDTH);
        if width == 0 { Ok(None) } else { self.tile(kind, index, width) }
    }

    /// One place of a level, in a tree of this size.
    pub(crate) fn place(&mut self, kind: TileKind, place: u64, size: u64) -> Result<Option<&[u8]>> {
        let index = place / WIDTH;
        let known = self.last.iter().position(|last| last.kind == kind && last.index == index);
        let known = match known {
            Some(known) => known,
            None => {
                let bytes = self.at_size(kind, index, size)?;
                self.last.retain(|last| last.kind != kind);
                self.last.push(ReadTile { kind, index, bytes });
                self.last.len() - 1
            }
        };
        let from = (place % WIDTH) as usize * place_bytes(kind);
        let bytes = self.last.get(known).and_then(|last| last.bytes.as_deref());
        Ok(bytes.and_then(|bytes| bytes.get(from..from + place_bytes(kind))))
    }
}

/// A tile that was read, if it is there.
struct ReadTile {
    kind: TileKind,
    index: u64,
    bytes: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 70,000 leaves have 273 full tiles and one of 112 at level 0, one full and one of 17 at level 1, and
    /// one of one hash at level 2.
    #[test]
    fn what_a_tree_consists_of() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("audit-guard-tiles-{}", std::process::id()));
        let leaf = |number: u64| {
            let mut leaf = [0; 32];
            leaf[..8].copy_from_slice(&number.to_be_bytes());
            leaf
        };
        let mut writer = TileWriter::open(&folder, 0)?;
        let mut tree = Frontier::new();
        for number in 0..70_000 {
            // In several goes, each with what the one before left behind.
            if number == 300 || number == 65_536 {
                writer.write_open()?;
                writer = TileWriter::open(&folder, number)?;
            }
            writer.push(leaf(number), Some(&[7; RECORD_BYTES]))?;
            tree.push(leaf(number), &mut |_, _, _| {});
        }
        writer.write_open()?;
        writer.write_for(300)?;
        for there in [
            "0/000",
            "0/272",
            "0/273.p/112",
            "1/000",
            "1/001.p/17",
            "2/000.p/1",
            "entries/273.p/112",
            "0/001.p/44",
            "1/000.p/1",
            "entries/001.p/44",
        ] {
            assert!(folder.join("tile").join(there).exists(), "{there}");
        }
        let mut reader = TileReader::new(&folder);
        assert_eq!(reader.place(TileKind::Hashes(0), 69_999, 70_000)?, Some(&leaf(69_999)[..]));
        assert_eq!(reader.place(TileKind::Hashes(0), 70_000, 70_000)?, None);
        let mut top = Frontier::new();
        top.extend(&(0..256).map(|number| leaf(number + 256)).collect::<Vec<_>>(), &mut |_, _, _| {});
        assert_eq!(reader.place(TileKind::Hashes(1), 1, 70_000)?, Some(&top.root()[..]));
        std::fs::remove_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))
    }
}
