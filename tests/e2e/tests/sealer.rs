//! The sealer: what was committed is sealed a moment later, whoever is killed meanwhile and whatever else
//! happens to the database; and it is in nobody's way.

use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::wait_until;
use postgres::Client;

const PRELOADED: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("shared_preload_libraries", "audit_guard"),
    // So that databases can be dropped, and functions put out of the way.
    ("audit_guard.lockdown", "off"),
    ("max_prepared_transactions", "5"),
];
const ALL_SEALED: &str = "SELECT unsealed_rows = 0 FROM audit.tree_head()";
const SEALER: &str = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'audit_guard sealer'
    AND datname = current_database()";
const NO_SEALER: &str = "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'audit_guard sealer'
    AND datname = current_database()";

/// A database with a tracked table.
fn tracked(cluster: &Cluster, name: &str) -> Result<Client> {
    let mut client = cluster.database(name)?;
    run(&mut client, "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text)")?;
    run(&mut client, "SELECT audit.enable_tracking('notes')")?;
    Ok(client)
}

fn note(client: &mut Client) -> Result<()> {
    run(client, "INSERT INTO notes (text) VALUES ('x')")
}

/// Every row of the log is a leaf, exactly once, and the ledger agrees with itself.
fn is_sound(client: &mut Client) -> Result<()> {
    wait_until(client, ALL_SEALED)?;
    let leaves = "SELECT count(*) = count(DISTINCT (e.transaction_id, e.number))
            AND count(*) = (SELECT count(*) FROM audit.audit_log)
        FROM audit.seals s, audit._entries(s.seal_no) e WHERE e.stream_no = 1";
    assert!(client.query_one(leaves, &[])?.get::<_, bool>(0), "leaves");
    let findings = client.query(
        "SELECT code, detail FROM audit.verify() WHERE code NOT IN ('ok', 'internally_consistent')",
        &[],
    )?;
    let findings: Vec<(String, Option<String>)> =
        findings.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(findings.is_empty(), "{findings:?}");
    Ok(())
}

fn log_lines(cluster: &Cluster, text: &str) -> Result<usize> {
    let log = std::fs::read(cluster.dir().join("server.log"))?;
    Ok(String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).count())
}

fn reconnect(cluster: &Cluster, database: &str) -> Result<Client> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        sleep(Duration::from_millis(200));
        match cluster.connect("postgres", database) {
            Ok(client) => return Ok(client),
            Err(e) if Instant::now() > end => return Err(e),
            Err(_) => {}
        }
    }
}

#[test]
fn seals_by_itself_and_leaves() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = tracked(&cluster, "app")?;
    for _ in 0..20 {
        note(&mut client)?;
        let begin = Instant::now();
        assert!(client.query_one("SELECT audit.wait_sealed()", &[])?.get::<_, bool>(0));
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
    is_sound(&mut client)?;
    let seals = "SELECT count(*) FROM audit.seals";
    let before: i64 = client.query_one(seals, &[])?.get(0);
    for _ in 0..200 {
        note(&mut client)?;
    }
    wait_until(&mut client, ALL_SEALED)?;
    let made: i64 = client.query_one(seals, &[])?.get::<_, i64>(0) - before;
    assert!(made < 60, "many commits share a seal: {made}");
    wait_until(&mut client, NO_SEALER)?;
    run(&mut client, "CREATE TABLE plain (); INSERT INTO plain DEFAULT VALUES")?;
    sleep(Duration::from_millis(700));
    assert!(client.query_one(NO_SEALER, &[])?.get::<_, bool>(0), "nothing to seal, nobody there");
    is_sound(&mut client)
}

/// An older snapshot does not keep a transaction from seeing that another one is sealed.
#[test]
fn waits_in_any_transaction() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = tracked(&cluster, "app")?;
    let mut other = cluster.connect("postgres", "app")?;
    for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        run(&mut client, &format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM notes"))?;
        run(&mut client, "INSERT INTO notes (text) VALUES ('own')")?;
        let written = "WITH new AS (INSERT INTO notes (text) VALUES ('other') RETURNING 1)
            SELECT pg_current_xact_id()::text::bigint FROM new";
        let number: i64 = other.query_one(written, &[])?.get(0);
        let row =
            client.query_one("SELECT audit.wait_sealed($1, '10 s'), audit.wait_sealed()", &[&number])?;
        assert_eq!((row.get(0), row.get(1)), (true, false), "{level}");
        run(&mut client, "COMMIT")?;
        assert!(client.query_one("SELECT audit.wait_sealed()", &[])?.get::<_, bool>(0), "{level}");
    }
    Ok(())
}

