//! One ledger in several servers: a standby and its promotion, a recovery to a point in time, copies by
//! template, rows that a restore brought. Sealing goes on where it is the same database, and nowhere else.

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::guarded::PRELOADED;
use audit_guard_e2e::ledger::{
    Witness, exactly_once, is_clean, seal_all, sealed_once, sealed_once_with_a_gap, stopped, verdict_is,
    verify, with_history,
};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::wait_until;
use postgres::Client;

const PLAIN: &[(&str, &str)] = &[("fsync", "off")];
const ARCHIVED: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("archive_mode", "on"),
    ("archive_command", "mkdir -p ../archive && cp %p ../archive/%f"),
];

fn ledger(settings: &[(&str, &str)]) -> Result<(Cluster, Client, Witness)> {
    let cluster = Cluster::start(settings)?;
    let mut client = cluster.database("app")?;
    with_history(&mut client)?;
    let witness = Witness::new()?;
    witness.is_trusted_by(&mut client)?;
    Ok((cluster, client, witness))
}

fn origin(client: &mut Client) -> Result<String> {
    Ok(client.query_one("SELECT origin FROM audit.tree_head()", &[])?.try_get(0)?)
}

/// Waits until the standby has what the primary has.
fn arrives(primary: &mut Client, standby: &mut Client) -> Result<()> {
    let end: String = primary.query_one("SELECT pg_current_wal_lsn()::text", &[])?.try_get(0)?;
    wait_until(standby, &format!("SELECT pg_last_wal_replay_lsn() >= '{end}'"))
}

#[test]
fn a_standby_by_hand() -> Result<()> {
    followed_and_taken_over(PLAIN)
}

#[test]
fn a_standby_with_the_worker() -> Result<()> {
    followed_and_taken_over(PRELOADED)
}

/// The standby verifies and seals nothing; promoted, it goes on in the same tree, with what was open and what
/// nobody had sealed.
fn followed_and_taken_over(settings: &[(&str, &str)]) -> Result<()> {
    let (primary, mut client, witness) = ledger(settings)?;
    seal_all(&mut client)?;
    let before = origin(&mut client)?;
    let standby = primary.standby()?;
    run(&mut client, "INSERT INTO app.visits VALUES (2000, 'while it follows')")?;
    seal_all(&mut client)?;
    let note = witness.sign_and_import(&mut client)?;
    // Not the worker's: it may be there already.
    run(&mut client, "BEGIN; INSERT INTO app.visits VALUES (2001, 'prepared'); PREPARE TRANSACTION 'open'")?;
    let mut lost = primary.connect("postgres", "app")?;
    run(&mut lost, "BEGIN; INSERT INTO app.visits VALUES (2002, 'never committed')")?;
    run(&mut client, "INSERT INTO app.visits VALUES (2003, 'not sealed yet, perhaps')")?;
    let mut reader = standby.connect("postgres", "app")?;
    arrives(&mut client, &mut reader)?;
    for sql in ["SELECT audit.seal()", "SELECT audit.declare_discontinuity('a try')"] {
        let refused = reader.batch_execute(sql).err().ok_or(format!("done on a standby: {sql}"))?;
        assert_eq!(refused.code().map(|code| code.code()), Some("25006"), "{sql}: {refused:?}");
    }
    verdict_is(&mut reader, Some(&note), "ok")?;
    run(&mut reader, "SELECT * FROM audit.verify_incremental(); SELECT * FROM audit.health()")?;
    primary.stop("immediate")?;
    standby.promote()?;
    wait_until(&mut reader, "SELECT NOT pg_is_in_recovery()")?;
    run(&mut reader, "INSERT INTO app.visits VALUES (2004, 'after')")?;
    sealed_once(&mut reader)?;
    run(&mut reader, "COMMIT PREPARED 'open'")?;
    if settings == PRELOADED {
        wait_until(&mut reader, "SELECT unsealed_rows = 0 FROM audit.tree_head()")?;
        exactly_once(&mut reader)?;
    }
    sealed_once(&mut reader)?;
    verdict_is(&mut reader, Some(&note), "ok")?;
    assert_eq!(origin(&mut reader)?, before, "the name of the tree");
    let lives = "SELECT count(*) FROM audit.ledger_incarnations";
    assert_eq!(reader.query_one(lives, &[])?.try_get::<_, i64>(0)?, 1);
    Ok(())
}

