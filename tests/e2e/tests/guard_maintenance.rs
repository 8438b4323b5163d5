//! What an administrator does to a database every day works on protected tables and on the streams, with the
//! library preloaded and lockdown on; and protection is what it was afterwards.

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::guarded::{self, PRELOADED, STRICT, contents, locked_down, same};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::travel::wait_until;
use audit_guard_e2e::{Result, judge};

/// Relations that maintenance must be possible on: protected tables, a partition, a stream, its month, and
/// small streams. The key's index is asked of the catalogue where there is one.
const RELATIONS: &[&str] = &[
    "app.consents",
    "app.visits",
    "app.visits_here",
    "app.\"Ünï \"\"q\"\" t\"",
    "audit.audit_log",
    "MONTH",
    "audit.guard_events",
    "audit.holds",
];
/// Done to each of them.
const ON_EACH: &[&str] = &[
    "VACUUM REL",
    "VACUUM (FREEZE, ANALYZE) REL",
    "VACUUM FULL REL",
    "ANALYZE REL",
    "REINDEX TABLE CONCURRENTLY REL",
    "REINDEX TABLE REL",
    "COMMENT ON TABLE REL IS 'seen by the administrator'",
    "GRANT SELECT ON REL TO clerk",
    "BEGIN; LOCK TABLE REL IN SHARE MODE; SELECT * FROM REL FOR KEY SHARE; COMMIT",
    "CREATE TEMP TABLE copied AS SELECT * FROM REL; DROP TABLE copied",
    "EXPLAIN ANALYZE SELECT * FROM REL",
];
/// What would stop every writer of a tracked table is refused on the month that is being written.
const STOPS_WRITERS: &[&str] = &["VACUUM FULL REL", "REINDEX TABLE REL"];
/// Done to tables that hold rows themselves.
const ON_HEAPS: &[&str] = &[
    "ALTER TABLE REL SET (autovacuum_vacuum_scale_factor = 0.1, autovacuum_analyze_threshold = 10)",
    "ALTER TABLE REL RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_threshold)",
    "ALTER TABLE REL SET (fillfactor = 90)",
];
/// Done to protected tables of users: a protected table is still a table.
const ON_USERS: &[&str] = &[
    "CREATE INDEX CONCURRENTLY by_note ON app.consents (note)",
    "CREATE UNIQUE INDEX CONCURRENTLY by_subject ON app.consents (subject, id)",
    "CREATE INDEX ON app.visits (place)",
    "CREATE INDEX CONCURRENTLY ON app.visits_here (place) WHERE place <> ''",
    "REINDEX INDEX CONCURRENTLY app.by_note",
    "REINDEX SCHEMA CONCURRENTLY app",
    "CLUSTER app.consents USING consents_pkey",
    "CLUSTER app.consents",
    "ALTER TABLE app.consents SET WITHOUT CLUSTER",
    "CREATE STATISTICS app.of_consents ON subject, note FROM app.consents",
    "ALTER TABLE app.consents ALTER COLUMN subject SET STATISTICS 500",
    "ALTER TABLE app.consents ALTER COLUMN subject SET (n_distinct = -0.5)",
    "ALTER TABLE app.consents ALTER COLUMN note SET STORAGE EXTERNAL",
    "ALTER TABLE app.consents REPLICA IDENTITY FULL",
    "ALTER TABLE app.consents ADD CONSTRAINT noted CHECK (length(note) < 1000)",
    "ALTER TABLE app.consents VALIDATE CONSTRAINT numbered",
    "CREATE TABLE app.people (id text PRIMARY KEY)",
    "INSERT INTO app.people SELECT subject FROM app.consents",
    "ALTER TABLE app.consents ADD CONSTRAINT of_person FOREIGN KEY (subject) REFERENCES app.people NOT VALID",
    "ALTER TABLE app.consents VALIDATE CONSTRAINT of_person",
    "CREATE TABLE app.replies (id int PRIMARY KEY, consent_id int REFERENCES app.consents, body text)",
    "INSERT INTO app.replies SELECT id, id, 'yes' FROM app.consents",
    "DELETE FROM app.replies WHERE id = 5",
    "CREATE POLICY everything ON app.visits USING (true)",
    "ALTER TABLE app.visits ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE app.consents OWNER TO postgres",
    "ALTER TABLE app.consents ENABLE ALWAYS TRIGGER protect_consents",
    "CREATE VIEW app.open_consents AS SELECT id, subject FROM app.consents WHERE note = 'signed'",
    "CREATE MATERIALIZED VIEW app.by_place AS SELECT place, count(*) FROM app.visits GROUP BY 1",
    "REFRESH MATERIALIZED VIEW app.by_place",
    "CREATE PUBLICATION road FOR TABLE app.consents, app.visits",
    "CREATE TABLE app.visits_there PARTITION OF app.visits_new FOR VALUES IN ('far')",
    "CREATE TABLE app.moon (LIKE app.visits INCLUDING INDEXES)",
    "ALTER TABLE app.visits_new ATTACH PARTITION app.moon FOR VALUES IN ('moon')",
    "INSERT INTO app.visits VALUES (900, 'moon', now()), (901, 'far', now())",
    "GRANT SELECT, INSERT, DELETE ON app.consents TO clerk",
    "GRANT SELECT ON ALL TABLES IN SCHEMA audit TO clerk",
    "GRANT audit_reader TO clerk",
    "REVOKE audit_reader FROM clerk",
    "SELECT audit.disable_tracking('app.visits')",
    "SELECT audit.enable_tracking('app.visits', detail => 'delta')",
    "SELECT audit.enable_tracking('app.consents', mask => '{note}')",
    "SELECT audit.repair_tracking()",
];
/// The database's and the cluster's own administration.
const ON_THE_REST: &[&str] = &[
    "ALTER TABLE app.drafts ADD COLUMN more text DEFAULT 'x'",
    "ALTER TABLE app.drafts ALTER COLUMN body TYPE varchar(1000)",
    "ALTER TABLE app.drafts RENAME COLUMN more TO less",
    "ALTER TABLE app.drafts DISABLE TRIGGER USER",
    "ALTER TABLE app.drafts ENABLE TRIGGER USER",
    "UPDATE app.drafts SET body = 'y'",
    "DELETE FROM app.drafts WHERE id = 11",
    "CREATE RULE quiet AS ON DELETE TO app.drafts DO INSTEAD NOTHING",
    "DROP RULE quiet ON app.drafts",
    "CREATE POLICY own ON app.drafts USING (true)",
    "TRUNCATE app.drafts",
    "CREATE TYPE app.mood AS ENUM ('good', 'bad')",
    "ALTER TYPE app.mood RENAME VALUE 'bad' TO 'ill'",
    "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "CREATE FUNCTION app.g() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE EVENT TRIGGER theirs ON ddl_command_end EXECUTE FUNCTION app.g()",
    "ALTER EVENT TRIGGER theirs DISABLE",
    "DROP EVENT TRIGGER theirs",
    "DROP FUNCTION app.f(), app.g()",
    "CREATE SCHEMA other CREATE TABLE t (i int) CREATE VIEW v AS SELECT 1 AS one",
    "ALTER SCHEMA other RENAME TO another",
    "DROP SCHEMA another CASCADE",
    "CREATE ROLE temp_role LOGIN PASSWORD 'x'",
    "ALTER ROLE temp_role CONNECTION LIMIT 5",
    "ALTER ROLE temp_role SET work_mem = '8MB'",
    "REASSIGN OWNED BY temp_role TO postgres",
    "DROP OWNED BY temp_role",
    "DROP ROLE temp_role",
    "CREATE DATABASE other_one",
    "ALTER DATABASE other_one RENAME TO other_two",
    "ALTER DATABASE other_two SET work_mem = '8MB'",
    "DROP DATABASE other_two",
    "ALTER DATABASE app SET work_mem = '8MB'",
    "ALTER SYSTEM SET work_mem = '8MB'",
    "ALTER SYSTEM RESET work_mem",
    "SELECT pg_reload_conf()",
    "CHECKPOINT",
    "DO $$ BEGIN PERFORM 1; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    "PREPARE p AS INSERT INTO app.consents (id) VALUES ($1)",
    "EXECUTE p (800)",
    "DEALLOCATE p",
    "BEGIN; DECLARE c CURSOR FOR SELECT * FROM app.consents; FETCH 2 FROM c; COMMIT",
    "BEGIN; INSERT INTO app.consents (id) VALUES (801); PREPARE TRANSACTION 'two'",
    "COMMIT PREPARED 'two'",
    "VACUUM",
    "REINDEX DATABASE CONCURRENTLY app",
];
/// Our own functions.
const OURS: &[&str] = &[
    "SELECT audit.maintain_partitions(30)",
    "SELECT audit.index_log(actor => true, tenant => true)",
    "SELECT audit.protect('app.people', '1 day', 'seen_at')",
    "SELECT audit.extend_retention('app.people', '2 days')",
    "SELECT audit.protect('app.people', '3 days', 'seen_at')",
    "SELECT audit.release_hold(audit.place_hold('app.people', 'a question'), 'answered')",
    "BEGIN; SELECT audit.begin_restore('a file'); INSERT INTO app.people VALUES ('x', '2001-01-01'); COMMIT",
    "SELECT * FROM audit.retention_plan()",
    "SELECT * FROM audit.apply_retention()",
    "SELECT audit.schedule_maintenance()",
    "SELECT * FROM audit.guard_status()",
    "SELECT * FROM audit.health()",
    "SELECT audit.enable_tracking_schema('later')",
    "CREATE TABLE later.t (i int); INSERT INTO later.t VALUES (1)",
    "SELECT audit.disable_tracking_schema('later')",
];

