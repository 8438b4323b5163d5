//! Rows that leave in time, under lockdown: each is certified once and no other leaves, whatever happens in
//! between: rollbacks, prepared transactions, a server that is killed, a clock that is wrong.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::guarded::{self, PRELOADED, certificates, locked_down, refused};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::workload::is_disconnect;
use audit_guard_e2e::{Result, judge};
use postgres::Client;

fn number(client: &mut Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(sql, &[]).map_err(|e| format!("{sql}: {e:?}"))?.try_get(0)?)
}

/// Calls apply_retention() until it says that nothing is left; returns the number of calls.
fn apply_all(client: &mut Client, max_rows: i32) -> Result<u32> {
    for call in 1..1000 {
        let step = "SELECT coalesce(bool_or(more), false) FROM audit.apply_retention($1)";
        let row = client.query_one(step, &[&max_rows]).map_err(|e| format!("call {call}: {e:?}"))?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(call);
        }
    }
    Err("apply_retention() says for ever that there is more".into())
}

/// Rows of consents that certificates name.
fn certified(client: &mut Client) -> Result<i64> {
    let found = certificates(client, "object = 'app.consents'")?;
    Ok(found.first().map_or(0, |(_, rows)| *rows))
}

#[test]
fn in_small_steps() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "app")?;
    let calls = apply_all(&mut client, 3)?;
    assert!(calls >= 3 + 2 + 3, "{calls} calls for 9, 8 and 5 rows in steps of 3");
    let left =
        "SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM app.consents WHERE id <= 20) || ', '
        || (SELECT string_agg(id::text, ' ' ORDER BY id) FROM app.visits) || ', '
        || (SELECT string_agg(\"Nr\"::text, ' ' ORDER BY 1) FROM app.\"Ünï \"\"q\"\" t\")";
    let left: String = client.query_one(left, &[])?.try_get(0)?;
    let newer = "11 12 13 14 15 16 17 18 19 20";
    assert_eq!(left, format!("3 {newer}, 1 2 {newer}, 6 7 8 9"), "held and newer rows stay");
    let expected = [("app.\"Ünï \"\"q\"\" t\"", 5), ("app.consents", 9), ("app.visits", 8)]
        .map(|(t, n)| (t.to_owned(), n));
    let mut found = certificates(&mut client, "true")?;
    found.sort();
    assert_eq!(found, expected, "certificates");
    // The log tells what left a tracked table, like any change.
    let logged = "SELECT count(*) FROM audit.audit_log WHERE operation = 'DELETE'
        AND table_name IN ('consents', 'visits')";
    assert_eq!(number(&mut client, logged)?, 9 + 8);

    locked_down(&mut client)?;

    // A hold that ends lets the rows go.
    run(
        &mut client,
        "SELECT audit.release_hold(hold_id, 'case 7 is closed')
        FROM (SELECT id AS hold_id FROM audit.holds WHERE reason = 'case 7') AS h",
    )?;
    apply_all(&mut client, 10000)?;
    assert_eq!(number(&mut client, "SELECT count(*) FROM app.consents WHERE id = 3")?, 0);
    assert_eq!(number(&mut client, "SELECT count(*) FROM app.visits WHERE id < 11")?, 2);
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(&cluster, "app")
}

/// A log of before, in the layout of another tool: its import makes the months that it needs.
const LOG_OF_BEFORE: &str = "CREATE TABLE public.before (id bigserial PRIMARY KEY, record_id uuid,
         old_record_id uuid, op audit.operation NOT NULL, ts timestamptz NOT NULL, table_oid oid NOT NULL,
         table_schema name NOT NULL, table_name name NOT NULL, record jsonb, old_record jsonb);
     INSERT INTO public.before (record_id, op, ts, table_oid, table_schema, table_name, record)
     SELECT gen_random_uuid(), 'INSERT', now() - interval '8 years' - i * interval '1 hour', 1, 'app', 'past',
            jsonb_build_object('id', i) FROM generate_series(1, 1000) AS i;
     SELECT * FROM audit.import_history('public.before', format => 'supa_audit')";

