//! What only the preloaded library sees: databases, roles, event triggers, extensions, files and settings.

use super::super::protection::{self, Class};
use super::super::{acting, call, encoding, names, shared_catalogue, tree};
use super::{Command, Refusal, Scope, index, rights};
use pgrx::pg_sys::NodeTag::*;
use pgrx::prelude::*;
use std::ffi::CStr;

const WAY_OUT: &str = "audit_guard.lockdown = off in postgresql.conf, restart, repeat. The command is recorded in \
                       the server log.";
/// Extensions that take rows out of tables behind the server's back.
const SURGERY: [&CStr; 1] = [c"pg_surgery"];
/// Settings by which a server starts without the guard, or stores what it should not.
const GUARDED_SETTINGS: [&CStr; 5] = [
    c"shared_preload_libraries",
    c"session_preload_libraries",
    c"local_preload_libraries",
    c"allow_system_table_mods",
    c"zero_damaged_pages",
];

/// # Safety
/// `tree` is a valid parse tree; so for the functions below.
pub(super) unsafe fn judge(node: *mut pg_sys::Node, command: &Command, scope: Scope) -> Option<Refusal> {
    // SAFETY: the caller's promise; each cast follows the node's tag.
    unsafe {
        match (*node).type_ {
            T_DropdbStmt => database(tree::text((*node.cast::<pg_sys::DropdbStmt>()).dbname)?, command),
            T_AlterEventTrigStmt => event_trigger(&*node.cast(), command),
            T_AlterRoleStmt => role((*node.cast::<pg_sys::AlterRoleStmt>()).role, command),
            T_AlterRoleSetStmt => {
                let statement = &*node.cast::<pg_sys::AlterRoleSetStmt>();
                role(statement.role, command).or_else(|| setting(statement.setstmt, command, scope))
            }
            T_AlterDatabaseSetStmt => {
                setting((*node.cast::<pg_sys::AlterDatabaseSetStmt>()).setstmt, command, scope)
            }
            T_AlterSystemStmt => setting((*node.cast::<pg_sys::AlterSystemStmt>()).setstmt, command, scope),
            T_GrantRoleStmt => rights::role_granted(&*node.cast(), command),
            T_CreateExtensionStmt => {
                let name = tree::text((*node.cast::<pg_sys::CreateExtensionStmt>()).extname)?;
                (SURGERY.contains(&name) && protection::is_installed())
                    .then(|| refuse(format!("extension {}", name.to_string_lossy()), command))
            }
            T_AlterExtensionStmt => extension_altered(&*node.cast(), command),
            T_LoadStmt if scope.strict => Some(strict("loading libraries", command)),
            T_CopyStmt => copied(&*node.cast(), command, scope),
            T_VacuumStmt => vacuumed(&*node.cast(), command),
            T_ClusterStmt => {
                stops_writers(tree::relation((*node.cast::<pg_sys::ClusterStmt>()).relation), command)
            }
            T_ReindexStmt => reindexed(&*node.cast(), command),
            _ => None,
        }
    }
}

fn refuse(object: String, command: &Command) -> Refusal {
    Refusal {
        message: format!("lockdown is on: {} of {object} refused", command.name()),
        ..command.refuse_with(object, WAY_OUT)
    }
}

pub(super) fn strict(what: &str, command: &Command) -> Refusal {
    Refusal {
        message: format!("lockdown is strict: {} refused, {what} could reach past the guard", command.name()),
        ..command.refuse_with(
            "server".to_owned(),
            "audit_guard.lockdown = on in postgresql.conf, restart, repeat.",
        )
    }
}

/// The name of a database that is to go, or to be called otherwise.
pub(super) fn database(name: &CStr, command: &Command) -> Option<Refusal> {
    let database = shared_catalogue::database_with_our_objects(name)?;
    let shown = encoding::to_utf8(name.to_bytes());
    let object = format!("database \"{shown}\"");
    Some(Refusal {
        message: format!("lockdown is on: {object} holds protected rows"),
        database: Some(database),
        ..command.refuse_with(object, WAY_OUT)
    })
}

unsafe fn role(role: *mut pg_sys::RoleSpec, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `judge`.
    unsafe { role_name(tree::text(role.as_ref()?.rolename)?, command) }
}

/// One of our own roles, while any database needs it: who is a member is everybody's business, what the role is,
/// is ours. The server itself does not drop a role that is needed.
pub(super) fn role_name(name: &CStr, command: &Command) -> Option<Refusal> {
    const OURS: [&CStr; 6] = [
        c"audit_owner",
        c"audit_admin",
        c"audit_writer",
        c"audit_reader",
        c"audit_reviewer",
        c"audit_officer",
    ];
    (OURS.contains(&name) && shared_catalogue::is_used())
        .then(|| refuse(format!("role {}", name.to_string_lossy()), command))
}

unsafe fn event_trigger(statement: &pg_sys::AlterEventTrigStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `judge`.
    let name = unsafe { tree::text(statement.trigname) }?;
    let weakens = statement.tgenabled as u8 != b'A';
    (weakens && name.to_bytes().starts_with(b"audit_guard_") && protection::is_installed())
        .then(|| refuse(format!("event trigger {}", name.to_string_lossy()), command))
}

unsafe fn setting(
    statement: *mut pg_sys::VariableSetStmt,
    command: &Command,
    scope: Scope,
) -> Option<Refusal> {
    if !scope.strict {
        return None;
    }
    // SAFETY: as for `judge`. Without a name, all settings are put back.
    let is_guarded = unsafe { tree::text(statement.as_ref()?.name) }.is_none_or(|name| {
        let name = name.to_bytes().to_ascii_lowercase();
        name.starts_with(b"audit_guard.") || GUARDED_SETTINGS.iter().any(|one| one.to_bytes() == name)
    });
    is_guarded.then(|| strict("this setting", command))
}

