//! Receipts, away from the database.

use std::io::Read as _;
use std::path::Path;

use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::note::tidied;
use audit_guard_core::ledger::receipt::{Receipt, Trust, verify as verify_receipt};
use audit_guard_core::ledger::record::Record;
use audit_guard_core::ledger::verdict::{Code, Verdict};
use chrono::DateTime;

use crate::failure::{Exit, Failure, Result};
use crate::report::{grouped, one_line};
use crate::{Format, ReceiptVerify, files, keys};

/// A row of PostgreSQL has at most 1 GiB, and escapes may make more of it.
const RECEIPT_LIMIT: u64 = 7 << 30;
const NOTE_LIMIT: u64 = 1 << 20;

pub(crate) fn verify(arguments: &ReceiptVerify) -> Result<Exit> {
    for key in &arguments.key {
        keys::check_verifier_key(key)?;
    }
    let json = read(&arguments.file)?;
    let note = arguments.checkpoint.as_deref().map(|path| files::read(path, NOTE_LIMIT)).transpose()?;
    let note = note.as_deref().map(tidied);
    let keys = keys::parsed(&arguments.key);
    let trust = Trust { keys: &keys, checkpoint: note.as_deref() };
    let receipt = Receipt::parse(&json).ok();
    let verdict = verify_receipt(&json, &trust);
    let exit = match verdict.code {
        Code::Ok | Code::InternallyConsistent => Exit::Intact,
        Code::Stale | Code::UnknownSchema => Exit::Unchecked,
        _ => Exit::Tampered,
    };
    match arguments.format {
        Format::Json => {
            let document = serde_json::json!({
                "code": verdict.code.as_str(),
                "exit": exit.code(),
                "stream": verdict.stream,
                "id": verdict.id,
                "leaf_index": verdict.leaf_index,
                "detail": verdict.detail,
            });
            println!("{document:#}");
        }
        Format::Text => println!("{}", line(&verdict, receipt.as_ref(), exit)),
    }
    Ok(exit)
}

fn read(path: &Path) -> Result<String> {
    if path != Path::new("-") {
        return files::read(path, RECEIPT_LIMIT);
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(RECEIPT_LIMIT).read_to_string(&mut text);
    read.map_err(|error| Failure::file(path, &error))?;
    Ok(text)
}

/// `intact: audit_log 90211, leaf 81,002 of 812,204, ...`
fn line(verdict: &Verdict, receipt: Option<&Receipt>, exit: Exit) -> String {
    let word = match exit {
        Exit::Intact => "intact",
        Exit::Tampered => "TAMPERED",
        Exit::Usage | Exit::Unchecked => "not checked",
    };
    let mut line = match verdict.code {
        Code::Ok => word.to_owned(),
        code => format!("{word} ({})", code.as_str()),
    };
    let mut separator = ": ";
    if let (Some(stream), Some(id)) = (&verdict.stream, &verdict.id) {
        line.push_str(&format!("{separator}{} {}", one_line(stream), one_line(id)));
        separator = ", ";
    }
    let record = receipt.and_then(|receipt| Record::parse(&receipt.record.0));
    if let Some(time) = record.and_then(|record| DateTime::from_timestamp_micros(record.time)) {
        line.push_str(&format!(" of {}", time.format("%F %T UTC")));
    }
    if let Some(leaf) = verdict.leaf_index {
        line.push_str(&format!("{separator}leaf {}", grouped(leaf)));
        let checkpoint = receipt.and_then(|receipt| Checkpoint::parse_any(&receipt.checkpoint).ok());
        if let Some(checkpoint) = checkpoint {
            line.push_str(&format!(" of {}", grouped(checkpoint.size)));
        }
        separator = ", ";
    }
    line.push_str(&format!("{separator}{}", one_line(&verdict.detail)));
    if verdict.code == Code::InternallyConsistent {
        line.push_str(": --key checks who did, --checkpoint compares with one that you kept");
    }
    line
}
