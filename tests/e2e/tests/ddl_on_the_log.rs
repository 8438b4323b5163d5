//! DDL on the log: in a transaction that has changed tracked rows, beside sessions that do, and at the
//! end of a month.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_guard_e2e::steps::{around, change_and_check, database, run, texts};
use audit_guard_e2e::{Result, judge};

/// DDL on the log itself after a tracked change of the same transaction, also inside functions and
/// subtransactions, and with changes after it.
#[test]
fn ddl_on_the_log() -> Result<()> {
    let (cluster, mut client) = database("on_the_log")?;
    let leaf: String =
        client.query_one("SELECT DISTINCT tableoid::regclass::text FROM audit.audit_log", &[])?.get(0);
    let month = "SELECT audit.maintain_partitions(27)";
    let steps = [
        format!("CREATE INDEX extra_idx ON {leaf} (actor_id)"),
        format!("CREATE INDEX partial_idx ON {leaf} (tenant_id, id) WHERE tenant_id IS NOT NULL"),
        format!("CREATE INDEX kept_idx ON {leaf} (actor_role)"),
        format!("CREATE INDEX expression_idx ON {leaf} (lower(record_id)) WHERE operation = 'UPDATE'"),
        format!("DO $$ BEGIN EXECUTE 'CREATE INDEX inner_idx ON {leaf} (session_id)'; END $$"),
        month.to_owned(),
        "SELECT audit.maintain_partitions()".to_owned(),
        format!("REINDEX TABLE {leaf}"),
        format!("ALTER TABLE {leaf} SET (autovacuum_vacuum_scale_factor = 0.5)"),
        format!("ALTER TABLE {leaf} ALTER COLUMN context SET STATISTICS 10"),
        format!("CLUSTER {leaf} USING {}_pkey", leaf.trim_start_matches("audit.")),
        "DROP INDEX audit.extra_idx, audit.partial_idx".to_owned(),
        format!("COMMENT ON TABLE {leaf} IS 'commented'"),
        format!("DO $$ BEGIN LOCK TABLE {leaf} IN ACCESS EXCLUSIVE MODE; END $$"),
        "ANALYZE audit.audit_log".to_owned(),
        "CREATE TABLE other (id int PRIMARY KEY, v text); SELECT audit.enable_tracking('other');
             SELECT audit.disable_tracking('other'); DROP TABLE other"
            .to_owned(),
    ];
    let steps: Vec<(&str, &str, &str)> = steps.iter().map(|sql| (sql.as_str(), "public", "t")).collect();
    around(&mut client, &steps)?;
    // From inside a trigger of the tracked table, between two rows of one statement.
    run(
        &mut client,
        &format!(
            "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.id = 2 THEN EXECUTE 'CREATE INDEX meddled_idx ON {leaf} (outcome)'; END IF;
                 RETURN NULL; END $$;
             CREATE TRIGGER zz AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION meddle()"
        ),
    )?;
    change_and_check(&mut client, "public", "t")?;
    run(&mut client, "DROP TRIGGER zz ON t")?;
    run(&mut client, "BEGIN")?;
    change_and_check(&mut client, "public", "t")?;
    run(&mut client, "DROP TABLE t CASCADE; ROLLBACK")?;
    change_and_check(&mut client, "public", "t")?;
    judge::index_finds_all(&mut client, &leaf, "actor_role >= ''")?;
    judge::index_finds_all(&mut client, &leaf, "outcome >= ''")?;
    judge::index_finds_all(&mut client, &leaf, "lower(record_id) >= '' AND operation = 'UPDATE'")?;
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "on_the_log")
}

/// A transaction that goes on while its month ends writes into two leaves. The month is cut in two
/// at a moment a few seconds away, which the event triggers would refuse.
#[test]
fn the_month_ends_within_a_transaction() -> Result<()> {
    let (cluster, mut client) = database("month")?;
    run(
        &mut client,
        "ALTER EVENT TRIGGER audit_guard_shield DISABLE; ALTER EVENT TRIGGER audit_guard_shield_drop DISABLE;
         DO $$ DECLARE
             leaf text;
             low timestamptz;
             high timestamptz;
             cut timestamptz := clock_timestamp() + interval '2.5 s';
             attach text :=
                 'ALTER TABLE audit.audit_log ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)';
         BEGIN
             SELECT c.relname, substring(bound FROM $re$FROM \\('([^']+)'\\)$re$),
                    substring(bound FROM $re$TO \\('([^']+)'\\)$re$)
             INTO STRICT leaf, low, high
             FROM pg_class AS c, pg_get_expr(relpartbound, c.oid) AS bound
                 WHERE c.oid = (SELECT DISTINCT tableoid FROM audit.audit_log);
             EXECUTE format('ALTER TABLE audit.audit_log DETACH PARTITION audit.%I', leaf);
             EXECUTE format('CREATE TABLE audit.rest (LIKE audit.%I INCLUDING ALL)', leaf);
             EXECUTE format(attach, leaf, low, cut);
             EXECUTE format(attach, 'rest', cut, high);
         END $$;
         ALTER EVENT TRIGGER audit_guard_shield ENABLE ALWAYS;
         ALTER EVENT TRIGGER audit_guard_shield_drop ENABLE ALWAYS",
    )?;
    run(&mut client, "BEGIN")?;
    // Single statements, and one statement during which it happens.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1500) {
        run(&mut client, "SAVEPOINT s; UPDATE t SET v = v || '.'; RELEASE s")?;
        thread::sleep(Duration::from_millis(100));
    }
    run(
        &mut client,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2);
             RETURN NULL; END $$;
         CREATE TRIGGER zz AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();
         INSERT INTO t SELECT i, 'slow' FROM generate_series(10, 19) AS i; DROP TRIGGER zz ON t",
    )?;
    change_and_check(&mut client, "public", "t")?;
    run(&mut client, "COMMIT")?;
    change_and_check(&mut client, "public", "t")?;
    let leaves = texts(
        &mut client,
        "SELECT count(DISTINCT tableoid)::text FROM audit.audit_log WHERE new_record ->> 'v' LIKE 'slow%'
             AND operation = 'INSERT'",
    )?;
    assert_eq!(leaves, [[Some("2".to_owned())]], "leaves written by one statement");
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "month")
}

