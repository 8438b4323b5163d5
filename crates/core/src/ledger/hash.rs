//! SHA-256, and the two hashes of which the tree is made.

use sha2::block_api::compress256;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// How SHA-256 begins, FIPS 180-4 section 5.3.3.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The 65 bytes of an interior node fill two blocks. Everything but the two hashes is always the same: the
/// leading 01, the bit after the end, and the length of 520 bits.
const NODE: [[u8; 64]; 2] = {
    let mut blocks = [[0; 64]; 2];
    blocks[0][0] = 1;
    blocks[1][1] = 0x80;
    blocks[1][62] = 2;
    blocks[1][63] = 8;
    blocks
};

/// The hash of a leaf: SHA-256 of 00 and the record.
#[must_use]
pub fn leaf_hash(record: &[u8]) -> Hash {
    sha256(&[&[0], record])
}

/// The hash of an interior node: SHA-256 of 01 and the two hashes below it.
#[inline]
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut blocks = NODE;
    // Both blocks have 64 bytes: 1 + 32 + 31 in the first, the last byte of `right` in the second.
    blocks[0][1..33].copy_from_slice(left);
    blocks[0][33..].copy_from_slice(&right[..31]);
    blocks[1][0] = right[31];
    let mut state = START;
    compress256(&mut state, &blocks);
    to_hash(&state)
}

/// The hashes of four nodes, from the eight hashes below them. The four take turns block by block, so that
/// the processor works on more than one at a time.
#[inline]
pub(super) fn node_hashes(below: &[Hash; 8]) -> [Hash; 4] {
    let mut messages = [NODE; 4];
    let mut states = [START; 4];
    for (blocks, [left, right]) in messages.iter_mut().zip(below.as_chunks::<2>().0) {
        blocks[0][1..33].copy_from_slice(left);
        blocks[0][33..].copy_from_slice(&right[..31]);
        blocks[1][0] = right[31];
    }
    for (state, [first, _]) in states.iter_mut().zip(&messages) {
        compress256(state, std::slice::from_ref(first));
    }
    for (state, [_, second]) in states.iter_mut().zip(&messages) {
        compress256(state, std::slice::from_ref(second));
    }
    states.map(|state| to_hash(&state))
}

/// The SHA-256 of `parts`, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The SHA-256 of one message. Most messages here are of one or two blocks, and for those this costs little
/// more than the blocks.
#[inline]
pub(super) fn sha256_of(message: &[u8]) -> Hash {
    let [hash] = sha256_each([message]);
    hash
}

/// The SHA-256 of each message. Their last blocks take turns, see [`node_hashes`].
#[inline]
pub(super) fn sha256_each<const N: usize>(messages: [&[u8]; N]) -> [Hash; N] {
    let mut states = [START; N];
    let mut lasts = [[[0; 64]; 2]; N];
    let mut are_two = [false; N];
    for (((message, state), last), is_two) in
        messages.iter().zip(&mut states).zip(&mut lasts).zip(&mut are_two)
    {
        let (blocks, rest) = message.as_chunks::<64>();
        if !blocks.is_empty() {
            compress256(state, blocks);
        }
        // `rest` has at most 63 bytes; the mark of the end and the length need nine.
        *is_two = rest.len() >= 56;
        last[0][..rest.len()].copy_from_slice(rest);
        last[0][rest.len()] = 0x80;
        let bits = (message.len() as u64).wrapping_mul(8).to_be_bytes();
        last[usize::from(*is_two)][56..].copy_from_slice(&bits);
    }
    for (state, [first, _]) in states.iter_mut().zip(&lasts) {
        compress256(state, std::slice::from_ref(first));
    }
    for ((state, [_, second]), is_two) in states.iter_mut().zip(&lasts).zip(are_two) {
        if is_two {
            compress256(state, std::slice::from_ref(second));
        }
    }
    states.map(|state| to_hash(&state))
}

#[inline]
fn to_hash(state: &[u32; 8]) -> Hash {
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}
