//! What a DDL statement that has just run did, read from its parse tree.
#![expect(non_upper_case_globals, reason = "the names are the server's")]

use super::classify::Command;
use super::names;
use pgrx::datum::Internal;
use pgrx::pg_sys::{AlterTableType::*, NodeTag::*, ObjectType::*};
use pgrx::prelude::*;

/// A kind of change that tracking has to follow. The words are those that `audit._plan_after_ddl` knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    TableCreated,
    TableRenamed,
    TableMoved,
    SchemaRenamed,
    ColumnRenamed,
    ColumnDropped,
    TriggerEnabled,
    TriggerSwitched,
    PartitionAttached,
    PartitionDetached,
}

impl Change {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::TableCreated => "table created",
            Self::TableRenamed => "table renamed",
            Self::TableMoved => "table moved",
            Self::SchemaRenamed => "schema renamed",
            Self::ColumnRenamed => "column renamed",
            Self::ColumnDropped => "column dropped",
            Self::TriggerEnabled => "trigger enabled",
            Self::TriggerSwitched => "trigger switched",
            Self::PartitionAttached => "partition attached",
            Self::PartitionDetached => "partition detached",
        }
    }
}

/// What a statement did; empty when tracking has nothing to follow.
#[derive(Default)]
pub(crate) struct Statement {
    pub(crate) changes: Vec<Change>,
    /// The name before, of a table, column or schema; in the database's encoding.
    pub(crate) old_name: Vec<u8>,
    /// The name now; of a partition that was attached or detached, its name.
    pub(crate) new_name: Vec<u8>,
}

impl super::trigger::Call for Statement {}

/// Reads what the server tells an event trigger; None when the function was called in another way.
///
/// # Safety
/// `call` is what the server passed to a function.
pub(crate) unsafe fn statement(call: pg_sys::FunctionCallInfo) -> Option<Statement> {
    // SAFETY: the caller's promise; the context's node tag tells what it is, and its parse tree is valid.
    unsafe {
        let context = (*call).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            return None;
        }
        let tree = (*context.cast::<pg_sys::EventTriggerData>()).parsetree;
        // What the script of an extension creates or alters is the extension's own.
        if tree.is_null() || pg_sys::creating_extension {
            return Some(Statement::default());
        }
        Some(read(tree))
    }
}

/// When an event trigger fires, as far as the guard is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    CommandStart,
    Dropped,
    TableRewrite,
}

/// What an event trigger of the guard is told.
pub(crate) struct Occurrence {
    pub(crate) moment: Moment,
    pub(crate) command: Command,
}

/// Reads what the server tells an event trigger of the guard; None when the function was called in another way.
///
/// # Safety
/// `call` is what the server passed to a function.
pub(crate) unsafe fn occurrence(call: pg_sys::FunctionCallInfo) -> Option<Occurrence> {
    // SAFETY: the caller's promise; the context's node tag tells what it is, its name of the event is a
    // NUL-terminated constant, and its parse tree is valid.
    unsafe {
        let context = (*call).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            return None;
        }
        let data = &*context.cast::<pg_sys::EventTriggerData>();
        let moment = match names::bytes(data.event).as_slice() {
            b"ddl_command_start" => Moment::CommandStart,
            b"sql_drop" => Moment::Dropped,
            b"table_rewrite" => Moment::TableRewrite,
            _ => return None,
        };
        (!data.parsetree.is_null()).then(|| Occurrence { moment, command: Command::new(data.parsetree) })
    }
}

impl super::trigger::Call for Occurrence {}

/// # Safety
/// `tree` is a valid parse tree.
unsafe fn read(tree: *mut pg_sys::Node) -> Statement {
    // SAFETY: the caller's promise; each cast follows the node's tag.
    unsafe {
        match (*tree).type_ {
            T_RenameStmt => rename(&*tree.cast()),
            T_AlterObjectSchemaStmt => moved(&*tree.cast()),
            T_AlterTableStmt => altered(&*tree.cast()),
            T_CreateStmt => created((*tree.cast::<pg_sys::CreateStmt>()).relation),
            T_CreateTableAsStmt => {
                let statement = &*tree.cast::<pg_sys::CreateTableAsStmt>();
                if statement.objtype == OBJECT_TABLE {
                    created((*statement.into).rel)
                } else {
                    Statement::default()
                }
            }
            T_CreateSchemaStmt => Statement { changes: vec![Change::TableCreated], ..Statement::default() },
            _ => Statement::default(),
        }
    }
}

