//! Processes killed without warning under concurrent load. After the restart log and data agree:
//! each change whose commit was confirmed is there once, with its log row; none that was rolled
//! back is in either; and whatever was under way is in both or in neither.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::tables::{REFERENCE, TABLES, Table, WORKLOAD};
use audit_guard_e2e::workload::{Writer, is_disconnect};
use audit_guard_e2e::{Failure, Result, judge, replay, seed};
use postgres::Client;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Sessions under load.
const SESSIONS: i64 = 4;
/// The settings of production where durability is concerned, and room for all that stays prepared.
const DURABLE: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("restart_after_crash", "on"),
    ("max_prepared_transactions", "1000"),
];
/// How long each load lasts before the kill.
const LOAD: Duration = Duration::from_millis(1300);

/// The table whose every row is accounted for: a session, its transaction, a step in it. The slow
/// reference stays away from it, so that the load is one of the extension.
const LEDGER: &str = "CREATE TABLE app.ledger (session bigint, txn bigint, step int, note text,
     PRIMARY KEY (session, txn, step));
    SELECT audit.enable_tracking('app.ledger');
    GRANT ALL ON app.ledger TO writer;";

/// Log rows of the parts that every transaction rolls back.
const UNDONE_STEPS: &str = "SELECT count(*) FROM audit.audit_log WHERE table_name = 'ledger'
    AND ((new_record ->> 'step')::int >= 100 OR new_record ->> 'note' = 'lost')";

/// What a session knows about its transactions.
#[derive(Default)]
struct Account {
    confirmed: Vec<i64>,
    undone: Vec<i64>,
    doubtful: Vec<i64>,
    prepared: Vec<i64>,
}

#[test]
fn killed_under_load() -> Result<()> {
    let seed = seed("crash")?;
    let cluster = Cluster::start(DURABLE)?;
    let mut admin = cluster.database("app")?;
    admin.batch_execute(REFERENCE)?;
    admin.batch_execute(WORKLOAD)?;
    admin.batch_execute(LEDGER)?;
    let mut total = [0; 4];
    // The postmaster alone (its children notice), everything at once, and one writing backend.
    for (round, victim) in
        [Victim::Postmaster, Victim::Everything, Victim::Backend, Victim::Everything].into_iter().enumerate()
    {
        let accounts = load_and_kill(&cluster, seed + round as u64, round as i64, victim)?;
        let mut admin = revive(&cluster, victim)?;
        for account in &accounts {
            for (sum, list) in total.iter_mut().zip([
                &account.confirmed,
                &account.undone,
                &account.doubtful,
                &account.prepared,
            ]) {
                *sum += list.len();
            }
        }
        agree(&mut admin, &accounts).map_err(|e| format!("round {round}, killed {victim:?}: {e}"))?;
    }
    println!("transactions confirmed, undone, doubtful, prepared: {total:?}");
    assert!(
        total[0] > 300 && total[1] > 50 && total[2] > 3 && total[3] > 5,
        "too little happened: {total:?}"
    );
    // Capture goes on, with ids nobody had before.
    let mut admin = cluster.connect("postgres", "app")?;
    admin.batch_execute("INSERT INTO app.ledger VALUES (-1, -1, -1, 'after')")?;
    judge::log_is_sound(&mut admin)
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Postmaster,
    Everything,
    Backend,
}

/// Runs the load, kills, and returns what the sessions know.
fn load_and_kill(cluster: &Cluster, seed: u64, round: i64, victim: Victim) -> Result<Vec<Account>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut sessions = Vec::new();
        for number in 0..SESSIONS {
            let stop = &stop;
            sessions.push(scope.spawn(move || keep_books(cluster, seed, round * SESSIONS + number, stop)));
        }
        // Beside the accounted transactions the general workload, of which only agreement is known.
        let general = scope.spawn(move || -> Result<()> {
            let mut writer = Writer::new(cluster, "app", "writer", TABLES, seed, 77)?;
            writer.run(1_000_000)
        });
        thread::sleep(LOAD);
        let kill = kill(cluster, victim);
        // A killed backend ends the other sessions too; without that they would go on for ever.
        stop.store(true, Ordering::SeqCst);
        let accounts: Vec<Result<Account>> =
            sessions.into_iter().map(|s| s.join().map_err(|_| "a session panicked")?).collect();
        let general = general.join().map_err(|_| "the general writer panicked")?;
        kill?;
        match general {
            Err(e) if lost_its_server(&e) => {}
            other => return Err(format!("the general writer should have lost its server: {other:?}").into()),
        }
        accounts.into_iter().collect()
    })
}

