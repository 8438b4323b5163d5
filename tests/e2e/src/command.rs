//! The command `audit-guard` as an administrator or an auditor runs it, against a private cluster.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use crate::Result;
use crate::cluster::Cluster;

/// What the command left with and said.
#[derive(Debug)]
pub struct Said {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// An error unless it left with this code and said this, in either place.
    pub fn is(&self, code: i32, part: &str) -> Result<&Self> {
        let said = self.out.contains(part) || self.err.contains(part);
        if self.code == Some(code) && said {
            return Ok(self);
        }
        Err(format!("expected {code} and {part:?}, got {:?}:\n{}\n{}", self.code, self.out, self.err).into())
    }
}

/// The command, a cluster, and a folder for what the command leaves behind.
pub struct Desk<'a> {
    cluster: &'a Cluster,
    database: String,
    user: String,
    folder: PathBuf,
}

impl<'a> Desk<'a> {
    /// At work with a database, as its superuser.
    pub fn new(cluster: &'a Cluster, database: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("audit_guard_desk_{}_{database}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self { cluster, database: database.to_owned(), user: "postgres".to_owned(), folder })
    }

    /// The same desk, connected as somebody else or to another database.
    pub fn with(&self, user: &str, database: &str) -> Desk<'a> {
        let folder = self.folder.join(format!("{user}-{database}"));
        Desk { cluster: self.cluster, database: database.to_owned(), user: user.to_owned(), folder }
    }

    /// A file or folder of the desk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        std::fs::create_dir_all(&self.folder)?;
        command
            .args(args)
            .current_dir(&self.folder)
            .env("PGHOST", self.cluster.dir())
            .env("PGPORT", "5432")
            .env("PGUSER", &self.user)
            .env("PGDATABASE", &self.database)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs the command to its end. Relative paths are those of the desk.
    pub fn run(&self, args: &[&str]) -> Result<Said> {
        let Output { status, stdout, stderr } = self.command(args)?.output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { code: status.code(), out: text(stdout), err: text(stderr) })
    }

    /// Starts the command and lets it run; what it says goes to files of the desk.
    pub fn start(&self, args: &[&str]) -> Result<Child> {
        let out = std::fs::File::create(self.path("out"))?;
        let err = std::fs::File::create(self.path("err"))?;
        Ok(self.command(args)?.stdout(out).stderr(err).spawn()?)
    }

    /// Makes a key and returns the public one.
    pub fn key(&self, name: &str, file: &str) -> Result<String> {
        let said = self.run(&["keygen", "--name", name, "--key", file])?;
        let said = said.is(0, "SELECT audit.trust_key(")?;
        let key = said.out.split_whitespace().find(|word| word.starts_with(&format!("{name}+")));
        Ok(key.ok_or("keygen shows no public key")?.to_owned())
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The command, built beside the tests.
fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| build().map_err(|error| error.to_string()));
    built.as_deref().map_err(|error| error.clone().into())
}

fn build() -> Result<PathBuf> {
    if let Ok(path) = std::env::var("AG_COMMAND") {
        return Ok(path.into());
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo)
        .args(["build", "--locked", "-p", "audit-guard", "--message-format=json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    let lines = String::from_utf8(built.stdout)?;
    let artifacts = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = artifacts.filter_map(|artifact| Some(artifact["executable"].as_str()?.to_owned()));
    let binary = executables.find(|path| path.ends_with("/audit-guard"));
    Ok(binary.ok_or("cargo did not build audit-guard")?.into())
}
