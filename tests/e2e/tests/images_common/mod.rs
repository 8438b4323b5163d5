//! Generated tables for the image tests, and the check each of them goes through.

use std::sync::OnceLock;

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::session::{PINNED, unsettle};
use audit_guard_e2e::values::{SPECIAL, identifier, literal, quoted};
use postgres::Client;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{collection, sample};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Locales whose money looks different from the pinned one.
const LOCALES: &[&str] = &["de_DE.UTF-8", "en_US.UTF-8"];

/// Values of the types in `sql/image_types.sql`, and of arrays and ranges of them.
const OWN: &[(&str, &[&str])] = &[
    ("mood", &["sad", "häppy \"x\" \\"]),
    ("mood[]", &["{sad,NULL,\"häppy \\\"x\\\" \\\\\"}"]),
    ("castable", &["one", "two"]),
    ("castable[]", &["{one,two}"]),
    ("pair", &["(1,\"x \"\"y\",1.10)", "(,,)", "(-1,,NaN)"]),
    ("pair[]", &["{\"(1,é,1.500)\",NULL}"]),
    (
        "nested",
        &[
            r#"("(1,x,2.0)","{""(2,y,)""}","2024-03-31 02:30:00+01","{""a"": 1.0}","1 day","\\\\x01ff",one)"#,
            "(,,,,,,)",
        ],
    ),
    ("no_fields", &["()"]),
    ("posint", &["1", "2147483647"]),
    ("posint2", &["7"]),
    ("posint[]", &["{1,2}"]),
    ("doc", &["null", "{\"a\": [1.50]}", "\"x\""]),
    ("textdoc", &["{\"b\": 1,  \"a\": 1.0}", "null"]),
    ("sums", &["{1.1,2}", "{}"]),
    ("somebody", &["(1,x,2.0)"]),
    ("feeling", &["ok"]),
    ("chosen", &["two"]),
    ("moment", &["2024-03-31 02:30:00.1239+01", "infinity"]),
    ("textrange", &["[a,b)", "empty", "[\"x y\",]"]),
];

/// One column of a generated table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Index into the known types.
    pub(crate) ty: usize,
    /// How its name is made.
    pub(crate) style: u8,
}

/// A generated table and what happens to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// Columns beside the key.
    pub(crate) columns: Vec<Column>,
    /// Columns added, with a default, when there are rows already.
    pub(crate) added: Vec<usize>,
    /// Whether every third column is dropped before tracking begins.
    pub(crate) drops: bool,
    /// Rows.
    pub(crate) rows: u32,
    /// Per cent of values that are null.
    pub(crate) nulls: u32,
    /// Decides the values and settings.
    pub(crate) seed: u64,
}

/// A database with a writer's and a judge's session.
pub(crate) struct Lab {
    /// Under the pinned settings.
    pub(crate) admin: Client,
    /// Under any others.
    pub(crate) writer: Client,
    /// The one of this test program.
    pub(crate) cluster: &'static Cluster,
    /// Its name.
    pub(crate) name: String,
    tables: usize,
}

/// The cluster of this test program; its server knows the locales.
pub(crate) fn cluster() -> Result<&'static Cluster> {
    static CLUSTER: OnceLock<std::result::Result<Cluster, String>> = OnceLock::new();
    let made = CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&[("fsync", "off")]).map_err(|e| e.to_string())?;
        cluster.make_locales(LOCALES).map_err(|e| e.to_string())?;
        Ok(cluster)
    });
    made.as_ref().map_err(|e| e.clone().into())
}

/// Makes a laboratory.
pub(crate) fn lab(name: &str, seed: u64) -> Result<Lab> {
    let cluster = cluster()?;
    let mut admin = cluster.database(name)?;
    admin.batch_execute(PINNED)?;
    admin.batch_execute(include_str!("../../sql/image_types.sql"))?;
    let writer = cluster.connect("postgres", name)?;
    println!("{name}: seed {seed}");
    Ok(Lab { admin, writer, cluster, name: name.to_owned(), tables: 0 })
}

