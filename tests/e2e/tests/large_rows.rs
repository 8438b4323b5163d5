//! Rows at the limits of the server: a hundred megabytes, more than an image can hold, and as many columns as
//! a table can have.

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::session::PINNED;
use audit_guard_e2e::steps::{run, texts};
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// Room for what is dirtied here without a checkpoint for every row.
const SETTINGS: &[(&str, &str)] =
    &[("fsync", "off"), ("max_wal_size", "4GB"), ("wal_compression", "on"), ("autovacuum", "off")];

/// A text of this many megabytes that compresses well: what is tested is the image, not the disk.
fn megabytes(count: usize) -> String {
    format!("repeat('0123456789abcdef', {count} * 65536)")
}

fn count(client: &mut Client) -> Result<i64> {
    Ok(client.query_one("SELECT count(*) FROM audit.audit_log", &[])?.try_get(0)?)
}

/// The SQLSTATE a statement ends with.
fn outcome(client: &mut Client, sql: &str) -> String {
    match client.batch_execute(sql) {
        Ok(()) => "00000".to_owned(),
        Err(e) => e.code().map_or_else(|| format!("{e:?}"), |code| code.code().to_owned()),
    }
}

#[test]
fn a_hundred_megabytes() -> Result<()> {
    let cluster = Cluster::start(SETTINGS)?;
    let mut client = cluster.database("large")?;
    run(
        &mut client,
        "CREATE TABLE t (id int PRIMARY KEY, v text, w bytea, j jsonb, note text);
         SELECT audit.enable_tracking('t')",
    )?;
    let text = megabytes(100);
    run(&mut client, &format!("INSERT INTO t VALUES (1, {text})"))?;
    run(&mut client, &format!("INSERT INTO t VALUES (2, NULL, convert_to({}, 'UTF8'))", megabytes(30)))?;
    run(&mut client, &format!("INSERT INTO t VALUES (3, NULL, NULL, to_jsonb({}))", megabytes(60)))?;
    run(&mut client, "UPDATE t SET note = 'x'")?;
    run(&mut client, "UPDATE t SET v = v || '!', w = w || '\\x21', j = to_jsonb(j #>> '{}' || '!')")?;
    run(&mut client, "SELECT audit.enable_tracking('t', detail => 'changed'); UPDATE t SET note = 'y'")?;
    let told = texts(
        &mut client,
        "SELECT string_agg(operation || coalesce(' ' || changed_fields::text, ''), ', ' ORDER BY id)
         FROM audit.audit_log GROUP BY record_id ORDER BY record_id",
    )?;
    let right = texts(
        &mut client,
        "SELECT coalesce(md5(l.new_record ->> 'v') = md5(t.v), t.v IS NULL)::text,
                coalesce(md5(l.new_record ->> 'w') = md5(t.w::text), t.w IS NULL)::text,
                coalesce(md5(l.new_record ->> 'j') = md5(t.j #>> '{}'), t.j IS NULL)::text
         FROM t JOIN audit.audit_log l ON l.record_id = t.id::text AND l.changed_fields && '{v,w,j}'
         ORDER BY t.id",
    )?;
    let column =
        |name: &str| vec![Some(format!("INSERT, UPDATE {{note}}, UPDATE {{{name}}}, UPDATE {{note}}"))];
    assert_eq!(told, [column("v"), column("w"), column("j")]);
    assert!(
        right.len() == 3 && right.iter().flatten().all(|same| same.as_deref() == Some("true")),
        "{right:?}"
    );
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(&cluster, "large")
}

/// Above what jsonb can hold the statement fails with the server's own code; nothing else happens, and a
/// table that hides the column goes on.
#[test]
fn above_the_limit() -> Result<()> {
    let cluster = Cluster::start(SETTINGS)?;
    let mut client = cluster.database("above")?;
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    run(
        &mut client,
        &format!(
            "CREATE TABLE t (id int PRIMARY KEY, v text, w text, b bytea, note text); INSERT INTO t VALUES
                 (1, {0}, {0}), (2, {1}, NULL); SELECT audit.enable_tracking('t');
             INSERT INTO t VALUES (3, 'small')",
            megabytes(140),
            megabytes(300)
        ),
    )?;
    let before = count(&mut client)?;
    let statements = [
        format!("INSERT INTO t VALUES (10, {})", megabytes(256)),
        format!("INSERT INTO t VALUES (10, {0}, {0})", megabytes(130)),
        format!("INSERT INTO t VALUES (10, NULL, NULL, convert_to({}, 'UTF8'))", megabytes(140)),
        format!("UPDATE t SET v = {} WHERE id = 3", megabytes(260)),
        "UPDATE t SET note = 'x' WHERE id = 1".to_owned(),
        "DELETE FROM t WHERE id = 2".to_owned(),
    ];
    assert_eq!(outcome(&mut client, "DELETE FROM t"), "54000", "by itself");
    for statement in &statements {
        run(&mut client, "BEGIN; INSERT INTO t VALUES (20, 'kept'); SAVEPOINT s")?;
        assert_eq!(outcome(&mut client, statement), "54000", "{statement}");
        run(
            &mut client,
            "ROLLBACK TO s; UPDATE t SET note = 'kept' WHERE id = 20; DELETE FROM t WHERE id = 20; COMMIT",
        )?;
    }
    assert_eq!(count(&mut client)?, before + 3 * statements.len() as i64);
    let now: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    assert_eq!(pid, now, "the session lived on");
    // What is smaller than the limit by a little passes, and a changed image holds only what changed.
    run(&mut client, &format!("INSERT INTO t VALUES (11, {})", megabytes(255)))?;
    run(
        &mut client,
        "SELECT audit.enable_tracking('t', detail => 'changed'); UPDATE t SET note = 'x' WHERE id < 3",
    )?;
    assert_eq!(outcome(&mut client, "DELETE FROM t WHERE id = 2"), "54000");
    run(&mut client, "SELECT audit.enable_tracking('t', exclude => '{v}', mask => '{w}')")?;
    run(&mut client, &format!("INSERT INTO t VALUES (12, {0}, {0}); DELETE FROM t", megabytes(300)))?;
    let last = "SELECT old_record::text FROM audit.audit_log WHERE record_id = '12' ORDER BY id DESC LIMIT 1";
    let expected = r#"{"b": null, "w": null, "id": 12, "note": null}"#;
    assert_eq!(texts(&mut client, last)?, [[Some(expected.to_owned())]]);
    // Nothing of the size of a refused image is kept once another row was logged.
    run(&mut client, "SELECT audit.enable_tracking('t'); INSERT INTO t VALUES (30, 'small')")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let private = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
    let kilobytes: u64 = private.trim().trim_end_matches(" kB").trim().parse()?;
    assert!(kilobytes < 100_000, "the session keeps {kilobytes} kB");
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(&cluster, "above")
}

/// Sixteen hundred columns, the most a table can have: all null, all filled, one changed, all changed.
#[test]
fn most_columns() -> Result<()> {
    let cluster = Cluster::start(SETTINGS)?;
    let mut client = cluster.database("columns")?;
    run(&mut client, PINNED)?;
    // The names come in another order than the columns, and are as long as names get.
    let name = |i: usize| format!("c{:04}{}", (i * 7919) % 10_000, "x".repeat(58));
    for (table, ty, value, other) in
        [("ints", "int4", "1", "2"), ("texts", "text", "'é'", "''"), ("bools", "bool", "true", "false")]
    {
        let columns: Vec<String> = (1..1600).map(|i| format!("{} {ty}", name(i))).collect();
        run(&mut client, &format!("CREATE TABLE {table} (id int PRIMARY KEY, {})", columns.join(", ")))?;
        run(&mut client, &format!("SELECT audit.enable_tracking('{table}')"))?;
        run(&mut client, &format!("INSERT INTO {table} VALUES (1)"))?;
        let values = vec![value; 1599].join(", ");
        run(&mut client, &format!("INSERT INTO {table} VALUES (2, {values})"))?;
        run(&mut client, &format!("UPDATE {table} SET {} = {other}", name(800)))?;
        let all: Vec<String> = (1..1600).map(|i| format!("{} = {other}", name(i))).collect();
        run(&mut client, &format!("UPDATE {table} SET {}", all.join(", ")))?;
        let wrong = texts(
            &mut client,
            &format!(
                "SELECT operation::text, record_id, cardinality(changed_fields)::text FROM audit.audit_log l
                 JOIN {table} t ON l.record_id = t.id::text AND l.table_name = '{table}'
                 WHERE (operation = 'UPDATE' AND cardinality(changed_fields) > 1
                            AND record_image_ne(ROW(new_record), ROW(to_jsonb(t))))
                    OR (SELECT count(*) FROM jsonb_object_keys(new_record)) <> 1600"
            ),
        )?;
        assert_eq!(wrong, Vec::<Vec<Option<String>>>::new(), "{table}");
        let fields = texts(
            &mut client,
            &format!(
                "SELECT string_agg(coalesce(cardinality(changed_fields)::text, '-'), ' ' ORDER BY id)
                 FROM audit.audit_log WHERE table_name = '{table}'"
            ),
        )?;
        // The first UPDATE has changed one of the columns already.
        assert_eq!(fields, [[Some("- - 1 1 1598 1598".to_owned())]], "{table}");
    }
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(&cluster, "columns")
}
