//! Judgements of a stored log that need nothing but the log itself and the server's own checks.

use postgres::Client;

use crate::Result;
use crate::cluster::Cluster;

/// Rules every stored row obeys; each query counts the rows that break one.
const RULES: &[(&str, &str)] = &[
    ("ids are unique", "SELECT count(*) - count(DISTINCT id) FROM audit.audit_log"),
    ("salts are unique and there", "SELECT count(*) - count(DISTINCT salt) FROM audit.audit_log"),
    ("nothing is redacted", "SELECT count(*) FROM audit.audit_log WHERE redaction IS NOT NULL"),
    (
        "changed_fields belongs to UPDATE only",
        "SELECT count(*) FROM audit.audit_log WHERE (operation = 'UPDATE') <> (changed_fields IS NOT NULL)",
    ),
    (
        "an UPDATE names at least one changed field, each once",
        "SELECT count(*) FROM audit.audit_log WHERE operation = 'UPDATE' AND
             cardinality(changed_fields) IS DISTINCT FROM (SELECT nullif(count(DISTINCT f), 0)
                 FROM unnest(changed_fields) f)",
    ),
    (
        "images fit the operation",
        "SELECT count(*) FROM audit.audit_log
         WHERE (old_record IS NOT NULL, new_record IS NOT NULL) IS DISTINCT FROM
             (operation IN ('UPDATE', 'DELETE') OR (operation = 'TRUNCATE' AND old_record IS NOT NULL),
              operation IN ('UPDATE', 'INSERT'))",
    ),
    (
        "old_record_id says something new",
        "SELECT count(*) FROM audit.audit_log WHERE old_record_id = record_id
             OR (old_record_id IS NOT NULL AND operation <> 'UPDATE')",
    ),
    (
        "nothing captured comes from the future",
        "SELECT count(*) FROM audit.audit_log WHERE NOT coalesce(context ? 'imported_from', false)
             AND logged_at > clock_timestamp()",
    ),
    ("outcome is success", "SELECT count(*) FROM audit.audit_log WHERE outcome <> 'success'"),
];

/// Numbers of transactions start anew with each cluster, so this is asked only where the log was written.
const OWN_TRANSACTIONS: (&str, &str) = (
    "every change was captured in a transaction of this cluster",
    "SELECT count(*) FROM audit.audit_log WHERE NOT coalesce(context ? 'imported_from', false)
         AND transaction_id >= pg_current_xact_id()::text::bigint",
);

/// Makes the planner read the heap, and then the index where there is any that serves.
const BY_HEAP: &str = "SET enable_indexscan = off; SET enable_indexonlyscan = off;
     SET enable_bitmapscan = off";
const BY_INDEX: &str = "RESET enable_indexscan; RESET enable_indexonlyscan; RESET enable_bitmapscan;
    SET enable_seqscan = off";

/// Checks every rule, every CHECK, NOT NULL and bound of every leaf, and that each index of a leaf
/// finds as many rows as the leaf has.
pub fn log_is_sound(client: &mut Client) -> Result<()> {
    none_breaks_rule(client, OWN_TRANSACTIONS)?;
    log_from_elsewhere_is_sound(client)
}

/// The same for a log that was restored from another cluster.
pub fn log_from_elsewhere_is_sound(client: &mut Client) -> Result<()> {
    for rule in RULES {
        none_breaks_rule(client, *rule)?;
    }
    let leaves = client.query(
        "SELECT inhrelid::regclass::text, pg_get_partition_constraintdef(inhrelid) FROM pg_inherits
         WHERE inhparent = 'audit.audit_log'::regclass",
        &[],
    )?;
    if leaves.len() < 3 {
        return Err(format!("the log has {} leaves", leaves.len()).into());
    }
    for row in leaves {
        let (leaf, bounds): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        none_breaks(client, &leaf, &bounds)?;
        let rules = client.query(
            "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conrelid = $1::text::regclass
                 AND contype = 'c'
             UNION ALL SELECT format('%I IS NOT NULL', attname) FROM pg_attribute
             WHERE attrelid = $1::text::regclass AND attnotnull AND attnum > 0",
            &[&leaf],
        )?;
        if rules.len() < 5 {
            return Err(format!("{leaf} has {} rules only", rules.len()).into());
        }
        for rule in rules {
            none_breaks(client, &leaf, rule.try_get(0)?)?;
        }
        indexes_agree(client, &leaf)?;
    }
    Ok(())
}

fn none_breaks_rule(client: &mut Client, (rule, query): (&str, &str)) -> Result<()> {
    let broken: i64 = client.query_one(query, &[])?.try_get(0)?;
    if broken == 0 { Ok(()) } else { Err(format!("{broken} log rows break: {rule}").into()) }
}

