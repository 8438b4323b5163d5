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

    /// A copy of this cluster as it was at a named restore point: made from a base backup in a folder of this
    /// cluster, and the files of its archive.
    pub fn at_restore_point(&self, backup: &str, point: &str) -> Result<Self> {
        let copy = Self::without_data(&self.server)?;
        let here = path(&self.dir)?;
        copy.shell(&format!("cp -a {here}/{backup} data && touch data/recovery.signal"))?;
        let restore = format!("cp {here}/archive/%f %p");
        copy.configure(&[
            ("restore_command", &restore),
            ("recovery_target_name", point),
            ("recovery_target_action", "promote"),
        ])?;
        copy.boot()?;
        Ok(copy)
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
