//! The indexes of `index_log()` are built beside sessions that write, and find every row afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use audit_guard_e2e::steps::{database, run};
use audit_guard_e2e::{Result, judge};

/// A session that declares an actor and a tenant and writes until it is told to stop: short transactions,
/// savepoints, rollbacks. Returns how many rows it logged.
fn write(cluster: &audit_guard_e2e::cluster::Cluster, writer: i64, stop: &AtomicBool) -> Result<i64> {
    let mut client = cluster.connect("postgres", "index_log")?;
    let mut logged = 0;
    while !stop.load(Ordering::SeqCst) {
        let id = writer * 1_000_000 + logged;
        run(
            &mut client,
            &format!(
                "BEGIN; SELECT audit.set_context(actor_id => 'a{writer}', tenant_id => 'x{writer}');
                 INSERT INTO t (id, v) VALUES ({id}, 'w');
                 SAVEPOINT s; INSERT INTO t (id, v) VALUES ({id} + 500000, 'w'); ROLLBACK TO s; COMMIT"
            ),
        )?;
        logged += 1;
    }
    Ok(logged)
}

#[test]
fn indexes_made_beside_writers() -> Result<()> {
    let (cluster, mut client) = database("index_log")?;
    let leaf: String =
        client.query_one("SELECT DISTINCT tableoid::regclass::text FROM audit.audit_log", &[])?.get(0);
    let stop = AtomicBool::new(false);
    let written = thread::scope(|scope| -> Result<i64> {
        let writers: Vec<_> = (1..4)
            .map(|writer| {
                scope.spawn({
                    let stop = &stop;
                    move || write(cluster, writer, stop)
                })
            })
            .collect();
        let steps = [
            // One transaction that holds the lock for a while: writers wait and then see the index.
            "BEGIN; SELECT audit.index_log(actor => true); SELECT pg_sleep(0.3); COMMIT",
            // Rolled back: writers that waited must not look for it.
            "BEGIN; SELECT audit.index_log(tenant => true); SELECT pg_sleep(0.3); ROLLBACK",
            "SELECT audit.index_log(actor => true, tenant => true)",
        ];
        let outcome = steps.iter().try_for_each(|sql| {
            thread::sleep(Duration::from_millis(300));
            run(&mut client, sql)
        });
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::SeqCst);
        let mut total = 0;
        for writer in writers {
            total += writer.join().map_err(|_| "a writer panicked")??;
        }
        outcome?;
        Ok(total)
    })?;
    assert!(written > 100, "the writers wrote {written} rows only");
    for column in ["actor_id", "tenant_id"] {
        let condition = format!("{column} IS NOT NULL");
        let rows: i64 =
            client.query_one(&format!("SELECT count(*) FROM {leaf} WHERE {condition}"), &[])?.get(0);
        assert_eq!(rows, written, "{condition}");
        judge::index_finds_all(&mut client, &leaf, &format!("{column} >= 'a'"))?;
        judge::index_finds_all(&mut client, &leaf, &format!("{column} >= 'a' AND logged_at > '2000-01-01'"))?;
    }
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "index_log")
}

/// A writer that keeps its transaction open makes it give up after a while, and nothing of it stays.
#[test]
fn gives_up_beside_an_open_writer() -> Result<()> {
    let (cluster, mut client) = database("index_log_waits")?;
    let mut writer = cluster.connect("postgres", "index_log_waits")?;
    run(&mut writer, "BEGIN; INSERT INTO t (id, v) VALUES (1000, 'w')")?;
    let refused = client.batch_execute("SELECT audit.index_log(actor => true)").err();
    let refused = refused.ok_or("index_log did not wait for the writer")?;
    let refused = refused.as_db_error().ok_or("no error of the server")?;
    assert_eq!(refused.code().code(), "55P03");
    assert_eq!(
        refused.hint(),
        Some("When it has ended: SELECT * FROM audit.index_log(actor => true, tenant => false);")
    );
    run(&mut writer, "INSERT INTO t (id, v) VALUES (1001, 'w'); COMMIT")?;
    let made: i64 =
        client.query_one("SELECT count(*) FROM pg_class WHERE relname ~ '_actor_idx$'", &[])?.get(0);
    assert_eq!(made, 0);
    run(&mut client, "SELECT audit.index_log(actor => true)")?;
    judge::log_is_sound(&mut client)
}
