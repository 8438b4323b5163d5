//! Refused attempts are evidence: they are in the table a moment later although their transactions were
//! rolled back, each exactly once or counted, whoever is killed meanwhile; and who records them is in
//! nobody's way.

use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::wait_until;
use postgres::Client;

const PRELOADED: &[(&str, &str)] = &[("fsync", "off"), ("shared_preload_libraries", "audit_guard")];
/// Room for few attempts, and nothing that keeps a superuser from locking the table of those refused.
const NARROW: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("shared_preload_libraries", "audit_guard"),
    ("audit_guard.lockdown", "off"),
    ("audit_guard.denial_slots", "16"),
];
const ATTEMPT: &str = "UPDATE audit.audit_log SET table_name = 'secret'";
/// So many attempts in one statement, each in a savepoint.
fn attempts(count: u32) -> String {
    format!(
        "DO $$BEGIN FOR i IN 1..{count} LOOP BEGIN UPDATE audit.audit_log SET table_name = 'secret';
         EXCEPTION WHEN restrict_violation THEN NULL; END; END LOOP; END$$"
    )
}
const BLOCK: &str = "BEGIN; LOCK TABLE audit.denied_attempts IN ACCESS EXCLUSIVE MODE";
const RECORDER: &str = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'audit_guard recorder'";

/// Tries what is refused, as an ERROR of the guard and no other.
fn attempt(client: &mut Client) -> Result<()> {
    match client.batch_execute(ATTEMPT) {
        Err(e) if e.code().is_some_and(|code| code.code() == "23001") => Ok(()),
        other => Err(format!("{ATTEMPT}: {other:?}").into()),
    }
}

/// Waits until the table accounts for so many attempts; more is a failure, too.
fn accounts_for(client: &mut Client, expected: i64) -> Result<()> {
    let sum = "SELECT coalesce(sum(1 + lost_before), 0)::bigint FROM audit.denied_attempts";
    wait_until(client, &format!("SELECT ({sum}) >= {expected}"))?;
    sleep(Duration::from_millis(300));
    let row = client.query_one(
        &format!(
            "SELECT ({sum}), count(*), count(DISTINCT attempted_at)
        FROM audit.denied_attempts"
        ),
        &[],
    )?;
    assert_eq!(row.get::<_, i64>(0), expected, "attempts");
    assert_eq!(row.get::<_, i64>(1), row.get::<_, i64>(2), "one row for each");
    Ok(())
}

fn number(client: &mut Client, query: &str) -> Result<i64> {
    Ok(client.query_one(query, &[])?.try_get(0)?)
}

/// Lines of the server's log about refused attempts.
fn log_lines(cluster: &Cluster) -> Result<Vec<String>> {
    let log = std::fs::read(cluster.dir().join("server.log"))?;
    let log = String::from_utf8_lossy(&log).into_owned();
    Ok(log.lines().filter(|line| line.contains("audit_guard: refused {")).map(str::to_owned).collect())
}

fn log_contains(cluster: &Cluster, text: &str) -> Result<bool> {
    let log = std::fs::read(cluster.dir().join("server.log"))?;
    Ok(String::from_utf8_lossy(&log).contains(text))
}

