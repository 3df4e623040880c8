//! Objects that every node has.

use howdah_sql::ast::{AlterTableStmt, CreateSchemaStmt, GrantStmt, GrantTargetType, ObjectType};
use howdah_sql::{NodeEnum, Statement};

use super::{Ddl, Object, deparse};

/// The same statement for the workers, if it is about what they have as well.
pub(super) fn on_all_nodes(statement: &Statement) -> Ddl {
    let text = match statement.node() {
        // Its elements are tables, views and the like, which event triggers see.
        NodeEnum::CreateSchemaStmt(it) if !it.schema_elts.is_empty() => bare_schema(it),
        _ => Some(statement.text().to_owned()),
    };
    match (object_of(statement.node()), text) {
        (Some(object), Some(text)) => Ddl::AllNodes { text, object },
        _ => Ddl::Coordinator,
    }
}

fn bare_schema(statement: &CreateSchemaStmt) -> Option<String> {
    let bare = CreateSchemaStmt { schema_elts: Vec::new(), ..statement.clone() };
    deparse(&NodeEnum::CreateSchemaStmt(bare))
}

/// `None` for what only the coordinator has.
fn object_of(node: &NodeEnum) -> Option<Object> {
    match node {
        NodeEnum::CreateSchemaStmt(_)
        | NodeEnum::CompositeTypeStmt(_)
        | NodeEnum::CreateEnumStmt(_)
        | NodeEnum::CreateRangeStmt(_)
        | NodeEnum::AlterEnumStmt(_)
        | NodeEnum::AlterTypeStmt(_)
        | NodeEnum::CreateDomainStmt(_)
        | NodeEnum::AlterDomainStmt(_)
        | NodeEnum::CreateExtensionStmt(_)
        | NodeEnum::AlterExtensionStmt(_)
        | NodeEnum::CreateRoleStmt(_)
        | NodeEnum::AlterRoleStmt(_)
        | NodeEnum::AlterRoleSetStmt(_)
        | NodeEnum::DropRoleStmt(_)
        | NodeEnum::GrantRoleStmt(_)
        | NodeEnum::DropOwnedStmt(_)
        | NodeEnum::ReassignOwnedStmt(_)
        | NodeEnum::AlterDatabaseSetStmt(_)
        | NodeEnum::AlterCollationStmt(_) => Some(Object::Needed),
        NodeEnum::CreateFunctionStmt(_) | NodeEnum::AlterFunctionStmt(_) => Some(Object::Optional),
        NodeEnum::DefineStmt(it) => of_type(it.kind()),
        NodeEnum::DropStmt(it) => of_type(it.remove_type()),
        NodeEnum::RenameStmt(it) if it.rename_type() == ObjectType::ObjectAttribute => {
            of_type(it.relation_type())
        }
        NodeEnum::RenameStmt(it) => of_type(it.rename_type()),
        NodeEnum::AlterOwnerStmt(it) => of_type(it.object_type()),
        NodeEnum::AlterObjectSchemaStmt(it) => of_type(it.object_type()),
        NodeEnum::AlterTableStmt(it) => of_alter_table(it),
        NodeEnum::GrantStmt(it) => of_grant(it),
        _ => None,
    }
}

fn of_type(kind: ObjectType) -> Option<Object> {
    match kind {
        ObjectType::ObjectSchema
        | ObjectType::ObjectType
        | ObjectType::ObjectDomain
        | ObjectType::ObjectDomconstraint
        | ObjectType::ObjectCollation
        | ObjectType::ObjectExtension
        | ObjectType::ObjectRole
        | ObjectType::ObjectDatabase
        | ObjectType::ObjectParameterAcl => Some(Object::Needed),
        ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => {
            Some(Object::Optional)
        }
        _ => None,
    }
}

/// `ALTER TYPE … ADD ATTRIBUTE` is an ALTER TABLE to the grammar.
fn of_alter_table(statement: &AlterTableStmt) -> Option<Object> {
    (statement.objtype() == ObjectType::ObjectType).then_some(Object::Needed)
}

/// Rights on tables are for event triggers, those on sequences for nobody else.
fn of_grant(statement: &GrantStmt) -> Option<Object> {
    match statement.targtype() {
        GrantTargetType::AclTargetDefaults => None,
        _ => of_type(statement.objtype()),
    }
}
