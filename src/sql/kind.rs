//! What kind of statement it is, as far as the router treats kinds differently.

use pg_query::NodeEnum;
use pg_query::protobuf::{TransactionStmtKind, VariableSetKind};

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    Select,
    /// `SELECT … INTO`, `CREATE TABLE … AS`, `CREATE MATERIALIZED VIEW`.
    CreateTableAs,
    Insert,
    Update,
    Delete,
    Merge,
    CopyFrom,
    CopyTo,
    Explain,
    Transaction(TransactionKind),
    /// SET and SET LOCAL; `local` also for SET TRANSACTION.
    Set {
        local: bool,
    },
    Reset,
    Show,
    SetConstraints,
    Prepare,
    Execute,
    Deallocate,
    Declare,
    Fetch,
    Close,
    Listen,
    Unlisten,
    Notify,
    Discard,
    Call,
    Do,
    Vacuum,
    Analyze,
    Lock,
    Truncate,
    Checkpoint,
    Load,
    Cluster,
    Reindex,
    RefreshMaterializedView,
    AlterSystem,
    /// CREATE, ALTER, DROP, GRANT, COMMENT and the like.
    Ddl,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum TransactionKind {
    Begin,
    Commit { chain: bool },
    Rollback { chain: bool },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    Prepare(String),
    CommitPrepared(String),
    RollbackPrepared(String),
}

impl Kind {
    pub(crate) fn of(node: &NodeEnum) -> Self {
        match node {
            NodeEnum::SelectStmt(it) if it.into_clause.is_some() => Self::CreateTableAs,
            NodeEnum::SelectStmt(_) => Self::Select,
            NodeEnum::CreateTableAsStmt(_) => Self::CreateTableAs,
            NodeEnum::InsertStmt(_) => Self::Insert,
            NodeEnum::UpdateStmt(_) => Self::Update,
            NodeEnum::DeleteStmt(_) => Self::Delete,
            NodeEnum::MergeStmt(_) => Self::Merge,
            NodeEnum::CopyStmt(it) if it.is_from => Self::CopyFrom,
            NodeEnum::CopyStmt(_) => Self::CopyTo,
            NodeEnum::ExplainStmt(_) => Self::Explain,
            NodeEnum::TransactionStmt(it) => Self::transaction(it),
            NodeEnum::VariableSetStmt(it) => match it.kind() {
                VariableSetKind::VarReset | VariableSetKind::VarResetAll => Self::Reset,
                _ => Self::Set { local: it.is_local },
            },
            NodeEnum::VariableShowStmt(_) => Self::Show,
            NodeEnum::ConstraintsSetStmt(_) => Self::SetConstraints,
            NodeEnum::PrepareStmt(_) => Self::Prepare,
            NodeEnum::ExecuteStmt(_) => Self::Execute,
            NodeEnum::DeallocateStmt(_) => Self::Deallocate,
            NodeEnum::DeclareCursorStmt(_) => Self::Declare,
            NodeEnum::FetchStmt(_) => Self::Fetch,
            NodeEnum::ClosePortalStmt(_) => Self::Close,
            NodeEnum::ListenStmt(_) => Self::Listen,
            NodeEnum::UnlistenStmt(_) => Self::Unlisten,
            NodeEnum::NotifyStmt(_) => Self::Notify,
            NodeEnum::DiscardStmt(_) => Self::Discard,
            NodeEnum::CallStmt(_) => Self::Call,
            NodeEnum::DoStmt(_) => Self::Do,
            NodeEnum::VacuumStmt(it) if it.is_vacuumcmd => Self::Vacuum,
            NodeEnum::VacuumStmt(_) => Self::Analyze,
            NodeEnum::LockStmt(_) => Self::Lock,
            NodeEnum::TruncateStmt(_) => Self::Truncate,
            NodeEnum::CheckPointStmt(_) => Self::Checkpoint,
            NodeEnum::LoadStmt(_) => Self::Load,
            NodeEnum::ClusterStmt(_) => Self::Cluster,
            NodeEnum::ReindexStmt(_) => Self::Reindex,
            NodeEnum::RefreshMatViewStmt(_) => Self::RefreshMaterializedView,
            NodeEnum::AlterSystemStmt(_) => Self::AlterSystem,
            _ => Self::Ddl,
        }
    }

    fn transaction(it: &pg_query::protobuf::TransactionStmt) -> Self {
        let name = || it.savepoint_name.clone();
        Self::Transaction(match it.kind() {
            TransactionStmtKind::TransStmtCommit => TransactionKind::Commit { chain: it.chain },
            TransactionStmtKind::TransStmtRollback => TransactionKind::Rollback { chain: it.chain },
            TransactionStmtKind::TransStmtSavepoint => TransactionKind::Savepoint(name()),
            TransactionStmtKind::TransStmtRelease => TransactionKind::Release(name()),
            TransactionStmtKind::TransStmtRollbackTo => TransactionKind::RollbackTo(name()),
            TransactionStmtKind::TransStmtPrepare => TransactionKind::Prepare(it.gid.clone()),
            TransactionStmtKind::TransStmtCommitPrepared => TransactionKind::CommitPrepared(it.gid.clone()),
            TransactionStmtKind::TransStmtRollbackPrepared => {
                TransactionKind::RollbackPrepared(it.gid.clone())
            }
            TransactionStmtKind::TransStmtBegin
            | TransactionStmtKind::TransStmtStart
            | TransactionStmtKind::Undefined => TransactionKind::Begin,
        })
    }

    /// Whether it is one of the statements that have a plan: SELECT, INSERT, UPDATE, DELETE, MERGE.
    pub fn is_plannable(&self) -> bool {
        matches!(self, Self::Select | Self::Insert | Self::Update | Self::Delete | Self::Merge)
    }
}
