//! Tiles as C2SP specifies them (<https://c2sp.org/tlog-tiles>): the tree cut into files of up to 256 hashes.

use super::Malformed;
use super::checkpoint::parse_decimal;
use super::reader::Reader;

/// How many hashes, or entries, a full tile has.
pub const TILE_WIDTH: u16 = 256;
const TILE_BITS: u32 = 8;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileKind {
    /// Hashes of this level: 0 the leaves, 1 roots of 256 leaves, and so on.
    Hashes(u8),
    /// The records of which the leaves are the hashes.
    Entries,
}

/// One tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// What it holds.
    pub kind: TileKind,
    /// Its index among those of its kind.
    pub index: u64,
    /// How many it holds, 1 to 256.
    pub width: u16,
}

impl Tile {
    /// Whether it can still grow.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }

    /// The index of its first hash or entry in the level.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.index << TILE_BITS
    }

    /// Its path below the place where the log is served.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = match self.kind {
            TileKind::Hashes(level) => format!("tile/{level}/"),
            TileKind::Entries => "tile/entries/".to_owned(),
        };
        let digits = self.index.to_string();
        // Three digits per part, the first filled up with zeros; all are ASCII.
        let padded = format!("{}{digits}", "0".repeat((3 - digits.len() % 3) % 3));
        for at in (0..padded.len()).step_by(3) {
            let is_last = at + 3 == padded.len();
            path.push_str(if is_last { "" } else { "x" });
            path.push_str(&padded[at..at + 3]);
            path.push_str(if is_last { "" } else { "/" });
        }
        if self.is_partial() {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// Reads what [`Self::path`] wrote.
    #[must_use]
    pub fn parse_path(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(u8::try_from(parse_decimal(level)?).ok().filter(|level| *level < 64)?),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, u16::try_from(parse_decimal(width)?).ok()?),
            None => (rest, TILE_WIDTH),
        };
        let digits: String = index.chars().filter(char::is_ascii_digit).collect();
        let tile = Self { kind, index: digits.parse().ok()?, width };
        // There is one path for each tile.
        (width > 0 && tile.path() == path).then_some(tile)
    }
}

/// The tiles of one kind that a tree of `size` leaves has, from the one with the hash or entry `from` on: the
/// full ones and then the partial one, if there is one.
pub fn tiles(kind: TileKind, from: u64, size: u64) -> impl Iterator<Item = Tile> {
    let level = match kind {
        TileKind::Hashes(level) => u32::from(level),
        TileKind::Entries => 0,
    };
    let count = size.checked_shr(TILE_BITS * level).unwrap_or(0);
    (from >> TILE_BITS..count.div_ceil(u64::from(TILE_WIDTH))).map(move |index| {
        let width = (count - (index << TILE_BITS)).min(u64::from(TILE_WIDTH));
        // At most 256.
        Tile { kind, index, width: width as u16 }
    })
}

/// How many levels of tiles a tree of `size` leaves has.
#[must_use]
pub const fn levels(size: u64) -> u8 {
    match size.checked_ilog2() {
        None => 0,
        Some(bits) => (bits / TILE_BITS) as u8 + 1,
    }
}

/// Appends a record to the entries of a tile; false, and nothing is done, when it is longer than 65,535
/// bytes.
#[must_use]
pub fn push_entry(record: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(length) = u16::try_from(record.len()) else { return false };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(record);
    true
}

/// The records of a tile of entries.
///
/// # Errors
///
/// [`Malformed`] when the bytes end within a record, or there are more than a tile has.
pub fn entries(bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut records = Vec::new();
    while !reader.is_empty() {
        if records.len() == usize::from(TILE_WIDTH) {
            return Err(Malformed("a tile has at most 256 entries"));
        }
        let length = reader.u16()?;
        records.push(reader.bytes(length.into())?);
    }
    Ok(records)
}
