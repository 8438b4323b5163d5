//! Questions about logins, and the answers of a database, as the tests of counters share them.

use audit_guard_e2e::Result;
use postgres::Client;
use proptest::option;
use proptest::prelude::{Strategy, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Spellings of the accounts and networks there are.
pub(crate) const EMAILS: &[&[&str]] = &[
    &["ada@example.org", " Ada@Example.ORG", "ADA@EXAMPLE.org\t"],
    &["müller@example.org", "MÜLLER@example.org", "mu\u{308}ller@example.org"],
    &["o'hara+shop@example.org", "O'Hara+Shop@example.org "],
];
pub(crate) const NETWORKS: &[&[&str]] = &[
    &["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7/8"],
    &["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2:3:4:5:6"],
    &["2001:db8:1:3::1", "2001:db8:1:3::2"],
];
/// The most that is remembered of an account, and of a network.
pub(crate) const KEPT: usize = 100;
pub(crate) const KEPT_OF_NETWORK: usize = 200;
/// A question about a login.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) account: Option<usize>,
    pub(crate) network: Option<usize>,
    pub(crate) limit: usize,
    pub(crate) window: u16,
    pub(crate) spelling: usize,
}

/// What check_login says, and what should_block_login says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) seed: bool,
    pub(crate) reason: Option<String>,
    pub(crate) account: usize,
    pub(crate) network: usize,
    pub(crate) remaining: usize,
    pub(crate) retry_after: i64,
}

pub(crate) fn spelled<'a>(all: &[&'a [&'a str]], which: Option<usize>, spelling: usize) -> Option<&'a str> {
    let spellings = all[which?];
    Some(spellings[spelling % spellings.len()])
}

/// What the database says to all questions, in one query.
pub(crate) fn answers(client: &mut Client, questions: &[Question]) -> Result<Vec<Answer>> {
    let texts = |all: &'static [&'static [&'static str]], which: fn(&Question) -> Option<usize>| {
        questions.iter().map(|q| spelled(all, which(q), q.spelling)).collect::<Vec<_>>()
    };
    let (emails, addresses) = (texts(EMAILS, |q| q.account), texts(NETWORKS, |q| q.network));
    let limits: Vec<i32> =
        questions.iter().map(|q| i32::try_from(q.limit)).collect::<std::result::Result<_, _>>()?;
    let windows: Vec<i32> = questions.iter().map(|q| q.window.into()).collect();
    let rows = client.query(
        "SELECT audit.should_block_login(q.email, q.address::inet, q.attempts, q.minutes), v.blocked, v.reason,
             v.account_failures, v.network_failures, v.remaining, v.retry_after_seconds
         FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[])
             WITH ORDINALITY AS q (email, address, attempts, minutes, place),
             audit.check_login(q.email, q.address::inet, q.attempts, q.minutes) AS v ORDER BY q.place",
        &[&emails, &addresses, &limits, &windows],
    )?;
    let number = |row: &postgres::Row, column: usize| -> Result<usize> {
        Ok(row.try_get::<_, i32>(column)?.try_into()?)
    };
    let answer = |row: &postgres::Row| -> Result<Answer> {
        let (blocked, reason): (bool, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
        if blocked != reason.is_some() {
            return Err(format!("blocked {blocked}, for the reason {reason:?}").into());
        }
        Ok(Answer {
            seed: row.try_get(0)?,
            reason,
            account: number(row, 3)?,
            network: number(row, 4)?,
            remaining: number(row, 5)?,
            retry_after: row.try_get::<_, i32>(6)?.into(),
        })
    };
    rows.iter().map(answer).collect()
}

pub(crate) fn question() -> impl Strategy<Value = Question> {
    let limit = prop_oneof![2 => 1..12_usize, 2 => 1..101_usize, 1 => 95..101_usize];
    let window = prop_oneof![2 => 1..40_u16, 2 => 1..1441_u16, 1 => 1435..1441_u16];
    let account = option::weighted(0.9, 0..EMAILS.len());
    let network = option::weighted(0.9, 0..NETWORKS.len());
    (account, network, limit, window, 0..3_usize).prop_map(|(account, network, limit, window, spelling)| {
        Question { account, network, limit, window, spelling }
    })
}

/// Runs so many cases, the same ones for the same seed.
pub(crate) fn runner(seed: u64, cases: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, max_shrink_iters: 300, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
