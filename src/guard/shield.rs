//! The event triggers that refuse commands which would weaken protection, where no hook does.

use super::denial::{self, Layer};
use crate::pg::call::text_function;
use crate::pg::classify::Scope;
use crate::pg::ddl::{self, Moment, Occurrence};
use crate::pg::{drop, encoding, hooks};
use pgrx::prelude::*;

crate::pg::trigger::trigger_function!(audit_shield, pg_finfo_audit_shield, ddl::occurrence, shield);

fn shield(occurrence: &Occurrence) {
    if hooks::is_own_script() {
        return;
    }
    match occurrence.moment {
        // The hooks have judged both already.
        Moment::CommandStart | Moment::Dropped if hooks::are_installed() => {}
        Moment::CommandStart => judge(occurrence),
        Moment::Dropped if drop::is_running() => {}
        Moment::Dropped => refuse_what(occurrence, &text_function(c"_guarded_drop", [])),
        Moment::TableRewrite => refuse_what(occurrence, &text_function(c"_guarded_rewrite", [])),
    }
}

fn judge(occurrence: &Occurrence) {
    if let Some(refusal) = occurrence.command.refusal(Scope { lockdown: false, strict: false }) {
        denial::refuse(
            Layer::EventTrigger,
            &occurrence.command.name(),
            &refusal.object,
            refusal.code,
            &refusal.message,
            refusal.hint,
        );
    }
}

/// Refuses a command that drops or rewrites this table; it names another object that the table depends on.
fn refuse_what(occurrence: &Occurrence, table: &[u8]) {
    if table.is_empty() {
        return;
    }
    let (command, table) = (occurrence.command.name(), encoding::to_utf8(table));
    denial::refuse(
        Layer::EventTrigger,
        &command,
        &table,
        PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION,
        &format!("{table} is protected: {command} refused, it would drop or rewrite it"),
        Some("SELECT * FROM audit.protected_tables;"),
    );
}
