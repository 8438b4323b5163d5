//! The command `audit-guard`: what a new user does with it, what it finds, and what it refuses to sign.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::command::{Desk, Said};
use audit_guard_e2e::ledger::seal_all;
use audit_guard_e2e::steps::run;
use audit_guard_e2e::tamper::unguard_for_good;
use postgres::Client;

/// A tracked table with rows, all of them sealed.
const LEDGER: &str = "CREATE TABLE shop (id int PRIMARY KEY, name text, price numeric(12,3), doc jsonb,
        seen timestamptz, at inet, tags text[]);
    SELECT audit.enable_tracking('shop');
    INSERT INTO shop SELECT i, 'Ünï \"q\" ' || i, i / 7.0,
        jsonb_build_object('k', i, 'é', '[1.50, null]'::jsonb), now(), '10.0.0.1', ARRAY['a', NULL]
        FROM generate_series(1, 700) AS i;
    UPDATE shop SET price = NULL, tags = '{}' WHERE id < 50;
    DELETE FROM shop WHERE id > 690";

fn ledger(cluster: &Cluster, name: &str) -> Result<Client> {
    let mut client = cluster.database(name)?;
    sealed(&mut client, LEDGER)?;
    Ok(client)
}

/// Makes changes and seals them.
fn sealed(client: &mut Client, changes: &str) -> Result<()> {
    run(client, changes)?;
    seal_all(client).map(drop)
}

fn trust(client: &mut Client, key: &str) -> Result<()> {
    Ok(client.execute("SELECT audit.trust_key($1, 'test')", &[&key]).map(drop)?)
}

const SIGN: &[&str] = &["witness", "--dsn", "", "--key", "w.key", "--state", "state", "--once"];
const CHECK: &[&str] = &["verify", "--dsn", "", "--checkpoint", "state/checkpoint"];

/// A desk whose witness has signed the ledger.
fn signed<'a>(cluster: &'a Cluster, client: &mut Client, name: &str) -> Result<(Desk<'a>, String)> {
    let desk = Desk::new(cluster, name)?;
    let key = desk.key("db1.example/audit-witness", "w.key")?;
    trust(client, &key)?;
    desk.run(SIGN)?.is(0, "signed ")?;
    Ok((desk, key))
}

/// The findings of a run with --format json, as code and id.
fn findings(said: &Said) -> Result<Vec<(String, String)>> {
    let document: serde_json::Value = serde_json::from_str(&said.out)?;
    let findings = document["findings"].as_array().ok_or("no findings")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(findings.iter().map(|finding| (text(&finding["code"]), text(&finding["id"]))).collect())
}

#[test]
fn from_a_key_to_a_bundle() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "first")?;
    let (desk, key) = signed(&cluster, &mut client, "first")?;
    desk.run(SIGN)?.is(0, "nothing new")?;
    desk.run(CHECK)?.is(0, "intact (ok): 760 rows")?;
    desk.run(&["verify", "--dsn", ""])?.is(0, "internally_consistent")?;
    desk.run(&["verify", "--dsn", "", "--stream", "guard_events"])?.is(0, "only a part")?;
    desk.run(&["verify", "--dsn", "", "--since", "2026-01-01", "--until", "2026-01-02"])?
        .is(0, "only a part")?;
    desk.run(&["verify", "--dsn", "", "--stream", "nonsense"])?.is(2, "there is no stream")?;

    let receipt: String = client.query_one("SELECT audit.receipt('audit_log', 123)::text", &[])?.get(0);
    fs::write(desk.path("receipt.json"), &receipt)?;
    let check = ["receipt", "verify", "receipt.json", "--checkpoint", "state/checkpoint", "--key", &key];
    desk.run(&check)?.is(0, "intact: audit_log 123 of ")?.is(0, "signed by db1.example/audit-witness")?;
    fs::write(desk.path("receipt.json"), receipt.replace("Ünï", "Uni"))?;
    desk.run(&check)?.is(1, "TAMPERED (modified)")?;

    desk.run(&["export", "--dsn", "", "--bundle", "b"])?.is(0, "signed for all of them")?;
    desk.run(&["verify", "--bundle", "b", "--key", &key])?.is(0, "intact (ok)")?;
    desk.run(&["verify", "--bundle", "b"])?.is(0, "internally_consistent")?;
    sealed(&mut client, "UPDATE shop SET name = 'x' WHERE id < 300")?;
    desk.run(SIGN)?.is(0, "signed ")?;
    desk.run(&["export", "--dsn", "", "--bundle", "b"])?.is(0, "leaves 76")?;
    desk.run(&["verify", "--bundle", "b", "--checkpoint", "state/checkpoint"])?.is(0, "intact (ok)")?;
    let exports: i64 = client.query_one("SELECT count(*) FROM audit.ledger_exports", &[])?.get(0);
    assert_eq!(exports, 2);
    fs::create_dir(desk.path("other"))?;
    fs::write(desk.path("other/file"), "")?;
    desk.run(&["export", "--dsn", "", "--bundle", "other"])?.is(2, "something else")?;
    Ok(())
}

