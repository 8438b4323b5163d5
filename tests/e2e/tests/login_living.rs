//! Random logins of a few people against a model that counts them; then the counters are made again from the log,
//! and must say the same.

mod logins_common;

use std::cell::RefCell;
use std::collections::BTreeMap;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::logins::{Person, Verdict, begin, finish};
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

/// The settings as they are.
const LIMIT: usize = 5;
const DEVICES: [&str; 2] = ["phone", "laptop"];

/// Who tries, from where, with what.
#[derive(Clone, Copy, Debug)]
struct Who {
    account: usize,
    network: usize,
    device: Option<usize>,
    spelling: usize,
}

impl Who {
    /// The ways in that could have tries of their own, the first one first.
    fn owns(self) -> impl Iterator<Item = Own> {
        let device = self.device.map(|device| Own::Device(self.account, device));
        device.into_iter().chain([Own::Pair(self.account, self.network)])
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Logged, as the seed's callers do.
    Failed(Who),
    Success(Who),
    Begin(Who),
    /// One of the open tries ends.
    Finish(usize, bool),
    Unlock(usize),
}

/// A way in that has tries of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Own {
    Pair(usize, usize),
    Device(usize, usize),
}

/// What a counter knows: the numbers of the steps that failed, and the one that forgave all up to it.
#[derive(Clone, Debug, Default)]
struct Counter {
    failures: Vec<usize>,
    forgiven: Option<usize>,
}

impl Counter {
    fn forgive(&mut self, at: usize) {
        self.forgiven = self.forgiven.max(Some(at));
    }

    fn count(&self, also_forgiven: Option<usize>) -> usize {
        let forgiven = self.forgiven.max(also_forgiven);
        self.failures.iter().filter(|at| Some(**at) > forgiven).count()
    }

    fn give_back(&mut self, at: usize) {
        if let Some(place) = self.failures.iter().position(|failure| *failure == at) {
            self.failures.remove(place);
        }
    }
}

/// A try that was begun.
#[derive(Clone, Debug)]
struct Open {
    id: String,
    who: Who,
    at: usize,
    own: Option<Own>,
}

/// Counters as the rules say.
#[derive(Default)]
struct Model {
    step: usize,
    accounts: BTreeMap<usize, Counter>,
    networks: BTreeMap<usize, Counter>,
    known: BTreeMap<Own, Counter>,
    open: Vec<Open>,
}

impl Model {
    fn own(&self, who: Who) -> Option<Own> {
        who.owns().find(|own| self.known.contains_key(own))
    }

    fn forgiven(&self, account: usize) -> Option<usize> {
        self.accounts.get(&account).and_then(|counter| counter.forgiven)
    }

    fn account(&self, account: usize) -> usize {
        self.accounts.get(&account).map_or(0, |counter| counter.count(None))
    }

    fn network(&self, network: usize) -> usize {
        self.networks.get(&network).map_or(0, |counter| counter.count(None))
    }

    fn own_count(&self, own: Own) -> usize {
        let (Own::Pair(account, _) | Own::Device(account, _)) = own;
        self.known.get(&own).map_or(0, |counter| counter.count(self.forgiven(account)))
    }

    fn fail(&mut self, who: Who, at: usize) {
        self.accounts.entry(who.account).or_default().failures.push(at);
        self.networks.entry(who.network).or_default().failures.push(at);
    }

