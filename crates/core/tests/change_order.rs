//! Changes seen in the order in which triggers fire get times in the order in which they happened.

use audit_guard_core::change_order::ChangeOrder;
use proptest::prelude::*;

#[test]
fn a_cause_comes_before_its_effects() {
    let mut order = ChangeOrder::default();
    assert_eq!(order.time_of(3, 100), 100, "a plain change");
    assert_eq!(order.time_of(6, 110), 110, "what a trigger did");
    assert_eq!(order.time_of(7, 120), 120);
    assert_eq!(order.time_of(5, 130), 109, "what fired that trigger, seen last");
    assert_eq!(order.time_of(5, 140), 109, "the next row of the same command");
    assert_eq!(order.time_of(8, 150), 150, "the next command");
    order.clear();
    assert_eq!(order.time_of(1, 160), 160, "the next transaction");
}

#[test]
fn memory_is_bounded_and_the_first_of_many_effects_still_counts() {
    let mut order = ChangeOrder::default();
    for command in 2..1_000_000 {
        order.time_of(command, i64::from(command) * 10);
    }
    assert_eq!(order.time_of(1, 20_000_000), 19);
}

/// A command changes some rows; for each of them triggers fire, some before ours and some after it, that run
/// commands of their own.
#[derive(Debug, Clone)]
struct Command {
    rows: Vec<(Vec<Command>, Vec<Command>)>,
}

fn command() -> impl Strategy<Value = Command> {
    let leaf = (1_usize..3).prop_map(|rows| Command { rows: vec![(vec![], vec![]); rows] });
    leaf.prop_recursive(4, 24, 3, |inner| {
        let commands = || prop::collection::vec(inner.clone(), 0..2);
        prop::collection::vec((commands(), commands()), 1..3).prop_map(|rows| Command { rows })
    })
}

#[derive(Default)]
struct Session {
    order: ChangeOrder,
    commands: u32,
    now: i64,
    /// Time and command of each change, in the order in which our trigger sees them.
    log: Vec<(i64, u32)>,
}

impl Session {
    fn run(&mut self, command: &Command) {
        let number = self.commands;
        self.commands += 1;
        for (before, after) in &command.rows {
            before.iter().for_each(|command| self.run(command));
            self.now += 100;
            self.log.push((self.order.time_of(number, self.now), number));
            after.iter().for_each(|command| self.run(command));
        }
    }
}

proptest! {
    #[test]
    fn times_rise_with_the_commands(commands in prop::collection::vec(command(), 1..5)) {
        let mut session = Session::default();
        commands.iter().for_each(|command| session.run(command));
        let mut by_time = session.log.clone();
        by_time.sort_by_key(|&(time, _)| time);
        prop_assert!(by_time.is_sorted_by_key(|&(_, command)| command), "{:?}", by_time);
    }
}
