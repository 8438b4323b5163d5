//! Judgements of a database that has travelled (by dump, upgrade, replication): it holds what it held,
//! is as well protected, and goes on recording.

use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::Client;

use crate::Result;
use crate::steps::run;

/// Tables of all sorts with their history.
pub const HISTORY: &str = include_str!("../sql/history.sql");

/// What must be equal before and after: one text per subject. Rows are compared with everything in
/// them, in order; object ids, numbers of columns and positions on disk are not contents. What a server
/// of another version adds by itself (NOT NULL as constraints, types of tables as members, the privilege
/// MAINTAIN) is left out.
const CONTENTS: &[(&str, &str)] = &[
    (
        "log",
        "SELECT md5(string_agg(md5(l::text), '' ORDER BY logged_at, id)) || count(*)
         FROM audit.audit_log AS l",
    ),
    (
        "leaves",
        "SELECT string_agg(c.relname || ' ' || pg_get_expr(relpartbound, c.oid) || ' ' || (SELECT count(*)
             FROM audit.audit_log AS l WHERE l.tableoid = c.oid), E'\n' ORDER BY relname)
         FROM pg_class AS c JOIN pg_inherits ON inhrelid = c.oid
             WHERE inhparent = 'audit.audit_log'::regclass",
    ),
    (
        "security events",
        "SELECT md5(string_agg(md5(e::text), '' ORDER BY logged_at, number)) || count(*)
         FROM audit.security_events AS e",
    ),
    (
        "months of security events",
        "SELECT string_agg(c.relname || ' ' || pg_get_expr(relpartbound, c.oid) || ' ' || (SELECT count(*)
             FROM audit.security_events AS e WHERE e.tableoid = c.oid), E'\n' ORDER BY relname)
         FROM pg_class AS c JOIN pg_inherits ON inhrelid = c.oid
             WHERE inhparent = 'audit.security_events'::regclass",
    ),
    (
        "indexes",
        "SELECT string_agg(indexdef, E'\n' ORDER BY indexdef) FROM pg_indexes
         WHERE schemaname = 'audit'",
    ),
    // That the sealer went on after an upgrade is an event of the new server's.
    (
        "guard events",
        "SELECT string_agg(e::text, E'\n' ORDER BY id) FROM audit.guard_events AS e
         WHERE kind <> 'ledger_continued'",
    ),
    // Sessions are tracked again from the first write on, which is no matter of the dump.
    (
        "triggers",
        "SELECT string_agg(tgrelid::regclass || ' '
             || regexp_replace(pg_get_triggerdef(t.oid), '#[0-9]+@[0-9]+', '#n@relid', 'g') || ' '
             || tgenabled::text, E'\n'
             ORDER BY tgrelid::regclass::text, tgname)
         FROM pg_trigger AS t WHERE (NOT tgisinternal OR tgparentid <> 0)
             AND tgrelid <> 'audit.user_sessions'::regclass",
    ),
    (
        "event triggers",
        "SELECT string_agg((evtname, evtevent, evtenabled, evttags)::text, E'\n' ORDER BY evtname)
         FROM pg_event_trigger",
    ),
    (
        "tracked tables",
        "SELECT string_agg((t.table_schema, t.table_name, exclude, mask, tenant_column, detail, phi,
             is_enabled, status,
             since)::text, E'\n' ORDER BY t.table_name) FROM audit.tracked_tables AS t
         WHERE t.table_name <> 'user_sessions'",
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
                 WHERE connamespace = 'audit'::regnamespace AND contype <> 'n'",
    ),
    ("policies", "SELECT string_agg(p::text, E'\n' ORDER BY tablename, policyname) FROM pg_policies AS p"),
    (
        "privileges",
        "SELECT string_agg(relname || ' ' || relrowsecurity || ' ' || coalesce((SELECT string_agg(
             format('%s=%s/%s', a.grantee::regrole, a.privilege_type, a.is_grantable), ','
             ORDER BY a.grantee::regrole::text, a.privilege_type)
             FROM aclexplode(relacl) AS a WHERE a.privilege_type <> 'MAINTAIN'), '-'), E'\n' ORDER BY relname)
         FROM pg_class WHERE relnamespace = 'audit'::regnamespace AND relkind IN ('r', 'p', 'S', 'v')",
    ),
    (
        "owners",
        "SELECT string_agg(oid::regclass || ' ' || pg_get_userbyid(relowner), E'\n'
             ORDER BY oid::regclass::text)
         FROM pg_class
         WHERE relnamespace IN ('app'::regnamespace, 'later'::regnamespace, 'audit'::regnamespace)
             AND relkind IN ('r', 'p', 'S', 'v')",
    ),
    (
        "members",
        "SELECT string_agg(pg_describe_object(classid, objid, objsubid), E'\n'
             ORDER BY pg_describe_object(classid, objid, objsubid))
         FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension
             WHERE extname = 'audit_guard')
             AND NOT EXISTS (SELECT FROM pg_type AS t LEFT JOIN pg_class AS r ON r.oid = typrelid
                 WHERE classid = 'pg_type'::regclass AND t.oid = objid AND (typcategory = 'A'
                     OR r.relkind <> 'c'))",
    ),
];