/// # Safety
/// The statement is part of a valid parse tree; so for the functions below.
unsafe fn rename(statement: &pg_sys::RenameStmt) -> Statement {
    // SAFETY: the caller's promise; names are NUL-terminated or null.
    unsafe {
        let (change, old_name) = match statement.renameType {
            OBJECT_TABLE | OBJECT_INDEX | OBJECT_VIEW | OBJECT_MATVIEW | OBJECT_FOREIGN_TABLE => {
                (Change::TableRenamed, (*statement.relation).relname)
            }
            OBJECT_COLUMN | OBJECT_ATTRIBUTE => (Change::ColumnRenamed, statement.subname),
            OBJECT_SCHEMA => (Change::SchemaRenamed, statement.subname),
            _ => return Statement::default(),
        };
        Statement {
            changes: vec![change],
            old_name: names::bytes(old_name),
            new_name: names::bytes(statement.newname),
        }
    }
}

fn moved(statement: &pg_sys::AlterObjectSchemaStmt) -> Statement {
    let changes = if statement.relation.is_null() { vec![] } else { vec![Change::TableMoved] };
    Statement { changes, ..Statement::default() }
}

/// The schema that an object was in before `ALTER ... SET SCHEMA`, from what `pg_event_trigger_ddl_commands()`
/// returns as `command`. None for any other command.
pub(crate) fn former_schema(command: &Internal) -> Option<pg_sys::Oid> {
    // SAFETY: SQL can make a value of this type only by that function, whose results live as long as the event
    // trigger runs; the tag tells which member of the union is filled.
    unsafe {
        let command = command.get::<pg_sys::CollectedCommand>()?;
        if command.type_ != pg_sys::CollectedCommandType::SCT_Simple {
            return None;
        }
        let former = command.d.simple.secondaryObject;
        (former.classId == pg_sys::NamespaceRelationId).then_some(former.objectId)
    }
}

unsafe fn altered(statement: &pg_sys::AlterTableStmt) -> Statement {
    let mut changes = Vec::new();
    let mut new_name = Vec::new();
    // SAFETY: as for `rename`; the list holds commands.
    unsafe {
        let commands = statement.cmds;
        for at in 0..commands.as_ref().map_or(0, |list| list.length) {
            let command = (*(*commands).elements.add(at as usize)).ptr_value.cast::<pg_sys::AlterTableCmd>();
            match (*command).subtype {
                AT_DropColumn => changes.push(Change::ColumnDropped),
                AT_EnableTrig | AT_EnableTrigAll | AT_EnableTrigUser | AT_EnableReplicaTrig => {
                    changes.extend([Change::TriggerEnabled, Change::TriggerSwitched]);
                }
                AT_EnableAlwaysTrig | AT_DisableTrig | AT_DisableTrigAll | AT_DisableTrigUser => {
                    changes.push(Change::TriggerSwitched);
                }
                AT_AttachPartition => {
                    changes.push(Change::PartitionAttached);
                    new_name = partition_name(command);
                }
                AT_DetachPartition | AT_DetachPartitionFinalize => {
                    changes.push(Change::PartitionDetached);
                    new_name = partition_name(command);
                }
                _ => {}
            }
        }
    }
    let enables = changes.contains(&Change::TriggerEnabled);
    // SAFETY: as for `rename`.
    if unsafe { is_ours(statement.relation) } {
        // Our own tables are neither tracked nor partitions of what is, and making months must stay quick.
        changes.retain(|_| enables);
    }
    Statement { changes, new_name, ..Statement::default() }
}

unsafe fn partition_name(command: *const pg_sys::AlterTableCmd) -> Vec<u8> {
    // SAFETY: as for `rename`; the commands about partitions carry a partition's name.
    unsafe { names::bytes((*(*(*command).def.cast::<pg_sys::PartitionCmd>()).name).relname) }
}

/// Whether a statement names a table of schema `audit`, written out.
unsafe fn is_ours(table: *const pg_sys::RangeVar) -> bool {
    // SAFETY: as for `rename`.
    unsafe { names::bytes((*table).schemaname) == b"audit" }
}

unsafe fn created(table: *const pg_sys::RangeVar) -> Statement {
    // SAFETY: as for `rename`.
    let is_temporary = unsafe { (*table).relpersistence == pg_sys::RELPERSISTENCE_TEMP as core::ffi::c_char };
    // SAFETY: as for `rename`.
    let changes = if is_temporary || unsafe { is_ours(table) } { vec![] } else { vec![Change::TableCreated] };
    Statement { changes, ..Statement::default() }
}
