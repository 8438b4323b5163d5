//! Random workloads of several sessions. Afterwards the log, replayed, is the tables; it is row for
//! row what an independent trigger wrote; and nothing of a rolled-back change is in it.

use std::thread;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::statements::Kind;
use audit_guard_e2e::tables::{REFERENCE, TABLES, WORKLOAD};
use audit_guard_e2e::workload::{Tally, Writer, add};
use audit_guard_e2e::{Result, judge, replay, seed};

/// Transactions per session.
const TRANSACTIONS: usize = 250;
/// Who the sessions log in as: an ordinary role, and a superuser who owns the tables.
const USERS: [&str; 4] = ["writer", "writer", "writer", "postgres"];

/// The key of a parent and, in the same transaction, the column of a child that refers to it.
const CASCADED: &str = "table_name = 'child' AND EXISTS (SELECT FROM audit.audit_log AS p
    WHERE p.table_name = 'parent' AND p.transaction_id = audit_log.transaction_id
      AND p.old_record_id = audit_log.old_record ->> 'parent_id'
          AND p.record_id = audit_log.new_record ->> 'parent_id')";

#[test]
fn the_log_is_what_happened() -> Result<()> {
    let seed = seed("randomised")?;
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut admin = cluster.database("app")?;
    admin.batch_execute(REFERENCE)?;
    admin.batch_execute(WORKLOAD)?;

    let results: Vec<Result<(Tally, Vec<i64>)>> = thread::scope(|scope| {
        let start = |(number, user): (usize, &'static str)| {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut writer = Writer::new(cluster, "app", user, TABLES, seed, number as u64)?;
                writer.run(TRANSACTIONS)?;
                Ok((writer.tally, writer.undone))
            })
        };
        let handles: Vec<_> = USERS.into_iter().enumerate().map(start).collect();
        handles.into_iter().map(|h| h.join().map_err(|_| "a writer panicked")?).collect()
    });
    let (mut tally, mut undone) = (Tally::new(), Vec::new());
    for result in results {
        let (more, ids) = result?;
        add(&mut tally, &more);
        undone.extend(ids);
    }
    println!("statements (tried, done): {tally:?}");
    // What chance may have rolled back each time happens once more at the end.
    admin.batch_execute("INSERT INTO app.events (note) VALUES ('the last'); TRUNCATE app.events")?;

    // Each form must really have happened.
    for kind in Kind::ALL {
        let done = tally.get(&format!("{kind:?}")).map_or(0, |count| count.1);
        assert!(done > 0, "no {kind:?} succeeded");
    }
    let differences = admin.query("SELECT place, ours, theirs FROM reference.differences LIMIT 5", &[])?;
    for row in &differences {
        let side = |i| row.get::<_, Option<String>>(i);
        println!(
            "place {}\n  log:       {:.3000?}\n  reference: {:.3000?}",
            row.get::<_, i64>(0),
            side(1),
            side(2)
        );
    }
    assert!(differences.is_empty(), "the log differs from the reference");
    let rows = replay::compare(&mut admin, TABLES)?;
    println!("{rows} log rows, {} transactions rolled back", undone.len());
    assert!(rows > 1000 && undone.len() > 10, "too little happened");
    every_shape_is_there(&mut admin)?;
    let ghosts: i64 = admin
        .query_one("SELECT count(*) FROM audit.audit_log WHERE transaction_id = ANY ($1)", &[&undone])?
        .try_get(0)?;
    assert_eq!(ghosts, 0, "rows of transactions that were rolled back");
    judge::log_is_sound(&mut admin)?;
    judge::server_is_content(&cluster, "app")
}

/// The comparison says little about a shape of row that never occurred.
fn every_shape_is_there(admin: &mut postgres::Client) -> Result<()> {
    let shapes = [
        ("TRUNCATE", "operation = 'TRUNCATE'"),
        ("truncated row", "operation = 'TRUNCATE' AND old_record IS NOT NULL"),
        ("key change", "old_record_id IS NOT NULL"),
        ("composite key", "record_id LIKE '[%,%]'"),
        ("row without key", "operation = 'UPDATE' AND record_id IS NULL"),
        ("cascaded update", CASCADED),
        ("nested trigger", "table_name = 'journal'"),
        ("partition move", "table_name = 'stock' AND operation = 'DELETE'"),
        ("masked change", "changed_fields && '{secret, hidden, meta}'"),
        ("actor", "actor_id IS NOT NULL"),
        ("declared tenant", "tenant_id LIKE 't%'"),
        ("tenant of the row", "table_name = 'people' AND tenant_id IN ('0', '1', '2')"),
        ("role taken", "actor_role = 'clerk' AND login_role = 'writer'"),
        ("disclosure", "phi_accessed"),
        ("out of line image", "octet_length(new_record::text) > 10000"),
    ];
    for (shape, condition) in shapes {
        let query = format!("SELECT EXISTS (SELECT FROM audit.audit_log WHERE {condition})");
        assert!(admin.query_one(&query, &[])?.get::<_, bool>(0), "no {shape} in the log");
    }
    Ok(())
}
