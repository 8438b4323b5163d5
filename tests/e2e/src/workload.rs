//! A session that writes at random: every form of DML, in every form of transaction.

use std::collections::BTreeMap;

use postgres::Client;
use postgres::error::SqlState;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::cluster::Cluster;
use crate::session::unsettle;
use crate::statements::{Kind, cancelled, procedure, statement, truncate_one};
use crate::tables::Table;
use crate::values::quoted;
use crate::{Failure, Result};

/// Errors that random writers run into by themselves; any other one fails the test.
pub const EXPECTED: &[&str] =
    &["21000", "22012", "23502", "23503", "23505", "23514", "27000", "40001", "40P01", "55P03", "P0001"];

/// What a session did, by kind of statement or end of transaction: how often it tried and succeeded.
pub type Tally = BTreeMap<String, (usize, usize)>;

/// One writing session.
pub struct Writer<'a> {
    cluster: &'a Cluster,
    database: &'a str,
    user: &'a str,
    number: u64,
    client: Client,
    /// A superuser's session with default settings: ends prepared transactions, and prints values for
    /// COPY (under other settings some have no text that reads back).
    helper: Client,
    rng: StdRng,
    tables: &'a [Table],
    prepared: Vec<String>,
    /// What it did.
    pub tally: Tally,
    /// Ids of its transactions that were rolled back as a whole.
    pub undone: Vec<i64>,
}

/// How far a transaction has come.
enum State {
    Open,
    Failed,
}

impl<'a> Writer<'a> {
    /// A session of its own, with settings of its own.
    pub fn new(
        cluster: &'a Cluster,
        database: &'a str,
        user: &'a str,
        tables: &'a [Table],
        seed: u64,
        number: u64,
    ) -> Result<Self> {
        let mut writer = Self {
            cluster,
            database,
            user,
            number,
            client: cluster.connect(user, database)?,
            helper: cluster.connect("postgres", database)?,
            rng: StdRng::seed_from_u64(seed.wrapping_mul(1000) + number),
            tables,
            prepared: Vec::new(),
            tally: Tally::new(),
            undone: Vec::new(),
        };
        writer.settle()?;
        Ok(writer)
    }

    /// Gives a new connection its settings. Short lock waits: a waiting session wastes the run.
    fn settle(&mut self) -> Result<()> {
        unsettle(&mut self.client, &mut self.rng, &[])?;
        let name = ["e2e", "", "näme"][self.rng.random_range(0..3)];
        let settings = format!("SET lock_timeout = '150ms'; SET application_name = {};", quoted(name));
        Ok(self.client.batch_execute(&settings)?)
    }

    /// Runs so many transactions, then ends every one that is still prepared.
    pub fn run(&mut self, transactions: usize) -> Result<()> {
        for number in 0..transactions {
            if self.rng.random_ratio(1, 40) {
                self.client = self.cluster.connect(self.user, self.database)?;
                self.settle()?;
            }
            if self.rng.random_ratio(1, 30) {
                self.attempt(Kind::Discard, "DISCARD ALL")?;
                self.settle()?;
            }
            if self.rng.random_ratio(1, 40) {
                let sql = truncate_one(&mut self.rng);
                self.attempt(Kind::Truncate, &sql)?;
            }
            if self.rng.random_ratio(1, 25) {
                let sql = procedure(&mut self.rng, self.tables);
                self.attempt(Kind::Procedure, &sql)?;
            } else if self.rng.random_ratio(1, 5) {
                let (kind, sql) = statement(&mut self.rng, self.tables);
                self.attempt(kind, &sql)?;
            } else {
                self.transaction(number)?;
            }
            if !self.prepared.is_empty() && self.rng.random_ratio(1, 3) {
                self.end_prepared()?;
            }
        }
        while !self.prepared.is_empty() {
            self.end_prepared()?;
        }
        Ok(())
    }