#[test]
fn visible_within_a_second() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = cluster.database("app")?;
    run(&mut client, "CREATE ROLE pat LOGIN SUPERUSER; CREATE ROLE \"Ünï \"\"q\"\"\" SUPERUSER")?;
    let mut pat = cluster.connect("pat", "app")?;
    run(&mut pat, "SET client_min_messages = debug5; SET log_min_messages = panic")?;
    run(&mut pat, "BEGIN; SELECT audit.set_context(actor_id => 'Zoë', client_ip => '10.1.2.3')")?;
    run(&mut pat, "SET LOCAL ROLE \"Ünï \"\"q\"\"\"")?;
    attempt(&mut pat)?;
    let refused = Instant::now();
    run(&mut pat, "ROLLBACK")?;
    let query = "SELECT d.layer, d.command, d.object, d.actor_id, d.actor_role, d.login_role,
        host(d.client_ip), d.application_name FROM audit.denied_attempts d
        WHERE clock_timestamp() - d.attempted_at < '1 minute' AND d.lost_before = 0 AND d.salt IS NOT NULL
          AND pg_xact_status(d.transaction_id::text::xid8) = 'committed'";
    let row = loop {
        if let Some(row) = client.query_opt(query, &[])? {
            break row;
        }
        assert!(refused.elapsed() < Duration::from_secs(1), "within a second");
        sleep(Duration::from_millis(20));
    };
    let found: Vec<Option<String>> = (0..8).map(|column| row.get(column)).collect();
    let found: Vec<&str> = found.iter().map(|text| text.as_deref().unwrap_or("null")).collect();
    assert!(["trigger", "hook"].contains(&found[0]), "{found:?}");
    assert_eq!(found[1..], ["UPDATE", "audit.audit_log", "Zoë", "Ünï \"q\"", "pat", "10.1.2.3", "e2e"]);

    let lines = log_lines(&cluster)?;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let json = lines[0].split_once("refused ").ok_or("no JSON")?.1;
    let facts: serde_json::Value = serde_json::from_str(json)?;
    assert!(json.is_ascii());
    assert_eq!((facts["actor_id"].as_str(), facts["database"].as_str()), (Some("Zoë"), Some("app")));
    assert_eq!(facts["client_ip"], "10.1.2.3");
    assert!(!log_contains(&cluster, "secret")?, "the statement of what was refused");
    Ok(())
}

/// Whatever a client wishes to be told, the line for the server's log is not for it.
#[test]
fn without_preload_the_log_has_it() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = cluster.database("app")?;
    let args = ["-X", "-d", "app", "-c", "SET client_min_messages = debug5", "-c", ATTEMPT];
    let said = cluster.program("psql").args(args).output()?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("append-only") && !said.contains("refused {"), "{said}");
    assert_eq!(log_lines(&cluster)?.len(), 1);
    assert_eq!(number(&mut client, "SELECT count(*) FROM audit.denied_attempts")?, 0);
    assert_eq!(number(&mut client, "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'audit'")?, 0);
    Ok(())
}

/// A hundred thousand attempts by several sessions, and for a while nobody can write any down.
#[test]
fn flood() -> Result<()> {
    let cluster = Cluster::start(NARROW)?;
    let mut client = cluster.database("app")?;
    attempt(&mut client)?;
    accounts_for(&mut client, 1)?;
    let mut blocker = cluster.connect("postgres", "app")?;
    run(&mut blocker, BLOCK)?;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let mut session = cluster.connect("postgres", "app")?;
        sessions.push(spawn(move || session.batch_execute(&attempts(24_000))));
    }
    for session in sessions {
        session.join().map_err(|_| "a session panicked")??;
    }
    // No attempt comes after the lost ones: their number must not wait for one.
    run(&mut blocker, "COMMIT")?;
    accounts_for(&mut client, 96_001)?;
    let lost = "SELECT sum(lost_before)::bigint FROM audit.denied_attempts";
    assert!(number(&mut client, lost)? > 90_000, "the room was narrow");
    run(&mut client, &attempts(3_999))?;
    accounts_for(&mut client, 100_000)?;
    assert_eq!(log_lines(&cluster)?.len(), 100_000);
    let order = "SELECT count(*) FROM (SELECT attempted_at < lag(attempted_at) OVER (ORDER BY id) AS is_late
        FROM audit.denied_attempts) d WHERE is_late";
    // Two sessions may read the clock in one order and come to shared memory in the other.
    assert!(number(&mut client, order)? < 20_000, "in their order");
    Ok(())
}

/// Killed in the middle of its work, and with it, as always, all processes of the server: nothing is lost,
/// and nothing is written twice.
#[test]
fn recorder_killed_hard() -> Result<()> {
    let cluster = Cluster::start(&[&NARROW[..3], &[("restart_after_crash", "on")]].concat())?;
    let mut client = cluster.database("app")?;
    run(&mut client, "SELECT audit.maintain_partitions(1)")?;
    let mut expected = 0;
    for round in 0..6 {
        run(&mut client, &attempts(700))?;
        expected += 700;
        sleep(Duration::from_millis(7 * round));
        if let Some(row) = client.query_opt(RECORDER, &[])? {
            cluster.kill_hard(row.get::<_, i32>(0).try_into()?)?;
        }
        let end = Instant::now() + Duration::from_secs(30);
        client = loop {
            sleep(Duration::from_millis(200));
            match cluster.connect("postgres", "app") {
                Ok(client) => break client,
                Err(e) if Instant::now() > end => return Err(e),
                Err(_) => {}
            }
        };
        accounts_for(&mut client, expected).map_err(|e| format!("round {round}: {e}"))?;
    }
    Ok(())
}