/// Whether a failure is the end of the server, as the client's error or as text that quotes one.
fn lost_its_server(failure: &Failure) -> bool {
    let text = failure.to_string();
    failure.downcast_ref::<postgres::Error>().is_some_and(is_disconnect)
        || ["SqlState(E57P0", "kind: Closed", "kind: Io", "kind: Connect"]
            .iter()
            .any(|sign| text.contains(sign))
}

fn kill(cluster: &Cluster, victim: Victim) -> Result<()> {
    let mut admin = cluster.connect("postgres", "app")?;
    let writing =
        "SELECT pid FROM pg_stat_activity WHERE usename = 'writer' AND state <> 'idle' ORDER BY pid LIMIT 1";
    let processes = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
    let pids = |client: &mut Client, query: &str| -> Result<Vec<i32>> {
        Ok(client.query(query, &[])?.iter().map(|row| row.get(0)).collect())
    };
    match victim {
        Victim::Postmaster => {
            let children = pids(&mut admin, "SELECT pid FROM pg_stat_activity")?;
            drop(admin);
            cluster.kill_hard(cluster.postmaster()?)?;
            bury(cluster, &children);
            Ok(())
        }
        Victim::Everything => {
            // The postmaster first, so that it has no time to end anything in good order.
            let others = pids(&mut admin, processes)?;
            cluster.kill_hard(cluster.postmaster()?)?;
            for pid in others {
                // Some have noticed and gone by themselves.
                let _gone = cluster.kill_hard(pid.unsigned_abs());
            }
            Ok(())
        }
        Victim::Backend => {
            for _ in 0..100 {
                if let Some(pid) = pids(&mut admin, writing)?.first() {
                    return cluster.kill_hard(pid.unsigned_abs());
                }
            }
            Err("no backend was writing".into())
        }
    }
}