#[test]
fn under_lockdown() -> Result<()> {
    every_day(PRELOADED)
}

#[test]
fn under_strict_lockdown() -> Result<()> {
    every_day(STRICT)
}

fn every_day(settings: &[(&str, &str)]) -> Result<()> {
    let cluster = Cluster::start(settings)?;
    let mut client = guarded::database(&cluster, "app")?;
    let expected = contents(&mut client)?;
    let month: String = client
        .query_one(
            "SELECT tableoid::regclass::text FROM audit.audit_log ORDER BY logged_at DESC LIMIT 1",
            &[],
        )?
        .try_get(0)?;
    for relation in RELATIONS {
        let relation = relation.replace("MONTH", &month);
        let kind = "SELECT relkind = 'p' FROM pg_class WHERE oid = $1::text::regclass";
        let partitioned: bool = client.query_one(kind, &[&relation])?.try_get(0)?;
        let heaps = if partitioned { &[] } else { ON_HEAPS };
        for statement in ON_EACH.iter().chain(heaps) {
            let sql = statement.replace("REL", &relation);
            if relation == month && STOPS_WRITERS.contains(statement) {
                let failed = client.batch_execute(&sql).err().ok_or_else(|| format!("accepted: {sql}"))?;
                assert_eq!(failed.code().map(|code| code.code()), Some("23001"), "{failed:?}");
            } else {
                run(&mut client, &sql)?;
            }
        }
    }
    // Nothing of all this has touched a row, a trigger or a policy.
    same(&mut client, &expected, &[])?;
    locked_down(&mut client)?;
    for statement in ON_USERS.iter().chain(ON_THE_REST) {
        run(&mut client, statement)?;
    }
    run(
        &mut client,
        "ALTER TABLE app.people ADD COLUMN seen_at timestamptz DEFAULT now(); CREATE SCHEMA later",
    )?;
    for statement in OURS {
        run(&mut client, statement)?;
    }
    locked_down(&mut client)?;
    run(&mut client, "DROP TABLE app.drafts")?;
    judge::log_is_sound(&mut client)?;
    judge::server_is_content(&cluster, "app")
}