#[test]
fn workers_terminated() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = cluster.database("app")?;
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE backend_type IN ('audit_guard launcher', 'audit_guard recorder')";
    let mut killed = 0;
    for _ in 0..10 {
        attempt(&mut client)?;
        sleep(Duration::from_millis(150));
        killed += number(&mut client, terminate)?;
    }
    assert!(killed > 2, "{killed} workers");
    accounts_for(&mut client, 10)
}

/// What could not be written before the server stopped is written when it runs again.
#[test]
fn stopped_and_started() -> Result<()> {
    let cluster = Cluster::start(NARROW)?;
    for (how, expected) in [("fast", 1000), ("immediate", 2000)] {
        let mut client =
            if expected == 1000 { cluster.database("app")? } else { cluster.connect("postgres", "app")? };
        let mut blocker = cluster.connect("postgres", "app")?;
        run(&mut blocker, BLOCK)?;
        run(&mut client, &attempts(1000))?;
        cluster.stop(how)?;
        assert!(cluster.dir().join("data/pg_stat/audit_guard.denied").exists());
        cluster.boot()?;
        let mut client = cluster.connect("postgres", "app")?;
        accounts_for(&mut client, expected).map_err(|e| format!("{how}: {e}"))?;
        assert!(!cluster.dir().join("data/pg_stat/audit_guard.denied").exists());
    }
    Ok(())
}

/// Databases can be copied, renamed and dropped while attempts come in, and right after them.
#[test]
fn nobody_is_in_the_way() -> Result<()> {
    let cluster = Cluster::start(NARROW)?;
    drop(cluster.database("app")?);
    drop(cluster.database("other")?);
    let mut admin = cluster.connect("postgres", "postgres")?;
    let mut steady = cluster.connect("postgres", "other")?;
    let steady = spawn(move || steady.batch_execute(&attempts(20_000)));
    for statement in [
        "CREATE DATABASE copy TEMPLATE app",
        "ALTER DATABASE app RENAME TO moved",
        "ALTER DATABASE moved RENAME TO app",
        "DROP DATABASE app",
    ] {
        let name = if statement.contains("moved RENAME") { "moved" } else { "app" };
        let mut client = cluster.connect("postgres", name)?;
        attempt(&mut client)?;
        wait_until(&mut client, "SELECT count(*) > 0 FROM audit.denied_attempts")?;
        attempt(&mut client)?;
        drop(client);
        let begin = Instant::now();
        run(&mut admin, statement)?;
        assert!(begin.elapsed() < Duration::from_secs(4), "{statement}: {:?}", begin.elapsed());
    }
    steady.join().map_err(|_| "a session panicked")??;
    accounts_for(&mut cluster.connect("postgres", "other")?, 20_000)
}

/// Attempts that cannot be recorded leave a line that says so, beside their own, and make room.
#[test]
fn given_up() -> Result<()> {
    let cluster = Cluster::start(&[NARROW, &[("audit_guard.databases", "app, gone")]].concat())?;
    let mut app = cluster.database("app")?;
    let mut left_out = cluster.database("left_out")?;
    attempt(&mut left_out)?;
    wait_for_line(&cluster, "audit_guard.databases does not name the database")?;

    let mut gone = cluster.database("gone")?;
    let mut blocker = cluster.connect("postgres", "gone")?;
    run(&mut blocker, BLOCK)?;
    run(&mut gone, &attempts(100))?;
    run(&mut app, "DROP DATABASE gone WITH (FORCE)")?;
    wait_for_line(&cluster, "audit_guard: 100 refused attempts in database")?;
    wait_for_line(&cluster, "the database no longer exists")?;

    attempt(&mut app)?;
    accounts_for(&mut app, 1)?;
    assert_eq!(number(&mut left_out, "SELECT count(*) FROM audit.denied_attempts")?, 0);
    Ok(())
}

