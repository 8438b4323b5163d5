//! How fast the ledger is on this machine, on one core: `cargo run --release -p audit_guard_core --example
//! ledger_speed`.

use std::hint::black_box;
use std::time::Instant;

use audit_guard_core::ledger::hash::{Hash, leaf_hash, node_hash};
use audit_guard_core::ledger::row::RowHasher;
use audit_guard_core::ledger::schema::PreparedSchema;
use audit_guard_core::ledger::tree::Frontier;
use audit_guard_core::ledger::value::Encoder;

const RUNS: usize = 5;

fn main() {
    let leaves: Vec<Hash> = (0..1_u32 << 20).map(|n| leaf_hash(&n.to_be_bytes())).collect();
    report("leaves to root, all at once", leaves.len(), || {
        let mut tree = Frontier::new();
        tree.extend(&leaves, &mut |_, _, _| {});
        black_box(tree.root());
    });
    report("leaves to root, one by one", leaves.len(), || {
        let mut tree = Frontier::new();
        leaves.iter().for_each(|leaf| tree.push(*leaf, &mut |_, _, _| {}));
        black_box(tree.root());
    });
    report("interior nodes, each after the other", 1 << 20, || {
        let mut node = [0; 32];
        (0..1 << 20).for_each(|_| node = node_hash(&node, &node));
        black_box(node);
    });
    report("rows of 12 plain fields", 1 << 18, || rows(1 << 18, 0));
    report("rows of 12 plain fields and 8 members", 1 << 18, || rows(1 << 18, 8));
    report("rows of 12 plain fields and two images of 8 members as text", 1 << 18, || images(1 << 18));
}

/// Prints the best of some runs.
fn report(what: &str, count: usize, mut run: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let count = count as f64;
    println!("{what}: {:.2} M/s, {:.0} ns each", count / best / 1e6, best / count * 1e9);
}

const SCHEMA: PreparedSchema = PreparedSchema { schema_no: 1, sha256: [7; 32] };
const KEYS: [&[u8]; 8] =
    [b"id", b"name", b"email", b"status", b"amount", b"currency", b"created_at", b"description"];

fn plain(hasher: &mut RowHasher, number: i64) {
    hasher.begin();
    for no in [1, 2, 3, 4] {
        hasher.plain(no, |out| Encoder::new(out).int(number));
    }
    for (no, text) in [(5, "public"), (6, "orders"), (7, "UPDATE"), (8, "0c0ffee0-0000-4000"), (9, "web")] {
        hasher.plain(no, |out| Encoder::new(out).text(text.as_bytes()));
    }
    hasher.plain(10, |out| Encoder::new(out).uuid(&[3; 16]));
    hasher.plain(11, |out| Encoder::new(out).null());
    hasher.plain(12, |out| Encoder::new(out).bool(true));
}

fn rows(count: i64, members: usize) {
    let mut hasher = RowHasher::new();
    for number in 0..count {
        plain(&mut hasher, number);
        if members > 0 {
            hasher.members(13, members as u32);
            for key in KEYS.iter().take(members) {
                hasher.member(13, key, b"\"some value\"");
            }
        }
        black_box(hasher.finish(&SCHEMA, &[9; 16], number, number, number));
    }
}

fn images(count: i64) {
    let text = r#"{"id": 4711, "name": "Ada", "email": "ada@example.org", "amount": 12.50, "status": "open",
        "currency": "EUR", "created_at": "2026-01-02T03:04:05.6+00:00", "description": "what was ordered"}"#;
    let mut hasher = RowHasher::new();
    for number in 0..count {
        plain(&mut hasher, number);
        hasher.jsonb(13, text);
        hasher.jsonb(14, text);
        black_box(hasher.finish(&SCHEMA, &[9; 16], number, number, number));
    }
}
