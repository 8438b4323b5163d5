//! DDL on tracked tables between their changes: on columns, keys, names and partitions, on types and
//! roles whose forms and names a backend has cached, on triggers and options.

use std::thread;
use std::time::Duration;

use audit_guard_e2e::steps::{around, change_and_check, database, run, texts};
use audit_guard_e2e::{Result, judge};
use postgres::Client;

#[test]
fn ddl_on_the_tracked_table() -> Result<()> {
    let (cluster, mut client) = database("tracked_table")?;
    around(
        &mut client,
        &[
            ("ALTER TABLE t ADD COLUMN extra timestamptz DEFAULT '2026-01-02 03:04:05+00'", "public", "t"),
            ("ALTER TABLE t ADD COLUMN filled double precision DEFAULT random()", "public", "t"),
            ("ALTER TABLE t DROP COLUMN n", "public", "t"),
            ("ALTER TABLE t RENAME COLUMN extra TO \"Extra, renamed\"", "public", "t"),
            ("ALTER TABLE t ALTER COLUMN \"Extra, renamed\" TYPE text USING 'now ' || id", "public", "t"),
            ("ALTER TABLE t ALTER COLUMN v TYPE varchar(60)", "public", "t"),
            ("ALTER TABLE t ALTER COLUMN id TYPE bigint", "public", "t"),
            ("ALTER TABLE t ADD COLUMN made text GENERATED ALWAYS AS (id || 'x') STORED", "public", "t"),
            ("ALTER TABLE t RENAME TO \"T 2\"", "public", "T 2"),
            ("CREATE SCHEMA first; ALTER TABLE \"T 2\" SET SCHEMA first", "first", "T 2"),
            ("ALTER SCHEMA first RENAME TO \"second é\"", "second é", "T 2"),
            (
                "CREATE INDEX ON \"second é\".\"T 2\" (v); CLUSTER \"second é\".\"T 2\" USING \"T 2_v_idx\"",
                "second é",
                "T 2",
            ),
            ("ALTER TABLE \"second é\".\"T 2\" ADD CHECK (id > 0)", "second é", "T 2"),
            ("ALTER TABLE \"second é\".\"T 2\" ALTER COLUMN v SET STORAGE EXTERNAL", "second é", "T 2"),
        ],
    )?;
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "tracked_table")
}

/// What the name of a row is made of changes between two changes.
#[test]
fn ddl_on_the_key() -> Result<()> {
    let (cluster, mut client) = database("tracked_key")?;
    let keys =
        |client: &mut Client| texts(client, "SELECT record_id FROM audit.audit_log ORDER BY id DESC LIMIT 1");
    let mut key = |sql: &str, expected: Option<&str>| -> Result<()> {
        run(&mut client, "BEGIN; UPDATE t SET v = v || '!' WHERE id = 2")?;
        run(&mut client, sql)?;
        run(&mut client, "UPDATE t SET v = v || '!' WHERE id = 2")?;
        assert_eq!(keys(&mut client)?, [[expected.map(str::to_owned)]], "{sql}");
        run(&mut client, "COMMIT")
    };
    key("ALTER TABLE t DROP CONSTRAINT t_pkey", None)?;
    key("ALTER TABLE t ALTER COLUMN n SET NOT NULL; CREATE UNIQUE INDEX ident ON t (n, id)", None)?;
    key("ALTER TABLE t REPLICA IDENTITY USING INDEX ident", Some("[2,2]"))?;
    key("ALTER TABLE t REPLICA IDENTITY FULL", None)?;
    key("ALTER TABLE t REPLICA IDENTITY USING INDEX ident", Some("[2,2]"))?;
    key("ALTER TABLE t ADD CONSTRAINT again PRIMARY KEY (id)", Some("2"))?;
    key("ALTER TABLE t DROP CONSTRAINT again; ALTER TABLE t ADD PRIMARY KEY (n)", Some("2"))?;
    key("ALTER TABLE t RENAME COLUMN n TO number", Some("2"))?;
    judge::server_is_content(cluster, "tracked_key")
}

#[test]
fn ddl_on_roles_and_types() -> Result<()> {
    let (cluster, mut client) = database("roles_and_types")?;
    run(
        &mut client,
        "CREATE ROLE taken; GRANT ALL ON SCHEMA public TO taken; GRANT ALL ON t TO taken;
             GRANT audit_reader TO taken;
         CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text);
         CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE sql RETURN to_json(1.50);
         ALTER TABLE t ADD COLUMN m mood DEFAULT 'sad', ADD COLUMN ms mood[] DEFAULT '{sad,ok}',
             ADD COLUMN p pair DEFAULT '(1,x)', ADD COLUMN r name DEFAULT 'x'",
    )?;
    around(
        &mut client,
        &[
            ("SET ROLE taken", "public", "t"),
            (
                "RESET ROLE; ALTER ROLE taken RENAME TO \"renamed role\"; SET ROLE \"renamed role\"",
                "public",
                "t",
            ),
            ("RESET ROLE", "public", "t"),
            ("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue \"é\"'", "public", "t"),
            ("ALTER TYPE pair ADD ATTRIBUTE c numeric", "public", "t"),
            ("ALTER TYPE pair RENAME ATTRIBUTE b TO \"B b\"", "public", "t"),
            ("ALTER TYPE pair DROP ATTRIBUTE a", "public", "t"),
            ("CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood)", "public", "t"),
            ("DROP CAST (mood AS json)", "public", "t"),
            ("ALTER DATABASE roles_and_types SET DateStyle = 'German'", "public", "t"),
        ],
    )?;
    judge::server_is_content(cluster, "roles_and_types")
}

