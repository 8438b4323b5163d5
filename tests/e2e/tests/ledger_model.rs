//! Sealing beside transactions of every kind, by several sealers at once, through crashes: at the end each
//! committed row is exactly one leaf, nothing else is, and at no moment does verify() find anything wrong.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::ledger::{exactly_once, is_clean, seal_all, verify};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::wait_until;
use audit_guard_e2e::workload::{is_disconnect, is_expected};
use audit_guard_e2e::{Result, seed};
use postgres::Client;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const BY_HAND: &[(&str, &str)] = &[("fsync", "off"), ("max_prepared_transactions", "200")];
const BY_WORKER: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("max_prepared_transactions", "200"),
    ("shared_preload_libraries", "audit_guard"),
    ("audit_guard.seal_interval", "50ms"),
    ("audit_guard.heartbeat", "1s"),
];
/// A row says which session wrote it in which of its transactions.
const TABLE: &str = "CREATE TABLE work (session int, txn int, step int, PRIMARY KEY (session, txn, step));
    SELECT audit.enable_tracking('work')";
const SESSIONS: i32 = 4;
const LOAD: Duration = Duration::from_millis(2500);

/// What a session knows of its transactions.
#[derive(Default)]
struct Account {
    committed: Vec<(i32, i32)>,
    undone: Vec<(i32, i32)>,
    prepared: Vec<(i32, i32)>,
}

/// Who is killed in the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Nobody,
    Server,
    Sealer,
}

#[test]
fn sealed_by_hand() -> Result<()> {
    model("by_hand", BY_HAND, &[Victim::Nobody, Victim::Server, Victim::Sealer])
}

#[test]
fn sealed_by_worker_and_by_hand() -> Result<()> {
    model("by_worker", BY_WORKER, &[Victim::Nobody, Victim::Sealer, Victim::Server])
}

fn model(name: &str, settings: &[(&str, &str)], victims: &[Victim]) -> Result<()> {
    let seed = seed(name)?;
    let cluster = Cluster::start(settings)?;
    let mut admin = cluster.database("app")?;
    run(&mut admin, TABLE)?;
    run(&mut admin, "INSERT INTO work VALUES (-1, -1, -1)")?;
    for (round, victim) in victims.iter().enumerate() {
        let first = i32::try_from(round)? * SESSIONS * 2;
        let account = load(&cluster, seed, first, *victim).map_err(|e| format!("{victim:?}: {e}"))?;
        admin = reconnect(&cluster)?;
        settle(&mut admin, account).map_err(|e| format!("after {victim:?}: {e}"))?;
    }

    let seals: i64 = admin.query_one("SELECT count(*) FROM audit.seals", &[])?.try_get(0)?;
    assert!(seals > 20, "{seals} seals are no test of sealing beside writers");
    Ok(())
}

/// Writers, sealers and a verifier for a while; what was known to be committed.
fn load(cluster: &Cluster, seed: u64, first: i32, victim: Victim) -> Result<Account> {
    let stop = AtomicBool::new(false);
    let mut open = cluster.connect("postgres", "app")?;
    run(&mut open, &format!("BEGIN; INSERT INTO work VALUES ({}, 0, 0)", first + SESSIONS))?;
    let account = thread::scope(|scope| -> Result<Account> {
        let stop = &stop;
        let writers: Vec<_> = (first..first + SESSIONS)
            .map(|session| scope.spawn(move || write(cluster, seed, session, stop)))
            .collect();
        let mut helpers: Vec<_> = (0..2).map(|_| scope.spawn(move || seal(cluster, stop))).collect();
        helpers.push(scope.spawn(move || look(cluster, stop)));
        thread::sleep(LOAD / 2);
        let killed = kill(cluster, victim);
        if victim == Victim::Nobody {
            thread::sleep(LOAD / 2);
        }
        stop.store(true, Ordering::SeqCst);
        let mut all = Account::default();
        for writer in writers {
            let account = writer.join().map_err(|_| "a writer panicked")??;
            all.committed.extend(account.committed);
            all.undone.extend(account.undone);
            all.prepared.extend(account.prepared);
        }
        for helper in helpers {
            helper.join().map_err(|_| "a sealer or the verifier panicked")??;
        }
        killed.map(|()| all)
    });
    let mut account = account?;
    let held = (first + SESSIONS, 0);
    match open.batch_execute("COMMIT") {
        Ok(()) if victim == Victim::Nobody => account.committed.push(held),
        Err(e) if victim != Victim::Nobody && is_disconnect(&e) => account.undone.push(held),
        other => return Err(format!("the transaction that stayed open: {other:?}").into()),
    }
    if victim == Victim::Server {
        cluster.boot()?;
    }
    Ok(account)
}