fn none_breaks(client: &mut Client, leaf: &str, rule: &str) -> Result<()> {
    let query = format!("SELECT count(*) FROM {leaf} WHERE ({rule}) IS FALSE");
    let broken: i64 = client.query_one(&query, &[])?.try_get(0)?;
    if broken == 0 { Ok(()) } else { Err(format!("{broken} rows of {leaf} break {rule}").into()) }
}

/// Every row found by a sequential scan must be found through each B-tree of the leaf as well.
fn indexes_agree(client: &mut Client, leaf: &str) -> Result<()> {
    let checks = [
        ("primary key", "SELECT transaction_id, id FROM LEAF WHERE transaction_id >= 0"),
        ("record index", "SELECT record_id, table_name FROM LEAF WHERE record_id >= ''"),
        ("old record index", "SELECT old_record_id, table_name FROM LEAF WHERE old_record_id >= ''"),
    ];
    for (index, query) in checks {
        let query = query.replace("LEAF", leaf);
        let count = format!(
            "SELECT count(*), coalesce(md5(string_agg(r::text, ' ' ORDER BY r::text)), '') FROM ({query}) r"
        );
        client.batch_execute(BY_HEAP)?;
        let heap = client.query_one(&count, &[])?;
        client.batch_execute(BY_INDEX)?;
        let plan: String =
            client.query(&format!("EXPLAIN {query}"), &[])?.iter().map(|r| r.get::<_, String>(0)).collect();
        let found = client.query_one(&count, &[])?;
        client.batch_execute("RESET enable_seqscan")?;
        if !plan.contains("Index") {
            return Err(format!("no {index} to check on {leaf}: {plan}").into());
        }
        let pair = |row: &postgres::Row| -> Result<(i64, String)> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        let (heap, found) = (pair(&heap)?, pair(&found)?);
        if heap != found {
            return Err(format!("{leaf} has {heap:?}, its {index} finds {found:?}").into());
        }
    }
    Ok(())
}

/// Whether an index (named by the condition that only it can serve) finds every row of the leaf.
pub fn index_finds_all(client: &mut Client, leaf: &str, condition: &str) -> Result<()> {
    let query = format!("SELECT count(*) FROM {leaf} WHERE {condition}");
    let count = |client: &mut Client| -> Result<i64> { Ok(client.query_one(&query, &[])?.try_get(0)?) };
    client.batch_execute(BY_HEAP)?;
    let heap = count(client)?;
    client.batch_execute(BY_INDEX)?;
    let plan = client.query(&format!("EXPLAIN {query}"), &[])?;
    let plan: String = plan.iter().map(|row| row.get::<_, String>(0)).collect();
    let found = count(client)?;
    client.batch_execute("RESET enable_seqscan")?;
    if heap == 0 || !plan.contains("Index") {
        return Err(format!("nothing to check: {heap} rows with {condition}: {plan}").into());
    }
    if heap != found {
        return Err(format!("{leaf}: {heap} rows have {condition}, the index finds {found}").into());
    }
    Ok(())
}

/// The server must not have complained, about one database or in general, about anything that a user
/// cannot cause: leaks, failed invariants, dead processes. Crash tests kill on purpose and do not ask.
pub fn server_is_content(cluster: &Cluster, database: &str) -> Result<()> {
    let log = std::fs::read_to_string(cluster.dir().join("server.log"))?;
    let bad = [
        "leak",
        "not closed",
        "not owned",
        "PANIC",
        "TRAP",
        "terminated by signal",
        " XX",
        "panicked",
        "backtrace",
    ];
    let here = format!("@{database} ");
    let complaints: Vec<&str> = log
        .lines()
        .filter(|line| bad.iter().any(|b| line.contains(b)) && (!line.contains('@') || line.contains(&here)))
        .collect();
    let lines: Vec<&str> = (0..complaints.len())
        .filter(|at| !is_late_summary(&complaints, *at))
        .map(|at| complaints[at])
        .take(20)
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(format!("server log:\n{}", lines.join("\n")).into()) }
}

/// Autovacuum summarises a BRIN index when asked to by an insert; when REINDEX CONCURRENTLY has replaced
/// that index while it waited for the table's lock, it reports XX000 and goes on. No user sees it, the
/// new index has the range, and nothing but autovacuum prints this context.
fn is_late_summary(complaints: &[&str], at: usize) -> bool {
    let error = |line: &str| line.contains("XX000 ERROR:  could not open relation with OID ");
    let context = |line: &str| line.contains("XX000 CONTEXT:  processing work entry for relation ");
    let pair = |first: usize| {
        complaints.get(first).is_some_and(|line| error(line))
            && complaints.get(first + 1).is_some_and(|line| context(line))
    };
    pair(at) || at.checked_sub(1).is_some_and(pair)
}
