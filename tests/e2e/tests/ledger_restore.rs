//! A dumped ledger in another database: nothing is sealed there by itself, somebody says what happened, and
//! then every row is in exactly one seal, those of before and those that no seal had.

use std::thread::sleep;
use std::time::Duration;

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::guarded::PRELOADED;
use audit_guard_e2e::ledger::{
    Witness, exactly_once, is_clean, seal_all, sealed_once_with_a_gap, stopped, verdict_is, verify,
    with_history,
};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::tamper::unguarded;
use audit_guard_e2e::travel::wait_until;
use postgres::Client;

const PLAIN: &[(&str, &str)] = &[("fsync", "off")];
const PSQL: [&str; 4] = ["-X", "-q", "-v", "ON_ERROR_STOP=1"];
/// A transaction each.
const BURN: &str = "DO $$ BEGIN FOR i IN 1..1000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";
/// A name, and what psql (for plain text) or pg_restore is told.
const WAYS: &[(&str, &[&str])] = &[
    ("plain", &["-f", "plain.sql"]),
    ("plain_single", &["--single-transaction", "-f", "plain.sql"]),
    ("custom_parallel", &["-j2", "custom.dump"]),
    ("custom_single", &["--single-transaction", "custom.dump"]),
];

/// What was signed of the tree before it was dumped, and how many rows it had then, sealed or not.
struct Known {
    note: String,
    origin: String,
    rows: i64,
}

/// A cluster whose database `source` has a ledger: transactions with numbers that a new cluster has not
/// reached, a signed head, and rows that nobody has sealed.
fn source() -> Result<(Cluster, Known)> {
    let cluster = Cluster::start(PLAIN)?;
    let mut client = cluster.database("source")?;
    for _ in 0..3 {
        run(&mut client, BURN)?;
    }
    with_history(&mut client)?;
    let witness = Witness::new()?;
    witness.is_trusted_by(&mut client)?;
    seal_all(&mut client)?;
    let note = witness.sign_and_import(&mut client)?;
    let rows = exactly_once(&mut client)?;
    run(&mut client, "INSERT INTO app.visits SELECT i, 'not sealed' FROM generate_series(2001, 2005) AS i")?;
    let origin = client.query_one("SELECT origin FROM audit.tree_head()", &[])?.try_get(0)?;
    for dump in [&["-f", "plain.sql"][..], &["-Fc", "-f", "custom.dump"]] {
        cluster.run("pg_dump", &[&["-d", "source"], dump].concat())?;
    }
    Ok((cluster, Known { note, origin, rows: rows + 5 }))
}

/// Restores a dump of `from` into a new database of `to`.
fn restore(from: &Cluster, to: &Cluster, name: &str, args: &[&str]) -> Result<Client> {
    to.empty_database(name)?;
    let socket = to.dir().to_str().ok_or("the folder's name is not UTF-8")?;
    let args = [&["-h", socket, "-d", name], args].concat();
    let done = if args.last().is_some_and(|file| file.ends_with(".sql")) {
        from.run("psql", &[&PSQL, args.as_slice()].concat())
    } else {
        from.run("pg_restore", &[&["--exit-on-error"], args.as_slice()].concat())
    };
    done.map_err(|e| format!("{name}: {e}"))?;
    to.connect("postgres", name)
}

/// It is stopped and verifies as before, is declared, and goes on under another name.
fn comes_back(client: &mut Client, known: &Known) -> Result<()> {
    stopped(client)?;
    is_clean(client)?;
    verdict_is(client, Some(&known.note), "ok")?;
    run(client, "INSERT INTO app.visits VALUES (2100, 'before the declaration')")?;
    stopped(client)?;
    let said = client.query_one("SELECT audit.declare_discontinuity('restored from the backup')", &[])?;
    let origin: String = said.try_get(0)?;
    assert_ne!(origin, known.origin);
    assert!(origin.ends_with("/2"), "{origin}");
    // The event of the declaration itself and of what the restore did are rows, too.
    assert!(sealed_once_with_a_gap(client)? > known.rows + 1);
    verdict_is(client, Some(&known.note), "acknowledged_gap")?;
    let sick = "SELECT count(*) FROM audit.health() WHERE check_name IN ('ledger', 'identity') AND NOT ok";
    assert_eq!(client.query_one(sick, &[])?.try_get::<_, i64>(0)?, 0, "health()");
    run(client, "INSERT INTO app.visits VALUES (2101, 'goes on')")?;
    let witness = Witness::new()?;
    witness.is_trusted_by(client)?;
    seal_all(client)?;
    let new = witness.sign_and_import(client)?;
    verdict_is(client, Some(&new), "acknowledged_gap")
}

