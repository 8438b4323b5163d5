//! Random statements: every form in which SQL changes rows.

use rand::Rng as _;
use rand::rngs::StdRng;

use crate::tables::{Column, Table};

/// The kinds of things a session does; each has to succeed at least once in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Insert,
    InsertOnConflictNothing,
    Update,
    UpdateNothing,
    UpdateKey,
    Delete,
    Upsert,
    Merge,
    Copy,
    Cte,
    Truncate,
    Block,
    Family,
    Cancelled,
    Procedure,
    Discard,
    Savepoint,
    RollbackTo,
    Release,
    Context,
    Setting,
    Replica,
    Commit,
    Rollback,
    Prepare,
    CommitPrepared,
    RollbackPrepared,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Insert,
        Self::InsertOnConflictNothing,
        Self::Update,
        Self::UpdateNothing,
        Self::UpdateKey,
        Self::Delete,
        Self::Upsert,
        Self::Merge,
        Self::Copy,
        Self::Cte,
        Self::Truncate,
        Self::Block,
        Self::Family,
        Self::Cancelled,
        Self::Procedure,
        Self::Discard,
        Self::Savepoint,
        Self::RollbackTo,
        Self::Release,
        Self::Context,
        Self::Setting,
        Self::Replica,
        Self::Commit,
        Self::Rollback,
        Self::Prepare,
        Self::CommitPrepared,
        Self::RollbackPrepared,
    ];

    /// Whether it is a single statement that the extended protocol takes.
    pub fn is_one_statement(self) -> bool {
        matches!(
            self,
            Self::Insert
                | Self::InsertOnConflictNothing
                | Self::Update
                | Self::UpdateNothing
                | Self::UpdateKey
                | Self::Delete
                | Self::Upsert
                | Self::Merge
                | Self::Cte
        )
    }
}

/// A random statement on one of the tables, or on several.
pub fn statement(rng: &mut StdRng, tables: &[Table]) -> (Kind, String) {
    let table = table(rng, tables);
    match rng.random_range(0..40) {
        0..=3 => (Kind::Insert, insert(rng, table)),
        4..=8 => (Kind::InsertOnConflictNothing, insert(rng, table) + " ON CONFLICT DO NOTHING"),
        9..=15 => (Kind::Update, update(rng, table)),
        16 => {
            let column = any(rng, table.other);
            let sql = format!(
                "UPDATE {} SET {c} = {c} WHERE {}",
                table.sql(),
                predicate(rng, table),
                c = column.sql()
            );
            (Kind::UpdateNothing, sql)
        }
        17..=19 if !table.key.is_empty() => {
            let column = any(rng, table.key);
            let value = column.value(rng, true);
            let sql = format!(
                "UPDATE {} SET {} = {value} WHERE {}",
                table.sql(),
                column.sql(),
                one_row(rng, table)
            );
            (Kind::UpdateKey, sql)
        }
        20..=23 => (Kind::Delete, delete(rng, table)),
        24..=26 if !table.key.is_empty() => (Kind::Upsert, upsert(rng, table)),
        27..=29 if !table.key.is_empty() => (Kind::Merge, merge(rng, table)),
        30 | 31 => (Kind::Copy, copy(rng, table)),
        32 | 33 => {
            // One statement, three tables: what one row gets from two parts of it is not defined.
            let mut parts = Vec::new();
            let start = rng.random_range(0..tables.len());
            for table in tables.iter().cycle().skip(start).take(tables.len()).filter(|t| t.written).take(3) {
                parts.push(match rng.random_range(0..3) {
                    0 => insert(rng, table) + " ON CONFLICT DO NOTHING",
                    1 => update(rng, table),
                    _ => delete(rng, table),
                });
            }
            let sql =
                format!("WITH a AS ({} RETURNING 1), b AS ({} RETURNING 1) {}", parts[0], parts[1], parts[2]);
            (Kind::Cte, sql)
        }
        34 if rng.random() => {
            let also =
                if rng.random() { format!(", {}", self::table(rng, tables).sql()) } else { String::new() };
            (Kind::Truncate, format!("TRUNCATE {}{also} CASCADE", table.sql()))
        }
        35 | 36 => (Kind::Family, family(rng)),
        _ => (Kind::Block, block(rng, tables)),
    }
}

