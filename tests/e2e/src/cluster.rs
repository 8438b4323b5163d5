//! Private PostgreSQL clusters: a folder of their own, a Unix socket only, gone with the test.
//!
//! A cluster is stopped by a small watcher process that waits for the end of a pipe held by the
//! test. The pipe closes when the [`Cluster`] is dropped, when the test panics, and when the test
//! process itself is killed; so no server outlives its test, not even one kept in a `static`.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

pub use self::server::Server;
use crate::Result;

mod roads;
mod server;

/// Port number of every cluster; the folder of the socket tells them apart.
const PORT: u16 = 5432;

/// Settings of every cluster. A backtrace setting in the server's environment, short naps of
/// autovacuum and a small memory make the surroundings as unfriendly as they get in production.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("max_connections", "60"),
    ("max_prepared_transactions", "20"),
    ("shared_buffers", "64MB"),
    ("autovacuum_naptime", "1s"),
    ("deadlock_timeout", "100ms"),
    ("log_min_messages", "warning"),
    ("log_line_prefix", "%m [%p] %e %q%u@%d "),
    ("max_wal_size", "1GB"),
];

/// A running server with its data directory.
pub struct Cluster {
    dir: PathBuf,
    server: Server,
    watcher: Option<Child>,
    creating: Mutex<()>,
}

impl Cluster {
    /// Makes and starts a cluster; `settings` come after the common ones.
    pub fn start(settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(&Server::under_test(), settings)
    }

    /// The same with a server of one's choice.
    pub fn start_on(server: &Server, settings: &[(&str, &str)]) -> Result<Self> {
        let cluster = Self::without_data(server)?;
        cluster.make_data()?;
        cluster.configure(settings)?;
        cluster.boot()?;
        Ok(cluster)
    }

    /// A folder that goes with the test, and nothing in it yet. It lies in `AG_CLUSTER_DIR`, else in /tmp.
    fn without_data(server: &Server) -> Result<Self> {
        let base = std::env::var("AG_CLUSTER_DIR").unwrap_or_else(|_| "/tmp".to_owned());
        let folder = format!("{base}/audit_guard_e2e.XXXXXX");
        let made = ok(unprivileged("mktemp", ["-d", &folder]).output()?, "mktemp")?;
        let dir = PathBuf::from(made.trim());
        let watcher = Some(watch(&dir, server.bin())?);
        Ok(Self { dir, server: server.clone(), watcher, creating: Mutex::new(()) })
    }

    /// All clusters have checksums, because pg_upgrade wants them on both sides or on none.
    fn make_data(&self) -> Result<()> {
        let data = self.data();
        let initdb = ["-D", path(&data)?, "-A", "trust", "-U", "postgres", "-E", "UTF8"];
        ok(self.program("initdb").args(initdb).args(["--locale=C", "-N", "-k"]).output()?, "initdb").map(drop)
    }

    fn configure(&self, settings: &[(&str, &str)]) -> Result<()> {
        let mut config = format!("unix_socket_directories = '{}'\nport = {PORT}\n", self.dir.display());
        for (name, value) in SETTINGS.iter().chain(settings) {
            config.push_str(&format!("{name} = '{value}'\n"));
        }
        let mut file = std::fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"))?;
        Ok(file.write_all(config.as_bytes())?)
    }

    /// Starts the server of an existing data directory. Backends of a killed postmaster may hold its
    /// shared memory for a moment, so this tries again for a while.
    pub fn boot(&self) -> Result<()> {
        self.boot_with("")
    }

    /// The same with options for the server, such as `-c work_mem=1MB`.
    pub fn boot_with(&self, options: &str) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let (data, log) = (self.data(), self.dir.join("server.log"));
            let args = ["-D", path(&data)?, "-w", "-t", "60", "-l", path(&log)?, "-o", options, "start"];
            let started = self.program("pg_ctl").args(args).output()?;
            if started.status.success() {
                return Ok(());
            }
            if Instant::now() > end {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("the server does not start:\n{log}").into());
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// A client program of this server, as the unprivileged user, set to connect to this cluster.
    pub fn program(&self, name: &str) -> Command {
        let mut command = unprivileged(self.server.bin().join(name), [] as [&str; 0]);
        command
            .current_dir(&self.dir)
            .env("PGHOST", &self.dir)
            .env("PGPORT", PORT.to_string())
            .env("PGUSER", "postgres")
            .env("LOCPATH", self.dir.join("locales"))
            .env("RUST_BACKTRACE", "1")
            .env_remove("PGOPTIONS")
            .env_remove("PGDATABASE");
        command
    }

    /// Runs a client program to its end and returns what it printed; a failure is an error.
    pub fn run(&self, name: &str, args: &[&str]) -> Result<String> {
        ok(self.program(name).args(args).output()?, &format!("{name} {}", args.join(" ")))
    }