fn kill(cluster: &Cluster, victim: Victim) -> Result<()> {
    let mut admin = match victim {
        Victim::Nobody => return Ok(()),
        Victim::Server | Victim::Sealer => cluster.connect("postgres", "app")?,
    };
    if victim == Victim::Server {
        drop(admin);
        cluster.kill_hard(cluster.postmaster()?)?;
        // Its children notice; the next start waits for them.
        return Ok(());
    }
    let sealers = "SELECT pid FROM pg_stat_activity WHERE query ~ '^SELECT audit.seal' AND state = 'active'
        OR backend_type ~ 'audit_guard' AND datname = 'app' ORDER BY backend_type LIMIT 1";
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if let Some(row) = admin.query_opt(sealers, &[])? {
            return cluster.kill_hard(row.try_get::<_, i32>(0)?.unsigned_abs());
        }
    }
    Err("nobody was sealing".into())
}

fn reconnect(cluster: &Cluster) -> Result<Client> {
    for _ in 0..200 {
        match cluster.connect("postgres", "app") {
            Ok(client) => return Ok(client),
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
    Err("the server does not come back".into())
}

/// Seals again and again. Who is refused or cut off by a kill begins no second time.
fn seal(cluster: &Cluster, stop: &AtomicBool) -> Result<()> {
    let mut client = cluster.connect("postgres", "app")?;
    while !stop.load(Ordering::SeqCst) {
        match client.batch_execute("SELECT audit.seal()") {
            Ok(()) => thread::sleep(Duration::from_millis(15)),
            Err(e) if is_disconnect(&e) => return Ok(()),
            Err(e) => return Err(format!("seal(): {e:?}").into()),
        }
    }
    Ok(())
}

/// Whatever the others do just now, nothing is ever wrong.
fn look(cluster: &Cluster, stop: &AtomicBool) -> Result<()> {
    let mut client = cluster.connect("postgres", "app")?;
    while !stop.load(Ordering::SeqCst) {
        match client.query("SELECT code, stream, id, detail FROM audit.verify()", &[]) {
            Ok(rows) => {
                if let Some(row) = rows.iter().find(|row| row.get::<_, &str>(0) != "internally_consistent") {
                    return Err(format!("verify() beside writers: {row:?}").into());
                }
                thread::sleep(Duration::from_millis(150));
            }
            Err(e) if is_disconnect(&e) => return Ok(()),
            Err(e) => return Err(format!("verify(): {e:?}").into()),
        }
    }
    Ok(())
}

/// Transactions of every kind, until told to stop or cut off.
fn write(cluster: &Cluster, seed: u64, session: i32, stop: &AtomicBool) -> Result<Account> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(77) + u64::from(session.unsigned_abs()));
    let mut client = cluster.connect("postgres", "app")?;
    let mut account = Account::default();
    for txn in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let row = |step: i32| format!("INSERT INTO work VALUES ({session}, {txn}, {step});");
        let gid = format!("{session}/{txn}");
        let nap = format!("SELECT pg_sleep({});", rng.random_range(0.0..0.02));
        let kind = rng.random_range(0..8);
        let (sql, list) = match kind {
            0 => (row(0), &mut account.committed),
            1 => (format!("BEGIN; {} {nap} {} COMMIT", row(0), row(1)), &mut account.committed),
            // More subtransactions than a snapshot has room for, most of them rolled back; none of their rows
            // stays.
            2 => {
                let subs: String = (0..70)
                    .map(|i| {
                        format!(
                            "SAVEPOINT s; {} {}; ",
                            row(100 + i),
                            if i % 9 == 0 { "ROLLBACK TO s" } else { "RELEASE s" }
                        )
                    })
                    .collect();
                (
                    format!("BEGIN; {} SAVEPOINT o; {subs} ROLLBACK TO o; {nap} COMMIT", row(0)),
                    &mut account.committed,
                )
            }
            3 => (
                format!("BEGIN; {} SAVEPOINT a; {} RELEASE a; {nap} ROLLBACK", row(0), row(1)),
                &mut account.undone,
            ),
            4 => (
                format!("BEGIN; {} {nap} {} PREPARE TRANSACTION '{gid}'", row(0), row(1)),
                &mut account.prepared,
            ),
            5 => (format!("BEGIN; {} {nap} PREPARE TRANSACTION '{gid}'", row(0)), &mut account.undone),
            _ => {
                let level = if kind == 6 { "SERIALIZABLE" } else { "REPEATABLE READ" };
                let read = "SELECT count(*) FROM work WHERE step = 0;";
                (
                    format!("BEGIN ISOLATION LEVEL {level}; {read} {nap} {} COMMIT", row(0)),
                    &mut account.committed,
                )
            }
        };
        let done = client.batch_execute(&sql).and_then(|()| match kind {
            5 => client.batch_execute(&format!("ROLLBACK PREPARED '{gid}'")),
            _ => Ok(()),
        });
        match done {
            Ok(()) => list.push((session, txn)),
            // A killed server may have committed before it could say so: known neither way.
            Err(e) if is_disconnect(&e) => break,
            Err(e) if is_expected(&e) => {
                run(&mut client, "ROLLBACK")?;
                account.undone.push((session, txn));
            }
            Err(e) => return Err(format!("{sql:.300}: {e:?}").into()),
        }
        // Every second prepared transaction is committed a little later; the others stay, over the kill.
        if account.prepared.len() > 3 {
            let (_, txn) = account.prepared.remove(0);
            match client.batch_execute(&format!("COMMIT PREPARED '{session}/{txn}'")) {
                Ok(()) => account.committed.push((session, txn)),
                Err(e) if is_disconnect(&e) => break,
                Err(e) => return Err(format!("COMMIT PREPARED: {e:?}").into()),
            }
        }
    }
    Ok(account)
}

