//! Schema definitions.

use audit_guard_core::ledger::schema::{Field, Schema};
use audit_guard_core::ledger::value::Type;
use proptest::prelude::*;

use super::values::SCALARS;

const DEFINITION: &str = "audit_guard schema 1\nstream 1 audit_log\nnumber id\ntime changed_at\n\
                          field 2 text plain table_name\nfield 7 jsonb erasable old\\nrecord \\\\ \n";

#[test]
fn a_definition() {
    let schema = Schema::parse(DEFINITION).unwrap();
    assert_eq!(schema.fields[1].name, "old\nrecord \\ ");
    assert!(schema.fields[1].erasable && !schema.fields[0].erasable);
    assert_eq!(schema.definition(), DEFINITION);
    assert_eq!(schema.field("table_name").unwrap().no, 2);
    assert_eq!(schema.field("no"), None);
    assert_eq!(schema.prepare(3).sha256, schema.sha256());
}

#[test]
fn what_is_no_definition() {
    for (from, to) in [
        ("schema 1", "schema 2"),
        ("\\\\ \n", "\\\\ "),
        ("stream 1", "stream 0"),
        ("stream 1", "stream 01"),
        ("stream 1", "stream 65536"),
        ("number id\n", ""),
        ("time changed_at\n", ""),
        ("field 2", "field 7"),
        ("text", "TEXT"),
        ("plain", "plane"),
        ("field 7", "\nfield 7"),
        ("old\\n", "old\\r"),
        (" audit_log", ""),
    ] {
        let text = DEFINITION.replacen(from, to, 1);
        assert!(Schema::parse(&text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn text_and_back(
        stream_no in 1_u16..,
        names in any::<[String; 3]>(),
        fields in prop::collection::btree_map(
            1_u16..,
            (any::<String>(), prop::sample::select(&SCALARS[..]), any::<[bool; 2]>()),
            0..6,
        ),
    ) {
        let [stream, number, time] = names;
        let fields = fields.into_iter().map(|(no, (name, scalar, [is_array, erasable]))| {
            let kind = if is_array { Type::Array(scalar) } else { Type::Scalar(scalar) };
            Field { no, name, kind, erasable }
        });
        let schema = Schema { stream_no, stream, number, time, fields: fields.collect() };
        prop_assert_eq!(Schema::parse(&schema.definition()), Ok(schema));
    }

    #[test]
    fn any_text_is_read_or_refused(
        lines in prop::collection::vec("(stream|number|time|field) [1-9] ?\\PC*", 0..6),
    ) {
        let text = format!("audit_guard schema 1\n{}\n", lines.join("\n"));
        if let Ok(schema) = Schema::parse(&text) {
            prop_assert_eq!(schema.definition(), text);
        }
    }
}
