//! The same attacks on databases that have travelled: dumped and restored, and upgraded to a newer server.

use std::sync::Mutex;

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Server;

use crate::arena::Arena;
use crate::case::{Case, Level};
use crate::world::{GUARDED, World};
use crate::{Report, judge_guarded, lock};

/// A dump of the database that the attacks are made for, restored into new clusters.
pub(crate) fn restored(cases: &[&Case], source: &World, report: &Mutex<Report>) -> Result<()> {
    source.cluster.run("pg_dump", &["-d", GUARDED, "-Fc", "-f", "guarded.dump"])?;
    let dump = source.cluster.dir().join("guarded.dump").display().to_string();
    for level in [Level::Without, Level::On] {
        let mut world = World::empty(source.version, level)?;
        world.cluster.empty_database(GUARDED)?;
        world.cluster.run("pg_restore", &["--exit-on-error", "-d", GUARDED, &dump])?;
        // Membership in roles belongs to the cluster: the dump of a database does not have it.
        world.connect("postgres", GUARDED)?.batch_execute("GRANT audit_reader TO auditor")?;
        world.learn()?;
        attack(cases, &world, "after a restore", report);
    }
    Ok(())
}

/// A cluster of one version, brought to another by pg_upgrade.
pub(crate) fn upgraded(cases: &[&Case], older: u32, newer: u32, report: &Mutex<Report>) -> Result<()> {
    for level in [Level::Without, Level::On] {
        let old = World::start(older, level)?;
        let cluster = old.cluster.upgrade(&Server::of(newer)?, "--copy", &World::settings(level))?;
        let mut world = World::around(cluster, newer, level)?;
        world.learn()?;
        attack(cases, &world, &format!("after an upgrade from {older}"), report);
    }
    Ok(())
}

fn attack(cases: &[&Case], world: &World, how: &str, report: &Mutex<Report>) {
    let mut arena = Arena::new(world);
    for case in cases {
        let (_, complaints) = judge_guarded(case, world.level, &mut arena, world);
        let what = format!("{} {} {how}: {}", world.version, world.level.name(), case.name);
        lock(report).line(&what, &complaints);
    }
}