/// A block that ends transactions by itself, some of them with a rollback; not inside a transaction.
pub fn procedure(rng: &mut StdRng, tables: &[Table]) -> String {
    let parts: Vec<String> = (0..4)
        .map(|_| {
            let table = table(rng, tables);
            if rng.random() { insert(rng, table) + " ON CONFLICT DO NOTHING" } else { update(rng, table) }
        })
        .collect();
    format!(
        "DO $do$ BEGIN {0}; COMMIT; {1}; ROLLBACK;
             FOR turn IN 1..3 LOOP {2}; IF turn = 2 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; {3};
                 END $do$",
        parts[0], parts[1], parts[2], parts[3]
    )
}

/// Empties one of the tables whose truncated rows are logged, after making sure that it has a row.
pub fn truncate_one(rng: &mut StdRng) -> String {
    match rng.random_range(0..3) {
        0 => "INSERT INTO app.events (note) VALUES ('to be truncated'); TRUNCATE app.events",
        1 => "INSERT INTO app.people (id, secret) VALUES (-1, 'to be truncated'); TRUNCATE app.people",
        _ => "INSERT INTO app.ident VALUES (-1, 'to be truncated'); TRUNCATE app.ident",
    }
    .to_owned()
}

/// A statement that is cancelled while it changes many rows, mostly; in a savepoint of the caller's.
pub fn cancelled(rng: &mut StdRng) -> String {
    let after = rng.random_range(2..40);
    format!(
        "SET LOCAL statement_timeout = {after};
         INSERT INTO app.events (at, f4, note)
             SELECT '2026-01-01'::timestamp + make_interval(secs => i), i, 'cancelled'
                 FROM generate_series(1, 30000) AS i"
    )
}

/// A parent with a child, a grandchild and a loose relation; then its keys change or it goes, and
/// foreign keys do the rest. Ids nobody else uses, so that it mostly succeeds.
fn family(rng: &mut StdRng) -> String {
    let (id, to) = (rng.random_range(100..120), rng.random_range(100..120));
    let change = match rng.random_range(0..4) {
        0 => format!("DELETE FROM app.parent WHERE id = {id}"),
        1 => format!("UPDATE app.parent SET id = {to}, code = 'moved {to}' WHERE id = {id}"),
        2 => format!("UPDATE app.parent SET code = 'renamed {to}' WHERE id >= {id} AND id < {id} + 3"),
        _ => format!("UPDATE app.child SET id = {to} + 50 WHERE id = {id}"),
    };
    format!(
        "INSERT INTO app.parent VALUES ({id}, 'code {id}', 'v') ON CONFLICT DO NOTHING;
         INSERT INTO app.child VALUES ({id}, {id}, 'c') ON CONFLICT (id) DO UPDATE SET v = 'again';
         INSERT INTO app.loose VALUES ({id}, 'code {id}') ON CONFLICT DO NOTHING;
         INSERT INTO app.grandchild VALUES ({id}, {id}, {to}) ON CONFLICT DO NOTHING;
         {change}"
    )
}

/// A plpgsql block with exception blocks in it, once and in a loop.
fn block(rng: &mut StdRng, tables: &[Table]) -> String {
    let mut plain = || {
        let table = table(rng, tables);
        match rng.random_range(0..3) {
            0 => insert(rng, table),
            1 => update(rng, table),
            _ => delete(rng, table),
        }
    };
    let statements: Vec<String> = (0..5).map(|_| plain()).collect();
    // Errors nobody expects must not vanish in the block.
    let unexpected =
        format!("IF SQLSTATE NOT IN ('{}') THEN RAISE; END IF;", crate::workload::EXPECTED.join("','"));
    // Now and then more subtransactions than the server keeps at hand for each session.
    let turns = if rng.random_ratio(1, 25) { 70 } else { 4 };
    format!(
        "DO $do$ BEGIN
            BEGIN {0}; {1}; PERFORM 1 / (random() < 0.5)::int;
            EXCEPTION WHEN OTHERS THEN {unexpected} END;
            FOR turn IN 1..{turns} LOOP
                BEGIN
                    {2};
                    BEGIN {3}; IF turn % 2 = 0 THEN RAISE EXCEPTION 'inner'; END IF;
                    EXCEPTION WHEN OTHERS THEN {unexpected} END;
                    IF turn = 3 THEN RAISE EXCEPTION 'outer'; END IF;
                EXCEPTION WHEN OTHERS THEN {unexpected} END;
            END LOOP;
            BEGIN {4}; EXCEPTION WHEN OTHERS THEN {unexpected} END;
        END $do$",
        statements[0], statements[1], statements[2], statements[3], statements[4]
    )
}