/// The server's own workers: they vacuum and analyze what is protected, and nothing stops them.
#[test]
fn autovacuum() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "app")?;
    run(
        &mut client,
        "ALTER TABLE app.consents SET (autovacuum_vacuum_insert_threshold = 100,
             autovacuum_vacuum_insert_scale_factor = 0, autovacuum_analyze_threshold = 100);
         INSERT INTO app.consents (id) SELECT generate_series(1000, 20000)",
    )?;
    // What is rolled back is dead, of the log as of the table.
    run(&mut client, "BEGIN; INSERT INTO app.consents (id) SELECT generate_series(20001, 90000); ROLLBACK")?;
    wait_until(
        &mut client,
        "SELECT count(*) = 2 FROM pg_stat_user_tables WHERE autovacuum_count > 0 AND autoanalyze_count > 0
             AND (relid = 'app.consents'::regclass
                  OR relid = (SELECT tableoid FROM audit.audit_log ORDER BY logged_at DESC LIMIT 1))",
    )?;
    locked_down(&mut client)?;
    judge::server_is_content(&cluster, "app")
}

/// Scripts of some write to the catalogue.
const EXTENSIONS: &[&str] = &[
    "amcheck",
    "btree_gist",
    "citext",
    "cube",
    "hstore",
    "pg_trgm",
    "pg_visibility",
    "pgcrypto",
    "tablefunc",
    "uuid-ossp",
];

/// Contrib modules that people install, as far as the server has them.
#[test]
fn other_extensions() -> Result<()> {
    let cluster = Cluster::start(PRELOADED)?;
    let mut client = guarded::database(&cluster, "app")?;
    let expected = contents(&mut client)?;
    let available = "SELECT name FROM pg_available_extensions WHERE name = ANY ($1)";
    let rows = client.query(available, &[&EXTENSIONS])?;
    for row in &rows {
        let name: &str = row.get(0);
        run(&mut client, &format!("CREATE EXTENSION \"{name}\""))?;
        if name == "amcheck" {
            run(
                &mut client,
                "SELECT bt_index_check(indexrelid) FROM pg_index WHERE indrelid = 'app.consents'::regclass",
            )?;
        }
        run(&mut client, &format!("DROP EXTENSION \"{name}\""))?;
    }
    locked_down(&mut client)?;
    same(&mut client, &expected, &[])
}
