//! The ledger on the way to a newer server: pg_upgrade goes on in the same tree; a dump of an older version
//! is verified by a newer one, and goes on when somebody has said so.

mod between_versions {
    use std::fs;

    use audit_guard_e2e::Result;
    use audit_guard_e2e::cluster::{Cluster, Server};
    use audit_guard_e2e::guarded::PRELOADED;
    use audit_guard_e2e::ledger::{
        Witness, exactly_once, is_clean, seal_all, sealed_once, sealed_once_with_a_gap, stopped, verdict_is,
        with_history,
    };
    use audit_guard_e2e::steps::run;
    use audit_guard_e2e::travel::wait_until;

    const PLAIN: &[(&str, &str)] = &[("fsync", "off")];

    #[test]
    fn upgraded_by_copying() -> Result<()> {
        upgraded("--copy", PLAIN)
    }

    #[test]
    fn upgraded_by_linking_with_the_worker() -> Result<()> {
        upgraded("--link", PRELOADED)
    }

    fn upgraded(how: &str, settings: &[(&str, &str)]) -> Result<()> {
        let old = Cluster::start_on(&Server::of(16)?, settings)?;
        let mut client = old.database("app")?;
        with_history(&mut client)?;
        let witness = Witness::new()?;
        witness.is_trusted_by(&mut client)?;
        seal_all(&mut client)?;
        let note = witness.sign_and_import(&mut client)?;
        run(&mut client, "INSERT INTO app.visits VALUES (2000, 'sealed by the new server, perhaps')")?;
        drop(client);

        let new = old.upgrade(&Server::of(18)?, how, settings)?;
        let mut client = new.connect("postgres", "app")?;
        verdict_is(&mut client, Some(&note), "ok")?;
        let sick =
            "SELECT count(*) FROM audit.health() WHERE check_name IN ('ledger', 'identity') AND NOT ok";
        assert_eq!(client.query_one(sick, &[])?.try_get::<_, i64>(0)?, 0, "health() before the first seal");
        run(&mut client, "INSERT INTO app.visits VALUES (2001, 'after')")?;
        if settings == PRELOADED {
            wait_until(&mut client, "SELECT unsealed_rows = 0 FROM audit.tree_head()")?;
            exactly_once(&mut client)?;
        }
        sealed_once(&mut client)?;
        verdict_is(&mut client, Some(&note), "ok")?;
        let lives = "SELECT string_agg(kind, ' ' ORDER BY incarnation), count(DISTINCT origin),
                (SELECT count(*) FROM audit.guard_events WHERE kind = 'ledger_continued')
            FROM audit.ledger_incarnations";
        let row = client.query_one(lives, &[])?;
        let found: (String, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        assert_eq!(found, ("first upgraded".to_owned(), 1, 1), "lives, names of the tree, events");
        let new = witness.sign_and_import(&mut client)?;
        verdict_is(&mut client, Some(&new), "ok")
    }

    #[test]
    fn restored_from_15_to_16() -> Result<()> {
        restored(15, 16)
    }

    #[test]
    fn restored_from_15_to_18() -> Result<()> {
        restored(15, 18)
    }

    /// Leaves of the older server are derived again by the newer one, from rows that went through a dump.
    fn restored(older: u32, newer: u32) -> Result<()> {
        let old = Cluster::start_on(&Server::of(older)?, PLAIN)?;
        let mut client = old.database("app")?;
        with_history(&mut client)?;
        let witness = Witness::new()?;
        witness.is_trusted_by(&mut client)?;
        seal_all(&mut client)?;
        let note = witness.sign_head(&mut client)?;
        run(&mut client, "INSERT INTO app.visits VALUES (2000, 'not sealed')")?;
        drop(client);
        let new = Cluster::start_on(&Server::of(newer)?, PLAIN)?;
        let dumped = old.run("pg_dump", &["-d", "app"])?;
        // Some minor releases dump an option that others do not know.
        let known: Vec<&str> = dumped.lines().filter(|line| !line.contains(" SET (pg_attver=")).collect();
        fs::write(new.dir().join("plain.sql"), known.join("\n"))?;
        new.empty_database("app")?;
        new.run("psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-d", "app", "-f", "plain.sql"])?;
        let mut client = new.connect("postgres", "app")?;
        is_clean(&mut client)?;
        verdict_is(&mut client, Some(&note), "ok")?;
        stopped(&mut client)?;
        run(&mut client, "SELECT audit.declare_discontinuity('moved to a newer server')")?;
        sealed_once_with_a_gap(&mut client)?;
        verdict_is(&mut client, Some(&note), "acknowledged_gap")
    }
}