#[test]
fn what_was_changed_is_named() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "changed")?;
    let (desk, _) = signed(&cluster, &mut client, "changed")?;
    unguard_for_good(&mut client)?;
    let copy = |id: &str, also: &str, transaction: &str| {
        format!(
            "INSERT INTO audit.audit_log (id, logged_at, transaction_id, operation, table_schema, table_name,
                 new_record, actor_role, login_role, salt)
             SELECT {id}, logged_at{also}, {transaction}, operation, table_schema, table_name, new_record,
                 actor_role, login_role, salt FROM audit.audit_log WHERE id = 103"
        )
    };
    let orphan = copy("999999", "", "transaction_id");
    let impossible = copy("999998", "", "0");
    let twice = copy("id", " - interval '2 years'", "transaction_id");
    let changes = [
        "UPDATE audit.audit_log SET new_record = jsonb_set(new_record, '{name}', '\"x\"') WHERE id = 100",
        "UPDATE audit.audit_log SET login_role = 'nobody' WHERE id = 101",
        "DELETE FROM audit.audit_log WHERE id = 102",
        &orphan,
        &impossible,
        &twice,
        "UPDATE audit.audit_log SET salt = NULL, redaction = '\\x01' WHERE id = 105",
    ];
    changes.iter().try_for_each(|change| run(&mut client, change))?;

    let said = desk.run(&[CHECK, &["--format", "json"]].concat())?;
    let found = findings(said.is(1, "")?)?;
    let expected = [
        ("modified", "100"),
        ("modified", "101"),
        ("missing", "102"),
        ("duplicate", "103"),
        ("orphan", "999999"),
        ("modified", "105"),
        ("orphan", ""),
    ];
    for (code, id) in expected {
        assert!(found.contains(&(code.to_owned(), id.to_owned())), "{code} {id}: {found:?}");
    }
    // The field is told, too.
    desk.run(CHECK)?
        .is(1, "audit_log 100 (leaf 100), new_record: ")?
        .is(1, "101 (leaf 101), login_role: ")?;
    // Elsewhere there is nothing wrong.
    desk.run(&["verify", "--dsn", "", "--stream", "holds"])?.is(0, "internally_consistent")?;

    desk.run(&["export", "--dsn", "", "--bundle", "b"])?.is(1, "do not match their leaves")?;
    let said = desk.run(&["verify", "--bundle", "b", "--format", "json"])?;
    let found = findings(said.is(1, "")?)?;
    for (code, id) in [("modified", "100"), ("modified", "101"), ("missing", "102")] {
        assert!(found.contains(&(code.to_owned(), id.to_owned())), "{code} {id}: {found:?}");
    }
    Ok(())
}

#[test]
fn what_was_erased_needs_an_event_that_is_sealed() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "erased")?;
    let (desk, _) = signed(&cluster, &mut client, "erased")?;
    run(
        &mut client,
        "SELECT audit.redact('audit_log', '5', '{name}', 'GDPR 17', 'T-1');
         SELECT audit.redact('audit_log', '6', '{new_record,record_id}', 'GDPR 17', 'T-2')",
    )?;
    desk.run(CHECK)?.is(0, "2 authorised redactions")?.is(0, "not sealed yet")?;
    desk.run(&["export", "--dsn", "", "--bundle", "b"])?.is(3, "SELECT audit.seal();")?;
    assert!(!desk.path("b").exists());
    seal_all(&mut client)?;
    desk.run(CHECK)?.is(0, "2 authorised redactions")?;
    desk.run(&["export", "--dsn", "", "--bundle", "b"])?.is(0, "leaves 0..")?;
    desk.run(&["verify", "--bundle", "b"])?.is(0, "2 authorised redactions")?;
    assert!(!fs::read_to_string(desk.path("b/rows/000001.jsonl"))?.contains("Ünï \\\"q\\\" 5"));

    // Erased by somebody who knows how, and says nothing.
    unguard_for_good(&mut client)?;
    run(&mut client, "SELECT audit._erase_row('audit_log', 7, '{name}')")?;
    desk.run(CHECK)?.is(1, "unauthorised_redaction audit_log 7 (leaf 7), new_record.name")?;
    Ok(())
}

