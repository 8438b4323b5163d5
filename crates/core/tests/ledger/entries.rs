//! Lists of a seal's rows.

use audit_guard_core::ledger::Malformed;
use audit_guard_core::ledger::entries::{Entries, EntriesWriter, Entry, month_of};
use chrono::{DateTime, Datelike};
use proptest::prelude::*;

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut writer = EntriesWriter::new();
    entries.iter().for_each(|entry| writer.push(*entry).unwrap());
    assert_eq!(writer.rows() as usize, entries.len());
    writer.finish()
}

fn read(bytes: &[u8]) -> Result<Vec<Entry>, Malformed> {
    Entries::new(bytes)?.collect()
}

const fn entry(stream_no: u16, month: u32, transaction_id: i64, number: i64) -> Entry {
    Entry { stream_no, schema_no: 2, month, transaction_id, number }
}

#[test]
fn bytes() {
    assert_eq!(write(&[]), [1]);
    let entries = [
        entry(1, 24_300, 1000, 7),
        entry(1, 24_300, 1000, 8),
        entry(1, 24_301, 1002, 3),
        entry(2, 24_301, 5, -1),
    ];
    let bytes = write(&entries);
    let expected = [
        &[1][..],
        &[0, 1, 0, 0, 0, 2, 0, 0, 0x5e, 0xec, 0, 0, 0, 2, 0xe8, 7, 14, 0, 2],
        &[0, 1, 0, 0, 0, 2, 0, 0, 0x5e, 0xed, 0, 0, 0, 1, 2, 9],
        &[0, 2, 0, 0, 0, 2, 0, 0, 0x5e, 0xed, 0, 0, 0, 1, 5, 1],
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(read(&bytes).unwrap(), entries);
}

#[test]
fn what_is_no_list() {
    let run = |stream: u8, rows: &[u8], count: u8| {
        [&[0, stream, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, count], rows].concat()
    };
    let lists = [
        vec![],
        vec![2],
        [&[1][..], &run(1, &[], 0)].concat(),
        [&[1][..], &run(1, &[1], 1)].concat(),
        [&[1][..], &run(1, &[1, 2], 2)].concat(),
        [&[1][..], &run(1, &[1, 2, 0, 0], 2)].concat(),
        [&[1][..], &run(1, &[0x81, 0, 2], 1)].concat(),
        [&[1][..], &run(1, &[1, 2], 1), &run(1, &[1, 2], 1)].concat(),
        [&[1][..], &run(2, &[1, 2], 1), &run(1, &[1, 2], 1)].concat(),
        [&[1][..], &run(1, &[1, 2], 1), &[0]].concat(),
        // Numbers beyond 64 bits, and transactions beyond 63.
        [&[1][..], &run(1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 2], 1)].concat(),
        [&[1][..], &run(1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2], 1)].concat(),
    ];
    for list in lists {
        assert!(read(&list).is_err(), "{list:?}");
    }
    let mut writer = EntriesWriter::new();
    writer.push(entry(2, 1, 5, 5)).unwrap();
    for late in [entry(1, 1, 9, 9), entry(2, 1, 4, 9), entry(2, 1, 5, 5), entry(3, 1, -1, 5)] {
        assert!(writer.push(late).is_err());
    }
    assert_eq!(read(&writer.finish()).unwrap().len(), 1);
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let number = prop_oneof![0_i64..50, any::<i64>()];
    let entry = (1_u16..4, 1_u32..3, 0_u32..3, prop_oneof![0_i64..9, 0_i64..], number);
    prop::collection::vec(entry, 0..40).prop_map(|all| {
        let mut entries: Vec<_> = all
            .into_iter()
            .map(|(stream_no, schema_no, month, transaction_id, number)| Entry {
                stream_no,
                schema_no,
                month,
                transaction_id,
                number,
            })
            .collect();
        entries.sort_by_key(Entry::key);
        entries.dedup_by_key(|entry| entry.key());
        entries
    })
}

proptest! {
    #[test]
    fn bytes_and_back(entries in entries()) {
        prop_assert_eq!(read(&write(&entries)).unwrap(), entries);
    }

    #[test]
    fn any_bytes_are_read_or_refused(entries in entries(), cut in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = write(&entries);
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        for bytes in [&bytes[..], &bytes[..at]] {
            if let Ok(entries) = read(bytes) {
                // There is one list for the same rows.
                prop_assert_eq!(&write(&entries)[..], bytes);
            }
        }
    }

    #[test]
    fn months(time in -62_135_596_800_000_000_i64..8_000_000_000_000_000_000) {
        let date = DateTime::from_timestamp_micros(time).unwrap();
        prop_assert_eq!(i64::from(month_of(time)), i64::from(date.year()) * 12 + i64::from(date.month0()));
    }
}

#[test]
fn months_at_their_ends() {
    assert_eq!(month_of(0), 1970 * 12);
    assert_eq!(month_of(-1), 1969 * 12 + 11);
    assert_eq!(month_of(i64::MIN), 0);
    assert!(month_of(i64::MAX) > 290_000 * 12);
}