    /// Runs a shell script in the cluster's folder with its programs, and returns what it printed.
    pub fn shell(&self, script: &str) -> Result<String> {
        let path = format!("PATH={}:$PATH; {script}", self.server.bin().display());
        let mut shell = unprivileged("sh", ["-c", &path]);
        shell.current_dir(&self.dir).env("PGHOST", &self.dir).env("PGPORT", PORT.to_string());
        ok(shell.env("PGUSER", "postgres").output()?, script)
    }

    /// A new connection.
    pub fn connect(&self, user: &str, database: &str) -> Result<Client> {
        let client = postgres::Config::new()
            .host_path(&self.dir)
            .port(PORT)
            .user(user)
            .dbname(database)
            .application_name("e2e")
            .connect(NoTls);
        client.map_err(|e| format!("connecting to {database} as {user}: {e:?}").into())
    }

    /// A new database with the extension; returns a superuser's connection to it.
    pub fn database(&self, name: &str) -> Result<Client> {
        self.empty_database(name)?;
        let mut client = self.connect("postgres", name)?;
        self.install(&mut client)?;
        Ok(client)
    }

    /// Installs the extension where the client is connected. It makes roles, which belong to the whole
    /// cluster: one database at a time.
    pub fn install(&self, client: &mut Client) -> Result<()> {
        let _one_at_a_time = self.creating.lock().map_err(|e| e.to_string())?;
        Ok(client.batch_execute("CREATE EXTENSION audit_guard")?)
    }

    /// A new database without the extension.
    pub fn empty_database(&self, name: &str) -> Result<()> {
        let _one_at_a_time = self.creating.lock().map_err(|e| e.to_string())?;
        let mut client = self.connect("postgres", "postgres")?;
        Ok(client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))?)
    }

    /// Process id of the postmaster, as its own file says.
    pub fn postmaster(&self) -> Result<u32> {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid"))?;
        Ok(file.lines().next().ok_or("postmaster.pid is empty")?.trim().parse()?)
    }

    /// Kills one process of this cluster without any warning.
    pub fn kill_hard(&self, pid: u32) -> Result<()> {
        ok(Command::new("kill").args(["-9", &pid.to_string()]).output()?, "kill -9").map(drop)
    }

    /// Makes the named locales (`de_DE.UTF-8`) in this cluster's own folder; the server reads them
    /// after its next start.
    pub fn make_locales(&self, names: &[&str]) -> Result<()> {
        let dir = self.dir.join("locales");
        ok(unprivileged("mkdir", [OsStr::new("-p"), dir.as_os_str()]).output()?, "mkdir")?;
        for name in names {
            let (language, charset) = name.split_once('.').ok_or("a locale is language.charset")?;
            let to = dir.join(name);
            let args = ["-i", language, "-f", charset, path(&to)?];
            let made = unprivileged("localedef", args).output()?;
            ok(made, "localedef (Debian and Ubuntu: package locales)")?;
        }
        self.restart()
    }

    /// Stops the server orderly and starts it again.
    pub fn restart(&self) -> Result<()> {
        let data = self.data();
        let args = ["-D", path(&data)?, "-w", "-m", "fast", "stop"];
        ok(self.program("pg_ctl").args(args).output()?, "pg_ctl stop")?;
        self.boot()
    }

    /// The same with further settings, which count more than those of before.
    pub fn restart_with(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.configure(settings)?;
        self.restart()
    }

    /// Where the cluster's files are; client programs run in it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut watcher) = self.watcher.take() {
            drop(watcher.stdin.take());
            if let Err(e) = watcher.wait() {
                eprintln!("waiting for the end of {}: {e}", self.dir.display());
            }
        }
    }
}

/// Starts the process that ends the cluster when the pipe to it closes. It has a process group of
/// its own, so that an interrupt from the keyboard does not end it first.
fn watch(dir: &Path, bin: &Path) -> Result<Child> {
    let script = r#"trap '' INT TERM HUP; cat >/dev/null
        "$2/pg_ctl" -D "$1/data" -w -m immediate stop; rm -rf "$1""#;
    let args = ["-c", script, "watcher", path(dir)?, path(bin)?];
    let mut command = unprivileged("sh", args);
    Ok(command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// PostgreSQL refuses to run as root, so root steps down to `AG_RUN_USER`, else to `postgres`.
fn unprivileged<S: AsRef<OsStr>, A: AsRef<OsStr>>(program: S, args: impl IntoIterator<Item = A>) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"));
    let mut command = if root {
        let mut command = Command::new("runuser");
        let user = std::env::var("AG_RUN_USER").unwrap_or_else(|_| "postgres".to_owned());
        command.args(["-u", &user, "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(args).current_dir("/tmp").stdin(Stdio::null());
    command
}

/// Standard output of a program that succeeded, else an error with everything it said.
fn ok(output: Output, what: &str) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{what} failed ({}):\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr))
        .into())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()).into())
}