/// Maintenance of the log and of the table while other sessions write: nobody fails, nothing is lost.
#[test]
fn maintenance_beside_writers() -> Result<()> {
    let (cluster, mut client) = database("beside")?;
    let leaf: String =
        client.query_one("SELECT DISTINCT tableoid::regclass::text FROM audit.audit_log", &[])?.get(0);
    let steps = [
        format!("CREATE INDEX CONCURRENTLY beside_idx ON {leaf} (actor_id)"),
        format!("CREATE INDEX CONCURRENTLY kept_idx ON {leaf} (actor_role)"),
        "SELECT audit.maintain_partitions(25)".to_owned(),
        format!("REINDEX TABLE CONCURRENTLY {leaf}"),
        "ALTER TABLE t ADD COLUMN beside int DEFAULT 7".to_owned(),
        format!("VACUUM FULL {leaf}"),
        "DROP INDEX CONCURRENTLY audit.beside_idx".to_owned(),
        "ALTER TABLE t DROP COLUMN beside".to_owned(),
        "SELECT audit.maintain_partitions(26)".to_owned(),
        "SELECT audit.enable_tracking('t', detail => 'delta')".to_owned(),
        format!("CREATE INDEX CONCURRENTLY kept_too_idx ON {leaf} (lower(login_role))"),
        format!("VACUUM (FREEZE) {leaf}"),
        "CREATE INDEX ON t (v)".to_owned(),
    ];
    let stop = AtomicBool::new(false);
    let written = thread::scope(|scope| -> Result<i64> {
        let writers: Vec<_> = (1..4)
            .map(|writer| {
                let stop = &stop;
                scope.spawn(move || -> Result<i64> {
                    let mut client = cluster.connect("postgres", "beside")?;
                    let mut written = 0;
                    while !stop.load(Ordering::SeqCst) {
                        let id = writer * 1_000_000 + written;
                        run(&mut client, &format!("INSERT INTO t (id, v, n) VALUES ({id}, 'w', 1)"))?;
                        run(
                            &mut client,
                            &format!(
                                "BEGIN; INSERT INTO t (id, v, n) VALUES ({id} + 500000, 'w', 2); ROLLBACK"
                            ),
                        )?;
                        written += 1;
                    }
                    Ok(written)
                })
            })
            .collect();
        let outcome = steps.iter().try_for_each(|sql| {
            thread::sleep(Duration::from_millis(150));
            run(&mut client, sql)
        });
        stop.store(true, Ordering::SeqCst);
        let mut total = 0;
        for writer in writers {
            total += writer.join().map_err(|_| "a writer panicked")??;
        }
        outcome?;
        Ok(total)
    })?;
    let logged: i64 = client
        .query_one(
            "SELECT count(*) FROM audit.audit_log WHERE operation = 'INSERT' AND new_record ->> 'v' = 'w'",
            &[],
        )?
        .get(0);
    println!("{written} rows beside {} steps of maintenance", steps.len());
    assert!(written > 100, "the writers wrote {written} rows only");
    assert_eq!(logged, written);
    judge::index_finds_all(&mut client, &leaf, "actor_role >= ''")?;
    judge::index_finds_all(&mut client, &leaf, "lower(login_role) >= ''")?;
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "beside")
}

/// Errors of the extension carry no backtrace, though the server runs with one asked for.
#[test]
fn errors_are_plain() -> Result<()> {
    let (_, mut client) = database("errors")?;
    for sql in [
        "DELETE FROM audit.audit_log",
        "SELECT audit.enable_tracking('pg_class')",
        "SELECT audit.set_context(context => '[]')",
        "SELECT audit.log_changes()",
        "SELECT audit.record_history('t'::regclass, 'no number')",
    ] {
        let Err(e) = client.batch_execute(sql) else { return Err(format!("accepted: {sql}").into()) };
        let e = e.as_db_error().ok_or("no error of the server")?;
        let detail = e.detail().unwrap_or_default();
        assert!(
            !e.code().code().starts_with("XX") && !detail.contains(".rs") && detail.len() < 300,
            "{sql}: {e:?}"
        );
    }
    Ok(())
}