/// Every type to try. xml is a matter of how the server was built; the server is asked.
pub(crate) fn types(admin: &mut Client) -> Result<Vec<String>> {
    let known = SPECIAL.iter().chain(OWN).map(|(name, _)| (*name).to_owned());
    let mut known: Vec<String> = known.chain(["text".to_owned()]).collect();
    match admin.batch_execute("SELECT '<a/>'::xml") {
        Ok(()) => known.push("xml".to_owned()),
        Err(e) if e.code() == Some(&postgres::error::SqlState::FEATURE_NOT_SUPPORTED) => {
            println!("this server was built without xml");
        }
        Err(e) => return Err(e.into()),
    }
    Ok(known)
}

/// Generates tables of these many types; mostly narrow, some wide.
pub(crate) fn case(types: usize) -> impl Strategy<Value = Case> {
    let column = (0..types, 0..6_u8).prop_map(|(ty, style)| Column { ty, style });
    let columns = prop_oneof![
        6 => collection::vec(column.clone(), 0..20),
        3 => collection::vec(column.clone(), 20..90),
        1 => collection::vec(column, 200..330),
    ];
    let nulls = sample::select(vec![0, 10, 50, 100]);
    (columns, collection::vec(0..types, 0..4), any::<bool>(), 1..5_u32, nulls, any::<u32>(), Just(()))
        .prop_map(|(columns, added, drops, rows, nulls, seed, ())| Case {
            columns,
            added,
            drops,
            rows,
            nulls,
            seed: seed.into(),
        })
}

/// A case in words.
pub(crate) fn describe(known: &[String], case: &Case) -> String {
    let names =
        |of: &mut dyn Iterator<Item = usize>| of.map(|ty| known[ty].as_str()).collect::<Vec<_>>().join(", ");
    format!(
        "columns {}; added {}; drops {}, {} rows, {} % null, seed {}",
        names(&mut case.columns.iter().map(|c| c.ty)),
        names(&mut case.added.iter().copied()),
        case.drops,
        case.rows,
        case.nulls,
        case.seed
    )
}

fn name(style: u8, i: usize) -> String {
    match style {
        1 => format!("n{i:04}"),
        2 => format!("{i:04}{}", "x".repeat(59)),
        3 => format!("ж漢{i}"),
        4 => format!("a\"\\ \n{i}"),
        5 if i < 60 => "a".repeat(i + 1),
        _ => format!("c{i}"),
    }
}

fn value(rng: &mut StdRng, ty: &str, nulls: u32) -> String {
    if rng.random_range(0..100) < nulls {
        return "NULL".to_owned();
    }
    if ty == "xml" {
        return "'<a b=\"c\">é &amp; \"\\</a>'::xml".to_owned();
    }
    match OWN.iter().find(|(name, _)| *name == ty).and_then(|(_, values)| values.choose(rng)) {
        Some(value) => format!("{}::{ty}", quoted(value)),
        None => literal(rng, ty),
    }
}

