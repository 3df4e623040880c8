//! What is known about a statement before any rung is tried.

use std::sync::Arc;

use howdah_catalog::{OnCoordinator, Table};
use howdah_sql::ast::LockWaitPolicy;
use howdah_sql::{NodeEnum, NodeRef, Tokens, ast, names, walk};

use crate::Request;
use crate::context::Context;
use crate::whitelist::{self, Needs};

pub(crate) struct Facts<'a> {
    pub(crate) context: Context<'a>,
    /// Whether some name means a distributed table, or a reference table.
    pub(crate) reads_distributed: bool,
    pub(crate) reads_reference: bool,
    /// Targets of all writes in the statement, those of CTEs included; `None` for a local table.
    pub(crate) targets: Vec<Option<Arc<Table>>>,
    /// Whether workers may evaluate all of it.
    pub(crate) worker_safe: Result<Needs, String>,
    /// Why workers may not run it, for what a table of it asks (its policies, its triggers).
    pub(crate) only_on_coordinator: Option<String>,
    /// Something that only a plan on workers does right, if there is such a thing.
    pub(crate) lost_on_live: Option<&'static str>,
    /// Whether it writes to a distributed table in a way that PostgreSQL cannot through a live table.
    pub(crate) refused_on_live: bool,
    /// Whether it calls what is not known to be harmless.
    pub(crate) calls_user_code: bool,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(request: &Request<'a>) -> Self {
        let context = Context::new(request);
        let node = request.statement.node().to_ref();
        let mut facts = Self {
            context,
            reads_distributed: false,
            reads_reference: false,
            targets: Vec::new(),
            worker_safe: whitelist::check(node, request.catalog.objects()),
            only_on_coordinator: None,
            lost_on_live: None,
            refused_on_live: false,
            calls_user_code: false,
        };
        let mut system_columns = false;
        let known = walk(node, &mut |it| {
            facts.look_at(it);
            system_columns |= matches!(it, NodeRef::ColumnRef(column) if is_system_column(column));
        });
        if system_columns && facts.reads_distributed {
            facts.lost_on_live.get_or_insert("a system column");
        }
        facts.calls_user_code |= known.is_err();
        facts
    }

    pub(crate) fn tokens(&self) -> Result<Tokens, String> {
        self.context.request.statement.tokens().map_err(|it| it.to_string())
    }

    pub(crate) fn writes(&self) -> bool {
        !self.targets.is_empty()
    }

    pub(crate) fn writes_distributed(&self) -> bool {
        self.targets.iter().flatten().any(|it| !it.is_reference())
    }

    fn look_at(&mut self, node: NodeRef<'_>) {
        match node {
            NodeRef::RangeVar(range) => {
                if let Some(table) = self.context.table(range) {
                    self.reads_reference |= table.is_reference();
                    self.reads_distributed |= !table.is_reference();
                    if table.on_coordinator == OnCoordinator::Everything {
                        self.only_on_coordinator = Some(format!(
                            "row-level security of table \"{}\" is enforced on the coordinator",
                            table.name
                        ));
                    }
                    if !range.inh && !table.is_reference() {
                        self.lost_on_live = Some("ONLY");
                    }
                }
            }
            NodeRef::RangeTableSample(it) => {
                if let Some(NodeEnum::RangeVar(range)) =
                    it.relation.as_deref().and_then(|it| it.node.as_ref())
                    && self.is_distributed(Some(range))
                {
                    self.lost_on_live = Some("TABLESAMPLE");
                }
            }
            NodeRef::LockingClause(it) if it.wait_policy() == LockWaitPolicy::LockWaitSkip => {
                self.lost_on_live = Some("SKIP LOCKED");
            }
            NodeRef::LockingClause(it) if it.wait_policy() == LockWaitPolicy::LockWaitError => {
                self.lost_on_live = Some("NOWAIT");
            }
            NodeRef::InsertStmt(it) => {
                self.target(it.relation.as_ref());
                self.refused_on_live |=
                    it.on_conflict_clause.is_some() && self.is_distributed(it.relation.as_ref());
            }
            NodeRef::UpdateStmt(it) => self.target(it.relation.as_ref()),
            NodeRef::DeleteStmt(it) => self.target(it.relation.as_ref()),
            NodeRef::MergeStmt(it) => {
                self.target(it.relation.as_ref());
                self.refused_on_live |= self.is_distributed(it.relation.as_ref());
            }
            NodeRef::FuncCall(it) => {
                self.calls_user_code |=
                    whitelist::class_of(it, self.context.request.catalog.objects()).is_err();
            }
            _ => {}
        }
    }

    pub(crate) fn is_distributed(&self, range: Option<&ast::RangeVar>) -> bool {
        range.and_then(|it| self.context.table(it)).is_some_and(|it| !it.is_reference())
    }

    fn target(&mut self, range: Option<&ast::RangeVar>) {
        let Some(table) = range.map(|it| self.context.table(it).cloned()) else { return };
        if let Some(table) = table.as_ref().filter(|it| it.on_coordinator == OnCoordinator::Writes) {
            self.only_on_coordinator =
                Some(format!("triggers of table \"{}\" fire on the coordinator", table.name));
        }
        self.targets.push(table);
    }
}

/// No table can have columns of these names; that an output of a subquery has one is not worth the difference.
fn is_system_column(column: &ast::ColumnRef) -> bool {
    let name = names(&column.fields).last().copied();
    matches!(name, Some("ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid"))
}