#[test]
fn a_rewritten_ledger_needs_a_checkpoint_to_be_seen() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "honest")?;
    let (desk, key) = signed(&cluster, &mut client, "honest")?;
    drop(client);
    run(&mut cluster.connect("postgres", "postgres")?, "CREATE DATABASE other")?;
    let mut other = cluster.connect("postgres", "other")?;
    cluster.install(&mut other)?;
    run(&mut other, "CREATE TABLE shop (id int PRIMARY KEY); SELECT audit.enable_tracking('shop')")?;
    sealed(&mut other, "INSERT INTO shop SELECT generate_series(1, 2000)")?;
    trust(&mut other, &key)?;
    let there = desk.with("postgres", "other");
    fs::create_dir_all(there.path("state"))?;
    fs::copy(desk.path("state/checkpoint"), there.path("state/checkpoint"))?;
    there.run(&["verify", "--dsn", ""])?.is(0, "internally_consistent")?;
    there.run(CHECK)?.is(1, "which this ledger never was")?;
    Ok(())
}

/// A copy of the whole server, as a backup is one, put back later.
#[test]
fn the_witness_refuses_what_takes_something_back() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "app")?;
    let (desk, _) = signed(&cluster, &mut client, "app")?;
    drop(client);
    cluster.shell("pg_ctl -D data -w -m fast stop && cp -a data backup")?;
    cluster.boot()?;
    let mut client = cluster.connect("postgres", "app")?;
    sealed(&mut client, "INSERT INTO shop (id) SELECT generate_series(1001, 1010)")?;
    desk.run(SIGN)?.is(0, "signed ")?;
    let kept = fs::read(desk.path("state/checkpoint"))?;
    drop(client);

    cluster.shell("pg_ctl -D data -w -m fast stop && rm -rf data && cp -a backup data")?;
    cluster.boot()?;
    let alarm = [SIGN, &["--on-alarm", "cat > alarm.json; echo $AUDIT_GUARD_ALARM > alarm.code"]].concat();
    desk.run(&alarm)?.is(1, "ALARM rollback")?;
    assert_eq!(fs::read_to_string(desk.path("alarm.code"))?, "rollback\n");
    assert!(fs::read_to_string(desk.path("alarm.json"))?.contains("\"alarm\":\"rollback\""));
    assert!(desk.path("state/alarm").exists());
    desk.run(CHECK)?.is(1, "is larger than the ledger")?;

    // It grows again, with other rows, beyond what was signed.
    let mut client = cluster.connect("postgres", "app")?;
    sealed(&mut client, "INSERT INTO shop (id) SELECT generate_series(2001, 2030)")?;
    desk.run(SIGN)?.is(1, "ALARM fork")?;
    desk.run(CHECK)?.is(1, "has another root than these leaves")?;
    assert_eq!(fs::read(desk.path("state/checkpoint"))?, kept, "nothing was signed meanwhile");

    // Somebody owns up to it.
    sealed(&mut client, "SELECT audit.declare_discontinuity('restored a backup')")?;
    let origin: String = client.query_one("SELECT origin FROM audit.tree_head()", &[])?.get(0);
    desk.run(SIGN)?.is(1, "ALARM changed_origin")?;
    desk.run(&[SIGN, &["--accept-origin", "something"]].concat())?.is(1, "ALARM changed_origin")?;
    desk.run(&[SIGN, &["--accept-origin", &origin]].concat())?.is(0, "signed ")?;
    assert!(!desk.path("state/alarm").exists());
    desk.run(SIGN)?.is(0, "nothing new")?;
    desk.run(CHECK)?.is(0, "acknowledged_gap: since then it is")?;
    Ok(())
}

#[test]
fn the_state_of_a_witness_is_not_begun_anew_by_accident() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "state")?;
    let (desk, _) = signed(&cluster, &mut client, "state")?;
    let kept = fs::read_to_string(desk.path("state/checkpoint"))?;
    fs::remove_file(desk.path("state/checkpoint"))?;
    desk.run(SIGN)?.is(3, "is missing, though this folder has signed before")?;
    fs::write(desk.path("state/checkpoint"), kept.replace("\n761\n", "\n1\n").replace("\n762\n", "\n1\n"))?;
    desk.run(SIGN)?.is(3, "signed by none of this folder's keys")?;
    fs::write(desk.path("state/checkpoint"), &kept)?;
    desk.run(SIGN)?.is(0, "nothing new")?;

    // A second witness has a folder and a key of its own.
    let key = desk.key("other.example/audit-witness", "o.key")?;
    let other = ["witness", "--dsn", "", "--key", "o.key", "--state", "o", "--once"];
    desk.run(&other)?.is(3, "the database did not take it")?;
    trust(&mut client, &key)?;
    desk.run(&other)?.is(0, "")?;
    let notes: i64 = client.query_one("SELECT count(DISTINCT key_name) FROM audit.checkpoints", &[])?.get(0);
    assert_eq!(notes, 2);
    Ok(())
}

