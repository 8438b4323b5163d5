//! A restore in two steps, first the tables, then the data: tracking is on by then, so what is loaded into
//! tracked tables would be recorded as new. The ways to do that, and what each leaves behind.

use std::fs;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::travel::{HISTORY, contents, goes_on, only_months_missing, refuses, same};
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// Subjects that what was loaded into tracked tables changes, when it is recorded.
const GROWING: &[&str] = &["log", "leaves", "changes", "history of one record"];
/// Rows that the history has in tables that are tracked.
const LOADED: &str = "SELECT (SELECT count(*) FROM app.\"Ünusual \"\"table\"\"\")
    + (SELECT count(*) FROM app.\"a name of sixty-three bytes, which leaves no room for triggers\")
    + (SELECT count(*) FROM app.plain) + (SELECT count(*) FROM app.stock)
    + (SELECT count(*) FROM app.renamed) + (SELECT count(*) FROM later.first)";
const ORIGINAL: &str = "SELECT md5(string_agg(md5(l::text), '' ORDER BY logged_at, id)) || count(*)
    FROM audit.audit_log AS l WHERE id <= $1";

/// The dump, and what the database held.
struct Source {
    cluster: Cluster,
    contents: Vec<(&'static str, String)>,
    last_id: i64,
    log: String,
    rows: i64,
}

impl Source {
    fn new() -> Result<Self> {
        let cluster = Cluster::start(&[("fsync", "off")])?;
        let mut client = cluster.database("source")?;
        client.batch_execute(HISTORY)?;
        client.batch_execute("INSERT INTO later.first VALUES (1)")?;
        let contents = contents(&mut client)?;
        let last_id = client.query_one("SELECT max(id) FROM audit.audit_log", &[])?.try_get(0)?;
        let log = original(&mut client, last_id)?;
        let rows = client.query_one(LOADED, &[])?.try_get(0)?;
        cluster.run("pg_dump", &["-d", "source", "-Fc", "-f", "custom.dump"])?;
        Ok(Self { cluster, contents, last_id, log, rows })
    }

    /// A database with all tables, with tracking on, and with our own data: log, events, sequences. These
    /// come first, because what is recorded from now on takes its numbers from the sequences.
    fn with_our_data(&self, name: &str) -> Result<Client> {
        self.cluster.empty_database(name)?;
        self.restore(name, &["--schema-only"])?;
        self.restore(name, &["--data-only", "-n", "audit"])?;
        let mut client = self.cluster.connect("postgres", name)?;
        assert_eq!(original(&mut client, i64::MAX)?, self.log, "{name}: our own data");
        Ok(client)
    }

    fn restore(&self, name: &str, options: &[&str]) -> Result<String> {
        self.cluster
            .run("pg_restore", &[&["-d", name, "--exit-on-error"], options, &["custom.dump"]].concat())
    }

    /// Everything came along, and every loaded row was recorded behind it, with this as `restore` in its
    /// context.
    fn is_here(&self, client: &mut Client, context: Option<&str>) -> Result<()> {
        same(client, &self.contents, &[GROWING, &["guard events"]].concat())?;
        assert_eq!(original(client, self.last_id)?, self.log, "the rows of the dump");
        let row = client.query_one(
            "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE operation = 'INSERT'
                 AND context ->> 'restore' IS NOT DISTINCT FROM $2) FROM audit.audit_log WHERE id > $1",
            &[&self.last_id, &context],
        )?;
        let found: [i64; 3] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?];
        assert_eq!(found, [self.rows; 3], "one log row per loaded row, marked with {context:?}");
        refuses(client)?;
        only_months_missing(client)?;
        goes_on(client)?;
        judge::log_is_sound(client)
    }
}

#[test]
fn data_after_the_tables() -> Result<()> {
    let source = Source::new()?;

    // Nothing said: the load is a change like any other.
    let mut client = source.with_our_data("unmarked")?;
    source.restore("unmarked", &["--data-only", "-N", "audit"])?;
    source.is_here(&mut client, None).map_err(|e| format!("unmarked: {e}"))?;

    // Within begin_restore(): recorded, marked, and announced by one event.
    let mut client = source.with_our_data("marked")?;
    let file = source.cluster.dir().join("data.sql");
    let data = source.cluster.run("pg_restore", &["--data-only", "-N", "audit", "-f", "-", "custom.dump"])?;
    fs::write(&file, data)?;
    let begin = "SELECT audit.begin_restore('ticket HD-7')";
    let args = ["-d", "marked", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-c", begin, "-f", "data.sql"];
    source.cluster.run("psql", &args)?;
    source.is_here(&mut client, Some("true")).map_err(|e| format!("marked: {e}"))?;
    let events =
        "SELECT count(*) FROM audit.guard_events WHERE kind = 'restore_begun' AND reason = 'ticket HD-7'";
    assert_eq!(client.query_one(events, &[])?.get::<_, i64>(0), 1, "one event per restore");

    // With the triggers switched off nothing is recorded, and that this was so is.
    let mut client = source.with_our_data("switched")?;
    source.restore("switched", &["--data-only", "--disable-triggers", "-N", "audit"])?;
    same(&mut client, &source.contents, &["guard events"]).map_err(|e| format!("switched: {e}"))?;
    assert_eq!(client.query_one(LOADED, &[])?.get::<_, i64>(0), source.rows, "loaded rows");
    for kind in ["tracking_suspended", "tracking_resumed"] {
        let query = "SELECT count(DISTINCT object) FROM audit.guard_events WHERE kind = $1";
        assert_eq!(client.query_one(query, &[&kind])?.get::<_, i64>(0), 7, "{kind}");
    }
    refuses(&mut client)?;
    only_months_missing(&mut client)?;
    goes_on(&mut client)?;
    judge::log_is_sound(&mut client)
}

fn original(client: &mut Client, last_id: i64) -> Result<String> {
    client.batch_execute("SET TimeZone = 'UTC'")?;
    Ok(client.query_one(ORIGINAL, &[&last_id])?.try_get(0)?)
}