/// Numbers of transactions that rows from elsewhere have come again here, and take no row along a second
/// time.
fn numbers_come_again(client: &mut Client) -> Result<()> {
    let reached =
        "SELECT pg_current_xact_id()::text::bigint > (SELECT max(transaction_id) FROM audit.audit_log
        WHERE new_record ->> 'id' = '2005')";
    assert!(!client.query_one(reached, &[])?.try_get::<_, bool>(0)?, "the new cluster is not behind");
    for id in 3000..3005 {
        let change = format!("UPDATE app.visits SET email = 'x' WHERE id = {id}");
        run(client, &format!("INSERT INTO app.visits VALUES ({id}, 'x'); {change}"))?;
        seal_all(client)?;
        exactly_once(client)?;
        run(client, BURN)?;
    }
    assert!(client.query_one(reached, &[])?.try_get::<_, bool>(0)?, "the old numbers did not come again");
    sealed_once_with_a_gap(client)?;
    // What is changed now is found on both sides of the gap.
    for which in ["min", "max"] {
        unguarded(client)?;
        let change = "UPDATE audit.audit_log SET login_role = 'other'";
        run(client, &format!("{change} WHERE id = (SELECT {which}(id) FROM audit.audit_log)"))?;
        let found = verify(client, "")?;
        run(client, "ROLLBACK")?;
        assert_eq!(found[0].code, "modified", "{which}: {found:#?}");
    }
    Ok(())
}

#[test]
fn into_new_databases() -> Result<()> {
    let (cluster, known) = source()?;
    for (name, args) in WAYS {
        let mut client = restore(&cluster, &cluster, name, args)?;
        comes_back(&mut client, &known).map_err(|e| format!("{name}: {e}"))?;
    }
    // The one that was dumped is none the wiser.
    let mut client = cluster.connect("postgres", "source")?;
    seal_all(&mut client)?;
    is_clean(&mut client)?;
    verdict_is(&mut client, Some(&known.note), "ok")
}

/// Where numbers of transactions begin anew; and the dump of what was restored, in a third place.
#[test]
fn into_a_new_cluster() -> Result<()> {
    let (cluster, known) = source()?;
    let new = Cluster::start(PLAIN)?;
    let mut client = restore(&cluster, &new, "target", &["custom.dump"])?;
    comes_back(&mut client, &known)?;
    numbers_come_again(&mut client)?;
    run(&mut client, "INSERT INTO app.visits VALUES (4000, 'not sealed')")?;
    new.run("pg_dump", &["-d", "target", "-Fc", "-f", "again.dump"])?;
    let mut third = restore(&new, &new, "third", &["again.dump"])?;
    stopped(&mut third)?;
    let said = third.query_one("SELECT audit.declare_discontinuity('once more')", &[])?;
    assert!(said.try_get::<_, String>(0)?.ends_with("/3"));
    sealed_once_with_a_gap(&mut third)?;
    let gaps = verify(&mut third, "")?.iter().skip(1).filter(|f| f.code == "acknowledged_gap").count();
    assert_eq!(gaps, 2);
    Ok(())
}

/// The worker is not asked and does not seal what is not its own; after the declaration it goes on by itself.
#[test]
fn under_the_worker() -> Result<()> {
    let (cluster, known) = source()?;
    let new = Cluster::start(PRELOADED)?;
    let mut client = restore(&cluster, &new, "target", &["--single-transaction", "custom.dump"])?;
    verdict_is(&mut client, Some(&known.note), "ok")?;
    run(&mut client, "INSERT INTO app.visits VALUES (2100, 'wakes the worker')")?;
    let size = "SELECT size FROM audit.tree_head()";
    let before: i64 = client.query_one(size, &[])?.try_get(0)?;
    sleep(Duration::from_secs(2));
    assert_eq!(client.query_one(size, &[])?.try_get::<_, i64>(0)?, before, "leaves of the worker");
    stopped(&mut client)?;
    run(&mut client, "SELECT audit.declare_discontinuity('restored from the backup')")?;
    wait_until(&mut client, "SELECT unsealed_rows = 0 FROM audit.tree_head()")?;
    exactly_once(&mut client)?;
    verdict_is(&mut client, Some(&known.note), "acknowledged_gap")
}
