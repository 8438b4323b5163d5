//! What has to be known of a ledger before its rows can be read.

use std::collections::BTreeMap;

use audit_guard_core::ledger::hash::sha256;
use audit_guard_core::ledger::schema::{PreparedSchema, Schema};
use audit_guard_core::ledger::streams;
use serde::{Deserialize, Serialize};

/// A stream: a table whose rows are leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) stream_no: u16,
    pub(crate) name: String,
    pub(crate) table_schema: String,
    pub(crate) table_name: String,
    pub(crate) number_column: String,
    pub(crate) time_column: String,
}

/// A registered schema, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredSchema {
    pub(crate) schema_no: u32,
    pub(crate) definition: String,
}

/// One life of the database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Incarnation {
    pub(crate) incarnation: u32,
    pub(crate) origin: String,
    pub(crate) kind: String,
    pub(crate) reason: Option<String>,
    /// The highest number of each stream when it began.
    pub(crate) floors: BTreeMap<u16, i64>,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) streams: Vec<Stream>,
    pub(crate) schemas: Vec<StoredSchema>,
    pub(crate) incarnations: Vec<Incarnation>,
    /// Public keys that the database trusts.
    pub(crate) keys: Vec<String>,
    /// Those that it trusted once.
    pub(crate) withdrawn_keys: Vec<String>,
    /// What cannot be as it stands there.
    #[serde(skip)]
    pub(crate) defects: Vec<String>,
}

/// The stream whose rows excuse what was erased or removed.
pub(crate) const GUARD_EVENTS: u16 = 2;

/// Kinds of events that do.
pub(crate) const EXCUSES: &[&str] = &["partition_expired", "redacted"];

/// Such an event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: i64,
    /// Microseconds since 1970.
    pub(crate) logged_at: i64,
    pub(crate) kind: String,
    pub(crate) object: String,
    pub(crate) detail: serde_json::Value,
    /// Whether it was compared with its leaf; otherwise it waits to be sealed.
    pub(crate) is_sealed: bool,
}

/// A schema that could be read.
#[derive(Debug)]
pub(crate) struct KnownSchema {
    pub(crate) schema: Schema,
    pub(crate) prepared: PreparedSchema,
    /// Per field, where its value stands in what the source gives.
    pub(crate) places: Vec<Option<usize>>,
}

impl Stream {
    /// Whether this is how an event names the stream.
    pub(crate) fn is_called(&self, object: &str) -> bool {
        object == format!("{}.{}", self.table_schema, self.table_name) || object == self.name
    }
}

impl Facts {
    /// Where rows are is not taken from a list that nothing seals, as far as it is known from elsewhere: the
    /// tables of our own streams from this program, the columns from the sealed schema.
    pub(crate) fn correct(&mut self) {
        for stream in &mut self.streams {
            let table = (stream.table_schema.as_str(), stream.table_name.as_str());
            if !streams::may_be(stream.stream_no, &stream.name, table) {
                let no = stream.stream_no;
                self.defects
                    .push(format!("stream {no} is declared with a name or a table that is not its own"));
                if let Some((_, own)) = streams::OWN.iter().find(|(own, _)| *own == no) {
                    stream.name = (*own).to_owned();
                    stream.table_schema = "audit".to_owned();
                    stream.table_name = (*own).to_owned();
                }
            }
            let schemas =
                self.schemas.iter().rev().filter_map(|stored| Schema::parse(&stored.definition).ok());
            if let Some(schema) = schemas.into_iter().find(|schema| schema.stream_no == stream.stream_no) {
                stream.number_column = schema.number;
                stream.time_column = schema.time;
            }
        }
    }

    pub(crate) fn stream(&self, stream_no: u16) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.stream_no == stream_no)
    }

    /// How a stream is called, also one that is not declared.
    pub(crate) fn stream_name(&self, stream_no: u16) -> String {
        self.stream(stream_no).map_or_else(|| format!("stream {stream_no}"), |stream| stream.name.clone())
    }

    /// The schemas that can be read, by number. Their places are those in the columns of their stream, or of
    /// the schema itself.
    pub(crate) fn known_schemas(
        &self,
        columns: Option<&BTreeMap<u16, Vec<String>>>,
    ) -> BTreeMap<u32, KnownSchema> {
        let known = self.schemas.iter().filter_map(|stored| {
            let schema = Schema::parse(&stored.definition).ok()?;
            let places = match columns {
                None => (0..schema.fields.len()).map(Some).collect(),
                Some(columns) => {
                    let own = columns.get(&schema.stream_no)?;
                    let place = |name: &String| own.iter().position(|column| column == name);
                    schema.fields.iter().map(|field| place(&field.name)).collect()
                }
            };
            let hash = sha256(&[stored.definition.as_bytes()]);
            let prepared = PreparedSchema { schema_no: stored.schema_no, sha256: hash };
            Some((stored.schema_no, KnownSchema { schema, prepared, places }))
        });
        known.collect()
    }

    /// The numbers that rows of one life have: above the first, up to the second.
    pub(crate) fn numbers_of(&self, incarnation: u32, stream_no: u16) -> (i64, i64) {
        let own = self.incarnations.iter().find(|known| known.incarnation == incarnation);
        let floor = own.and_then(|own| own.floors.get(&stream_no)).copied().unwrap_or(i64::MIN);
        // An upgrade changes nothing about which life a number belongs to.
        let next = self
            .incarnations
            .iter()
            .filter(|known| known.incarnation > incarnation && known.kind == "declared");
        let next = next.min_by_key(|known| known.incarnation);
        (floor, next.and_then(|next| next.floors.get(&stream_no)).copied().unwrap_or(i64::MAX))
    }
}