/// The log itself: a leaf that is expired as a whole is dropped, and its certificate counts what was in it.
#[test]
fn months_of_the_log() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "app")?;
    run(&mut client, LOG_OF_BEFORE)?;
    let past = "SELECT count(*) FROM audit.audit_log WHERE table_name = 'past'";
    let newer = "SELECT count(*) FROM audit.audit_log WHERE table_name <> 'past' AND operation <> 'DELETE'";
    let before = number(&mut client, newer)?;
    assert_eq!(number(&mut client, past)?, 1000);
    // A hold on any row keeps its month.
    run(
        &mut client,
        "SELECT audit.place_hold('audit.audit_log', 'inquiry', since => now() - interval '9 years')",
    )?;
    apply_all(&mut client, 100_000)?;
    assert_eq!(number(&mut client, past)?, 1000);
    run(&mut client, "SELECT audit.release_hold(max(id), 'answered') FROM audit.holds")?;
    apply_all(&mut client, 100_000)?;
    assert_eq!(number(&mut client, past)?, 0);
    let of_log = certificates(&mut client, "object = 'audit.audit_log'")?;
    assert_eq!(of_log, [("audit.audit_log".to_owned(), 1000)]);
    assert_eq!(number(&mut client, newer)?, before);
    // Rows of as long ago still have a place, and the log goes on.
    run(&mut client, "SELECT audit.maintain_partitions(); INSERT INTO app.consents (id) VALUES (70)")?;
    run(
        &mut client,
        "BEGIN; SELECT audit.begin_restore('one more file'); INSERT INTO audit.audit_log (logged_at,
             transaction_id, operation, table_schema, table_name, actor_role, login_role)
         VALUES (now() - interval '8 years', 3, 'TRUNCATE', 'app', 'past', 'x', 'x'); COMMIT",
    )?;
    assert_eq!(number(&mut client, past)?, 1);
    locked_down(&mut client)?;
    judge::log_is_sound(&mut client)
}

#[test]
fn savepoints_and_prepared_transactions() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "app")?;
    run(
        &mut client,
        "BEGIN; DELETE FROM app.consents WHERE id = 1; SAVEPOINT a; DELETE FROM app.consents WHERE id = 2;
         ROLLBACK TO a; SAVEPOINT b; DELETE FROM app.consents WHERE id = 4; RELEASE b;
         DO $$ BEGIN DELETE FROM app.consents WHERE id = 5; RAISE 'x';
             EXCEPTION WHEN raise_exception THEN NULL; END $$;
         SAVEPOINT c; SAVEPOINT d; DELETE FROM app.consents WHERE id = 6; RELEASE d; ROLLBACK TO c;
         SELECT count(*) FROM app.consents; COMMIT",
    )?;
    assert_eq!(number(&mut client, "SELECT count(*) FROM app.consents WHERE id < 11")?, 8);
    assert_eq!(certified(&mut client)?, 2, "what stayed deleted");

    // One refused row, and nothing has happened.
    refused(
        &mut client,
        "DELETE FROM app.consents WHERE id = 2; DELETE FROM app.consents WHERE id = 12",
        "23001",
    )?;
    run(&mut client, "BEGIN; DELETE FROM app.consents WHERE id = 2; ROLLBACK")?;
    assert_eq!(certified(&mut client)?, 2);

    // A prepared one counts when it is committed, not before, and not when it is undone.
    let prepare = "BEGIN; DELETE FROM app.consents WHERE id IN (7, 8, 9); PREPARE TRANSACTION 'two'";
    run(&mut client, prepare)?;
    assert_eq!(certified(&mut client)?, 2);
    run(&mut client, "ROLLBACK PREPARED 'two'")?;
    assert_eq!(
        (certified(&mut client)?, number(&mut client, "SELECT count(*) FROM app.consents WHERE id < 11")?),
        (2, 8)
    );
    run(&mut client, prepare)?;
    // Through a restart, too.
    drop(client);
    cluster.restart()?;
    let mut client = cluster.connect("postgres", "app")?;
    assert_eq!(certified(&mut client)?, 2);
    run(&mut client, "COMMIT PREPARED 'two'")?;
    assert_eq!(
        (certified(&mut client)?, number(&mut client, "SELECT count(*) FROM app.consents WHERE id < 11")?),
        (5, 5)
    );
    locked_down(&mut client)?;
    judge::server_is_content(&cluster, "app")
}

