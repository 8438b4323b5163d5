//! PostgreSQL installations whose server has the extension.

use std::path::{Path, PathBuf};

use crate::Result;

/// The programs of one installation.
#[derive(Clone, Debug)]
pub struct Server {
    bin: PathBuf,
}

impl Server {
    /// The one that a stage tests: `AG_PG_BIN`, else Debian's PostgreSQL 15.
    pub fn under_test() -> Self {
        let bin = std::env::var("AG_PG_BIN").unwrap_or_else(|_| "/usr/lib/postgresql/15/bin".to_owned());
        Self { bin: bin.into() }
    }

    /// Those that `AG_SERVERS` names (`15=/folder/bin:16=/folder/bin`), with their versions, oldest first.
    pub fn all() -> Result<Vec<(u32, Self)>> {
        let named = std::env::var("AG_SERVERS")
            .map_err(|_| "AG_SERVERS is not set: STAGE=roads make test sets it".to_owned())?;
        let mut servers = Vec::new();
        for server in named.split(':') {
            let (version, bin) = server.split_once('=').ok_or("AG_SERVERS is version=folder:…")?;
            servers.push((version.parse()?, Self { bin: bin.into() }));
        }
        servers.sort_unstable_by_key(|(version, _)| *version);
        Ok(servers)
    }

    /// The one of a version, which must be there.
    pub fn of(wanted: u32) -> Result<Self> {
        let found = Self::all()?.into_iter().find(|(version, _)| *version == wanted);
        let (_, server) = found.ok_or(format!("AG_SERVERS has no PostgreSQL {wanted}"))?;
        Ok(server)
    }

    /// The oldest there is.
    pub fn oldest() -> Result<Self> {
        Ok(Self::all()?.into_iter().next().ok_or("AG_SERVERS is empty")?.1)
    }

    /// The newest there is.
    pub fn newest() -> Result<Self> {
        Ok(Self::all()?.pop().ok_or("AG_SERVERS is empty")?.1)
    }

    /// The folder of the programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }
}
