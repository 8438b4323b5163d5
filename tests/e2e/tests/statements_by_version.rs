//! Statements that only later versions of the server have: MERGE with RETURNING and with what its source
//! lacks, COPY that passes over bad lines, RETURNING of old and new rows, virtual columns, keys over time.

use audit_guard_e2e::steps::{database, run, texts};
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// Whether the server has what came with a version; says so when not.
fn has(client: &mut Client, version: i32) -> Result<bool> {
    let query = "SELECT current_setting('server_version_num')::int / 10000";
    let found: i32 = client.query_one(query, &[])?.try_get(0)?;
    if found < version {
        println!("this is {found}: nothing of {version} to try");
    }
    Ok(found >= version)
}

/// The rows logged since the last call, each as one text.
fn news(client: &mut Client, seen: &mut i64) -> Result<Vec<String>> {
    let rows = client.query(
        "SELECT id, concat_ws(' ', operation, record_id, changed_fields, old_record, new_record)
         FROM audit.audit_log WHERE id > $1 ORDER BY id",
        &[seen],
    )?;
    if let Some(row) = rows.last() {
        *seen = row.try_get(0)?;
    }
    rows.iter().map(|row| Ok(row.try_get(1)?)).collect()
}

/// The log has no room for what a statement only returned.
#[test]
fn merge_and_copy_of_17() -> Result<()> {
    let (cluster, mut client) = database("seventeen")?;
    if !has(&mut client, 17)? {
        return Ok(());
    }
    let mut seen = 0;
    news(&mut client, &mut seen)?;
    let returned = texts(
        &mut client,
        "MERGE INTO t USING (VALUES (1, 'one'), (4, 'four')) s (id, v) ON t.id = s.id
         WHEN MATCHED THEN UPDATE SET v = s.v
         WHEN NOT MATCHED BY TARGET THEN INSERT VALUES (s.id, s.v, 4)
         WHEN NOT MATCHED BY SOURCE AND t.id = 2 THEN DELETE
         WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = -1
         RETURNING merge_action() || ' ' || t.id",
    )?;
    assert_eq!(returned.len(), 4);
    let mut logged = news(&mut client, &mut seen)?;
    logged.sort();
    assert_eq!(
        logged,
        [
            r#"DELETE 2 {"n": 2, "v": "v2", "id": 2}"#,
            r#"INSERT 4 {"n": 4, "v": "four", "id": 4}"#,
            r#"UPDATE 1 {v} {"n": 1, "v": "v1", "id": 1} {"n": 1, "v": "one", "id": 1}"#,
            r#"UPDATE 3 {n} {"n": 3, "v": "v3", "id": 3} {"n": -1, "v": "v3", "id": 3}"#,
        ]
    );
    // Of a query that reads what MERGE returns, and through a view.
    run(
        &mut client,
        "CREATE VIEW w AS SELECT id, v FROM t WHERE id < 10;
         WITH m AS (MERGE INTO w USING (VALUES (1), (9)) s (id) ON w.id = s.id
                    WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'by view')
                    RETURNING merge_action() AS a, w.id)
         INSERT INTO t SELECT id + 100, a, NULL FROM m",
    )?;
    let mut logged = news(&mut client, &mut seen)?;
    logged.sort();
    assert_eq!(
        logged,
        [
            r#"DELETE 1 {"n": 1, "v": "one", "id": 1}"#,
            r#"INSERT 101 {"n": null, "v": "DELETE", "id": 101}"#,
            r#"INSERT 109 {"n": null, "v": "INSERT", "id": 109}"#,
            r#"INSERT 9 {"n": null, "v": "by view", "id": 9}"#,
        ]
    );
    let file = cluster.dir().join("lines");
    std::fs::write(&file, "200\tgood\t1\nbad\tline\t1\n201\tgood\tx\n202\tgood\t2\n")?;
    run(&mut client, &format!("COPY t FROM '{}' WITH (ON_ERROR ignore)", file.display()))?;
    assert_eq!(
        news(&mut client, &mut seen)?,
        [r#"INSERT 200 {"n": 1, "v": "good", "id": 200}"#, r#"INSERT 202 {"n": 2, "v": "good", "id": 202}"#]
    );
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "seventeen")
}