/// Ends what is still prepared, in two steps with seals between, and compares everything.
fn settle(admin: &mut Client, mut account: Account) -> Result<()> {
    seal_all(admin)?;
    is_clean(admin)?;
    for (i, row) in admin.query("SELECT gid FROM pg_prepared_xacts ORDER BY gid", &[])?.iter().enumerate() {
        let gid: String = row.try_get(0)?;
        let end = if i % 2 == 0 { "COMMIT" } else { "ROLLBACK" };
        run(admin, &format!("{end} PREPARED '{gid}'"))?;
        let (session, txn) = gid.split_once('/').ok_or("a strange name")?;
        let key = (session.parse()?, txn.parse()?);
        account.prepared.retain(|known| *known != key);
        if i % 2 == 0 {
            account.committed.push(key)
        } else {
            account.undone.push(key)
        }
        if i % 3 == 0 {
            run(admin, "SELECT audit.seal()")?;
        }
    }
    // Those whose COMMIT PREPARED was cut off.
    let doubtful: HashSet<(i32, i32)> = account.prepared.iter().copied().collect();
    seal_all(admin)?;
    let rows = exactly_once(admin)?;
    let found = verify(admin, "")?;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].code, "internally_consistent");
    assert!(found[0].detail.starts_with("rows, seals and tree agree"), "{}", found[0].detail);
    wait_until(admin, "SELECT unsealed_rows = 0 FROM audit.tree_head()")?;

    let sealed = "SELECT DISTINCT (l.new_record ->> 'session')::int, (l.new_record ->> 'txn')::int
        FROM audit.seals AS s CROSS JOIN LATERAL audit._entries(s.seal_no) AS e
        JOIN audit.audit_log AS l ON e.stream_no = 1 AND l.id = e.number
            AND l.transaction_id = e.transaction_id";
    let sealed: HashSet<(i32, i32)> =
        admin.query(sealed, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect();
    if let Some(lost) = account.committed.iter().find(|key| !sealed.contains(key) && !doubtful.contains(key))
    {
        return Err(format!("{lost:?} was committed and is not sealed").into());
    }
    if let Some(ghost) = account.undone.iter().find(|key| sealed.contains(key)) {
        return Err(format!("{ghost:?} was rolled back and is sealed").into());
    }
    let steps = "SELECT count(*) FROM audit.audit_log WHERE (new_record ->> 'step')::int >= 100";
    assert_eq!(
        admin.query_one(steps, &[])?.try_get::<_, i64>(0)?,
        0,
        "rows of savepoints that were rolled back"
    );
    println!("{rows} rows, {} committed, {} undone", account.committed.len(), account.undone.len());
    assert!(account.committed.len() > 20 && account.undone.len() > 5, "too little happened");
    Ok(())
}
