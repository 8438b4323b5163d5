//! Looks at a database from outside, before and after an attack: all rows, the structure of what is
//! guarded, and whether it lives: inserts land and are logged, readers see everything, changes are refused.

use std::collections::BTreeMap;

use audit_guard_e2e::Result;
use postgres::Client;

use crate::target::Target;
use crate::world::Place;

const STRUCTURE: &str = include_str!("../../../attacks/structure.sql");

/// Tables whose every row must stay. New rows may come: attacks are logged, too.
const TABLES: &[&str] = &[
    "audit.audit_log",
    "audit.guard_events",
    "audit.guard_policies",
    "audit.holds",
    "audit.hold_releases",
    "audit.denied_attempts",
    "audit.security_events",
    "audit.user_sessions",
    "audit.login_counters",
    "audit.login_networks",
    "audit.login_attempts",
    "vault.records",
    "vault.parts",
];

/// A judge's session depends on nothing that an attacker may have set for the database or the role.
const SETTINGS: &str = "SET search_path = ''; SET TimeZone = 'UTC'; SET DateStyle = 'ISO';
    SET bytea_output = 'hex'; SET enable_indexscan = off; SET enable_bitmapscan = off;
    SET enable_indexonlyscan = off; SET row_security = on; SET client_min_messages = warning;";

/// What a judge saw: facts with how often each.
#[derive(Clone, Default)]
pub(crate) struct Sight {
    facts: BTreeMap<String, u32>,
    rows: BTreeMap<String, u32>,
    at_least: BTreeMap<String, i64>,
}

impl Sight {
    /// Looks at one database. What cannot be looked at any more is a fact as well.
    pub(crate) fn of(place: &Place) -> Self {
        let mut sight = Self::default();
        for (what, looked) in [
            ("structure", sight.structure(place)),
            ("refusals", sight.refusals(place)),
            ("inserts", sight.inserts(place)),
            ("rows", sight.rows_of(place, TABLES)),
        ] {
            if let Err(e) = looked {
                sight.fact(format!("{what} cannot be read: {}", first_line(&e.to_string())));
            }
        }
        sight
    }

    /// What is not as it was; nothing when the attack changed nothing.
    pub(crate) fn damage(&self, before: &Self) -> Vec<String> {
        let mut damage = Vec::new();
        let mut lost: BTreeMap<&str, u32> = BTreeMap::new();
        for (row, times) in &before.rows {
            let now = self.rows.get(row).copied().unwrap_or(0);
            if now < *times {
                *lost.entry(row.split(' ').next().unwrap_or_default()).or_default() += times - now;
            }
        }
        damage.extend(lost.iter().map(|(table, rows)| format!("{rows} rows of {table} changed or gone")));
        for (fact, times) in &before.facts {
            if self.facts.get(fact) != Some(times) {
                damage.push(format!("was: {fact}"));
            }
        }
        for (fact, times) in &self.facts {
            if before.facts.get(fact) != Some(times) {
                damage.push(format!("is: {fact}"));
            }
        }
        for (what, number) in &before.at_least {
            match self.at_least.get(what) {
                Some(now) if now >= number => {}
                now => damage.push(format!("{what} went from {number} to {now:?}")),
            }
        }
        damage
    }

    /// Whether one of the attacked tables still has all its rows.
    pub(crate) fn has_rows(&self, place: &Place<'_>, target: Target) -> bool {
        let mut now = Self::default();
        if now.rows_of(place, &[target.table()]).is_err() {
            return false;
        }
        let mut before = self.rows.iter().filter(|(row, _)| row.split(' ').next() == Some(target.table()));
        before.all(|(row, times)| now.rows.get(row).is_some_and(|now| now >= times))
    }

    fn fact(&mut self, fact: String) {
        *self.facts.entry(fact).or_default() += 1;
    }

    fn structure(&mut self, place: &Place) -> Result<()> {
        let mut client = judge(place)?;
        for row in client.query(STRUCTURE, &[])? {
            let line: String = row.try_get(0)?;
            match line.strip_prefix("at least ").and_then(|rest| rest.rsplit_once(' ')) {
                Some((what, number)) => drop(self.at_least.insert(what.to_owned(), number.parse()?)),
                None => self.fact(line),
            }
        }
        Ok(())
    }