#[test]
fn prepared_transactions() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = tracked(&cluster, "app")?;
    run(&mut client, "BEGIN; INSERT INTO notes (text) VALUES ('two phases'); PREPARE TRANSACTION 'p'")?;
    wait_until(&mut client, NO_SEALER)?;
    let mut other = cluster.connect("postgres", "app")?;
    run(&mut other, "COMMIT PREPARED 'p'")?;
    drop(other);
    is_sound(&mut client)
}

/// Killed in the middle of its work, and with it all processes of the server; stopped at once; terminated.
/// Nothing is left out and nothing sealed twice, and no new commit is needed.
#[test]
fn killed_and_stopped() -> Result<()> {
    let cluster = Cluster::start(&[PRELOADED, &[("restart_after_crash", "on")]].concat())?;
    let mut client = tracked(&cluster, "app")?;
    for round in 0..8 {
        run(&mut client, "INSERT INTO notes (text) SELECT 'x' FROM generate_series(1, 3000)")?;
        sleep(Duration::from_millis(9 * round));
        match round % 3 {
            0 => {
                if let Some(row) = client.query_opt(SEALER, &[])? {
                    cluster.kill_hard(row.get::<_, i32>(0).try_into()?)?;
                }
            }
            1 => {
                cluster.stop("immediate")?;
                cluster.boot()?;
            }
            _ => run(
                &mut client,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE backend_type IN ('audit_guard sealer', 'audit_guard launcher')",
            )?,
        }
        client = reconnect(&cluster, "app")?;
        is_sound(&mut client).map_err(|e| format!("round {round}: {e}"))?;
    }
    Ok(())
}

/// Databases can be copied, renamed and dropped while they are being sealed.
#[test]
fn nobody_is_in_the_way() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    drop(tracked(&cluster, "app")?);
    let mut other = tracked(&cluster, "other")?;
    let steady = spawn(move || -> Result<Client> {
        for _ in 0..400 {
            note(&mut other)?;
            sleep(Duration::from_millis(5));
        }
        Ok(other)
    });
    let mut admin = cluster.connect("postgres", "postgres")?;
    for statement in [
        "CREATE DATABASE copy TEMPLATE app",
        "ALTER DATABASE app RENAME TO moved",
        "ALTER DATABASE moved RENAME TO app",
        "DROP DATABASE app",
    ] {
        let name = if statement.contains("moved RENAME") { "moved" } else { "app" };
        let mut client = cluster.connect("postgres", name)?;
        run(&mut client, "INSERT INTO notes (text) SELECT 'x' FROM generate_series(1, 1000)")?;
        drop(client);
        let begin = Instant::now();
        run(&mut admin, statement)?;
        assert!(begin.elapsed() < Duration::from_secs(4), "{statement}: {:?}", begin.elapsed());
    }
    let mut other = steady.join().map_err(|_| "a session panicked")??;
    is_sound(&mut other)
}

/// More databases than sealers: they take turns.
#[test]
fn many_databases() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    drop(tracked(&cluster, "pattern")?);
    let mut clients = Vec::new();
    for number in 0..9 {
        let name = format!("app{number}");
        clients.push(tracked(&cluster, &name)?);
    }
    for _ in 0..10 {
        for client in &mut clients {
            note(client)?;
        }
    }
    for client in &mut clients {
        is_sound(client)?;
    }
    Ok(())
}

/// A copy of a database does not go on with the ledger of the original. It says so once, and goes on when it
/// is told that it is another one.
#[test]
fn stops_in_a_copy() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = tracked(&cluster, "app")?;
    note(&mut client)?;
    is_sound(&mut client)?;
    drop(client);
    run(&mut cluster.connect("postgres", "postgres")?, "CREATE DATABASE copy TEMPLATE app")?;
    let mut copy = cluster.connect("postgres", "copy")?;
    let end = Instant::now() + Duration::from_secs(20);
    while log_lines(&cluster, "nothing more is sealed in database copy")? == 0 {
        assert!(Instant::now() < end, "not in the server's log");
        note(&mut copy)?;
        sleep(Duration::from_millis(100));
    }
    for _ in 0..10 {
        note(&mut copy)?;
        sleep(Duration::from_millis(100));
    }
    assert_eq!(log_lines(&cluster, "nothing more is sealed in database copy")?, 1);
    assert!(!copy.query_one("SELECT audit.wait_sealed(timeout => '1 s')", &[])?.get::<_, bool>(0));
    run(&mut copy, "SELECT audit.declare_discontinuity('a copy for the testers')")?;
    assert!(copy.query_one("SELECT audit.wait_sealed(timeout => '20 s')", &[])?.get::<_, bool>(0));
    wait_until(&mut copy, ALL_SEALED)
}

