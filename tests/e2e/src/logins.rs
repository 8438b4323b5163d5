//! Logins as an application tries them, and what is asked about them afterwards.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, Row};

use crate::Result;
use crate::cluster::Cluster;
use crate::values::quoted;

/// The columns of a verdict, as [`Verdict::of`] reads them.
const COLUMNS: &str = "v.blocked, v.reason, v.retry_after_seconds, v.account_failures, v.network_failures,
    v.remaining, v.attempt_id::text";

/// Who wants in: an e-mail, an address, and the device where it is known.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// As typed.
    pub email: &'a str,
    /// Where the connection comes from.
    pub address: &'a str,
    /// What the application recognises the device by.
    pub device: Option<&'a str>,
}

/// Somebody without a device that is known.
pub const fn person<'a>(email: &'a str, address: &'a str) -> Person<'a> {
    Person { email, address, device: None }
}

/// What was decided about a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the password must not even be looked at.
    pub blocked: bool,
    /// The rule that blocks.
    pub reason: Option<String>,
    /// Seconds until another try makes sense.
    pub retry_after: i32,
    /// Failures that count against the account.
    pub account: i32,
    /// Failures that count against the network.
    pub network: i32,
    /// Tries that are left.
    pub remaining: i32,
    /// The reserved attempt.
    pub attempt: Option<String>,
}

impl Verdict {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            blocked: row.try_get(0)?,
            reason: row.try_get(1)?,
            retry_after: row.try_get(2)?,
            account: row.try_get(3)?,
            network: row.try_get(4)?,
            remaining: row.try_get(5)?,
            attempt: row.try_get(6)?,
        })
    }

    /// An error unless the try was blocked for this reason, with some time to wait.
    pub fn is_blocked_by(&self, reason: &str) -> Result<()> {
        if self.blocked
            && self.reason.as_deref() == Some(reason)
            && self.retry_after > 0
            && self.remaining == 0
            && self.attempt.is_none()
        {
            return Ok(());
        }
        Err(format!("should be blocked by {reason}: {self:?}").into())
    }

    /// An error unless nothing stands in the way.
    pub fn is_free(&self) -> Result<()> {
        if !self.blocked && self.retry_after == 0 && self.remaining > 0 {
            return Ok(());
        }
        Err(format!("should not be blocked: {self:?}").into())
    }

    /// A try that was let in may have been the last one.
    fn is_free_or_last(&self) -> Result<()> {
        if !self.blocked && self.retry_after == 0 && self.attempt.is_some() {
            return Ok(());
        }
        Err(format!("should be let in: {self:?}").into())
    }
}

/// Reserves a try.
pub fn begin(client: &mut Client, who: Person<'_>) -> Result<Verdict> {
    let call = format!("SELECT {COLUMNS} FROM audit.begin_login_attempt($1, $2::text::inet, $3) AS v");
    Verdict::of(&client.query_one(&call, &[&who.email, &who.address, &who.device])?)
}

/// Asks without trying, by the settings.
pub fn check(client: &mut Client, who: Person<'_>) -> Result<Verdict> {
    let call =
        format!("SELECT {COLUMNS} FROM audit.check_login($1, $2::text::inet, device_fingerprint => $3) AS v");
    Verdict::of(&client.query_one(&call, &[&who.email, &who.address, &who.device])?)
}

/// Says how a try ended; false when it was over already.
pub fn finish(client: &mut Client, attempt: &str, success: bool) -> Result<bool> {
    let call = "SELECT audit.finish_login_attempt($1::text::uuid, $2)";
    Ok(client.query_one(call, &[&attempt, &success])?.try_get(0)?)
}

/// A wrong password, if it gets that far; whether it did.
pub fn guess(client: &mut Client, who: Person<'_>) -> Result<bool> {
    match begin(client, who)?.attempt {
        Some(attempt) if finish(client, &attempt, false)? => Ok(true),
        Some(attempt) => Err(format!("{who:?}: attempt {attempt} was finished by somebody else").into()),
        None => Ok(false),
    }
}

/// The right password; it is an error when it does not get that far.
pub fn enter(client: &mut Client, who: Person<'_>) -> Result<()> {
    let verdict = begin(client, who)?;
    verdict.is_free_or_last().map_err(|e| format!("{who:?}: {e}"))?;
    let attempt = verdict.attempt.ok_or("an attempt without a number")?;
    if finish(client, &attempt, true)? { Ok(()) } else { Err(format!("{who:?}: finished before").into()) }
}

/// How many events there are that fulfil a condition.
pub fn events(client: &mut Client, condition: &str) -> Result<i64> {
    let count = format!("SELECT count(*) FROM audit.security_events WHERE {condition}");
    Ok(client.query_one(&count, &[]).map_err(|e| format!("{count}: {e:?}"))?.try_get(0)?)
}

/// How often a kind of suspicious activity was reported.
pub fn reported(client: &mut Client, kind: &str) -> Result<i64> {
    let kind = quoted(kind);
    events(client, &format!("event_type = 'suspicious_activity' AND metadata ->> 'kind' = {kind}"))
}

/// A number of sessions of the application's role, which may lose what was committed last in a crash.
pub fn sessions(cluster: &Cluster, database: &str, number: usize) -> Result<Vec<Client>> {
    (0..number)
        .map(|_| {
            let mut client = connected(cluster, database)?;
            client.batch_execute("SET synchronous_commit = off")?;
            Ok(client)
        })
        .collect()
}

/// A connection as soon as the server takes any.
pub fn connected(cluster: &Cluster, database: &str) -> Result<Client> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match cluster.connect("gate", database) {
            Ok(client) => return Ok(client),
            Err(e) if Instant::now() > end => return Err(e),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The role of an application that may do what such a role may.
pub const GATE: &str = "CREATE ROLE gate LOGIN IN ROLE audit_writer";

/// Lets all sessions begin at the same moment; each is told its number. Returns what each came back with.
pub fn at_once<T, F>(sessions: &mut [Client], work: F) -> Result<Vec<T>>
where
    T: Send,
    F: Fn(usize, &mut Client) -> Result<T> + Sync,
{
    let (barrier, work) = (Barrier::new(sessions.len()), &work);
    thread::scope(|scope| {
        let started: Vec<_> = sessions
            .iter_mut()
            .enumerate()
            .map(|(number, client)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    work(number, client)
                })
            })
            .collect();
        started.into_iter().map(|session| session.join().map_err(|_| "a session panicked")?).collect()
    })
}