/// Expired rows go by whatever statement their owner gives, cascades included; and a certificate names who.
#[test]
fn by_statements() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "app")?;
    let mut clerk = cluster.connect("clerk", "app")?;
    run(&mut clerk, "DELETE FROM app.consents WHERE id = 1")?;
    let who = "SELECT count(*) FROM audit.guard_events WHERE kind = 'rows_expired' AND login_role = 'clerk'
        AND actor_role = 'clerk' AND object = 'app.consents' AND detail ->> 'by' = 'statement'";
    assert_eq!(number(&mut client, who)?, 1, "the clerk's certificate");
    run(&mut clerk, "WITH gone AS (DELETE FROM app.consents WHERE id = 2 RETURNING *) SELECT * FROM gone")?;
    run(&mut clerk, "DELETE FROM app.consents WHERE id = 999; DELETE FROM app.consents WHERE false")?;
    run(
        &mut client,
        "MERGE INTO app.consents USING (VALUES (4)) AS v (i) ON id = i WHEN MATCHED THEN DELETE",
    )?;
    run(
        &mut client,
        "BEGIN; DECLARE c CURSOR FOR SELECT * FROM app.consents WHERE id = 5 FOR UPDATE;
        FETCH c; DELETE FROM app.consents WHERE CURRENT OF c; COMMIT",
    )?;
    run(
        &mut client,
        "CREATE TABLE app.people (subject text PRIMARY KEY);
         INSERT INTO app.people SELECT subject FROM app.consents;
         ALTER TABLE app.consents ADD FOREIGN KEY (subject) REFERENCES app.people ON DELETE CASCADE",
    )?;
    run(&mut client, "DELETE FROM app.people WHERE subject IN ('p6', 'p7')")?;
    refused(&mut client, "DELETE FROM app.people WHERE subject IN ('p8', 'p12')", "23001")?;
    refused(&mut client, "DELETE FROM app.people WHERE subject = 'p3'", "23001")?;
    run(
        &mut client,
        "SET session_replication_role = replica; DELETE FROM app.consents WHERE id = 8;
        RESET session_replication_role",
    )?;
    assert_eq!(number(&mut client, "SELECT count(*) FROM app.consents WHERE id < 11")?, 3);
    assert_eq!(certified(&mut client)?, 7);
    locked_down(&mut client)
}

/// A row's age is told by the row, so it must be told rightly when it comes in.
#[test]
fn back_dating() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "app")?;
    let mut clerk = cluster.connect("clerk", "app")?;
    for client in [&mut client, &mut clerk] {
        for sql in [
            "INSERT INTO app.consents VALUES (60, 'x', 'x', now() - interval '61 minutes')",
            "INSERT INTO app.consents VALUES (60, 'x', 'x', now() + interval '61 minutes')",
            "INSERT INTO app.consents VALUES (60, 'x', 'x', '-infinity')",
            "INSERT INTO app.consents VALUES (60, 'x', 'x', 'infinity')",
            "INSERT INTO app.visits VALUES (60, 'here', '2001-01-01')",
            "INSERT INTO app.visits_old VALUES (60, 'here', '2001-01-01')",
            "INSERT INTO app.consents SELECT 60, 'x', 'x', min(created_at) FROM app.consents",
            "SET LOCAL TimeZone = 'Pacific/Kiritimati'; INSERT INTO app.visits VALUES (60, 'x', 'yesterday')",
        ] {
            refused(client, sql, "23001")?;
        }
    }
    refused(&mut clerk, "SET audit_guard.insert_time_tolerance = '1 year'", "42501")?;
    let denied = clerk.batch_execute("SELECT audit.begin_restore('x')").err().ok_or("the clerk restores")?;
    assert_eq!(denied.code().map(|c| c.code()), Some("42501"));
    for ok in ["now()", "now() - interval '59 minutes'", "now() + interval '59 minutes'", "clock_timestamp()"]
    {
        run(
            &mut client,
            &format!("INSERT INTO app.consents VALUES (61, 'x', 'x', {ok}) ON CONFLICT DO NOTHING"),
        )?;
    }
    // A default that lies is found out, too.
    run(
        &mut client,
        "BEGIN; SELECT audit.begin_restore('x'); INSERT INTO app.consents VALUES (62, 'x', 'x',
        '2001-01-01'); COMMIT",
    )?;
    refused(&mut client, "INSERT INTO app.consents VALUES (63, 'x', 'x', '2001-01-01')", "23001")?;
    // Only within its own transaction, and not beyond a savepoint that was taken back.
    refused(
        &mut client,
        "SAVEPOINT a; SELECT audit.begin_restore('x'); ROLLBACK TO a;
        INSERT INTO app.consents VALUES (63, 'x', 'x', '2001-01-01')",
        "23001",
    )?;
    assert_eq!(
        number(&mut client, "SELECT count(*) FROM audit.guard_events WHERE kind = 'restore_begun'")?,
        2
    );
    locked_down(&mut client)
}

