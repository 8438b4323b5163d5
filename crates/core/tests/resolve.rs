//! Which columns a hidden column's reference means after a table was altered.

use audit_guard_core::options::{ColumnRef, GONE, LiveColumn, Resolved, resolve, resolve_one};
use proptest::prelude::*;

const TABLE: u32 = 16_385;
const OTHER: u32 = 99;

/// A table as the catalogue keeps it: numbers are given once, a drop leaves its number behind.
#[derive(Debug, Clone)]
struct Table {
    columns: Vec<(String, bool)>,
}

impl Table {
    fn new(names: &[&str]) -> Self {
        Self { columns: names.iter().map(|name| ((*name).to_owned(), false)).collect() }
    }

    fn add(&mut self, name: &str) {
        if self.live(name).is_none() {
            self.columns.push((name.to_owned(), false));
        }
    }

    fn drop(&mut self, name: &str) {
        if let Some(index) = self.live(name) {
            self.columns[index] = (format!("........pg.dropped.{}........", index + 1), true);
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        if let (Some(index), None) = (self.live(from), self.live(to)) {
            self.columns[index].0 = to.to_owned();
        }
    }

    /// Swaps two names by way of a third, as three renames do.
    fn swap(&mut self, a: &str, b: &str) {
        if a != b && self.live(a).is_some() && self.live(b).is_some() {
            self.rename(a, "spare");
            self.rename(b, a);
            self.rename("spare", b);
        }
    }

    fn live(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(have, dropped)| have == name && !dropped)
    }

    fn attnum(&self, name: &str) -> Option<i16> {
        self.live(name).map(number)
    }

    fn view(&self) -> Vec<LiveColumn<'_>> {
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(index, (name, dropped))| LiveColumn { attnum: number(index), name, dropped: *dropped })
            .collect()
    }

    /// The reference that enabling tracking writes for a column.
    fn reference(&self, name: &str) -> ColumnRef {
        ColumnRef { name: name.to_owned(), attnum: self.attnum(name), relid: Some(TABLE) }
    }

    fn resolve(&self, wanted: &ColumnRef) -> Resolved {
        resolve(std::slice::from_ref(wanted), &self.view(), TABLE)
    }
}

fn number(index: usize) -> i16 {
    i16::try_from(index + 1).unwrap_or(i16::MAX)
}

fn found(attnums: &[i16]) -> Resolved {
    Resolved { attnums: attnums.to_vec(), unresolved: vec![] }
}

