//! Getting rid of it: refused under lockdown, with words that say how; possible with lockdown off. And what
//! test harnesses do with databases all day.

use std::thread::sleep;
use std::time::{Duration, Instant};

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::guarded::{self, OFF, PRELOADED, STRICT, contents, locked_down, refused, same};
use audit_guard_e2e::steps::run;
use postgres::Client;

const LOG: &str = "CREATE TABLE t (id int PRIMARY KEY); SELECT audit.enable_tracking('t');
    INSERT INTO t SELECT generate_series(1, 12000)";

/// SQLSTATE, message and hint of a statement that must fail, outside a transaction.
fn failure(client: &mut Client, sql: &str) -> Result<(String, String, String)> {
    let failed = client.batch_execute(sql).err().ok_or_else(|| format!("accepted: {sql}"))?;
    let error = failed.as_db_error().ok_or_else(|| format!("{sql}: {failed:?}"))?;
    let hint = error.hint().unwrap_or_default().to_owned();
    Ok((error.code().code().to_owned(), error.message().to_owned(), hint))
}

#[test]
fn refused_under_lockdown_and_possible_without() -> Result<()> {
    for settings in [PRELOADED, STRICT] {
        let cluster = Cluster::start(settings)?;
        let mut client = cluster.database("test")?;
        run(&mut client, LOG)?;
        let rows: i64 = client
            .query_one(
                "SELECT (SELECT count(*) FROM audit.audit_log) + (SELECT count(*) FROM audit.guard_events)",
                &[],
            )?
            .try_get(0)?;
        for sql in ["DROP EXTENSION audit_guard", "DROP EXTENSION audit_guard CASCADE"] {
            let (code, message, hint) = failure(&mut client, sql)?;
            assert_eq!(code, "23001", "{message}");
            // With a point at each thousand. Each attempt is one row more.
            let held = message.strip_prefix("lockdown is on: extension audit_guard holds 12,");
            let held = held.and_then(|rest| rest.strip_suffix(" protected rows")).ok_or(message.clone())?;
            assert!(
                held.len() == 3 && (rows..rows + 3).contains(&(held.parse::<i64>()? + 12_000)),
                "{message}"
            );
            assert_eq!(
                hint,
                "audit_guard.lockdown = off in postgresql.conf, restart, repeat. \
                 The command is recorded in the server log."
            );
        }
        drop(client);
        let mut beside = cluster.connect("postgres", "postgres")?;
        for sql in
            ["DROP DATABASE test", "DROP DATABASE test WITH (FORCE)", "ALTER DATABASE test RENAME TO gone"]
        {
            let (code, message, hint) = failure(&mut beside, sql)?;
            assert_eq!(
                (code.as_str(), message.as_str()),
                ("23001", "lockdown is on: database \"test\" holds protected rows")
            );
            assert!(
                hint.starts_with("audit_guard.lockdown = off in postgresql.conf, restart, repeat."),
                "{hint}"
            );
        }
        let dropdb = cluster.run("dropdb", &["test"]).err().ok_or("dropped")?.to_string();
        assert!(dropdb.contains("lockdown is on: database \"test\" holds protected rows"), "{dropdb}");
        let log = std::fs::read_to_string(cluster.dir().join("server.log"))?;
        for command in ["DROP DATABASE", "DROP EXTENSION"] {
            assert!(log.lines().any(|line| line.contains(command)), "not in the server log: {command}");
        }

        // Only the file and a restart change it.
        for sql in ["SET audit_guard.lockdown = off", "SET LOCAL audit_guard.lockdown = off"] {
            assert_eq!(failure(&mut beside, sql)?.0, "55P02", "{sql}");
        }
        drop(beside);
        cluster.restart_with(OFF)?;
        let mut client = cluster.connect("postgres", "test")?;
        let begun: i64 = client.query_one("SELECT count(*) FROM audit.audit_log", &[])?.try_get(0)?;
        assert_eq!(begun, 12000, "nothing was lost meanwhile");
        run(&mut client, "SELECT audit.disable_tracking('t', 'the end')")?;
        run(&mut client, "DROP EXTENSION audit_guard")?;
        drop(client);
        cluster.run("dropdb", &["test"])?;
    }
    Ok(())
}

