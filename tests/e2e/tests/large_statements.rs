//! One statement that changes very many rows: every row is logged, and the session needs no more memory
//! than with a trigger that does nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::steps::run;
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// Rows inserted by one statement; the others change every fourth of them.
const ROWS: i64 = 1_000_000;
/// More memory than with an empty trigger, in kB, that is no sign of anything kept per row.
const TOLERATED: u64 = 4_000;

/// Private memory of a process in kB.
fn private_memory(pid: i32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

/// Runs the statement in a session of its own and returns the highest memory seen, in kB.
fn peak(client: &mut Client, sql: &str) -> Result<u64> {
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let (began, ended) = (Instant::now(), AtomicBool::new(false));
    let highest = thread::scope(|scope| -> Result<u64> {
        let watcher = scope.spawn(|| -> Result<u64> {
            let mut highest = 0;
            while !ended.load(Ordering::Relaxed) {
                highest = highest.max(private_memory(pid)?);
                thread::sleep(Duration::from_millis(5));
            }
            Ok(highest)
        });
        let outcome = run(client, sql);
        ended.store(true, Ordering::Relaxed);
        let highest = watcher.join().map_err(|_| "the watcher panicked")??;
        outcome.map(|()| highest)
    })?;
    println!("{sql}: {:?}, {highest} kB", began.elapsed());
    Ok(highest)
}

#[test]
fn a_million_rows_in_one_statement() -> Result<()> {
    let settings = [("fsync", "off"), ("max_wal_size", "8GB"), ("synchronous_commit", "off")];
    let cluster = Cluster::start(&settings)?;
    let mut client = cluster.database("million")?;
    run(
        &mut client,
        "CREATE TABLE plain (id int PRIMARY KEY, v text, n int);
         CREATE TABLE tracked (LIKE plain INCLUDING ALL);
         CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER nothing AFTER INSERT OR UPDATE OR DELETE ON plain
             FOR EACH ROW EXECUTE FUNCTION nothing();
         SELECT audit.enable_tracking('tracked')",
    )?;
    let insert =
        format!("INSERT INTO TABLE SELECT i, 'row ' || i, i % 10 FROM generate_series(1, {ROWS}) AS i");
    for statement in
        [insert.as_str(), "UPDATE TABLE SET n = n + 1 WHERE id % 4 = 0", "DELETE FROM TABLE WHERE id % 4 = 0"]
    {
        let mut memory = Vec::new();
        for table in ["plain", "tracked"] {
            let mut session = cluster.connect("postgres", "million")?;
            memory.push(peak(&mut session, &statement.replace("TABLE", table))?);
        }
        let more = memory[1].saturating_sub(memory[0]);
        assert!(more < TOLERATED, "{statement}: {more} kB more than with an empty trigger");
    }
    let row = client.query_one(
        "SELECT count(*) FILTER (WHERE operation = 'INSERT'), count(*) FILTER (WHERE operation = 'UPDATE'),
                count(*) FILTER (WHERE operation = 'DELETE'), count(DISTINCT (operation, record_id)),
                count(DISTINCT transaction_id)
         FROM audit.audit_log",
        &[],
    )?;
    let counts: Vec<i64> = (0..5).map(|i| row.get(i)).collect();
    assert_eq!(counts, [ROWS, ROWS / 4, ROWS / 4, ROWS + ROWS / 2, 3]);
    judge::server_is_content(&cluster, "million")
}
