//! Logical replication into protected tables of a server under lockdown. An apply worker runs no statement
//! that a hook could see; the triggers judge its rows one by one all the same.

use audit_guard_e2e::cluster::{Cluster, Server};
use audit_guard_e2e::guarded::{PRELOADED, certificates, refused};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::wait_until;
use audit_guard_e2e::{Result, judge};
use postgres::Client;

const DECODING: &[(&str, &str)] = &[("fsync", "off"), ("wal_level", "logical")];
const TABLES: &str = "CREATE SCHEMA app;
    CREATE TABLE app.consents (id int PRIMARY KEY, note text, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE app.visits (id int, place text, created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (id, place)) PARTITION BY LIST (place);
    CREATE TABLE app.visits_here PARTITION OF app.visits FOR VALUES IN ('here');
    CREATE TABLE app.visits_rest PARTITION OF app.visits DEFAULT";
/// Of each table five rows are expired and five are not; they are copied before protection begins.
const ROWS: &str =
    "INSERT INTO app.consents SELECT i, 'old', now() - interval '8 years' FROM generate_series(1, 5) i;
    INSERT INTO app.consents SELECT i, 'new', now() FROM generate_series(6, 10) i;
    INSERT INTO app.visits SELECT i, 'here', now() - interval '8 years' FROM generate_series(1, 5) i;
    INSERT INTO app.visits SELECT i, 'there', now() FROM generate_series(6, 10) i";
/// What the subscriber must not do although its publisher did.
const REFUSED: &[(&str, &str)] = &[
    ("a DELETE", "DELETE FROM app.consents WHERE id = 6"),
    ("a DELETE of which a part is expired", "DELETE FROM app.consents WHERE id IN (1, 7)"),
    ("an UPDATE", "UPDATE app.consents SET note = 'x' WHERE id = 8"),
    ("an UPDATE of an expired row", "UPDATE app.consents SET note = 'x' WHERE id = 2"),
    ("an UPDATE of the key", "UPDATE app.visits SET place = 'there' WHERE id = 2"),
    ("a DELETE from a partition", "DELETE FROM app.visits WHERE id = 6"),
    ("a row of long ago", "INSERT INTO app.consents VALUES (50, 'x', now() - interval '2 hours')"),
    ("a row of the future", "INSERT INTO app.visits VALUES (51, 'x', now() + interval '2 hours')"),
    ("a TRUNCATE", "TRUNCATE app.consents"),
    ("a TRUNCATE of a partition", "TRUNCATE app.visits_rest"),
    ("a DELETE by replica mode", "SET session_replication_role = replica; DELETE FROM app.visits"),
];

struct Ends {
    publisher: Client,
    subscriber: Client,
    clusters: (Cluster, Cluster),
}

impl Ends {
    /// Everything is copied, then the subscriber protects it.
    fn between(publisher: &Server, subscriber: &Server) -> Result<Self> {
        let clusters = (Cluster::start_on(publisher, DECODING)?, Cluster::start_on(subscriber, PRELOADED)?);
        clusters.0.empty_database("source")?;
        let mut ends = Self {
            publisher: clusters.0.connect("postgres", "source")?,
            subscriber: clusters.1.database("target")?,
            clusters,
        };
        run(&mut ends.publisher, TABLES)?;
        run(&mut ends.publisher, ROWS)?;
        run(&mut ends.publisher, "CREATE PUBLICATION road FOR TABLE app.consents, app.visits")?;
        run(&mut ends.subscriber, TABLES)?;
        ends.subscribe(true)?;
        run(
            &mut ends.subscriber,
            "SELECT audit.protect('app.consents'); SELECT audit.protect('app.visits', '6 years');
             SELECT audit.enable_tracking('app.consents')",
        )?;
        Ok(ends)
    }

    fn subscribe(&mut self, copy: bool) -> Result<()> {
        let subscription = format!(
            "CREATE SUBSCRIPTION road CONNECTION 'host={} port=5432 user=postgres dbname=source'
             PUBLICATION road WITH (copy_data = {copy}, disable_on_error = true)",
            self.clusters.0.dir().display()
        );
        run(&mut self.subscriber, &subscription)?;
        wait_until(&mut self.subscriber, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
    }

    /// Waits until the subscriber has applied all that the publisher has committed.
    fn catch_up(&mut self) -> Result<()> {
        let end: String =
            self.publisher.query_one("SELECT pg_current_wal_insert_lsn()::text", &[])?.try_get(0)?;
        let question = format!(
            "SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = 'road'"
        );
        wait_until(&mut self.publisher, &question)
    }

    /// The apply worker stops, and whoever is responsible begins anew behind what could not be applied.
    fn stops(&mut self) -> Result<()> {
        wait_until(&mut self.subscriber, "SELECT NOT subenabled FROM pg_subscription")?;
        wait_until(&mut self.publisher, "SELECT NOT active FROM pg_replication_slots")?;
        run(&mut self.subscriber, "DROP SUBSCRIPTION road")?;
        self.subscribe(false)
    }

    /// All rows at the subscriber.
    fn rows(&mut self) -> Result<String> {
        let query = "SELECT (SELECT string_agg(t::text, ' ' ORDER BY id) FROM app.consents AS t)
                         || (SELECT string_agg(t::text, ' ' ORDER BY id) FROM app.visits AS t)";
        Ok(self.subscriber.query_one(query, &[])?.try_get(0)?)
    }
}

#[test]
fn only_what_protection_allows_arrives() -> Result<()> {
    let (oldest, newest) = (Server::oldest()?, Server::newest()?);
    apply(Ends::between(&oldest, &newest)?).map_err(|e| format!("newer subscriber: {e}"))?;
    apply(Ends::between(&newest, &oldest)?).map_err(|e| format!("older subscriber: {e}").into())
}

fn apply(mut ends: Ends) -> Result<()> {
    let added = "INSERT INTO app.consents VALUES (11, 'arrives'); INSERT INTO app.visits VALUES (11, 'here')";
    run(&mut ends.publisher, added)?;
    ends.catch_up()?;
    // Expired rows go, and are certified.
    run(&mut ends.publisher, "BEGIN; DELETE FROM app.consents WHERE id IN (3, 4); COMMIT")?;
    ends.catch_up()?;
    let gone = "SELECT count(*) FROM app.consents WHERE id IN (3, 4)";
    assert_eq!(ends.subscriber.query_one(gone, &[])?.get::<_, i64>(0), 0, "expired rows");
    assert_eq!(certificates(&mut ends.subscriber, "true")?, [("app.consents".to_owned(), 2)]);

    let before = ends.rows()?;
    assert!(before.contains("arrives"), "INSERT arrives: {before}");
    for (what, sql) in REFUSED {
        run(&mut ends.publisher, &format!("BEGIN; {sql}; COMMIT; RESET session_replication_role"))?;
        ends.stops().map_err(|e| format!("{what} was not refused: {e}"))?;
        assert_eq!(ends.rows()?, before, "{what} left something");
    }
    let log = std::fs::read_to_string(ends.clusters.1.dir().join("server.log"))?;
    let count = log.lines().filter(|line| line.contains(" 23001 ") && line.contains("ERROR: ")).count();
    assert_eq!(count, REFUSED.len(), "refusals in the server log");

    run(&mut ends.publisher, "INSERT INTO app.consents VALUES (12, 'goes on')")?;
    ends.catch_up()?;
    assert!(ends.rows()?.contains("goes on"));
    refused(&mut ends.subscriber, "DELETE FROM app.consents", "23001")?;
    judge::server_is_content(&ends.clusters.1, "target")
}

/// The archive of a log is protected from its first row on, and what its source removes stays here.
#[test]
fn an_archive_under_lockdown() -> Result<()> {
    let settings: Vec<_> = PRELOADED.iter().chain(DECODING).copied().collect();
    let clusters = (
        Cluster::start_on(&Server::oldest()?, &settings)?,
        Cluster::start_on(&Server::newest()?, PRELOADED)?,
    );
    let mut source = clusters.0.database("source")?;
    let mut archive = clusters.1.database("target")?;
    run(&mut source, "CREATE TABLE t (id int PRIMARY KEY); SELECT audit.enable_tracking('t')")?;
    run(&mut source, "INSERT INTO t SELECT generate_series(1, 1000)")?;
    run(&mut archive, "SELECT audit.maintain_partitions(1)")?;
    run(
        &mut source,
        "CREATE PUBLICATION road FOR TABLE audit.audit_log, audit.guard_events
         WITH (publish = 'insert', publish_via_partition_root = true)",
    )?;
    let host = clusters.0.dir().display();
    let connection = format!("host={host} port=5432 user=postgres dbname=source");
    run(&mut archive, &format!("CREATE SUBSCRIPTION road CONNECTION '{connection}' PUBLICATION road"))?;
    run(&mut source, "DELETE FROM t")?;
    wait_until(&mut archive, "SELECT count(*) = 2000 FROM audit.audit_log")?;
    for sql in
        ["DELETE FROM audit.audit_log", "TRUNCATE audit.audit_log", "UPDATE audit.guard_events SET id = 0"]
    {
        refused(&mut archive, sql, "23001")?;
    }
    run(&mut archive, "DROP SUBSCRIPTION road")?;
    judge::server_is_content(&clusters.1, "target")
}