#[test]
fn a_witness_survives_a_database_that_is_away() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "away")?;
    let (desk, _) = signed(&cluster, &mut client, "away")?;
    let mut witness = desk.start(&[&SIGN[..7], &["--interval", "200ms"]].concat())?;
    let sizes = |path: &Path| fs::read_to_string(path).map(|text| text.matches(" signed ").count());
    let wait_for = |count: usize| -> Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        while sizes(&desk.path("out"))? < count {
            if Instant::now() > end {
                return Err(format!("not signed: {}", fs::read_to_string(desk.path("err"))?).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    sealed(&mut client, "INSERT INTO shop (id) VALUES (5001)")?;
    wait_for(1)?;
    desk.run(SIGN)?.is(2, "another witness works here")?;
    drop(client);
    cluster.restart()?;
    let mut client = cluster.connect("postgres", "away")?;
    sealed(&mut client, "INSERT INTO shop (id) VALUES (5002)")?;
    wait_for(2)?;
    let kill = std::process::Command::new("kill").arg(witness.id().to_string()).status()?;
    assert!(kill.success());
    assert_eq!(witness.wait()?.code(), Some(0));
    desk.run(CHECK)?.is(0, "intact (ok)")?;
    Ok(())
}

#[test]
fn an_auditor_needs_to_read_only() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "rights")?;
    let (desk, _) = signed(&cluster, &mut client, "rights")?;
    run(
        &mut client,
        "CREATE ROLE auditor LOGIN IN ROLE audit_reader; CREATE ROLE signer LOGIN IN ROLE audit_writer;
         CREATE ROLE nobody_special LOGIN",
    )?;
    let auditor = desk.with("auditor", "rights");
    auditor.run(&["verify", "--dsn", ""])?.is(0, "internally_consistent")?;
    auditor.run(&["export", "--dsn", "", "--bundle", "b"])?.is(0, "the export is not noted")?;
    auditor.run(&["verify", "--bundle", "b"])?.is(0, "internally_consistent")?;
    let nobody = desk.with("nobody_special", "rights");
    nobody.run(&["verify", "--dsn", ""])?.is(2, "permission denied")?;

    sealed(&mut client, "INSERT INTO shop (id) VALUES (6001)")?;
    let at = |path: &str| desk.path(path).display().to_string();
    let sign = ["witness", "--dsn", "", "--key", &at("w.key"), "--state", &at("state"), "--once"];
    let signer = desk.with("signer", "rights");
    signer.run(&sign)?.is(0, "signed ")?;
    sealed(&mut client, "INSERT INTO shop (id) VALUES (6002)")?;
    nobody.run(&sign)?.is(3, "must be a member of audit_writer")?;
    signer.run(&sign)?.is(0, "posted again")?;
    Ok(())
}

/// Every file of a bundle, below its folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { all.extend(files(&path)?) } else { all.push(path) }
    }
    all.sort();
    Ok(all)
}

#[test]
fn a_bundle_that_was_changed_is_not_intact() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = ledger(&cluster, "bundle")?;
    let (desk, key) = signed(&cluster, &mut client, "bundle")?;
    desk.run(&["export", "--dsn", "", "--bundle", "b"])?.is(0, "signed for all of them")?;
    let check = || desk.run(&["verify", "--bundle", "b", "--key", &key]);
    check()?.is(0, "intact (ok)")?;
    let mut outcomes: BTreeMap<Option<i32>, u32> = BTreeMap::new();
    for path in files(&desk.path("b"))? {
        let name = path.display().to_string();
        let whole = fs::read(&path)?;
        // Nothing is in the lock, and not all that bundle.json says has to do with rows.
        if whole.is_empty() || name.ends_with("bundle.json") {
            continue;
        }
        for place in [0, whole.len() / 3, whole.len() / 2, whole.len() - 2] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed)?;
            let said = check()?;
            assert!(matches!(said.code, Some(1..=3)), "{name} at {place}: {said:?}");
            *outcomes.entry(said.code).or_default() += 1;
        }
        for changed in [&whole[..whole.len() / 2], &[]] {
            fs::write(&path, changed)?;
            let said = check()?;
            assert!(matches!(said.code, Some(1..=3)), "{name} cut: {said:?}");
        }
        if !name.contains("/entries/") && !name.ends_with("/checkpoint") {
            fs::remove_file(&path)?;
            let said = check()?;
            assert!(matches!(said.code, Some(1..=3)), "{name} removed: {said:?}");
        }
        fs::write(&path, &whole)?;
    }
    assert!(outcomes[&Some(1)] > 20, "{outcomes:?}");
    check()?.is(0, "intact (ok)")?;
    Ok(())
}
