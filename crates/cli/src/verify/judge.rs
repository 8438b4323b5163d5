//! What the findings come to.

use std::collections::{BTreeMap, BTreeSet};

use audit_guard_core::ledger::value::Value;

use super::slice::Months;
use super::tally::{Redacted, Tally};
use super::{Outcome, Subject};
use crate::Verify;
use crate::facts::Event;
use crate::failure::Exit;
use crate::report::{Finding, Report, grouped, one_line};

const WITHOUT_CHECKPOINT: &str = "without a checkpoint from elsewhere this does not show that the ledger was \
    not rewritten as a whole: give --checkpoint";

pub(super) fn print(outcome: Outcome, arguments: &Verify) -> Exit {
    let Outcome { subject, mut tally, size, remarks } = outcome;
    let mut report = Report::new(tally.rows, tally.leaves, remarks);
    let vouched = checkpoints(&subject, &tally, size, &mut report);
    gaps(&subject, &mut report);
    let waiting = tally.events.iter().filter(|event| !event.is_sealed).count() as u64;
    let excused = redactions(&subject, &mut tally);
    let removed = certificates(&subject, &mut tally);
    for schema_no in &tally.unknown_schemas {
        report.push(Finding::new(
            "unknown_schema",
            format!("schema {schema_no} is not registered, or cannot be read"),
        ));
    }
    for orphan in &tally.orphans {
        report.push(Finding {
            stream: Some(subject.facts.stream_name(orphan.stream_no)),
            id: Some(orphan.number.to_string()),
            ..Finding::new(
                "orphan",
                format!("the row of transaction {} is in no seal", orphan.transaction_id),
            )
        });
    }
    let told = tally.findings.len() as u64;
    tally.findings.sort_by_key(|finding| finding.leaf_index);
    tally.findings.into_iter().for_each(|finding| report.push(finding));
    report.add_untold(tally.findings_total.saturating_sub(told));
    if tally.leaves != size {
        let detail =
            format!("{} leaves were found, and the last seal says {}", grouped(tally.leaves), grouped(size));
        report.push(Finding::new("seal_gap", detail));
    }
    if excused > 0 {
        report.remarks.push(format!("{} authorised redactions", grouped(excused)));
    }
    if waiting > 0 {
        let what = "events about erased or removed rows count, though they are not sealed yet";
        report.remarks.push(format!("{} {what}", grouped(waiting)));
    }
    if removed > 0 {
        report.remarks.push(format!("{} rows went with their month, as certified", grouped(removed)));
    }
    if !subject.selection.is_everything() {
        report.remarks.push("only a part of the rows was looked at".to_owned());
    }
    let (good, summary) = match vouched {
        Some((vouched_size, who)) => {
            if arguments.key.is_empty() {
                report.remarks.push(
                    "the key is one that the ledger itself names: --key takes one that you know".into(),
                );
            }
            if vouched_size < size {
                report.remarks.push(format!(
                    "the {} leaves after it are only consistent with themselves",
                    grouped(size - vouched_size)
                ));
            }
            (
                "ok",
                format!("{} rows; leaves 0..{} agree with {who}", grouped(tally.rows), grouped(vouched_size)),
            )
        }
        None => {
            if report.is_intact() {
                report.remarks.push(WITHOUT_CHECKPOINT.to_owned());
            }
            ("internally_consistent", format!("{} rows, {} leaves", grouped(tally.rows), grouped(size)))
        }
    };
    report.print(arguments.format, good, &summary)
}

/// Judges the checkpoints that were given. Returns the largest size that a signed one vouches for, and whose
/// it is.
fn checkpoints(subject: &Subject, tally: &Tally, size: u64, report: &mut Report) -> Option<(u64, String)> {
    let mut vouched: Option<(u64, String)> = None;
    for (place, claim) in subject.claims.iter().enumerate() {
        let named = format!("{} ({} leaves)", claim.source, grouped(claim.size));
        let is_ours = subject.facts.incarnations.iter().any(|known| known.origin == claim.origin);
        let holds = match claim.size {
            0 => claim.root == audit_guard_core::ledger::tree::empty_root(),
            _ => tally.claims.get(&place).copied().unwrap_or(false),
        };
        if !is_ours {
            let detail = format!("{named} is of {}, which this ledger never was", one_line(&claim.origin));
            report.push(Finding::new("fork", detail));
        } else if claim.size > size {
            let detail = format!("{named} is larger than the ledger, which has {}", grouped(size));
            report.push(Finding::new("rollback", detail));
        } else if !holds {
            report.push(Finding::new("fork", format!("{named} has another root than these leaves")));
        }
        match &claim.signer {
            None => {
                report.push(Finding::new("bad_signature", format!("{named} is signed by none of the keys")))
            }
            Some(signer) if vouched.as_ref().is_none_or(|(size, _)| *size < claim.size) => {
                vouched = Some((claim.size, format!("{} signed by {}", claim.source, one_line(signer))));
            }
            Some(_) => {}
        }
    }
    vouched
}

