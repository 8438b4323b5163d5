//! GRANT and REVOKE, and what is done to everything that a role owns.

use super::super::{acting, names, protection, tree};
use super::{Command, Refusal, ask};
use pgrx::pg_sys::{GrantTargetType::*, ObjectType::*};
use pgrx::prelude::*;
use std::ffi::CStr;

/// Rights by which a table is read, and nothing else.
const READING: [&CStr; 1] = [c"select"];

/// Rights to write our tables are given to nobody; rights to read them are not taken away.
///
/// # Safety
/// `statement` is part of a valid parse tree; so for the functions below.
pub(super) unsafe fn granted(statement: &pg_sys::GrantStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: the caller's promise; the kind of object tells what the list holds.
    unsafe {
        if statement.targtype == ACL_TARGET_ALL_IN_SCHEMA {
            let ours = tree::nodes(statement.objects).any(|node| tree::string(node) == Some(c"audit"));
            let counts = statement.objtype != OBJECT_FUNCTION || statement.is_grant;
            let weakens = counts && (!statement.is_grant || !reads_only(statement));
            return (ours && weakens && protection::is_installed())
                .then(|| command.refuse("schema audit".to_owned()));
        }
        if statement.targtype != ACL_TARGET_OBJECT {
            return None;
        }
        tree::nodes(statement.objects).find_map(|node| match statement.objtype {
            OBJECT_TABLE | OBJECT_SEQUENCE => {
                let relation = tree::relation(node.cast());
                (!statement.is_grant || !reads_only(statement)).then(|| command.on_own(relation))?
            }
            OBJECT_SCHEMA if tree::string(node) == Some(c"audit") && protection::is_installed() => {
                let weakens = !statement.is_grant || !only(statement, &[c"usage"]);
                weakens.then(|| command.refuse("schema audit".to_owned()))
            }
            OBJECT_FUNCTION | OBJECT_ROUTINE => function(statement.is_grant, node.cast(), command),
            _ => None,
        })
    }
}

/// Internal functions are nobody's; the others may be given to a role, and taken from it again.
unsafe fn function(
    is_grant: bool,
    function: *mut pg_sys::ObjectWithArgs,
    command: &Command,
) -> Option<Refusal> {
    // SAFETY: as for `granted`.
    unsafe {
        let is_internal =
            tree::strings((*function).objname).last().is_some_and(|name| name.to_bytes().starts_with(b"_"));
        if is_grant && is_internal { command.on_function((*function).objname) } else { None }
    }
}

unsafe fn reads_only(statement: &pg_sys::GrantStmt) -> bool {
    // SAFETY: as for `granted`.
    unsafe { only(statement, &READING) }
}

/// Whether the statement is about these rights only; no list means all rights.
unsafe fn only(statement: &pg_sys::GrantStmt, rights: &[&CStr]) -> bool {
    // SAFETY: as for `granted`.
    unsafe {
        !statement.privileges.is_null()
            && tree::nodes(statement.privileges).all(|node| {
                tree::text((*node.cast::<pg_sys::AccessPriv>()).priv_name)
                    .is_some_and(|name| rights.contains(&name))
            })
    }
}

/// DROP OWNED and REASSIGN OWNED.
pub(super) unsafe fn owned(roles: *mut pg_sys::List, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `granted`.
    unsafe {
        tree::nodes(roles).find_map(|node| {
            let table = ask(c"_protected_of_role", tree::role(node.cast())?);
            (!table.is_empty()).then(|| command.refuse(table))
        })
    }
}

/// What audit_owner owns runs with its rights: nobody gives it functions of their own.
pub(super) unsafe fn becomes_ours(owner: *mut pg_sys::RoleSpec, command: &Command) -> Option<Refusal> {
    let ours = acting::audit_owner()?;
    // SAFETY: as for `granted`.
    (unsafe { tree::role(owner) } == Some(ours)).then(|| command.refuse("role audit_owner".to_owned()))
}

/// Nobody becomes a member of audit_owner.
pub(super) unsafe fn role_granted(statement: &pg_sys::GrantRoleStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `granted`.
    unsafe {
        let gives_owner = statement.is_grant
            && tree::nodes(statement.granted_roles).any(|node| {
                tree::text((*node.cast::<pg_sys::AccessPriv>()).priv_name) == Some(c"audit_owner")
            });
        (gives_owner && names::role(c"audit_owner").is_some())
            .then(|| command.refuse("role audit_owner".to_owned()))
    }
}
