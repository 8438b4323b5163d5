//! Single steps beside tracked changes: each is followed by changes whose log rows are checked in full.

use std::sync::OnceLock;

use postgres::Client;

use crate::Result;
use crate::cluster::Cluster;
use crate::session::PINNED;

/// A database of its own on the one cluster of a test program, with a tracked table `t` of three rows.
pub fn database(name: &str) -> Result<(&'static Cluster, Client)> {
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

/// Runs SQL; an error names it.
pub fn run(client: &mut Client, sql: &str) -> Result<()> {
    client.batch_execute(sql).map_err(|e| format!("{sql}: {e:?}").into())
}

/// The rows of a query whose columns are all text.
pub fn texts(client: &mut Client, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let rows = client.query(sql, &[]).map_err(|e| format!("{sql}: {e:?}"))?;
    rows.iter().map(|row| (0..row.len()).map(|i| Ok(row.try_get(i)?)).collect()).collect()
}

/// Changes every row of a table (column `v` is text, column `id` its key) and checks that each
/// change is in the log with the images, names and fields the table has now.
pub fn change_and_check(client: &mut Client, schema: &str, table: &str) -> Result<()> {
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
            "SELECT record_id, old_record::text, new_record::text, operation || ' ' || table_schema || '.'
                 || table_name
                 || ' ' || changed_fields::text || ' ' || actor_role || ' ' || login_role
             FROM audit.audit_log WHERE id > {last} ORDER BY record_id"
        ),
    )?;
    let roles = texts(
        client,
        "SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END
             || ' ' || session_user",
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
pub fn around(client: &mut Client, steps: &[(&str, &str, &str)]) -> Result<()> {
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
