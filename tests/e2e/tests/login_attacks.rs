//! Attacks on logins, and how they end for the attacker, for the people attacked, and for everybody else.

use std::sync::OnceLock;

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::logins::{
    GATE, Person, at_once, begin, check, enter, events, guess, person, reported, sessions,
};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::{Result, judge};
use postgres::Client;

/// Let in by the settings as they are: failures of an account, and of a network.
const LIMIT: usize = 5;
const NETWORK_LIMIT: i32 = 10;
const ADDRESSES: i32 = 10_000;
/// Wrong passwords for all rows of a query (email, address), each try a transaction, and its end another;
/// how many got as far as the password.
const ATTACK: &str = "CREATE PROCEDURE attack(tries text, INOUT let_in integer DEFAULT 0) LANGUAGE plpgsql
AS $$
DECLARE
    who record;
    attempt uuid;
BEGIN
    FOR who IN EXECUTE tries LOOP
        SELECT v.attempt_id INTO attempt FROM audit.begin_login_attempt(who.email, who.address) AS v;
        COMMIT;
        IF attempt IS NOT NULL THEN
            let_in := let_in + 1;
            PERFORM audit.finish_login_attempt(attempt, false);
            COMMIT;
        END IF;
    END LOOP;
END $$";
const ADA: &str = "ada@example.org";
const HOME: &str = "192.0.2.1";

/// A database of its own on the one cluster of this program; ada has been in from home with her phone.
fn site(name: &str) -> Result<(&'static Cluster, Client)> {
    static CLUSTER: OnceLock<std::result::Result<Cluster, String>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&[("fsync", "off")]);
        let with_role = cluster.and_then(|cluster| {
            run(&mut cluster.database("roles")?, GATE)?;
            Ok(cluster)
        });
        with_role.map_err(|e| e.to_string())
    });
    let cluster = cluster.as_ref().map_err(Clone::clone)?;
    let mut admin = cluster.database(name)?;
    run(&mut admin, ATTACK)?;
    enter(&mut admin, Person { email: ADA, address: HOME, device: Some("phone") })?;
    Ok((cluster, admin))
}

/// How many tries of an attack were let in.
fn attack(client: &mut Client, tries: &str) -> Result<i32> {
    let row = client.query_one("CALL attack($1)", &[&tries]).map_err(|e| format!("{tries}: {e:?}"))?;
    Ok(row.try_get(0)?)
}

/// Ada on the way, recognised by her phone.
const fn ada_with_phone(address: &str) -> Person<'_> {
    Person { email: ADA, address, device: Some("phone") }
}

/// Stolen pairs of e-mail and password, each tried once, each from another address: no rule sees more than one
/// failure, but somebody is told, once; and nobody is kept out.
#[test]
fn stuffing_from_ten_thousand_addresses() -> Result<()> {
    let (cluster, mut admin) = site("stuffing")?;
    let wave = |first: i32, last: i32| -> Result<i32> {
        let mut attackers = sessions(cluster, "stuffing", 4)?;
        let inside = at_once(&mut attackers, |number, client| {
            let tries = format!(
                "SELECT 'p' || i || '@example.org' AS email, '11.0.0.0'::inet + i * 7 AS address
                 FROM generate_series({first}, {last}) AS i WHERE i % 4 = {number}"
            );
            attack(client, &tries)
        })?;
        Ok(inside.iter().sum())
    };
    assert_eq!(wave(1, ADDRESSES - 1000)?, ADDRESSES - 1000);
    assert_eq!(reported(&mut admin, "credential_stuffing")?, 1);
    assert_eq!(
        events(&mut admin, "metadata ->> 'kind' = 'credential_stuffing' AND severity = 'critical'")?,
        1
    );
    enter(&mut admin, person(ADA, HOME))?;
    enter(&mut admin, person("new@example.org", "203.0.113.5"))?;
    enter(&mut admin, person("p1@example.org", "203.0.113.6"))?;
    assert_eq!(wave(ADDRESSES - 999, ADDRESSES)?, 1000);
    assert_eq!(reported(&mut admin, "credential_stuffing")?, 1, "once in the period");
    assert_eq!(events(&mut admin, "event_type = 'access_blocked'")?, 0);
    judge::server_is_content(cluster, "stuffing")
}