/// Interruptions that somebody declared.
fn gaps(subject: &Subject, report: &mut Report) {
    for life in subject.facts.incarnations.iter().filter(|life| life.kind == "declared") {
        let reason =
            life.reason.as_deref().map_or_else(String::new, |reason| format!(": {}", one_line(reason)));
        report.push(Finding::new(
            "acknowledged_gap",
            format!("since then it is {}{reason}", one_line(&life.origin)),
        ));
    }
}

/// Judges what was erased by the events that say so; returns how many rows are excused.
fn redactions(subject: &Subject, tally: &mut Tally) -> u64 {
    let mut authorised: BTreeMap<(u16, i64), BTreeSet<String>> = BTreeMap::new();
    for event in tally.events.iter().filter(|event| event.kind == "redacted") {
        let Some(key) = redacted_row(event) else { continue };
        // Exactly what it erased; what was asked for may be more, or stand for several.
        let erased = event.detail.get("erased").and_then(|erased| erased.as_array());
        let names = erased.into_iter().flatten().filter_map(|field| field.as_str().map(str::to_owned));
        authorised.entry(key).or_default().extend(names);
    }
    let none = BTreeSet::new();
    let mut excused = 0;
    for row in std::mem::take(&mut tally.redacted) {
        let allowed = authorised.get(&(row.stream_no, row.number)).unwrap_or(&none);
        let unexcused = unexcused(&row, allowed);
        if unexcused.is_empty() {
            excused += 1;
        } else {
            tally.push(Finding {
                code: "unauthorised_redaction",
                stream: Some(subject.facts.stream_name(row.stream_no)),
                id: Some(row.number.to_string()),
                leaf_index: Some(row.leaf_index),
                field: Some(unexcused.join(", ")),
                detail: "erased, and no sealed event says so".to_owned(),
            });
        }
    }
    excused
}

/// The row that an event is about.
fn redacted_row(event: &Event) -> Option<(u16, i64)> {
    let number = |name: &str| {
        let value = event.detail.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    };
    Some((u16::try_from(number("stream_no")?).ok()?, number("id")?))
}

/// What was erased beyond what is allowed: what no event names, by itself or with its whole column, and what
/// is named once and erased twice.
fn unexcused(row: &Redacted, allowed: &BTreeSet<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = row.erased.iter().filter_map(|(column, key)| {
        let name = key.as_ref().map_or_else(|| column.clone(), |key| format!("{column}.{key}"));
        let is_allowed = allowed.contains(&name) || allowed.contains(column);
        (!seen.insert(name.clone()) || !is_allowed).then_some(name)
    });
    names.collect()
}

/// Judges months that are gone by their certificates; returns how many rows are excused.
fn certificates(subject: &Subject, tally: &mut Tally) -> u64 {
    let mut pruned = std::mem::take(&mut tally.pruned);
    let mut excused = 0;
    let events = std::mem::take(&mut tally.events);
    for event in events.iter().filter(|event| event.kind == "partition_expired") {
        let stream = subject.facts.streams.iter().find(|stream| stream.is_called(&event.object));
        let Some(stream) = stream else { continue };
        let Some(months) = Months::of(stream.stream_no, &event.detail) else { continue };
        let own: Vec<(u16, u32)> =
            pruned.keys().copied().filter(|(stream_no, month)| months.covers(*stream_no, *month)).collect();
        let gone: u64 = own.iter().filter_map(|month| pruned.remove(month)).sum();
        if gone == 0 {
            continue;
        }
        let mut accuse = |detail: String| {
            tally.push(Finding {
                stream: Some(stream.name.clone()),
                ..Finding::new("premature_prune", format!("certificate {}: {detail}", event.id))
            });
        };
        let certified = event.detail.get("rows").and_then(serde_json::Value::as_u64);
        if !had_passed(event) {
            accuse("its rows went before their retention had passed".to_owned());
        } else if subject.selection.is_everything() && certified.is_none_or(|certified| certified < gone) {
            accuse(format!(
                "{} rows are gone, it says {}",
                grouped(gone),
                certified.map_or_else(String::new, grouped)
            ));
        } else {
            excused += gone;
        }
    }
    for ((stream_no, month), rows) in pruned {
        tally.push(Finding {
            stream: Some(subject.facts.stream_name(stream_no)),
            ..Finding::new(
                "missing",
                format!(
                    "{} rows of {:04}-{:02} are gone, and their certificate is not sealed",
                    grouped(rows),
                    month / 12,
                    month % 12 + 1
                ),
            )
        });
    }
    excused
}

