//! Dumps and restores under lockdown: a database with streams and protected tables comes back into a new one
//! with every row and every protection; over a living one nothing is replaced.

use std::fs;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::guarded::{
    self, PRELOADED, PROTECTED, STRICT, contents, expired_rows_may_go, locked_down, recorder_is_done,
    refused, same,
};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::{self, HISTORY, ailments, goes_on, leaves_are_free, only_months_missing};
use audit_guard_e2e::{Result, judge};
use postgres::Client;

const PSQL: [&str; 4] = ["-X", "-q", "-v", "ON_ERROR_STOP=1"];
/// A name, and what psql (for plain text) or pg_restore is told.
const WAYS: &[(&str, &[&str])] = &[
    ("plain", &["-f", "plain.sql"]),
    ("plain_single", &["--single-transaction", "-f", "plain.sql"]),
    ("inserts", &["-f", "inserts.sql"]),
    ("custom", &["custom.dump"]),
    ("custom_single", &["--single-transaction", "custom.dump"]),
    ("custom_parallel", &["-j2", "custom.dump"]),
    ("via_root", &["root.dump"]),
    ("folder_parallel", &["-j2", "folder.dump"]),
];
const DUMPS: &[&[&str]] = &[
    &["-f", "plain.sql"],
    &["--rows-per-insert=100", "-f", "inserts.sql"],
    &["-Fc", "-f", "custom.dump"],
    &["-Fc", "--load-via-partition-root", "-f", "root.dump"],
    &["-Fd", "-j2", "-f", "folder.dump"],
];
/// Rows refused before the dump, as the recorder wrote them.
const DENIED: &str = "SELECT count(*) || ' ' || coalesce(md5(string_agg(d::text, ' ' ORDER BY id)), '')
    FROM audit.denied_attempts AS d WHERE id <= $1";