fn insert(rng: &mut StdRng, table: &Table) -> String {
    let count = if rng.random_ratio(1, 10) { 40 } else { rng.random_range(1..5) };
    let columns = list(table.columns());
    format!("INSERT INTO {} ({columns}) VALUES {}", table.sql(), rows(rng, table, count))
}

fn update(rng: &mut StdRng, table: &Table) -> String {
    let mut set = Vec::new();
    let first = rng.random_range(0..table.other.len());
    for (i, column) in table.other.iter().enumerate() {
        if i == first || rng.random_ratio(1, 6) {
            set.push(format!("{} = {}", column.sql(), column.value(rng, false)));
        }
    }
    format!("UPDATE {} SET {} WHERE {}", table.sql(), set.join(", "), predicate(rng, table))
}

fn delete(rng: &mut StdRng, table: &Table) -> String {
    format!("DELETE FROM {} WHERE {}", table.sql(), predicate(rng, table))
}

fn upsert(rng: &mut StdRng, table: &Table) -> String {
    let column = any(rng, table.other).sql();
    let only = if rng.random() { "" } else { " WHERE random() < 0.7" };
    format!(
        "INSERT INTO {} AS t ({}) VALUES {} ON CONFLICT ({})
             DO UPDATE SET {column} = EXCLUDED.{column}{only}",
        table.sql(),
        list(table.columns()),
        rows(rng, table, 3),
        list(table.key.iter())
    )
}

fn merge(rng: &mut StdRng, table: &Table) -> String {
    let column = any(rng, table.other).sql();
    let same: Vec<String> = table.key.iter().map(|c| format!("t.{c} = s.{c}", c = c.sql())).collect();
    let values: Vec<String> = table.columns().map(|c| format!("s.{}", c.sql())).collect();
    format!(
        "MERGE INTO {} AS t USING (VALUES {}) AS s ({columns}) ON {}
         WHEN MATCHED AND random() < 0.3 THEN DELETE
         WHEN MATCHED THEN UPDATE SET {column} = s.{column}
         WHEN NOT MATCHED AND random() < 0.9 THEN INSERT ({columns}) VALUES ({})",
        table.sql(),
        rows(rng, table, 3),
        same.join(" AND "),
        values.join(", "),
        columns = list(table.columns()),
    )
}

/// Target, columns and the query whose output is copied in, separated by a character no name has.
fn copy(rng: &mut StdRng, table: &Table) -> String {
    let count = if table.key.is_empty() { rng.random_range(1..30) } else { rng.random_range(1..4) };
    format!("{}\u{1}{}\u{1}VALUES {}", table.sql(), list(table.columns()), rows(rng, table, count))
}

fn rows(rng: &mut StdRng, table: &Table, count: usize) -> String {
    let row = |rng: &mut StdRng| {
        let key: Vec<String> = table.key.iter().map(|column| column.value(rng, true)).collect();
        // In a list of rows a bare NULL takes the type of the others, so it is written with its own.
        let other = table.other.iter().map(|column| match column.value(rng, false) {
            null if null == "NULL" => format!("NULL::{}", column.ty),
            value => value,
        });
        let values: Vec<String> = key.into_iter().chain(other).collect();
        format!("({})", values.join(", "))
    };
    (0..count).map(|_| row(rng)).collect::<Vec<_>>().join(", ")
}

fn predicate(rng: &mut StdRng, table: &Table) -> String {
    match rng.random_range(0..10) {
        0..=4 => one_row(rng, table),
        5 | 6 if !table.key.is_empty() => {
            let column = &table.key[0];
            format!("{} IN ({}, {})", column.sql(), column.value(rng, true), column.value(rng, true))
        }
        9 => "true".to_owned(),
        _ => "random() < 0.15".to_owned(),
    }
}

/// Finds at most one row of a table with a key, a few of one without.
fn one_row(rng: &mut StdRng, table: &Table) -> String {
    if table.key.is_empty() {
        return "random() < 0.1".to_owned();
    }
    let parts: Vec<String> =
        table.key.iter().map(|c| format!("{} = {}", c.sql(), c.value(rng, true))).collect();
    parts.join(" AND ")
}

fn list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(Column::sql).collect::<Vec<_>>().join(", ")
}

/// A random column; every list it is asked of has one.
fn any<'a>(rng: &mut StdRng, columns: &'a [Column]) -> &'a Column {
    &columns[rng.random_range(0..columns.len())]
}

/// A random table that statements write.
fn table<'a>(rng: &mut StdRng, tables: &'a [Table]) -> &'a Table {
    let written: Vec<&Table> = tables.iter().filter(|table| table.written).collect();
    written[rng.random_range(0..written.len())]
}
