//! Logical replication between two clusters: what a subscriber applies is recorded there once, with what an
//! apply worker knows; a log that is published becomes an archive; and both ends may record at once.

use audit_guard_e2e::cluster::{Cluster, Server};
use audit_guard_e2e::travel::{HISTORY, ailments, refuses, wait_until};
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// With little memory for decoding, transactions of a few rows are already streamed before they end.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("wal_level", "logical"),
    ("logical_decoding_work_mem", "64kB"),
    ("max_worker_processes", "24"),
    ("max_logical_replication_workers", "16"),
];

/// Both ends of one replication.
struct Ends {
    publisher: Client,
    subscriber: Client,
    clusters: (Cluster, Cluster),
}

impl Ends {
    /// The oldest server publishes, the newest subscribes: the way in which people move between them.
    fn new() -> Result<Self> {
        Self::between(&Server::oldest()?, &Server::newest()?)
    }

    fn between(publisher: &Server, subscriber: &Server) -> Result<Self> {
        let clusters = (Cluster::start_on(publisher, SETTINGS)?, Cluster::start_on(subscriber, SETTINGS)?);
        Ok(Self {
            publisher: clusters.0.database("source")?,
            subscriber: clusters.1.database("target")?,
            clusters,
        })
    }

    /// Makes the same tables on both sides.
    fn on_both(&mut self, sql: &str) -> Result<()> {
        self.publisher.batch_execute(sql)?;
        Ok(self.subscriber.batch_execute(sql)?)
    }

    /// Subscribes and waits until what was there before has been copied.
    fn subscribe(&mut self, publication: &str) -> Result<()> {
        self.publisher.batch_execute(&format!("CREATE PUBLICATION road {publication}"))?;
        self.subscriber.batch_execute(&format!(
            "CREATE SUBSCRIPTION road CONNECTION 'host={} port=5432 user=postgres dbname=source'
             PUBLICATION road WITH (streaming = on, two_phase = on)",
            self.clusters.0.dir().display()
        ))?;
        wait_until(
            &mut self.subscriber,
            "SELECT bool_and(srsubstate = 'r' AND subtwophasestate = 'e')
             FROM pg_subscription_rel, pg_subscription",
        )
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

    /// Both logs are sound, nothing has to be mended, and the publisher has nothing to complain about.
    fn end(&mut self) -> Result<()> {
        judge::log_from_elsewhere_is_sound(&mut self.subscriber)?;
        assert_eq!(ailments(&mut self.subscriber)?, []);
        judge::server_is_content(&self.clusters.0, "source")
    }
}

/// Operation, key, old key and images of all log rows, in order, as one text per row.
fn log(client: &mut Client, tables: &str) -> Result<Vec<String>> {
    let query = format!(
        "SELECT concat_ws(' ', operation, table_name, record_id, old_record_id, 'old', old_record,
             'new', new_record) FROM audit.audit_log WHERE table_name ~ '^({tables})$' ORDER BY id"
    );
    Ok(client.query(&query, &[])?.iter().map(|row| row.get(0)).collect())
}

const TABLES: &str = "CREATE SCHEMA app;
    CREATE TABLE app.by_key (id int PRIMARY KEY, note text, secret text, large text);
    ALTER TABLE app.by_key ALTER large SET STORAGE EXTERNAL;
    CREATE TABLE app.whole (id int PRIMARY KEY, note text);
    ALTER TABLE app.whole REPLICA IDENTITY FULL;
    CREATE TABLE app.no_key (note text);
    ALTER TABLE app.no_key REPLICA IDENTITY FULL;";
const PARTITIONED: &str = "CREATE TABLE app.parts (region text, id int, note text, PRIMARY KEY (region, id))
        PARTITION BY LIST (region);";
const CHANGES: &str = "INSERT INTO app.by_key VALUES (1, 'a', 'hidden', repeat('long', 3000));
    UPDATE app.by_key SET note = 'b' WHERE id = 1;
    UPDATE app.by_key SET id = 2 WHERE id = 1;
    INSERT INTO app.whole VALUES (1, 'a'), (2, 'b');
    UPDATE app.whole SET note = note || '!';
    DELETE FROM app.whole WHERE id = 1;
    INSERT INTO app.no_key VALUES ('x'), ('y');
    DELETE FROM app.no_key WHERE note = 'x';
    DELETE FROM app.by_key;
    TRUNCATE app.whole;";

