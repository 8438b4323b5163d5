//! Databases with protected tables: how they are made, that everything in them is as it was, and that what
//! must be refused is refused.

use std::thread::sleep;
use std::time::Duration;

use postgres::Client;

use crate::Result;
use crate::cluster::Cluster;
use crate::steps::run;

/// The library loaded at the server's start; lockdown is on then.
pub const PRELOADED: &[(&str, &str)] = &[("fsync", "off"), ("shared_preload_libraries", "audit_guard")];
/// The same, as strict as it gets.
pub const STRICT: &[(&str, &str)] =
    &[("fsync", "off"), ("shared_preload_libraries", "audit_guard"), ("audit_guard.lockdown", "strict")];
/// Loaded, and not in the way.
pub const OFF: &[(&str, &str)] =
    &[("fsync", "off"), ("shared_preload_libraries", "audit_guard"), ("audit_guard.lockdown", "off")];

/// Protected tables with rows of all ages, two holds, and a table that nobody protects.
pub const PROTECTED: &str = include_str!("../sql/protected.sql");

/// The protected tables of that script.
pub const TABLES: &[&str] = &["app.consents", "app.visits", "app.\"Ünï \"\"q\"\" t\""];

/// What must be equal before and after; a text per subject. Object ids and positions are left out.
const CONTENTS: &[(&str, &str)] = &[
    ("consents", "SELECT string_agg(t::text, E'\n' ORDER BY id) FROM app.consents AS t"),
    ("visits", "SELECT string_agg(t::text, E'\n' ORDER BY id) FROM app.visits AS t"),
    ("quoted", "SELECT string_agg(t::text, E'\n' ORDER BY \"Nr\") FROM app.\"Ünï \"\"q\"\" t\" AS t"),
    (
        "triggers",
        "SELECT string_agg(tgrelid::regclass || ' '
             || regexp_replace(pg_get_triggerdef(t.oid), '#[0-9]+@[0-9]+', '#n@relid', 'g') || ' '
             || tgenabled::text, E'\n' ORDER BY tgrelid::regclass::text, tgname)
         FROM pg_trigger AS t WHERE tgfoid = 'audit.enforce_retention()'::regprocedure",
    ),
    (
        "protected tables",
        // Refused attempts come in at any time, so their oldest is left out.
        "SELECT string_agg((target, is_stream, retention, timestamp_column,
                            nullif(oldest, CASE table_name WHEN 'denied_attempts' THEN oldest END), holds,
                            is_in_force)::text, E'\n' ORDER BY target::text) FROM audit.protected_tables",
    ),
    ("holds", "SELECT string_agg(h::text, E'\n' ORDER BY id) FROM audit.holds AS h"),
    // That the sealer went on after an upgrade is an event of the new server's.
    (
        "events",
        "SELECT string_agg(e::text, E'\n' ORDER BY id) FROM audit.guard_events AS e
         WHERE kind <> 'ledger_continued'",
    ),
    ("log", "SELECT string_agg(l::text, E'\n' ORDER BY id) FROM audit.audit_log AS l"),
];

/// Protection that is not as it should be: triggers that replica mode switches off, and tables not in force.
const WEAK: &str = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'A'
         AND tgfoid IN ('audit.enforce_retention()'::regprocedure,
                        'audit.prevent_modification()'::regprocedure)),
     (SELECT count(*) FROM audit.protected_tables WHERE NOT is_in_force),
     (SELECT count(*) FROM audit.protected_tables WHERE target::text = ANY ($1)),
     (SELECT count(*) FROM pg_event_trigger WHERE evtname ~ '^audit_guard' AND evtenabled <> 'A')";

/// Statements that no preloading is needed to refuse: about rows first, then about the tables.
const ROWS: &[&str] = &[
    "UPDATE app.consents SET note = 'x' WHERE id = 1",
    "UPDATE app.consents SET note = 'x' WHERE false",
    "DELETE FROM app.consents",
    "DELETE FROM app.consents WHERE id = 3",
    "DELETE FROM app.consents WHERE id IN (1, 11)",
    "TRUNCATE app.consents CASCADE",
    "INSERT INTO app.consents VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x'",
    "MERGE INTO app.consents USING (VALUES (11)) AS v (i) ON id = i WHEN MATCHED THEN DELETE",
    "WITH gone AS (DELETE FROM app.consents WHERE id = 11 RETURNING *) SELECT * FROM gone",
    "SET session_replication_role = replica; DELETE FROM app.consents",
    "SET session_replication_role = replica; TRUNCATE app.visits_old",
    "INSERT INTO app.consents VALUES (100, 'old', '', now() - interval '2 hours')",
    "INSERT INTO app.consents VALUES (100, 'new', '', now() + interval '2 hours')",
    "INSERT INTO app.\"Ünï \"\"q\"\" t\" VALUES (100, current_date - 5)",
    "UPDATE app.visits SET occurred_at = '2000-01-01'",
    "DELETE FROM app.visits_here",
    "DELETE FROM app.visits WHERE id = 1",
    "TRUNCATE app.visits",
    "TRUNCATE app.visits_old",
    "TRUNCATE app.visits_rest",
    "UPDATE app.visits_rest SET place = 'there' WHERE false",
    "DELETE FROM app.\"Ünï \"\"q\"\" t\" WHERE \"Nr\" > 4",
    "DELETE FROM audit.holds",
    "UPDATE audit.holds SET reason = 'x' WHERE false",
    "TRUNCATE audit.hold_releases",
    "DELETE FROM audit.guard_policies",
    "DELETE FROM audit.denied_attempts",
    "DELETE FROM audit.guard_events",
    "TRUNCATE audit.audit_log",
];
const TABLES_CHANGED: &[&str] = &[
    "DROP TABLE app.consents CASCADE",
    "DROP TABLE app.visits",
    "DROP TABLE app.visits_old",
    "DROP SCHEMA app CASCADE",
    "ALTER TABLE app.consents DISABLE TRIGGER ALL",
    "ALTER TABLE app.consents RENAME TO elsewhere",
    "ALTER TABLE app.consents DROP COLUMN note",
    "ALTER TABLE app.visits DETACH PARTITION app.visits_old",
    "DROP TRIGGER protect_consents ON app.consents",
];
/// What only lockdown refuses.
const LOCKDOWN: &[&str] = &[
    "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'app.consents'::regclass",
    "DELETE FROM pg_trigger WHERE tgrelid = 'app.consents'::regclass",
    "UPDATE pg_class SET relhastriggers = false WHERE oid = 'app.consents'::regclass",
    "ALTER EVENT TRIGGER audit_guard_ddl DISABLE",
];

