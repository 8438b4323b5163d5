//! What is attacked and who attacks, and the names that stand for them in the scripts.

use audit_guard_e2e::Result;

/// The kinds of table that are attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// audit.audit_log with the changes of a tracked table.
    Stream,
    /// A protected table of a user.
    Plain,
    /// The same with partitions of two levels.
    Parted,
}

impl Target {
    pub(crate) fn named(word: &str) -> Result<Self> {
        match word {
            "stream" => Ok(Self::Stream),
            "plain" => Ok(Self::Plain),
            "parted" => Ok(Self::Parted),
            _ => Err(format!("no target {word}").into()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Plain => "plain",
            Self::Parted => "parted",
        }
    }

    /// The name of the table.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Stream => "audit.audit_log",
            Self::Plain => "vault.records",
            Self::Parted => "vault.parts",
        }
    }

    pub(crate) fn owner(self) -> &'static str {
        if self == Self::Stream { "audit_owner" } else { "vault_owner" }
    }

    /// What the words in braces of a script stand for; `leaf` is the partition of the log of now.
    pub(crate) fn words(self, log_leaf: &str) -> Vec<(&'static str, String)> {
        let table = self.table();
        let (schema, name) = table.split_once('.').unwrap_or_default();
        let (leaf, leaf_index) = match self {
            Self::Stream => (log_leaf, format!("{log_leaf}_pkey")),
            Self::Plain => (table, format!("{table}_pkey")),
            Self::Parted => ("vault.parts_now_letter", "vault.parts_now_letter_pkey".to_owned()),
        };
        let of = |stream: &str, user: &str| (if self == Self::Stream { stream } else { user }).to_owned();
        let (parent, keyed, key) = match self {
            Self::Stream => (table, leaf, leaf_index.rsplit('.').next().unwrap_or_default()),
            Self::Plain => (table, table, "records_pkey"),
            Self::Parted => ("vault.parts_now", table, "parts_pkey"),
        };
        let log_columns = "id, logged_at, transaction_id, operation, table_schema, table_name, record_id, \
                           new_record, actor_role, login_role";
        vec![
            ("target", table.to_owned()),
            ("schema", schema.to_owned()),
            ("table", name.to_owned()),
            ("leaf", leaf.to_owned()),
            ("leaf_table", leaf.rsplit('.').next().unwrap_or_default().to_owned()),
            ("leaf_index_name", leaf_index.rsplit('.').next().unwrap_or_default().to_owned()),
            ("owner", self.owner().to_owned()),
            ("time", of("logged_at", "created_at")),
            ("text", of("record_id", "note")),
            ("columns", of(log_columns, "id, created_at, kind, note, amount")),
            (
                "conflict",
                if self == Self::Plain {
                    "id".to_owned()
                } else {
                    of("transaction_id, id", "id, created_at, kind")
                },
            ),
            ("parent", parent.to_owned()),
            ("keyed", keyed.to_owned()),
            ("key_constraint", key.to_owned()),
            ("reference", of("transaction_id", "id")),
            ("free", of("redaction", "note")),
            ("free_type", of("bytea", "text")),
            ("free_value", of("'\\x00'", "'forged'")),
            ("wider_type", of("text USING encode(redaction, 'hex')", "varchar")),
            ("other", of("old_record_id", "kind")),
            (
                "row_trigger",
                if self == Self::Stream { "immutable_row".to_owned() } else { format!("protect_{name}") },
            ),
            (
                "statement_trigger",
                if self == Self::Stream {
                    "immutable_statement".to_owned()
                } else {
                    format!("protect_{name}_truncate")
                },
            ),
            ("function", of("audit.prevent_modification", "audit.enforce_retention")),
            (
                "sequence",
                if self == Self::Stream {
                    "audit.audit_log_id_seq".to_owned()
                } else {
                    format!("{table}_id_seq")
                },
            ),
            ("enum", of("audit.operation", "vault.kind")),
            ("label", of("INSERT", "letter")),
            (
                "insert",
                of(
                    "INSERT INTO shop.orders (note) VALUES ('more')",
                    &format!("INSERT INTO {table} (note) VALUES ('more')"),
                ),
            ),
        ]
    }
}

/// Those who attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A role that may write everywhere where rights to write can be given.
    Plain,
    /// The owner of the table.
    Owner,
    Superuser,
    /// The worker that applies what another database publishes; the script runs there.
    Apply,
    /// Whoever has the account of the server in the operating system.
    Os,
}

impl Who {
    pub(crate) fn named(word: &str) -> Result<Self> {
        match word {
            "plain role" => Ok(Self::Plain),
            "owner" => Ok(Self::Owner),
            "superuser" => Ok(Self::Superuser),
            "apply worker" => Ok(Self::Apply),
            "OS account" => Ok(Self::Os),
            _ => Err(format!("nobody is called {word}").into()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain role",
            Self::Owner => "owner",
            Self::Superuser => "superuser",
            Self::Apply => "apply worker",
            Self::Os => "OS account",
        }
    }
}
