//! The readers of the streams, kept from call to call until a table changes.

use super::store::{self, Stream};
use super::stream::Rows;
use crate::pg::events::{Stale, watch};
use crate::pg::sealing;
use audit_guard_core::ledger::schema::Schema;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

thread_local! {
    /// By the number of the schema.
    static READERS: RefCell<BTreeMap<u32, (Rc<Rows>, Stale)>> = const { RefCell::new(BTreeMap::new()) };
    /// The streams in force when they were last asked for, as long as no table changes.
    static IN_FORCE: RefCell<Option<(Vec<Rc<Rows>>, Stale)>> = const { RefCell::new(None) };
}

/// The reader of a stream under one of its schemas; None when the schema cannot be read.
pub(super) fn reader(stream: &Stream) -> Option<Rc<Rows>> {
    let known = READERS.with_borrow(|readers| {
        let (rows, stale) = readers.get(&stream.schema_no)?;
        (!stale.get() && rows.is_of(stream)).then(|| Rc::clone(rows))
    });
    if known.is_some() {
        return known;
    }
    let schema = Schema::parse(&stream.definition).ok()?;
    let stale = watch(vec![stream.relation]);
    let rows = Rc::new(Rows::new(stream, schema, &store::columns(stream.relation)));
    READERS.with_borrow_mut(|readers| readers.insert(stream.schema_no, (Rc::clone(&rows), stale)));
    Some(rows)
}

/// The readers of all streams under the schemas in force; registers schemas that are new.
pub(super) fn current() -> Vec<Rc<Rows>> {
    let known = IN_FORCE.with_borrow(|known| {
        known.as_ref().filter(|(_, stale)| !stale.get()).map(|(readers, _)| readers.clone())
    });
    if let Some(known) = known.filter(|_| !store::has_new_stream()) {
        return known;
    }
    // What this transaction has registered is not remembered: it may be rolled back.
    let before = if sealing::has_number() { Vec::new() } else { store::registered_schemas() };
    let stale = watch(before.iter().map(|stream| stream.relation).collect());
    let streams = store::register_streams();
    let readers: Vec<Rc<Rows>> = streams.iter().filter_map(reader).collect();
    let lasts = streams.iter().all(|stream| before.iter().any(|known| known.schema_no == stream.schema_no));
    IN_FORCE.set((lasts && readers.len() == streams.len()).then(|| (readers.clone(), stale)));
    readers
}

/// A reader of every stream, good for finding rows, not for hashing them: its schema may be an old one. Registers
/// what has no schema yet.
pub(super) fn all_known() -> Vec<Rc<Rows>> {
    if store::has_new_stream() {
        return current();
    }
    let newest: BTreeMap<u16, Stream> =
        store::registered_schemas().into_iter().map(|stream| (stream.stream_no, stream)).collect();
    newest.values().filter_map(reader).collect()
}