fn wait_for_line(cluster: &Cluster, text: &str) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    while !log_contains(cluster, text)? {
        if Instant::now() > end {
            return Err(format!("not in the server's log: {text}").into());
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Settings of a database cannot keep its attempts from being recorded.
#[test]
fn hostile_settings() -> Result<()> {
    let cluster = Cluster::start(NARROW)?;
    let mut client = cluster.database("app")?;
    for setting in [
        "default_transaction_read_only = on",
        "default_transaction_isolation = serializable",
        "statement_timeout = 1",
        "lock_timeout = 1",
        "search_path = public",
        "session_replication_role = replica",
        "TimeZone = 'Asia/Kolkata'",
        "DateStyle = 'German'",
        "client_encoding = 'LATIN1'",
    ] {
        run(&mut client, &format!("ALTER DATABASE app SET {setting}"))?;
    }
    run(&mut client, "CREATE SCHEMA IF NOT EXISTS public; CREATE TABLE public.denied_attempts ()")?;
    run(
        &mut cluster.connect("postgres", "postgres")?,
        "ALTER DATABASE app ALLOW_CONNECTIONS false; ALTER ROLE postgres SET statement_timeout = 1",
    )?;
    let before: String = client.query_one("SELECT clock_timestamp()::text", &[])?.get(0);
    attempt(&mut client)?;
    accounts_for(&mut client, 1)?;
    let right =
        format!("SELECT attempted_at BETWEEN '{before}' AND clock_timestamp() FROM audit.denied_attempts");
    assert!(client.query_one(&right, &[])?.get::<_, bool>(0));
    Ok(())
}

/// On a standby nothing is written and no worker runs; once promoted, it records.
#[test]
fn on_a_standby() -> Result<()> {
    let primary = Cluster::start(PRELOADED)?;
    let mut client = primary.database("app")?;
    attempt(&mut client)?;
    accounts_for(&mut client, 1)?;
    let standby = primary.standby()?;
    let mut reader = standby.connect("postgres", "app")?;
    let code = reader.batch_execute(ATTEMPT).err().and_then(|e| e.code().map(|code| code.code().to_owned()));
    let refused = i64::from(code.as_deref() == Some("23001"));
    assert!(refused == 1 || code.as_deref() == Some("25006"), "{code:?}");
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^audit_guard'";
    assert_eq!(number(&mut reader, workers)?, 0);
    assert_eq!(number(&mut reader, "SELECT count(*) FROM audit.denied_attempts")?, 1);
    primary.stop("fast")?;
    standby.promote()?;
    attempt(&mut reader)?;
    accounts_for(&mut reader, 2 + refused)
}

/// Our own worker makes the months when the schedule says so, in every database that has one.
#[test]
fn maintenance_by_the_worker() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = cluster.database("app")?;
    let schedule = "SELECT audit.schedule_maintenance('* * * * *')";
    let said: String = client.query_one(schedule, &[])?.get(0);
    assert!(said.starts_with("scheduled with the worker of audit_guard"), "{said}");
    run(&mut client, schedule)?;
    let events = "SELECT count(*) FROM audit.guard_events WHERE kind = 'maintenance_scheduled'
        AND detail = '{\"runner\": \"worker\", \"schedule\": \"* * * * *\"}'";
    assert_eq!(number(&mut client, events)?, 1, "nothing changes, nothing is recorded");
    let mut copy = cluster.empty_database("copy").and_then(|()| cluster.connect("postgres", "copy"))?;
    let dump = cluster.dir().join("schedule.dump");
    let dump = dump.to_str().ok_or("a folder's name")?;
    cluster.run("pg_dump", &["-Fc", "-f", dump, "app"])?;
    cluster.run("pg_restore", &["-d", "copy", "-e", dump])?;
    let leaves = "SELECT count(*) > 24 FROM pg_inherits WHERE inhparent = 'audit.audit_log'::regclass";
    for client in [&mut client, &mut copy] {
        // A minute until it is due, and two more for machines that are busy with other tests.
        wait_until(client, leaves)
            .or_else(|_| wait_until(client, leaves))
            .or_else(|_| wait_until(client, leaves))?;
    }
    Ok(())
}
