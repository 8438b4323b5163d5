//! A superuser without scruples changes what is stored: every column of every table that has evidence in it,
//! in every way that its type knows. Each change is found, and named to the row.

use audit_guard_e2e::Result;
use audit_guard_e2e::ledger::{Finding, verdict_is};
use audit_guard_e2e::steps::run;
use audit_guard_e2e::tamper::{cells, ledger, tried, unguarded};
/// Every change is tried on one version; on the others, whose libraries are built for debugging, one of four
/// is.
fn share() -> usize {
    match std::env::var("AG_PG_VERSION").as_deref() {
        Ok("16" | "18") => 4,
        _ => 1,
    }
}

/// What a change of one column must lead to: the row, and where its place in the tree changes, its old place.
fn named(found: &[Finding], stream: &str, id: &str, column: &str, number: &str) -> Result<()> {
    let of_row = |code: &str, id: &str| {
        found
            .iter()
            .any(|f| f.code == code && f.stream.as_deref() == Some(stream) && f.id.as_deref() == Some(id))
    };
    let is_found = if column == number || column == "transaction_id" {
        of_row("missing", id) && found.iter().any(|f| ["orphan", "modified"].contains(&f.code.as_str()))
            || of_row("missing", id) && found[0].detail.contains("not sealed yet")
    } else {
        of_row("modified", id) || (column == "redaction" && of_row("unauthorised_redaction", id))
    };
    let is_precise = found
        .iter()
        .skip(1)
        .all(|f| f.stream.as_deref() == Some(stream) && (f.id.as_deref() == Some(id) || f.code == "orphan"));
    if is_found && is_precise { Ok(()) } else { Err(format!("{found:?}").into()) }
}

#[test]
fn every_cell_of_every_stream() -> Result<()> {
    let (_cluster, mut client, note) = ledger()?;
    let streams = client.query(
        "SELECT stream, format('%I.%I', table_schema, table_name), number_column FROM audit.ledger_streams",
        &[],
    )?;
    unguarded(&mut client)?;
    let (mut tries, mut wrong) = (0, Vec::new());
    for row in &streams {
        let (stream, table, number): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        for cell in cells(&mut client, &table)?.iter().step_by(share()) {
            // A row with a value, if there is any, and not always the first.
            let query = format!(
                "SELECT {number}::text FROM {table} ORDER BY {} IS NULL, {number} % 3 <> 2, {number} LIMIT 1",
                cell.column
            );
            let id: String = client.query_one(&query, &[])?.try_get(0)?;
            let Some(found) = tried(&mut client, &cell.update(&format!("{number} = {id}")), &note)? else {
                continue;
            };
            tries += 1;
            if let Err(why) = named(&found, &stream, &id, &cell.column, &number) {
                wrong.push(format!("{table} {id}: {} = {}: {why}", cell.column, cell.value));
            }
        }
    }
    run(&mut client, "ROLLBACK")?;
    verdict_is(&mut client, Some(&note), "ok")?;
    println!("{tries} changes of single values");
    assert!(wrong.is_empty(), "{} of {tries}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tries > 400 / share(), "only {tries} changes were possible");
    Ok(())
}

/// Tables of the ledger with evidence, and their columns that are none: no hash has them, and a verification
/// concludes nothing from them. Those of incarnations and the transaction of a seal tell whether this is the
/// database that sealed last: sealing stops when they are wrong. Signed checkpoints count where they are kept
/// elsewhere.
const EVIDENCE: &[(&str, &[&str])] = &[
    ("audit.seals", &["hints", "transaction_id"]),
    ("audit.ledger_subtrees", &[]),
    ("audit.ledger_schemas", &["registered_at"]),
    // What can be erased is in the definitions, too, and the rows that are sealed have theirs.
    ("audit.ledger_streams", &["erasable", "is_builtin"]),
    (
        "audit.ledger_incarnations",
        &[
            "kind",
            // The first life has none, and what is no number is none.
            "floors",
            "system_identifier",
            "database_oid",
            "started_at",
            "reason",
            "first_seal",
            "start_snapshot",
            "transaction_id",
        ],
    ),
    ("audit.checkpoints", &["id", "key_name", "imported_at", "imported_by"]),
];
/// No note is stored as no note or as an empty one, and a note may lack its last newline: the same to the hash
/// and to the signature.
const THE_SAME: &[(&str, &str)] = &[("checkpoint_note", "''"), ("note", "left(note, -1)")];

#[test]
fn every_cell_of_the_tree() -> Result<()> {
    let (_cluster, mut client, note) = ledger()?;
    unguarded(&mut client)?;
    let (mut tries, mut missed) = (0, Vec::new());
    for (table, no_evidence) in EVIDENCE {
        let key = format!("SELECT ctid::text FROM {table} AS t ORDER BY t::text COLLATE \"C\"");
        let rows: Vec<String> = client.query(&key, &[])?.iter().map(|row| row.get(0)).collect();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Err(format!("{table} is empty").into());
        };
        for row in if first == last { vec![first] } else { vec![first, last] } {
            for cell in cells(&mut client, table)?.iter().step_by(share()) {
                let is_same = THE_SAME.contains(&(cell.column.as_str(), cell.value.trim()));
                if is_same || no_evidence.contains(&cell.column.as_str()) {
                    continue;
                }
                let found = match tried(&mut client, &cell.update(&format!("ctid = '{row}'")), &note) {
                    Ok(Some(found)) => found,
                    Ok(None) => continue,
                    Err(e) => {
                        missed.push(format!("{:.500}", e.to_string()));
                        run(&mut client, "ROLLBACK TO change; RELEASE change")?;
                        continue;
                    }
                };
                tries += 1;
                if found[0].code == "ok" {
                    missed.push(format!("{table} {row}: {} = {}", cell.column, cell.value));
                }
            }
        }
    }
    run(&mut client, "ROLLBACK")?;
    verdict_is(&mut client, Some(&note), "ok")?;
    assert!(missed.is_empty(), "{} of {tries} are not found:\n{}", missed.len(), missed.join("\n"));
    assert!(tries > 200 / share(), "only {tries} changes were possible");
    Ok(())
}