/// Whether the end of the removed months lay the retention behind the event, by the calendar in UTC.
fn had_passed(event: &Event) -> bool {
    let text = |name: &str| event.detail.get(name).and_then(|value| value.as_str());
    let to = text("to").and_then(|to| chrono::DateTime::parse_from_rfc3339(to).ok());
    let retention = text("retention").and_then(crate::parse::iso_interval);
    let (Some(to), Some(Value::Interval { months, days, us })) = (to, retention) else { return false };
    let end = to.to_utc().naive_utc();
    let end = match u32::try_from(months) {
        Ok(months) => end.checked_add_months(chrono::Months::new(months)),
        Err(_) => None,
    };
    let rest = chrono::TimeDelta::days(days.into()) + chrono::TimeDelta::microseconds(us);
    end.and_then(|end| end.checked_add_signed(rest))
        .is_some_and(|end| end.and_utc().timestamp_micros() <= event.logged_at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::{Facts, Stream};
    use crate::verify::Selection;

    fn subject() -> Subject {
        let stream = |stream_no, name: &str| Stream {
            stream_no,
            name: name.to_owned(),
            table_schema: "audit".to_owned(),
            table_name: name.to_owned(),
            number_column: "id".to_owned(),
            time_column: "logged_at".to_owned(),
        };
        let streams = vec![stream(1, "audit_log"), stream(2, "guard_events")];
        Subject {
            facts: Facts { streams, ..Facts::default() },
            schemas: BTreeMap::new(),
            months: Vec::new(),
            claims: Vec::new(),
            own_claim: None,
            selection: Selection { stream_no: None, since: None, until: None },
        }
    }

    fn event(kind: &str, logged_at: &str, detail: serde_json::Value) -> Event {
        let logged_at = crate::parse::time(logged_at).map_or(0, |time| time.timestamp_micros());
        Event {
            id: 7,
            logged_at,
            kind: kind.to_owned(),
            object: "audit.audit_log".to_owned(),
            detail,
            is_sealed: true,
        }
    }

    /// What becomes of 10 rows of May 2019 that are gone, with this certificate.
    fn with_certificate(logged_at: &str, detail: serde_json::Value) -> (u64, Vec<&'static str>) {
        let mut tally = Tally::default();
        tally.pruned.insert((1, 2019 * 12 + 4), 10);
        tally.events.push(event("partition_expired", logged_at, detail));
        let excused = certificates(&subject(), &mut tally);
        (excused, tally.findings.iter().map(|finding| finding.code).collect())
    }

    #[test]
    fn months_go_when_their_time_has_come_and_a_certificate_says_so() {
        let may = "2019-05-01T00:00:00+00:00";
        let detail =
            |to: &str, rows: u64, kept: &str| json!({"from": may, "to": to, "rows": rows, "retention": kept});
        let june = "2019-06-01T00:00:00+00:00";
        let good = detail(june, 10, "P7Y");
        assert_eq!(with_certificate("2026-06-01", good.clone()), (10, vec![]));
        assert_eq!(with_certificate("2026-05-31 23:59", good), (0, vec!["premature_prune"]));
        assert_eq!(with_certificate("2026-06-01", detail(june, 9, "P7Y")), (0, vec!["premature_prune"]));
        assert_eq!(with_certificate("2026-06-01", detail(june, 10, "seven")), (0, vec!["premature_prune"]));
        let earlier = detail(may, 10, "P7Y");
        assert_eq!(with_certificate("2026-06-01", earlier), (0, vec!["missing"]));
        let all_before = json!({"from": null, "to": june, "rows": 10, "retention": "P7Y"});
        assert_eq!(with_certificate("2026-06-01", all_before), (10, vec![]));
        assert_eq!(with_certificate("2026-06-01", json!(null)), (0, vec!["missing"]));
    }

    #[test]
    fn what_was_erased_is_what_an_event_names() {
        let cases = [
            (json!(["email"]), vec![("email", None)], true),
            (json!(["new_record.email"]), vec![("new_record", Some("email"))], true),
            (json!(["new_record"]), vec![("new_record", Some("email")), ("new_record", Some("name"))], true),
            (json!(["new_record.email"]), vec![("new_record", Some("name"))], false),
            (json!(["email"]), vec![("email", None), ("email", None)], false),
            (json!(["email"]), vec![("email", None), ("client_ip", None)], false),
            (json!("email"), vec![("email", None)], false),
        ];
        for (named, erased, is_excused) in cases {
            let mut tally = Tally::default();
            let erased = erased.iter().map(|(column, key)| ((*column).to_owned(), key.map(str::to_owned)));
            tally.redacted.push(Redacted {
                stream_no: 1,
                number: 5,
                leaf_index: 9,
                erased: erased.collect(),
            });
            let detail = json!({"stream_no": 1, "id": 5, "erased": named});
            tally.events.push(event("redacted", "2026-01-01", detail));
            assert_eq!(redactions(&subject(), &mut tally), u64::from(is_excused), "{named}");
            assert_eq!(tally.findings.is_empty(), is_excused, "{named}");
        }
    }
}
