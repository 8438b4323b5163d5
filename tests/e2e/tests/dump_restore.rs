//! A database with history, dumped and restored in every ordinary way: all columns of all rows come
//! back, so does what protects them, and capture goes on.

use std::fs;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::travel::{
    HISTORY, ailments, contents, goes_on, leaves_are_free, only_months_missing, refuses, same,
};
use audit_guard_e2e::{Result, judge};

/// What pg_dump is asked for. A file name ends every line.
const DUMPS: &[&[&str]] = &[
    &["-f", "plain.sql"],
    &["--rows-per-insert=100", "-f", "inserts.sql"],
    &["-Fc", "-f", "custom.dump"],
    &["-Fc", "-Z9", "-f", "small.dump"],
    &["-Fc", "--load-via-partition-root", "-f", "root.dump"],
    &["-Fd", "-j2", "-f", "folder.dump"],
    &["-Ft", "-f", "tar.dump"],
];

const PSQL: [&str; 4] = ["-X", "-q", "-v", "ON_ERROR_STOP=1"];

/// The whole dump at once: a name, and what psql (for plain text) or pg_restore is told.
const WAYS: &[(&str, &[&str])] = &[
    ("plain", &["-f", "plain.sql"]),
    ("plain_single", &["--single-transaction", "-f", "plain.sql"]),
    ("inserts", &["-f", "inserts.sql"]),
    ("custom", &["custom.dump"]),
    ("custom_single", &["--single-transaction", "custom.dump"]),
    ("custom_parallel", &["-j2", "custom.dump"]),
    ("small_parallel", &["-j2", "small.dump"]),
    ("via_root", &["root.dump"]),
    ("folder_parallel", &["-j2", "folder.dump"]),
    ("tar", &["tar.dump"]),
];

#[test]
fn every_way_back() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut source = cluster.database("source")?;
    source.batch_execute(HISTORY)?;
    for query in ["SELECT count(*) FROM audit.audit_log_past", "SELECT count(*) FROM audit.audit_log_future"]
    {
        assert!(source.query_one(query, &[])?.get::<_, i64>(0) > 0, "{query} finds nothing");
    }
    let expected = contents(&mut source)?;
    refuses(&mut source)?;
    judge::log_is_sound(&mut source)?;
    drop(source);
    for dump in DUMPS {
        cluster.run("pg_dump", &[&["-d", "source"], *dump].concat())?;
    }
    let plain = fs::read_to_string(cluster.dir().join("plain.sql"))?;
    assert!(plain.contains("COPY audit.audit_log_past"), "the dump carries the leaves");

    for (name, args) in WAYS {
        cluster.empty_database(name)?;
        let args = [&["-d", name], *args].concat();
        if args.last().is_some_and(|file| file.ends_with(".sql")) {
            cluster.run("psql", &[&PSQL, args.as_slice()].concat())
        } else {
            cluster.run("pg_restore", &[&["--exit-on-error"], args.as_slice()].concat())
        }
        .map_err(|e| format!("{name}: {e}"))?;
        let mut client = cluster.connect("postgres", name)?;
        same(&mut client, &expected, &[]).map_err(|e| format!("{name}: {e}"))?;
        refuses(&mut client).map_err(|e| format!("{name}: {e}"))?;
        leaves_are_free(&mut client)?;
        only_months_missing(&mut client).map_err(|e| format!("{name}: {e}"))?;
        goes_on(&mut client).map_err(|e| format!("{name}: {e}"))?;
        judge::log_is_sound(&mut client).map_err(|e| format!("{name}: {e}"))?;
    }

    // A dump of a restored database is as good as the first, capture since included. Only that a hidden
    // column was dropped and made again meanwhile is noticed, and recorded, when its table is made anew.
    cluster.run("pg_dump", &["-d", "custom_parallel", "-Fc", "-f", "again.dump"])?;
    let expected = contents(&mut cluster.connect("postgres", "custom_parallel")?)?;
    cluster.empty_database("again")?;
    cluster.run("pg_restore", &["-d", "again", "--exit-on-error", "again.dump"])?;
    same(&mut cluster.connect("postgres", "again")?, &expected, &["guard events"])?;
    judge::server_is_content(&cluster, "source")
}