/// Every other table, of ours and of users. What is in the log is compared by month above; how far retention
/// is, and how often logins fail in a minute, belongs to a database, and begins anew in another; and the sealer
/// goes on by itself.
const OTHER_TABLES: &str = "SELECT oid::regclass::text FROM pg_class
     WHERE relkind = 'r' AND NOT relispartition AND relname NOT IN ('guard_events', 'retention_state',
             'login_rate', 'seals', 'ledger_incarnations', 'ledger_subtrees', 'ledger_schemas')
         AND relnamespace IN ('app'::regnamespace, 'later'::regnamespace, 'audit'::regnamespace)
     ORDER BY oid::regclass::text";

/// Statements that must be refused after a journey as before it, with the code of the guard.
const REFUSED: &[&str] = &[
    "UPDATE audit.audit_log SET actor_id = 'x'",
    "DELETE FROM audit.audit_log",
    "TRUNCATE audit.audit_log",
    "DELETE FROM audit.audit_log WHERE false",
    "UPDATE audit.audit_log_past SET actor_id = 'x'",
    "DELETE FROM audit.audit_log_future",
    "TRUNCATE audit.audit_log_past",
    "DELETE FROM audit.guard_events",
    "UPDATE audit.security_events SET email = NULL",
    "DELETE FROM audit.security_events_past",
    "TRUNCATE audit.security_events",
    "SET session_replication_role = replica; DELETE FROM audit.audit_log_past",
    "MERGE INTO audit.audit_log AS l USING (VALUES (1)) AS v (i) ON true WHEN MATCHED THEN DELETE",
];

/// What is known about logins and sessions of the history, for an hour at least.
pub const LOGINS: &[(&str, &str)] = &[
    ("SELECT audit.should_block_login('Guessed@example.org', NULL, 5, 1440)::text", "true"),
    ("SELECT reason FROM audit.check_login('guessed@example.org', '192.0.2.77', 5, 1440)", "account"),
    ("SELECT reason FROM audit.check_login('x@example.org', '198.51.100.9', 5, 1440)", "network"),
    ("SELECT account_failures::text FROM audit.check_login('open@example.org', NULL, 5, 1440)", "1"),
    ("SELECT remaining::text FROM audit.check_login('ada@example.org', '8.8.8.8', 5, 1440, 'phone')", "4"),
    (
        "SELECT v.status FROM audit.user_sessions AS s, audit.validate_session(s.id) AS v
         WHERE s.subject = 'ada'",
        "active",
    ),
    (
        "SELECT v.status FROM audit.user_sessions AS s, audit.validate_session(s.id) AS v
         WHERE s.subject = 'gone'",
        "terminated",
    ),
    (
        "SELECT count(*)::text FROM audit.security_events WHERE redaction IS NOT NULL AND email IS NULL
             AND subject IS NULL AND description IS NULL AND metadata IS NULL",
        "1",
    ),
];

/// A text per subject, to be kept and given to [`same`] later.
pub fn contents(client: &mut Client) -> Result<Vec<(&'static str, String)>> {
    client.batch_execute("SET TimeZone = 'UTC'; SET search_path = pg_catalog")?;
    let mut found = Vec::new();
    for (subject, query) in CONTENTS {
        let text: Option<String> =
            client.query_one(*query, &[]).map_err(|e| format!("{subject}: {e:?}"))?.try_get(0)?;
        let text = text.ok_or(format!("nothing to compare: {subject}"))?;
        found.push((*subject, text));
    }
    let mut tables = String::new();
    for table in client.query(OTHER_TABLES, &[])? {
        let table: String = table.try_get(0)?;
        let rows = format!(
            "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '')
             FROM {table} AS t"
        );
        let rows = client.query_one(&rows, &[]).map_err(|e| format!("{table}: {e:?}"))?;
        let rows: String = rows.try_get(0)?;
        tables.push_str(&format!("{table} {rows}\n"));
    }
    found.push(("other tables", tables));
    client.batch_execute("RESET TimeZone; RESET search_path")?;
    Ok(found)
}

