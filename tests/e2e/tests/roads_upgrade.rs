//! pg_upgrade to a newer server: the log, what protects it and the numbers go on as if nothing had happened.

mod between_versions {
    use audit_guard_e2e::cluster::{Cluster, Server};
    use audit_guard_e2e::travel::{
        HISTORY, contents, goes_on, leaves_are_free, only_months_missing, refuses, same,
    };
    use audit_guard_e2e::{Result, judge};

    /// One key's history from before and after, and numbers of transactions.
    const ACROSS: &str = "SELECT count(*), count(DISTINCT transaction_id), bool_and(ascends) FROM (
        SELECT transaction_id,
               transaction_id >= lag(transaction_id, 1, 0::bigint) OVER (ORDER BY id) AS ascends
        FROM audit.record_history('app.renamed', 1)) AS h";

    #[test]
    fn by_copying() -> Result<()> {
        from_16_to_18("--copy")
    }

    #[test]
    fn by_linking() -> Result<()> {
        from_16_to_18("--link")
    }

    fn from_16_to_18(how: &str) -> Result<()> {
        let old = Cluster::start_on(&Server::of(16)?, &[("fsync", "off")])?;
        let mut client = old.database("app")?;
        client.batch_execute(HISTORY)?;
        client.batch_execute("UPDATE app.renamed SET note = 'before' WHERE id = 1")?;
        let expected = contents(&mut client)?;
        let identity = "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()),
            'app.renamed'::regclass::oid, pg_current_xact_id()::text::bigint";
        let before = client.query_one(identity, &[])?;
        drop(client);

        let new = old.upgrade(&Server::of(18)?, how, &[])?;
        let mut client = new.connect("postgres", "app")?;
        same(&mut client, &expected, &[])?;
        let after = client.query_one(identity, &[])?;
        for object in [0, 1] {
            assert_eq!(before.get::<_, u32>(object), after.get::<_, u32>(object), "object ids");
        }
        assert!(before.get::<_, i64>(2) < after.get::<_, i64>(2), "numbers of transactions go on");
        refuses(&mut client)?;
        leaves_are_free(&mut client)?;
        only_months_missing(&mut client)?;
        client.batch_execute("UPDATE app.renamed SET note = 'after' WHERE id = 1")?;
        let row = client.query_one(ACROSS, &[])?;
        let found: (i64, i64, bool) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(found, (3, 3, true), "one history, from before and after");
        goes_on(&mut client)?;
        judge::log_is_sound(&mut client)?;
        judge::server_is_content(&new, "app")
    }
}
