//! Tries that come at the same moment, that are cut off, and that are taken back: never are more let in than
//! the limit, and what was let in counts.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::logins::{
    GATE, Person, at_once, begin, check, connected, enter, events, finish, guess, person, sessions,
};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::workload::is_disconnect;
use audit_guard_e2e::{Failure, Result, judge};
use postgres::Client;

/// How many guess at once, and how often all begin anew on a fresh account.
const GUESSERS: usize = 200;
const ROUNDS: usize = 24;
/// Let in by the settings as they are: failures of an account, and of a network.
const LIMIT: usize = 5;
const NETWORK_LIMIT: usize = 10;
const CROWDED: &[(&str, &str)] = &[("fsync", "off"), ("max_connections", "230")];

/// A cluster whose database `app` has an application.
fn gate(settings: &[(&str, &str)]) -> Result<(Cluster, Client)> {
    let cluster = Cluster::start(settings)?;
    let mut admin = cluster.database("app")?;
    run(&mut admin, GATE)?;
    Ok((cluster, admin))
}

/// An address of a network that no other round uses.
fn address(round: usize, number: usize) -> String {
    format!("10.{round}.{}.{}", number / 200, number % 200 + 1)
}

/// How many of all sessions were let in when all guess at the same moment.
fn let_in<'a>(
    guessers: &mut [Client],
    who: impl Fn(usize) -> (String, String, Option<&'a str>) + Sync,
) -> Result<usize> {
    let inside = at_once(guessers, |number, client| {
        let (email, address, device) = who(number);
        let person = Person { email: &email, address: &address, device };
        match begin(client, person)?.attempt {
            // Some say at once that the password was wrong, some never say anything.
            Some(attempt) if number.is_multiple_of(2) => finish(client, &attempt, false),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    })?;
    Ok(inside.into_iter().filter(|is_inside| *is_inside).count())
}

#[test]
fn two_hundred_at_once() -> Result<()> {
    let (cluster, mut admin) = gate(CROWDED)?;
    let mut guessers = sessions(&cluster, "app", GUESSERS)?;
    for round in 0..ROUNDS {
        on_one_account(&mut admin, &mut guessers, round)?;
    }
    for round in 0..ROUNDS / 3 {
        from_one_network(&mut admin, &mut guessers, round)?;
        on_a_known_device(&mut admin, &mut guessers, round)?;
    }
    judge::server_is_content(&cluster, "app")
}

fn on_one_account(admin: &mut Client, guessers: &mut [Client], round: usize) -> Result<()> {
    let networks = [1, 7, GUESSERS][round % 3];
    let inside = let_in(guessers, |number| {
        (format!(" Ada{round}@Example.org"), address(round, number % networks), None)
    })?;
    assert_eq!(inside, LIMIT, "round {round}, from {networks} networks");
    let email = format!("ada{round}@example.org");
    check(admin, person(&email, &address(200, round)))?.is_blocked_by("account")?;
    let reports = format!("event_type = 'access_blocked' AND lower(btrim(email)) = '{email}'");
    assert_eq!(events(admin, &reports)?, 1, "round {round}: one report");
    Ok(())
}

/// From one address, or from as many as one customer has.
fn from_one_network(admin: &mut Client, guessers: &mut [Client], round: usize) -> Result<()> {
    let inside = let_in(guessers, |number| {
        let host = if round.is_multiple_of(2) { 1 } else { number + 1 };
        (format!("p{round}.{number}@example.org"), format!("2001:db8:0:{round}::{host:x}"), None)
    })?;
    assert_eq!(inside, NETWORK_LIMIT, "round {round}");
    let neighbour = format!("2001:db8:0:{round}:ffff::1");
    check(admin, person("nobody@example.org", &neighbour))?.is_blocked_by("network")?;
    check(admin, person("nobody@example.org", &format!("2001:db8:1:{round}::1")))?.is_free()
}

/// Who has the device, or sits in the network, from which somebody is known has no more tries than anybody.
fn on_a_known_device(admin: &mut Client, guessers: &mut [Client], round: usize) -> Result<()> {
    let (email, home) = (format!("eve{round}@example.org"), address(100 + round, 0));
    enter(admin, Person { email: &email, address: &home, device: Some("phone") })?;
    let device = if round.is_multiple_of(2) { Some("phone") } else { None };
    let inside = let_in(guessers, |number| {
        let from = if device.is_some() { address(100 + round, number + 1) } else { home.clone() };
        (email.clone(), from, device)
    })?;
    assert_eq!(inside, LIMIT, "round {round}");
    let reason = if device.is_some() { "device" } else { "pair" };
    check(admin, Person { email: &email, address: &home, device })?.is_blocked_by(reason)
}

/// What the sessions of a storm know: tries whose end they were told, and tries whose end they were not.
#[derive(Default)]
struct Account {
    let_in: usize,
    doubtful: usize,
}

/// Guesses until it is blocked or loses its server. Each try takes a while in its transaction.
fn storm(client: &mut Client, who: Person<'_>, account: &Mutex<Account>) -> Result<()> {
    loop {
        let outcome = client.batch_execute("BEGIN").map_err(Failure::from).and_then(|()| {
            let verdict = begin(client, who)?;
            client.batch_execute("SELECT pg_sleep(0.01)")?;
            Ok(verdict)
        });
        let verdict = match outcome {
            Ok(verdict) => verdict,
            Err(e) => return lost_server(e),
        };
        let committed = client.batch_execute("COMMIT");
        let mut account = account.lock().map_err(|e| e.to_string())?;
        match committed {
            Ok(()) if verdict.attempt.is_some() => account.let_in += 1,
            Ok(()) => return Ok(()),
            Err(e) => {
                account.doubtful += usize::from(verdict.attempt.is_some());
                return lost_server(e.into());
            }
        }
    }
}

fn lost_server(failure: Failure) -> Result<()> {
    if failure.downcast_ref::<postgres::Error>().is_some_and(is_disconnect) { Ok(()) } else { Err(failure) }
}

/// A backend is killed while sessions guess, which makes the server start again; what was let in before counts
/// after that, although the sessions asked for no durable commits.
#[test]
fn killed_in_the_middle() -> Result<()> {
    const STORMERS: usize = 30;
    let (cluster, _) = gate(&[("fsync", "off"), ("max_connections", "100")])?;
    let mut in_the_middle = 0;
    for round in 0..6 {
        let email = format!("ada{round}@example.org");
        let account = Mutex::new(Account::default());
        let mut stormers = sessions(&cluster, "app", STORMERS)?;
        let victim = stormers.first_mut().ok_or("no session")?;
        let victim: i32 = victim.query_one("SELECT pg_backend_pid()", &[])?.try_get(0)?;
        let work = |number: usize, client: &mut Client| {
            let from = address(round, number % 9);
            storm(client, person(&email, &from), &account)
        };
        let killed = thread::scope(|scope| {
            let killer = scope.spawn(|| kill_after(&cluster, victim, &account, round % LIMIT));
            at_once(&mut stormers, work)?;
            killer.join().map_err(|_| "the killer panicked")?
        });
        killed?;
        drop(stormers);
        let before = account.lock().map_err(|e| e.to_string())?.let_in;
        in_the_middle += usize::from((1..LIMIT).contains(&before));

        // Once more, in peace.
        let mut again = sessions(&cluster, "app", STORMERS)?;
        at_once(&mut again, work)?;
        let account = account.into_inner().map_err(|e| e.to_string())?;
        assert!(account.let_in <= LIMIT, "round {round}: {} were let in", account.let_in);
        let at_most = account.let_in + account.doubtful;
        assert!(at_most >= LIMIT, "round {round}: blocked after {at_most} tries");
        let mut client = connected(&cluster, "app")?;
        check(&mut client, person(&email, &address(200, round)))?.is_blocked_by("account")?;
    }
    println!("rounds in which some had been let in when the server died: {in_the_middle}");
    assert!(in_the_middle > 0, "no kill came in the middle");
    Ok(())
}

/// Kills as soon as so many were let in.
fn kill_after(cluster: &Cluster, victim: i32, account: &Mutex<Account>, let_in: usize) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    while account.lock().map_err(|e| e.to_string())?.let_in < let_in && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    cluster.kill_hard(victim.unsigned_abs())
}

