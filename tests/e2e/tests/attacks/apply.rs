//! Changes that arrive by logical replication: the script runs in an unprotected copy of the database, and
//! the worker of a subscription applies it to the guarded one.

use std::thread::sleep;
use std::time::{Duration, Instant};

use audit_guard_e2e::Result;
use postgres::Client;

use crate::script::{Attack, Said};
use crate::world::{Place, UNPROTECTED, World};

/// Runs the script at a publisher and waits until the worker has applied it or given up.
pub(crate) fn run(attack: &mut Attack<'_>, source: &World) -> Result<()> {
    let publisher = source.clone_of(UNPROTECTED)?;
    let result = replicate(attack, &publisher);
    let mut client = attack.place.connect("postgres")?;
    client.batch_execute("ALTER SUBSCRIPTION attack DISABLE")?;
    // It drops the slot, too, and does that in no transaction.
    client.batch_execute("DROP SUBSCRIPTION attack")?;
    publisher.drop();
    result
}

fn replicate(attack: &mut Attack<'_>, publisher: &Place<'_>) -> Result<()> {
    let place = attack.place;
    let leaf = attack.target.words(place.log_leaf());
    let leaf = leaf.iter().find(|(name, _)| *name == "leaf").map_or("", |(_, word)| word.as_str());
    let mut there = publisher.connect("postgres")?;
    // The worker finds rows by their keys: both sides have the same rows.
    there.batch_execute(&format!("TRUNCATE {leaf}"))?;
    publisher.world.cluster.shell(&format!(
        "pg_dump -h '{}' --data-only -t {leaf} {} | psql -X -q -v ON_ERROR_STOP=1 -d {}",
        place.world.cluster.dir().display(),
        place.database,
        publisher.database
    ))?;
    there.batch_execute(&format!("CREATE PUBLICATION attack FOR TABLE {leaf}"))?;
    there.batch_execute("SELECT pg_create_logical_replication_slot('attack', 'pgoutput')")?;
    let (_, log) = place.world.logged_errors(0)?;
    let mut here = place.connect("postgres")?;
    here.batch_execute(&format!(
        "CREATE SUBSCRIPTION attack CONNECTION 'host={} port=5432 user=postgres dbname={}' PUBLICATION attack
         WITH (copy_data = off, create_slot = off, slot_name = attack, disable_on_error = on)",
        publisher.world.cluster.dir().display(),
        publisher.database
    ))?;
    for sql in attack.statements()? {
        there.batch_execute(&sql).map_err(|e| format!("{sql}: {}", crate::world::tell(&e)))?;
    }
    let applied = wait(&mut here, &mut there)?;
    let error = if applied {
        None
    } else {
        let (codes, _) = place.world.logged_errors(log)?;
        Some((codes.into_iter().next().unwrap_or_default(), "the worker has stopped".to_owned()))
    };
    attack.said.push(Said { step: "apply".to_owned(), error });
    Ok(())
}

/// Whether the worker applied everything (true) or was stopped by an error.
fn wait(here: &mut Client, there: &mut Client) -> Result<bool> {
    let end: String = there.query_one("SELECT pg_current_wal_insert_lsn()::text", &[])?.try_get(0)?;
    let applied =
        format!("SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = 'attack'");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        let enabled: bool = here.query_one("SELECT subenabled FROM pg_subscription", &[])?.try_get(0)?;
        if !enabled {
            return Ok(false);
        }
        if there.query_one(&applied, &[])?.try_get(0)? {
            return Ok(true);
        }
        sleep(Duration::from_millis(20));
    }
    let query = "SELECT string_agg(state, ', ') FROM pg_stat_activity WHERE backend_type LIKE 'logical%'";
    let doing: Option<String> = here.query_one(query, &[])?.try_get(0)?;
    Err(format!("the subscription neither applies nor fails; its workers: {doing:?}").into())
}
