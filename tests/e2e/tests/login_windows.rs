//! The rolling window against a naive counter: random histories of failures and successes over a day, asked with
//! every window and limit.

mod logins_common;

use std::cell::RefCell;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::steps::run;
use audit_guard_e2e::values::quoted;
use audit_guard_e2e::{Result, judge, seed};
use logins_common::{
    Answer, EMAILS, KEPT, KEPT_OF_NETWORK, NETWORKS, Question, answers, question, runner, spelled,
};
use postgres::Client;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{TestCaseError, TestError};
use proptest::{collection, option};

const MINUTE: i64 = 60_000_000;

/// What happened, again and again within a second, in some minute before now.
#[derive(Clone, Debug)]
struct Event {
    account: Option<usize>,
    network: Option<usize>,
    minutes_ago: u16,
    what: What,
    spelling: usize,
}

#[derive(Clone, Debug)]
enum What {
    Failures(u8),
    Success,
    /// Of somebody known, while the account was under attack: it forgives only where it came from.
    SuccessThatKeepsTheAccount,
}

impl Event {
    /// Failures lie half a minute before a full minute, so that the time that a question takes makes no
    /// difference; a success is later than the failures of its minute.
    fn ages(&self) -> Vec<i64> {
        let minute = i64::from(self.minutes_ago) * MINUTE;
        match self.what {
            What::Failures(times) => {
                (0..i64::from(times)).map(|i| minute + MINUTE / 2 - i / 2 * 1000).collect()
            }
            _ => vec![minute + MINUTE / 3],
        }
    }

    fn rows(&self) -> impl Iterator<Item = String> {
        let text = |value: Option<&str>| value.map_or("NULL".to_owned(), quoted);
        let email = text(spelled(EMAILS, self.account, self.spelling));
        let address = text(spelled(NETWORKS, self.network, self.spelling));
        let (event, metadata) = match self.what {
            What::Failures(_) => ("login_failed", "{}"),
            What::Success => ("login_success", "{}"),
            What::SuccessThatKeepsTheAccount => {
                ("login_success", r#"{"audit_guard": {"keeps_account": true}}"#)
            }
        };
        self.ages().into_iter().map(move |age| {
            format!(
                "(now() - interval '{age} us', '{event}'::audit.security_event_type, {email}, {address}::inet,
                 '{metadata}'::jsonb)"
            )
        })
    }
}

/// Ages of the failures that count for a question, the newest first.
fn failures(history: &[Event], window: u16, of: impl Fn(&Event, i64) -> bool) -> Vec<i64> {
    let mut ages: Vec<i64> = history
        .iter()
        .filter(|event| matches!(event.what, What::Failures(_)))
        .flat_map(|event| event.ages().into_iter().map(move |age| (event, age)))
        .filter(|(event, age)| *age < i64::from(window) * MINUTE && of(event, *age))
        .map(|(_, age)| age)
        .collect();
    ages.sort_unstable();
    ages
}

/// How long ago the last success was that fulfils a condition.
fn last_success(history: &[Event], of: impl Fn(&Event) -> bool) -> Option<i64> {
    let successes = history.iter().filter(|event| !matches!(event.what, What::Failures(_)) && of(event));
    successes.flat_map(Event::ages).min()
}

/// Seconds until fewer than `limit` are in the window.
fn wait(ages: &[i64], limit: usize, window: u16) -> i64 {
    let microseconds = ages.get(limit - 1).map_or(0, |age| i64::from(window) * MINUTE - age);
    microseconds.div_euclid(1_000_000) + 1
}