/// The postmaster itself is killed right after five failures were told to the sessions.
#[test]
fn a_crash_forgets_nothing_that_blocks() -> Result<()> {
    let (cluster, mut admin) = gate(&[("fsync", "off")])?;
    enter(&mut admin, Person { email: "ada@example.org", address: "192.0.2.1", device: Some("phone") })?;
    let mut gate = sessions(&cluster, "app", 1)?;
    let gate = gate.first_mut().ok_or("no session")?;
    let known = Person { email: "ada@example.org", address: "192.0.2.9", device: Some("phone") };
    for number in 0..LIMIT {
        assert!(guess(gate, person("ada@example.org", &address(1, number)))?);
        assert!(guess(gate, person(&format!("p{number}@example.org"), "192.0.2.77"))?);
        assert!(guess(gate, person(&format!("q{number}@example.org"), "192.0.2.77"))?);
    }
    for _ in 0..LIMIT {
        assert!(guess(gate, known)?);
    }
    drop(admin);
    cluster.kill_hard(cluster.postmaster()?)?;
    cluster.boot()?;
    let mut client = connected(&cluster, "app")?;
    check(&mut client, person("ada@example.org", &address(1, 99)))?.is_blocked_by("account")?;
    check(&mut client, person("eve@example.org", "192.0.2.77"))?.is_blocked_by("network")?;
    let device = Person { email: "ada@example.org", address: "192.0.2.3", device: Some("phone") };
    check(&mut client, device)?.is_blocked_by("device")?;
    check(&mut client, person("ada@example.org", "192.0.2.1"))?.is_free()
}

