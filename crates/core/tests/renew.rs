//! Options that follow their table: whatever is renamed, dropped, added or restored, a secret stays hidden.

use audit_guard_core::options::{ColumnRef, GONE, LiveColumn, Rename, TrackingOptions, resolve};
use proptest::prelude::*;

const TABLE: u32 = 16_385;

fn live(names: &[&'static str]) -> Vec<LiveColumn<'static>> {
    let number = |index| i16::try_from(index + 1).unwrap_or(i16::MAX);
    names
        .iter()
        .enumerate()
        .map(|(index, name)| LiveColumn { attnum: number(index), name, dropped: name.is_empty() })
        .collect()
}

fn excluding(refs: &[&str]) -> TrackingOptions {
    TrackingOptions {
        exclude: refs.iter().map(|text| ColumnRef::parse(text)).collect(),
        ..Default::default()
    }
}

fn renewed(refs: &[&str], columns: &[&'static str], rename: Option<(&str, &str)>) -> Vec<String> {
    let rename = rename.map(|(from, to)| Rename { from, to });
    let options = excluding(refs).renewed(&live(columns), TABLE, rename);
    options.exclude.iter().map(ToString::to_string).collect()
}

#[test]
fn a_rename_is_followed_and_the_old_name_stays_hidden() {
    let expected = ["token#2@16385", "secret#0@16385"];
    assert_eq!(renewed(&["secret#2@16385"], &["id", "token"], Some(("secret", "token"))), expected);
    // Without being told: the number says it.
    assert_eq!(renewed(&["secret#2@16385"], &["id", "token"], None), expected);
    // By name alone, or with the number of another table, as after a restore: the rename says it.
    assert_eq!(renewed(&["secret"], &["id", "token"], Some(("secret", "token"))), expected);
    assert_eq!(renewed(&["secret#7@99"], &["id", "token"], Some(("secret", "token"))), expected);
}

#[test]
fn what_cannot_be_found_stays_as_it_is() {
    assert_eq!(renewed(&["secret#7@99"], &["id", "token"], None), ["secret#7@99"]);
    assert_eq!(renewed(&["secret"], &["id", "token"], Some(("id", "token"))), ["secret"]);
}

#[test]
fn a_dropped_column_leaves_its_name() {
    assert_eq!(renewed(&["secret#2@16385"], &["id", ""], None), ["secret#0@16385"]);
    assert_eq!(renewed(&["secret#0@99"], &["id", ""], None), ["secret#0@16385"]);
    // Added again: it has a number, so that a rename of it is followed, too.
    assert_eq!(renewed(&["secret#0@16385"], &["id", "", "secret"], None), ["secret#3@16385"]);
}

#[test]
fn swapped_columns_are_both_hidden() {
    assert_eq!(
        renewed(&["secret#2@16385"], &["id", "other", "secret"], None),
        ["other#2@16385", "secret#3@16385"]
    );
}

#[test]
fn numbers_are_renewed_after_a_restore() {
    assert_eq!(renewed(&["secret#3@99"], &["id", "secret"], None), ["secret#2@16385"]);
}

#[test]
fn the_tenant_is_one_column() {
    let options = TrackingOptions { tenant: Some(ColumnRef::parse("org#2@99")), ..Default::default() };
    let renewed = options.renewed(&live(&["id", "team"]), TABLE, Some(Rename { from: "org", to: "team" }));
    assert_eq!(renewed.tenant, Some(ColumnRef::parse("team#2@16385")));
    let unknown = options.renewed(&live(&["id", "team"]), TABLE, None);
    assert_eq!(unknown.tenant, options.tenant);
}

#[test]
fn a_name_that_is_known_to_be_gone_is_never_missed() {
    let gone = ColumnRef { name: "secret".into(), attnum: Some(GONE), relid: Some(99) };
    assert!(resolve(std::slice::from_ref(&gone), &live(&["id"]), TABLE).unresolved.is_empty());
    assert_eq!(resolve(&[gone], &live(&["id", "secret"]), TABLE).attnums, [2]);
}

/// A table as the server keeps it; `secret` says which columns hold what must never be seen.
#[derive(Debug, Clone)]
struct Table {
    columns: Vec<(&'static str, bool)>,
    relid: u32,
}

#[derive(Debug, Clone)]
enum Step {
    Rename(usize, &'static str),
    Drop(usize),
    /// A new column of this name, filled with what the secret column held when it has the secret's first name.
    Add(&'static str),
    Restore,
}

const NAMES: [&str; 5] = ["secret", "a", "b", "c", "d"];

fn step() -> impl Strategy<Value = Step> {
    let name = || proptest::sample::select(&NAMES[..]);
    prop_oneof![
        4 => (0usize..8, name()).prop_map(|(column, to)| Step::Rename(column, to)),
        2 => (0usize..8).prop_map(Step::Drop),
        2 => name().prop_map(Step::Add),
        1 => Just(Step::Restore),
    ]
}

impl Table {
    fn view(&self) -> Vec<LiveColumn<'static>> {
        live(&self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>())
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(have, _)| *have == name)
    }

    /// Takes the step, if it is possible, and tells of a rename.
    fn take(&mut self, step: &Step) -> Option<(&'static str, &'static str)> {
        match *step {
            Step::Rename(column, to) => {
                let from = self.columns.get(column)?.0;
                if from.is_empty() || self.has(to) {
                    return None;
                }
                self.columns[column].0 = to;
                return Some((from, to));
            }
            Step::Drop(column) => {
                if let Some(column) = self.columns.get_mut(column) {
                    *column = ("", false);
                }
            }
            Step::Add(name) => {
                if !self.has(name) && self.columns.len() < 8 {
                    self.columns.push((name, name == "secret"));
                }
            }
            Step::Restore => {
                self.columns.retain(|(name, _)| !name.is_empty());
                self.relid += 1;
            }
        }
        None
    }
}

proptest! {
    /// Whatever happens, as long as the options are renewed after each step: the columns that held the secret,
    /// and those added under its name, are hidden, and nothing counts as lost.
    #[test]
    fn a_secret_stays_hidden(steps in proptest::collection::vec(step(), 0..24)) {
        let mut table = Table { columns: vec![("id", false), ("secret", true), ("other", false)], relid: TABLE };
        let mut options = excluding(&["secret#2@16385"]);
        for step in &steps {
            let rename = table.take(step).map(|(from, to)| Rename { from, to });
            options = options.renewed(&table.view(), table.relid, rename);
            let hidden = resolve(&options.exclude, &table.view(), table.relid);
            prop_assert!(hidden.unresolved.is_empty(), "{:?} lost after {:?}", hidden.unresolved, step);
            for (column, (_, secret)) in table.view().iter().zip(&table.columns) {
                if *secret && !column.dropped {
                    prop_assert!(hidden.attnums.contains(&column.attnum), "{} shown: {:?}", column.name, options);
                }
            }
            let args = options.to_args();
            prop_assert_eq!(TrackingOptions::parse(args.iter().map(String::as_str)), Ok(options.clone()));
        }
    }
}
