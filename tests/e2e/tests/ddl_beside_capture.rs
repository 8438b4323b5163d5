//! DDL beside capture: on the log after a tracked change of the same transaction, on tracked tables
//! between their changes, on types and roles whose names and forms a backend has cached.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::session::PINNED;
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// One cluster for all tests of this file, each with a database of its own.
fn database(name: &str) -> Result<(&'static Cluster, Client)> {
    static CLUSTER: OnceLock<std::result::Result<Cluster, String>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Cluster::start(&[("fsync", "off")]).map_err(|e| e.to_string()));
    let cluster = cluster.as_ref().map_err(Clone::clone)?;
    let mut client = cluster.database(name)?;
    client.batch_execute(PINNED)?;
    client.batch_execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric); SELECT audit.enable_tracking('t');
         INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 3) AS i",
    )?;
    Ok((cluster, client))
}

fn run(client: &mut Client, sql: &str) -> Result<()> {
    client.batch_execute(sql).map_err(|e| format!("{sql}: {e:?}").into())
}

fn texts(client: &mut Client, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let rows = client.query(sql, &[]).map_err(|e| format!("{sql}: {e:?}"))?;
    rows.iter().map(|row| (0..row.len()).map(|i| Ok(row.try_get(i)?)).collect()).collect()
}

/// Changes every row of a table (column `v` is text, column `id` its key) and checks that each
/// change is in the log with the images, names and fields the table has now.
fn change_and_check(client: &mut Client, schema: &str, table: &str) -> Result<()> {
    let name = format!("\"{schema}\".\"{table}\"");
    let last = client.query_one("SELECT coalesce(max(id), 0) FROM audit.audit_log", &[])?.get::<_, i64>(0);
    let old = texts(
        client,
        &format!(
            "WITH before AS (SELECT id::text, to_jsonb(t)::text AS image FROM {name} AS t ORDER BY id),
                  change AS (UPDATE {name} SET v = md5(v) RETURNING 1)
             SELECT * FROM before"
        ),
    )?;
    let new = texts(client, &format!("SELECT id::text, to_jsonb(t)::text FROM {name} AS t ORDER BY id"))?;
    let log = texts(
        client,
        &format!(
            "SELECT record_id, old_record::text, new_record::text, operation || ' ' || table_schema || '.' || table_name
                 || ' ' || changed_fields::text || ' ' || actor_role || ' ' || login_role
             FROM audit.audit_log WHERE id > {last} ORDER BY record_id"
        ),
    )?;
    let roles = texts(
        client,
        "SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END || ' ' || session_user",
    )?;
    let what = format!("UPDATE {schema}.{table} {{v}} {}", roles[0][0].clone().unwrap_or_default());
    let mut expected = Vec::new();
    for (old, new) in old.iter().zip(&new) {
        expected.push(vec![new[0].clone(), old[1].clone(), new[1].clone(), Some(what.clone())]);
    }
    if log == expected && !log.is_empty() {
        return Ok(());
    }
    Err(format!("the log has\n  {log:?}\nand should have\n  {expected:?}").into())
}

