//! What a superuser without scruples does to rows, seals and the tables around them, with every guard
//! switched off: each is found under its name, with the row that it is about.

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;
use audit_guard_e2e::ledger::{Finding, Witness, seal_all, verdict_is, with_history};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::tamper::{SETTINGS, ledger, tried, unguarded};
use postgres::Client;

/// A copy of row 3 of the log, with some columns changed.
macro_rules! copy_of_row {
    ($changes:literal) => {
        concat!(
            "INSERT INTO audit.audit_log SELECT (jsonb_populate_record(l, ",
            $changes,
            ")).* FROM audit.audit_log AS l WHERE id = 3"
        )
    };
}

/// What is done, and findings that must be there: code, stream, row. Of a stream without a row only the
/// stream is named, as of whole months; without a stream it is about seals.
type Attack = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

const ATTACKS: &[Attack] = &[
    // Rows taken away.
    ("DELETE FROM audit.audit_log WHERE id = 3", &[("missing", "audit_log", "3")]),
    (
        "DELETE FROM audit.audit_log WHERE id IN (1, 4)",
        &[("missing", "audit_log", "1"), ("missing", "audit_log", "4")],
    ),
    ("DELETE FROM audit.guard_events WHERE id = 1", &[("missing", "guard_events", "1")]),
    ("DELETE FROM audit.hold_releases", &[("missing", "hold_releases", "1")]),
    (
        "TRUNCATE audit.denied_attempts",
        &[("missing", "denied_attempts", "1"), ("missing", "denied_attempts", "3")],
    ),
    (
        "DO $$ BEGIN EXECUTE format('TRUNCATE %s', (SELECT tableoid::regclass FROM audit.audit_log WHERE
            id = 3)); END $$",
        &[("missing", "audit_log", "1"), ("missing", "audit_log", "3")],
    ),
    (
        "DO $$ BEGIN EXECUTE format('ALTER TABLE audit.audit_log DETACH PARTITION %s',
             (SELECT tableoid::regclass FROM audit.audit_log WHERE id = 3)); END $$",
        &[("missing", "audit_log", "3")],
    ),
    // Rows slipped in: beside others of their transaction, of transactions that wrote nothing, or that never
    // were.
    (copy_of_row!("'{\"id\": 1000003}'"), &[("orphan", "audit_log", "1000003")]),
    (copy_of_row!("'{\"id\": 0}'"), &[("orphan", "audit_log", "0")]),
    (copy_of_row!("'{\"id\": -3}'"), &[("orphan", "audit_log", "-3")]),
    (
        copy_of_row!("jsonb_build_object('id', 1000003, 'transaction_id', l.transaction_id - 1)"),
        &[("orphan", "audit_log", "1000003")],
    ),
    (copy_of_row!("'{\"transaction_id\": 3}'"), &[("orphan", "audit_log", "3")]),
    (copy_of_row!("'{\"transaction_id\": 1}'"), &[("orphan", "audit_log", "3")]),
    (copy_of_row!("'{\"transaction_id\": 0}'"), &[("orphan", "audit_log", "3")]),
    (copy_of_row!("'{\"transaction_id\": -7}'"), &[("orphan", "audit_log", "3")]),
    (
        "INSERT INTO audit.holds (id, table_schema, table_name, reason, placed_by, transaction_id)
         SELECT 77, table_schema, table_name, 'forged', placed_by, transaction_id
         FROM audit.holds WHERE id = 2",
        &[("orphan", "holds", "77")],
    ),
    // The same row in another month, where no key stands in its way.
    (
        copy_of_row!("jsonb_build_object('logged_at', l.logged_at + interval '1 month')"),
        &[("duplicate", "audit_log", "3")],
    ),
    (
        copy_of_row!(
            "jsonb_build_object('logged_at', l.logged_at + interval '1 month', 'login_role',
            'other')"
        ),
        &[("duplicate", "audit_log", "3")],
    ),
    // Rows moved and exchanged.
    (
        "UPDATE audit.audit_log SET logged_at = logged_at + interval '1 month' WHERE id = 3",
        &[("modified", "audit_log", "3")],
    ),
    (
        "UPDATE audit.audit_log SET id = id + 1000000 WHERE id IN (3, 4);
         UPDATE audit.audit_log SET id = 1000007 - id WHERE id > 1000000",
        &[("modified", "audit_log", "3"), ("modified", "audit_log", "4")],
    ),
    (
        "UPDATE audit.audit_log AS l SET (record_id, old_record, new_record) =
             (SELECT record_id, old_record, new_record FROM audit.audit_log WHERE id = 7 - l.id)
         WHERE id IN (3, 4)",
        &[("modified", "audit_log", "3"), ("modified", "audit_log", "4")],
    ),
    (
        "UPDATE audit.audit_log AS l SET salt = (SELECT salt FROM audit.audit_log WHERE id = 7 - l.id)
            WHERE id IN (3, 4)",
        &[("modified", "audit_log", "3"), ("modified", "audit_log", "4")],
    ),
    (
        "UPDATE audit.audit_log SET transaction_id = (SELECT max(transaction_id) FROM audit.audit_log)
            WHERE id = 3",
        &[("missing", "audit_log", "3"), ("orphan", "audit_log", "3")],
    ),
    // Rows that were erased without a word, or whose erasure is a lie.
    (
        "UPDATE audit.audit_log SET salt = NULL, redaction = '\\x0100000000' WHERE id = 3",
        &[("modified", "audit_log", "3")],
    ),
    (
        "UPDATE audit.audit_log SET salt = NULL, redaction = '\\x' WHERE id = 3",
        &[("modified", "audit_log", "3")],
    ),
    (
        "SELECT audit.redact('audit_log', '3', '{email}', 'GDPR', 'T-1');
         DELETE FROM audit.guard_events WHERE kind = 'redacted'",
        &[("unauthorised_redaction", "audit_log", "3")],
    ),
    (
        "SELECT audit.redact('audit_log', '3', '{email}', 'GDPR', 'T-1');
         UPDATE audit.guard_events SET detail = detail || '{\"id\": 4}' WHERE kind = 'redacted'",
        &[("unauthorised_redaction", "audit_log", "3")],
    ),
    (
        "SELECT audit.redact('audit_log', '3', '{email}', 'GDPR', 'T-1');
         UPDATE audit.guard_events SET detail = detail || '{\"erased\": [\"new_record.patient\"]}' WHERE
             kind = 'redacted'",
        &[("unauthorised_redaction", "audit_log", "3")],
    ),
    // A redaction that nobody may doubt, and then something in the place of what was erased.
    (
        "SELECT audit.redact('audit_log', '3', '{email}', 'GDPR', 'T-1');
         UPDATE audit.audit_log SET new_record = new_record || '{\"email\": \"other\"}' WHERE id = 3",
        &[("modified", "audit_log", "3")],
    ),
    (
        "SELECT audit.redact('audit_log', '3', '{email}', 'GDPR', 'T-1');
         UPDATE audit.audit_log SET new_record = new_record || '{\"patient\": \"other\"}' WHERE id = 3",
        &[("modified", "audit_log", "3")],
    ),
    (
        "SELECT audit.redact('audit_log', '3', '{email}', 'GDPR', 'T-1');
         UPDATE audit.audit_log SET actor_role = 'other' WHERE id = 3",
        &[("modified", "audit_log", "3")],
    ),
    (
        "SELECT audit.redact('audit_log', '3', '{email}', 'GDPR', 'T-1');
         UPDATE audit.audit_log SET redaction = set_byte(redaction, 40, get_byte(redaction, 40) # 1)
         WHERE id = 3",
        &[("modified", "audit_log", "3")],
    ),
    // Seals and what belongs to them.
    (
        "DELETE FROM audit.seals WHERE seal_no = (SELECT max(seal_no) FROM audit.seals)",
        &[("rollback", "", "")],
    ),
    ("DELETE FROM audit.seals WHERE seal_no = 1", &[("seal_gap", "", "")]),
    ("DELETE FROM audit.seals WHERE seal_no = 3", &[("seal_gap", "", "")]),
    ("TRUNCATE audit.seals, audit.ledger_subtrees", &[("rollback", "", "")]),
    ("TRUNCATE audit.seals, audit.ledger_subtrees, audit.ledger_incarnations", &[("fork", "", "")]),
    (
        "UPDATE audit.seals AS s SET (entries, leaf_hashes) =
             (SELECT entries, leaf_hashes FROM audit.seals WHERE seal_no = 5 - s.seal_no)
         WHERE seal_no IN (2, 3)",
        &[("tree_mismatch", "", "")],
    ),
    ("DELETE FROM audit.ledger_subtrees", &[("tree_mismatch", "", "")]),
    ("DELETE FROM audit.ledger_schemas", &[("unknown_schema", "", "")]),
    ("DELETE FROM audit.ledger_streams WHERE stream = 'holds'", &[("unknown_schema", "", "")]),
    (
        "CREATE TABLE audit.copy AS TABLE audit.audit_log; ALTER TABLE audit.copy OWNER TO audit_owner;
         UPDATE audit.ledger_streams SET table_name = 'copy' WHERE stream = 'audit_log';
         DELETE FROM audit.audit_log WHERE id = 3",
        &[("unknown_schema", "", "")],
    ),
    ("ALTER TABLE audit.guard_events DROP COLUMN application_name", &[("modified", "guard_events", "1")]),
    ("DELETE FROM audit.ledger_incarnations", &[("fork", "", "")]),
    // Numbers below which nothing would be looked at, in the first life and in one that never was declared.
    (
        "INSERT INTO audit.audit_log SELECT (jsonb_populate_record(l, '{\"id\": -5}')).*
             FROM audit.audit_log AS l WHERE id = 3;
         UPDATE audit.ledger_incarnations SET floors = '{\"1\": 0}'",
        &[("orphan", "audit_log", "-5")],
    ),
    (
        "DELETE FROM audit.audit_log WHERE id = 3; UPDATE audit.ledger_incarnations SET floors =
            '{\"1\": 3}'",
        &[("missing", "audit_log", "3")],
    ),
    (
        "INSERT INTO audit.audit_log SELECT (jsonb_populate_record(l, '{\"id\": 1000003}')).*
             FROM audit.audit_log AS l WHERE id = 3;
         INSERT INTO audit.ledger_incarnations SELECT (jsonb_populate_record(i,
             jsonb_build_object('incarnation', 2,
             'kind', 'declared', 'first_seal', 100, 'floors', jsonb_build_object('1', 2000000)))).*
             FROM audit.ledger_incarnations AS i",
        &[("orphan", "audit_log", "1000003")],
    ),
    (
        "DELETE FROM audit.audit_log WHERE id = 3;
         INSERT INTO audit.ledger_incarnations SELECT (jsonb_populate_record(i,
             jsonb_build_object('incarnation', 2,
             'kind', 'declared', 'first_seal', 1, 'floors', jsonb_build_object('1', 2000000)))).*
             FROM audit.ledger_incarnations AS i",
        &[("missing", "audit_log", "3")],
    ),
];

