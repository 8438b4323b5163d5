//! Changes that a superuser makes to stored evidence behind the guard's back: all switches of a server
//! without the preloaded library thrown, each change in a savepoint that is rolled back.

use postgres::Client;

use crate::Result;
use crate::cluster::Cluster;
use crate::ledger::{Finding, Witness, seal_all, verdict_is, verify, with_history};
use crate::steps::run;
use crate::values::quoted;

/// Everything that a superuser can switch off, in the present transaction.
const UNGUARD: &str = "SET LOCAL session_replication_role = replica;
    ALTER EVENT TRIGGER audit_guard_shield DISABLE;
    ALTER EVENT TRIGGER audit_guard_shield_drop DISABLE;
    ALTER EVENT TRIGGER audit_guard_shield_rewrite DISABLE;
    DO $$ DECLARE own record; BEGIN
        FOR own IN SELECT t.tgrelid::regclass AS target, t.tgname FROM pg_trigger AS t
            JOIN pg_class AS c ON c.oid = t.tgrelid
            WHERE c.relnamespace = 'audit'::regnamespace AND t.tgparentid = 0
                AND t.tgfoid = 'audit.prevent_modification()'::regprocedure LOOP
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', own.target, own.tgname);
        END LOOP;
    END $$";

/// Ways to change a value `v` (%s) of a type: at the beginning, at the end, in the middle, in length, and to
/// nothing; and values that compare equal and are not the same.
const WAYS: &[(&str, &[&str])] = &[
    (
        "text",
        &[
            "NULL",
            "''",
            "'x' || v",
            "v || ' '",
            "left(v, -1)",
            "overlay(v PLACING '~' FROM 1)",
            "v || chr(8203)",
            "overlay(v PLACING '~' FROM greatest(length(v), 1))",
            "upper(v)",
            "initcap(v)",
        ],
    ),
    ("bigint", &["v + 1", "v - 1", "v + 4294967296", "v - 4294967296", "v # 256", "-v", "0", "NULL"]),
    ("integer", &["v + 1", "v - 1", "v + 65536", "v # 256", "-v", "0", "NULL"]),
    ("smallint", &["v + 1", "v - 1", "v # 256", "-v", "NULL"]),
    ("boolean", &["NOT v", "NULL"]),
    (
        "timestamptz",
        &[
            "v + interval '1 microsecond'",
            "v - interval '1 microsecond'",
            "v + interval '1 day'",
            "v - interval '71 minutes 35 seconds'",
            "NULL",
            "coalesce(v, now())",
        ],
    ),
    (
        "interval",
        &[
            "v + interval '1 microsecond'",
            "justify_days(v) + interval '30 days' - interval '1 month'",
            "v * 2",
            "-v",
            "NULL",
            "make_interval(months => 12 * (extract(epoch FROM v) / 31557600)::int - 1,
                    days => 30)",
        ],
    ),
    (
        "uuid",
        &[
            "gen_random_uuid()",
            "NULL",
            "overlay(v::text PLACING '00' FROM 35)::uuid",
            "overlay(v::text PLACING '00' FROM 1)::uuid",
        ],
    ),
    ("inet", &["v + 1", "set_masklen(v, 31)", "'::1'", "NULL", "coalesce(v, '10.0.0.1')"]),
    (
        "jsonb",
        &[
            "NULL",
            "'{}'",
            "'null'",
            "'[]'",
            "v || '{\"zz\": 1}'",
            "v || '{\"\": null}'",
            "v - (SELECT min(k) FROM jsonb_object_keys(v) AS k)",
            "v - (SELECT max(k) FROM jsonb_object_keys(v) AS k)",
            "jsonb_set(v, ARRAY[(SELECT min(k) FROM jsonb_object_keys(v) AS k)], 'null')",
            "jsonb_set(v, ARRAY[(SELECT max(k) FROM jsonb_object_keys(v) AS k)], '\"~\"')",
            "replace(v::text, ': 1', ': 1.0')::jsonb",
            "upper(v::text)::jsonb",
            "to_jsonb(v::text)",
            "jsonb_build_array(v)",
        ],
    ),
    (
        "text[]",
        &[
            "NULL",
            "'{}'",
            "v || 'x'::text",
            "v || NULL::text",
            "v[2:]",
            "('[0:' || cardinality(v) - 1 || ']=' || v::text)::text[]",
            "ARRAY[v]",
            "array_prepend('x'::text, v)",
        ],
    ),
    (
        "bytea",
        &[
            "NULL",
            "''",
            "set_byte(v, 0, get_byte(v, 0) # 1)",
            "set_byte(v, length(v) - 1, get_byte(v, length(v) - 1) # 128)",
            "set_byte(v, length(v) / 2, get_byte(v, length(v) / 2) # 16)",
            "v || '\\x00'",
            "substr(v, 1, length(v) - 1)",
            "substr(v, 2)",
            "'\\x00'",
            "'\\x0100000000'",
        ],
    ),
    (
        "pg_snapshot",
        &[
            "'1:1:'",
            "'100:100:'",
            "(pg_snapshot_xmin(v)::text || ':' || (pg_snapshot_xmax(v)::text::bigint + 1))::pg_snapshot",
            "(pg_snapshot_xmin(v)::text || ':' || (pg_snapshot_xmax(v)::text::bigint +
                1000000))::pg_snapshot",
        ],
    ),
    ("audit.operation", &["'INSERT'", "'UPDATE'", "'DELETE'", "'TRUNCATE'"]),
    ("audit.security_event_type", &["'login_success'", "'login_failed'", "'data_export'"]),
];