/// Each step between two changes, in its own transaction, in one transaction with both, and in a
/// savepoint that is rolled back between them.
fn around(client: &mut Client, steps: &[(&str, &str, &str)]) -> Result<()> {
    let (mut schema, mut table) = ("public", "t");
    let told = |sql: &str, how: &str, e| format!("{sql} ({how}): {e}");
    for (sql, new_schema, new_table) in steps {
        run(client, "BEGIN")?;
        change_and_check(client, schema, table).map_err(|e| told(sql, "before", e))?;
        run(client, "SAVEPOINT s")?;
        run(client, sql)?;
        change_and_check(client, new_schema, new_table).map_err(|e| told(sql, "in a savepoint", e))?;
        run(client, "ROLLBACK TO s")?;
        change_and_check(client, schema, table).map_err(|e| told(sql, "rolled back to the savepoint", e))?;
        run(client, "COMMIT; BEGIN")?;
        run(client, sql)?;
        change_and_check(client, new_schema, new_table)
            .map_err(|e| told(sql, "first in a transaction", e))?;
        run(client, "ROLLBACK")?;
        change_and_check(client, schema, table).map_err(|e| told(sql, "rolled back", e))?;
        run(client, sql)?;
        (schema, table) = (new_schema, new_table);
        change_and_check(client, schema, table).map_err(|e| told(sql, "by itself", e))?;
    }
    Ok(())
}

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
        "CREATE ROLE taken; GRANT ALL ON SCHEMA public TO taken; GRANT ALL ON t TO taken; GRANT audit_reader TO taken;
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
        format!("ALTER TABLE {leaf} ADD CONSTRAINT later CHECK (id > 0)"),
        format!("CLUSTER {leaf} USING {}_pkey", leaf.trim_start_matches("audit.")),
        "DROP INDEX audit.extra_idx, audit.partial_idx".to_owned(),
        format!("COMMENT ON TABLE {leaf} IS 'commented'"),
        format!("DO $$ BEGIN LOCK TABLE {leaf} IN ACCESS EXCLUSIVE MODE; END $$"),
        "ANALYZE audit.audit_log".to_owned(),
        "CREATE TABLE other (id int PRIMARY KEY, v text); SELECT audit.enable_tracking('other'); SELECT audit.disable_tracking('other'); DROP TABLE other".to_owned(),
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
    run(&mut client, "DROP TRIGGER zz ON t; BEGIN")?;
    change_and_check(&mut client, "public", "t")?;
    run(&mut client, "DROP TABLE t CASCADE; ROLLBACK")?;
    change_and_check(&mut client, "public", "t")?;
    judge::index_finds_all(&mut client, &leaf, "actor_role >= ''")?;
    judge::index_finds_all(&mut client, &leaf, "outcome >= ''")?;
    judge::index_finds_all(&mut client, &leaf, "lower(record_id) >= '' AND operation = 'UPDATE'")?;
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "on_the_log")
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
        "PREPARE up (text) AS UPDATE t SET v = $1 WHERE id = 1; PREPARE ins (int) AS INSERT INTO t VALUES ($1, 'i', 1);
         CREATE FUNCTION up(x text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = x WHERE id = 1; END $$",
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
            "ALTER TABLE t RENAME COLUMN v TO w; ALTER TABLE t RENAME COLUMN n TO v; ALTER TABLE t RENAME COLUMN w TO n; ALTER TABLE t RENAME COLUMN v TO m; ALTER TABLE t RENAME COLUMN n TO v",
            r#"{"m": 1, "v": null, "id": 1}"#,
        ),
        ("ALTER TABLE t DROP COLUMN z", r#"{"m": 1, "v": null, "id": 1}"#),
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

/// A transaction that goes on while its month ends writes into two leaves. The month is cut in two
/// at a moment a few seconds away.
#[test]
fn the_month_ends_within_a_transaction() -> Result<()> {
    let (cluster, mut client) = database("month")?;
    run(
        &mut client,
        "DO $$ DECLARE leaf text; low timestamptz; high timestamptz; cut timestamptz := clock_timestamp() + interval '2.5 s';
         BEGIN
             SELECT c.relname, (regexp_match(pg_get_expr(relpartbound, c.oid), $re$FROM \\('([^']+)'\\)$re$))[1],
                    (regexp_match(pg_get_expr(relpartbound, c.oid), $re$TO \\('([^']+)'\\)$re$))[1]
             INTO STRICT leaf, low, high
             FROM pg_class AS c WHERE c.oid = (SELECT DISTINCT tableoid FROM audit.audit_log);
             EXECUTE format('ALTER TABLE audit.audit_log DETACH PARTITION audit.%I', leaf);
             EXECUTE format('CREATE TABLE audit.rest (LIKE audit.%I INCLUDING ALL)', leaf);
             EXECUTE format('ALTER TABLE audit.audit_log ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)', leaf, low, cut);
             EXECUTE format('ALTER TABLE audit.audit_log ATTACH PARTITION audit.rest FOR VALUES FROM (%L) TO (%L)', cut, high);
         END $$",
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
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
         CREATE TRIGGER zz AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();
         INSERT INTO t SELECT i, 'slow' FROM generate_series(10, 19) AS i; DROP TRIGGER zz ON t",
    )?;
    change_and_check(&mut client, "public", "t")?;
    run(&mut client, "COMMIT")?;
    change_and_check(&mut client, "public", "t")?;
    let leaves = texts(
        &mut client,
        "SELECT count(DISTINCT tableoid)::text FROM audit.audit_log WHERE new_record ->> 'v' LIKE 'slow%' AND operation = 'INSERT'",
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
    let stop = std::sync::atomic::AtomicBool::new(false);
    let written = thread::scope(|scope| -> Result<i64> {
        let writers: Vec<_> = (1..4)
            .map(|writer| {
                let stop = &stop;
                scope.spawn(move || -> Result<i64> {
                    let mut client = cluster.connect("postgres", "beside")?;
                    let mut written = 0;
                    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
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
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
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