/// A database with the extension alone, in which nothing has happened yet, is nobody's evidence.
#[test]
fn before_the_first_row() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = cluster.database("test")?;
    run(&mut client, "DROP EXTENSION audit_guard; CREATE EXTENSION audit_guard; DROP EXTENSION audit_guard")?;
    run(&mut client, "DROP SCHEMA IF EXISTS audit")?;
    drop(client);
    drops(&cluster, "test")
}

/// Databases without the extension are none of our business.
#[test]
fn other_databases() -> Result<()> {
    let cluster = Cluster::start(STRICT)?;
    drop(guarded::database(&cluster, "guarded")?);
    cluster.empty_database("other")?;
    let mut client = cluster.connect("postgres", "postgres")?;
    run(&mut client, "ALTER DATABASE other RENAME TO another")?;
    run(&mut client, "DROP DATABASE another")
}

/// Without preloading both are possible: it takes the hooks to refuse them.
#[test]
fn without_preloading() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    drop(guarded::database(&cluster, "test")?);
    cluster.run("dropdb", &["test"])?;
    Ok(())
}

/// A harness makes a database of a template for each test, and drops it. With lockdown off that is as without
/// us, the recorder's worker included: it leaves when it is asked to.
#[test]
fn harness_with_lockdown_off() -> Result<()> {
    let cluster = Cluster::start(OFF)?;
    drop(guarded::database(&cluster, "template_app")?);
    for round in 0..5 {
        copies(&cluster, "template_app", "one_test").map_err(|e| format!("round {round}: {e}"))?;
        let mut client = cluster.connect("postgres", "one_test")?;
        run(&mut client, "INSERT INTO app.consents (id) VALUES (100); DELETE FROM app.drafts")?;
        refused(&mut client, "DELETE FROM app.consents", "23001")?;
        drop(client);
        drops(&cluster, "one_test").map_err(|e| format!("round {round}: {e}"))?;
    }
    Ok(())
}

/// Under lockdown the copies are as well protected as the template, so they stay.
#[test]
fn harness_under_lockdown() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "template_app")?;
    let expected = contents(&mut client)?;
    refused(&mut client, "DELETE FROM app.consents", "23001")?;
    drop(client);
    let mut template = "template_app".to_owned();
    for round in 0..3 {
        // A copy of the copy: its worker has work to do, and must be out of the way a moment later.
        let name = format!("copy_{round}");
        copies(&cluster, &template, &name)?;
        let mut client = cluster.connect("postgres", &name)?;
        same(&mut client, &expected, &[]).map_err(|e| format!("{name}: {e}"))?;
        locked_down(&mut client).map_err(|e| format!("{name}: {e}"))?;
        drop(client);
        let (code, ..) =
            failure(&mut cluster.connect("postgres", "postgres")?, &format!("DROP DATABASE {name}"))?;
        assert_eq!(code, "23001");
        template = name;
    }
    Ok(())
}

/// Drops a database as dropdb does. Its last session may be on its way out, and the server itself waits for
/// five seconds only.
fn drops(cluster: &Cluster, name: &str) -> Result<()> {
    patiently(cluster, &format!("DROP DATABASE {name}"))
}

fn copies(cluster: &Cluster, template: &str, name: &str) -> Result<()> {
    patiently(cluster, &format!("CREATE DATABASE {name} TEMPLATE {template}"))
}

/// Other sessions (55006) may need a moment; nothing else is forgiven.
fn patiently(cluster: &Cluster, sql: &str) -> Result<()> {
    let mut client = cluster.connect("postgres", "postgres")?;
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        match client.batch_execute(sql) {
            Ok(()) => return Ok(()),
            Err(e) if e.code().is_some_and(|code| code.code() == "55006") && Instant::now() < end => {
                sleep(Duration::from_millis(100));
            }
            Err(e) => return Err(format!("{sql}: {e:?}").into()),
        }
    }
}