/// Many sessions write the first events that a database ever has.
#[test]
fn the_first_events_come_at_once() -> Result<()> {
    let (cluster, mut admin) = gate(CROWDED)?;
    for database in ["first", "second"] {
        cluster.database(database)?;
        let mut all = sessions(&cluster, database, 30)?;
        at_once(&mut all, |number, client| {
            let call = match number % 3 {
                0 => "SELECT audit.log_security_event('logout', subject => 's')",
                1 => "SELECT audit.begin_login_attempt('ada@example.org', '192.0.2.1')",
                _ => "SELECT audit.create_user_session(subject => 's', ip_address => '192.0.2.1')",
            };
            Ok(client.batch_execute(call)?)
        })?;
        let mut reader = cluster.connect("postgres", database)?;
        assert_eq!(events(&mut reader, "event_type = 'logout'")?, 10, "{database}");
        judge::server_is_content(&cluster, database)?;
    }
    run(&mut admin, "SELECT audit.seal()")
}

/// What a transaction did goes with it, as a whole or back to a savepoint; what is prepared counts when it is
/// committed.
#[test]
fn taken_back() -> Result<()> {
    let (cluster, mut admin) = gate(&[("fsync", "off")])?;
    let ada = person("ada@example.org", "192.0.2.1");
    let failures = |client: &mut Client| -> Result<(i32, i32)> {
        let verdict = check(client, ada)?;
        Ok((verdict.account, verdict.network))
    };
    run(&mut admin, "BEGIN")?;
    assert!(guess(&mut admin, ada)?);
    run(&mut admin, "SAVEPOINT s")?;
    assert!(guess(&mut admin, ada)?);
    assert_eq!(failures(&mut admin)?, (2, 2));
    run(&mut admin, "ROLLBACK TO s")?;
    assert_eq!(failures(&mut admin)?, (1, 1), "back to a savepoint");
    run(&mut admin, "ROLLBACK")?;
    assert_eq!(failures(&mut admin)?, (0, 0), "back altogether");

    let mut other = cluster.connect("postgres", "app")?;
    for (end, expected) in [("ROLLBACK", (0, 0)), ("COMMIT", (1, 1))] {
        run(&mut admin, "BEGIN")?;
        assert!(guess(&mut admin, ada)?);
        run(&mut admin, "PREPARE TRANSACTION 'login'")?;
        assert_eq!(failures(&mut other)?, (0, 0), "prepared, and not yet committed");
        run(&mut other, &format!("{end} PREPARED 'login'"))?;
        assert_eq!(failures(&mut other)?, expected, "{end} PREPARED");
    }
    let failed = events(&mut other, "event_type = 'login_failed' AND email = 'ada@example.org'")?;
    assert_eq!(failed, 1, "events of what was taken back");
    judge::server_is_content(&cluster, "app")
}