/// One password for many accounts from one address.
#[test]
fn spraying_from_one_network() -> Result<()> {
    let (cluster, mut admin) = site("spraying")?;
    let there = "198.51.100.7";
    enter(&mut admin, person("kim@example.org", there))?;
    let spray = "SELECT 'p' || i || '@example.org' AS email, inet '198.51.100.7' AS address
        FROM generate_series(1, 300) AS i";
    assert_eq!(attack(&mut admin, spray)?, NETWORK_LIMIT);
    assert_eq!(reported(&mut admin, "password_spraying")?, 1);
    assert_eq!(events(&mut admin, "event_type = 'access_blocked'")?, 1);
    check(&mut admin, person("eve@example.org", there))?.is_blocked_by("network")?;
    check(&mut admin, person(ADA, there))?.is_blocked_by("network")?;

    // Whom one knows gets in from there: by the device, and by the network itself.
    enter(&mut admin, ada_with_phone(there))?;
    enter(&mut admin, person("kim@example.org", there))?;
    check(&mut admin, person("eve@example.org", there))?.is_blocked_by("network")?;
    enter(&mut admin, person("p1@example.org", "198.51.100.8"))?;
    assert_eq!(attack(&mut admin, spray)?, 0);
    assert_eq!(reported(&mut admin, "password_spraying")?, 1, "once in the window");
    assert_eq!(events(&mut admin, "event_type = 'access_blocked'")?, 1);

    // Where that is expected, the network does not count, the accounts do.
    run(&mut admin, "SELECT audit.allow_network('203.0.113.0/24', 'the office')")?;
    let office = spray.replace("198.51.100.7", "203.0.113.9");
    assert_eq!(attack(&mut admin, &office)?, 300);
    assert_eq!(reported(&mut admin, "password_spraying")?, 1);
    run(&mut admin, "SELECT audit.disallow_network('203.0.113.0/24', 'moved')")?;
    check(&mut admin, person("eve@example.org", "203.0.113.9"))?.is_blocked_by("network")?;
    judge::server_is_content(cluster, "spraying")
}

/// One guess every fourteen minutes, which no window of fifteen sees as more than two: a hundred in a day are
/// the end of it.
#[test]
fn slow_drip() -> Result<()> {
    let (_cluster, mut admin) = site("drip")?;
    let drip = "BEGIN;
        SELECT audit.begin_restore('a day of guesses');
        INSERT INTO audit.security_events (logged_at, event_type, outcome, description, email, ip_address,
            actor_role, login_role, transaction_id)
        SELECT now() - (i * interval '14.2 minutes'), 'login_failed', 'failure', 'wrong password',
            'eve@example.org', inet '11.0.0.0' + i, 'postgres', 'postgres', 1
        FROM generate_series(1, 99) AS i;
        INSERT INTO audit.security_events (logged_at, event_type, description, email, ip_address,
            actor_role, login_role, transaction_id)
        SELECT now() - interval '26 hours', 'login_success', 'in', 'eve@example.org', '192.0.2.2',
            'postgres', 'postgres', 1;
        SELECT audit.rebuild_login_counters();
        COMMIT";
    run(&mut admin, drip)?;
    let eve = |address| person("eve@example.org", address);
    check(&mut admin, eve("12.0.0.1"))?.is_free()?;
    assert!(guess(&mut admin, eve("12.0.0.2"))?, "the hundredth");
    check(&mut admin, eve("12.0.0.3"))?.is_blocked_by("account")?;
    assert!(!guess(&mut admin, eve("12.0.0.4"))?);
    assert!(!guess(&mut admin, eve("12.0.0.5"))?);
    assert_eq!(reported(&mut admin, "slow_guessing")?, 1);
    let seed = "SELECT audit.should_block_login('eve@example.org', '12.0.0.6')";
    assert!(!admin.query_one(seed, &[])?.try_get::<_, bool>(0)?, "the window alone");
    // From where she was in yesterday she gets in, and the guesses stay out.
    check(&mut admin, eve("192.0.2.2"))?.is_free()?;
    enter(&mut admin, eve("192.0.2.2"))?;
    check(&mut admin, eve("12.0.0.7"))?.is_blocked_by("account")
}