/// While the clock cannot be believed nothing leaves; somebody has to say that it is right.
#[test]
fn clock_jumps() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "app")?;
    // The clock is behind: there are rows of a time that has not come.
    run(
        &mut client,
        "BEGIN; SELECT audit.begin_restore('from a server with a wrong clock');
        INSERT INTO app.consents VALUES (80, 'x', 'x', now() + interval '3 days'); COMMIT",
    )?;
    let stopped = |client: &mut Client| -> Result<()> {
        let error = client
            .batch_execute(
                "SELECT * FROM audit.apply_retention(); SELECT * FROM audit.apply_retention();
            SELECT * FROM audit.apply_retention()",
            )
            .err()
            .ok_or("retention goes on with a wrong clock")?;
        let error = error.as_db_error().ok_or("no answer")?;
        let hint = error.hint().unwrap_or_default();
        if error.code().code() == "55000" && hint.contains("audit.confirm_clock(") {
            return Ok(());
        }
        Err(format!("{error:?}").into())
    };
    let expired = "SELECT count(*) FROM app.consents WHERE id < 11";
    stopped(&mut client)?;
    assert_eq!(number(&mut client, expired)?, 10);
    run(&mut client, "SELECT audit.confirm_clock('the other server was wrong, HD-12')")?;
    apply_all(&mut client, 10000)?;
    assert_eq!(number(&mut client, expired)?, 1, "the held one");
    let confirmed =
        "SELECT count(*) FROM audit.guard_events WHERE kind = 'clock_confirmed' AND reason ~ 'HD-12'";
    assert_eq!(number(&mut client, confirmed)?, 1);
    locked_down(&mut client)
}

/// Killed while rows leave. What is gone is certified, what is certified is gone, and it goes on from there.
#[test]
fn killed_in_between() -> Result<()> {
    let settings = [PRELOADED, &[("fsync", "on"), ("synchronous_commit", "on")]].concat();
    let cluster = Cluster::start(&settings)?;
    let mut client = guarded::database(&cluster, "app")?;
    run(
        &mut client,
        "BEGIN; SELECT audit.begin_restore('old files'); INSERT INTO app.consents
        SELECT i, 'p' || i, repeat('x', 200),
               now() - CASE WHEN i % 5 = 0 THEN interval '1 year' ELSE interval '9 years' END
        FROM generate_series(100, 100099) AS i; COMMIT",
    )?;
    let expired = 80_000 + 9;
    let mut rows = number(&mut client, "SELECT count(*) FROM app.consents")?;
    let all = rows;
    for round in 1..=4 {
        let stop = AtomicBool::new(false);
        let (cluster, stopped) = (&cluster, &stop);
        thread::scope(|scope| -> Result<()> {
            let working = scope.spawn(move || -> Result<()> {
                let mut client = cluster.connect("postgres", "app")?;
                while !stopped.load(Ordering::SeqCst) {
                    match client.batch_execute("SELECT * FROM audit.apply_retention(500)") {
                        Ok(()) => {}
                        Err(e) if is_disconnect(&e) => break,
                        Err(e) => return Err(format!("{e:?}").into()),
                    }
                }
                Ok(())
            });
            thread::sleep(Duration::from_millis(150 * round));
            let children =
                cluster.connect("postgres", "app")?.query("SELECT pid FROM pg_stat_activity", &[])?;
            cluster.kill_hard(cluster.postmaster()?)?;
            for row in children {
                // Some have noticed and gone by themselves.
                let _gone = cluster.kill_hard(row.get::<_, i32>(0).unsigned_abs());
            }
            stopped.store(true, Ordering::SeqCst);
            working.join().map_err(|_| "retention panicked")?
        })?;
        drop(client);
        cluster.boot()?;
        client = cluster.connect("postgres", "app")?;
        let now = number(&mut client, "SELECT count(*) FROM app.consents")?;
        assert_eq!(certified(&mut client)?, all - now, "round {round}: rows gone, and certified");
        println!("round {round}: {} rows left", rows - now);
        rows = now;
        let newer =
            "SELECT count(*) FROM app.consents WHERE created_at > now() - interval '2 years' OR id = 3";
        assert_eq!(number(&mut client, newer)?, 20_000 + 12, "round {round}: rows that must stay");
        locked_down(&mut client).map_err(|e| format!("round {round}: {e}"))?;
    }
    assert!(rows < all, "nothing left in four rounds");
    apply_all(&mut client, 10_000)?;
    assert_eq!(certified(&mut client)?, expired, "all in all");
    judge::log_is_sound(&mut client)
}
