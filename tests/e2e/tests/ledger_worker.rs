//! The sealer of the preloaded library: rows are sealed a moment after their commit without anybody asking,
//! and nobody who wants the database, the server or the process for themselves has to wait for it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::ledger::{exactly_once, is_clean, sealed_once};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::wait_until;
use audit_guard_e2e::{Result, judge};
use postgres::Client;

const PRELOADED: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("shared_preload_libraries", "audit_guard"),
    // Databases are dropped.
    ("audit_guard.lockdown", "off"),
];
const TABLE: &str = "CREATE TABLE work (id int PRIMARY KEY, note text); SELECT audit.enable_tracking('work')";
const ALL_SEALED: &str = "SELECT size > 0 AND unsealed_rows = 0 FROM audit.tree_head()";
const SEALERS: &str = "FROM pg_stat_activity WHERE backend_type ~ 'audit_guard' AND backend_type ~ 'seal'";

fn database(cluster: &Cluster, name: &str) -> Result<Client> {
    let mut client = cluster.database(name)?;
    run(&mut client, TABLE)?;
    Ok(client)
}

/// How long it takes until everything is sealed.
fn lag(client: &mut Client) -> Result<Duration> {
    let begin = Instant::now();
    while !client.query_one(ALL_SEALED, &[])?.try_get::<_, bool>(0)? {
        if begin.elapsed() > Duration::from_secs(30) {
            return Err("nothing is sealed".into());
        }
        sleep(Duration::from_millis(10));
    }
    Ok(begin.elapsed())
}

fn number(client: &mut Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(sql, &[]).map_err(|e| format!("{sql}: {e:?}"))?.try_get(0)?)
}

/// Commits of every kind, the first ones too, with the interval as it comes and as it is set later.
#[test]
fn soon_after_the_commit() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = database(&cluster, "app")?;
    assert!(lag(&mut client)? < Duration::from_secs(10), "the first rows");
    let mut worst = Duration::ZERO;
    for i in 0..10 {
        run(&mut client, &format!("INSERT INTO work VALUES ({i}, 'x')"))?;
        worst = worst.max(lag(&mut client)?);
        sleep(Duration::from_millis(67 * i % 300));
    }
    println!("the slowest of 10 single rows: {worst:?}");
    assert!(worst < Duration::from_secs(2), "{worst:?}");

    let set = |client: &mut Client, milliseconds: u32| -> Result<()> {
        run(client, &format!("ALTER SYSTEM SET audit_guard.seal_interval = {milliseconds}"))?;
        run(client, "SELECT pg_reload_conf()")?;
        wait_until(
            client,
            &format!(
                "SELECT setting = '{milliseconds}' FROM pg_settings WHERE name = 'audit_guard.seal_interval'"
            ),
        )
    };
    set(&mut client, 3000)?;
    run(&mut client, "INSERT INTO work VALUES (100, 'x')")?;
    lag(&mut client)?;
    run(&mut client, "INSERT INTO work VALUES (101, 'x')")?;
    let slow = lag(&mut client)?;
    // Who waits for it gets it at once.
    run(&mut client, "INSERT INTO work VALUES (102, 'x')")?;
    let begin = Instant::now();
    assert!(client.query_one("SELECT audit.wait_sealed()", &[])?.try_get::<_, bool>(0)?);
    let hurried = begin.elapsed();
    set(&mut client, 50)?;
    run(&mut client, "INSERT INTO work VALUES (103, 'x')")?;
    lag(&mut client)?;
    run(&mut client, "INSERT INTO work VALUES (104, 'x')")?;
    let fast = lag(&mut client)?;
    println!("3 s: {slow:?}, waited for: {hurried:?}, 50 ms: {fast:?}");
    assert!(slow > Duration::from_millis(1500) && slow < Duration::from_secs(5), "{slow:?}");
    assert!(hurried < Duration::from_millis(1500) && fast < Duration::from_millis(1500));
    let inside = "BEGIN; INSERT INTO work VALUES (105, 'x')";
    run(&mut client, inside)?;
    assert!(
        !client.query_one("SELECT audit.wait_sealed()", &[])?.try_get::<_, bool>(0)?,
        "sealed before the commit"
    );
    run(&mut client, "COMMIT")?;
    sealed_once(&mut client)?;
    judge::server_is_content(&cluster, "app")
}