/// Somebody locks a person out on purpose, and goes on all the time.
#[test]
fn lockout_of_a_known_person() -> Result<()> {
    let (cluster, mut admin) = site("lockout")?;
    let guesses = |from: i32| {
        format!(
            "SELECT 'ada@example.org' AS email, '11.0.{from}.0'::inet + i AS address
             FROM generate_series(1, 200) AS i"
        )
    };
    let limit = i32::try_from(LIMIT)?;
    assert_eq!(attack(&mut admin, &guesses(1))?, limit);
    for (round, known) in
        [person(ADA, HOME), ada_with_phone("203.0.113.80"), ada_with_phone(HOME)].into_iter().enumerate()
    {
        check(&mut admin, known)?.is_free().map_err(|e| format!("{known:?}: {e}"))?;
        enter(&mut admin, known)?;
        // That she got in is no help to the attacker.
        check(&mut admin, person(ADA, "11.0.9.9"))?.is_blocked_by("account")?;
        assert_eq!(attack(&mut admin, &guesses(2 + i32::try_from(round)?))?, 0);
        check(&mut admin, known)?.is_free()?;
    }
    // A device that nobody knows is nobody's device.
    let other = Person { email: ADA, address: "11.0.9.9", device: Some("another phone") };
    check(&mut admin, other)?.is_blocked_by("account")?;
    // The network of her phone is known by now, another device there is not another budget.
    check(&mut admin, person(ADA, "203.0.113.80"))?.is_free()?;
    // Her own mistakes count, and leave the other ways open.
    for _ in 0..LIMIT {
        assert!(guess(&mut admin, ada_with_phone("203.0.113.81"))?);
    }
    check(&mut admin, ada_with_phone(HOME))?.is_blocked_by("device")?;
    check(&mut admin, person(ADA, HOME))?.is_free()?;
    assert_eq!(events(&mut admin, "event_type = 'access_blocked'")?, 1, "one block of the account");
    run(&mut admin, "SELECT audit.unlock_login('ada@example.org', 'called in')")?;
    check(&mut admin, person(ADA, "11.0.9.9"))?.is_free()?;
    judge::server_is_content(cluster, "lockout")
}

#[test]
fn ten_thousand_addresses_of_one_customer() -> Result<()> {
    let (cluster, mut admin) = site("customer")?;
    let tries = format!(
        "SELECT 'p' || i || '@example.org' AS email, ('2001:db8:7:1:' || to_hex(i) || '::' || to_hex(i))::inet
             AS address
         FROM generate_series(1, {ADDRESSES}) AS i"
    );
    assert_eq!(attack(&mut admin, &tries)?, NETWORK_LIMIT);
    let networks = "SELECT count(*) FROM audit.login_networks WHERE network <<= '2001:db8::/32'";
    assert_eq!(admin.query_one(networks, &[])?.try_get::<_, i64>(0)?, 1);
    assert_eq!(events(&mut admin, "event_type = 'access_blocked'")?, 1);
    check(&mut admin, person("eve@example.org", "2001:db8:7:2::1"))?.is_free()?;
    // One address in two spellings is one address.
    let mapped = "SELECT i || '@example.org' AS email,
            CASE i % 2 WHEN 0 THEN '198.51.100.9' ELSE '::ffff:198.51.100.9' END::inet AS address
        FROM generate_series(1, 50) AS i";
    assert_eq!(attack(&mut admin, mapped)?, NETWORK_LIMIT);
    judge::server_is_content(cluster, "customer")
}

