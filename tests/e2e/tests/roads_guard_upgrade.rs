//! pg_upgrade with the library preloaded in both servers: what was protected stays protected.

mod between_versions {
    use audit_guard_e2e::cluster::{Cluster, Server};
    use audit_guard_e2e::guarded::{
        PRELOADED, PROTECTED, contents, expired_rows_may_go, locked_down, recorder_is_done, same,
    };
    use audit_guard_e2e::steps::run;
    use audit_guard_e2e::travel::{self, HISTORY, goes_on};
    use audit_guard_e2e::{Result, judge};

    #[test]
    fn by_copying() -> Result<()> {
        from_16_to_18("--copy")
    }

    #[test]
    fn by_linking() -> Result<()> {
        from_16_to_18("--link")
    }

    fn from_16_to_18(how: &str) -> Result<()> {
        let old = Cluster::start_on(&Server::of(16)?, PRELOADED)?;
        let mut client = old.database("app")?;
        run(&mut client, HISTORY)?;
        run(&mut client, PROTECTED)?;
        locked_down(&mut client)?;
        recorder_is_done(&mut client)?;
        let expected = (contents(&mut client)?, travel::contents(&mut client)?);
        drop(client);

        let new = old.upgrade(&Server::of(18)?, how, PRELOADED)?;
        let mut client = new.connect("postgres", "app")?;
        same(&mut client, &expected.0, &[])?;
        travel::same(&mut client, &expected.1, &[])?;
        locked_down(&mut client)?;
        goes_on(&mut client)?;
        same(&mut client, &expected.0, &["events", "log"])?;
        expired_rows_may_go(&mut client)?;
        judge::log_is_sound(&mut client)?;
        judge::server_is_content(&new, "app")
    }
}
