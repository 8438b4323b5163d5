//! The ledger as tests look at it: what verify() says, that each committed row is exactly one leaf, and a
//! witness that signs heads.

use std::time::{Duration, Instant};

use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::note::{self, Algorithm, SignerKey};
use postgres::Client;

use crate::Result;
use crate::steps::run;
use crate::values::quoted;

/// Leaves, as the seals list them; a row of a stream is one of these, or it is not sealed.
const LEAVES: &str = "SELECT e.stream_no, e.transaction_id, e.number, e.leaf_index
    FROM audit.seals AS s CROSS JOIN LATERAL audit._entries(s.seal_no) AS e";

/// Rows in every stream, and where to seal them.
const HISTORY: &str = include_str!("../sql/ledger.sql");

/// One line of verify().
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, or, in the first line, the worst of all.
    pub code: String,
    /// The stream of the row.
    pub stream: Option<String>,
    /// The number of the row.
    pub id: Option<String>,
    /// In words.
    pub detail: String,
}

/// What verify() says with these arguments; the first line sums up.
pub fn verify(client: &mut Client, arguments: &str) -> Result<Vec<Finding>> {
    let sql = format!("SELECT code, stream, id, coalesce(detail, '') FROM audit.verify({arguments})");
    let rows = client.query(&sql, &[]).map_err(|e| format!("{sql:.200}: {e:?}"))?;
    let found: Result<Vec<Finding>> = rows
        .iter()
        .map(|row| {
            let (code, stream, id) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            Ok(Finding { code, stream, id, detail: row.try_get(3)? })
        })
        .collect();
    found.and_then(|found| if found.is_empty() { Err("verify() says nothing".into()) } else { Ok(found) })
}

/// The verdict is this one, and every other line is of the same code: nothing else was found. `note` is a
/// checkpoint.
pub fn verdict_is(client: &mut Client, note: Option<&str>, code: &str) -> Result<()> {
    let arguments = note.map_or_else(String::new, |note| format!("checkpoint => {}", quoted(note)));
    let found = verify(client, &arguments)?;
    if found.iter().all(|line| line.code == code) {
        return Ok(());
    }
    Err(format!("verify() should say {code}: {:#?}", found.iter().take(10).collect::<Vec<_>>()).into())
}

/// Nothing is wrong, as far as the database itself can tell.
pub fn is_clean(client: &mut Client) -> Result<()> {
    verdict_is(client, None, "internally_consistent")
}

/// Seals until nothing waits; returns the size of the tree. Waits for a moment where somebody still writes.
pub fn seal_all(client: &mut Client) -> Result<i64> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        run(client, "SELECT audit.seal()")?;
        let head = client.query_one("SELECT size, unsealed_rows FROM audit.tree_head()", &[])?;
        let (size, waiting): (i64, i64) = (head.try_get(0)?, head.try_get(1)?);
        if waiting == 0 {
            return Ok(size);
        }
        if Instant::now() > end {
            return Err(format!("{waiting} rows are not sealed by seal()").into());
        }
    }
}

/// Fills a new database with rows in every stream, in several seals. Nothing seals within a transaction, and
/// a script is one.
pub fn with_history(client: &mut Client) -> Result<()> {
    for part in HISTORY.split_inclusive("SELECT audit.seal();") {
        let rows = part.trim_end_matches("SELECT audit.seal();");
        run(client, rows)?;
        seal_all(client)?;
    }
    Ok(())
}

/// Every row of every stream is one leaf, and every leaf is a row; returns how many there are. Nobody must
/// write meanwhile, and no row must have expired.
pub fn exactly_once(client: &mut Client) -> Result<i64> {
    let rows: String = client
        .query_one(
            "SELECT string_agg(format('SELECT %s::smallint, transaction_id, %I FROM %I.%I', stream_no,
                 number_column, table_schema, table_name), ' UNION ALL ') FROM audit.ledger_streams",
            &[],
        )?
        .try_get(0)?;
    let query = format!(
        "WITH leaves AS MATERIALIZED ({LEAVES}), stored (stream_no, transaction_id, number) AS ({rows})
         SELECT 'a row without a leaf: ' || r::text FROM (SELECT * FROM stored EXCEPT ALL
             SELECT stream_no, transaction_id, number FROM leaves) AS r
         UNION ALL SELECT 'a leaf without a row, or twice: ' || l::text FROM (
             SELECT stream_no, transaction_id, number FROM leaves EXCEPT ALL SELECT * FROM stored) AS l
         UNION ALL SELECT 'two rows in one leaf: ' || leaf_index FROM leaves GROUP BY leaf_index HAVING
             count(*) > 1
         UNION ALL SELECT 'leaves are not counted right: ' || size FROM audit.tree_head()
             WHERE size <> (SELECT count(*) FROM leaves) + (SELECT count(*) FROM audit.seals)"
    );
    let wrong = client.query(&query, &[]).map_err(|e| format!("{query}: {e:?}"))?;
    if !wrong.is_empty() {
        let first: Vec<String> = wrong.iter().take(10).map(|row| row.get(0)).collect();
        return Err(format!("{} faults: {first:#?}", wrong.len()).into());
    }
    Ok(client.query_one(&format!("SELECT count(*) FROM ({LEAVES}) AS l"), &[])?.try_get(0)?)
}

