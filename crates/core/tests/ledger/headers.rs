//! Headers of seals.

use audit_guard_core::ledger::header::{SealHeader, SealKind};
use audit_guard_core::ledger::record::{Kind, Record};

use super::reference::{lp, sha};

pub(crate) const HEADER: SealHeader<'static> = SealHeader {
    seal_no: 12,
    incarnation: 2,
    batch: 7,
    chunk: 1,
    is_last: true,
    kind: SealKind::Closing,
    prev_snapshot: "740:745:742",
    snapshot: "750:750:",
    first_leaf: 81_002,
    rows: 3,
    oldest_at: 1_700_000_000_000_000,
    newest_at: 1_700_000_000_500_000,
    entries_sha256: [0xab; 32],
    sealed_at: 1_700_000_001_000_000,
    origin: "audit_guard/7431/16384/2",
    checkpoint_note: "",
};

#[test]
fn a_header() {
    let body = [
        &12_u64.to_be_bytes()[..],
        &2_u32.to_be_bytes(),
        &7_u64.to_be_bytes(),
        &1_u32.to_be_bytes(),
        &[1, 1],
        &lp(b"740:745:742"),
        &lp(b"750:750:"),
        &81_002_u64.to_be_bytes(),
        &3_u32.to_be_bytes(),
        &1_700_000_000_000_000_i64.to_be_bytes(),
        &1_700_000_000_500_000_i64.to_be_bytes(),
        &[0xab; 32],
        &1_700_000_001_000_000_i64.to_be_bytes(),
        &lp(b"audit_guard/7431/16384/2"),
        &lp(b""),
    ]
    .concat();
    assert_eq!(HEADER.body(), body);
    let record = Record::parse(&HEADER.record()).unwrap();
    assert_eq!((record.kind, record.schema_no, record.commitments), (Kind::Seal, 0, 0));
    assert_eq!((record.number, record.transaction_id, record.time), (12, 2, 1_700_000_001_000_000));
    assert_eq!(record.fields_root, sha(&[b"agh1", &body]));
    assert_eq!(HEADER.leaf(), sha(&[&[0], &HEADER.record()]));
    assert_eq!(SealKind::from_number(0), Some(SealKind::Window));
    assert_eq!(SealKind::from_number(2), None);
}

#[test]
fn bytes_that_are_no_record() {
    let good = HEADER.record();
    assert!(Record::parse(&good).is_some());
    for at in 0..8 {
        let mut bad = good;
        bad[at] ^= 0x10;
        assert_eq!(Record::parse(&bad), None, "byte {at}");
    }
    assert_eq!(Record::parse(&good[..71]), None);
    assert_eq!(Record::parse(&[&good[..], &[0]].concat()), None);
}
