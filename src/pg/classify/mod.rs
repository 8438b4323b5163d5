//! The classifier: whether a command weakens what is protected. It serves the event trigger and the hook of the
//! preloaded library.
//!
//! Only what weakens is refused. On something that is protected, a command that is not known to be harmless
//! weakens it; on everything else, no command does.

mod alter_table;
mod index;
mod objects;
mod rights;
mod server;

pub(crate) use objects::guarded_object;

use super::protection::{self, Class};
use super::{call, names, tree};
use pgrx::pg_sys::NodeTag::*;
use pgrx::prelude::*;

/// Why a command is refused.
pub(crate) struct Refusal {
    pub(crate) object: String,
    pub(crate) message: String,
    pub(crate) hint: Option<&'static str>,
    pub(crate) code: PgSqlErrorCode,
    /// The database that it is about, when it is another than the present one.
    pub(crate) database: Option<pg_sys::Oid>,
}

/// What may be refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    /// A hook of the preloaded library asks, and not the event trigger: what no event trigger sees, too.
    pub(crate) lockdown: bool,
    /// Also what reaches out of SQL: files, programs, libraries, settings of the server.
    pub(crate) strict: bool,
}

/// A command as it was parsed.
pub(crate) struct Command {
    tree: *mut pg_sys::Node,
}

impl Command {
    /// # Safety
    /// `tree` is a valid parse tree of a utility statement that outlives the command.
    pub(super) unsafe fn new(tree: *mut pg_sys::Node) -> Self {
        Self { tree }
    }

    /// Its name, for example `ALTER TABLE`.
    pub(crate) fn name(&self) -> String {
        // SAFETY: a constant of the server for each kind of statement.
        unsafe { names::text(pg_sys::GetCommandTagName(pg_sys::CreateCommandTag(self.tree))) }
    }

    /// Whether it is `DROP EXTENSION audit_guard`.
    pub(crate) fn uninstalls(&self) -> bool {
        // SAFETY: a valid tree; the cast follows the node's tag, and extensions are named by strings.
        unsafe {
            if (*self.tree).type_ != T_DropStmt {
                return false;
            }
            let statement = &*self.tree.cast::<pg_sys::DropStmt>();
            statement.removeType == pg_sys::ObjectType::OBJECT_EXTENSION
                && tree::nodes(statement.objects).any(|node| tree::string(node) == Some(c"audit_guard"))
        }
    }

    /// Why it must be refused, if it must.
    pub(crate) fn refusal(&self, scope: Scope) -> Option<Refusal> {
        // SAFETY: a valid tree; each cast follows the node's tag.
        unsafe { self.judge(scope) }
    }