    /// One transaction with savepoints, some of them rolled back, and a random end.
    fn transaction(&mut self, number: usize) -> Result<()> {
        let level = ["READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];
        let level = level[self.rng.random_range(0..level.len())];
        let begin = format!("BEGIN ISOLATION LEVEL {level}");
        self.client.batch_execute(&begin).map_err(|e| self.failure(&begin, &e))?;
        let mut savepoints: Vec<usize> = Vec::new();
        for step in 0..self.rng.random_range(1..9) {
            let state = match self.rng.random_range(0..20) {
                0..=2 => {
                    savepoints.push(step);
                    self.attempt(Kind::Savepoint, &format!("SAVEPOINT s{step}"))?
                }
                3 | 4 if !savepoints.is_empty() => {
                    let at = self.rng.random_range(0..savepoints.len());
                    let name = savepoints[at];
                    // A savepoint stays after ROLLBACK TO, and goes with RELEASE.
                    if self.rng.random() {
                        savepoints.truncate(at + 1);
                        self.attempt(Kind::RollbackTo, &format!("ROLLBACK TO s{name}"))?
                    } else {
                        savepoints.truncate(at);
                        self.attempt(Kind::Release, &format!("RELEASE s{name}"))?
                    }
                }
                5 => {
                    let sql = self.declaration();
                    self.attempt(Kind::Context, &sql)?
                }
                6 => {
                    let sql = ["SET LOCAL ROLE clerk", "RESET ROLE", "SET LOCAL TimeZone = 'Asia/Tokyo'"]
                        [self.rng.random_range(0..3)];
                    self.attempt(Kind::Setting, sql)?
                }
                8 if self.rng.random_ratio(1, 4) => {
                    self.attempt(Kind::Savepoint, "SAVEPOINT cancelled")?;
                    let sql = cancelled(&mut self.rng);
                    self.attempt(Kind::Cancelled, &sql)?;
                    self.attempt(Kind::RollbackTo, "ROLLBACK TO cancelled")?
                }
                7 if self.rng.random_ratio(1, 3) => {
                    self.attempt(Kind::Replica, "SET LOCAL session_replication_role = replica")?
                }
                _ => {
                    let (kind, sql) = statement(&mut self.rng, self.tables);
                    // TRUNCATE takes rows away that such a transaction cannot see: what it tells about
                    // them has a test of its own, the reference sees no more than the transaction.
                    if kind == Kind::Truncate && level != "READ COMMITTED" {
                        continue;
                    }
                    self.attempt(kind, &sql)?
                }
            };
            if let State::Failed = state {
                match savepoints.last() {
                    Some(name) => {
                        let name = *name;
                        self.attempt(Kind::RollbackTo, &format!("ROLLBACK TO s{name}"))?;
                    }
                    None => {
                        return self
                            .client
                            .batch_execute("ROLLBACK")
                            .map_err(|e| self.failure("ROLLBACK", &e));
                    }
                }
            }
        }
        self.end(number)
    }

    /// Ends a healthy transaction: COMMIT, ROLLBACK or PREPARE.
    fn end(&mut self, number: usize) -> Result<()> {
        let query = "SELECT pg_current_xact_id_if_assigned()::text::bigint";
        let row = self.client.query_one(query, &[]).map_err(|e| self.failure(query, &e))?;
        let id: Option<i64> = row.try_get(0)?;
        match self.rng.random_range(0..10) {
            // A failing COMMIT has rolled the transaction back.
            0..=5 => {
                if let State::Failed = self.attempt(Kind::Commit, "COMMIT")? {
                    self.undone.extend(id);
                }
            }
            6 | 7 => {
                self.attempt(Kind::Rollback, "ROLLBACK")?;
                self.undone.extend(id);
            }
            _ => {
                let gid = format!("{}/{number}/{}", self.number, id.unwrap_or_default());
                let sql = format!("PREPARE TRANSACTION {}", quoted(&gid));
                // A failing PREPARE (deferred checks) has rolled the transaction back.
                if let State::Open = self.attempt(Kind::Prepare, &sql)? {
                    self.prepared.push(gid);
                }
            }
        }
        Ok(())
    }

    fn end_prepared(&mut self) -> Result<()> {
        let Some(gid) = self.prepared.pop() else { return Ok(()) };
        if self.rng.random_ratio(2, 3) {
            self.attempt(Kind::CommitPrepared, &format!("COMMIT PREPARED {}", quoted(&gid)))?;
        } else {
            self.attempt(Kind::RollbackPrepared, &format!("ROLLBACK PREPARED {}", quoted(&gid)))?;
            self.undone
                .extend(gid.rsplit('/').next().and_then(|id| id.parse::<i64>().ok()).filter(|id| *id > 0));
        }
        Ok(())
    }

    /// A declaration to the extension, and the same to the reference through local settings, which
    /// are kept and undone by the server itself.
    fn declaration(&mut self) -> String {
        let n: u32 = self.rng.random_range(0..5);
        let set = |name: &str, value: &str| format!("SELECT set_config('ref.{name}', '{value}', true);");
        match n {
            0 => {
                let clear: String = ["actor", "tenant", "phi"].iter().map(|name| set(name, "")).collect();
                format!("SELECT audit.set_context(); {clear}")
            }
            1 => {
                format!("SELECT audit.set_context(tenant_id => 't{n}'); {}", set("tenant", &format!("t{n}")))
            }
            2 => format!("SELECT audit.set_context(phi_accessed => true); {}", set("phi", "true")),
            _ => format!(
                "SELECT audit.set_context(actor_id => 'u{n}'::text); {}",
                set("actor", &format!("u{n}"))
            ),
        }
    }

    /// Runs a statement and counts it. An expected error leaves the transaction failed.
    fn attempt(&mut self, kind: Kind, sql: &str) -> Result<State> {
        let outcome = match kind {
            Kind::Copy => self.copy(sql),
            // The extended protocol now and then: other plans, other portals.
            Kind::CommitPrepared | Kind::RollbackPrepared => self.helper.batch_execute(sql),
            _ if kind.is_one_statement() && self.rng.random() => self.client.execute(sql, &[]).map(drop),
            _ => self.client.batch_execute(sql),
        };
        let count = self.tally.entry(format!("{kind:?}")).or_default();
        count.0 += 1;
        match outcome {
            Ok(()) => {
                count.1 += usize::from(kind != Kind::Cancelled);
                Ok(State::Open)
            }
            // Here the cancellation is the success.
            Err(e) if kind == Kind::Cancelled && e.code() == Some(&SqlState::QUERY_CANCELED) => {
                count.1 += 1;
                Ok(State::Failed)
            }
            Err(e) if is_expected(&e) => Ok(State::Failed),
            Err(e) => Err(self.failure(sql, &e)),
        }
    }

    fn failure(&self, sql: &str, error: &postgres::Error) -> Failure {
        format!("writer {}: {sql:.3000}\n{error:?}", self.number).into()
    }

    /// `sql` is target, columns and query: another session puts the values into a file of the server,
    /// this one copies them in.
    fn copy(&mut self, sql: &str) -> std::result::Result<(), postgres::Error> {
        let mut parts = sql.splitn(3, '\u{1}').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (target, columns, query) = (part(), part(), part());
        let file = self.cluster.dir().join(format!("copy.{}", self.number));
        let file = quoted(&file.to_string_lossy());
        self.helper.batch_execute(&format!("COPY ({query}) TO {file}"))?;
        self.client.batch_execute(&format!("COPY {target} ({columns}) FROM {file}"))
    }
}

/// Whether random writers run into this error by themselves. TRUNCATE refuses a table with deferred
/// events; the same code for a table "being used" would be the extension's doing.
pub fn is_expected(error: &postgres::Error) -> bool {
    error.as_db_error().is_some_and(|e| {
        EXPECTED.contains(&e.code().code())
            || (e.code().code() == "55006" && e.message().contains("pending trigger events"))
    })
}

/// Whether an error is one that only the server's own crash explains.
pub fn is_disconnect(error: &postgres::Error) -> bool {
    error.is_closed()
        || error.code().is_none()
        || error.code().is_some_and(|code| {
            [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN, &SqlState::CANNOT_CONNECT_NOW]
                .contains(&code)
        })
}

/// Adds one tally to another.
pub fn add(total: &mut Tally, more: &Tally) {
    for (kind, (tried, done)) in more {
        let count = total.entry(kind.clone()).or_default();
        count.0 += tried;
        count.1 += done;
    }
}