/// Compares with what another database holds, or this one held; names the subject and the first lines
/// that differ. Subjects in `but` are not compared.
pub fn same(client: &mut Client, expected: &[(&str, String)], but: &[&str]) -> Result<()> {
    for ((subject, expected), (_, found)) in expected.iter().zip(contents(client)?) {
        if *expected == found || but.contains(subject) {
            continue;
        }
        let missing = expected.lines().find(|line| !found.lines().any(|other| other == *line));
        let added = found.lines().find(|line| !expected.lines().any(|other| other == *line));
        return Err(format!("{subject} differ: expected {missing:?}, found {added:?}").into());
    }
    Ok(())
}

/// Each attempt fails with the guard's own code, and changes nothing.
pub fn refuses(client: &mut Client) -> Result<()> {
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
pub fn leaves_are_free(client: &mut Client) -> Result<()> {
    let query = "SELECT (SELECT count(*) FROM pg_depend JOIN pg_inherits ON inhrelid = objid
                         WHERE classid = 'pg_class'::regclass AND deptype = 'e'
                        AND inhparent IN ('audit.audit_log'::regclass, 'audit.security_events'::regclass)),
                        (SELECT count(*) FROM pg_index
                         WHERE indrelid IN ('audit.audit_log'::regclass, 'audit.security_events'::regclass))";
    let row = client.query_one(query, &[])?;
    let found: (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if found == (0, 0) {
        return Ok(());
    }
    Err(format!("leaves that are members, indexes of the parent: {found:?}").into())
}

/// New changes are recorded with the same options, and with ids above all that came along. More rows
/// than one block of ids has, in two sessions' worth of blocks. In the end nothing has to be mended.
pub fn goes_on(client: &mut Client) -> Result<()> {
    let before = client.query_one(
        "SELECT (SELECT max(id) FROM audit.audit_log), (SELECT max(id) FROM audit.guard_events)",
        &[],
    )?;
    let (log, events): (i64, i64) = (before.try_get(0)?, before.try_get(1)?);
    run(
        client,
        "INSERT INTO app.\"Ünusual \"\"table\"\"\" SELECT i, 'after', 'secret', 'hidden', 1
             FROM generate_series(1000, 1099) AS i;
         CREATE TABLE later.second (id int);
         INSERT INTO later.second VALUES (1);
         INSERT INTO later.first VALUES (1);
         INSERT INTO app.renamed VALUES (99, 'hidden', 'secret', 'shown');
         ALTER TABLE app.renamed RENAME token TO again;
         INSERT INTO app.renamed VALUES (98, 'hidden', 'secret', 'shown');
         ALTER TABLE app.swapped ADD dropped text;
         INSERT INTO app.swapped (id, other, dropped) VALUES (1, 'hidden', 'secret');
         UPDATE app.stock SET region = 'us' WHERE region = 'eu' AND id = 1",
    )?;
    let row = client.query_one(
        "SELECT count(*) FILTER (WHERE operation = 'INSERT' AND table_name = 'Ünusual \"table\"'
                                 AND new_record ? 'masked' AND new_record ->> 'masked' IS NULL
                        AND NOT new_record ? 'excluded'),
                count(*) FILTER (WHERE table_name = 'stock'
                    AND operation IN ('DELETE', 'INSERT')),
                count(*) FILTER (WHERE table_name = 'renamed' AND new_record IN (
                    '{\"id\": 99, \"code\": null, \"note\": \"shown\"}',
                    '{\"id\": 98, \"code\": null, \"note\": \"shown\"}')),
                count(*) FILTER (WHERE table_schema = 'later'),
                count(*) FILTER (WHERE l::text ~ 'secret|hidden'),
                min(id) > $1 AND count(*) = count(DISTINCT id)
         FROM audit.audit_log AS l WHERE transaction_id >= (SELECT max(transaction_id) FROM audit.audit_log
             WHERE id > $1) - 1 AND id > $1",
        &[&log],
    )?;
    let found: Vec<i64> = (0..5).map(|i| row.try_get(i)).collect::<std::result::Result<_, _>>()?;
    if found != [100, 2, 2, 2, 0] || !row.try_get::<_, bool>(5)? {
        return Err(format!("capture afterwards: {found:?}, {:?}", row.try_get::<_, bool>(5)).into());
    }
    run(client, "SELECT audit.maintain_partitions(30)")?;
    run(client, "INSERT INTO app.plain VALUES ('after new months')")?;
    run(client, "SELECT audit.enable_tracking('app.once')")?;
    logins_go_on(client)?;
    let row = client.query_one("SELECT count(*) FROM audit.guard_events WHERE id > $1", &[&events])?;
    if row.try_get::<_, i64>(0)? == 0 {
        return Err("a new event has a number that was used".into());
    }
    refuses(client)?;
    seal_on(client)?;
    match ailments(client)?.as_slice() {
        [] => Ok(()),
        found => Err(format!("health: {found:?}").into()),
    }
}