/// Creates the table, writes it in every way under foreign settings, and compares all images.
pub(crate) fn check(lab: &mut Lab, known: &[String], case: &Case) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(case.seed);
    lab.tables += 1;
    let table = format!("t{}", lab.tables);
    let mut columns: Vec<(String, &str)> = Vec::new();
    for (i, column) in case.columns.iter().enumerate() {
        columns.push((name(column.style, i), known[column.ty].as_str()));
    }
    let definitions: Vec<String> =
        columns.iter().map(|(name, ty)| format!("{} {ty}", identifier(name))).collect();
    // The key stands first, last, or between.
    let mut all = definitions;
    all.insert(rng.random_range(0..=all.len()), "k int PRIMARY KEY".to_owned());
    run(&mut lab.admin, &format!("CREATE TABLE {table} ({})", all.join(", ")))?;
    for k in 0..case.rows {
        run(&mut lab.admin, &insert(&mut rng, &table, k, &columns, case.nulls))?;
    }
    if case.drops {
        for (name, _) in columns.iter().step_by(3) {
            run(&mut lab.admin, &format!("ALTER TABLE {table} DROP COLUMN {}", identifier(name)))?;
        }
        let mut i = 0;
        columns.retain(|_| {
            i += 1;
            i % 3 != 1
        });
    }
    for (i, ty) in case.added.iter().enumerate() {
        let (name, ty) = (format!("added {i}"), known[*ty].as_str());
        let value = value(&mut rng, ty, 0);
        // A default must not be a query, which makes the big values, nor name a role.
        let default =
            if value.contains("SELECT") || value.contains("regrole") { "NULL".to_owned() } else { value };
        run(
            &mut lab.admin,
            &format!("ALTER TABLE {table} ADD COLUMN {} {ty} DEFAULT {default}", identifier(&name)),
        )?;
        columns.push((name, ty));
    }
    run(&mut lab.admin, &format!("SELECT audit.enable_tracking('{table}')"))?;

    let settings = unsettle(&mut lab.writer, &mut rng, &[("lc_monetary", LOCALES)])?;
    for k in case.rows..case.rows * 2 {
        run(&mut lab.writer, &insert(&mut rng, &table, k, &columns, case.nulls))?;
    }
    let told = |e: audit_guard_e2e::Failure| format!("{e}\nsettings of the writer: {settings}");
    inserted(&mut lab.admin, &table, case.rows).map_err(told)?;
    for round in 0..2 {
        run(
            &mut lab.admin,
            &format!("DROP TABLE IF EXISTS before_it; CREATE TABLE before_it AS TABLE {table}"),
        )?;
        for k in 0..case.rows * 2 {
            run(&mut lab.writer, &update(&mut rng, &table, k, &columns, case.nulls))?;
        }
        updated(&mut lab.admin, &table, &columns, round).map_err(told)?;
    }
    run(&mut lab.admin, &format!("DROP TABLE before_it; CREATE TABLE before_it AS TABLE {table}"))?;
    run(&mut lab.writer, &format!("DELETE FROM {table}"))?;
    deleted(&mut lab.admin, &table).map_err(told)?;
    run(&mut lab.admin, &format!("DROP TABLE before_it, {table}"))
}

fn insert(rng: &mut StdRng, table: &str, k: u32, columns: &[(String, &str)], nulls: u32) -> String {
    let names: String = columns.iter().map(|(name, _)| format!(", {}", identifier(name))).collect();
    let values: String = columns.iter().map(|(_, ty)| format!(", {}", value(rng, ty, nulls))).collect();
    format!("INSERT INTO {table} (k{names}) VALUES ({k}{values})")
}

/// Some columns get new values, some the ones they have; now and then nothing changes at all.
fn update(rng: &mut StdRng, table: &str, k: u32, columns: &[(String, &str)], nulls: u32) -> String {
    let mut set = vec!["k = k".to_owned()];
    let odds = [0.0, 0.1, 0.5, 1.0][rng.random_range(0..4)];
    for (name, ty) in columns {
        if rng.random_bool(odds) {
            set.push(format!("{} = {}", identifier(name), value(rng, ty, nulls)));
        } else if rng.random_ratio(1, 9) {
            set.push(format!("{0} = {0}", identifier(name)));
        }
    }
    format!("UPDATE {table} SET {} WHERE k = {k}", set.join(", "))
}

/// Runs SQL; an error names it.
pub(crate) fn run(client: &mut Client, sql: &str) -> Result<()> {
    client.batch_execute(sql).map_err(|e| format!("{e:?} in {sql:.2000}").into())
}

fn inserted(admin: &mut Client, table: &str, rows: u32) -> Result<()> {
    judge(
        admin,
        rows,
        &format!(
            "SELECT k, l.new_record, to_jsonb(t), l.old_record IS NULL AND l.changed_fields IS NULL
             FROM {table} AS t JOIN audit.audit_log AS l ON l.table_name = '{table}' AND l.record_id = k::text
             WHERE operation = 'INSERT'"
        ),
    )
}

