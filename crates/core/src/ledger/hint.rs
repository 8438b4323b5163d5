//! One byte per field, kept beside the leaves: they tell which field of a row was changed once its leaf tells that
//! something was. They prove nothing, and are in no hash.

use super::row::{Commitment, Form};

/// The hint of a field that cannot be erased, from its encoded value.
#[must_use]
pub fn of_value(encoded: &[u8]) -> u8 {
    // Any mixing will do that depends on every byte and on their order.
    const MIXER: u64 = 0x9E37_79B9_7F4A_7C15;
    let (words, rest) = encoded.as_chunks::<8>();
    let mut last = [0; 8];
    // `rest` has at most seven bytes.
    last[..rest.len()].copy_from_slice(rest);
    let mixed = words.iter().chain([&last]).fold(encoded.len() as u64, |state, word| {
        (state ^ u64::from_le_bytes(*word)).wrapping_mul(MIXER).rotate_left(29)
    });
    (mixed.wrapping_mul(MIXER) >> 56) as u8
}

/// Adds the hints of what can be erased: of each field the first bytes of its commitments, so that they stay when
/// the field is erased. `slot` tells where the field's hint stands.
pub fn add_commitments<'a>(
    commitments: impl Iterator<Item = Commitment<'a>>,
    hints: &mut [u8],
    slot: impl Fn(u16) -> Option<usize>,
) {
    for commitment in commitments.filter(|commitment| commitment.form != Form::Group) {
        if let Some(hint) = slot(commitment.field).and_then(|slot| hints.get_mut(slot)) {
            *hint ^= commitment.hash[0];
        }
    }
}