fn lost(names: &[&str]) -> Resolved {
    Resolved { attnums: vec![], unresolved: names.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn an_unaltered_table() {
    let table = Table::new(&["id", "a", "b"]);
    let refs = [table.reference("b"), table.reference("a"), table.reference("b")];
    assert_eq!(resolve(&refs, &table.view(), TABLE), found(&[2, 3]));
    assert_eq!(resolve(&[], &table.view(), TABLE), Resolved::default());
}

#[test]
fn a_renamed_column_stays_hidden() {
    let mut table = Table::new(&["id", "a"]);
    let hidden = table.reference("a");
    table.rename("a", "z");
    assert_eq!(table.resolve(&hidden), found(&[2]));
    assert_eq!(resolve_one(&hidden, &table.view(), TABLE), Some(2));
}

#[test]
fn a_column_dropped_and_added_again_stays_hidden() {
    let mut table = Table::new(&["id", "a"]);
    let hidden = table.reference("a");
    table.drop("a");
    assert_eq!(table.resolve(&hidden), found(&[]), "gone, and nothing to worry about");
    assert_eq!(resolve_one(&hidden, &table.view(), TABLE), None);
    table.add("a");
    assert_eq!(table.resolve(&hidden), found(&[3]));
    assert_eq!(resolve_one(&hidden, &table.view(), TABLE), Some(3));
}

#[test]
fn columns_that_swap_names_are_both_hidden() {
    let mut table = Table::new(&["id", "secret", "harmless"]);
    let hidden = table.reference("secret");
    table.swap("secret", "harmless");
    assert_eq!(table.resolve(&hidden), found(&[2, 3]));
    assert_eq!(resolve_one(&hidden, &table.view(), TABLE), Some(2), "the tenant follows its column");
}

#[test]
fn after_a_restore_only_names_count() {
    let mut table = Table::new(&["id", "a", "b"]);
    let hidden = ColumnRef { name: "a".to_owned(), attnum: Some(3), relid: Some(OTHER) };
    assert_eq!(table.resolve(&hidden), found(&[2]));
    assert_eq!(resolve_one(&hidden, &table.view(), TABLE), Some(2));
    table.rename("a", "z");
    assert_eq!(table.resolve(&hidden), lost(&["a"]));
    table.drop("b");
    assert_eq!(table.resolve(&hidden), lost(&["a"]), "the number of another table proves no drop");
    assert_eq!(resolve_one(&hidden, &table.view(), TABLE), None);
}

#[test]
fn a_name_that_was_never_there_is_unresolved() {
    let table = Table::new(&["id"]);
    assert_eq!(table.resolve(&ColumnRef::named("a")), lost(&["a"]));
    let beyond = ColumnRef { name: "a".to_owned(), attnum: Some(7), relid: Some(TABLE) };
    assert_eq!(table.resolve(&beyond), lost(&["a"]));
    let numberless = ColumnRef { name: "a".to_owned(), attnum: None, relid: Some(TABLE) };
    assert_eq!(table.resolve(&numberless), lost(&["a"]));
}

#[test]
fn one_lost_column_does_not_lose_the_others() {
    let table = Table::new(&["id", "a"]);
    let refs = [ColumnRef::named("y"), table.reference("a"), ColumnRef::named("x")];
    let resolved = resolve(&refs, &table.view(), TABLE);
    assert_eq!(resolved.attnums, [2]);
    assert_eq!(resolved.unresolved, ["y", "x"]);
}

#[test]
fn the_name_of_a_dropped_column_means_nothing() {
    let mut table = Table::new(&["id", "a"]);
    table.drop("a");
    assert_eq!(
        table.resolve(&ColumnRef::named("........pg.dropped.2........")),
        lost(&["........pg.dropped.2........"])
    );
}

#[derive(Debug, Clone)]
enum Alter {
    Add(String),
    Drop(String),
    Rename(String, String),
    Swap(String, String),
}

fn column_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["id", "a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn alter() -> impl Strategy<Value = Alter> {
    prop_oneof![
        column_name().prop_map(Alter::Add),
        column_name().prop_map(Alter::Drop),
        (column_name(), column_name()).prop_map(|(from, to)| Alter::Rename(from, to)),
        (column_name(), column_name()).prop_map(|(a, b)| Alter::Swap(a, b)),
    ]
}

proptest! {
    /// Whatever is done to the table, neither the column that was hidden nor one of its name comes to light.
    #[test]
    fn a_hidden_column_is_never_lost(
        hidden in prop::sample::subsequence(vec!["id", "a", "b", "c"], 0..4),
        alters in prop::collection::vec(alter(), 0..12),
    ) {
        let mut table = Table::new(&["id", "a", "b", "c"]);
        let refs: Vec<ColumnRef> = hidden.iter().map(|name| table.reference(name)).collect();
        for alter in &alters {
            match alter {
                Alter::Add(name) => table.add(name),
                Alter::Drop(name) => table.drop(name),
                Alter::Rename(from, to) => table.rename(from, to),
                Alter::Swap(a, b) => table.swap(a, b),
            }
            let resolved = resolve(&refs, &table.view(), TABLE);
            prop_assert_eq!(&resolved.unresolved, &Vec::<String>::new());
            let mut expected = vec![];
            for wanted in &refs {
                let attnum = wanted.attnum.unwrap_or_default();
                let index = usize::try_from(attnum - 1).unwrap_or_default();
                if !table.columns[index].1 {
                    expected.push(attnum);
                }
                expected.extend(table.attnum(&wanted.name));
            }
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(resolved.attnums, expected);
        }
    }

    /// Every reference is accounted for: it finds a live column, or is known to be gone, or is reported.
    #[test]
    fn nothing_is_dropped_silently(
        columns in prop::collection::vec(("[a-c]", any::<bool>()), 0..6),
        refs in prop::collection::vec(
            ("[a-d]", prop::option::of(0_i16..8), prop::option::of(0_u32..3)), 0..5),
        relid in 0_u32..3,
    ) {
        let table = Table { columns };
        let view = table.view();
        let refs: Vec<ColumnRef> =
            refs.into_iter().map(|(name, attnum, relid)| ColumnRef { name, attnum, relid }).collect();
        let resolved = resolve(&refs, &view, relid);
        for wanted in &refs {
            let by_name = view.iter().any(|c| !c.dropped && c.name == wanted.name);
            let same_table = wanted.relid == Some(relid);
            let numbered = view.iter().find(|c| same_table && wanted.attnum == Some(c.attnum));
            let reported = resolved.unresolved.contains(&wanted.name);
            let known_gone = wanted.attnum == Some(GONE);
            if by_name {
                prop_assert!(!reported);
            } else if numbered.is_none() && !known_gone {
                prop_assert!(reported);
            }
            if let Some(column) = numbered.filter(|c| !c.dropped) {
                prop_assert!(resolved.attnums.contains(&column.attnum));
            }
            let one = resolve_one(wanted, &view, relid);
            prop_assert_eq!(one.is_some(), by_name || numbered.is_some_and(|c| !c.dropped));
            prop_assert!(one.is_none_or(|attnum| resolved.attnums.contains(&attnum)));
        }
        for attnum in resolved.attnums {
            prop_assert!(view.iter().any(|c| c.attnum == attnum && !c.dropped));
        }
    }
}