/// What a database holds: protected tables, everything else, and refused attempts up to a number.
struct Whole {
    guarded: Vec<(&'static str, String)>,
    all: Vec<(&'static str, String)>,
    denied: (i64, String),
}

impl Whole {
    fn of(client: &mut Client) -> Result<Self> {
        recorder_is_done(client)?;
        let last = client.query_one("SELECT max(id) FROM audit.denied_attempts", &[])?.try_get(0)?;
        let denied = (last, denied(client, last)?);
        Ok(Self { guarded: contents(client)?, all: travel::contents(client)?, denied })
    }

    fn is_in(&self, client: &mut Client, but: &[&str]) -> Result<()> {
        same(client, &self.guarded, &[])?;
        travel::same(client, &self.all, but)?;
        assert_eq!(denied(client, self.denied.0)?, self.denied.1, "refused attempts");
        Ok(())
    }
}

fn denied(client: &mut Client, last: i64) -> Result<String> {
    run(client, "SET TimeZone = 'UTC'")?;
    Ok(client.query_one(DENIED, &[&last])?.try_get(0)?)
}

/// A cluster whose database `source` has it all, refused attempts included.
fn source(settings: &[(&str, &str)]) -> Result<(Cluster, Whole)> {
    let cluster = Cluster::start(settings)?;
    let mut client = cluster.database("source")?;
    run(&mut client, HISTORY)?;
    run(&mut client, PROTECTED)?;
    locked_down(&mut client)?;
    let whole = Whole::of(&mut client)?;
    Ok((cluster, whole))
}

#[test]
fn every_way_back() -> Result<()> {
    into_new_databases(PRELOADED)
}

#[test]
fn every_way_back_under_strict_lockdown() -> Result<()> {
    into_new_databases(STRICT)
}

fn into_new_databases(settings: &[(&str, &str)]) -> Result<()> {
    let (cluster, whole) = source(settings)?;
    for dump in DUMPS {
        cluster.run("pg_dump", &[&["-d", "source"], *dump].concat())?;
    }
    for (name, args) in WAYS {
        cluster.empty_database(name)?;
        let args = [&["-d", name], *args].concat();
        if args.last().is_some_and(|file| file.ends_with(".sql")) {
            cluster.run("psql", &[&PSQL, args.as_slice()].concat())
        } else {
            cluster.run("pg_restore", &[&["--exit-on-error"], args.as_slice()].concat())
        }
        .map_err(|e| format!("{name}: {e}"))?;
        arrived(&cluster, name, &whole).map_err(|e| format!("{name}: {e}"))?;
    }
    judge::server_is_content(&cluster, "source")
}

/// Everything is here, protected, and goes on.
fn arrived(cluster: &Cluster, name: &str, whole: &Whole) -> Result<()> {
    let mut client = cluster.connect("postgres", name)?;
    whole.is_in(&mut client, &[])?;
    locked_down(&mut client)?;
    expired_rows_may_go(&mut client)?;
    leaves_are_free(&mut client)?;
    only_months_missing(&mut client)?;
    goes_on(&mut client)?;
    run(&mut client, "SELECT audit.extend_retention('app.consents', '8 years')")?;
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(cluster, name)
}

/// `--no-owner` leaves the months to the role that restores; the command that health() shows gives them back,
/// under lockdown too.
#[test]
fn under_another_owner() -> Result<()> {
    let (cluster, whole) = source(PRELOADED)?;
    run(&mut cluster.connect("postgres", "source")?, "CREATE ROLE \"Other owner\" SUPERUSER LOGIN")?;
    cluster.run("pg_dump", &["-d", "source", "-Fc", "-f", "custom.dump"])?;
    cluster.empty_database("target")?;
    let args = ["-d", "target", "-U", "Other owner", "--no-owner", "--exit-on-error", "custom.dump"];
    cluster.run("pg_restore", &args)?;
    let mut target = cluster.connect("postgres", "target")?;
    for (_, detail, fix) in ailments(&mut target)? {
        if detail.contains("do not belong to audit_owner") {
            run(&mut target, &fix)?;
        }
    }
    whole.is_in(&mut target, &["owners"])?;
    only_months_missing(&mut target)?;
    locked_down(&mut target)?;
    goes_on(&mut target)
}

/// First the tables, protected from then on, then the data: old rows come in within begin_restore(), or, as
/// long as the new database has recorded nothing itself, with the triggers switched off.
#[test]
fn data_after_the_tables() -> Result<()> {
    let (cluster, whole) = source(PRELOADED)?;
    cluster.run("pg_dump", &["-d", "source", "-Fc", "-f", "custom.dump"])?;
    let restore = |name: &str, options: &[&str]| {
        let target = ["-d", name, "--exit-on-error"];
        cluster.run("pg_restore", &[&target, options, &["custom.dump"]].concat())
    };
    let one = ["--data-only", "-n", "app", "-t", "consents"];
    for name in ["announced", "switched"] {
        cluster.empty_database(name)?;
        restore(name, &["--schema-only"])?;
        restore(name, &["--data-only", "-n", "audit"])?;
        let mut target = cluster.connect("postgres", name)?;
        assert_eq!(denied(&mut target, whole.denied.0)?, whole.denied.1, "refused attempts");
        let plain = restore(name, &one).err().ok_or("old rows came in without a word")?.to_string();
        assert!(plain.contains("app.consents is protected: INSERT refused"), "{plain}");
        assert!(plain.contains("audit.begin_restore("), "{plain}");
        if name == "switched" {
            restore(name, &["--data-only", "--disable-triggers", "-N", "audit"])?;
        } else {
            let data =
                cluster.run("pg_restore", &["--data-only", "-N", "audit", "-f", "-", "custom.dump"])?;
            fs::write(cluster.dir().join("data.sql"), data)?;
            let begin = "SELECT audit.begin_restore('ticket HD-7')";
            cluster.run("psql", &[&PSQL[..], &["-d", name, "-1", "-c", begin, "-f", "data.sql"]].concat())?;
        }
        same(&mut target, &whole.guarded, &["events", "log"]).map_err(|e| format!("{name}: {e}"))?;
        locked_down(&mut target).map_err(|e| format!("{name}: {e}"))?;
        expired_rows_may_go(&mut target)?;
        goes_on(&mut target)?;
        // From its own first record on, a database is no copy any more.
        let expected = contents(&mut target)?;
        restore(name, &[&one[..], &["--disable-triggers"]].concat())
            .err()
            .ok_or("triggers were switched off")?;
        same(&mut target, &expected, &[]).map_err(|e| format!("{name}: {e}"))?;
        locked_down(&mut target).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// pg_restore --clean over a living database. What is protected is neither dropped nor doubled nor emptied;
/// the messages name it.
#[test]
fn clean_over_a_living_one() -> Result<()> {
    for settings in [PRELOADED, &[("fsync", "off")]] {
        let preloaded = settings.len() > 1;
        let cluster = Cluster::start(settings)?;
        let mut client = guarded::database(&cluster, "source")?;
        cluster.run("pg_dump", &["-d", "source", "-Fc", "-f", "custom.dump"])?;
        run(
            &mut client,
            "INSERT INTO app.consents (id) VALUES (50); INSERT INTO app.visits VALUES (50, 'x', now())",
        )?;
        let expected = contents(&mut client)?;
        drop(client);
        let restored = cluster.run("pg_restore", &["-d", "source", "--clean", "--if-exists", "custom.dump"]);
        let complaints = restored.err().ok_or("pg_restore replaced everything")?.to_string();
        for name in ["app.consents", "app.visits", "audit.audit_log_"] {
            assert!(complaints.contains(name), "{name}: {complaints}");
        }
        let mut client = cluster.connect("postgres", "source")?;
        same(&mut client, &expected, &["events"]).map_err(|e| format!("preloaded {preloaded}: {e}"))?;
        guarded::refuses(&mut client)?;
        if preloaded {
            locked_down(&mut client)?;
        }
        judge::log_is_sound(&mut client)?;
    }
    Ok(())
}

/// A dump of one protected table alone, restored elsewhere, is a table like any other until it is protected.
#[test]
fn one_table_alone() -> Result<()> {
    let (cluster, _) = source(PRELOADED)?;
    cluster.run("pg_dump", &["-d", "source", "-Fc", "-t", "app.consents", "-f", "one.dump"])?;
    let mut target = cluster.database("target")?;
    run(&mut target, "CREATE SCHEMA app")?;
    cluster.run("pg_restore", &["-d", "target", "--exit-on-error", "one.dump"])?;
    let rows = "SELECT count(*) FROM app.consents";
    assert_eq!(target.query_one(rows, &[])?.get::<_, i64>(0), 21);
    refused(&mut target, "DELETE FROM app.consents WHERE id = 11", "23001")?;
    run(&mut target, "BEGIN; DELETE FROM app.consents WHERE id = 3; ROLLBACK")
}