/// A column of a table, and a way to change it.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Name of the table, with its schema.
    pub table: String,
    /// Name of the column.
    pub column: String,
    /// What is assigned.
    pub value: String,
}

/// Every way to change a column of a table. A type without a way is an error: nothing is left out.
pub fn cells(client: &mut Client, table: &str) -> Result<Vec<Cell>> {
    let query = "SELECT quote_ident(a.attname), format_type(a.atttypid, NULL) FROM pg_attribute AS a
        WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let mut cells = Vec::new();
    for row in client.query(query, &[&table])? {
        let (column, ty): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let ty = ty.replace("timestamp with time zone", "timestamptz");
        let (_, ways) = WAYS
            .iter()
            .find(|(name, _)| *name == ty)
            .ok_or(format!("no way to change {table}.{column}: {ty}"))?;
        for way in *ways {
            // Only a name stands there: functions have longer ones than v.
            let value = words(way, &column);
            cells.push(Cell { table: table.to_owned(), column: column.clone(), value });
        }
    }
    Ok(cells)
}

/// The way with the column's name for each word `v`.
fn words(way: &str, column: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in way.chars().chain(" ".chars()) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        out.push_str(if word == "v" { column } else { &word });
        word.clear();
        out.push(c);
    }
    out
}

/// No workers and no autovacuum: one thing after the other.
pub const SETTINGS: &[(&str, &str)] =
    &[("fsync", "off"), ("autovacuum", "off"), ("max_parallel_workers_per_gather", "0")];

/// A cluster whose database `app` has rows in every stream, all sealed; its head is signed, and kept
/// elsewhere.
pub fn ledger() -> Result<(Cluster, Client, String)> {
    let cluster = Cluster::start(SETTINGS)?;
    let mut client = cluster.database("app")?;
    with_history(&mut client)?;
    let witness = Witness::new()?;
    witness.is_trusted_by(&mut client)?;
    seal_all(&mut client)?;
    let note = witness.sign_and_import(&mut client)?;
    verdict_is(&mut client, Some(&note), "ok")?;
    Ok((cluster, client, note))
}

/// Begins a transaction in which nothing protects anything.
pub fn unguarded(client: &mut Client) -> Result<()> {
    run(client, "BEGIN")?;
    run(client, UNGUARD)
}

/// Throws the switches for good, as an attacker does who does not roll back.
pub fn unguard_for_good(client: &mut Client) -> Result<()> {
    unguarded(client)?;
    run(client, "COMMIT; SET session_replication_role = replica")
}

/// Makes a change and asks what verify() finds; then takes the change back. None: the server itself does not
/// allow it, or it changed no row.
pub fn tried(client: &mut Client, change: &str, note: &str) -> Result<Option<Vec<Finding>>> {
    run(client, "SAVEPOINT change")?;
    let changes_rows = ["UPDATE", "DELETE", "INSERT"].iter().any(|word| change.starts_with(word));
    let done = match changes_rows && !change.contains(';') {
        true => client.execute(change, &[]).map(|changed| changed > 0),
        false => client.batch_execute(change).map(|()| true),
    };
    let changed = match done {
        Ok(changed) => changed,
        // Values that cannot be stored, or not be made from what is there.
        Err(e) if e.code().is_some_and(|code| ["22", "23"].contains(&&code.code()[..2])) => false,
        Err(e) => return Err(format!("{change}: {e:?}").into()),
    };
    let found = if changed {
        Some(
            verify(client, &format!("checkpoint => {}, workers => 0", quoted(note)))
                .map_err(|e| format!("{change}: {e}"))?,
        )
    } else {
        None
    };
    run(client, "ROLLBACK TO change; RELEASE change")?;
    Ok(found)
}

impl Cell {
    /// The statement that makes the change in one row, if it changes anything.
    pub fn update(&self, row: &str) -> String {
        let Self { table, column, value } = self;
        format!(
            "UPDATE {table} SET {column} = {value} WHERE ({row}) AND row({column})::text <>
                row({value})::text"
        )
    }
}
