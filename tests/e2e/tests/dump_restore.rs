//! A database with history, dumped and restored in every ordinary way: all columns of all log rows
//! come back, so does what protects them, and capture goes on.

use std::fs;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// Tables of all sorts with their history.
const HISTORY: &str = include_str!("../sql/history.sql");

/// What must be equal before and after: one text per subject. Rows are compared with everything in
/// them, in order; object ids and positions on disk are not contents.
const CONTENTS: &[(&str, &str)] = &[
    (
        "log",
        "SELECT md5(string_agg(md5(l::text), '' ORDER BY logged_at, id)) || count(*)
         FROM audit.audit_log AS l",
    ),
    (
        "leaves",
        "SELECT string_agg(c.relname || ' ' || pg_get_expr(relpartbound, c.oid) || ' '
             || pg_get_userbyid(relowner) || ' '
             || coalesce(relacl::text, '-') || ' ' || (SELECT count(*) FROM audit.audit_log AS l
                 WHERE l.tableoid = c.oid), E'\n' ORDER BY relname)
         FROM pg_class AS c JOIN pg_inherits ON inhrelid = c.oid
             WHERE inhparent = 'audit.audit_log'::regclass",
    ),
    (
        "indexes",
        "SELECT string_agg(indexdef, E'\n' ORDER BY indexdef) FROM pg_indexes
         WHERE schemaname = 'audit'",
    ),
    ("guard events", "SELECT string_agg(e::text, E'\n' ORDER BY id) FROM audit.guard_events AS e"),
    (
        "triggers",
        "SELECT string_agg(tgrelid::regclass || ' ' || pg_get_triggerdef(t.oid) || ' '
             || tgenabled::text, E'\n'
             ORDER BY tgrelid::regclass::text, tgname)
         FROM pg_trigger AS t WHERE NOT tgisinternal OR tgparentid <> 0",
    ),
    (
        "tracked tables",
        "SELECT string_agg((t.table_schema, t.table_name, exclude, mask, tenant_column, detail, phi,
             is_enabled, status,
             since)::text, E'\n' ORDER BY t.table_name) FROM audit.tracked_tables AS t",
    ),
    (
        "history of one record",
        "SELECT string_agg(h::text, E'\n')
         FROM audit.record_history('app.\"Ünusual \"\"table\"\"\"'::regclass, '[1,\"a\"]') AS h",
    ),
    ("changes", "SELECT md5(string_agg(c::text, '' ORDER BY logged_at, id)) FROM audit.changes AS c"),
    (
        "constraints",
        "SELECT string_agg(conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
             || convalidated, E'\n'
             ORDER BY conrelid::regclass::text, conname) FROM pg_constraint
                 WHERE connamespace = 'audit'::regnamespace",
    ),
    ("policies", "SELECT string_agg(p::text, E'\n' ORDER BY tablename, policyname) FROM pg_policies AS p"),
    (
        "privileges",
        "SELECT string_agg(relname || ' ' || coalesce(relacl::text, '-') || ' ' || pg_get_userbyid(relowner)
             || relrowsecurity, E'\n' ORDER BY relname)
         FROM pg_class WHERE relnamespace = 'audit'::regnamespace AND relkind IN ('r', 'p', 'S', 'v')",
    ),
    (
        "members",
        "SELECT string_agg(pg_describe_object(classid, objid, objsubid), E'\n'
             ORDER BY pg_describe_object(classid, objid, objsubid))
         FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension
             WHERE extname = 'audit_guard')",
    ),
];

/// Statements that must be refused after a restore as before it, with the code of the guard.
const REFUSED: &[&str] = &[
    "UPDATE audit.audit_log SET actor_id = 'x'",
    "DELETE FROM audit.audit_log",
    "TRUNCATE audit.audit_log",
    "DELETE FROM audit.audit_log WHERE false",
    "UPDATE audit.audit_log_past SET actor_id = 'x'",
    "DELETE FROM audit.audit_log_future",
    "TRUNCATE audit.audit_log_past",
    "DELETE FROM audit.guard_events",
    "SET session_replication_role = replica; DELETE FROM audit.audit_log_past",
    "MERGE INTO audit.audit_log AS l USING (VALUES (1)) AS v (i) ON true WHEN MATCHED THEN DELETE",
];

