//! The tables of `sql/workload.sql`, as the generator and the judges need to know them.

use rand::Rng as _;
use rand::rngs::StdRng;

use crate::values::{identifier, literal, quoted};

/// The tables and triggers of the workload.
pub const WORKLOAD: &str = include_str!("../sql/workload.sql");
/// The independent writer the extension is compared with.
pub const REFERENCE: &str = include_str!("../sql/reference.sql");

/// A column a statement may write.
#[derive(Clone, Debug)]
pub struct Column {
    /// Unquoted name.
    pub name: &'static str,
    /// Its type, as SQL.
    pub ty: &'static str,
    /// How many different values it gets; 0 is any value of the type.
    pub pool: u32,
}

/// A table of the workload, with what `reference.track` was told about it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Schema, unquoted.
    pub schema: &'static str,
    /// Name, unquoted.
    pub name: &'static str,
    /// The columns that name a row, in the order of the key; empty without a key.
    pub key: &'static [Column],
    /// The other columns that statements write.
    pub other: &'static [Column],
    /// Columns absent from the log.
    pub exclude: &'static [&'static str],
    /// Columns that are null in the log.
    pub mask: &'static [&'static str],
    /// Whether statements write it; otherwise only triggers do.
    pub written: bool,
}

const fn column(name: &'static str, ty: &'static str) -> Column {
    Column { name, ty, pool: 0 }
}

const fn key(name: &'static str, ty: &'static str, pool: u32) -> Column {
    Column { name, ty, pool }
}

const TABLE: Table =
    Table { schema: "app", name: "", key: &[], other: &[], exclude: &[], mask: &[], written: true };

/// All tracked tables of the workload.
pub const TABLES: &[Table] = &[
    Table {
        name: "people",
        key: &[key("id", "int4", 60)],
        other: &[
            column("name", "text"),
            column("secret", "text"),
            column("last_seen", "timestamptz"),
            column("balance", "numeric"),
            column("tags", "text[]"),
            column("attrs", "jsonb"),
            key("community_id", "int4", 3),
            column("photo", "bytea"),
        ],
        exclude: &["last_seen"],
        mask: &["secret"],
        ..TABLE
    },
    Table {
        schema: "Sales Dept",
        name: "Order \"Lines\" of a very long name, 63 bytes in all, or so éé!",
        key: &[key("Order No", "int4", 9), key("prod.code", "text", 5)],
        other: &[
            column("price", "float8"),
            column("valid", "tstzrange"),
            column("ключ", "interval"),
            column("address", "app.address"),
        ],
        ..TABLE
    },
    Table {
        name: "docs",
        key: &[key("id", "uuid", 30)],
        other: &[
            column("body", "json"),
            column("meta", "jsonb"),
            column("kind", "app.kind"),
            column("share", "app.percent"),
            column("at", "date"),
            column("At", "timetz"),
        ],
        mask: &["meta"],
        ..TABLE
    },
    Table {
        name: "events",
        other: &[
            column("kind", "app.kind"),
            column("at", "timestamp"),
            column("f4", "float4"),
            key("code", "char(5)", 5),
            column("flags", "varbit"),
            column("who", "inet"),
            column("note", "text"),
        ],
        ..TABLE
    },
    Table {
        name: "ident",
        key: &[key("b", "text", 6), key("a", "int4", 6)],
        other: &[column("v", "text"), column("moment", "timestamptz")],
        ..TABLE
    },
    Table {
        name: "stamped",
        key: &[key("at", "timestamptz", 6), key("raw", "bytea", 6)],
        other: &[column("v", "text"), column("period", "daterange"), column("n", "numeric")],
        ..TABLE
    },
    Table {
        name: "stock",
        key: &[key("region", "region", 5), key("id", "int4", 8), key("level", "int4", 9)],
        other: &[column("amount", "numeric"), column("hidden", "text"), column("note", "text")],
        exclude: &["note"],
        mask: &["hidden"],
        ..TABLE
    },
    Table {
        name: "parent",
        key: &[key("id", "int4", 25)],
        other: &[key("code", "text", 40), column("v", "text")],
        ..TABLE
    },
    Table {
        name: "child",
        key: &[key("id", "int4", 30)],
        other: &[key("parent_id", "int4", 25), column("v", "text")],
        ..TABLE
    },
    Table {
        name: "loose",
        key: &[key("id", "int4", 30)],
        other: &[key("code", "text", 40), column("v", "jsonb")],
        ..TABLE
    },
    Table {
        name: "grandchild",
        key: &[key("id", "int4", 30)],
        other: &[key("child_id", "int4", 30), column("v", "int4")],
        ..TABLE
    },
    Table { name: "totals", key: &[key("community", "int4", 3)], written: false, ..TABLE },
    Table { name: "journal", written: false, ..TABLE },
];

impl Table {
    /// Its name as SQL, quoted.
    pub fn sql(&self) -> String {
        format!("{}.{}", identifier(self.schema), identifier(self.name))
    }

    /// Every column that statements write.
    pub fn columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        self.key.iter().chain(self.other)
    }
}

impl Column {
    /// Its name as SQL, quoted.
    pub fn sql(&self) -> String {
        identifier(self.name)
    }

    /// A random value as an SQL expression; columns with a pool are rarely, others sometimes NULL.
    pub fn value(&self, rng: &mut StdRng, key: bool) -> String {
        if !key && rng.random_ratio(1, 8) {
            return "NULL".to_owned();
        }
        if self.pool == 0 {
            return match self.ty {
                "app.kind" => {
                    ["'a kind'", "'Ünkind'", "'other'"][rng.random_range(0..3)].to_owned() + "::app.kind"
                }
                "app.address" => format!(
                    "ROW({}, {}, {})::app.address",
                    literal(rng, "text"),
                    literal(rng, "timestamptz"),
                    literal(rng, "int4[]")
                ),
                "app.percent" => {
                    format!("'{}.{}'::app.percent", rng.random_range(-99..99), rng.random_range(0..999))
                }
                ty => literal(rng, ty),
            };
        }
        let n = rng.random_range(0..self.pool);
        match self.ty {
            "int4" => n.to_string(),
            "text" => quoted(&format!("key \"{n}\" \\ é")),
            "char(5)" => quoted(&format!("c{n}")),
            "uuid" => format!("'{n:032x}'::uuid"),
            "timestamptz" => format!("'2026-03-29 0{n}:30:00+00'::timestamptz"),
            "bytea" => format!("'\\x0{n}5cff'::bytea"),
            "region" => quoted(["eu", "us", "asia", "africa", "pole"][n as usize % 5]),
            ty => format!("'no pool of values'::{ty}"),
        }
    }
}
