//! What the witness signed so far: the one thing that an altered database cannot alter.
//!
//! `checkpoint` is the last signed note, as it is. `signed-YYYY-MM.jsonl` keeps all of them with the time of
//! signing. `unposted` is there as long as the database has not taken the last one. `keys` names the keys
//! that signed them. `alarm` is there as long as there is a reason for it.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::failure::{Failure, Result};
use crate::files;
use crate::keys::{self, Signed};

const LIMIT: u64 = 1 << 20;
/// There as long as the database has not taken the last note.
const UNPOSTED: &str = "unposted";

/// The state folder, locked as long as this lives.
pub(super) struct State {
    folder: PathBuf,
    /// The last checkpoint that was signed.
    pub(super) last: Option<Signed>,
    _lock: File,
}

impl State {
    /// Opens the folder, and makes it when it is not there.
    pub(super) fn open(folder: &Path, verifier_key: &str) -> Result<Self> {
        files::make_folder(folder)?;
        let lock_path = folder.join("lock");
        let lock = File::create(&lock_path).map_err(|error| Failure::file(&lock_path, &error))?;
        if lock.try_lock().is_err() {
            return Err(Failure::usage(format!("{}: another witness works here", folder.display())));
        }
        let keys_path = folder.join("keys");
        let mut known: Vec<String> = match keys_path.exists() {
            true => files::read(&keys_path, LIMIT)?.lines().map(str::to_owned).collect(),
            false => Vec::new(),
        };
        let last = Self::read_last(folder, &known)?;
        if !known.iter().any(|key| key == verifier_key) {
            known.push(verifier_key.to_owned());
            files::replace(&keys_path, format!("{}\n", known.join("\n")).as_bytes())?;
        }
        Ok(Self { folder: folder.to_owned(), last, _lock: lock })
    }

    /// The last note. A folder that has signed before and has lost it is no new folder: to begin anew there
    /// would let a database through that took something back.
    fn read_last(folder: &Path, known: &[String]) -> Result<Option<Signed>> {
        let path = folder.join("checkpoint");
        if !path.exists() {
            return match known.is_empty() {
                true => Ok(None),
                false => Err(Failure::unchecked(format!(
                    "{} is missing, though this folder has signed before; put it back from signed-*.jsonl or \
                     a backup, or give another folder to --state",
                    path.display()
                ))),
            };
        }
        let note = files::read(&path, LIMIT)?;
        match keys::open(&note, known) {
            Some(signed) => Ok(Some(signed)),
            None => {
                Err(Failure::unchecked(format!("{}: signed by none of this folder's keys", path.display())))
            }
        }
    }

    /// Keeps a signed note; it is on disk when this returns.
    pub(super) fn keep(&mut self, signed: Signed, now: DateTime<Utc>) -> Result<()> {
        let line = serde_json::json!({
            "signed_at": now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "origin": signed.origin,
            "size": signed.size.to_string(),
            "note": signed.note,
        });
        let history = self.folder.join(now.format("signed-%Y-%m.jsonl").to_string());
        files::replace(&self.folder.join(UNPOSTED), b"")?;
        // The history first: after a power failure between the two, one note too many is in it.
        files::append(&history, format!("{line}\n").as_bytes())?;
        files::replace(&self.folder.join("checkpoint"), signed.note.as_bytes())?;
        self.last = Some(signed);
        Ok(())
    }

    /// Whether the database has not taken the last note yet.
    pub(super) fn is_unposted(&self) -> bool {
        self.folder.join(UNPOSTED).exists()
    }

    /// The database has taken the last note.
    pub(super) fn mark_posted(&self) -> Result<()> {
        remove(&self.folder.join(UNPOSTED))
    }

    /// Leaves a sign of an alarm for whoever watches the folder, or takes it away.
    pub(super) fn mark_alarm(&self, alarm: Option<&str>) -> Result<()> {
        let path = self.folder.join("alarm");
        match alarm {
            Some(text) => files::replace(&path, text.as_bytes()),
            None => remove(&path),
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(path, &error)),
        _ => Ok(()),
    }
}