#[test]
fn every_way_back() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut source = cluster.database("source")?;
    source.batch_execute(HISTORY)?;
    for query in ["SELECT count(*) FROM audit.audit_log_past", "SELECT count(*) FROM audit.audit_log_future"]
    {
        assert!(source.query_one(query, &[])?.get::<_, i64>(0) > 0, "{query} finds nothing");
    }
    let expected = contents(&mut source)?;
    refuses(&mut source)?;
    judge::log_is_sound(&mut source)?;
    drop(source);

    let dir = cluster.dir().to_path_buf();
    cluster.run("pg_dump", &["-d", "source", "-f", "plain.sql"])?;
    cluster.run("pg_dump", &["-d", "source", "-Fc", "-f", "custom.dump"])?;
    cluster.run("pg_dump", &["-d", "source", "-Fd", "-j2", "-f", "folder.dump"])?;
    let plain = fs::read_to_string(dir.join("plain.sql"))?;
    assert!(plain.contains("COPY audit.audit_log_past"), "the dump carries the leaves");

    let psql = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "plain.sql"];
    let ways: &[(&str, &str, &[&str])] = &[
        ("plain", "psql", &psql),
        (
            "plain_single",
            "psql",
            &["-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", "plain.sql"],
        ),
        ("custom", "pg_restore", &["--exit-on-error", "custom.dump"]),
        ("custom_single", "pg_restore", &["--exit-on-error", "--single-transaction", "custom.dump"]),
        ("custom_parallel", "pg_restore", &["--exit-on-error", "-j2", "custom.dump"]),
        ("folder_parallel", "pg_restore", &["--exit-on-error", "-j2", "folder.dump"]),
    ];
    for (name, program, args) in ways {
        cluster.empty_database(name)?;
        let args = [&["-d", name], *args].concat();
        cluster.run(program, &args).map_err(|e| format!("{name}: {e}"))?;
        let mut client = cluster.connect("postgres", name)?;
        for (expected, found) in expected.iter().zip(contents(&mut client)?) {
            assert_eq!(*expected, found, "{name}");
        }
        refuses(&mut client).map_err(|e| format!("{name}: {e}"))?;
        leaves_are_free(&mut client)?;
        goes_on(&mut client).map_err(|e| format!("{name}: {e}"))?;
        judge::log_is_sound(&mut client).map_err(|e| format!("{name}: {e}"))?;
    }

    // A dump of a restored database is as good as the first, capture since included.
    cluster.run("pg_dump", &["-d", "custom_parallel", "-Fc", "-f", "again.dump"])?;
    let expected = contents(&mut cluster.connect("postgres", "custom_parallel")?)?;
    cluster.empty_database("again")?;
    cluster.run("pg_restore", &["-d", "again", "--exit-on-error", "again.dump"])?;
    assert_eq!(
        expected,
        contents(&mut cluster.connect("postgres", "again")?)?,
        "dump of a restored database"
    );
    judge::server_is_content(&cluster, "source")
}

/// A new cluster gets the roles first, as with every database; CREATE EXTENSION in the dump then
/// must recognise its own.
#[test]
fn into_a_new_cluster() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut source = cluster.database("source")?;
    source.batch_execute(HISTORY)?;
    let expected = contents(&mut source)?;
    cluster.run("pg_dump", &["-d", "source", "-f", "plain.sql"])?;
    let roles = cluster.run("pg_dumpall", &["--roles-only"])?;
    // The one role that every cluster has.
    fs::write(cluster.dir().join("roles.sql"), roles.replace("CREATE ROLE postgres;", ""))?;
    let other = Cluster::start(&[("fsync", "off")])?;
    other.empty_database("target")?;
    for (dump, database) in [("roles.sql", "postgres"), ("plain.sql", "target")] {
        let file = cluster.dir().join(dump);
        let file = file.to_str().ok_or("the folder's name is not UTF-8")?;
        other.run("psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", file])?;
    }
    let mut target = other.connect("postgres", "target")?;
    for (expected, found) in expected.iter().zip(contents(&mut target)?) {
        assert_eq!(*expected, found);
    }
    refuses(&mut target)?;
    goes_on(&mut target)?;
    judge::server_is_content(&other, "target")
}