/// What was known of logins and sessions is known: who is blocked, who is not, who is in; and it goes on, with
/// numbers that nobody has used, and tracked.
fn logins_go_on(client: &mut Client) -> Result<()> {
    let last = "SELECT max(number) FROM audit.security_events";
    let last: i64 = client.query_one(last, &[])?.try_get(0)?;
    // The first write has sessions tracked again, which no query that reads them can do.
    run(
        client,
        "SELECT audit.create_user_session(subject => 'later', ip_address => '192.0.2.9',
             token_hash => sha256('another secret'));
         SELECT audit.finish_login_attempt(b.attempt_id, true)
         FROM audit.begin_login_attempt('later@example.org', '192.0.2.9') AS b;
         SELECT audit.finish_login_attempt(a.id, false) FROM audit.login_attempts AS a
         WHERE a.email = 'open@example.org'",
    )?;
    for (question, answer) in LOGINS {
        let found = client.query_one(*question, &[]).map_err(|e| format!("{question}: {e:?}"))?;
        let found: Option<String> = found.try_get(0)?;
        if found.as_deref() != Some(*answer) {
            return Err(format!("{question}: {found:?} instead of {answer}").into());
        }
    }
    let row = client.query_one(
        // The open try may have been ended before, by the worker, when it is five minutes old.
        "SELECT (SELECT count(*) FROM audit.security_events WHERE number > $1
                 AND email IS DISTINCT FROM 'open@example.org'),
             (SELECT count(*) FROM audit.security_events) = (SELECT count(DISTINCT number)
                 FROM audit.security_events),
             (SELECT count(*) FROM audit.audit_log WHERE table_name = 'user_sessions'
                 AND operation = 'INSERT' AND new_record ->> 'subject' = 'later'
                 AND new_record ? 'token_hash' AND new_record ->> 'token_hash' IS NULL
                 AND NOT new_record ? 'last_active_at')",
        &[&last],
    )?;
    let found: (i64, bool, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if found == (2, true, 1) {
        return Ok(());
    }
    Err(format!("events, one number each, sessions tracked: {found:?}").into())
}

/// A restored database says itself that it is not the one that sealed last, and seals on once that is declared.
fn seal_on(client: &mut Client) -> Result<()> {
    let restored = "SELECT audit.declare_discontinuity('restored') FROM audit.health()
         WHERE check_name = 'identity' AND NOT ok";
    if client.query_opt(restored, &[]).map_err(|e| format!("{restored}: {e:?}"))?.is_some() {
        run(client, "SELECT audit.seal()")?;
    }
    Ok(())
}

/// What `health()` finds wrong: the check, what was found, and the command that mends it.
pub fn ailments(client: &mut Client) -> Result<Vec<(String, String, String)>> {
    let query = "SELECT check_name, coalesce(detail, ''), coalesce(fix, '') FROM audit.health() WHERE NOT ok";
    let mut found = Vec::new();
    for row in client.query(query, &[]).map_err(|e| format!("{query}: {e:?}"))? {
        found.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    Ok(found)
}

/// Nothing has to be mended but what the history itself brings about: its rows of the far future.
pub fn only_months_missing(client: &mut Client) -> Result<()> {
    seal_on(client)?;
    let found = ailments(client)?;
    let expected = |(check, detail, _): &(String, String, String)| {
        check == "partitions" && detail.contains("rows lie beyond the last month")
    };
    if !found.is_empty() && found.iter().all(expected) {
        return Ok(());
    }
    Err(format!("health: {found:?}").into())
}

/// Asks again until the answer is true; a minute is enough for whatever is on its way.
pub fn wait_until(client: &mut Client, question: &str) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if client.query_one(question, &[])?.try_get::<_, Option<bool>>(0)? == Some(true) {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("still not: {question}").into());
        }
        sleep(Duration::from_millis(50));
    }
}
