//! DROP, RENAME, SET SCHEMA, OWNER TO, and what is made on or for a protected table.

use super::super::permit;
use super::super::protection::{self, Class};
use super::super::{acting, names, tree, trigger_row};
use super::alter_table::is_guard;
use super::{Command, Refusal, Scope, ask, rights, server};
use pgrx::pg_sys::ObjectType::*;
use pgrx::prelude::*;

/// # Safety
/// `statement` is part of a valid parse tree; so for the functions below.
pub(super) unsafe fn dropped(statement: &pg_sys::DropStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: the caller's promise; the kind of object tells what the list holds.
    unsafe {
        tree::nodes(statement.objects).find_map(|node| match statement.removeType {
            OBJECT_TABLE | OBJECT_VIEW | OBJECT_MATVIEW | OBJECT_SEQUENCE => {
                command.on(tree::relation_of_names(node.cast()))
            }
            OBJECT_INDEX => {
                let index = tree::relation_of_names(node.cast())?;
                if is_needed(index) { command.on_own(Some(index)) } else { None }
            }
            OBJECT_TRIGGER => {
                let (table, name) = tree::relation_and_name(node.cast())?;
                guard_trigger(table, name, command)
            }
            OBJECT_POLICY | OBJECT_RULE => command.on_own(tree::relation_and_name(node.cast())?.0),
            OBJECT_SCHEMA if tree::string(node) == Some(c"audit") && protection::is_installed() => {
                Some(command.refuse("schema audit".to_owned()))
            }
            OBJECT_EXTENSION if tree::string(node) == Some(c"audit_guard") => server::uninstalled(),
            _ => None,
        })
    }
}

/// The log is useless without the indexes that it was made with; others may go.
fn is_needed(index: pg_sys::Oid) -> bool {
    const MADE_WITH: [&[u8]; 6] = [
        b"_record_idx",
        b"_old_record_idx",
        b"_logged_at_idx",
        b"_attempted_at_idx",
        b"_object_idx",
        b"_table_idx",
    ];
    let table = names::table_of_index(index).map(names::relation_name).unwrap_or_default();
    let name = names::relation_name(index);
    name.strip_prefix(table.as_slice()).is_some_and(|suffix| MADE_WITH.contains(&suffix))
}

fn guard_trigger(table: Option<pg_sys::Oid>, name: &std::ffi::CStr, command: &Command) -> Option<Refusal> {
    let table = table.filter(|&table| is_guard(table, name))?;
    Some(command.refuse(names::relation_text(table)))
}

pub(super) unsafe fn renamed(
    statement: &pg_sys::RenameStmt,
    command: &Command,
    scope: Scope,
) -> Option<Refusal> {
    // SAFETY: as for `dropped`.
    unsafe {
        let relation = tree::relation(statement.relation);
        match statement.renameType {
            OBJECT_TRIGGER => guard_trigger(relation, tree::text(statement.subname)?, command),
            // Our own maintenance renames a leaf's indexes with the leaf.
            OBJECT_INDEX if acting::in_own_function() => None,
            OBJECT_TABCONSTRAINT | OBJECT_POLICY | OBJECT_RULE | OBJECT_INDEX => command.on_own(relation),
            OBJECT_ATTRIBUTE => command.on_type(names::row_type(relation?)),
            OBJECT_TYPE | OBJECT_DOMAIN | OBJECT_DOMCONSTRAINT => {
                command.on_type(tree::type_of_names(statement.object.cast()))
            }
            OBJECT_FUNCTION | OBJECT_PROCEDURE | OBJECT_ROUTINE => {
                command.on_function((*statement.object.cast::<pg_sys::ObjectWithArgs>()).objname)
            }
            OBJECT_SCHEMA => schema(tree::text(statement.subname)?, command),
            OBJECT_DATABASE if scope.lockdown => server::database(tree::text(statement.subname)?, command),
            OBJECT_ROLE if scope.lockdown => server::role_name(tree::text(statement.subname)?, command),
            _ if relation.is_some_and(permit::renames) => None,
            // A column is renamed in partitions and children, too.
            _ => std::iter::once(relation?)
                .chain(super::super::relation::partitions(relation?))
                .find_map(|table| command.on(Some(table))),
        }
    }
}

/// A schema may not change its name when the names of protected tables change with it.
fn schema(name: &std::ffi::CStr, command: &Command) -> Option<Refusal> {
    let table = ask(c"_protected_in_schema", names::namespace(name)?);
    (!table.is_empty()).then(|| command.refuse(table))
}

pub(super) unsafe fn moved(statement: &pg_sys::AlterObjectSchemaStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `dropped`.
    unsafe {
        match statement.objectType {
            OBJECT_TYPE | OBJECT_DOMAIN => command.on_type(tree::type_of_names(statement.object.cast())),
            OBJECT_FUNCTION | OBJECT_PROCEDURE | OBJECT_ROUTINE => {
                command.on_function((*statement.object.cast::<pg_sys::ObjectWithArgs>()).objname)
            }
            _ => command.on(tree::relation(statement.relation)),
        }
    }
}

