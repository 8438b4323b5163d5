//! A dump restored into a newer server, and into a cluster that has never seen the extension.

use std::fs;

use audit_guard_e2e::cluster::{Cluster, Server};
use audit_guard_e2e::travel::{
    HISTORY, contents, goes_on, leaves_are_free, only_months_missing, refuses, same,
};
use audit_guard_e2e::{Result, judge};

const FAST: &[(&str, &str)] = &[("fsync", "off")];
const PSQL: [&str; 5] = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"];

/// A cluster whose database `source` has a history, and what that database holds.
fn source(server: &Server) -> Result<(Cluster, Vec<(&'static str, String)>)> {
    let cluster = Cluster::start_on(server, FAST)?;
    let mut client = cluster.database("source")?;
    client.batch_execute(HISTORY)?;
    let contents = contents(&mut client)?;
    Ok((cluster, contents))
}

/// The database arrived whole and works.
fn arrived(cluster: &Cluster, name: &str, expected: &[(&'static str, String)]) -> Result<()> {
    let mut client = cluster.connect("postgres", name)?;
    let judged = same(&mut client, expected, &[])
        .and_then(|()| refuses(&mut client))
        .and_then(|()| leaves_are_free(&mut client))
        .and_then(|()| only_months_missing(&mut client))
        .and_then(|()| goes_on(&mut client))
        .and_then(|()| judge::log_from_elsewhere_is_sound(&mut client));
    judged.map_err(|e| format!("{name}: {e}"))?;
    judge::server_is_content(cluster, name)
}

/// What a file of another cluster is called by a program that runs in this one's folder.
fn file(cluster: &Cluster, name: &str) -> Result<String> {
    Ok(cluster.dir().join(name).to_str().ok_or("the folder's name is not UTF-8")?.to_owned())
}

/// All roles and databases of a cluster, but for the role that every cluster has.
fn dump_all(cluster: &Cluster, options: &[&str]) -> Result<String> {
    let all = cluster.run("pg_dumpall", options)?.replace("CREATE ROLE postgres;", "");
    fs::write(cluster.dir().join("all.sql"), all)?;
    file(cluster, "all.sql")
}

/// pg_dumpall of the whole cluster into a new one: roles come first, and CREATE EXTENSION must recognise
/// them as its own.
#[test]
fn everything_into_a_new_cluster() -> Result<()> {
    for (version, server) in Server::all()? {
        let (old, expected) = source(&server)?;
        let new = Cluster::start_on(&server, FAST)?;
        new.run("psql", &[&PSQL[..], &[&dump_all(&old, &[])?, "postgres"]].concat())
            .map_err(|e| format!("{version}: {e}"))?;
        arrived(&new, "source", &expected).map_err(|e| format!("{version}: {e}"))?;
    }
    Ok(())
}

/// One database into a cluster that has only the application's own role, in one transaction: CREATE
/// EXTENSION in the dump makes our roles, and nothing in the dump may need them before.
#[test]
fn one_database_without_our_roles() -> Result<()> {
    for (version, server) in Server::all()? {
        let (old, expected) = source(&server)?;
        old.run("pg_dump", &["-d", "source", "-f", "plain.sql"])?;
        old.run("pg_dump", &["-d", "source", "-Fc", "-f", "custom.dump"])?;
        for name in ["plain", "custom"] {
            let new = Cluster::start_on(&server, FAST)?;
            new.connect("postgres", "postgres")?.batch_execute("CREATE ROLE \"App user\"")?;
            new.empty_database(name)?;
            if name == "plain" {
                let plain = file(&old, "plain.sql")?;
                new.run("psql", &[&PSQL[..], &[&plain, "-1", "-d", name]].concat())
            } else {
                new.run("pg_restore", &["-1", "-d", name, &file(&old, "custom.dump")?])
            }
            .map_err(|e| format!("{version}: {e}"))?;
            arrived(&new, name, &expected).map_err(|e| format!("{version}: {e}"))?;
        }
    }
    Ok(())
}

mod between_versions {
    use super::*;

    #[test]
    fn from_15_to_16() -> Result<()> {
        from(15, 16)
    }

    #[test]
    fn from_15_to_18() -> Result<()> {
        from(15, 18)
    }

    #[test]
    fn from_16_to_18() -> Result<()> {
        from(16, 18)
    }

    /// Dumped by the newer pg_dump, as its manual asks for, and by the older one, as people do.
    fn from(older: u32, newer: u32) -> Result<()> {
        let (old, expected) = source(&Server::of(older)?)?;
        let new = Cluster::start_on(&Server::of(newer)?, FAST)?;
        let roles = dump_all(&old, &["--roles-only"])?;
        new.run("psql", &[&PSQL[..], &[&roles, "postgres"]].concat())?;
        let socket = old.dir().to_str().ok_or("the folder's name is not UTF-8")?;
        new.run("pg_dump", &["-h", socket, "-d", "source", "-Fc", "-f", "by_newer.dump"])?;
        old.run("pg_dump", &["-d", "source", "-Fc", "-f", "by_older.dump"])?;
        let knows_all = knows_all_options(&new)?;
        for (name, dump) in
            [("by_newer", "by_newer.dump".to_owned()), ("by_older", file(&old, "by_older.dump")?)]
        {
            if knows_all {
                new.empty_database(name)?;
                new.run("pg_restore", &["-d", name, "--exit-on-error", "-j2", &dump])?;
                arrived(&new, name, &expected)?;
            }
            let name = &format!("{name}_text");
            new.empty_database(name)?;
            let text = new.run("pg_restore", &["-f", "-", &dump])?;
            let known: Vec<&str> =
                text.lines().filter(|line| knows_all || !line.contains(" SET (pg_attver=")).collect();
            fs::write(new.dir().join("text.sql"), known.join("\n"))?;
            new.run("psql", &[&PSQL[..], &["text.sql", "-1", "-d", name]].concat())?;
            arrived(&new, name, &expected)?;
        }
        Ok(())
    }

    /// Minor releases since November 2026 store an option with each column and dump it; servers of before
    /// refuse that, whatever is in the dump.
    fn knows_all_options(cluster: &Cluster) -> Result<bool> {
        let mut client = cluster.connect("postgres", "postgres")?;
        let option = "CREATE TEMP TABLE t (i int); ALTER TABLE t ALTER i SET (pg_attver = 1)";
        match client.batch_execute(option) {
            Ok(()) => Ok(true),
            Err(e) if e.code().is_some_and(|code| code.code() == "22023") => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}