/// The publisher does not record anything; the subscriber does, from the first copied row on.
#[test]
fn applied_changes_are_recorded_once() -> Result<()> {
    let (oldest, newest) = (Server::oldest()?, Server::newest()?);
    apply(Ends::between(&oldest, &newest)?).map_err(|e| format!("newer subscriber: {e}"))?;
    apply(Ends::between(&newest, &oldest)?).map_err(|e| format!("older subscriber: {e}").into())
}

fn apply(mut ends: Ends) -> Result<()> {
    ends.on_both(TABLES)?;
    ends.publisher.batch_execute(
        "INSERT INTO app.by_key VALUES (100, 'before', 'hidden', NULL), (101, NULL, NULL, NULL)",
    )?;
    ends.subscriber.batch_execute(
        "CREATE ROLE applied_owner;
         ALTER TABLE app.by_key OWNER TO applied_owner;
         GRANT USAGE ON SCHEMA app TO applied_owner;
         SELECT audit.enable_tracking('app.by_key', exclude => '{secret}', phi => true);
         SELECT audit.enable_tracking('app.whole');
         SELECT audit.enable_tracking('app.no_key');",
    )?;
    ends.subscribe("FOR TABLE app.by_key, app.whole, app.no_key")?;
    let copied = [
        r#"INSERT by_key 100 old new {"id": 100, "note": "before", "large": null}"#,
        r#"INSERT by_key 101 old new {"id": 101, "note": null, "large": null}"#,
    ];
    assert_eq!(log(&mut ends.subscriber, ".*")?, copied, "the first copy");
    ends.publisher.batch_execute(CHANGES)?;
    ends.catch_up()?;
    let large = "long".repeat(3000);
    let row = |id: i32, note: &str| format!(r#"{{"id": {id}, "note": "{note}", "large": "{large}"}}"#);
    let expected = [
        format!("INSERT by_key 1 old new {}", row(1, "a")),
        format!("UPDATE by_key 1 old {} new {}", row(1, "a"), row(1, "b")),
        format!("UPDATE by_key 2 1 old {} new {}", row(1, "b"), row(2, "b")),
        r#"INSERT whole 1 old new {"id": 1, "note": "a"}"#.to_owned(),
        r#"INSERT whole 2 old new {"id": 2, "note": "b"}"#.to_owned(),
        r#"UPDATE whole 1 old {"id": 1, "note": "a"} new {"id": 1, "note": "a!"}"#.to_owned(),
        r#"UPDATE whole 2 old {"id": 2, "note": "b"} new {"id": 2, "note": "b!"}"#.to_owned(),
        r#"DELETE whole 1 old {"id": 1, "note": "a!"} new"#.to_owned(),
        r#"INSERT no_key old new {"note": "x"}"#.to_owned(),
        r#"INSERT no_key old new {"note": "y"}"#.to_owned(),
        r#"DELETE no_key old {"note": "x"} new"#.to_owned(),
        r#"DELETE by_key 100 old {"id": 100, "note": "before", "large": null} new"#.to_owned(),
        r#"DELETE by_key 101 old {"id": 101, "note": null, "large": null} new"#.to_owned(),
        format!("DELETE by_key 2 old {} new", row(2, "b")),
        "TRUNCATE whole old new".to_owned(),
    ];
    let found = log(&mut ends.subscriber, ".*")?;
    assert_eq!(found[copied.len()..], expected, "applied changes");

    // Prepared and streamed transactions: once when committed, not at all when undone.
    let before: i64 = ends.subscriber.query_one("SELECT count(*) FROM audit.audit_log", &[])?.try_get(0)?;
    for sql in [
        "BEGIN; INSERT INTO app.no_key VALUES ('kept'); PREPARE TRANSACTION 'kept'",
        "BEGIN; INSERT INTO app.no_key VALUES ('undone'); PREPARE TRANSACTION 'undone'",
        "COMMIT PREPARED 'kept'",
        "ROLLBACK PREPARED 'undone'",
        "BEGIN; INSERT INTO app.whole SELECT i, repeat('x', 100) FROM generate_series(1, 3000) AS i;
         SAVEPOINT a; UPDATE app.whole SET note = 'undone'; ROLLBACK TO a; DELETE FROM app.whole; COMMIT",
        "BEGIN; INSERT INTO app.whole SELECT i, repeat('undone', 100) FROM generate_series(1, 3000) AS i;
         ROLLBACK",
    ] {
        ends.publisher.batch_execute(sql)?;
    }
    ends.catch_up()?;
    wait_until(&mut ends.publisher, "SELECT stream_txns > 0 FROM pg_stat_replication_slots")?;
    let row = ends.subscriber.query_one(
        "SELECT count(*), count(*) FILTER (WHERE l::text LIKE '%undone%') FROM audit.audit_log AS l",
        &[],
    )?;
    let found: (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    assert_eq!(found, (before + 1 + 6000, 0), "prepared and streamed transactions");
    // Who: the owner of the subscription; newer servers apply as the owner of the table, which is said, too.
    let who = ends.subscriber.query_one(
        "SELECT count(*), count(*) FILTER (WHERE login_role = 'postgres' AND actor_role = 'postgres'
             AND num_nonnulls(actor_id, actor_source, session_id, client_ip) = 0
             AND phi_accessed = (table_name = 'by_key')
             AND (context IS NULL OR (table_name = 'by_key'
                 AND context = '{\"effective_role\": \"applied_owner\"}'))) FROM audit.audit_log",
        &[],
    )?;
    assert_eq!(who.get::<_, i64>(0), who.get::<_, i64>(1), "identity of an apply worker");
    assert_eq!(log(&mut ends.publisher, ".*")?, [""; 0], "the publisher tracks nothing");
    ends.end()?;
    judge::server_is_content(&ends.clusters.1, "target")
}

/// The log of one database, streamed into another one that is an archive: there it is as complete, as well
/// protected, and goes on growing, whatever happens to the source. The archive needs the extension, its
/// months, and a subscription; nothing else, and no tracked table of its own.
#[test]
fn a_published_log_becomes_an_archive() -> Result<()> {
    let mut ends = Ends::new()?;
    ends.publisher.batch_execute(HISTORY)?;
    ends.subscriber.batch_execute("SELECT audit.maintain_partitions(1)")?;
    ends.subscribe(
        "FOR TABLE audit.audit_log, audit.guard_events, audit.security_events
         WITH (publish = 'insert', publish_via_partition_root = true)",
    )?;
    same_log(&mut ends)?;
    refuses(&mut ends.subscriber)?;
    // Later rows, of a longer transaction with a part undone, in months that only the source has.
    ends.publisher.batch_execute(
        "SELECT audit.maintain_partitions(40);
         BEGIN; INSERT INTO app.plain SELECT i FROM generate_series(1, 5000) AS i; SAVEPOINT a;
         DELETE FROM app.plain; ROLLBACK TO a; UPDATE app.stock SET v = v + 1; COMMIT;
         TRUNCATE app.plain; SELECT audit.disable_tracking('app.stock', reason => 'moved');
         SELECT audit.log_security_event('logout', subject => 'ada');",
    )?;
    ends.catch_up()?;
    same_log(&mut ends)?;
    refuses(&mut ends.subscriber)?;
    // The archive is maintained like any log, under way.
    ends.subscriber.batch_execute("SELECT audit.maintain_partitions(50)")?;
    ends.publisher.batch_execute("INSERT INTO app.plain VALUES ('last')")?;
    ends.catch_up()?;
    same_log(&mut ends)?;
    ends.end()?;
    judge::server_is_content(&ends.clusters.1, "target")
}

/// Each event once, each column equal.
fn same_log(ends: &mut Ends) -> Result<()> {
    for table in ["audit_log", "guard_events", "security_events"] {
        let query = format!(
            "SELECT count(*), md5(string_agg(l::text, ' ' ORDER BY logged_at, id)) FROM audit.{table} AS l"
        );
        let mut sums = Vec::new();
        for client in [&mut ends.publisher, &mut ends.subscriber] {
            client.batch_execute("SET TimeZone = 'UTC'")?;
            let row = client.query_one(&query, &[])?;
            sums.push((row.try_get::<_, i64>(0)?, row.try_get::<_, String>(1)?));
        }
        assert!(sums[0].0 > 5 && sums[0] == sums[1], "{table}: {sums:?}");
    }
    Ok(())
}

/// Tracked on both sides: the same changes stand in both logs, each once. A partitioned table may be cut
/// differently there; a row that changes its partition is an INSERT and a DELETE where that happens.
#[test]
fn both_ends_record() -> Result<()> {
    let mut ends = Ends::new()?;
    ends.on_both(TABLES)?;
    ends.on_both(PARTITIONED)?;
    ends.publisher.batch_execute(
        "CREATE TABLE app.eu PARTITION OF app.parts FOR VALUES IN ('eu');
         CREATE TABLE app.rest PARTITION OF app.parts DEFAULT",
    )?;
    ends.subscriber.batch_execute(
        "CREATE TABLE app.all_parts PARTITION OF app.parts DEFAULT PARTITION BY RANGE (id);
         CREATE TABLE app.low PARTITION OF app.all_parts FOR VALUES FROM (MINVALUE) TO (100);
         CREATE TABLE app.high PARTITION OF app.all_parts FOR VALUES FROM (100) TO (MAXVALUE)",
    )?;
    for table in ["by_key", "whole", "no_key", "parts"] {
        ends.on_both(&format!("SELECT audit.enable_tracking('app.{table}')"))?;
    }
    ends.subscribe(
        "FOR TABLE app.by_key, app.whole, app.no_key, app.parts WITH (publish_via_partition_root = true)",
    )?;
    ends.publisher.batch_execute(CHANGES)?;
    ends.publisher.batch_execute(
        "INSERT INTO app.parts
         SELECT r, i, 'a' FROM unnest('{eu,us}'::text[]) AS r, generate_series(1, 2) AS i;
         UPDATE app.parts SET note = 'b' WHERE id = 1;
         UPDATE app.parts SET region = 'eu', id = 3 WHERE region = 'us' AND id = 1;
         UPDATE app.parts SET id = 200 WHERE region = 'us';
         DELETE FROM app.parts WHERE region = 'eu' AND id = 2;
         TRUNCATE app.parts;",
    )?;
    ends.catch_up()?;
    let of_publisher = log(&mut ends.publisher, "by_key|whole|no_key")?;
    assert!(of_publisher.len() > 12, "{of_publisher:?}");
    assert_eq!(
        of_publisher,
        log(&mut ends.subscriber, "by_key|whole|no_key")?,
        "the same changes in both logs"
    );

    // The first row changes its partition at the publisher, the second one at the subscriber only.
    let first = [
        r#"DELETE parts ["us",1] old {"id": 1, "note": "b", "region": "us"} new"#,
        r#"INSERT parts ["eu",3] old new {"id": 3, "note": "b", "region": "eu"}"#,
    ];
    let changed = concat!(
        r#"UPDATE parts ["us",200] ["us",2] old {"id": 2, "note": "a", "region": "us"} "#,
        r#"new {"id": 200, "note": "a", "region": "us"}"#
    );
    let moved = [
        r#"DELETE parts ["us",2] old {"id": 2, "note": "a", "region": "us"} new"#,
        r#"INSERT parts ["us",200] old new {"id": 200, "note": "a", "region": "us"}"#,
    ];
    let last =
        [r#"DELETE parts ["eu",2] old {"id": 2, "note": "a", "region": "eu"} new"#, "TRUNCATE parts old new"];
    for (client, second) in [(&mut ends.publisher, &[changed][..]), (&mut ends.subscriber, &moved)] {
        let found = log(client, "parts")?;
        assert_eq!(found[6..], [&first, second, &last].concat(), "moved rows");
    }
    judge::log_is_sound(&mut ends.publisher)?;
    // Not the subscriber's server log: an apply worker says of the parts of a partitioned table that they
    // were not closed as soon as that has any row trigger, whoever made it.
    ends.end()
}