/// OWNER TO, for what is not done by ALTER TABLE.
pub(super) unsafe fn given(statement: &pg_sys::AlterOwnerStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `dropped`.
    unsafe {
        match statement.objectType {
            OBJECT_FUNCTION | OBJECT_PROCEDURE | OBJECT_ROUTINE => {
                let function = (*statement.object.cast::<pg_sys::ObjectWithArgs>()).objname;
                command.on_function(function).or_else(|| rights::becomes_ours(statement.newowner, command))
            }
            OBJECT_SCHEMA if tree::string(statement.object) == Some(c"audit") => {
                let keeps = tree::role(statement.newowner) == names::schema_owner(c"audit");
                (!keeps && protection::is_installed()).then(|| command.refuse("schema audit".to_owned()))
            }
            OBJECT_TYPE | OBJECT_DOMAIN => command.on_type(tree::type_of_names(statement.object.cast())),
            _ => None,
        }
    }
}

/// What depends on an extension goes with it.
pub(super) unsafe fn depends(
    statement: &pg_sys::AlterObjectDependsStmt,
    command: &Command,
) -> Option<Refusal> {
    // SAFETY: as for `dropped`.
    unsafe {
        match statement.objectType {
            OBJECT_TRIGGER | OBJECT_INDEX | OBJECT_MATVIEW => command.on(tree::relation(statement.relation)),
            OBJECT_FUNCTION | OBJECT_PROCEDURE | OBJECT_ROUTINE => {
                command.on_function((*statement.object.cast::<pg_sys::ObjectWithArgs>()).objname)
            }
            _ => None,
        }
    }
}

/// On a protected table only functions of ours may be triggers: another one could swallow or rewrite rows, or hide
/// the attempt. And one of ours is not replaced by another. A restore makes the triggers of a user's table in the
/// order of their names.
pub(super) unsafe fn trigger_created(
    statement: &pg_sys::CreateTrigStmt,
    command: &Command,
) -> Option<Refusal> {
    // SAFETY: as for `dropped`.
    unsafe {
        let table =
            tree::relation(statement.relation).filter(|&table| protection::class(table).is_guarded())?;
        let name = tree::text(statement.trigname)?;
        let replaces = statement.replace && is_guard(table, name);
        let is_ours = tree::strings(statement.funcname).first() == Some(&c"audit");
        let is_restored = || protection::class(table) == Class::Protected && !acting::has_own_events();
        (replaces || !(is_ours || is_restored())).then(|| command.refuse(names::relation_text(table)))
    }
}

/// Renaming a label changes what stored rows say.
pub(super) unsafe fn enum_altered(statement: &pg_sys::AlterEnumStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `dropped`.
    unsafe {
        if statement.oldVal.is_null() && tree::strings(statement.typeName).first() != Some(&c"audit") {
            return None;
        }
        command.on_type(tree::type_of_names(statement.typeName))
    }
}

pub(super) unsafe fn function_created(
    statement: &pg_sys::CreateFunctionStmt,
    command: &Command,
    scope: Scope,
) -> Option<Refusal> {
    // SAFETY: as for `dropped`.
    unsafe {
        if let Some(refusal) = command.on_function(statement.funcname) {
            return Some(refusal);
        }
        // It would run with the rights of our owner, whoever calls it.
        let roles = super::super::session::roles();
        if acting::audit_owner() == Some(roles.effective) && !acting::in_own_function() {
            return Some(command.refuse("role audit_owner".to_owned()));
        }
        let is_c = tree::nodes(statement.options).any(|node| {
            let option = &*node.cast::<pg_sys::DefElem>();
            tree::text(option.defname) == Some(c"language")
                && tree::string(option.arg).is_some_and(|language| {
                    language.to_bytes().eq_ignore_ascii_case(b"c")
                        || language.to_bytes().eq_ignore_ascii_case(b"internal")
                })
        });
        (scope.strict && is_c && protection::is_installed())
            .then(|| server::strict("functions written in C", command))
    }
}

/// What is dropped along, whatever the command: a table, a column, or a trigger that guards.
pub(crate) fn guarded_object(class_id: pg_sys::Oid, object: pg_sys::Oid, column: i32) -> Option<String> {
    match class_id {
        pg_sys::RelationRelationId => {
            // Indexes hold nothing; columns do.
            let counts = column != 0 || names::table_of_index(object).is_none();
            let is_guarded = match protection::class(object) {
                Class::Protected => names::is_table(object),
                other => other.is_guarded(),
            };
            (counts && is_guarded).then(|| names::relation_text(object))
        }
        pg_sys::TriggerRelationId => {
            let (table, _) = trigger_row::table_and_parent(object)?;
            trigger_row::guards(object).then(|| names::relation_text(table))
        }
        pg_sys::NamespaceRelationId => (names::namespace(c"audit") == Some(object)
            && protection::is_installed())
        .then(|| "schema audit".to_owned()),
        _ => None,
    }
}
