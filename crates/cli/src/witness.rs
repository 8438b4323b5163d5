//! Signing the head of a ledger from elsewhere.

mod state;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use chrono::Utc;
use postgres::Client;
use postgres::error::SqlState;

use crate::Witness;
use crate::connect::{self, Settings};
use crate::failure::{Exit, Failure, Result};
use crate::keys::{self, Key, Signed};
use crate::report::{grouped, one_line};
use state::State;

/// How long a database may be away before somebody is told.
const AWAY: Duration = Duration::from_secs(300);
/// The longest wait between two attempts to reach it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long the alarm's command may take.
const ALARM_TIME: Duration = Duration::from_secs(30);

/// Something that is not signed.
struct Alarm {
    code: &'static str,
    message: String,
}

/// What a look at the database came to.
enum Look {
    Signed(u64),
    /// There is nothing to sign, or nothing new.
    Unchanged(&'static str),
    /// Signed, but the database did not take it.
    NotPosted(String),
    Refused(Alarm),
}

pub(crate) fn run(arguments: &Witness) -> Result<Exit> {
    let settings = Settings::parse(&arguments.database.dsn)?;
    let key = keys::read(&arguments.key)?;
    let state = State::open(&arguments.state, &key.verifier_key())?;
    let mut witness = Watch { arguments, key, state, client: None, alarm: None, away_since: None };
    if arguments.once {
        return witness.once(&settings);
    }
    let (stop, stopped) = channel();
    // Only one handler is set, so this cannot fail for there being one already.
    let handler = move || {
        // Nobody waits any more: it is about to end anyway.
        let _ = stop.send(());
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::usage(error.to_string()))?;
    witness.until(&settings, &stopped)
}

struct Watch<'a> {
    arguments: &'a Witness,
    key: Key,
    state: State,
    client: Option<Client>,
    /// The code of the alarm that was raised last, as long as its reason lasts.
    alarm: Option<&'static str>,
    away_since: Option<Instant>,
}