#[test]
fn each_is_found_and_named() -> Result<()> {
    let (_cluster, mut client, note) = ledger()?;
    all_are_found(&mut client, &note, ATTACKS)
}

/// A log of before, in the layout of another tool: months whose retention is over.
const LOG_OF_BEFORE: &str = "CREATE TABLE public.before (id bigserial PRIMARY KEY, record_id uuid,
         old_record_id uuid, op audit.operation NOT NULL, ts timestamptz NOT NULL, table_oid oid NOT NULL,
         table_schema name NOT NULL, table_name name NOT NULL, record jsonb, old_record jsonb);
     INSERT INTO public.before (record_id, op, ts, table_oid, table_schema, table_name, record)
     SELECT gen_random_uuid(), 'INSERT', date_trunc('month', now()) - interval '8 years' - i * interval
         '1 minute', 1,
            'app', 'past', jsonb_build_object('id', i) FROM generate_series(1, 20) AS i;
     SELECT * FROM audit.import_history('public.before', format => 'supa_audit')";

/// A second certificate, with a detail of its own.
macro_rules! certificate {
    ($changes:literal) => {
        concat!(
            "INSERT INTO audit.guard_events SELECT (jsonb_populate_record(e, jsonb_build_object('id', e.id
                + 1000,
                 'detail', e.detail || ",
            $changes,
            "))).* FROM audit.guard_events AS e
             WHERE kind = 'partition_expired' AND object = 'audit.audit_log'"
        )
    };
}