/// Each row whose stored bytes changed has one new log row with both images; the others have none.
fn updated(admin: &mut Client, table: &str, columns: &[(String, &str)], round: i64) -> Result<()> {
    let differs: String = columns
        .iter()
        .map(|(name, _)| {
            let column = identifier(name);
            format!(", CASE WHEN record_image_ne(ROW(b.{column}), ROW(t.{column})) THEN {} END", quoted(name))
        })
        .collect();
    // Log rows of earlier rounds are told apart by their number per record.
    admin.batch_execute(&format!(
        "CREATE TEMP TABLE IF NOT EXISTS seen (t text, id bigint PRIMARY KEY);
         DROP TABLE IF EXISTS changed;
         CREATE TEMP TABLE changed AS
         SELECT t.k, to_jsonb(b) AS old, to_jsonb(t) AS new,
             array_remove(ARRAY[NULL{differs}]::text[], NULL) AS fields
         FROM {table} AS t JOIN before_it AS b USING (k)"
    ))?;
    let expected: i64 = admin.query_one("SELECT count(*) FROM changed WHERE fields <> '{}'", &[])?.get(0);
    let expected = u32::try_from(expected)?;
    let log = format!(
        "audit.audit_log WHERE table_name = '{table}' AND operation = 'UPDATE' AND id NOT IN (SELECT id
             FROM seen)"
    );
    for side in ["old", "new"] {
        // Fields are compared as sets of names in the order of the table's columns.
        judge(
            admin,
            expected,
            &format!(
                "SELECT k, l.{side}_record, c.{side}, l.old_record_id IS NULL AND l.changed_fields = (
                     SELECT array_agg(f ORDER BY a.attnum) FROM unnest(c.fields) AS f
                     JOIN pg_attribute AS a ON a.attname = f AND a.attrelid = '{table}'::regclass)
                 FROM (SELECT * FROM {log}) AS l LEFT JOIN changed AS c ON l.record_id = k::text
                     AND c.fields <> '{{}}'"
            ),
        )
        .map_err(|e| format!("round {round}, {side} image: {e}"))?;
    }
    Ok(admin.batch_execute(&format!("INSERT INTO seen SELECT '{table}', id FROM {log}"))?)
}

fn deleted(admin: &mut Client, table: &str) -> Result<()> {
    let rows: i64 = admin.query_one("SELECT count(*) FROM before_it", &[])?.get(0);
    judge(
        admin,
        u32::try_from(rows)?,
        &format!(
            "SELECT k, l.old_record, to_jsonb(b), l.new_record IS NULL AND l.changed_fields IS NULL
             FROM before_it AS b JOIN audit.audit_log AS l ON l.table_name = '{table}'
                 AND l.record_id = k::text
             WHERE operation = 'DELETE'"
        ),
    )
}

/// The query gives key, stored image, right image, and whether the rest is right. Every row must
/// agree in text and in bytes, and there must be exactly as many as expected.
fn judge(admin: &mut Client, expected: u32, query: &str) -> Result<()> {
    let found = admin
        .query(
            &format!(
                "SELECT k::text, coalesce(record_image_eq(ROW(stored), ROW(correct)), false) AND rest,
                        stored::text, correct::text, rest
                 FROM ({query}) AS r (k, stored, correct, rest)"
            ),
            &[],
        )
        .map_err(|e| format!("{e:?} in {query:.2000}"))?;
    for row in &found {
        if !row.get::<_, Option<bool>>(1).unwrap_or(false) {
            let (stored, correct): (Option<String>, Option<String>) = (row.get(2), row.get(3));
            let (stored, correct) = (stored.unwrap_or_default(), correct.unwrap_or_default());
            let at = stored.bytes().zip(correct.bytes()).take_while(|(a, b)| a == b).count();
            let cut = |text: &str| {
                String::from_utf8_lossy(text.as_bytes().get(at.saturating_sub(60)..).unwrap_or(b""))
                    .into_owned()
            };
            return Err(format!(
                "k {:?}: the rest is {:?}; from byte {at} on\n  stored  {:.500}\n  correct {:.500}",
                row.get::<_, Option<String>>(0),
                row.get::<_, Option<bool>>(4),
                cut(&stored),
                cut(&correct)
            )
            .into());
        }
    }
    if found.len() != expected as usize {
        return Err(format!("{} log rows, expected {expected}", found.len()).into());
    }
    Ok(())
}