unsafe fn copied(statement: &pg_sys::CopyStmt, command: &Command, scope: Scope) -> Option<Refusal> {
    // SAFETY: as for `judge`.
    unsafe {
        if scope.strict && (statement.is_program || (!statement.is_from && !statement.filename.is_null())) {
            return Some(strict("files and programs of the server", command));
        }
        let target = tree::relation(statement.relation).filter(|_| statement.is_from)?;
        (protection::class(target) == Class::Catalogue && protection::is_installed())
            .then(|| refuse(names::relation_text(target), command))
    }
}

unsafe fn vacuumed(statement: &pg_sys::VacuumStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `judge`.
    unsafe {
        if !has_option(statement.options, c"full") {
            return None;
        }
        tree::nodes(statement.rels).find_map(|node| {
            stops_writers(tree::relation((*node.cast::<pg_sys::VacuumRelation>()).relation), command)
        })
    }
}

unsafe fn reindexed(statement: &pg_sys::ReindexStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `judge`.
    unsafe {
        if has_option(statement.params, c"concurrently") {
            return None;
        }
        let relation = tree::relation(statement.relation)?;
        let table = names::table_of_index(relation).unwrap_or(relation);
        let hint = "REINDEX ... CONCURRENTLY does not stop writers.";
        index::is_being_written(table).then(|| index::blocks_writers(table, command, hint))
    }
}

fn stops_writers(table: Option<pg_sys::Oid>, command: &Command) -> Option<Refusal> {
    let table = table.filter(|&table| index::is_being_written(table))?;
    Some(index::blocks_writers(
        table,
        command,
        "Wait until the month is over; VACUUM without FULL is allowed.",
    ))
}

unsafe fn has_option(options: *mut pg_sys::List, wanted: &CStr) -> bool {
    // SAFETY: as for `judge`; the list holds options, whose value says off when it is given as such.
    unsafe {
        tree::nodes(options).any(|node| {
            let option = node.cast::<pg_sys::DefElem>();
            tree::text((*option).defname) == Some(wanted) && pg_sys::defGetBoolean(option)
        })
    }
}

/// ALTER EXTENSION ... UPDATE to what is there already changes nothing. The scripts of an update are files that
/// anybody with superuser rights can write, and they run with the guard stepping aside: an update needs a restart
/// with lockdown off.
unsafe fn extension_altered(statement: &pg_sys::AlterExtensionStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `judge`.
    unsafe {
        if tree::text(statement.extname) != Some(c"audit_guard") || !protection::is_installed() {
            return None;
        }
        let wanted = tree::nodes(statement.options).find_map(|node| {
            let option = &*node.cast::<pg_sys::DefElem>();
            (tree::text(option.defname) == Some(c"new_version")).then(|| tree::string(option.arg))?
        });
        let ours = env!("CARGO_PKG_VERSION");
        let installed = encoding::to_utf8(&call::text_function(c"_installed_version", []));
        let is_ours = wanted.is_none_or(|wanted| wanted.to_bytes() == ours.as_bytes());
        if is_ours && installed == ours {
            return None;
        }
        Some(Refusal {
            message: format!("the loaded library of audit_guard is {ours}: no update to another version"),
            code: PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            ..command.refuse_with(
                "extension audit_guard".to_owned(),
                "Install the new version, set audit_guard.lockdown = off, restart, and repeat.",
            )
        })
    }
}

/// A member that leaves the extension is missing from every dump; what joins another extension goes with it.
pub(super) unsafe fn extension_contents(
    statement: &pg_sys::AlterExtensionContentsStmt,
    command: &Command,
) -> Option<Refusal> {
    // SAFETY: as for `judge`; the kind of object tells what it is.
    unsafe {
        if tree::text(statement.extname) == Some(c"audit_guard") && protection::is_installed() {
            return Some(command.refuse("extension audit_guard".to_owned()));
        }
        match statement.objtype {
            pg_sys::ObjectType::OBJECT_TABLE
            | pg_sys::ObjectType::OBJECT_VIEW
            | pg_sys::ObjectType::OBJECT_SEQUENCE => {
                command.on(tree::relation_of_names(statement.object.cast()))
            }
            pg_sys::ObjectType::OBJECT_FUNCTION => {
                command.on_function((*statement.object.cast::<pg_sys::ObjectWithArgs>()).objname)
            }
            _ => None,
        }
    }
}

/// DROP EXTENSION audit_guard: only when nothing is lost with it.
pub(super) fn uninstalled() -> Option<Refusal> {
    // With lockdown off the server's own configuration says that it may go.
    let is_off = super::super::session::is_preloaded() && !super::super::hooks::are_installed();
    if is_off || !protection::is_installed() {
        return None;
    }
    let held = acting::with_latest_snapshot(|| call::text_function(c"_rows_held", []));
    if held.is_empty() {
        return None;
    }
    let held = encoding::to_utf8(&held);
    let (state, hint) = if super::super::hooks::are_installed() {
        ("lockdown is on: ", WAY_OUT)
    } else {
        ("", "ALTER EVENT TRIGGER audit_guard_shield DISABLE; then repeat.")
    };
    Some(Refusal {
        object: "extension audit_guard".to_owned(),
        message: format!("{state}extension audit_guard holds {held}"),
        hint: Some(hint),
        code: PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION,
        database: None,
    })
}