/// Seals what there is, and finds each row once and nothing wrong; returns the number of rows.
pub fn sealed_once(client: &mut Client) -> Result<i64> {
    seal_all(client)?;
    let rows = exactly_once(client)?;
    is_clean(client)?;
    Ok(rows)
}

/// The same after a discontinuity was declared.
pub fn sealed_once_with_a_gap(client: &mut Client) -> Result<i64> {
    seal_all(client)?;
    let rows = exactly_once(client)?;
    verdict_is(client, None, "acknowledged_gap")?;
    Ok(rows)
}

/// This is not the database that sealed last: seal() says so and how to go on, and so does health().
pub fn stopped(client: &mut Client) -> Result<()> {
    let refused = client.batch_execute("SELECT audit.seal()").err().ok_or("seal() goes on")?;
    let error = refused.as_db_error().ok_or("no error of the server")?;
    let is_right = error.code().code() == "55000"
        && error.message().starts_with("audit_guard does not go on sealing here: ")
        && error.hint().is_some_and(|hint| hint.starts_with("SELECT audit.declare_discontinuity("));
    if !is_right {
        return Err(format!("seal(): {error:?}").into());
    }
    let sick =
        client.query("SELECT check_name, fix FROM audit.health() WHERE NOT ok ORDER BY check_name", &[])?;
    let sick: Vec<(String, Option<String>)> = sick.iter().map(|row| (row.get(0), row.get(1))).collect();
    for check in ["identity", "ledger"] {
        let fix = sick.iter().find(|(name, _)| name == check).and_then(|(_, fix)| fix.as_deref());
        if !fix.is_some_and(|fix| fix.starts_with("SELECT audit.declare_discontinuity(")) {
            return Err(format!("health() does not say it in {check}: {sick:?}").into());
        }
    }
    Ok(())
}

/// Who signs heads of the tree somewhere else.
pub struct Witness(SignerKey);

impl Witness {
    /// One with a new key.
    pub fn new() -> Result<Self> {
        let key = SignerKey::new("witness.example.org", Algorithm::Ed25519, &rand::random());
        Ok(Self(key.map_err(|e| format!("{e:?}"))?))
    }

    /// Makes the key count in a database.
    pub fn is_trusted_by(&self, client: &mut Client) -> Result<()> {
        run(client, &format!("SELECT audit.trust_key({}, 'test')", quoted(&self.0.verifier().to_string())))
    }

    /// The tree as it is now, signed.
    pub fn sign_head(&self, client: &mut Client) -> Result<String> {
        let head = client
            .query_one("SELECT origin, size, decode(root_hash, 'base64') FROM audit.tree_head()", &[])?;
        let (origin, size, root): (String, i64, Vec<u8>) =
            (head.try_get(0)?, head.try_get(1)?, head.try_get(2)?);
        let root = root.try_into().map_err(|_| "the root is no hash")?;
        self.sign(&origin, u64::try_from(size)?, root)
    }

    /// Signs whatever is asked for.
    pub fn sign(&self, origin: &str, size: u64, root: [u8; 32]) -> Result<String> {
        let checkpoint = Checkpoint { origin: origin.to_owned(), size, root, extensions: Vec::new() };
        Ok(note::sign(&checkpoint.to_string(), &[&self.0]))
    }

    /// Signs the head and has the database keep it.
    pub fn sign_and_import(&self, client: &mut Client) -> Result<String> {
        let note = self.sign_head(client)?;
        run(client, &format!("SELECT audit.import_checkpoint({})", quoted(&note)))?;
        Ok(note)
    }
}
