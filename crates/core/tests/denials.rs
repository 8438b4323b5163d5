//! Refused attempts on their way: whatever happens in whatever order, each is handed out once or counted.

use std::collections::BTreeMap;

use audit_guard_core::denials::{Attempt, Entry, Header, Ring, Waiting};
use proptest::collection::vec;
use proptest::prelude::*;

struct Memory {
    header: Header,
    free: Vec<u32>,
    entries: Vec<Entry>,
    latest: Vec<Entry>,
}

impl Memory {
    /// As a server hands it out: any bits at first.
    fn new(places: usize, latest: usize) -> Self {
        let rubbish = Entry::new(&attempt(9, 9));
        let mut memory = Self {
            header: Header::default(),
            free: vec![7; places],
            entries: vec![rubbish; places],
            latest: vec![rubbish; latest],
        };
        memory.ring().clear();
        memory
    }

    fn ring(&mut self) -> Ring<'_> {
        Ring {
            header: &mut self.header,
            free: &mut self.free,
            entries: &mut self.entries,
            latest: &mut self.latest,
        }
    }

    fn push(&mut self, database: u32, number: i64) {
        self.ring().push(Entry::new(&attempt(database, number)));
    }

    /// Takes out what waits for a database, at most `limit`.
    fn take(&mut self, database: u32, limit: usize) -> Vec<Waiting> {
        let pending = self.ring().pending(database, limit);
        let places: Vec<u32> = pending.iter().map(|(place, _)| *place).collect();
        self.ring().release(&places);
        pending.into_iter().map(|(_, waiting)| waiting).collect()
    }
}

fn attempt(database: u32, number: i64) -> Attempt {
    Attempt {
        database,
        attempted_at: number,
        layer: "trigger".to_owned(),
        command: "UPDATE".to_owned(),
        object: "audit.audit_log".to_owned(),
        actor_role: "pat".to_owned(),
        login_role: "app".to_owned(),
        ..Attempt::default()
    }
}

fn numbers(all: &[Waiting]) -> Vec<(i64, u64)> {
    all.iter().map(|waiting| (waiting.attempt.attempted_at, waiting.lost_before)).collect()
}

#[test]
fn comes_out_as_it_went_in() {
    let mut memory = Memory::new(4, 2);
    let whole = Attempt {
        object: "app.\"Ünï \"\"q\"\" t\"".to_owned(),
        actor_id: "Zoë".to_owned(),
        client_ip: "2001:db8::1".to_owned(),
        application_name: "e2e".to_owned(),
        ..attempt(5, 42)
    };
    memory.ring().push(Entry::new(&whole));
    let all = memory.take(5, 10);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].attempt, whole);
    assert_eq!((all[0].lost_before, all[0].written_by), (0, None));
    assert!(memory.take(5, 10).is_empty());
}

#[test]
fn long_texts_are_shortened_visibly() {
    let long = Attempt {
        command: "C".repeat(1000),
        object: "ü".repeat(1000),
        actor_id: "a\0b".to_owned(),
        actor_role: "r".repeat(63),
        client_ip: "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128".to_owned(),
        ..attempt(1, 1)
    };
    let mut memory = Memory::new(1, 1);
    memory.ring().push(Entry::new(&long));
    let kept = memory.take(1, 1).remove(0).attempt;
    assert_eq!(kept.command, "C".repeat(61) + "…");
    assert!(kept.object.ends_with("ü…") && kept.object.len() > 280, "{}", kept.object);
    assert_eq!(kept.actor_id, "a b");
    assert_eq!((kept.actor_role, kept.client_ip), (long.actor_role, long.client_ip));
}

#[test]
fn what_finds_no_place_is_counted_at_once() {
    let mut memory = Memory::new(2, 1);
    for number in 1..=5 {
        memory.push(1, number);
    }
    // The last one has a place of its own and says how many it displaced.
    assert_eq!(numbers(&memory.ring().all()), [(1, 0), (2, 0), (5, 2)]);
    // A second database finds not even that; the first that moves up counts its attempts.
    memory.push(2, 6);
    memory.push(2, 7);
    assert_eq!(numbers(&memory.take(1, 1)), [(1, 2)]);
    memory.push(2, 8);
    assert_eq!(numbers(&memory.take(1, 9)), [(2, 0), (5, 2)]);
    assert_eq!(numbers(&memory.take(2, 9)), [(8, 0)]);
    assert!(memory.ring().databases().is_empty());
}

