//! A streaming standby of a server under lockdown: protected while it follows, and when it has taken over.

use audit_guard_e2e::cluster::{Cluster, Server};
use audit_guard_e2e::guarded::{
    self, PRELOADED, contents, expired_rows_may_go, locked_down, recorder_is_done, same,
};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::wait_until;
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// What must fail on a standby, by the server's own rule or by the guard's.
const WRITES: &[&str] = &[
    "DELETE FROM app.consents WHERE id = 1",
    "UPDATE app.consents SET note = 'x'",
    "TRUNCATE app.consents CASCADE",
    "DROP TABLE app.visits",
    "SELECT * FROM audit.apply_retention()",
    "SELECT audit.protect('app.drafts')",
    "SELECT audit.place_hold('app.consents', 'x', record_ids => '{1}')",
    "DELETE FROM audit.audit_log",
    "DROP EXTENSION audit_guard CASCADE",
];
/// What a standby is asked.
const READS: &[&str] = &[
    "SELECT * FROM audit.guard_status()",
    "SELECT * FROM audit.retention_plan()",
    "SELECT * FROM audit.protected_tables",
    "SELECT * FROM audit.active_holds",
    "SELECT * FROM audit.denied_attempts",
    "SELECT * FROM audit.health()",
];

#[test]
fn followed_and_taken_over() -> Result<()> {
    for (version, server) in Server::all()? {
        for stop in ["fast", "immediate"] {
            let outcome = follow_and_take_over(&server, stop);
            outcome.map_err(|e| format!("PostgreSQL {version}, stopped {stop}: {e}"))?;
        }
    }
    Ok(())
}

fn follow_and_take_over(server: &Server, stop: &str) -> Result<()> {
    let primary = Cluster::start_on(server, PRELOADED)?;
    let mut client = guarded::database(&primary, "app")?;
    let standby = primary.standby()?;
    run(&mut client, "INSERT INTO app.consents (id, subject) VALUES (30, 'while it follows')")?;
    locked_down(&mut client)?;
    recorder_is_done(&mut client)?;
    let expected = contents(&mut client)?;
    let mut reader = standby.connect("postgres", "app")?;
    arrives(&mut client, &mut reader)?;
    same(&mut reader, &expected, &[])?;
    for read in READS {
        run(&mut reader, read)?;
    }
    for write in WRITES {
        match reader.batch_execute(write) {
            Err(e) if e.code().is_some_and(|code| ["25006", "23001"].contains(&code.code())) => {}
            other => return Err(format!("{write}: {other:?}").into()),
        }
    }

    // Removed and certified in a transaction that is never committed: here as there nothing is gone.
    run(&mut client, "BEGIN; DELETE FROM app.consents WHERE id IN (1, 2)")?;
    let mut beside = primary.connect("postgres", "app")?;
    run(&mut beside, "SELECT pg_switch_wal()")?;
    arrives(&mut beside, &mut reader)?;
    primary.stop(stop)?;
    standby.promote()?;
    wait_until(&mut reader, "SELECT NOT pg_is_in_recovery()")?;
    same(&mut reader, &expected, &[])?;
    let last = "SELECT coalesce(max(id), 0) FROM audit.denied_attempts";
    let last: i64 = reader.query_one(last, &[])?.try_get(0)?;
    locked_down(&mut reader)?;
    // What was refused here is recorded here.
    let recorded = format!("SELECT count(*) > 10 FROM audit.denied_attempts WHERE id > {last}");
    wait_until(&mut reader, &recorded)?;
    expired_rows_may_go(&mut reader)?;
    run(&mut reader, "SELECT * FROM audit.apply_retention()")?;
    same(&mut reader, &expected[3..4], &[])?;
    judge::server_is_content(&standby, "app")
}

/// Waits until the standby has what the primary has.
fn arrives(primary: &mut Client, standby: &mut Client) -> Result<()> {
    let end: String = primary.query_one("SELECT pg_current_wal_lsn()::text", &[])?.try_get(0)?;
    wait_until(standby, &format!("SELECT pg_last_wal_replay_lsn() >= '{end}'"))
}
