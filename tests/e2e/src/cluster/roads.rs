//! What makes one cluster out of another: a base backup that follows its primary, and pg_upgrade.

use super::{Cluster, Server, path};
use crate::Result;

impl Cluster {
    /// A standby that streams from this cluster.
    pub fn standby(&self) -> Result<Self> {
        let standby = Self::without_data(&self.server)?;
        let data = standby.data();
        self.run("pg_basebackup", &["-D", path(&data)?, "-R", "-c", "fast"])?;
        standby.configure(&[])?;
        standby.boot()?;
        Ok(standby)
    }

    /// Makes a standby a server that takes writes.
    pub fn promote(&self) -> Result<()> {
        self.run("pg_ctl", &["-D", path(&self.data())?, "-w", "promote"]).map(drop)
    }

    /// Stops the server; the mode is one of pg_ctl's.
    pub fn stop(&self, mode: &str) -> Result<()> {
        self.run("pg_ctl", &["-D", path(&self.data())?, "-w", "-m", mode, "stop"]).map(drop)
    }

    /// A cluster of a newer server with everything that this one has, and with these settings already
    /// while pg_upgrade works on it. This one is stopped; with `how` `--link` it must not be started again.
    pub fn upgrade(&self, server: &Server, how: &str, settings: &[(&str, &str)]) -> Result<Self> {
        self.stop("fast")?;
        let upgraded = Self::without_data(server)?;
        upgraded.make_data()?;
        upgraded.configure(settings)?;
        let (old, new) = (self.data(), upgraded.data());
        let args = [
            "-b",
            path(self.server.bin())?,
            "-B",
            path(server.bin())?,
            "-d",
            path(&old)?,
            "-D",
            path(&new)?,
            "-s",
            path(upgraded.dir())?,
            "-U",
            "postgres",
            how,
        ];
        upgraded.run("pg_upgrade", &args)?;
        upgraded.boot()?;
        Ok(upgraded)
    }
}