/// Whoever writes the attempts of one database may be held up for long.
#[test]
fn a_full_ring_is_no_obstacle_for_others() {
    let mut memory = Memory::new(2, 2);
    for number in 1..=9 {
        memory.push(1, number);
    }
    memory.push(2, 10);
    let held_up = memory.ring().pending(1, 9);
    assert_eq!(held_up.len(), 3);
    assert_eq!(numbers(&memory.take(2, 9)), [(10, 0)]);
    // What is being written is not displaced any more.
    memory.push(1, 11);
    memory.push(1, 12);
    let places: Vec<u32> = held_up.iter().map(|(place, _)| *place).collect();
    memory.ring().mark(&places, 5);
    memory.ring().release(&places);
    assert_eq!(numbers(&memory.take(1, 9)), [(12, 1)]);
}

#[test]
fn databases_do_not_wait_for_each_other() {
    let mut memory = Memory::new(4, 2);
    for number in 1..=4 {
        memory.push(u32::from(number % 2 == 0) + 1, number);
    }
    assert_eq!(memory.ring().databases(), BTreeMap::from([(1, 1), (2, 2)]));
    assert_eq!(numbers(&memory.take(2, 9)), [(2, 0), (4, 0)]);
    memory.push(2, 5);
    assert_eq!(memory.ring().databases(), BTreeMap::from([(1, 1), (2, 5)]));
    assert_eq!(memory.ring().give_up(1), 2);
    assert_eq!(numbers(&memory.take(2, 9)), [(5, 0)]);
}

#[test]
fn giving_up_counts_the_lost_ones() {
    let mut memory = Memory::new(2, 2);
    for number in 1..=10 {
        memory.push(1, number);
    }
    memory.push(2, 11);
    assert_eq!(memory.ring().give_up(1), 10);
    assert_eq!(numbers(&memory.take(2, 9)), [(11, 0)]);
}

#[test]
fn who_writes_it_is_remembered() {
    let mut memory = Memory::new(2, 1);
    memory.push(1, 1);
    memory.push(1, 2);
    let pending = memory.ring().pending(1, 1);
    memory.ring().mark(&[pending[0].0], 77);
    let saved = memory.ring().all();
    assert_eq!(saved.iter().map(|waiting| waiting.written_by).collect::<Vec<_>>(), [Some(77), None]);
    let mut after = Memory::new(2, 1);
    after.ring().refill(&saved);
    assert_eq!(after.ring().all(), saved);
    after.push(1, 3);
    assert_eq!(numbers(&after.ring().all()), [(1, 0), (2, 0), (3, 0)]);
}

#[derive(Clone, Debug)]
enum Step {
    Push(u32),
    Take(u32, usize),
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u32..4).prop_map(Step::Push),
        2 => (1u32..4, 1usize..5).prop_map(|(database, limit)| Step::Take(database, limit)),
        1 => (1usize..6).prop_map(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_or_doubled(places in 1usize..6, latest in 1usize..3, steps in vec(step(), 0..200)) {
        let mut memory = Memory::new(places, latest);
        let mut pushed = 0;
        let mut taken: Vec<Waiting> = Vec::new();
        for step in steps {
            match step {
                Step::Push(database) => {
                    pushed += 1;
                    memory.push(database, pushed);
                }
                Step::Take(database, limit) => taken.extend(memory.take(database, limit)),
                Step::Restart(places) => {
                    let saved = memory.ring().all();
                    memory = Memory::new(places, latest);
                    memory.ring().refill(&saved);
                }
            }
        }
        for database in 1..4 {
            while memory.ring().databases().contains_key(&database) {
                taken.extend(memory.take(database, 3));
            }
        }
        // What found no place at all while everything else was being written is reported by the next attempt.
        memory.push(4, 0);
        taken.extend(memory.take(4, 1));
        let counted: u64 = taken.iter().map(|waiting| waiting.lost_before + 1).sum();
        prop_assert_eq!(counted, pushed as u64 + 1);
        for database in 1..4 {
            let times: Vec<i64> = taken
                .iter()
                .filter(|waiting| waiting.attempt.database == database)
                .map(|waiting| waiting.attempt.attempted_at)
                .collect();
            prop_assert!(times.is_sorted_by(|a, b| a < b), "database {database}: {times:?}");
        }
    }
}
