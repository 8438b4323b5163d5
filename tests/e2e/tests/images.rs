//! The stored images are, byte for byte, what `to_jsonb(row)` gives under the pinned settings: for
//! generated tables of all types, while the writing session has other settings.

mod images_common;

use audit_guard_e2e::session::PINNED;
use audit_guard_e2e::{Result, judge, seed};
use images_common::{Case, Column, case, check, cluster, lab, run, types};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// Generated tables.
const CASES: u32 = 45;

#[test]
fn generated_tables() -> Result<()> {
    let seed = seed("images")?;
    let mut lab = lab("generated", seed)?;
    let known = types(&mut lab.admin)?;
    println!("{} types", known.len());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config =
        Config { cases: CASES, max_shrink_iters: 100, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let cell = std::cell::RefCell::new(&mut lab);
    let outcome = runner.run(&case(known.len()), |case| {
        check(*cell.borrow_mut(), &known, &case).map_err(|e| TestCaseError::fail(e.to_string()))
    });
    match outcome {
        Ok(()) => judge::server_is_content(lab.cluster, &lab.name),
        Err(TestError::Fail(reason, case)) => {
            Err(format!("{reason}\nsmallest case: {}", images_common::describe(&known, &case)).into())
        }
        Err(e) => Err(e.to_string().into()),
    }
}

/// Every type once by itself: a type that generated cases happened to leave out is tried as well.
#[test]
fn every_type_by_itself() -> Result<()> {
    let seed = seed("images")?;
    let mut lab = lab("single", seed)?;
    let known = types(&mut lab.admin)?;
    for (i, name) in known.iter().enumerate() {
        let case = Case { columns: vec![Column { ty: i, style: 0 }], rows: 8, seed, ..Case::default() };
        check(&mut lab, &known, &case).map_err(|e| format!("{name}: {e}"))?;
    }
    judge::server_is_content(lab.cluster, &lab.name)
}

/// Widths around the places where the layout of a jsonb object changes, up to the most columns a
/// table can have; full of values and all null; names of equal length and of greatest length.
#[test]
fn wide_tables() -> Result<()> {
    let seed = seed("images")?;
    let mut lab = lab("wide", seed)?;
    let known = types(&mut lab.admin)?;
    let find = |name: &str| known.iter().position(|known| known == name).ok_or(format!("no type {name}"));
    let mixed =
        [find("bool")?, find("text")?, find("int2")?, find("uuid")?, find("numeric")?, find("interval")?];
    for (width, style) in
        [(1, 1), (15, 1), (16, 2), (31, 1), (32, 2), (33, 1), (63, 3), (64, 1), (65, 2), (301, 1)]
    {
        for nulls in [0, 100] {
            let columns = (0..width).map(|i| Column { ty: mixed[i % mixed.len()], style }).collect();
            let case = Case { columns, rows: 3, seed, nulls, ..Case::default() };
            check(&mut lab, &known, &case).map_err(|e| format!("{width} columns: {e}"))?;
        }
    }
    let columns = (0..1590).map(|_| Column { ty: mixed[0], style: 2 }).collect();
    check(&mut lab, &known, &Case { columns, rows: 2, seed, ..Case::default() })?;
    judge::server_is_content(lab.cluster, &lab.name)
}

/// Names of catalogue objects print differently under other settings than those of the other types.
#[test]
fn names_of_objects() -> Result<()> {
    let mut lab = lab("objects", 1)?;
    lab.admin.batch_execute(
        "CREATE SCHEMA s; CREATE TABLE s.thing (); CREATE TYPE s.type AS (); CREATE FUNCTION s.f() RETURNS int
             LANGUAGE sql RETURN 1; CREATE OPERATOR s.!! (RIGHTARG = int, FUNCTION = int4abs);
         CREATE TABLE t (k int PRIMARY KEY, c regclass, ty regtype, p regproc, ps regprocedure,
             os regoperator,
             r regrole, n regnamespace, cs regclass[]);
         SELECT audit.enable_tracking('t')",
    )?;
    let insert = "INSERT INTO public.t VALUES (KEY, 's.thing', 's.type', 's.f', 's.f()',
         's.!!(NONE,integer)', 'postgres', 's', '{s.thing}')";
    let settings =
        ["search_path = public", "search_path = s, public", "search_path = ''", "quote_all_identifiers = on"];
    for (key, setting) in settings.iter().enumerate() {
        lab.writer.batch_execute(&format!("SET {setting}; {}", insert.replace("KEY", &key.to_string())))?;
    }
    let rows = lab.admin.query("SELECT (new_record - 'k')::text FROM audit.audit_log ORDER BY id", &[])?;
    assert_eq!(rows.len(), settings.len());
    let images: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for (setting, image) in settings.iter().zip(&images) {
        assert_eq!(
            image, &images[0],
            "an image made under {setting} differs from one made under {}",
            settings[0]
        );
    }
    Ok(())
}