fn contents(client: &mut Client) -> Result<Vec<(&'static str, String)>> {
    client.batch_execute("SET TimeZone = 'UTC'")?;
    let mut found = Vec::new();
    for (subject, query) in CONTENTS {
        let text: Option<String> =
            client.query_one(*query, &[]).map_err(|e| format!("{subject}: {e:?}"))?.try_get(0)?;
        let text = text.ok_or(format!("nothing to compare: {subject}"))?;
        found.push((*subject, text));
    }
    Ok(found)
}

/// Each attempt fails with the guard's own code, and changes nothing.
fn refuses(client: &mut Client) -> Result<()> {
    for sql in REFUSED {
        match client.batch_execute(&format!("BEGIN; {sql}")) {
            Ok(()) => return Err(format!("accepted: {sql}").into()),
            Err(e) if e.code().is_some_and(|code| code.code() == "23001") => {}
            Err(e) => return Err(format!("{sql}: {e:?}").into()),
        }
        client.batch_execute("ROLLBACK")?;
    }
    Ok(())
}

/// Leaves belong to no extension, and the parent has no index; else the next dump loses them.
fn leaves_are_free(client: &mut Client) -> Result<()> {
    let query = "SELECT (SELECT count(*) FROM pg_depend JOIN pg_inherits ON inhrelid = objid
                         WHERE classid = 'pg_class'::regclass AND deptype = 'e'
                        AND inhparent = 'audit.audit_log'::regclass),
                        (SELECT count(*) FROM pg_index WHERE indrelid = 'audit.audit_log'::regclass)";
    let row = client.query_one(query, &[])?;
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1)),
        (0, 0),
        "leaves that are members, indexes of the parent"
    );
    Ok(())
}

/// New changes are recorded with the same options, and with ids above all that were restored. More
/// rows than one block of ids has, in two sessions' worth of blocks.
fn goes_on(client: &mut Client) -> Result<()> {
    let before: i64 = client.query_one("SELECT max(id) FROM audit.audit_log", &[])?.get(0);
    client.batch_execute(
        "INSERT INTO app.\"Ünusual \"\"table\"\"\" SELECT i, 'after', 'secret', 'hidden', 1
             FROM generate_series(100, 199) AS i;
         UPDATE app.stock SET region = 'us' WHERE region = 'eu' AND id = 1",
    )?;
    let row = client.query_one(
        "SELECT count(*) FILTER (WHERE operation = 'INSERT' AND table_name = 'Ünusual \"table\"'
                                 AND new_record ? 'masked' AND new_record ->> 'masked' IS NULL
                        AND NOT new_record ? 'excluded'),
                count(*) FILTER (WHERE table_name = 'stock'
                    AND operation IN ('DELETE', 'INSERT')), min(id) > $1
         FROM audit.audit_log WHERE transaction_id >= (SELECT max(transaction_id) FROM audit.audit_log
             WHERE id > $1) - 1 AND id > $1",
        &[&before],
    )?;
    let found: (i64, i64, Option<bool>) = (row.get(0), row.get(1), row.get(2));
    if found != (100, 2, Some(true)) {
        return Err(format!("capture after the restore: {found:?}").into());
    }
    client.batch_execute("SELECT audit.maintain_partitions(30)")?;
    client.batch_execute("INSERT INTO app.plain VALUES ('after new months')")?;
    refuses(client)
}
