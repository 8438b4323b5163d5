//! The streams of audit_guard itself. Their numbers are in what is hashed, so they never change.

/// Number and name of each; the table is that of the same name in schema `audit`.
pub const OWN: [(u16, &str); 14] = [
    (1, "audit_log"),
    (2, "guard_events"),
    (3, "guard_policies"),
    (4, "holds"),
    (5, "hold_releases"),
    (6, "denied_attempts"),
    (7, "security_events"),
    (8, "crisis_detection_logs"),
    (9, "crisis_reviews"),
    (10, "crisis_links"),
    (11, "disclosures"),
    (12, "access_log"),
    (13, "audit_reviews"),
    (14, "canary_alerts"),
];

/// The first number that a log of a user's can have.
pub const FIRST_OTHER: u16 = 100;

/// Whether a stream of this number may have this name, and this table in this schema.
#[must_use]
pub fn may_be(stream_no: u16, name: &str, (schema, table): (&str, &str)) -> bool {
    let is_own = |(own, title): &(u16, &str)| *own == stream_no && *title == name;
    stream_no >= FIRST_OTHER || (OWN.iter().any(is_own) && schema == "audit" && table == name)
}
