//! ALTER TABLE and its kin, and CREATE TABLE where it reaches into other tables.
#![expect(non_upper_case_globals, reason = "the names are the server's")]

use super::super::permit;
use super::super::protection::{self, Class};
use super::super::{acting, names, relation, tree, trigger_row};
use super::{Command, Refusal, ask, index};
use pgrx::pg_sys::{AlterTableType::*, ConstrType, ObjectType::*};
use pgrx::prelude::*;

/// # Safety
/// `statement` is part of a valid parse tree; so for the functions below.
pub(super) unsafe fn judge(statement: &pg_sys::AlterTableStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: the caller's promise.
    unsafe {
        let target = tree::relation(statement.relation)?;
        if statement.objtype == OBJECT_TYPE {
            return command.on_type(names::row_type(target));
        }
        if protection::class(target) == Class::Catalogue && protection::is_installed() {
            return Some(command.refuse(names::relation_text(target)));
        }
        // What is done to a table is done to its partitions and children.
        let guarded = std::iter::once(target)
            .chain(relation::partitions(target))
            .find(|&table| protection::class(table).is_guarded());
        // A partition's index joins that of its table.
        let is_index = statement.objtype == OBJECT_INDEX;
        tree::nodes(statement.cmds).find_map(|node| {
            let change = &*node.cast::<pg_sys::AlterTableCmd>();
            if is_index && change.subtype == AT_AttachPartition {
                return None;
            }
            other_table(change, target, command).or_else(|| {
                let table = guarded?;
                (!is_harmless(change, target, protection::class(table)))
                    .then(|| command.refuse(names::relation_text(table)))
            })
        })
    }
}

/// What the command does to another table, which it names: as a partition, or as a parent.
unsafe fn other_table(
    change: &pg_sys::AlterTableCmd,
    target: pg_sys::Oid,
    command: &Command,
) -> Option<Refusal> {
    // SAFETY: as for `judge`; the kind of command tells what its definition is.
    unsafe {
        let other = match change.subtype {
            AT_AttachPartition | AT_DetachPartition | AT_DetachPartitionFinalize => {
                tree::relation((*change.def.cast::<pg_sys::PartitionCmd>()).name)?
            }
            AT_AddInherit => tree::relation(change.def.cast())?,
            _ => return None,
        };
        let class = protection::class(other);
        let is_harmless = match change.subtype {
            AT_AttachPartition => match protection::class(target) {
                // A stream takes its own leaves: made by us, or empty, as in a restore.
                Class::Stream => {
                    permit::attaches(target, other)
                        || names::owner(other) == acting::audit_owner()
                        || relation::is_empty(other)
                }
                Class::Protected => class == Class::Ordinary,
                _ => !class.is_guarded(),
            },
            AT_AddInherit => !class.is_guarded(),
            // Rows would leave the table that shows them.
            _ => !class.is_guarded() || permit::detaches(target, other),
        };
        (!is_harmless).then(|| command.refuse(names::relation_text(other)))
    }
}

unsafe fn is_harmless(change: &pg_sys::AlterTableCmd, target: pg_sys::Oid, class: Class) -> bool {
    // SAFETY: as for `judge`.
    unsafe {
        match change.subtype {
            AT_EnableAlwaysTrig
            | AT_ValidateConstraint
            | AT_SetNotNull
            | AT_SetStatistics
            | AT_SetOptions
            | AT_ResetOptions
            | AT_SetStorage
            | AT_SetCompression
            | AT_SetTableSpace
            | AT_ClusterOn
            | AT_DropCluster
            | AT_SetRelOptions
            | AT_ResetRelOptions
            | AT_ReplaceRelOptions
            | AT_ReplicaIdentity
            | AT_NoForceRowSecurity
            | AT_SetLogged
            | AT_DisableRule => true,
            // What a function of ours is making is no stream yet.
            _ if class == Class::Own && acting::in_own_function() => true,
            AT_DisableRowSecurity => class == Class::Protected,
            // Judged by what they name.
            AT_AttachPartition | AT_DetachPartition | AT_DetachPartitionFinalize => true,
            AT_AddConstraint => adds_constraint(&*change.def.cast(), class),
            AT_AddIndexConstraint | AT_AddIndex => true,
            AT_EnableTrig | AT_DisableTrig | AT_EnableReplicaTrig => {
                tree::text(change.name).is_some_and(|name| !is_guard(target, name))
            }
            // What pg_restore --disable-triggers does before it fills a table, and after it.
            AT_DisableTrigAll => relation::is_empty(target) && !acting::has_own_events(),
            AT_EnableTrigAll => trigger_row::has_disabled_guard(target),
            AT_ChangeOwner => {
                let owner = tree::role(change.newowner);
                owner == names::owner(target) || (class != Class::Protected && owner == acting::audit_owner())
            }
            // Without a policy nobody would see a row any more, or add one.
            AT_EnableRowSecurity => {
                class != Class::Protected
                    || !acting::has_own_events()
                    || !ask(c"_policies_of", target).is_empty()
            }
            _ => false,
        }
    }
}

/// A constraint that holds for every row that is there cannot hide one; on a stream, one more could keep rows from
/// being written. A leaf that is being made is none yet.
unsafe fn adds_constraint(constraint: &pg_sys::Constraint, class: Class) -> bool {
    match (constraint.contype, class) {
        (ConstrType::CONSTR_CHECK | ConstrType::CONSTR_FOREIGN, Class::Stream) => false,
        (ConstrType::CONSTR_CHECK, Class::Protected) => {
            // SAFETY: as for `judge`. A restore makes anew what was not valid.
            (!constraint.skip_validation || !acting::has_own_events())
                && unsafe { index::uses_server_functions_only(constraint.raw_expr) }
        }
        _ => true,
    }
}

/// Whether a trigger of this name is one of those that guard the table.
pub(super) fn is_guard(table: pg_sys::Oid, name: &std::ffi::CStr) -> bool {
    // SAFETY: a NUL-terminated name; a missing trigger gives InvalidOid.
    let trigger = unsafe { pg_sys::get_trigger_oid(table, name.as_ptr(), true) };
    trigger != pg_sys::InvalidOid && trigger_row::guards(trigger)
}

/// CREATE TABLE: as a child of a guarded table it would show rows there that are none, as a partition of a stream
/// likewise.
pub(super) unsafe fn created(statement: &pg_sys::CreateStmt, command: &Command) -> Option<Refusal> {
    // SAFETY: as for `judge`.
    unsafe {
        let is_partition = !statement.partbound.is_null();
        tree::nodes(statement.inhRelations).find_map(|node| {
            let parent = tree::relation(node.cast())?;
            let is_harmless = match protection::class(parent) {
                Class::Protected => is_partition,
                Class::Stream | Class::Own => false,
                _ => true,
            };
            (!is_harmless).then(|| command.refuse(names::relation_text(parent)))
        })
    }
}
