//! Deriving the ledger again and comparing.

mod claims;
mod from_bundle;
mod from_database;
mod judge;
mod slice;
mod tally;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::Verify;
use crate::facts::{Facts, GUARD_EVENTS, KnownSchema};
use crate::failure::{Exit, Failure, Result};
use claims::Claim;
use slice::Months;
use tally::Tally;

/// What is checked, and against what.
struct Subject {
    facts: Facts,
    schemas: BTreeMap<u32, KnownSchema>,
    /// Months that are said to have been removed. Whether that is true is judged at the end.
    months: Vec<Months>,
    /// Roots that somebody vouches for.
    claims: Vec<Claim>,
    /// What a bundle brings along itself.
    own_claim: Option<Claim>,
    selection: Selection,
}

/// Which rows are looked at. The tree always is, as a whole.
struct Selection {
    stream_no: Option<u16>,
    since: Option<i64>,
    until: Option<i64>,
}

impl Selection {
    fn is_everything(&self) -> bool {
        self.stream_no.is_none() && self.since.is_none() && self.until.is_none()
    }

    /// Whether rows of seals with these times are looked at. Events about erased and removed rows may be in
    /// any.
    fn takes(&self, stream_no: u16, oldest_at: i64, newest_at: i64) -> bool {
        if stream_no == GUARD_EVENTS {
            return true;
        }
        self.stream_no.is_none_or(|wanted| wanted == stream_no)
            && self.since.is_none_or(|since| newest_at >= since)
            && self.until.is_none_or(|until| oldest_at < until)
    }
}

/// A source that was read to its end.
struct Outcome {
    subject: Subject,
    tally: Tally,
    size: u64,
    /// What else a reader has to know.
    remarks: Vec<String>,
}

pub(crate) fn run(arguments: &Verify) -> Result<Exit> {
    let outcome = match (&arguments.source.dsn, &arguments.source.bundle) {
        (Some(dsn), _) => from_database::check(dsn, arguments)?,
        (None, Some(folder)) => from_bundle::check(folder, arguments)?,
        // The parser of arguments does not let this through.
        (None, None) => return Err(Failure::usage("give --dsn or --bundle")),
    };
    Ok(judge::print(outcome, arguments))
}

impl Subject {
    fn new(
        facts: Facts,
        columns: Option<&BTreeMap<u16, Vec<String>>>,
        months: Vec<Months>,
        arguments: &Verify,
    ) -> Result<Self> {
        let schemas = facts.known_schemas(columns);
        let claims = claims::read(&arguments.checkpoint, &arguments.key, &facts)?;
        let stream_no = match &arguments.stream {
            None => None,
            Some(name) => {
                let plain = name.strip_prefix("audit.").unwrap_or(name);
                let known = facts.streams.iter().find(|stream| stream.name == *name || stream.name == plain);
                let known = known.ok_or_else(|| {
                    let names: Vec<&str> = facts.streams.iter().map(|stream| stream.name.as_str()).collect();
                    Failure::usage(format!("there is no stream {name}; there are {}", names.join(", ")))
                })?;
                Some(known.stream_no)
            }
        };
        let micros = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_micros());
        let selection =
            Selection { stream_no, since: micros(arguments.since), until: micros(arguments.until) };
        Ok(Self { facts, schemas, months, claims, own_claim: None, selection })
    }
}