#[test]
fn returning_of_18() -> Result<()> {
    let (cluster, mut client) = database("eighteen")?;
    if !has(&mut client, 18)? {
        return Ok(());
    }
    let mut seen = 0;
    news(&mut client, &mut seen)?;
    let returned = texts(
        &mut client,
        "INSERT INTO t VALUES (1, 'again', 9), (5, 'new', 5) ON CONFLICT (id) DO UPDATE SET v = excluded.v
         RETURNING old.v, new.v",
    )?;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(returned, [[text("v1"), text("again")], [None, text("new")]]);
    run(
        &mut client,
        "WITH d AS (DELETE FROM t WHERE id = 2 RETURNING old.v AS was, new.v AS is_now)
         UPDATE t SET v = d.was || coalesce(d.is_now, ' gone') FROM d WHERE id = 3 RETURNING old.*, new.*",
    )?;
    let mut logged = news(&mut client, &mut seen)?;
    logged.sort();
    assert_eq!(
        logged,
        [
            r#"DELETE 2 {"n": 2, "v": "v2", "id": 2}"#,
            r#"INSERT 5 {"n": 5, "v": "new", "id": 5}"#,
            r#"UPDATE 1 {v} {"n": 1, "v": "v1", "id": 1} {"n": 1, "v": "again", "id": 1}"#,
            r#"UPDATE 3 {v} {"n": 3, "v": "v3", "id": 3} {"n": 3, "v": "v2 gone", "id": 3}"#,
        ]
    );
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "eighteen")
}

/// A virtual column has no value of its own: it is not in the image, and its changes are those of others.
#[test]
fn virtual_columns_and_keys_over_time_of_18() -> Result<()> {
    let (cluster, mut client) = database("virtual")?;
    if !has(&mut client, 18)? {
        return Ok(());
    }
    run(
        &mut client,
        "CREATE TABLE g (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL,
                         kept int GENERATED ALWAYS AS (a * 3) STORED);
         SELECT audit.enable_tracking('g')",
    )?;
    let mut seen = 0;
    news(&mut client, &mut seen)?;
    run(&mut client, "INSERT INTO g VALUES (1, 5); UPDATE g SET a = 6")?;
    run(&mut client, "ALTER TABLE g ADD COLUMN later int GENERATED ALWAYS AS (id + a); DELETE FROM g")?;
    assert_eq!(
        news(&mut client, &mut seen)?,
        [
            r#"INSERT 1 {"a": 5, "id": 1, "kept": 15}"#,
            r#"UPDATE 1 {a,kept} {"a": 5, "id": 1, "kept": 15} {"a": 6, "id": 1, "kept": 18}"#,
            r#"DELETE 1 {"a": 6, "id": 1, "kept": 18}"#,
        ]
    );
    // A key with a period: a range is one of its columns, written as the range is.
    run(
        &mut client,
        "CREATE TABLE stay (room int4range, during daterange, who text,
                            PRIMARY KEY (room, during WITHOUT OVERLAPS));
         SELECT audit.enable_tracking('stay');
         INSERT INTO stay VALUES ('[1,2)', '[2026-01-01,2026-02-01)', 'ada');
         UPDATE stay SET during = '[2026-01-01,2026-03-01)'; DELETE FROM stay",
    )?;
    let keys = texts(
        &mut client,
        "SELECT record_id, old_record_id FROM audit.audit_log WHERE table_name = 'stay' ORDER BY id",
    )?;
    let short = Some(r#"["[1,2)","[2026-01-01,2026-02-01)"]"#.to_owned());
    let long = Some(r#"["[1,2)","[2026-01-01,2026-03-01)"]"#.to_owned());
    assert_eq!(keys, [[short.clone(), None], [long.clone(), short], [long, None]]);
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, "virtual")
}