/// Rows that went with a certificate, and certificates that lie.
const CERTIFIED: &[Attack] = &[
    ("DELETE FROM audit.guard_events WHERE kind = 'partition_expired'", &[("missing", "audit_log", "")]),
    (
        "UPDATE audit.guard_events SET detail = detail || '{\"rows\": 19}' WHERE kind = 'partition_expired'",
        &[("missing", "audit_log", ""), ("modified", "guard_events", "")],
    ),
    (
        "UPDATE audit.guard_events SET detail = detail || '{\"to\": \"never\"}' WHERE kind =
            'partition_expired'",
        &[("missing", "audit_log", ""), ("modified", "guard_events", "")],
    ),
    (
        "UPDATE audit.guard_events SET object = 'audit.guard_events' WHERE kind = 'partition_expired'",
        &[("missing", "audit_log", ""), ("modified", "guard_events", "")],
    ),
    // Rows of this month, which is not over, and a certificate for it.
    (
        concat!(
            "DELETE FROM audit.audit_log WHERE id = 3; ",
            certificate!(
                "jsonb_build_object('rows', 1, 'from', date_trunc('month', now()),
                     'to', date_trunc('month', now()) + interval '1 month')"
            )
        ),
        &[("premature_prune", "audit_log", "")],
    ),
    // One for all times, made by copying one that is right.
    (
        concat!(
            "DELETE FROM audit.audit_log WHERE id = 3; ",
            certificate!(
                "jsonb_build_object('rows', 1000, 'from', NULL, 'to', date_trunc('month', now(), 'UTC') + interval '1 month')"
            )
        ),
        &[("premature_prune", "audit_log", "")],
    ),
];