/// Options and triggers change between changes, in one transaction and across sessions.
#[test]
fn tracking_changes_beside_capture() -> Result<()> {
    let (cluster, mut client) = database("tracking")?;
    let count = "SELECT count(*) FROM audit.audit_log";
    run(&mut client, "BEGIN; SELECT audit.disable_tracking('t')")?;
    let before: i64 = client.query_one(count, &[])?.get(0);
    run(&mut client, "UPDATE t SET v = v || '-'")?;
    assert_eq!(before, client.query_one(count, &[])?.get::<_, i64>(0), "not tracked any more");
    run(&mut client, "SELECT audit.enable_tracking('t', mask => '{n}')")?;
    let image = |client: &mut Client| {
        texts(client, "SELECT new_record::text FROM audit.audit_log ORDER BY id DESC LIMIT 1")
    };
    run(&mut client, "UPDATE t SET v = 'a' WHERE id = 1")?;
    assert_eq!(image(&mut client)?, [[Some(r#"{"n": null, "v": "a", "id": 1}"#.to_owned())]]);
    run(
        &mut client,
        "SAVEPOINT s; SELECT audit.enable_tracking('t', exclude => '{n}'); UPDATE t SET v = 'b' WHERE id = 1",
    )?;
    assert_eq!(image(&mut client)?, [[Some(r#"{"v": "b", "id": 1}"#.to_owned())]]);
    run(&mut client, "ROLLBACK TO s; UPDATE t SET v = 'c' WHERE id = 1")?;
    assert_eq!(image(&mut client)?, [[Some(r#"{"n": null, "v": "c", "id": 1}"#.to_owned())]]);
    run(&mut client, "COMMIT")?;

    // Prepared statements and cached plans of one session, options changed by another.
    let mut other = cluster.connect("postgres", "tracking")?;
    run(
        &mut other,
        "PREPARE up (text) AS UPDATE t SET v = $1 WHERE id = 1;
             PREPARE ins (int) AS INSERT INTO t VALUES ($1, 'i', 1);
         CREATE FUNCTION up(x text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = x
             WHERE id = 1; END $$",
    )?;
    let steps = [
        ("SELECT audit.enable_tracking('t')", r#"{"n": 1, "v": "V", "id": 1}"#),
        ("ALTER TABLE t ADD COLUMN late int DEFAULT 5", r#"{"n": 1, "v": "V", "id": 1, "late": 5}"#),
        ("ALTER TABLE t RENAME COLUMN late TO z", r#"{"n": 1, "v": "V", "z": 5, "id": 1}"#),
        ("SELECT audit.enable_tracking('t', detail => 'changed')", r#"{"v": "V"}"#),
        (
            "SELECT audit.enable_tracking('t', exclude => '{z}', mask => '{v}')",
            r#"{"n": 1, "v": null, "id": 1}"#,
        ),
        (
            "ALTER TABLE t RENAME COLUMN v TO w; ALTER TABLE t RENAME COLUMN n TO v;
             ALTER TABLE t RENAME COLUMN w TO n; ALTER TABLE t RENAME COLUMN v TO m;
             ALTER TABLE t RENAME COLUMN n TO v",
            // For a moment the column m had the hidden name: it stays hidden under any name from then on.
            r#"{"m": null, "v": null, "id": 1}"#,
        ),
        ("ALTER TABLE t DROP COLUMN z", r#"{"m": null, "v": null, "id": 1}"#),
    ];
    for (i, (sql, expected)) in steps.iter().enumerate() {
        run(&mut client, sql)?;
        for call in ["EXECUTE up('V{}')", "SELECT up('V{}')"] {
            run(&mut other, "UPDATE t SET v = NULL WHERE id = 1")?;
            let call = call.replace("{}", &i.to_string());
            run(&mut other, &call)?;
            let expected = expected.replace("\"V\"", &format!("\"V{i}\""));
            assert_eq!(image(&mut other)?, [[Some(expected)]], "{sql}, then {call}");
        }
        run(&mut other, &format!("EXECUTE ins({})", 100 + i))?;
    }
    // A trigger dropped by hand, and one that another table lends its name to.
    run(&mut client, "DROP TRIGGER audit_t ON t")?;
    let before: i64 = client.query_one(count, &[])?.get(0);
    run(&mut other, "EXECUTE up('unseen')")?;
    assert_eq!(before, client.query_one(count, &[])?.get::<_, i64>(0), "without its trigger");
    run(&mut client, "SELECT audit.enable_tracking('t')")?;
    run(&mut other, "EXECUTE up('seen')")?;
    assert_eq!(before + 1, client.query_one(count, &[])?.get::<_, i64>(0), "with its trigger again");
    judge::server_is_content(cluster, "tracking")
}

/// Partitions of a tracked table come and go between changes of the same transaction.
#[test]
fn partitions_of_the_tracked_table() -> Result<()> {
    let (cluster, mut client) = database("partitions")?;
    run(
        &mut client,
        "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
         SELECT audit.enable_tracking('p'); INSERT INTO p VALUES (1, 'v')",
    )?;
    run(&mut client, "BEGIN")?;
    change_and_check(&mut client, "public", "p")?;
    run(
        &mut client,
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
         CREATE TABLE p3 (gone int, v text, id int NOT NULL); ALTER TABLE p3 DROP COLUMN gone;
         ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30);
         INSERT INTO p VALUES (11, 'in p2'), (21, 'in p3')",
    )?;
    change_and_check(&mut client, "public", "p")?;
    run(&mut client, "COMMIT")?;
    change_and_check(&mut client, "public", "p")?;
    run(&mut client, "BEGIN")?;
    change_and_check(&mut client, "public", "p")?;
    run(&mut client, "ALTER TABLE p DETACH PARTITION p1; ALTER TABLE p RENAME TO q")?;
    change_and_check(&mut client, "public", "q")?;
    let count = "SELECT count(*) FROM audit.audit_log";
    let before: i64 = client.query_one(count, &[])?.get(0);
    run(&mut client, "UPDATE p1 SET v = 'alone'")?;
    assert_eq!(before, client.query_one(count, &[])?.get::<_, i64>(0), "a detached partition is not tracked");
    run(&mut client, "COMMIT")?;
    change_and_check(&mut client, "public", "q")?;
    run(&mut client, "UPDATE p2 SET v = 'through the partition'")?;
    let last = texts(
        &mut client,
        "SELECT table_name, new_record ->> 'v' FROM audit.audit_log ORDER BY id DESC LIMIT 1",
    )?;
    assert_eq!(last, [[Some("q".to_owned()), Some("through the partition".to_owned())]]);
    judge::server_is_content(cluster, "partitions")
}

/// TRUNCATE takes rows away that were committed while it waited for its lock, and in REPEATABLE READ
/// rows that its own snapshot never saw. A table that asks for its truncated rows gets them all.
#[test]
fn truncated_rows_committed_meanwhile() -> Result<()> {
    let (cluster, mut client) = database("truncated")?;
    run(&mut client, "SELECT audit.enable_tracking('t', log_truncated_rows => true)")?;
    let mut other = cluster.connect("postgres", "truncated")?;
    let told = "SELECT string_agg(record_id, ' ' ORDER BY record_id), count(*)::text FROM audit.audit_log
                WHERE transaction_id = (SELECT transaction_id FROM audit.audit_log
                    WHERE operation = 'TRUNCATE'
                                        ORDER BY logged_at DESC LIMIT 1) AND operation = 'TRUNCATE'";
    let waiting = "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 't'::regclass";
    run(&mut other, "BEGIN")?;
    run(&mut other, "INSERT INTO t VALUES (10), (11); DELETE FROM t WHERE id = 1")?;
    thread::scope(|scope| -> Result<()> {
        let waits = scope.spawn(|| run(&mut client, "TRUNCATE t"));
        // Committed only when the other session really waits.
        for _ in 0..100 {
            if texts(&mut other, waiting)?[0][0].as_deref() == Some("1") {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        run(&mut other, "COMMIT")?;
        waits.join().map_err(|_| "the truncating session panicked")?
    })?;
    assert_eq!(texts(&mut client, told)?, [[Some("10 11 2 3".to_owned()), Some("5".to_owned())]]);
    run(&mut client, "INSERT INTO t VALUES (1)")?;
    run(&mut client, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; INSERT INTO t VALUES (5)")?;
    run(&mut other, "INSERT INTO t VALUES (20)")?;
    run(&mut client, "INSERT INTO t VALUES (6); SAVEPOINT s; INSERT INTO t VALUES (7); ROLLBACK TO s")?;
    run(&mut client, "TRUNCATE t; COMMIT")?;
    assert_eq!(texts(&mut client, told)?, [[Some("1 20 5 6".to_owned()), Some("5".to_owned())]]);
    judge::server_is_content(cluster, "truncated")
}