impl Watch<'_> {
    fn once(&mut self, settings: &Settings) -> Result<Exit> {
        let look = self.look(settings)?;
        self.tell(&look)?;
        Ok(match look {
            Look::Refused(_) => Exit::Tampered,
            Look::NotPosted(_) => Exit::Unchecked,
            Look::Signed(_) | Look::Unchanged(_) => Exit::Intact,
        })
    }

    /// Looks again and again until it is told to stop.
    fn until(&mut self, settings: &Settings, stopped: &Receiver<()>) -> Result<Exit> {
        log(&format!("watching with key {}", self.key.name()));
        let mut wait = self.arguments.interval;
        loop {
            match self.look(settings) {
                Ok(look) => {
                    if self.away_since.take().is_some() {
                        log("the database is there again");
                    }
                    wait = self.arguments.interval;
                    self.tell(&look)?;
                }
                // Whether it is the connection, a right that is missing or an update that is running: it may
                // be different later. What cannot change by itself, such as a full disk, ends the witness.
                Err(failure) if failure.is_connection || self.client.is_some() => {
                    self.client = None;
                    self.away(&failure)?;
                    wait =
                        (wait * 2).clamp(self.arguments.interval, LONGEST_WAIT.max(self.arguments.interval));
                }
                Err(failure) => return Err(failure),
            }
            match stopped.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        log("stopped");
        Ok(if self.alarm.is_some_and(|code| code != "unreachable") { Exit::Tampered } else { Exit::Intact })
    }

    fn away(&mut self, failure: &Failure) -> Result<()> {
        match self.away_since {
            None => {
                log(&format!("cannot look: {}", one_line(&failure.message)));
                self.away_since = Some(Instant::now());
            }
            Some(since) if since.elapsed() >= AWAY && self.alarm.is_none() => {
                let message =
                    format!("no look for {} minutes: {}", since.elapsed().as_secs() / 60, failure.message);
                self.raise(&Alarm { code: "unreachable", message })?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// One look: fetch the head, compare, sign, keep, post.
    fn look(&mut self, settings: &Settings) -> Result<Look> {
        let client = match &mut self.client {
            Some(client) => client,
            none => {
                let mut client = connect::connect(settings)?;
                // A server that hangs must not hang the witness.
                client.batch_execute("SET statement_timeout = '60s'; SET lock_timeout = '10s'")?;
                none.insert(client)
            }
        };
        let head = Head::fetch(client)?;
        if head.is_standby {
            return Err(Failure::connection("this is a standby; the witness needs the primary"));
        }
        if head.size == 0 && self.state.last.is_none() {
            return Ok(Look::Unchanged("nothing is sealed yet"));
        }
        if let Some(last) = &self.state.last {
            if let Some(alarm) = judge(client, last, &head, self.arguments.accept_origin.as_deref())? {
                return Ok(Look::Refused(alarm));
            }
            if last.size == head.size && last.origin == head.origin {
                // The post may have failed last time, or the database was away in between.
                if !self.state.is_unposted() && head.signed_size.is_some_and(|size| size >= last.size) {
                    return Ok(Look::Unchanged("nothing new"));
                }
                let refusal = post(client, &last.note)?;
                if refusal.is_none() {
                    self.state.mark_posted()?;
                }
                return Ok(refusal.map_or(Look::Unchanged("posted again"), Look::NotPosted));
            }
        }
        let signed = self.key.sign(&head.origin, head.size, &head.root)?;
        let (note, size) = (signed.note.clone(), signed.size);
        self.state.keep(signed, Utc::now())?;
        let refusal = post(client, &note)?;
        if refusal.is_none() {
            self.state.mark_posted()?;
        }
        Ok(refusal.map_or(Look::Signed(size), Look::NotPosted))
    }

    /// Says what came of a look, and raises or ends an alarm.
    fn tell(&mut self, look: &Look) -> Result<()> {
        match look {
            Look::Refused(alarm) => {
                if self.alarm != Some(alarm.code) {
                    self.raise(alarm)?;
                }
                return Ok(());
            }
            Look::Signed(size) => {
                let origin = self.state.last.as_ref().map_or("", |last| &last.origin);
                log(&format!("signed {} of {}", grouped(*size), one_line(origin)));
            }
            Look::Unchanged(why) if self.arguments.once => log(why),
            Look::Unchanged(_) => {}
            Look::NotPosted(why) => {
                eprintln!("audit-guard: signed and kept, but the database did not take it: {why}");
            }
        }
        self.alarm = None;
        self.state.mark_alarm(None)
    }

    fn raise(&mut self, alarm: &Alarm) -> Result<()> {
        let message = one_line(&alarm.message);
        eprintln!("audit-guard: ALARM {}: {message}", alarm.code);
        let document = serde_json::json!({
            "alarm": alarm.code,
            "message": message,
            "raised_at": Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "last_signed_size": self.state.last.as_ref().map(|last| last.size.to_string()),
            "last_signed_origin": self.state.last.as_ref().map(|last| &last.origin),
        });
        let document = format!("{document}\n");
        self.alarm = Some(alarm.code);
        self.state.mark_alarm(Some(&document))?;
        if let Some(command) = &self.arguments.on_alarm
            && let Err(error) = call(command, alarm.code, &message, &document)
        {
            eprintln!("audit-guard: the command of --on-alarm failed: {error}");
        }
        Ok(())
    }
}

/// What the database says of its ledger.
struct Head {
    origin: String,
    size: u64,
    root: [u8; 32],
    signed_size: Option<u64>,
    is_standby: bool,
}

impl Head {
    fn fetch(client: &mut Client) -> Result<Self> {
        let row = client.query_opt(
            "SELECT h.origin, h.size, h.root_hash, h.signed_size, pg_is_in_recovery() \
             FROM audit.tree_head() h",
            &[],
        )?;
        let row = row.ok_or_else(|| Failure::unchecked("audit.tree_head() returns nothing"))?;
        let root: Option<String> = row.try_get(2)?;
        let size: Option<i64> = row.try_get(1)?;
        let size = size.unwrap_or(0);
        let size =
            u64::try_from(size).map_err(|_| Failure::unchecked("the size of the ledger is negative"))?;
        let root = match root {
            Some(text) => keys::hash_from_text(&text),
            None if size == 0 => Some(audit_guard_core::ledger::tree::empty_root()),
            None => None,
        };
        Ok(Self {
            origin: row.try_get::<_, Option<String>>(0)?.unwrap_or_default(),
            size,
            root: root.ok_or_else(|| Failure::unchecked("the root of the ledger is no hash"))?,
            signed_size: row.try_get::<_, Option<i64>>(3)?.and_then(|size| u64::try_from(size).ok()),
            is_standby: row.try_get(4)?,
        })
    }
}

/// Whether the head continues what was signed last; else why it is not signed.
fn judge(client: &mut Client, last: &Signed, head: &Head, accepted: Option<&str>) -> Result<Option<Alarm>> {
    let alarm = |code, message| Ok(Some(Alarm { code, message }));
    let is_other_origin = last.origin != head.origin;
    if is_other_origin && accepted != Some(head.origin.as_str()) {
        return alarm(
            "changed_origin",
            format!(
                "the ledger now calls itself {} and was signed as {}; if a discontinuity was declared \
                 and you know why: --accept-origin '{}'",
                head.origin, last.origin, head.origin
            ),
        );
    }
    let problem = if head.size < last.size {
        Some((
            "rollback",
            format!("the ledger has {} leaves; {} were signed", grouped(head.size), grouped(last.size)),
        ))
    } else if head.size == last.size && head.root != last.root {
        Some((
            "fork",
            format!("the ledger of {} leaves has another root than the one signed", grouped(head.size)),
        ))
    } else if head.size > last.size && !is_extension(client, last, head)? {
        Some((
            "fork",
            format!(
                "the {} leaves signed last are not the first of the {}",
                grouped(last.size),
                grouped(head.size)
            ),
        ))
    } else {
        None
    };
    match problem {
        // The person who accepted the origin accepted that something is lost; it is said, and stays in the
        // history of what was signed.
        Some((_, message)) if is_other_origin => {
            eprintln!(
                "audit-guard: accepted with the origin {}: {}",
                one_line(&head.origin),
                one_line(&message)
            );
            Ok(None)
        }
        Some((code, message)) => alarm(code, message),
        None => Ok(None),
    }
}

/// Whether the tree that was signed last is the beginning of the one there is now, by the proof that the
/// database gives. One that it refuses to give is none.
fn is_extension(client: &mut Client, last: &Signed, head: &Head) -> Result<bool> {
    let (from, to) = (last.size.cast_signed(), head.size.cast_signed());
    let row = client.query_one("SELECT audit.consistency($1, $2)", &[&from, &to]);
    let proof: Option<String> = match row {
        Ok(row) => row.try_get(0)?,
        Err(error) => {
            let failure = Failure::from(error);
            return Err(failure);
        }
    };
    Ok(proof.is_some_and(|proof| keys::is_consistent(&proof, last, head.size, &head.root)))
}

/// Gives the note to the database; returns why it did not take it. Only a lost connection is an error.
fn post(client: &mut Client, note: &str) -> Result<Option<String>> {
    match client.execute("SELECT audit.import_checkpoint($1)", &[&note]) {
        Ok(_) => Ok(None),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(Some(format!(
            "{}\nHINT:  the witness's role must be a member of audit_writer",
            Failure::from(error)
        ))),
        Err(error) if error.as_db_error().is_some() => Ok(Some(Failure::from(error).message)),
        Err(error) => Err(error.into()),
    }
}

/// Runs the command of --on-alarm and waits for it, but not for ever.
fn call(command: &str, code: &str, message: &str, document: &str) -> std::io::Result<()> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("AUDIT_GUARD_ALARM", code)
        .env("AUDIT_GUARD_MESSAGE", message)
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A command that does not read it is no failure.
        let _ = input.write_all(document.as_bytes());
    }
    let end = Instant::now() + ALARM_TIME;
    loop {
        if let Some(status) = child.try_wait()? {
            return if status.success() { Ok(()) } else { Err(std::io::Error::other(status.to_string())) };
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::other("it took longer than 30 seconds"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn log(message: &str) {
    println!("{} {message}", Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
}