/// `--no-owner` leaves the months to the role that restores; health() says with which command they are
/// given back.
#[test]
fn under_another_owner() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut source = cluster.database("source")?;
    source.batch_execute(HISTORY)?;
    source.batch_execute("CREATE ROLE \"Other owner\" SUPERUSER LOGIN")?;
    let expected = contents(&mut source)?;
    cluster.run("pg_dump", &["-d", "source", "-Fc", "-f", "custom.dump"])?;
    cluster.empty_database("target")?;
    let args = ["-d", "target", "-U", "Other owner", "--no-owner", "--exit-on-error", "custom.dump"];
    cluster.run("pg_restore", &args)?;
    let mut target = cluster.connect("postgres", "target")?;
    same(&mut target, &expected, &["owners"])?;
    refuses(&mut target)?;
    let found = ailments(&mut target)?;
    assert!(!found.is_empty(), "the months are known to belong to another");
    for (check, detail, fix) in &found {
        assert!(check == "partitions" && detail.contains("do not belong to audit_owner"), "{found:?}");
        target.batch_execute(fix)?;
    }
    only_months_missing(&mut target)?;
    let owners = "SELECT count(*) FROM pg_class WHERE relnamespace = 'audit'::regnamespace
         AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> 'audit_owner'::regrole";
    assert_eq!(target.query_one(owners, &[])?.get::<_, i64>(0), 0, "not of audit_owner");
    goes_on(&mut target)?;
    judge::log_is_sound(&mut target)
}

/// Backups need no superuser: the right to read everything, row security or not. Without the latter pg_dump
/// stops, and does not leave the log out.
#[test]
fn by_a_backup_role() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut source = cluster.database("source")?;
    source.batch_execute(HISTORY)?;
    source.batch_execute("CREATE ROLE backup LOGIN IN ROLE pg_read_all_data")?;
    let expected = contents(&mut source)?;
    let args = ["-d", "source", "-U", "backup", "-Fc", "-f", "custom.dump"];
    let refused = cluster.run("pg_dump", &args).err().ok_or("a dump without the log")?.to_string();
    assert!(refused.contains("row-level security policy for table \"audit_log_"), "{refused}");
    source.batch_execute("ALTER ROLE backup BYPASSRLS")?;
    cluster.run("pg_dump", &args)?;
    cluster.empty_database("target")?;
    cluster.run("pg_restore", &["-d", "target", "--exit-on-error", "custom.dump"])?;
    let mut target = cluster.connect("postgres", "target")?;
    same(&mut target, &expected, &[])?;
    goes_on(&mut target)
}

/// `--clean` over a copy that has gone on. Tables of users are replaced as ever; the log is not, so it goes
/// on with what it recorded since the dump.
#[test]
fn over_an_existing_copy() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut source = cluster.database("source")?;
    source.batch_execute(HISTORY)?;
    let expected = contents(&mut source)?;
    cluster.run("pg_dump", &["-d", "source", "-Fc", "-f", "custom.dump"])?;
    source.batch_execute("INSERT INTO app.plain VALUES ('since the dump')")?;
    let log = "SELECT count(*) || md5(string_agg(l::text, ' ' ORDER BY id)) FROM audit.audit_log AS l";
    let before: String = source.query_one(log, &[])?.try_get(0)?;
    drop(source);
    let restored = cluster.run("pg_restore", &["-d", "source", "--clean", "--if-exists", "custom.dump"]);
    let complaints = restored.err().ok_or("pg_restore replaced the log")?.to_string();
    assert!(complaints.contains("audit.audit_log_past is protected"), "{complaints}");
    let mut source = cluster.connect("postgres", "source")?;
    assert_eq!(source.query_one(log, &[])?.try_get::<_, String>(0)?, before, "the log");
    let growing = ["log", "leaves", "changes", "guard events", "history of one record", "tracked tables"];
    same(&mut source, &expected, &growing)?;
    refuses(&mut source)?;
    leaves_are_free(&mut source)?;
    only_months_missing(&mut source)?;
    goes_on(&mut source)?;
    judge::log_is_sound(&mut source)
}