#[test]
fn certificates_that_lie() -> Result<()> {
    let cluster = Cluster::start(SETTINGS)?;
    let mut client = cluster.database("app")?;
    with_history(&mut client)?;
    run(&mut client, LOG_OF_BEFORE)?;
    seal_all(&mut client)?;
    run(&mut client, "SELECT * FROM audit.apply_retention(100000)")?;
    let left = "SELECT count(*) FROM audit.audit_log WHERE table_name = 'past'";
    assert_eq!(client.query_one(left, &[])?.try_get::<_, i64>(0)?, 0, "rows whose retention is over");
    let witness = Witness::new()?;
    witness.is_trusted_by(&mut client)?;
    seal_all(&mut client)?;
    let note = witness.sign_head(&mut client)?;
    verdict_is(&mut client, Some(&note), "ok")?;
    all_are_found(&mut client, &note, CERTIFIED)
}

fn all_are_found(client: &mut Client, note: &str, attacks: &[Attack]) -> Result<()> {
    unguarded(client)?;
    let mut wrong = Vec::new();
    for (attack, expected) in attacks {
        match tried(client, attack, note) {
            Ok(Some(found)) if expected.iter().all(|finding| has(&found, finding)) => {}
            Ok(found) => {
                let lines: Vec<Finding> = found.into_iter().flatten().take(6).collect();
                wrong.push(format!("{attack}\n  should find {expected:?} and finds {lines:?}"));
            }
            Err(e) => {
                wrong.push(format!("{:.700}", e.to_string()));
                run(client, "ROLLBACK TO change; RELEASE change")?;
            }
        }
    }
    run(client, "ROLLBACK")?;
    verdict_is(client, Some(note), "ok")?;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attacks.len(), wrong.join("\n"));
    Ok(())
}

fn has(found: &[Finding], (code, stream, id): &(&str, &str, &str)) -> bool {
    found.iter().skip(1).any(|f| {
        f.code == *code
            && (stream.is_empty() || f.stream.as_deref() == Some(*stream))
            && (id.is_empty() || f.id.as_deref() == Some(*id))
    })
}
