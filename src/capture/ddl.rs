//! The event trigger that keeps tracking right when somebody alters tables.
//!
//! Three functions of the SQL surface do the work, and nobody has the right to call them: one finds out, with
//! the rights of our owner, what has to be done; one does it with the rights of the person who gave the
//! statement, because it changes that person's tables; and one records what was done.

use crate::pg::call::text_function;
use crate::pg::ddl::{self, Change, Statement};
use pgrx::datum::Internal;
use pgrx::prelude::*;

crate::pg::trigger::trigger_function!(
    audit_on_ddl_end,
    pg_finfo_audit_on_ddl_end,
    ddl::statement,
    on_ddl_end
);

fn on_ddl_end(statement: &Statement) {
    if statement.changes.is_empty() {
        return;
    }
    let words: Vec<&str> = statement.changes.iter().copied().map(Change::word).collect();
    let arguments = [words.join(",").into_bytes(), statement.old_name.clone(), statement.new_name.clone()];
    let plan = text_function(c"_plan_after_ddl", arguments.each_ref().map(Vec::as_slice));
    if !plan.is_empty() {
        let done = text_function(c"_run_after_ddl", [&plan]);
        text_function(c"_finish_after_ddl", [&done]);
    }
}

/// The schema from which an object was moved, given `command` of `pg_event_trigger_ddl_commands()`.
#[pg_extern(sql = false, stable)]
fn former_schema(command: Internal) -> Option<pg_sys::Oid> {
    ddl::former_schema(&command)
}