    /// The reason for which a try is blocked.
    fn blocked(&self, who: Who, limit: usize) -> Option<&'static str> {
        match self.own(who) {
            Some(own) if self.own_count(own) < limit => None,
            Some(Own::Device(..)) => Some("device"),
            Some(Own::Pair(..)) => Some("pair"),
            None if self.account(who.account) >= limit => Some("account"),
            None if self.network(who.network) >= 2 * limit => Some("network"),
            None => None,
        }
    }

    fn begin(&mut self, who: Who, verdict: &Verdict) -> Result<()> {
        let expected = self.blocked(who, LIMIT);
        if verdict.reason.as_deref() != expected || verdict.attempt.is_none() != expected.is_some() {
            return Err(format!("{who:?} should be blocked by {expected:?}: {verdict:?}").into());
        }
        let Some(id) = verdict.attempt.clone() else { return Ok(()) };
        let own = self.own(who);
        match own.and_then(|own| self.known.get_mut(&own)) {
            Some(counter) => counter.failures.push(self.step),
            None => self.fail(who, self.step),
        }
        self.open.push(Open { id, who, at: self.step, own });
        Ok(())
    }

    /// From now on somebody is known here; what failed here up to then is forgiven.
    fn known(&mut self, who: Who, at: usize, but: Option<Own>) {
        for own in who.owns() {
            let counter = self.known.entry(own).or_default();
            if but != Some(own) {
                counter.forgive(at);
            }
        }
    }

    fn finish(&mut self, open: &Open, success: bool) {
        let Open { who, at, own, .. } = *open;
        match (own, success) {
            (None, false) => {}
            (Some(_), false) => self.fail(who, at),
            (None, true) => {
                self.accounts.entry(who.account).or_default().forgive(at);
                self.networks.entry(who.network).or_default().give_back(at);
                self.known(who, at, None);
            }
            // Who gets in while the account is under attack opens it to nobody.
            (Some(own), true) => {
                if self.account(who.account) < LIMIT {
                    self.accounts.entry(who.account).or_default().forgive(at);
                }
                let pair = Own::Pair(who.account, who.network);
                self.known(who, at, if own == pair { None } else { Some(pair) });
            }
        }
    }

    fn answer(&self, asked: &Question) -> Answer {
        let account = asked.account.map_or(0, |account| self.account(account)).min(KEPT);
        let network = asked.network.map_or(0, |network| self.network(network)).min(KEPT_OF_NETWORK);
        let limit = asked.limit;
        let mut answer = Answer {
            seed: account >= limit || network >= 2 * limit,
            reason: None,
            account,
            network,
            remaining: (2 * limit).saturating_sub(network),
            retry_after: 0,
        };
        if let (Some(account), Some(network)) = (asked.account, asked.network) {
            let who = Who { account, network, device: None, spelling: 0 };
            answer.reason = self.blocked(who, limit).map(str::to_owned);
            answer.remaining = match self.own(who) {
                Some(own) => limit.saturating_sub(self.own_count(own)),
                None => answer.remaining.min(limit.saturating_sub(self.account(account))),
            };
        } else if let Some(account) = asked.account {
            answer.reason = (self.account(account) >= limit).then(|| "account".to_owned());
            answer.remaining = answer.remaining.min(limit.saturating_sub(self.account(account)));
        } else if network >= 2 * limit {
            answer.reason = Some("network".to_owned());
        }
        answer
    }
}

fn live(client: &mut Client, steps: &[Step]) -> Result<Model> {
    let mut model = Model::default();
    for step in steps {
        model.step += 1;
        let at = model.step;
        let spell = |who: Who| {
            let email = spelled(EMAILS, Some(who.account), who.spelling).unwrap_or_default();
            let address = spelled(NETWORKS, Some(who.network), who.spelling).unwrap_or_default();
            Person { email, address, device: who.device.map(|device| DEVICES[device]) }
        };
        match *step {
            Step::Failed(who) => {
                log(client, "login_failed", spell(who))?;
                model.fail(who, at);
                for own in who.owns() {
                    if let Some(counter) = model.known.get_mut(&own) {
                        counter.failures.push(at);
                    }
                }
            }
            Step::Success(who) => {
                log(client, "login_success", spell(who))?;
                model.accounts.entry(who.account).or_default().forgive(at);
                model.known(who, at, None);
            }
            Step::Begin(who) => model.begin(who, &begin(client, spell(who))?)?,
            Step::Finish(which, success) => {
                if model.open.is_empty() {
                    continue;
                }
                let open = model.open.remove(which % model.open.len());
                if !finish(client, &open.id, success)? || finish(client, &open.id, !success)? {
                    return Err(format!("{open:?} does not end once").into());
                }
                model.finish(&open, success);
            }
            Step::Unlock(account) => {
                let email = quoted(spelled(EMAILS, Some(account), at).unwrap_or_default());
                run(client, &format!("SELECT audit.unlock_login({email}, 'called in')"))?;
                model.accounts.entry(account).or_default().forgive(at);
            }
        }
    }
    Ok(model)
}