/// A block leaves one row, however many tries it stops, and they leave nothing.
#[test]
fn flood_of_blocked_tries() -> Result<()> {
    let (cluster, mut admin) = site("flood")?;
    let ada = "SELECT 'ada@example.org' AS email, '11.0.0.0'::inet + i AS address
        FROM generate_series(1, 5000) AS i";
    let network = "SELECT i || '@example.org' AS email, inet '198.51.100.9' AS address
        FROM generate_series(1, 5000) AS i";
    let rows =
        "SELECT (SELECT count(*) FROM audit.login_counters), (SELECT count(*) FROM audit.login_networks),
        (SELECT count(*) FROM audit.login_attempts)";
    let rows = |client: &mut Client| -> Result<[i64; 3]> {
        let row = client.query_one(rows, &[])?;
        Ok([row.try_get(0)?, row.try_get(1)?, row.try_get(2)?])
    };
    for (tries, limit, blocks) in [(ada, i32::try_from(LIMIT)?, 1), (network, NETWORK_LIMIT, 2)] {
        assert_eq!(attack(&mut admin, &tries.replace("5000", "20"))?, limit, "{tries}");
        let (before, keys) = (events(&mut admin, "true")?, rows(&mut admin)?);
        assert_eq!(attack(&mut admin, tries)?, 0, "{tries}");
        assert_eq!(events(&mut admin, "true")?, before, "{tries}");
        assert_eq!(rows(&mut admin)?, keys, "{tries}");
        assert_eq!(events(&mut admin, "event_type = 'access_blocked'")?, blocks, "{tries}");
    }
    run(&mut admin, "BEGIN")?;
    begin(&mut admin, person(ADA, "11.9.9.9"))?.is_blocked_by("account")?;
    begin(&mut admin, person("eve@example.org", "198.51.100.9"))?.is_blocked_by("network")?;
    let written = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL";
    assert!(!admin.query_one(written, &[])?.try_get::<_, bool>(0)?, "a blocked try writes");
    run(&mut admin, "COMMIT")?;
    judge::server_is_content(cluster, "flood")
}

/// E-mails that nobody has, from addresses that nobody has: the counters stay within bounds, and what blocks
/// goes on blocking.
#[test]
fn random_emails_do_not_fill_the_disk() -> Result<()> {
    let (cluster, mut admin) = site("random")?;
    run(&mut admin, "ALTER DATABASE random SET audit_guard.login_max_keys = 1000")?;
    let mut attackers = sessions(cluster, "random", 2)?;
    let blocked = "SELECT 'blocked' || i % 10 || '@example.org' AS email, '11.0.0.0'::inet + i AS address
        FROM generate_series(1, 50) AS i";
    assert_eq!(attack(&mut admin, blocked)?, 50);
    let network = "SELECT 'q' || i || '@example.org' AS email, inet '198.51.100.9' AS address
        FROM generate_series(1, 20) AS i";
    assert_eq!(attack(&mut admin, network)?, NETWORK_LIMIT);
    let inside = at_once(&mut attackers, |number, client| {
        let tries = format!(
            "SELECT md5(i::text) || '@example.org' AS email, '12.0.0.0'::inet + i * 3 AS address
             FROM generate_series(1, {ADDRESSES}) AS i WHERE i % 2 = {number}"
        );
        attack(client, &tries)
    })?;
    assert_eq!(inside.iter().sum::<i32>(), ADDRESSES);
    for table in ["login_counters", "login_networks"] {
        let keys: i64 = admin.query_one(&format!("SELECT count(*) FROM audit.{table}"), &[])?.try_get(0)?;
        let bytes = format!("SELECT pg_total_relation_size('audit.{table}')");
        let bytes: i64 = admin.query_one(&bytes, &[])?.try_get(0)?;
        println!("{table}: {keys} keys, {bytes} bytes");
        // Far fewer would mean that the flood makes it forget failures that count.
        assert!((500..5000).contains(&keys), "{keys} keys in {table}");
        assert!(bytes < 2_000_000, "{bytes} bytes of {table}");
    }
    for number in 0..10 {
        let email = format!("blocked{number}@example.org");
        check(&mut admin, person(&email, "203.0.113.9"))?.is_blocked_by("account")?;
    }
    check(&mut admin, person("eve@example.org", "198.51.100.9"))?.is_blocked_by("network")?;
    let known = Person { email: ADA, address: HOME, device: Some("phone") };
    for number in 0..LIMIT {
        assert!(guess(&mut admin, person(ADA, &format!("11.5.0.{number}")))?);
    }
    check(&mut admin, known)?.is_free()?;
    judge::server_is_content(cluster, "random")
}
