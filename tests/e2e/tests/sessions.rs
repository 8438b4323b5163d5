//! Logins, questions and ends of sessions that come at the same moment: never more sessions than the limit, and
//! one event for each end.

use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::logins::{GATE, at_once, sessions};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::{Result, judge};
use postgres::Client;
use postgres::error::SqlState;

const CROWD: usize = 60;
const LIMIT: i64 = 5;
const ROUNDS: usize = 8;
const LIMITED: &[(&str, &str)] =
    &[("fsync", "off"), ("max_connections", "90"), ("audit_guard.session_limit", "5")];

fn gate(settings: &[(&str, &str)]) -> Result<(Cluster, Client, Vec<Client>)> {
    let cluster = Cluster::start(settings)?;
    let mut admin = cluster.database("app")?;
    run(&mut admin, GATE)?;
    let crowd = sessions(&cluster, "app", CROWD)?;
    Ok((cluster, admin, crowd))
}

fn number(client: &mut Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(sql, &[])?.try_get(0)?)
}

/// How many sessions were made when all log in at the same moment; whoever is refused, is so by the limit.
fn logins(crowd: &mut [Client], subject: &str) -> Result<i64> {
    let call = format!("SELECT audit.create_user_session(subject => '{subject}', ip_address => '192.0.2.1')");
    let made = at_once(crowd, |_, client| match client.batch_execute(&call) {
        Ok(()) => Ok(1),
        Err(e) if e.code() == Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => Ok(0),
        Err(e) => Err(e.into()),
    })?;
    Ok(made.into_iter().sum())
}

#[test]
fn never_more_than_the_limit() -> Result<()> {
    let (cluster, mut admin, mut crowd) = gate(LIMITED)?;
    for policy in ["reject_new", "end_oldest", "end_least_recent"] {
        run(&mut admin, &format!("ALTER DATABASE app SET audit_guard.session_limit_policy = '{policy}'"))?;
        crowd = sessions_again(&cluster, crowd)?;
        for round in 0..ROUNDS {
            let subject = format!("{policy} {round}");
            let made = logins(&mut crowd, &subject)?;
            let expected = if policy == "reject_new" { LIMIT } else { i64::try_from(CROWD)? };
            assert_eq!(made, expected, "{subject}");
            let of_person = format!("subject = '{subject}'");
            let alive = format!("SELECT count(*) FROM audit.active_sessions WHERE {of_person}");
            assert_eq!(number(&mut admin, &alive)?, LIMIT, "{subject}");
            let ended = format!(
                "SELECT count(*) FROM audit.security_events
                 WHERE {of_person} AND event_type = 'session_terminated' AND metadata ->> 'reason' = 'replaced'"
            );
            assert_eq!(number(&mut admin, &ended)?, made - LIMIT, "{subject}: one event for each end");
        }
    }
    judge::server_is_content(&cluster, "app")
}

/// New connections, which have the settings of the database as they are now.
fn sessions_again(cluster: &Cluster, before: Vec<Client>) -> Result<Vec<Client>> {
    let number = before.len();
    for client in before {
        client.close()?;
    }
    sessions(cluster, "app", number)
}

/// All ask about, use and end the same sessions: nobody gets an error, each session ends once.
#[test]
fn ended_once_whoever_ends_it() -> Result<()> {
    let (cluster, mut admin, mut crowd) = gate(&[("fsync", "off"), ("max_connections", "90")])?;
    run(&mut admin, "ALTER DATABASE app SET audit_guard.session_touch_interval = 0")?;
    crowd = sessions_again(&cluster, crowd)?;
    for round in 0..ROUNDS {
        let rows = admin.query(
            "SELECT audit.create_user_session(subject => $1, ip_address => '192.0.2.1')::text
             FROM generate_series(1, 10)",
            &[&format!("p{round}")],
        )?;
        let ids = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<String>>>()?;
        let ids = &ids;
        let ended = at_once(&mut crowd, |who, client| {
            let mut ended = 0;
            // Half of them the other way round.
            let order: Vec<_> =
                if who.is_multiple_of(2) { ids.iter().collect() } else { ids.iter().rev().collect() };
            for id in order {
                let call = match who % 6 {
                    0 | 1 => format!("SELECT (audit.validate_session('{id}', '192.0.2.9', 'x')).status = ''"),
                    2 => format!("SELECT NOT audit.update_session_activity('{id}') AND false"),
                    3 => "SELECT audit.expire_sessions() > 0".to_owned(),
                    _ => format!("SELECT audit.terminate_session('{id}')"),
                };
                let is_mine: bool = client.query_one(&call, &[])?.try_get(0)?;
                ended += i64::from(is_mine);
            }
            Ok(ended)
        })?;
        assert_eq!(ended.into_iter().sum::<i64>(), 10, "round {round}: each is ended by one call");
        let events = format!(
            "SELECT count(DISTINCT session_id) FROM audit.security_events
             WHERE subject = 'p{round}' AND event_type = 'session_terminated'"
        );
        assert_eq!(number(&mut admin, &events)?, 10, "round {round}");
        let doubled = format!(
            "SELECT count(*) FROM (SELECT FROM audit.security_events WHERE subject = 'p{round}'
                 GROUP BY session_id, event_type, metadata ->> 'kind' HAVING count(*) > 1) AS doubled"
        );
        assert_eq!(number(&mut admin, &doubled)?, 0, "round {round}: no event twice");
    }
    judge::server_is_content(&cluster, "app")
}