/// The answer by counting, without any of the tricks.
fn naive(history: &[Event], asked: &Question) -> Answer {
    let forgiven = last_success(history, |event| {
        event.account == asked.account && !matches!(event.what, What::SuccessThatKeepsTheAccount)
    });
    let since = |reset: Option<i64>, age: i64| reset.is_none_or(|reset| age < reset);
    let account = failures(history, asked.window, |event, age| {
        asked.account.is_some() && event.account == asked.account && since(forgiven, age)
    });
    let network = failures(history, asked.window, |event, _| event.network == asked.network);
    let network_limit = (2 * asked.limit).min(KEPT_OF_NETWORK);
    let mut answer = Answer {
        // Without an address the seed's rule looks at the account alone.
        seed: account.len() >= asked.limit || asked.network.is_some() && network.len() >= network_limit,
        reason: None,
        account: account.len().min(KEPT),
        network: network.len().min(KEPT_OF_NETWORK),
        remaining: 0,
        retry_after: 0,
    };
    let here = |event: &Event| event.account == asked.account && event.network == asked.network;
    let known = last_success(history, here).filter(|_| asked.account.is_some() && asked.network.is_some());
    if let Some(known) = known {
        let own =
            failures(history, asked.window, |event, age| here(event) && age < known && since(forgiven, age));
        answer.remaining = asked.limit.saturating_sub(own.len());
        if answer.remaining == 0 {
            answer.reason = Some("pair".to_owned());
            answer.retry_after = wait(&own, asked.limit, asked.window);
        }
        return answer;
    }
    answer.remaining = network_limit.saturating_sub(network.len());
    if asked.account.is_some() {
        answer.remaining = answer.remaining.min(asked.limit.saturating_sub(account.len()));
    }
    if network.len() >= network_limit {
        answer.reason = Some("network".to_owned());
        answer.retry_after = wait(&network, network_limit, asked.window);
    }
    if account.len() >= asked.limit {
        answer.reason = Some("account".to_owned());
        answer.retry_after = answer.retry_after.max(wait(&account, asked.limit, asked.window));
    }
    answer
}

/// Seconds pass between the history and the question, so a wait may be shorter by some of them.
fn agree(found: &Answer, expected: &Answer) -> bool {
    let late = expected.retry_after - found.retry_after;
    (0..=20).contains(&late) && Answer { retry_after: expected.retry_after, ..found.clone() } == *expected
}

/// Loads a history into the log, makes the counters from it, and asks; all of it is taken back.
fn judge_history(client: &mut Client, history: &[Event], questions: &[Question]) -> Result<()> {
    run(client, "BEGIN; SELECT audit.begin_restore('a history')")?;
    let outcome = load_and_ask(client, history, questions);
    run(client, "ROLLBACK")?;
    let found = outcome?;
    for (found, asked) in found.iter().zip(questions) {
        let expected = naive(history, asked);
        if !agree(found, &expected) {
            return Err(format!("{asked:?}\nshould be {expected:?}\nis        {found:?}").into());
        }
    }
    Ok(())
}

fn load_and_ask(client: &mut Client, history: &[Event], questions: &[Question]) -> Result<Vec<Answer>> {
    let rows: Vec<String> = history.iter().flat_map(Event::rows).collect();
    if !rows.is_empty() {
        let insert = format!(
            "INSERT INTO audit.security_events (logged_at, event_type, email, ip_address, metadata,
                 description, actor_role, login_role, transaction_id)
             SELECT v.*, 'a try', 'r', 'r', 1 FROM (VALUES {}) AS v",
            rows.join(", ")
        );
        run(client, &insert)?;
    }
    run(client, "SELECT audit.rebuild_login_counters()")?;
    answers(client, questions)
}

fn event() -> impl Strategy<Value = Event> {
    let what = prop_oneof![
        12 => (1..30_u8).prop_map(What::Failures),
        1 => (31..140_u8).prop_map(What::Failures),
        2 => any::<bool>().prop_map(|keeps| {
            if keeps { What::SuccessThatKeepsTheAccount } else { What::Success }
        }),
    ];
    // Often the last minutes, where most windows begin; and a little more than a day.
    let minutes_ago = prop_oneof![2 => 0..30_u16, 2 => 0..1500_u16, 1 => 1430..1445_u16];
    let account = option::weighted(0.95, 0..EMAILS.len());
    let network = option::weighted(0.95, 0..NETWORKS.len());
    (account, network, minutes_ago, what, 0..3_usize).prop_map(
        |(account, network, minutes_ago, what, spelling)| Event {
            account,
            network,
            minutes_ago,
            what,
            spelling,
        },
    )
}

#[test]
fn as_a_naive_counter_says() -> Result<()> {
    let seed = seed("login_windows")?;
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = cluster.database("app")?;
    // The first event makes the months of the log.
    run(&mut client, "SELECT audit.log_security_event('logout', subject => 's')")?;
    let mut runner = runner(seed, 150);
    let client = RefCell::new(&mut client);
    let histories = (collection::vec(event(), 0..40), collection::vec(question(), 40));
    let outcome = runner.run(&histories, |(history, questions)| {
        let mut client = client.borrow_mut();
        judge_history(*client, &history, &questions).map_err(|e| TestCaseError::fail(e.to_string()))
    });
    match outcome {
        Ok(()) => judge::server_is_content(&cluster, "app"),
        Err(TestError::Fail(reason, (history, _))) => {
            Err(format!("{reason}\nsmallest history: {history:#?}").into())
        }
        Err(e) => Err(e.to_string().into()),
    }
}