/// Without messages: the server refuses to send this client a name that is no text in UTF-8.
const WRITE_BEYOND_ASCII: &str = r#"SET client_min_messages = error; DO $do$ BEGIN
    EXECUTE format('CREATE TABLE %I (%I text PRIMARY KEY, %I text, j jsonb)', 't' || c(), 'k' || c(), 'v'
        || c());
    PERFORM audit.enable_tracking(format('%I', 't' || c())::regclass, detail => 'delta');
    EXECUTE format('INSERT INTO %I VALUES (%L, %L, %L)', 't' || c(), c() || 1, c() || '"', to_jsonb(c()));
    EXECUTE format('UPDATE %I SET %I = %L', 't' || c(), 'v' || c(), repeat(c(), 5000));
END $do$"#;
const RIGHT_BEYOND_ASCII: &str = r#"SELECT table_name = 't' || c() AND record_id = c() || 1
    AND record_image_eq(ROW(new_record), ROW(jsonb_build_object('k' || c(), c() || 1, 'j', c(), 'v' || c(),
        CASE operation WHEN 'INSERT' THEN c() || '"' ELSE repeat(c(), 5000) END)))
    AND changed_fields IS NOT DISTINCT FROM CASE operation WHEN 'UPDATE' THEN ARRAY['v' || c()] END
    FROM audit.audit_log ORDER BY id"#;

/// Databases of other encodings: names, keys and values beyond ASCII, down to bytes that are no
/// text in any encoding. Everything is compared inside the server; clients need not understand it.
#[test]
fn other_encodings() -> Result<()> {
    let cluster = cluster()?;
    for (encoding, character) in [
        ("LATIN1", "chr(233)"),
        ("WIN1251", "chr(198)"),
        ("EUC_JP", "convert_from('\\xb4c1', 'EUC_JP')"),
        ("SQL_ASCII", "E'\\351'"),
    ] {
        let name = encoding.to_lowercase();
        let mut client = cluster.connect("postgres", "postgres")?;
        client.batch_execute(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
        ))?;
        let mut client = cluster.connect("postgres", &name)?;
        let character =
            format!("CREATE FUNCTION c() RETURNS text LANGUAGE sql IMMUTABLE RETURN {character};");
        client
            .batch_execute(&format!(
                "{PINNED} CREATE EXTENSION audit_guard; {character} {WRITE_BEYOND_ASCII}"
            ))
            .map_err(|e| format!("{encoding}: {e:?}"))?;
        let rows = client.query(RIGHT_BEYOND_ASCII, &[])?;
        let right: Vec<Option<bool>> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(right, [Some(true), Some(true)], "{encoding}");
        judge::server_is_content(cluster, &name)?;
    }
    Ok(())
}