fn log(client: &mut Client, event: &str, who: Person<'_>) -> Result<()> {
    let device = serde_json::json!({ "device_fingerprint": who.device });
    let metadata = if who.device.is_some() { device.to_string() } else { "{}".to_owned() };
    let call = format!(
        "SELECT audit.log_security_event('{event}', email => $1, ip_address => $2::text::inet,
             metadata => $3::text::jsonb)"
    );
    client.execute(&call, &[&who.email, &who.address, &metadata])?;
    Ok(())
}

/// Lives through the steps, asks, makes the counters again and asks again; all of it is taken back.
fn judge_life(client: &mut Client, steps: &[Step], questions: &[Question]) -> Result<()> {
    run(client, "BEGIN")?;
    let judged = live(client, steps).and_then(|model| {
        agree(&answers(client, questions)?, questions, &model)?;
        run(client, "SELECT audit.rebuild_login_counters()")?;
        let again = answers(client, questions)?;
        agree(&again, questions, &model).map_err(|e| format!("made again from the log: {e}").into())
    });
    run(client, "ROLLBACK")?;
    judged
}

fn agree(found: &[Answer], questions: &[Question], model: &Model) -> Result<()> {
    for (found, asked) in found.iter().zip(questions) {
        let expected = Answer { retry_after: found.retry_after, ..model.answer(asked) };
        if *found != expected || (found.retry_after > 0) != found.reason.is_some() {
            return Err(format!("{asked:?}\nshould be {expected:?}\nis        {found:?}").into());
        }
    }
    Ok(())
}

fn who() -> impl Strategy<Value = Who> {
    let device = option::weighted(0.3, 0..DEVICES.len());
    (0..EMAILS.len(), 0..NETWORKS.len(), device, 0..3_usize)
        .prop_map(|(account, network, device, spelling)| Who { account, network, device, spelling })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => who().prop_map(Step::Failed),
        1 => who().prop_map(Step::Success),
        10 => who().prop_map(Step::Begin),
        8 => (0..10_usize, any::<bool>()).prop_map(|(which, success)| Step::Finish(which, success)),
        1 => (0..EMAILS.len()).prop_map(Step::Unlock),
    ]
}

#[test]
fn what_is_made_again_says_the_same() -> Result<()> {
    let seed = seed("login_living")?;
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = cluster.database("app")?;
    run(&mut client, "SELECT audit.log_security_event('logout', subject => 's')")?;
    let mut runner = runner(seed, 120);
    let client = RefCell::new(&mut client);
    let lives = (collection::vec(step(), 0..60), collection::vec(question(), 40));
    let outcome = runner.run(&lives, |(steps, questions)| {
        // A life takes a moment, which no window may be shorter than.
        let wide = questions.into_iter().map(|asked| Question { window: asked.window.max(10), ..asked });
        let wide: Vec<Question> = wide.collect();
        let mut client = client.borrow_mut();
        judge_life(*client, &steps, &wide).map_err(|e| TestCaseError::fail(e.to_string()))
    });
    match outcome {
        Ok(()) => judge::server_is_content(&cluster, "app"),
        Err(TestError::Fail(reason, (steps, _))) => {
            Err(format!("{reason}\nsmallest life: {steps:#?}").into())
        }
        Err(e) => Err(e.to_string().into()),
    }
}
