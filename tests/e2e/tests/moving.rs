//! Moving from another tool: the ways of docs/moving.md, walked with tables in that tool's layout.

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use postgres::Client;

/// What a session of psql would do; an error names the statement.
fn run(client: &mut Client, sql: &str) -> Result<()> {
    client.batch_execute(sql).map_err(|e| format!("{sql}: {e:?}").into())
}

fn count(client: &mut Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(sql, &[]).map_err(|e| format!("{sql}: {e:?}"))?.try_get(0)?)
}

/// From supa_audit in one transaction. The other tool is stood in for by a schema `audit` with a table in its
/// layout; when that schema goes, the type of the copy's column `op` goes, and the column with it.
#[test]
fn from_supa_audit() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    cluster.empty_database("moving")?;
    let mut client = cluster.connect("postgres", "moving")?;
    run(
        &mut client,
        "CREATE SCHEMA audit;
         CREATE TYPE audit.operation AS ENUM ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE');
         CREATE TABLE audit.record_version (id bigserial PRIMARY KEY, record_id uuid, old_record_id uuid,
             op audit.operation NOT NULL, ts timestamptz NOT NULL DEFAULT now(), table_oid oid NOT NULL,
             table_schema name NOT NULL, table_name name NOT NULL, record jsonb, old_record jsonb);
         CREATE TABLE public.members (id int PRIMARY KEY, name text);
         INSERT INTO public.members SELECT i, 'new ' || i FROM generate_series(1, 1000) i;
         INSERT INTO audit.record_version (record_id, op, ts, table_oid, table_schema, table_name, record)
         SELECT md5(i::text)::uuid, 'INSERT', now() - interval '2 years' + i * interval '1 hour',
                'members'::regclass, 'public', 'members', jsonb_build_object('id', i, 'name', 'old ' || i)
         FROM generate_series(1, 1000) i;
         INSERT INTO audit.record_version (record_id, old_record_id, op, ts, table_oid, table_schema,
                                           table_name, record, old_record)
         SELECT md5(i::text)::uuid, md5(i::text)::uuid, 'UPDATE', now() - interval '1 year', 'members'::regclass,
                'public', 'members', jsonb_build_object('id', i, 'name', 'new ' || i),
                jsonb_build_object('id', i, 'name', 'old ' || i)
         FROM generate_series(1, 1000) i;
         INSERT INTO audit.record_version (op, table_oid, table_schema, table_name)
         VALUES ('TRUNCATE', 1, 'public', 'gone')",
    )?;
    let refused = client.batch_execute("CREATE EXTENSION audit_guard").err().ok_or("installed beside")?;
    assert_eq!(refused.code().map(|code| code.code()), Some("42710"));
    run(
        &mut client,
        "BEGIN;
         LOCK TABLE public.members IN SHARE ROW EXCLUSIVE MODE;
         CREATE TABLE public.record_version_old AS TABLE audit.record_version;
         DROP SCHEMA audit CASCADE;
         CREATE EXTENSION audit_guard;
         SELECT audit.enable_tracking('public.members')",
    )?;
    let lost = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.record_version_old'::regclass
                AND attname = 'op'";
    assert_eq!(count(&mut client, lost)?, 0, "the copy kept its column op");
    let import = "SELECT * FROM audit.import_history('public.record_version_old', format => 'supa_audit')";
    let row = client.query_one(import, &[])?;
    assert_eq!([row.get::<_, i64>(0), row.get(1), row.get(2)], [2001, 2001, 0]);
    let note: &str = row.get(3);
    assert_eq!(note, "1 rows of tables that no longer exist keep their recorded name");
    run(&mut client, "COMMIT; UPDATE members SET name = 'newest' WHERE id = 7")?;
    let history = client.query(
        "SELECT operation::text || ' ' || (new_values ->> 'name') FROM audit.record_history('members', 7)",
        &[],
    )?;
    let history: Vec<String> = history.iter().map(|row| row.get(0)).collect();
    assert_eq!(history, ["INSERT old 7", "UPDATE new 7", "UPDATE newest"]);
    let duplicates = "SELECT count(*) - count(DISTINCT id) FROM audit.audit_log";
    assert_eq!(count(&mut client, duplicates)?, 0);
    let unhealthy = "SELECT count(*) FROM audit.health() WHERE NOT ok";
    assert_eq!(count(&mut client, unhealthy)?, 0);
    Ok(())
}