/// A new database with the extension and the protected tables.
pub fn database(cluster: &Cluster, name: &str) -> Result<Client> {
    let mut client = cluster.database(name)?;
    run(&mut client, PROTECTED)?;
    Ok(client)
}

/// A text per subject, to be kept and given to [`same`] later.
pub fn contents(client: &mut Client) -> Result<Vec<(&'static str, String)>> {
    run(client, "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'")?;
    let mut found = Vec::new();
    for (subject, query) in CONTENTS {
        let row = client.query_one(*query, &[]).map_err(|e| format!("{subject}: {e:?}"))?;
        let text: Option<String> = row.try_get(0)?;
        found.push((*subject, text.ok_or(format!("nothing to compare: {subject}"))?));
    }
    run(client, "RESET TimeZone; RESET DateStyle")?;
    Ok(found)
}

/// Compares with what there was of the subjects in `expected`; names the first lines that differ. In subjects
/// of `growing` lines may have been added.
pub fn same(client: &mut Client, expected: &[(&str, String)], growing: &[&str]) -> Result<()> {
    for (subject, found) in contents(client)? {
        let Some((_, expected)) = expected.iter().find(|(name, _)| *name == subject) else {
            continue;
        };
        let missing = expected.lines().find(|line| !found.lines().any(|other| other == *line));
        let added = found.lines().find(|line| !expected.lines().any(|other| other == *line));
        let counts = (expected.lines().count(), found.lines().count());
        let grown = growing.contains(&subject);
        if missing.is_some() || (!grown && (added.is_some() || counts.0 != counts.1)) {
            return Err(format!("{subject}: missing {missing:?}, added {added:?}, lines {counts:?}").into());
        }
    }
    Ok(())
}

/// The protected tables are in force, and each attempt fails with the guard's own code.
pub fn refuses(client: &mut Client) -> Result<()> {
    let row = client.query_one(WEAK, &[&TABLES])?;
    let found: [i64; 4] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
    if found != [0, 0, 3, 0] {
        return Err(
            format!("triggers not always, tables not in force, tables, event triggers: {found:?}").into()
        );
    }
    for sql in ROWS.iter().chain(TABLES_CHANGED) {
        refused(client, sql, "23001")?;
    }
    Ok(())
}

/// The same, and what only lockdown refuses.
pub fn locked_down(client: &mut Client) -> Result<()> {
    refuses(client)?;
    for sql in LOCKDOWN {
        refused(client, sql, "23001")?;
    }
    Ok(())
}

/// Runs a statement in a transaction that is taken back; it must fail with this code. Returns the message.
pub fn refused(client: &mut Client, sql: &str, code: &str) -> Result<String> {
    let outcome = client.batch_execute(&format!("BEGIN; {sql}"));
    run(client, "ROLLBACK")?;
    match outcome {
        Ok(()) => Err(format!("accepted: {sql}").into()),
        Err(e) => match e.as_db_error() {
            Some(error) if error.code().code() == code => Ok(error.message().to_owned()),
            _ => Err(format!("{sql}: {e:?}").into()),
        },
    }
}

/// What is expired may leave, with a certificate of exactly these rows.
pub fn expired_rows_may_go(client: &mut Client) -> Result<()> {
    let last: i64 = client.query_one("SELECT max(id) FROM audit.guard_events", &[])?.try_get(0)?;
    run(client, "DELETE FROM app.consents WHERE id IN (1, 2); DELETE FROM app.visits WHERE id IN (5, 6)")?;
    let certified = certificates(client, &format!("id > {last}"))?;
    if certified == [("app.consents".to_owned(), 2), ("app.visits".to_owned(), 2)] {
        return Ok(());
    }
    Err(format!("certificates of two expired rows each: {certified:?}").into())
}

/// Rows by table that certificates name; `which` is a condition on events.
pub fn certificates(client: &mut Client, which: &str) -> Result<Vec<(String, i64)>> {
    let query = format!(
        "SELECT object, sum((detail ->> 'rows')::bigint)::bigint FROM audit.guard_events
         WHERE kind IN ('rows_expired', 'partition_expired') AND {which} GROUP BY object ORDER BY object"
    );
    let rows = client.query(&query, &[])?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Waits until the recorder has written what was refused, so that nothing comes later.
pub fn recorder_is_done(client: &mut Client) -> Result<()> {
    let mut before = -1;
    loop {
        let now: i64 = client.query_one("SELECT count(*) FROM audit.denied_attempts", &[])?.try_get(0)?;
        if now == before {
            return Ok(());
        }
        before = now;
        sleep(Duration::from_millis(1500));
    }
}
