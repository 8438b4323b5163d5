//! The servers under attack: for each level a cluster with a template database, cloned when an attack has
//! left its mark.

use std::cell::Cell;
use std::thread::sleep;
use std::time::Duration;

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::{Cluster, Server};
use postgres::{Client, NoTls};

use crate::case::Level;

const ROLES: &str = include_str!("../../../attacks/roles.sql");
const FIXTURE: &str = include_str!("../../../attacks/fixture.sql");
const UNPROTECT: &str = include_str!("../../../attacks/unprotect.sql");

const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "logical"),
    ("max_connections", "40"),
    ("max_worker_processes", "16"),
    ("log_checkpoints", "off"),
    ("autovacuum", "off"),
    ("max_wal_size", "128MB"),
    // PostgreSQL 15 starts one worker of a subscription per interval.
    ("wal_retrieve_retry_interval", "50ms"),
];
const PRELOADED: (&str, &str) = ("shared_preload_libraries", "audit_guard");

/// The template with the guard, and the one without any.
pub(crate) const GUARDED: &str = "guarded";
pub(crate) const UNPROTECTED: &str = "unprotected";

/// A cluster of one version and one level.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) version: u32,
    pub(crate) level: Level,
    /// Extensions of others that this server has.
    pub(crate) extensions: Vec<String>,
    log_leaf: String,
    clones: Cell<u32>,
}

/// One database under attack.
pub(crate) struct Place<'a> {
    pub(crate) world: &'a World,
    pub(crate) database: String,
    pub(crate) is_guarded: bool,
}

impl World {
    /// A new cluster with what is attacked in it.
    pub(crate) fn start(version: u32, level: Level) -> Result<Self> {
        let mut world = Self::empty(version, level)?;
        world.cluster.empty_database(GUARDED)?;
        let mut client = world.connect("postgres", GUARDED)?;
        client.batch_execute(FIXTURE).map_err(|e| format!("fixture.sql: {}", tell(&e)))?;
        drop(client);
        world.learn()?;
        if level == Level::Without {
            world.copy(GUARDED, UNPROTECTED)?;
            let mut client = world.connect("postgres", UNPROTECTED)?;
            client.batch_execute(UNPROTECT).map_err(|e| format!("unprotect.sql: {}", tell(&e)))?;
        }
        Ok(world)
    }

    /// A new cluster with the roles and nothing else.
    pub(crate) fn empty(version: u32, level: Level) -> Result<Self> {
        let cluster = Cluster::start_on(&Server::of(version)?, &Self::settings(level))?;
        let world = Self::around(cluster, version, level)?;
        world.connect("postgres", "postgres")?.batch_execute(ROLES)?;
        Ok(world)
    }

    /// How a server is set up for a level.
    pub(crate) fn settings(level: Level) -> Vec<(&'static str, &'static str)> {
        let mut settings = SETTINGS.to_vec();
        match level {
            Level::Without => {}
            Level::On => settings.push(PRELOADED),
            Level::Strict => settings.extend([PRELOADED, ("audit_guard.lockdown", "strict")]),
        }
        settings
    }

    /// A cluster that exists already.
    pub(crate) fn around(cluster: Cluster, version: u32, level: Level) -> Result<Self> {
        let mut client = cluster.connect("postgres", "postgres")?;
        let extensions = client.query("SELECT name::text FROM pg_available_extensions", &[])?;
        let extensions = extensions.iter().map(|row| row.get(0)).collect();
        Ok(Self { cluster, version, level, extensions, log_leaf: String::new(), clones: Cell::new(0) })
    }

    /// Learns which partition of the log is being written, once there is a log.
    pub(crate) fn learn(&mut self) -> Result<()> {
        let query = "SELECT tableoid::regclass::text FROM audit.audit_log LIMIT 1";
        self.log_leaf = self.connect("postgres", GUARDED)?.query_one(query, &[])?.try_get(0)?;
        Ok(())
    }

    /// A new clone of a template.
    pub(crate) fn clone_of(&self, template: &str) -> Result<Place<'_>> {
        self.clones.set(self.clones.get() + 1);
        let database = format!("attacked_{}", self.clones.get());
        self.copy(template, &database)?;
        Ok(Place { world: self, database, is_guarded: template != UNPROTECTED })
    }

    /// Somebody who looks into the template (autovacuum, a worker) makes CREATE DATABASE fail.
    fn copy(&self, template: &str, database: &str) -> Result<()> {
        let mut client = self.connect("postgres", "postgres")?;
        let create = format!("CREATE DATABASE {database} TEMPLATE {template}");
        for _ in 0..3 {
            match client.batch_execute(&create) {
                Err(e) if e.code().is_some_and(|code| code.code() == "55006") => {
                    sleep(Duration::from_millis(200));
                }
                other => return other.map_err(|e| format!("{create}: {}", tell(&e)).into()),
            }
        }
        Err(format!("{create}: others use the template all the time").into())
    }

    /// A session that gives up instead of waiting for ever.
    pub(crate) fn connect(&self, user: &str, database: &str) -> Result<Client> {
        let client = postgres::Config::new()
            .host_path(self.cluster.dir())
            .port(5432)
            .user(user)
            .dbname(database)
            .application_name("attacks")
            .options("-c statement_timeout=20s -c lock_timeout=5s -c client_min_messages=warning")
            .connect(NoTls);
        client.map_err(|e| format!("connecting to {database} as {user}: {}", tell(&e)).into())
    }

    /// Starts the server if an attack has left it stopped.
    pub(crate) fn revive(&self) -> Result<()> {
        if self.connect("postgres", "postgres").is_ok() { Ok(()) } else { self.cluster.boot() }
    }

    /// SQLSTATEs of the errors in the server's log from a position on, and the position of its end.
    pub(crate) fn logged_errors(&self, from: usize) -> Result<(Vec<String>, usize)> {
        let log = std::fs::read(self.cluster.dir().join("server.log"))?;
        let text = String::from_utf8_lossy(log.get(from..).unwrap_or_default());
        let errors = text.lines().filter(|line| line.contains(" ERROR:  ") || line.contains(" FATAL:  "));
        let codes = errors.filter_map(|line| line.split("] ").nth(1)?.split(' ').next());
        Ok((codes.map(str::to_owned).collect(), log.len()))
    }
}

impl Place<'_> {
    pub(crate) fn connect(&self, user: &str) -> Result<Client> {
        self.world.connect(user, &self.database)
    }

    pub(crate) fn log_leaf(&self) -> &str {
        &self.world.log_leaf
    }

    /// Removes what attackers have made for themselves.
    pub(crate) fn sweep(&self) -> Result<()> {
        let swept = self.connect("postgres")?.batch_execute("DROP SCHEMA IF EXISTS evil CASCADE");
        swept.map_err(|e| format!("tidying up: {}", tell(&e)).into())
    }

    /// Removes the database where that is possible; under lockdown it stays until the cluster goes.
    pub(crate) fn drop(self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database);
        let dropped =
            self.world.connect("postgres", "postgres").and_then(|mut c| Ok(c.batch_execute(&drop)?));
        if let (Level::Without, Err(e)) = (self.world.level, dropped) {
            eprintln!("{drop}: {e}");
        }
    }
}

/// What the server said, in one line with its SQLSTATE.
pub(crate) fn tell(error: &postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || format!("{error:?}"),
        |e| format!("{} {}", e.code().code(), e.message().lines().next().unwrap_or_default()),
    )
}