    unsafe fn judge(&self, scope: Scope) -> Option<Refusal> {
        let tree = self.tree;
        // SAFETY: the tree is valid by `new`.
        unsafe {
            let found = match (*tree).type_ {
                T_AlterTableStmt => alter_table::judge(&*tree.cast(), self),
                T_CreateStmt => alter_table::created(&*tree.cast(), self),
                T_IndexStmt => index::created(&*tree.cast(), self, scope),
                T_DropStmt => objects::dropped(&*tree.cast(), self),
                T_RenameStmt => objects::renamed(&*tree.cast(), self, scope),
                T_AlterObjectSchemaStmt => objects::moved(&*tree.cast(), self),
                T_AlterOwnerStmt => objects::given(&*tree.cast(), self),
                T_AlterObjectDependsStmt => objects::depends(&*tree.cast(), self),
                T_RuleStmt => self.on(tree::relation((*tree.cast::<pg_sys::RuleStmt>()).relation)),
                T_ViewStmt => self.on_own(tree::relation((*tree.cast::<pg_sys::ViewStmt>()).view)),
                T_CreateTrigStmt => objects::trigger_created(&*tree.cast(), self),
                T_CreatePolicyStmt => {
                    self.on_own(tree::relation((*tree.cast::<pg_sys::CreatePolicyStmt>()).table))
                }
                T_AlterPolicyStmt => {
                    self.on_own(tree::relation((*tree.cast::<pg_sys::AlterPolicyStmt>()).table))
                }
                T_AlterSeqStmt => {
                    self.on_own(tree::relation((*tree.cast::<pg_sys::AlterSeqStmt>()).sequence))
                }
                T_AlterEnumStmt => objects::enum_altered(&*tree.cast(), self),
                T_AlterDomainStmt => {
                    self.on_type(tree::type_of_names((*tree.cast::<pg_sys::AlterDomainStmt>()).typeName))
                }
                T_CreateFunctionStmt => objects::function_created(&*tree.cast(), self, scope),
                T_AlterFunctionStmt => {
                    self.on_function((*(*tree.cast::<pg_sys::AlterFunctionStmt>()).func).objname)
                }
                T_GrantStmt => rights::granted(&*tree.cast(), self),
                T_DropOwnedStmt => rights::owned((*tree.cast::<pg_sys::DropOwnedStmt>()).roles, self),
                T_ReassignOwnedStmt => {
                    let statement = &*tree.cast::<pg_sys::ReassignOwnedStmt>();
                    rights::owned(statement.roles, self)
                        .or_else(|| rights::becomes_ours(statement.newrole, self))
                }
                T_AlterExtensionContentsStmt => server::extension_contents(&*tree.cast(), self),
                _ => None,
            };
            if found.is_none() && scope.lockdown {
                return server::judge(tree, self, scope);
            }
            found
        }
    }

    /// Refused when the relation is guarded.
    fn on(&self, relation: Option<pg_sys::Oid>) -> Option<Refusal> {
        let relation = relation.filter(|&relation| protection::class(relation).is_guarded())?;
        Some(self.refuse(names::relation_text(relation)))
    }

    /// Refused when the relation is ours: a user's protected table may have this.
    fn on_own(&self, relation: Option<pg_sys::Oid>) -> Option<Refusal> {
        let is_own =
            |&relation: &pg_sys::Oid| matches!(protection::class(relation), Class::Stream | Class::Own);
        Some(self.refuse(names::relation_text(relation.filter(is_own)?)))
    }

    /// Refused when the type is ours, or that of a column of a protected table.
    fn on_type(&self, type_oid: Option<pg_sys::Oid>) -> Option<Refusal> {
        let table = ask(c"_protected_by_type", type_oid?);
        (!table.is_empty()).then(|| self.refuse(table))
    }

    /// Refused when the function is ours.
    ///
    /// # Safety
    /// `list` is a list of String nodes.
    unsafe fn on_function(&self, list: *mut pg_sys::List) -> Option<Refusal> {
        // SAFETY: the caller's promise.
        unsafe {
            if !tree::is_in_audit(list) || !protection::is_installed() {
                return None;
            }
            let name = tree::strings(list).pop().map(|name| name.to_string_lossy().into_owned());
            Some(self.refuse(format!("function audit.{}", name.unwrap_or_default())))
        }
    }

    fn refuse(&self, object: String) -> Refusal {
        Refusal {
            message: format!("{object} is protected: {} refused", self.name()),
            object,
            hint: Some("What is allowed, and how to get out: SELECT * FROM audit.guard_status();"),
            code: PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION,
            database: None,
        }
    }

    fn refuse_with(&self, object: String, hint: &'static str) -> Refusal {
        Refusal { hint: Some(hint), ..self.refuse(object) }
    }
}

/// What a function of ours says about an object: the name of what is protected by it, or nothing.
fn ask(function: &std::ffi::CStr, object: pg_sys::Oid) -> String {
    if !protection::is_installed() {
        return String::new();
    }
    let object = object.to_u32().to_string().into_bytes();
    let answer = super::acting::with_latest_snapshot(|| call::text_function(function, [&object]));
    super::encoding::to_utf8(&answer)
}