/// Back to a point in time: the same database as far as it can know. What was signed later finds out.
#[test]
fn a_point_in_time() -> Result<()> {
    let (cluster, mut client, witness) = ledger(ARCHIVED)?;
    cluster.run("pg_basebackup", &["-D", "base", "-c", "fast"])?;
    run(&mut client, "INSERT INTO app.visits VALUES (2000, 'sealed before')")?;
    seal_all(&mut client)?;
    let early = witness.sign_head(&mut client)?;
    run(&mut client, "INSERT INTO app.visits VALUES (2001, 'not sealed at the point')")?;
    run(&mut client, "SELECT pg_create_restore_point('here')")?;
    run(&mut client, "INSERT INTO app.visits SELECT i FROM generate_series(2002, 2010) AS i")?;
    seal_all(&mut client)?;
    let late = witness.sign_head(&mut client)?;
    run(&mut client, "SELECT pg_switch_wal(); CHECKPOINT")?;
    wait_until(
        &mut client,
        "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1)
        OR last_archived_time > now() - interval '1 second' FROM pg_stat_archiver",
    )?;
    let copy = cluster.at_restore_point("base", "here")?;
    let mut client = copy.connect("postgres", "app")?;
    wait_until(&mut client, "SELECT NOT pg_is_in_recovery()")?;
    verdict_is(&mut client, Some(&early), "ok")?;
    assert_eq!(verify(&mut client, &format!("checkpoint => '{late}'"))?[0].code, "rollback");
    sealed_once(&mut client)?;
    run(&mut client, "INSERT INTO app.visits SELECT i FROM generate_series(3002, 3030) AS i")?;
    sealed_once(&mut client)?;
    verdict_is(&mut client, Some(&early), "ok")?;
    assert_eq!(verify(&mut client, &format!("checkpoint => '{late}'"))?[0].code, "fork");
    // Somebody says what happened: from there on the tree has another name.
    run(&mut client, "SELECT audit.declare_discontinuity('back to the point in time')")?;
    sealed_once_with_a_gap(&mut client)?;
    Ok(())
}

/// A copy by template is another database; renaming makes none.
#[test]
fn a_copy_by_template() -> Result<()> {
    let (cluster, mut client, witness) = ledger(PLAIN)?;
    run(&mut client, "INSERT INTO app.visits VALUES (2000, 'not sealed when it was copied')")?;
    let note = witness.sign_head(&mut client)?;
    drop(client);
    let mut admin = cluster.connect("postgres", "postgres")?;
    run(&mut admin, "CREATE DATABASE copy TEMPLATE app")?;
    run(&mut admin, "ALTER DATABASE app RENAME TO original")?;
    let mut original = cluster.connect("postgres", "original")?;
    sealed_once(&mut original)?;
    verdict_is(&mut original, Some(&note), "ok")?;
    let mut copy = cluster.connect("postgres", "copy")?;
    run(&mut copy, "INSERT INTO app.visits VALUES (2001, 'written in the copy')")?;
    stopped(&mut copy)?;
    verdict_is(&mut copy, Some(&note), "ok")?;
    run(&mut copy, "SELECT audit.declare_discontinuity('a copy for the training room')")?;
    sealed_once_with_a_gap(&mut copy)?;
    assert_ne!(origin(&mut copy)?, origin(&mut original)?);
    run(&mut copy, "INSERT INTO app.visits VALUES (2002, 'goes on')")?;
    sealed_once_with_a_gap(&mut copy)?;
    verdict_is(&mut copy, Some(&note), "acknowledged_gap")
}

/// Rows that a restore brings beside those that are sealed already belong to no window, until somebody
/// declares.
#[test]
fn rows_that_were_loaded() -> Result<()> {
    let (_cluster, mut client, witness) = ledger(PLAIN)?;
    seal_all(&mut client)?;
    let note = witness.sign_head(&mut client)?;
    let load = |ids: &str, transaction: &str| {
        format!(
            "BEGIN; SELECT audit.begin_restore('the old server');
             INSERT INTO audit.audit_log (id, logged_at, transaction_id, operation, table_schema, table_name,
                 new_record, actor_role, login_role)
             SELECT i, now(), {transaction}, 'INSERT', 'app', 'visits', '{{}}', 'r', 'l'
             FROM generate_series({ids}) AS i; COMMIT"
        )
    };
    run(&mut client, &load("500001, 500003", "5"))?;
    let found = verify(&mut client, &format!("checkpoint => '{note}'"))?;
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().all(|f| f.code == "orphan"), "{found:#?}");
    // Sealing what is new leaves them alone, and does not hide them.
    run(&mut client, "INSERT INTO app.visits VALUES (2001, 'new')")?;
    seal_all(&mut client)?;
    assert_eq!(verify(&mut client, "")?[0].code, "orphan");
    run(&mut client, "SELECT audit.declare_discontinuity('rows of the old server were loaded')")?;
    assert_eq!(sealed_once_with_a_gap(&mut client)?, exactly_once(&mut client)?);
    verdict_is(&mut client, Some(&note), "acknowledged_gap")?;
    // A second time, with numbers of transactions that are still to come: these are sealed when they have
    // come.
    run(&mut client, &load("600001, 600003", "pg_current_xact_id()::text::bigint + 50"))?;
    run(&mut client, "SELECT audit.declare_discontinuity('and some more')")?;
    let burn = "DO $$ BEGIN FOR i IN 1..40 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";
    for id in 3000..3004 {
        run(&mut client, &format!("INSERT INTO app.visits VALUES ({id}, 'beside')"))?;
        sealed_once_with_a_gap(&mut client)?;
        run(&mut client, burn)?;
    }
    run(&mut client, "INSERT INTO app.visits VALUES (3010, 'last')")?;
    sealed_once_with_a_gap(&mut client)?;
    assert!(is_clean(&mut client).is_err(), "a gap stays visible");
    Ok(())
}