/// It shows that it is there, and it goes when there is nothing to do; the next commit brings it back.
#[test]
fn comes_and_goes() -> Result<()> {
    let cluster = Cluster::start(&[PRELOADED, &[("audit_guard.heartbeat", "1")]].concat())?;
    let mut client = database(&cluster, "app")?;
    run(&mut client, "INSERT INTO work VALUES (1, 'x')")?;
    lag(&mut client)?;
    let mut outside = cluster.connect("postgres", "postgres")?;
    wait_until(&mut outside, &format!("SELECT count(*) > 0 {SEALERS} AND datname = 'app'"))?;
    wait_until(&mut client, "SELECT count(*) > 0 FROM audit.seals WHERE leaves = 1")?;
    wait_until(&mut outside, &format!("SELECT count(*) = 0 {SEALERS}"))?;
    let seals = number(&mut client, "SELECT count(*) FROM audit.seals")?;
    sleep(Duration::from_millis(2500));
    assert_eq!(
        number(&mut client, "SELECT count(*) FROM audit.seals")?,
        seals,
        "seals while nobody was there"
    );
    run(&mut client, "INSERT INTO work VALUES (2, 'x')")?;
    assert!(lag(&mut client)? < Duration::from_secs(2));
    // Ended from outside, in the middle of the work.
    for i in 10..30 {
        run(
            &mut client,
            &format!("INSERT INTO work SELECT {i} * 100 + n, 'x' FROM generate_series(1, 50) AS n"),
        )?;
        run(&mut outside, &format!("SELECT pg_terminate_backend(pid) {SEALERS}"))?;
        sleep(Duration::from_millis(60));
    }
    lag(&mut client)?;
    exactly_once(&mut client)?;
    is_clean(&mut client)?;
    // A restart leaves nothing behind.
    run(&mut client, "INSERT INTO work VALUES (3, 'x')")?;
    drop((client, outside));
    cluster.restart()?;
    let mut client = cluster.connect("postgres", "app")?;
    lag(&mut client)?;
    exactly_once(&mut client)?;
    is_clean(&mut client)?;
    judge::server_is_content(&cluster, "app")
}

/// Eight databases with rows at the same time, and those who want one of them for themselves.
#[test]
fn many_databases() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut clients: Vec<Client> =
        (0..8).map(|i| database(&cluster, &format!("d{i}"))).collect::<Result<_>>()?;
    let begin = Instant::now();
    for client in &mut clients {
        run(client, "INSERT INTO work SELECT i, 'x' FROM generate_series(1, 500) AS i")?;
    }
    for client in &mut clients {
        lag(client)?;
        exactly_once(client)?;
        is_clean(client)?;
    }
    println!("8 databases: {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    let mut admin = cluster.connect("postgres", "postgres")?;
    for i in 0..4 {
        let mut client = clients.pop().ok_or("no client")?;
        run(&mut client, "INSERT INTO work VALUES (1000, 'a moment before')")?;
        drop(client);
        let own = 7 - i;
        // The server itself waits five seconds for others to leave, and no longer.
        let begin = Instant::now();
        if i % 2 == 0 {
            run(&mut admin, &format!("CREATE DATABASE copy{i} TEMPLATE d{own}"))?;
        }
        run(&mut admin, &format!("DROP DATABASE d{own}"))?;
        assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    }
    // A copy is stopped, and the log says so once.
    let mut copy = cluster.connect("postgres", "copy0")?;
    for id in 2000..2005 {
        run(&mut copy, &format!("INSERT INTO work VALUES ({id}, 'x')"))?;
        sleep(Duration::from_millis(300));
    }
    let log = std::fs::read_to_string(cluster.dir().join("server.log"))?;
    let said = log.lines().filter(|line| line.contains("nothing more is sealed in database copy0")).count();
    assert_eq!(said, 1, "lines of the log about copy0");
    for client in &mut clients {
        run(client, "INSERT INTO work VALUES (3000, 'x')")?;
        lag(client)?;
        exactly_once(client)?;
    }
    judge::server_is_content(&cluster, "d0")
}