    /// A superuser tries every way to change rows, by the table and by the partition, and takes it back.
    fn refusals(&mut self, place: &Place) -> Result<()> {
        let mut client = judge(place)?;
        for target in [Target::Stream, Target::Plain, Target::Parted] {
            let words = target.words(place.log_leaf());
            let word = |name| words.iter().find(|(n, _)| *n == name).map_or("", |(_, w)| w.as_str());
            let mut names = vec![word("target")];
            if target != Target::Plain {
                names.push(word("leaf"));
            }
            for name in names {
                for statement in [
                    format!("UPDATE {name} SET {0} = {0}", word("text")),
                    format!("DELETE FROM {name} WHERE {} > '2024-01-01'", word("time")),
                    format!("TRUNCATE {name}"),
                ] {
                    client.batch_execute("BEGIN")?;
                    let answer = match client.batch_execute(&statement) {
                        Ok(()) => "passes".to_owned(),
                        Err(e) => code(&e),
                    };
                    client.batch_execute("ROLLBACK")?;
                    self.fact(format!("{statement}: {answer}"));
                }
            }
        }
        for statement in [
            "UPDATE audit.guard_events SET reason = 'x'",
            "UPDATE audit.security_events SET description = 'x'",
            "DELETE FROM audit.security_events",
            "TRUNCATE audit.security_events",
        ] {
            let answer = client.batch_execute(&format!("BEGIN; {statement}"));
            client.batch_execute("ROLLBACK")?;
            self.fact(format!("{statement}: {}", answer.map_or_else(|e| code(&e), |()| "passes".to_owned())));
        }
        Ok(())
    }

    /// An ordinary user writes, and an auditor sees it.
    fn inserts(&mut self, place: &Place) -> Result<()> {
        let mut clerk = place.connect("clerk")?;
        let mut auditor = place.connect("auditor")?;
        auditor.batch_execute("SET search_path = ''")?;
        for table in ["shop.orders", "vault.records", "vault.parts"] {
            let inserted =
                clerk.query_one(&format!("INSERT INTO {table} (note) VALUES ('probe') RETURNING id"), &[]);
            let (fact, id) = match inserted {
                Ok(row) => ("lands".to_owned(), row.try_get::<_, i64>(0)?),
                Err(e) => (format!("fails with {}", code(&e)), 0),
            };
            self.fact(format!("INSERT into {table} {fact}"));
            let seen = if table == "shop.orders" {
                format!(
                    "SELECT count(*) FROM audit.audit_log WHERE table_name = 'orders' AND record_id = '{id}'
                     AND operation::text = 'INSERT' AND new_record ->> 'note' = 'probe'"
                )
            } else {
                format!("SELECT count(*) FROM {table} WHERE id = {id} AND note = 'probe'")
            };
            let seen: i64 = auditor.query_one(&seen, &[])?.try_get(0)?;
            self.fact(format!("the auditor sees the probe of {table} {seen} times"));
        }
        let mut client = judge(place)?;
        for table in ["audit.audit_log", "vault.records", "vault.parts"] {
            let count = format!("SELECT count(*) FROM {table}");
            let all: i64 = client.query_one(&count, &[])?.try_get(0)?;
            let seen: i64 = auditor.query_one(&count, &[])?.try_get(0)?;
            let sees = if all == seen { "everything" } else { "less" };
            self.fact(format!("the auditor sees {sees} of {table}"));
        }
        Ok(())
    }

    fn rows_of(&mut self, place: &Place, tables: &[&str]) -> Result<()> {
        let mut client = judge(place)?;
        for table in tables {
            let query = format!("SELECT t.tableoid::text || ' ' || md5(to_jsonb(t)::text) FROM {table} t");
            for row in client.query(&query, &[])? {
                let row: String = row.try_get(0)?;
                *self.rows.entry(format!("{table} {row}")).or_default() += 1;
            }
        }
        Ok(())
    }

    /// For a first look: what an intact database must show, so that an attack has something to break.
    pub(crate) fn lacks(&self, guarded: bool) -> Vec<String> {
        let mut lacks = Vec::new();
        for table in TABLES.iter().filter(|t| ["audit.audit_log", "vault.records", "vault.parts"].contains(t))
        {
            let rows = self.rows.keys().filter(|row| row.starts_with(table)).count();
            if rows < 90 {
                lacks.push(format!("{table} has {rows} rows"));
            }
        }
        for fact in self.facts.keys() {
            let (refused, passes) = (fact.ends_with(": 23001"), fact.ends_with(": passes"));
            if fact.contains("cannot be read")
                || fact.contains(" fails with ")
                || fact.contains("the auditor sees less")
                || fact.ends_with(" 0 times")
                || (guarded && passes)
                || (!guarded && refused)
            {
                lacks.push(fact.clone());
            }
        }
        lacks
    }
}

fn judge(place: &Place) -> Result<Client> {
    let mut client = place.connect("postgres")?;
    client.batch_execute(SETTINGS)?;
    Ok(client)
}

fn code(error: &postgres::Error) -> String {
    error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())
}

pub(crate) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