/// From audit-trigger with rows as hstore. The extension hstore is part of every complete server; where the
/// server under test comes without it, nothing of this can be tried, and the test says so.
#[test]
fn from_audit_trigger_with_hstore() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = cluster.database("moving")?;
    let available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'hstore'";
    if count(&mut client, available)? == 0 {
        let version: String = client.query_one("SHOW server_version", &[])?.get(0);
        assert!(!version.starts_with("15"), "the packaged server must bring hstore along");
        println!("NOT TESTED: server {version} comes without hstore");
        return Ok(());
    }
    run(
        &mut client,
        r#"CREATE SCHEMA extensions; CREATE EXTENSION hstore SCHEMA extensions;
         SET search_path = public, extensions;
         CREATE TABLE items (a int, b text, n numeric, ok boolean, "Wéird ""c" text, secret text,
                             PRIMARY KEY (b, a));
         SELECT audit.enable_tracking('items', mask => '{secret}');
         CREATE TABLE logged_actions (event_id bigserial PRIMARY KEY, schema_name text NOT NULL,
             table_name text NOT NULL, relid oid NOT NULL, session_user_name text,
             action_tstamp_tx timestamptz NOT NULL, action_tstamp_stm timestamptz NOT NULL,
             action_tstamp_clk timestamptz NOT NULL, transaction_id bigint, application_name text,
             client_addr inet, client_port int, client_query text, action text NOT NULL, row_data hstore,
             changed_fields hstore, statement_only boolean NOT NULL);
         INSERT INTO logged_actions (schema_name, table_name, relid, action_tstamp_tx, action_tstamp_stm,
                                     action_tstamp_clk, action, row_data, changed_fields, statement_only)
         SELECT 'public', 'items', 'items'::regclass, at, at, at, action, row_data, changed, false
         FROM (VALUES
             ('2024-01-01'::timestamptz, 'I', hstore(ROW(7, '7', 1.50, true, 'q"u''o', 'LEAK')::items),
              NULL::hstore),
             ('2024-01-02', 'U', hstore(ROW(7, '7', 1.50, true, 'q"u''o', 'LEAK')::items),
              'n => 2.5, "Wéird \"c" => NULL, secret => LEAK2'),
             ('2024-01-03', 'D', hstore(ROW(7, '7', 2.5, true, NULL, 'LEAK2')::items), NULL)
             ) e(at, action, row_data, changed);
         SELECT audit.import_history('logged_actions', 'audit_trigger');
         INSERT INTO items VALUES (7, '7', 3, false, 'x', 'LEAK')"#,
    )?;
    let history = client.query(
        r#"SELECT concat_ws(' | ', operation, record_id, changed_fields, old_values, new_values)
           FROM audit.record_history('items', '["7", 7]')"#,
        &[],
    )?;
    let history: Vec<String> = history.iter().map(|row| row.get(0)).collect();
    let whole = |n: &str, ok: bool, c: &str| {
        format!(r#"{{"a": 7, "b": "7", "n": {n}, "ok": {ok}, "secret": null, "Wéird \"c": {c}}}"#)
    };
    assert_eq!(
        history,
        [
            format!(r#"INSERT | ["7",7] | {}"#, whole("1.50", true, r#""q\"u'o""#)),
            format!(
                r#"UPDATE | ["7",7] | {{n,"Wéird \"c",secret}} | {} | {}"#,
                r#"{"n": 1.50, "secret": null, "Wéird \"c": "q\"u'o"}"#,
                r#"{"n": 2.5, "secret": null, "Wéird \"c": null}"#
            ),
            format!(r#"DELETE | ["7",7] | {}"#, whole("2.5", true, "null")),
            format!(r#"INSERT | ["7",7] | {}"#, whole("3", false, r#""x""#)),
        ]
    );
    let leaks = "SELECT count(*) FROM audit.audit_log l WHERE l::text LIKE '%LEAK%'";
    assert_eq!(count(&mut client, leaks)?, 0);
    Ok(())
}