/// A dump brings its ledger along: nothing is sealed before it is there, and then only when somebody says so.
#[test]
fn stays_out_of_a_restore() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = tracked(&cluster, "app")?;
    run(&mut client, "INSERT INTO notes (text) SELECT 'x' FROM generate_series(1, 20000)")?;
    is_sound(&mut client)?;
    let dump = cluster.dir().join("ledger.dump");
    let dump = dump.to_str().ok_or("a folder's name")?;
    cluster.run("pg_dump", &["-Fc", "-f", dump, "app"])?;
    for (name, jobs) in [("whole", "1"), ("parallel", "3")] {
        cluster.empty_database(name)?;
        cluster.run("pg_restore", &["-d", name, "-e", "-j", jobs, dump])?;
        let mut copy = cluster.connect("postgres", name)?;
        note(&mut copy)?;
        sleep(Duration::from_secs(1));
        let lives = "SELECT count(*) FROM audit.ledger_incarnations";
        assert_eq!(copy.query_one(lives, &[])?.get::<_, i64>(0), 1, "{name}");
        run(&mut copy, "SELECT audit.declare_discontinuity('restored')")?;
        wait_until(&mut copy, ALL_SEALED)?;
    }
    Ok(())
}

/// What keeps it from sealing is tried again, later each time.
#[test]
fn fails_and_recovers() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = tracked(&cluster, "app")?;
    run(&mut client, "ALTER EVENT TRIGGER audit_guard_shield DISABLE")?;
    run(&mut client, "ALTER FUNCTION audit._seal_chunk() RENAME TO _elsewhere")?;
    note(&mut client)?;
    let missing = "ERROR:  function audit._seal_chunk is missing";
    sleep(Duration::from_secs(8));
    let lines = log_lines(&cluster, missing)?;
    assert!((2..=5).contains(&lines), "{lines} tries");
    run(&mut client, "ALTER FUNCTION audit._elsewhere() RENAME TO _seal_chunk")?;
    is_sound(&mut client)
}

#[test]
fn only_where_it_may() -> Result<()> {
    let cluster = Cluster::start(&[PRELOADED, &[("audit_guard.databases", "app")]].concat())?;
    let mut client = tracked(&cluster, "app")?;
    let mut left_out = tracked(&cluster, "left_out")?;
    note(&mut left_out)?;
    note(&mut client)?;
    is_sound(&mut client)?;
    assert!(!left_out.query_one("SELECT audit.wait_sealed(timeout => '1 s')", &[])?.get::<_, bool>(0));
    assert!(left_out.query_one(NO_SEALER, &[])?.get::<_, bool>(0));
    run(&mut left_out, "SELECT audit.seal()")?;
    is_sound(&mut left_out)
}

/// On a standby nothing is sealed; once promoted, what was not is.
#[test]
fn on_a_standby() -> Result<()> {
    let primary = Cluster::start(&[PRELOADED, &[("audit_guard.seal_interval", "5s")]].concat())?;
    let mut client = tracked(&primary, "app")?;
    note(&mut client)?;
    is_sound(&mut client)?;
    note(&mut client)?;
    let standby = primary.standby()?;
    let mut reader = standby.connect("postgres", "app")?;
    assert!(reader.query_one(NO_SEALER, &[])?.get::<_, bool>(0));
    let known = "SELECT min(transaction_id) FROM audit.audit_log";
    let number: i64 = reader.query_one(known, &[])?.get(0);
    assert!(reader.query_one("SELECT audit.wait_sealed($1, '0')", &[&number])?.get::<_, bool>(0));
    // What still runs on the primary looks finished here, and without a row.
    run(&mut client, "BEGIN; INSERT INTO notes (text) VALUES ('open')")?;
    let open: i64 = client.query_one("SELECT pg_current_xact_id()::text::bigint", &[])?.get(0);
    note(&mut primary.connect("postgres", "app")?)?;
    wait_until(&mut reader, &format!("SELECT pg_snapshot_xmax(pg_current_snapshot()) > '{open}'"))?;
    assert!(!reader.query_one("SELECT audit.wait_sealed($1, '0')", &[&open])?.get::<_, bool>(0));
    primary.stop("immediate")?;
    standby.promote()?;
    is_sound(&mut reader)
}
