//! What a superuser does for good, and who has the files: bytes changed while the server is down, an old data
//! directory in the place of the new one, a tail that was written anew. A signed head that was kept elsewhere
//! finds what the database alone cannot.

use std::fs;

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::ledger::{Witness, is_clean, seal_all, verdict_is, verify, with_history};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::tamper::{SETTINGS, unguard_for_good};
use postgres::Client;

/// A few changes more, sealed.
fn goes_on(client: &mut Client, first: i32) -> Result<i64> {
    run(
        client,
        &format!("INSERT INTO app.visits SELECT i, 'later' FROM generate_series({first}, {first} + 9) AS i"),
    )?;
    seal_all(client)
}

/// A cluster with a ledger and a witness that its database trusts.
fn ledger() -> Result<(Cluster, Client, Witness)> {
    let cluster = Cluster::start(SETTINGS)?;
    let mut client = cluster.database("app")?;
    with_history(&mut client)?;
    let witness = Witness::new()?;
    witness.is_trusted_by(&mut client)?;
    seal_all(&mut client)?;
    Ok((cluster, client, witness))
}

/// The first finding has this code, whatever else is found.
fn finds(client: &mut Client, note: &str, code: &str) -> Result<()> {
    let found = verify(client, &format!("checkpoint => '{note}'"))?;
    if found.iter().any(|f| f.code == code) && found[0].code == code {
        return Ok(());
    }
    Err(format!("verify() should say {code}: {:#?}", found.iter().take(8).collect::<Vec<_>>()).into())
}

/// The tail is cut off and written anew, shorter, as long and longer, with rows that are not the same: inside
/// everything fits, and the head that was signed before is the only witness.
#[test]
fn a_tail_that_was_replaced() -> Result<()> {
    let (_cluster, mut client, witness) = ledger()?;
    let early = witness.sign_head(&mut client)?;
    goes_on(&mut client, 1000)?;
    let size = goes_on(&mut client, 1010)?;
    let late = witness.sign_head(&mut client)?;
    verdict_is(&mut client, Some(&late), "ok")?;
    unguard_for_good(&mut client)?;
    run(
        &mut client,
        "DELETE FROM audit.seals WHERE seal_no > (SELECT max(seal_no) - 2 FROM audit.seals);
         DELETE FROM audit.audit_log WHERE new_record ->> 'id' ~ '^10(0[3-9]|1[0-9])$'",
    )?;
    finds(&mut client, &late, "rollback")?;
    // Verifications of before are noted, until somebody thinks of that.
    verdict_is(&mut client, None, "rollback")?;
    run(&mut client, "DELETE FROM audit.verify_runs")?;
    let shorter = seal_all(&mut client)?;
    assert!(shorter < size, "{shorter} leaves after the cut, {size} before");
    is_clean(&mut client)?;
    finds(&mut client, &late, "rollback")?;
    verdict_is(&mut client, Some(&early), "ok")?;
    // One leaf is the seal's own.
    run(
        &mut client,
        &format!(
            "INSERT INTO app.visits SELECT i FROM generate_series(2001, 2000 + {}) AS i",
            size - shorter - 1
        ),
    )?;
    assert_eq!(seal_all(&mut client)?, size);
    is_clean(&mut client)?;
    finds(&mut client, &late, "fork")?;
    goes_on(&mut client, 3000)?;
    is_clean(&mut client)?;
    finds(&mut client, &late, "fork")?;
    verdict_is(&mut client, Some(&early), "ok")
}

/// A data directory of yesterday in the place of today's.
#[test]
fn an_old_data_directory() -> Result<()> {
    let (cluster, mut client, witness) = ledger()?;
    goes_on(&mut client, 1000)?;
    drop(client);
    cluster.stop("fast")?;
    cluster.shell("cp -a data yesterday")?;
    cluster.boot()?;
    let mut client = cluster.connect("postgres", "app")?;
    goes_on(&mut client, 1010)?;
    let note = witness.sign_and_import(&mut client)?;
    verdict_is(&mut client, Some(&note), "ok")?;
    drop(client);
    cluster.stop("fast")?;
    cluster.shell("rm -r data && mv yesterday data")?;
    cluster.boot()?;
    let mut client = cluster.connect("postgres", "app")?;
    is_clean(&mut client)?;
    finds(&mut client, &note, "rollback")?;
    // It goes on, and grows beyond what was signed.
    goes_on(&mut client, 2000)?;
    goes_on(&mut client, 2010)?;
    is_clean(&mut client)?;
    finds(&mut client, &note, "fork")?;
    let refused = client.batch_execute(&format!("SELECT audit.import_checkpoint('{note}')"));
    assert!(
        refused.is_err_and(|e| e.code().is_some_and(|code| code.code() == "22023")),
        "the note was imported"
    );
    Ok(())
}

