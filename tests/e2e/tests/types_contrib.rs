//! Types that extensions bring: what is logged is what to_jsonb makes of them, through their casts to json
//! or their output, also in arrays, domains and keys. Servers without these extensions are named.

use audit_guard_e2e::Result;
use audit_guard_e2e::session::PINNED;
use audit_guard_e2e::steps::{database, run, texts};
use postgres::Client;

/// An extension, one of its types, and literals of it.
const TYPES: &[(&str, &str, &[&str])] = &[
    ("citext", "citext", &["Mixed Case é \"q\"", ""]),
    ("cube", "cube", &["(1,2),(0.1,-0.5)", "(0)"]),
    ("hstore", "hstore", &["a=>1, \"b \\\"q\\\"\"=>NULL, \"\"=>\"é\"", "", "n=>1.50, t=>true"]),
    ("intarray", "query_int", &["1&(2|!3)"]),
    ("isn", "isbn13", &["978-0-393-04002-9", "9780393040029!"]),
    ("isn", "ean13", &["4006381333931"]),
    ("isn", "issn", &["1436-4522"]),
    ("ltree", "ltree", &["Top.Science.Astronomy", ""]),
    ("ltree", "lquery", &["*.Astro*@.!pictures@"]),
    ("ltree", "ltxtquery", &["Europe & Russia*@"]),
    ("seg", "seg", &["1.50 .. 2.500", "<1e-3", "6(+-)0.1"]),
    ("lo", "lo", &["12345"]),
];

fn available(client: &mut Client, extension: &str) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)";
    Ok(client.query_one(query, &[&extension])?.try_get(0)?)
}

/// Whether the newest image is byte for byte that of the table's only row.
fn last_is_of(client: &mut Client, table: &str) -> Result<bool> {
    let query = format!(
        "SELECT record_image_eq(ROW(l.new_record), ROW(to_jsonb(t))) FROM audit.audit_log l, {table} t
         ORDER BY l.id DESC LIMIT 1"
    );
    let row = client.query_one(&query, &[]).map_err(|e| format!("{query}: {e:?}"))?;
    Ok(row.try_get::<_, Option<bool>>(0)?.unwrap_or(false))
}

#[test]
fn types_of_extensions() -> Result<()> {
    let (cluster, mut client) = database("contrib")?;
    let (mut tried, mut missing) = (0, Vec::new());
    for (i, (extension, ty, values)) in TYPES.iter().enumerate() {
        if !available(&mut client, extension)? {
            missing.push(*extension);
            continue;
        }
        run(&mut client, &format!("CREATE EXTENSION IF NOT EXISTS \"{extension}\" SCHEMA public"))?;
        run(
            &mut client,
            &format!(
                "CREATE DOMAIN narrow{i} AS public.{ty}; CREATE TYPE pair{i} AS (a public.{ty}, b text);
                 CREATE TABLE c{i} (k int PRIMARY KEY, v public.{ty}, vs public.{ty}[], d narrow{i},
                                    p pair{i});
                 SELECT audit.enable_tracking('c{i}')"
            ),
        )?;
        for value in *values {
            // A search path without the extension's schema: functions are found by number, not by name.
            let value = format!("'{value}'::public.{ty}");
            run(
                &mut client,
                &format!(
                    "SET search_path = pg_catalog; SET IntervalStyle = 'iso_8601';
                     SET extra_float_digits = 0;
                     INSERT INTO public.c{i}
                     VALUES (1, {value}, ARRAY[{value}, NULL], {value}, ({value}, 'x'))"
                ),
            )?;
            run(&mut client, &format!("{PINNED} SET search_path = public"))?;
            assert!(last_is_of(&mut client, &format!("c{i}"))?, "INSERT {value}");
            run(&mut client, &format!("UPDATE c{i} SET v = v, vs = NULL"))?;
            assert!(last_is_of(&mut client, &format!("c{i}"))?, "UPDATE {value}");
            run(&mut client, &format!("DELETE FROM c{i}"))?;
            tried += 1;
        }
    }
    assert_eq!(tried == 0, missing.len() == TYPES.len(), "what is there was tried");
    missing.dedup();
    println!("{tried} values; not on this server: {missing:?}");
    audit_guard_e2e::judge::server_is_content(cluster, "contrib")
}

/// A type with a cast to json looks as its author wants it, and keeps doing so when the cast changes.
#[test]
fn casts_to_json() -> Result<()> {
    let (cluster, mut client) = database("casts")?;
    run(
        &mut client,
        "CREATE TYPE level AS ENUM ('low', 'high'); CREATE DOMAIN level_d AS level;
         CREATE FUNCTION level_json(level) RETURNS json LANGUAGE sql IMMUTABLE AS
             $$ SELECT pg_catalog.json_build_object('level', $1::text, 'n', 1.50) $$;
         CREATE TABLE c (id int PRIMARY KEY, v text, l level, ls level[], d level_d);
         CREATE TABLE k (l level PRIMARY KEY);
         SELECT audit.enable_tracking('c'), audit.enable_tracking('k')",
    )?;
    let images = |client: &mut Client| {
        texts(
            client,
            "SELECT l.new_record::text, to_jsonb(c)::text FROM audit.audit_log l, c WHERE l.table_name = 'c'
             ORDER BY l.id DESC LIMIT 1",
        )
    };
    run(&mut client, "INSERT INTO c VALUES (1, 'v', 'low', '{low,high}', 'high')")?;
    for (step, sees) in [
        ("SELECT 1", r#""l": "low""#),
        (
            "CREATE CAST (level AS json) WITH FUNCTION level_json(level)",
            r#""l": {"n": 1.50, "level": "low"}"#,
        ),
        (
            "CREATE OR REPLACE FUNCTION level_json(level) RETURNS json LANGUAGE sql IMMUTABLE AS
                 $$ SELECT pg_catalog.to_json(7) $$",
            r#""l": 7"#,
        ),
        ("DROP CAST (level AS json)", r#""l": "low""#),
    ] {
        run(&mut client, step)?;
        run(&mut client, "UPDATE c SET v = v || '!'")?;
        let found = images(&mut client)?;
        assert_eq!(found[0][0], found[0][1], "{step}");
        assert!(found[0][0].as_deref().is_some_and(|image| image.contains(sees)), "{step}: {found:?}");
    }
    // A cast that fails makes the change fail, and says why in its own words.
    run(
        &mut client,
        "CREATE FUNCTION no_json(level) RETURNS json LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN RAISE EXCEPTION 'no json today' USING ERRCODE = '22023'; END $$;
         CREATE CAST (level AS json) WITH FUNCTION no_json(level)",
    )?;
    let error = client.batch_execute("UPDATE c SET v = 'x'").err().and_then(|e| e.code().cloned());
    assert_eq!(error.map(|code| code.code().to_owned()).as_deref(), Some("22023"));
    run(&mut client, "DROP CAST (level AS json); UPDATE c SET v = 'y'")?;
    let found = images(&mut client)?;
    assert_eq!(found[0][0], found[0][1]);
    audit_guard_e2e::judge::server_is_content(cluster, "casts")
}
