//! A streaming standby: it shows the log and refuses writes; promoted, it goes on where its primary ended.

use audit_guard_e2e::cluster::{Cluster, Server};
use audit_guard_e2e::travel::{
    HISTORY, LOGINS, contents, goes_on, leaves_are_free, only_months_missing, refuses, same, wait_until,
};
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// A record with three changes, one of them made after the standby began to follow.
const HISTORY_OF_ONE: &str = "SELECT count(*) FROM audit.record_history('app.renamed', 1)";
const AS_OF: &str = "SELECT audit.record_as_of('app.renamed', 1, $1::text::timestamptz) ->> 'note'";
const TABLE_AS_OF: &str =
    "SELECT string_agg(note, ' ') FROM audit.table_as_of(NULL::app.renamed, $1::text::timestamptz)";
/// What must fail on a standby because it writes, whoever asks.
const WRITES: &[&str] = &[
    "INSERT INTO app.plain VALUES ('x')",
    "SELECT audit.maintain_partitions(60)",
    "SELECT audit.enable_tracking('app.plain', detail => 'delta')",
    "INSERT INTO audit.audit_log SELECT * FROM audit.audit_log",
    "DELETE FROM audit.audit_log",
    "SELECT audit.begin_login_attempt('new@example.org', '192.0.2.1')",
    "SELECT audit.finish_login_attempt(id, false) FROM audit.login_attempts",
    "SELECT audit.log_security_event('logout', subject => 'ada')",
    "SELECT audit.create_user_session(subject => 'ada', ip_address => '192.0.2.1')",
];

#[test]
fn promoted_in_good_order() -> Result<()> {
    on_every_server("fast")
}

#[test]
fn promoted_after_a_crash() -> Result<()> {
    on_every_server("immediate")
}

fn on_every_server(stop: &str) -> Result<()> {
    for (version, server) in Server::all()? {
        follow_and_take_over(&server, stop).map_err(|e| format!("PostgreSQL {version}: {e}"))?;
    }
    Ok(())
}

fn follow_and_take_over(server: &Server, stop: &str) -> Result<()> {
    let primary = Cluster::start_on(server, &[("fsync", "off")])?;
    let mut client = primary.database("app")?;
    client.batch_execute(HISTORY)?;
    let standby = primary.standby()?;
    client.batch_execute("UPDATE app.renamed SET note = 'first' WHERE id = 1")?;
    let between: String = client.query_one("SELECT clock_timestamp()::text", &[])?.try_get(0)?;
    client.batch_execute("UPDATE app.renamed SET note = 'second' WHERE id = 1")?;
    let expected = contents(&mut client)?;
    let end: String = client.query_one("SELECT pg_current_wal_lsn()::text", &[])?.try_get(0)?;

    let mut reader = standby.connect("postgres", "app")?;
    wait_until(&mut reader, &format!("SELECT pg_last_wal_replay_lsn() >= '{end}'"))?;
    same(&mut reader, &expected, &[])?;
    reads(&mut reader, &between)?;
    only_months_missing(&mut reader)?;
    for write in WRITES {
        match reader.batch_execute(write) {
            Err(e) if e.code().is_some_and(|code| code.code() == "25006") => {}
            other => return Err(format!("{write}: {other:?}").into()),
        }
    }

    // A transaction that the primary never ends is in the log of neither.
    client.batch_execute("BEGIN; UPDATE app.renamed SET note = 'lost' WHERE id = 1")?;
    let mut beside = primary.connect("postgres", "app")?;
    beside.batch_execute("UPDATE app.stock SET v = v + 1; SELECT pg_switch_wal()")?;
    let expected = contents(&mut beside)?;
    let end: String = beside.query_one("SELECT pg_current_wal_lsn()::text", &[])?.try_get(0)?;
    wait_until(&mut reader, &format!("SELECT pg_last_wal_replay_lsn() >= '{end}'"))?;
    primary.stop(stop)?;
    standby.promote()?;
    same(&mut reader, &expected, &[])?;
    reads(&mut reader, &between)?;
    refuses(&mut reader)?;
    leaves_are_free(&mut reader)?;
    goes_on(&mut reader)?;
    reader.batch_execute("UPDATE app.renamed SET note = 'third' WHERE id = 1")?;
    assert_eq!(reader.query_one(HISTORY_OF_ONE, &[])?.get::<_, i64>(0), 4, "one history");
    judge::log_is_sound(&mut reader)?;
    judge::server_is_content(&standby, "app")
}

/// The questions that people ask of a log.
fn reads(client: &mut Client, between: &str) -> Result<()> {
    assert_eq!(client.query_one(HISTORY_OF_ONE, &[])?.get::<_, i64>(0), 3, "record_history");
    assert_eq!(client.query_one(AS_OF, &[&between])?.get::<_, String>(0), "first", "record_as_of");
    assert_eq!(client.query_one(TABLE_AS_OF, &[&between])?.get::<_, String>(0), "first", "table_as_of");
    for (question, answer) in LOGINS {
        let found: Option<String> = client.query_one(*question, &[])?.try_get(0)?;
        assert_eq!(found.as_deref(), Some(*answer), "{question}");
    }
    Ok(())
}