/// Waits until the children of a killed postmaster have noticed. One that waits for a lock in shared memory,
/// which another took along when it left, never does; the server then asks for it to be ended by hand before
/// it starts again.
fn bury(cluster: &Cluster, children: &[i32]) {
    let alive = |pid: &i32| Path::new(&format!("/proc/{pid}")).exists();
    for _ in 0..150 {
        if !children.iter().any(alive) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    for pid in children.iter().filter(|pid| alive(pid)) {
        println!("process {pid} outlived its postmaster by 15 seconds and is ended");
        // It may have gone this very moment.
        let _gone = cluster.kill_hard(pid.unsigned_abs());
    }
}

/// Makes sure the server runs again and has been through recovery.
fn revive(cluster: &Cluster, victim: Victim) -> Result<Client> {
    if !matches!(victim, Victim::Backend) {
        cluster.boot()?;
    }
    for _ in 0..100 {
        match cluster.connect("postgres", "app") {
            Ok(client) => return Ok(client),
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
    Err("the server does not come back".into())
}

/// Writes numbered transactions with savepoints and rollbacks until the server is gone.
fn keep_books(cluster: &Cluster, seed: u64, session: i64, stop: &AtomicBool) -> Result<Account> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(31) + session.unsigned_abs());
    let mut client = cluster.connect("writer", "app")?;
    let mut account = Account::default();
    for txn in 0.. {
        if stop.load(Ordering::SeqCst) && client.is_closed() {
            break;
        }
        let rows = rng.random_range(1..6);
        let row = |step: i64| format!("({session}, {txn}, {step}, repeat('n', {}))", 40 * step);
        let several = |from: i64, to: i64| (from..to).map(row).collect::<Vec<_>>().join(", ");
        // Steps below 100 stay, steps from 100 on are rolled back with a savepoint.
        let work = format!(
            "BEGIN; INSERT INTO app.ledger VALUES {}; SAVEPOINT a; INSERT INTO app.ledger VALUES {};
             UPDATE app.ledger SET note = 'lost' WHERE session = {session} AND txn = {txn}; ROLLBACK TO a;
             SAVEPOINT b; UPDATE app.ledger SET note = note || '!' WHERE session = {session} AND txn = {txn};
                 RELEASE b;
             DELETE FROM app.ledger WHERE session = {session} AND txn = {txn} AND step = 0;",
            several(0, rows + 1),
            several(100, 102)
        );
        let gid = format!("{session}/{txn}");
        let end = rng.random_range(0..10);
        let outcome = match end {
            0 | 1 => client.batch_execute(&format!("{work} ROLLBACK")),
            2 => client.batch_execute(&format!("{work} PREPARE TRANSACTION '{gid}'")),
            _ => client.batch_execute(&format!("{work} COMMIT")),
        };
        match (outcome, end) {
            (Ok(()), 0 | 1) => account.undone.push(txn),
            (Ok(()), 2) => account.prepared.push(txn),
            (Ok(()), _) => account.confirmed.push(txn),
            (Err(e), end) if is_disconnect(&e) => {
                if end > 1 {
                    account.doubtful.push(txn);
                } else {
                    account.undone.push(txn);
                }
                break;
            }
            (Err(e), _) => return Err(format!("session {session}: {e:?}").into()),
        }
        // One of a few prepared ones is committed at once; the others wait for the restart.
        if end == 2 && rng.random_ratio(2, 3) {
            account.prepared.pop();
            match client.batch_execute(&format!("COMMIT PREPARED '{gid}'")) {
                Ok(()) => account.confirmed.push(txn),
                Err(e) if is_disconnect(&e) => {
                    account.doubtful.push(txn);
                    break;
                }
                Err(e) => return Err(format!("session {session}: {e:?}").into()),
            }
        }
    }
    account.session(session)
}

impl Account {
    /// Numbers the transactions for the whole test.
    fn session(mut self, session: i64) -> Result<Self> {
        for list in [&mut self.confirmed, &mut self.undone, &mut self.doubtful, &mut self.prepared] {
            for txn in list {
                *txn += session * 1_000_000;
            }
        }
        Ok(self)
    }
}

/// Ends what was prepared, then compares accounts, data, log and reference.
fn agree(admin: &mut Client, accounts: &[Account]) -> Result<()> {
    let prepared = admin.query("SELECT gid FROM pg_prepared_xacts", &[])?;
    let prepared: Vec<String> = prepared.iter().map(|row| row.get(0)).collect();
    let gid = |n: &i64| format!("{}/{}", n / 1_000_000, n % 1_000_000);
    let mut undone: Vec<i64> = accounts.iter().flat_map(|a| a.undone.clone()).collect();
    let mut confirmed: Vec<i64> = accounts.iter().flat_map(|a| a.confirmed.clone()).collect();
    let mut doubtful: Vec<i64> = accounts.iter().flat_map(|a| a.doubtful.clone()).collect();
    for (i, txn) in accounts.iter().flat_map(|a| &a.prepared).enumerate() {
        let gid = gid(txn);
        if !prepared.contains(&gid) {
            return Err(format!("transaction {gid} was prepared and is gone").into());
        }
        let list = if i % 2 == 0 { &mut confirmed } else { &mut undone };
        list.push(*txn);
        admin
            .batch_execute(&format!("{} PREPARED '{gid}'", if i % 2 == 0 { "COMMIT" } else { "ROLLBACK" }))?;
    }
    // What is left was prepared while the server died, or belongs to the general workload.
    for gid in admin.query("SELECT gid FROM pg_prepared_xacts", &[])? {
        admin.batch_execute(&format!("ROLLBACK PREPARED '{}'", gid.get::<_, String>(0)))?;
    }
    doubtful.sort_unstable();
    for (what, table) in [
        ("data", "SELECT DISTINCT session * 1000000 + txn FROM app.ledger WHERE session >= 0"),
        (
            "log",
            "SELECT DISTINCT (new_record ->> 'session')::bigint * 1000000 + (new_record ->> 'txn')::bigint
             FROM audit.audit_log WHERE table_name = 'ledger' AND operation = 'INSERT'",
        ),
    ] {
        let there: std::collections::HashSet<i64> =
            admin.query(table, &[])?.iter().map(|row| row.get(0)).collect();
        if let Some(lost) = confirmed.iter().find(|txn| !there.contains(txn)) {
            return Err(format!("confirmed transaction {} is not in the {what}", gid(lost)).into());
        }
        if let Some(ghost) = undone.iter().find(|txn| there.contains(txn)) {
            return Err(format!("transaction {} was rolled back and is in the {what}", gid(ghost)).into());
        }
    }
    let undone_steps: i64 = admin.query_one(UNDONE_STEPS, &[])?.get(0);
    if undone_steps != 0 {
        return Err(format!("{undone_steps} log rows of changes undone by ROLLBACK TO").into());
    }
    let differences: i64 = admin
        .query_one(
            "SELECT count(*) FROM reference.differences WHERE transaction_id NOT IN (
             SELECT transaction_id FROM audit.audit_log WHERE table_name = 'ledger')",
            &[],
        )?
        .get(0);
    if differences != 0 {
        return Err(format!("{differences} differences from the reference").into());
    }
    let ledger = Table {
        schema: "app",
        name: "ledger",
        key: const { &[column("session"), column("txn"), column("step")] },
        other: &[],
        exclude: &[],
        mask: &[],
        written: true,
    };
    let tables: Vec<Table> = TABLES.iter().cloned().chain([ledger]).collect();
    replay::compare(admin, &tables)?;
    judge::log_is_sound(admin)
}

const fn column(name: &'static str) -> audit_guard_e2e::tables::Column {
    audit_guard_e2e::tables::Column { name, ty: "int8", pool: 0 }
}
