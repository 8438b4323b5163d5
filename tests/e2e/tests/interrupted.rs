//! Statements that are cancelled while a connection makes everything ready for its first row.

use std::thread;
use std::time::Duration;

use audit_guard_e2e::steps::{database, run};
use audit_guard_e2e::{Result, judge};

/// Cancels the first change of a connection at many moments, in a savepoint: what was being opened is let go
/// of, and the same transaction goes on to change and log rows.
#[test]
fn first_change_is_cancelled() -> Result<()> {
    const ATTEMPTS: u64 = 150;
    let (cluster, mut client) = database("cancelled")?;
    let mut cancelled = 0;
    for attempt in 0..ATTEMPTS {
        let mut other = cluster.connect("postgres", "cancelled")?;
        let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        run(&mut other, "BEGIN; SAVEPOINT s")?;
        let row = format!("INSERT INTO t (id, v, n) VALUES ({}, 'cancelled', 1)", 1000 + attempt);
        let outcome = thread::scope(|scope| -> Result<_> {
            let change = scope.spawn(|| other.batch_execute(&row));
            thread::sleep(Duration::from_micros(100 * (attempt % 75)));
            client.query_one("SELECT pg_cancel_backend($1)", &[&pid])?;
            change.join().map_err(|_| "the writer panicked".into())
        })?;
        if let Err(e) = outcome {
            assert_eq!(e.code().map(|code| code.code()), Some("57014"), "{e}");
            cancelled += 1;
        }
        run(&mut other, "ROLLBACK TO s")?;
        run(&mut other, &row)?;
        run(&mut other, "COMMIT")?;
    }
    println!("{cancelled} of {ATTEMPTS} cancelled");
    assert!(cancelled > 0, "no change was cancelled");
    let logged: i64 = client
        .query_one("SELECT count(*) FROM audit.audit_log WHERE new_record ->> 'v' = 'cancelled'", &[])?
        .get(0);
    assert_eq!(logged, ATTEMPTS as i64);
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "cancelled")
}