/// A login that fails often ends in a rollback. What was logged in that transaction is lost with it; a try
/// that was begun before, in a transaction of its own, counts, finished or not.
#[test]
fn a_rolled_back_login_counts() -> Result<()> {
    let (_cluster, mut admin) = gate(&[("fsync", "off")])?;
    let failed = "SELECT audit.log_security_event('login_failed', email => 'ada@example.org',
        ip_address => '192.0.2.1')";
    for _ in 0..2 * LIMIT {
        run(&mut admin, &format!("BEGIN; {failed}; ROLLBACK"))?;
    }
    let ada = person("ada@example.org", "192.0.2.1");
    assert_eq!(check(&mut admin, ada)?.account, 0, "the trap");

    let mut inside = 0;
    for number in 0..2 * LIMIT {
        let Some(attempt) = begin(&mut admin, ada)?.attempt else { continue };
        inside += 1;
        run(&mut admin, "BEGIN; CREATE TABLE orders (id int)")?;
        if number.is_multiple_of(2) {
            assert!(finish(&mut admin, &attempt, false)?);
        }
        run(&mut admin, "ROLLBACK")?;
    }
    assert_eq!(inside, LIMIT);
    check(&mut admin, ada)?.is_blocked_by("account")?;
    assert_eq!(events(&mut admin, "event_type = 'login_failed'")?, 0, "nobody said how they ended");

    // What nobody ends is a failure after a while, once.
    run(&mut admin, "UPDATE audit.login_attempts SET attempted_at = attempted_at - interval '6 minutes'")?;
    run(&mut admin, "SELECT audit.expire_sessions()")?;
    run(&mut admin, "SELECT audit.expire_sessions()")?;
    let limit = i64::try_from(LIMIT)?;
    assert_eq!(events(&mut admin, "event_type = 'login_failed' AND email = 'ada@example.org'")?, limit);
    Ok(())
}

/// Counters as a server with a wrong clock leaves them: what lies far ahead does not count, what lies within the
/// window ahead does, and no longer than twice the window; a hundred of a day have a window of a day.
#[test]
fn a_clock_that_was_set_back() -> Result<()> {
    let (_cluster, mut admin) = gate(&[("fsync", "off")])?;
    run(&mut admin, "SELECT audit.log_security_event('logout', subject => 's')")?;
    const CASES: &[(&str, usize, i32)] = &[
        ("14 minutes", 20, 30 * 60),
        ("16 minutes", 20, 0),
        ("23 hours", 20, 0),
        ("23 hours", 250, 48 * 3600),
        ("25 hours", 250, 0),
        ("3 years", 250, 0),
    ];
    for (number, (ahead, times, at_most)) in CASES.iter().enumerate() {
        let is_blocked = *at_most > 0;
        let email = format!("p{number}@example.org");
        let from = address(1, number);
        run(
            &mut admin,
            &format!(
                "BEGIN;
                 SELECT audit.begin_restore('a clock');
                 INSERT INTO audit.security_events (logged_at, event_type, outcome, description, email,
                     ip_address, actor_role, login_role, transaction_id)
                 SELECT clock_timestamp() + interval '{ahead}', 'login_failed', 'failure', 'wrong password',
                     '{email}', '{from}', 'postgres', 'postgres', 1 FROM generate_series(1, {times});
                 SELECT audit.rebuild_login_counters();
                 COMMIT"
            ),
        )?;
        let verdict = check(&mut admin, person(&email, &from))?;
        assert_eq!(verdict.blocked, is_blocked, "{ahead}: {verdict:?}");
        assert!(verdict.retry_after <= *at_most, "{ahead}: {verdict:?}");
        if !is_blocked {
            // Tries of now count as ever beside them.
            for _ in 0..LIMIT {
                assert!(guess(&mut admin, person(&email, &address(2, number)))?, "{ahead}");
            }
            check(&mut admin, person(&email, &address(3, number)))?.is_blocked_by("account")?;
        }
    }
    Ok(())
}
