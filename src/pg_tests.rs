//! Tests inside of a server: what can be seen only with the library loaded and a transaction open.

#![allow(clippy::panic, reason = "a test that cannot go on should stop where it is")]

#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    fn run(sql: &str) {
        if let Err(error) = Spi::run(sql) {
            panic!("{sql}: {error}");
        }
    }

    fn one<T: FromDatum + IntoDatum>(sql: &str) -> Option<T> {
        match Spi::get_one::<T>(sql) {
            Ok(value) => value,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    fn holds(sql: &str) {
        assert_eq!(one::<bool>(sql), Some(true), "{sql}");
    }

    fn logged(table: &str) -> i64 {
        one(&format!("SELECT count(*) FROM audit.audit_log WHERE table_name = '{table}'")).unwrap_or(-1)
    }

    #[pg_test]
    fn the_library_names_its_version() {
        assert_eq!(one::<String>("SELECT audit.version()").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }

    #[pg_test]
    fn integers_are_the_numerics_that_the_server_makes() {
        run("CREATE TABLE numbers (id bigint PRIMARY KEY, small smallint, normal integer)");
        run("SELECT audit.enable_tracking('numbers')");
        run("INSERT INTO numbers
             SELECT v, nullif(v % 32768, 7), v % 2147483648 FROM (
                 SELECT (10 ^ e)::numeric::bigint + d AS v
                 FROM generate_series(0, 18) e, generate_series(-1, 1) d
                 UNION SELECT -((10 ^ e)::numeric::bigint + d) FROM generate_series(0, 18) e, generate_series(-1, 1) d
                 UNION VALUES (9223372036854775807), (-9223372036854775808), (0), (10000), (99990000)) all_values(v)");
        holds("SELECT count(*) > 80 AND bool_and(jsonb_send(l.new_record) = jsonb_send(to_jsonb(n))
                      AND pg_column_size(l.new_record || '{}') = pg_column_size(to_jsonb(n) || '{}'))
               FROM numbers n JOIN audit.audit_log l ON l.record_id = n.id::text AND l.table_name = 'numbers'");
    }

    #[pg_test]
    fn what_is_written_natively_obeys_every_check() {
        run("CREATE TABLE checked (id integer PRIMARY KEY, note text)");
        run("SELECT audit.enable_tracking('checked')");
        run("SELECT audit.set_context(actor_id => 'a', tenant_id => 't', context => '{\"app\": 1}')");
        run("INSERT INTO checked SELECT i, 'n' FROM generate_series(1, 20) i");
        run("UPDATE checked SET note = 'm', id = id + 100 WHERE id < 5");
        run("DELETE FROM checked WHERE id = 20");
        run("TRUNCATE checked");
        run("CREATE TEMPORARY TABLE again (LIKE audit.audit_log INCLUDING CONSTRAINTS)");
        run("INSERT INTO again SELECT * FROM audit.audit_log WHERE table_name = 'checked'");
        assert_eq!(one::<i64>("SELECT count(*) FROM again"), Some(26));
    }

    #[pg_test]
    fn every_leaf_takes_the_rows_of_its_month() {
        run("CREATE TABLE monthly (id integer PRIMARY KEY)");
        run("SELECT audit.enable_tracking('monthly')");
        run("INSERT INTO monthly VALUES (1)");
        holds("SELECT tableoid::regclass::text = 'audit.audit_log_' || to_char(logged_at AT TIME ZONE 'UTC', 'YYYY_MM')
               FROM audit.audit_log WHERE table_name = 'monthly'");
    }

    #[pg_test]
    fn images_are_made_under_pinned_settings_which_are_put_back() {
        run("SET LOCAL timezone = 'America/St_Johns'");
        run("SET LOCAL intervalstyle = 'sql_standard'");
        run("SET LOCAL bytea_output = 'escape'");
        run("SET LOCAL datestyle = 'German'");
        run("SET LOCAL extra_float_digits = -5");
        run(
            "CREATE TABLE pinned (id integer PRIMARY KEY, at timestamptz, span interval, raw bytea, f float8, r tstzrange)",
        );
        run("SELECT audit.enable_tracking('pinned')");
        run("INSERT INTO pinned VALUES (1, '2026-01-02 03:04:05+00', '1 day 2 hours', '\\x01ff', 0.1::float8 / 3,
                                        '[2026-01-02 03:04:05+00,)')");
        holds("SELECT new_record = '{\"id\": 1, \"at\": \"2026-01-02T03:04:05+00:00\", \"span\": \"1 day 02:00:00\",
                                     \"raw\": \"\\\\x01ff\", \"f\": 0.03333333333333333,
                                     \"r\": \"[\\\"2026-01-02 03:04:05+00\\\",)\"}'
               FROM audit.audit_log WHERE table_name = 'pinned'");
        holds(
            "SELECT current_setting('timezone') = 'America/St_Johns' AND extract(timezone FROM now()) IN (-12600, -9000)
                      AND '1 day'::interval::text = '1 0:00:00' AND '\\x01'::bytea::text = '\\001'",
        );
    }

    #[pg_test]
    fn settings_are_put_back_after_an_error_inside_a_conversion() {
        run("SET LOCAL timezone = 'America/St_Johns'");
        run("CREATE TYPE touchy AS ENUM ('fine', 'bad')");
        run("CREATE FUNCTION touchy_json(touchy) RETURNS json LANGUAGE plpgsql AS
             'BEGIN IF $1 = ''bad'' THEN RAISE EXCEPTION ''no''; END IF; RETURN to_json($1::text); END'");
        run("CREATE CAST (touchy AS json) WITH FUNCTION touchy_json(touchy)");
        run("CREATE TABLE touched (id integer PRIMARY KEY, t touchy)");
        run("SELECT audit.enable_tracking('touched')");
        run("DO $$ BEGIN
                 INSERT INTO touched VALUES (1, 'fine');
                 BEGIN INSERT INTO touched VALUES (2, 'bad'); EXCEPTION WHEN raise_exception THEN NULL; END;
                 INSERT INTO touched VALUES (3, 'fine');
             END $$");
        holds("SELECT extract(timezone FROM now()) IN (-12600, -9000)");
        assert_eq!((logged("touched"), one::<i64>("SELECT count(*) FROM touched")), (2, Some(2)));
    }

    #[pg_test]
    fn a_conversion_may_write_another_tracked_table() {
        run("CREATE TABLE inner_log (id integer PRIMARY KEY, said text)");
        run("CREATE TYPE chatty AS ENUM ('1', '2', '3')");
        run("CREATE FUNCTION chatty_json(chatty) RETURNS json LANGUAGE plpgsql AS
             'BEGIN INSERT INTO inner_log VALUES ($1::text::integer, ''x''); RETURN to_json($1::text); END'");
        run("CREATE CAST (chatty AS json) WITH FUNCTION chatty_json(chatty)");
        run("CREATE TABLE outer_log (id integer PRIMARY KEY, c chatty, after_it text)");
        run("SELECT audit.enable_tracking('inner_log'), audit.enable_tracking('outer_log')");
        run("INSERT INTO outer_log VALUES (1, '1', 'kept'), (2, '2', 'kept'), (3, '3', 'kept')");
        assert_eq!((logged("inner_log"), logged("outer_log")), (3, 3));
        holds("SELECT bool_and(new_record = jsonb_build_object('id', o.id, 'c', o.id::text, 'after_it', 'kept'))
               FROM audit.audit_log l JOIN outer_log o ON l.record_id = o.id::text WHERE l.table_name = 'outer_log'");
    }

    #[pg_test]
    fn names_are_those_of_the_moment() {
        run("CREATE SCHEMA before_it");
        run("CREATE TABLE before_it.first_name (id integer PRIMARY KEY, a integer)");
        run("SELECT audit.enable_tracking('before_it.first_name')");
        run("INSERT INTO before_it.first_name VALUES (1, 1)");
        run("ALTER TABLE before_it.first_name RENAME TO second_name");
        run("ALTER SCHEMA before_it RENAME TO after_it");
        run("ALTER TABLE after_it.second_name RENAME a TO b");
        run("UPDATE after_it.second_name SET b = 2");
        run("ALTER TABLE after_it.second_name ADD c text DEFAULT 'd', DROP b");
        run("UPDATE after_it.second_name SET c = 'e'");
        holds(
            "SELECT array_agg(table_schema || '.' || table_name || ' ' || coalesce(changed_fields::text, '')
                                || ' ' || new_record::text ORDER BY logged_at, id)
                      = ARRAY['before_it.first_name  {\"a\": 1, \"id\": 1}',
                              'after_it.second_name {b} {\"b\": 2, \"id\": 1}',
                              'after_it.second_name {c} {\"c\": \"e\", \"id\": 1}']
               FROM audit.audit_log WHERE table_name IN ('first_name', 'second_name')",
        );
    }

    #[pg_test]
    fn a_declaration_goes_back_with_its_savepoint() {
        run("CREATE TABLE said (id integer PRIMARY KEY)");
        run("SELECT audit.enable_tracking('said')");
        run("DO $$ BEGIN
                 PERFORM audit.set_context(actor_id => 'outer');
                 INSERT INTO said VALUES (1);
                 BEGIN
                     PERFORM audit.set_context(actor_id => 'inner');
                     RAISE EXCEPTION 'back';
                 EXCEPTION WHEN raise_exception THEN NULL;
                 END;
                 INSERT INTO said VALUES (2);
                 BEGIN
                     PERFORM audit.set_context(actor_id => 'kept');
                 EXCEPTION WHEN raise_exception THEN NULL;
                 END;
                 INSERT INTO said VALUES (3);
             END $$");
        holds(
            "SELECT array_agg(actor_id ORDER BY logged_at, id) = '{outer,outer,kept}'
               FROM audit.audit_log WHERE table_name = 'said'",
        );
    }

    #[pg_test]
    fn ids_rise_and_salts_differ() {
        run("CREATE TABLE many (id integer PRIMARY KEY)");
        run("SELECT audit.enable_tracking('many')");
        run("INSERT INTO many SELECT generate_series(1, 1000)");
        holds(
            "SELECT count(DISTINCT salt) = 1000 AND count(DISTINCT id) = 1000
                      AND bool_and(in_order) FROM (
                   SELECT salt, id, lag(logged_at, 1, logged_at) OVER (ORDER BY id) <= logged_at AS in_order
                   FROM audit.audit_log WHERE table_name = 'many') l",
        );
    }

    #[pg_test(error = "audit.audit_log is append-only: DELETE refused")]
    fn the_log_refuses_a_delete() {
        run("SELECT audit.maintain_partitions()");
        run("DELETE FROM audit.audit_log");
    }

    #[pg_test]
    fn ddl_on_the_log_is_possible_after_a_tracked_change() {
        run("CREATE TABLE busy (id integer PRIMARY KEY)");
        run("SELECT audit.enable_tracking('busy')");
        run("INSERT INTO busy VALUES (1)");
        run("DO $$ BEGIN EXECUTE format('CREATE INDEX ON %s ((new_record ->> ''id'')) WHERE operation = ''INSERT''',
                 (SELECT tableoid::regclass FROM audit.audit_log WHERE table_name = 'busy')); END $$");
        run("INSERT INTO busy VALUES (2)");
        run("SET LOCAL enable_seqscan = off");
        holds(
            "SELECT count(*) = 1 FROM audit.audit_log
               WHERE new_record ->> 'id' = '2' AND operation = 'INSERT' AND table_name = 'busy'",
        );
    }

    #[pg_test]
    fn a_rename_renews_arguments_and_nothing_else_about_a_trigger() {
        run("CREATE TABLE renewed (id integer PRIMARY KEY, k integer, secret text)");
        run(
            "SELECT audit.enable_tracking('renewed', exclude => '{secret}', mask => '{k}', detail => 'delta', phi => true)",
        );
        run("INSERT INTO renewed VALUES (1, 1, 'LEAK')");
        run("ALTER TABLE renewed DISABLE TRIGGER audit_renewed");
        run(
            "CREATE TEMPORARY TABLE before AS SELECT to_jsonb(t) - '{tgargs,tgnargs}'::text[] AS row, tgnargs
             FROM pg_trigger t WHERE tgrelid = 'renewed'::regclass",
        );
        run("ALTER TABLE renewed RENAME secret TO token");
        holds("SELECT count(*) = 2 AND bool_and(b.row = to_jsonb(t) - '{tgargs,tgnargs}'::text[])
               FROM pg_trigger t JOIN before b ON (b.row ->> 'oid')::oid = t.oid WHERE tgrelid = 'renewed'::regclass");
        holds("SELECT tgnargs = 5 AND encode(tgargs, 'escape') ~ '^exclude=token#3@\\d+\\\\000exclude=secret#0@\\d+'
               FROM pg_trigger WHERE tgrelid = 'renewed'::regclass AND tgtype & 1 = 1");
        run("ALTER TABLE renewed ENABLE ALWAYS TRIGGER audit_renewed");
        run("UPDATE renewed SET k = 2, token = 'LEAK2'");
        holds(
            "SELECT new_record = '{\"id\": 1, \"k\": null}' AND changed_fields = '{k}' AND phi_accessed
               FROM audit.audit_log WHERE table_name = 'renewed' AND operation = 'UPDATE'",
        );
    }

    #[pg_test(error = "function audit._plan_after_ddl is missing")]
    fn a_library_that_does_not_fit_the_installed_version_says_so() {
        run("ALTER EVENT TRIGGER audit_guard_shield DISABLE");
        run("ALTER FUNCTION audit._plan_after_ddl(text, text, text) RENAME TO elsewhere");
        run("CREATE TABLE unlucky (id integer)");
    }

    /// The texts that `print` makes of the values of a query's first column, each beside the server's own in the
    /// second.
    fn compare_texts(query: &str, print: fn(&[u8], &mut Vec<u8>)) -> usize {
        let rows = crate::pg::query::select(query, &[], |row| {
            let mut text = Vec::new();
            let value = row.get(0);
            value.into_iter().for_each(|value| {
                crate::pg::tuple::with_payload(value, |stored| print(stored, &mut text));
            });
            (text, row.copy::<String>(1).unwrap_or_default())
        });
        for (own, server) in &rows {
            assert_eq!(String::from_utf8_lossy(own), server.as_str());
        }
        rows.len()
    }

    #[pg_test]
    fn numbers_are_printed_as_the_server_prints_them() {
        let query = "SELECT v, v::text FROM (
            SELECT s * (10::numeric ^ e + d) AS v
            FROM generate_series(-40, 140, 3) e, generate_series(0, 1) d, (VALUES (-1), (1), (0)) s(s)
            UNION ALL SELECT round(random()::numeric * 1e9, i % 20) / (i + 1) FROM generate_series(1, 300) i
            UNION ALL SELECT trunc(1234567.8901234, i) FROM generate_series(-8, 8) i
            UNION ALL VALUES ('NaN'::numeric), ('Infinity'), ('-Infinity'), (0.0000), (1e-130), (10000), (0.00010000)) a";
        assert!(compare_texts(query, crate::pg::jsonb_text::numeric) > 600);
    }

    #[pg_test]
    fn jsonb_is_printed_as_the_server_prints_it() {
        let query = r#"SELECT v, v::text FROM (
            SELECT jsonb_build_object('n', i, 'text', repeat(chr(1 + i), i % 7), 'list',
                     (SELECT jsonb_agg(CASE g % 4 WHEN 0 THEN to_jsonb(g * 1.10) WHEN 1 THEN to_jsonb(g::text)
                                       WHEN 2 THEN 'null' ELSE jsonb_build_array(g, jsonb_build_object('k', g)) END)
                      FROM generate_series(0, i) g)) AS v
            FROM generate_series(1, 200) i
            UNION ALL SELECT jsonb_object_agg('key ' || g, g) FROM generate_series(1, 100) g
            UNION ALL VALUES ('{}'::jsonb), ('[]'), ('""'), ('1.50'), ('null'), ('true'), ('false'), ('[[]]'), ('[{}]'),
                             ('{"a": {"b": {"c": [1, {"d": null}]}}, "\u0001\"\\": "\t\n\r\b\f\u001f\u007f\u00e9"}'),
                             ('[12345678901234567890.10, 1e-30, -0.5, 100000000]')) a"#;
        assert!(compare_texts(query, crate::pg::jsonb_text::print) > 200);
    }
}
