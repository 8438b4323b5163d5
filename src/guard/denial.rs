//! A refused attempt is evidence. It leaves a line in the server's log whatever becomes of its transaction,
//! and where the library is preloaded, a row of audit.denied_attempts. Only then the person gets an ERROR.

use crate::capture::{self, Person};
use crate::pg::{errors, log, names, session, shared, types};
use audit_guard_core::denials::Attempt;
use pgrx::prelude::*;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What refused it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layer {
    /// A trigger on the table.
    Trigger,
    /// An event trigger.
    EventTrigger,
    /// A hook of the preloaded library.
    Hook,
}

impl Layer {
    fn word(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::EventTrigger => "event_trigger",
            Self::Hook => "hook",
        }
    }
}

/// Refuses `command` on `object`.
pub(crate) fn refuse(
    layer: Layer,
    command: &str,
    object: &str,
    code: PgSqlErrorCode,
    message: &str,
    hint: Option<&str>,
) -> ! {
    refuse_in(session::database(), layer, command, object, code, message, hint)
}

/// The same for an object that concerns another database than the one in which the command was given, such as
/// that database itself: the attempt is recorded there.
pub(crate) fn refuse_in(
    database: pg_sys::Oid,
    layer: Layer,
    command: &str,
    object: &str,
    code: PgSqlErrorCode,
    message: &str,
    hint: Option<&str>,
) -> ! {
    // Who cancels their own statement at the right moment must not get away without a trace.
    session::undisturbed(|| {
        let (person, database_name) = person(database);
        let attempt = Attempt {
            database: database.to_u32(),
            attempted_at: session::now(),
            layer: layer.word().to_owned(),
            command: command.to_owned(),
            object: object.to_owned(),
            actor_id: person.actor_id.unwrap_or_default(),
            actor_role: person.actor_role,
            login_role: person.login_role,
            client_ip: person.client_ip.unwrap_or_default(),
            application_name: person.application_name.unwrap_or_default(),
        };
        shared::push(&attempt);
        log::line(&format!("audit_guard: refused {}", facts(&attempt, &database_name, message)));
    });
    errors::raise(code, message, hint)
}

/// Who acts, and the name of the database. Names are looked up as capture does it; if that is impossible at
/// the moment, numbers must do: refusing does not depend on it.
fn person(database: pg_sys::Oid) -> (Person, String) {
    let by_number = || {
        let roles = session::roles();
        let number = |oid: pg_sys::Oid| oid.to_u32().to_string();
        let person =
            Person { actor_role: number(roles.outer), login_role: number(roles.login), ..Person::default() };
        (person, number(database))
    };
    if !session::is_in_transaction() {
        return by_number();
    }
    // The ERROR that follows ends the transaction or savepoint in which something failed here.
    PgTryBuilder::new(|| (capture::person(), names::database(database)))
        .catch_others(|_| by_number())
        .catch_rust_panic(|_| by_number())
        .execute()
}

fn facts(attempt: &Attempt, database: &str, message: &str) -> String {
    let known = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let facts = json!({
        "attempted_at": types::utc_iso(attempt.attempted_at),
        "database": database,
        "layer": attempt.layer,
        "command": attempt.command,
        "object": known(&attempt.object),
        "actor_id": known(&attempt.actor_id),
        "actor_role": attempt.actor_role,
        "login_role": attempt.login_role,
        "client_ip": known(&attempt.client_ip),
        "application_name": known(&attempt.application_name),
        "message": message,
    });
    in_ascii(&facts.to_string())
}

/// JSON without any character that a log of several databases, or a terminal, could take for something else.
fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if (' '..='~').contains(&character) {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing into a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}