/// Keys as long as an index of their own table takes them, of kinds that grow when written as text.
#[test]
fn long_keys() -> Result<()> {
    let mut lab = lab("long_keys", 1)?;
    for (i, (ty, value)) in [
        ("text", "string_agg(chr(33 + (i * i * 31 + i / 7) % 90), '')"),
        ("text", "string_agg(md5(i::text), '')"),
        ("bytea", "string_agg(decode(md5(i::text), 'hex'), '')"),
    ]
    .iter()
    .enumerate()
    {
        // The longest value that the table itself accepts.
        run(&mut lab.admin, &format!("CREATE TABLE k{i} (k {ty}, n int, v int, PRIMARY KEY (k, n))"))?;
        run(
            &mut lab.admin,
            &format!(
                "DO $$ BEGIN FOR length IN REVERSE 2800..1 LOOP BEGIN
                     INSERT INTO k{i} SELECT substr({value}, 1, length), 1, 1
                        FROM generate_series(1, 2800) AS i; EXIT;
                 EXCEPTION WHEN program_limit_exceeded THEN NULL; END; END LOOP; END $$;
                 SELECT audit.enable_tracking('k{i}')"
            ),
        )?;
        run(&mut lab.admin, &format!("UPDATE k{i} SET v = 2; UPDATE k{i} SET n = 2; DELETE FROM k{i}"))
            .map_err(|e| format!("{ty} {value}: {e}"))?;
    }
    let rows: i64 = lab.admin.query_one("SELECT count(*) FROM audit.audit_log", &[])?.get(0);
    assert_eq!(rows, 9);
    judge::server_is_content(lab.cluster, &lab.name)
}

/// A table without columns, and one whose only column was dropped.
#[test]
fn tables_without_columns() -> Result<()> {
    let mut lab = lab("bare", 1)?;
    lab.admin.batch_execute(
        "CREATE TABLE bare (); CREATE TABLE emptied (a int); INSERT INTO emptied VALUES (1);
         ALTER TABLE emptied DROP COLUMN a;
         SELECT audit.enable_tracking('bare'), audit.enable_tracking('emptied');
         INSERT INTO bare DEFAULT VALUES; INSERT INTO emptied DEFAULT VALUES; DELETE FROM emptied;
             DELETE FROM bare",
    )?;
    let rows = lab.admin.query(
        "SELECT table_name || ' ' || operation || ' ' || coalesce(record_id, '-')
             || coalesce(old_record::text, '-')
                || coalesce(new_record::text, '-') || coalesce(changed_fields::text, '-')
         FROM audit.audit_log ORDER BY id",
        &[],
    )?;
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let expected = [
        "bare INSERT --{}-",
        "emptied INSERT --{}-",
        "emptied DELETE -{}--",
        "emptied DELETE -{}--",
        "bare DELETE -{}--",
    ];
    assert_eq!(rows, expected);
    judge::server_is_content(lab.cluster, &lab.name)
}

/// The comparison itself must see what it is there for: printing settings, digits, bytes.
#[test]
fn the_comparison_sees_differences() -> Result<()> {
    let mut lab = lab("control", 1)?;
    lab.admin.batch_execute(
        "CREATE TABLE t (k int PRIMARY KEY, i interval, b bytea, f float8, m money, r tstzrange,
             at timestamptz);
         SELECT audit.enable_tracking('t');
         INSERT INTO t VALUES (1, '1 day 02:00', '\\x01', 0.1::float8 + 0.2, 1234.5::numeric::money,
             '[2020-01-02 03:04:05+02,)', '2020-01-02 03:04:05+02')",
    )?;
    let same = "SELECT record_image_ne(ROW(l.new_record), ROW(to_jsonb(t))) FROM audit.audit_log l, t";
    assert!(!lab.admin.query_one(same, &[])?.get::<_, bool>(0), "equal under the pinned settings");
    for (setting, value) in [
        ("TimeZone", "Asia/Kolkata"),
        ("IntervalStyle", "iso_8601"),
        ("bytea_output", "escape"),
        ("extra_float_digits", "-5"),
        ("lc_monetary", "de_DE.UTF-8"),
        ("DateStyle", "German"),
    ] {
        let query = format!("BEGIN; SET LOCAL {setting} = '{value}'");
        lab.admin.batch_execute(&query)?;
        assert!(lab.admin.query_one(same, &[])?.get::<_, bool>(0), "{setting} makes no difference");
        lab.admin.batch_execute("ROLLBACK")?;
    }
    let digits = "SELECT record_image_ne(ROW('{\"a\": 1.0}'::jsonb), ROW('{\"a\": 1.00}'::jsonb))";
    assert!(lab.admin.query_one(digits, &[])?.get::<_, bool>(0), "trailing zeros make no difference");
    Ok(())
}