/// A file, bytes in it, what they become, what is found then, and in which row of which stream.
type Case<'a> = (&'a str, &'a [u8], &'a [u8], &'static str, Option<(&'a str, &'a str)>);

/// Bytes in the files of a stream and of the seals, on a server without checksums; everything else is as it
/// was.
#[test]
fn bytes_in_the_files() -> Result<()> {
    let (cluster, mut client, witness) = ledger()?;
    run(
        &mut client,
        "INSERT INTO app.visits (id, patient, email) VALUES (5001, 'needle-a', 'needle-b');
         SELECT audit.place_hold('app.consents', 'needle-c')",
    )?;
    let size = seal_all(&mut client)?;
    let note = witness.sign_head(&mut client)?;
    let place = "SELECT pg_relation_filepath(tableoid), id::text FROM audit.audit_log
        WHERE new_record ->> 'patient' = 'needle-a' AND operation = 'INSERT'";
    let row = client.query_one(place, &[])?;
    let (log, id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let holds: String = client.query_one("SELECT pg_relation_filepath('audit.holds')", &[])?.try_get(0)?;
    let hold: String = client.query_one("SELECT max(id)::text FROM audit.holds", &[])?.try_get(0)?;
    let seals = "SELECT pg_relation_filepath('audit.seals'), root_after FROM audit.seals ORDER BY seal_no
        DESC LIMIT 1";
    let row = client.query_one(seals, &[])?;
    let (seals, root): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
    let xmin = "SELECT pg_relation_filepath(tableoid) FROM audit.guard_events LIMIT 1";
    let events: String = client.query_one(xmin, &[])?.try_get(0)?;
    // In a page the latest row comes first.
    let event = "SELECT max(id)::text FROM audit.guard_events WHERE kind = 'tracking_enabled'";
    let event: String = client.query_one(event, &[])?.try_get(0)?;
    drop(client);
    cluster.stop("fast")?;
    cluster.shell("pg_checksums --disable -N -D data")?;
    let changed_root = [&root[..31], &[root[31] ^ 1]].concat();
    let cases: &[Case<'_>] = &[
        (&log, b"needle-a", b"needle-x", "modified", Some(("audit_log", &id))),
        (&log, b"needle-b", b"needlE-b", "modified", Some(("audit_log", &id))),
        (&holds, b"needle-c", b"needle-d", "modified", Some(("holds", &hold))),
        (&seals, &root, &changed_root, "tree_mismatch", None),
        (&events, b"tracking_enabled", b"tracking_EnaBled", "modified", Some(("guard_events", &event))),
    ];
    for (path, old, new, code, row) in cases {
        let file = cluster.dir().join("data").join(path);
        let sound = fs::read(&file)?;
        let at = sound.windows(old.len()).position(|bytes| bytes == *old);
        let mut bytes = sound.clone();
        bytes[at.ok_or(format!("{path} has no {old:?}"))?..][..old.len()].copy_from_slice(new);
        fs::write(&file, &bytes)?;
        cluster.boot()?;
        let mut client = cluster.connect("postgres", "app")?;
        let found = verify(&mut client, &format!("checkpoint => '{note}'"))?;
        let is_named = found.iter().skip(1).any(|f| {
            f.code == *code
                && row.is_none_or(|(stream, id)| {
                    f.stream.as_deref() == Some(stream) && f.id.as_deref() == Some(id)
                })
        });
        assert!(is_named, "{path}, {code} {row:?}: {found:#?}");
        drop(client);
        cluster.stop("fast")?;
        fs::write(&file, &sound)?;
    }
    cluster.boot()?;
    let mut client = cluster.connect("postgres", "app")?;
    verdict_is(&mut client, Some(&note), "ok")?;
    assert_eq!(seal_all(&mut client)?, size);
    Ok(())
}
