//! CREATE INDEX, and expressions in general: what is evaluated for every new row can keep rows from being
//! written.

use super::super::protection::{self, Class};
use super::super::{acting, leaf, names, tree};
use super::{Command, Refusal, Scope};
use pgrx::pg_sys::NodeTag::*;
use pgrx::prelude::*;
use std::ffi::{CStr, c_void};

/// # Safety
/// `statement` is part of a valid parse tree.
pub(super) unsafe fn created(
    statement: &pg_sys::IndexStmt,
    command: &Command,
    scope: Scope,
) -> Option<Refusal> {
    // SAFETY: the caller's promise; the list holds IndexElem nodes.
    unsafe {
        let table = tree::relation(statement.relation)?;
        let class = protection::class(table);
        if !class.is_guarded() || acting::in_own_function() {
            return None;
        }
        let expressions = tree::nodes(statement.indexParams)
            .map(|node| (*node.cast::<pg_sys::IndexElem>()).expr)
            .chain([statement.whereClause]);
        let foreign =
            expressions.filter(|node| !node.is_null()).any(|node| !uses_server_functions_only(node));
        if foreign {
            return Some(command.refuse(names::relation_text(table)));
        }
        if scope.lockdown && !statement.concurrent && is_being_written(table) {
            return Some(blocks_writers(
                table,
                command,
                "CREATE INDEX CONCURRENTLY ... does not stop writers.",
            ));
        }
        None
    }
}

/// A command that would keep the whole application from writing while it runs.
pub(super) fn blocks_writers(table: pg_sys::Oid, command: &Command, hint: &'static str) -> Refusal {
    let object = names::relation_text(table);
    Refusal {
        message: format!("{object} is being written: {} would stop every writer", command.name()),
        ..command.refuse_with(object, hint)
    }
}

/// Whether every writer needs this leaf now. In a restore, nobody does.
pub(super) fn is_being_written(table: pg_sys::Oid) -> bool {
    protection::class(table) == Class::Stream
        && leaf::find(super::super::ids::clock()).is_some_and(|leaf| leaf.oid == table)
        && acting::has_own_events()
}

/// Whether an expression calls nothing but functions and operators that come with the server.
///
/// # Safety
/// `expression` is a raw parse tree, or null.
pub(super) unsafe fn uses_server_functions_only(expression: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's promise.
    unsafe { !calls_others(expression, std::ptr::null_mut()) }
}

type Walker = unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool;

#[cfg(feature = "pg15")]
unsafe extern "C-unwind" {
    #[link_name = "raw_expression_tree_walker"]
    fn walk(node: *mut pg_sys::Node, walker: Walker, context: *mut c_void) -> bool;
}
#[cfg(not(feature = "pg15"))]
unsafe extern "C-unwind" {
    #[link_name = "raw_expression_tree_walker_impl"]
    fn walk(node: *mut pg_sys::Node, walker: Walker, context: *mut c_void) -> bool;
}

unsafe extern "C-unwind" fn calls_others(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: a node of the tree that is walked; each cast follows its tag.
    unsafe {
        let is_other = match (*node).type_ {
            T_FuncCall => !is_of_server((*node.cast::<pg_sys::FuncCall>()).funcname, names::has_function),
            T_A_Expr => {
                let name = (*node.cast::<pg_sys::A_Expr>()).name;
                !name.is_null() && !is_of_server(name, names::has_operator)
            }
            T_TypeCast => tree::type_of((*node.cast::<pg_sys::TypeCast>()).typeName)
                .is_none_or(|found| !names::is_built_in(found)),
            _ => false,
        };
        is_other || walk(node, calls_others, context)
    }
}

/// # Safety
/// `list` is a list of String nodes.
unsafe fn is_of_server(list: *mut pg_sys::List, exists: fn(&CStr) -> bool) -> bool {
    // SAFETY: the caller's promise.
    match unsafe { tree::strings(list) }.as_slice() {
        [name] => exists(name),
        [schema, name] => *schema == c"pg_catalog" && exists(name),
        _ => false,
    }
}
