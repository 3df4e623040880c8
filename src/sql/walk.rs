//! Walks over the raw parse tree of SELECT, INSERT, UPDATE, DELETE, MERGE and the statements that contain them.
//!
//! The set of known nodes is closed: a node that is not listed stops the walk with [`UnknownNode`], so that new syntax
//! is never half understood.

use pg_query::protobuf::{self, node::Node as NodeEnum};
use pg_query::{Node, NodeRef};

/// A node of which the children are not known here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("syntax that is not known here")]
pub struct UnknownNode;

/// Calls `visit` for a node and everything below it, parents first, in the order of the text where the tree has it.
pub fn walk<'a>(node: NodeRef<'a>, visit: &mut dyn FnMut(NodeRef<'a>)) -> Result<(), UnknownNode> {
    visit(node);
    let mut below = Vec::new();
    children(node, &mut |it| below.push(it))?;
    below.into_iter().try_for_each(|it| walk(it, visit))
}

/// The strings of a list of names (`funcname`, `names`, `fields`); anything else in it is left out.
pub fn names(list: &[Node]) -> Vec<&str> {
    let mut names = Vec::with_capacity(list.len());
    for node in list {
        if let Some(NodeEnum::String(it)) = node.node.as_ref() {
            names.push(it.sval.as_str());
        }
    }
    names
}

struct Children<'a, 'v> {
    visit: &'v mut dyn FnMut(NodeRef<'a>),
}

type Child = Option<Box<Node>>;

impl<'a> Children<'a, '_> {
    fn node(&mut self, node: &'a Node) -> &mut Self {
        if let Some(node) = node.node.as_ref() {
            (self.visit)(node.to_ref());
        }
        self
    }

    fn one(&mut self, node: &'a Child) -> &mut Self {
        if let Some(node) = node {
            self.node(node);
        }
        self
    }

    fn list(&mut self, nodes: &'a [Node]) -> &mut Self {
        for node in nodes {
            self.node(node);
        }
        self
    }

    fn typed<T>(&mut self, node: Option<&'a T>, make: fn(&'a T) -> NodeRef<'a>) -> &mut Self {
        if let Some(node) = node {
            (self.visit)(make(node));
        }
        self
    }

    fn with(&mut self, clause: &'a Option<protobuf::WithClause>) -> &mut Self {
        self.typed(clause.as_ref(), NodeRef::WithClause)
    }

    fn range(&mut self, range: &'a Option<protobuf::RangeVar>) -> &mut Self {
        self.typed(range.as_ref(), NodeRef::RangeVar)
    }

    fn type_name(&mut self, name: &'a Option<protobuf::TypeName>) -> &mut Self {
        self.typed(name.as_ref(), NodeRef::TypeName)
    }

    fn returning(&mut self, clause: &'a Option<protobuf::ReturningClause>) -> &mut Self {
        self.typed(clause.as_ref(), NodeRef::ReturningClause)
    }

    fn window(&mut self, window: &'a Option<Box<protobuf::WindowDef>>) -> &mut Self {
        self.typed(window.as_deref(), NodeRef::WindowDef)
    }

    fn json_value(&mut self, value: &'a Option<Box<protobuf::JsonValueExpr>>) -> &mut Self {
        self.typed(value.as_deref(), NodeRef::JsonValueExpr)
    }

    fn json_output(&mut self, output: &'a Option<protobuf::JsonOutput>) -> &mut Self {
        self.typed(output.as_ref(), NodeRef::JsonOutput)
    }

    fn json_behavior(&mut self, behavior: &'a Option<Box<protobuf::JsonBehavior>>) -> &mut Self {
        self.typed(behavior.as_deref(), NodeRef::JsonBehavior)
    }
}

/// Calls `visit` for each child of a node.
pub fn children<'a>(node: NodeRef<'a>, visit: &mut dyn FnMut(NodeRef<'a>)) -> Result<(), UnknownNode> {
    let mut to = Children { visit };
    match node {
        // What has no children, or only names.
        NodeRef::Alias(_)
        | NodeRef::RangeVar(_)
        | NodeRef::ColumnRef(_)
        | NodeRef::ParamRef(_)
        | NodeRef::AConst(_)
        | NodeRef::AStar(_)
        | NodeRef::Integer(_)
        | NodeRef::Float(_)
        | NodeRef::Boolean(_)
        | NodeRef::String(_)
        | NodeRef::BitString(_)
        | NodeRef::SetToDefault(_)
        | NodeRef::SqlvalueFunction(_)
        | NodeRef::CurrentOfExpr(_)
        | NodeRef::MergeSupportFunc(_)
        | NodeRef::CtesearchClause(_)
        | NodeRef::JsonFormat(_)
        | NodeRef::JsonReturning(_)
        | NodeRef::ReturningOption(_)
        | NodeRef::LockingClause(_) => {}
        _ => return statement(node, &mut to),
    }
    Ok(())
}

fn statement<'a>(node: NodeRef<'a>, to: &mut Children<'a, '_>) -> Result<(), UnknownNode> {
    match node {
        NodeRef::SelectStmt(it) => select(it, to),
        NodeRef::InsertStmt(it) => {
            to.with(&it.with_clause).range(&it.relation).list(&it.cols).one(&it.select_stmt);
            to.typed(it.on_conflict_clause.as_deref(), NodeRef::OnConflictClause)
                .returning(&it.returning_clause);
        }
        NodeRef::UpdateStmt(it) => {
            to.with(&it.with_clause).range(&it.relation).list(&it.target_list).list(&it.from_clause);
            to.one(&it.where_clause).returning(&it.returning_clause);
        }
        NodeRef::DeleteStmt(it) => {
            to.with(&it.with_clause).range(&it.relation).list(&it.using_clause);
            to.one(&it.where_clause).returning(&it.returning_clause);
        }
        NodeRef::MergeStmt(it) => {
            to.with(&it.with_clause).range(&it.relation).one(&it.source_relation).one(&it.join_condition);
            to.list(&it.merge_when_clauses).returning(&it.returning_clause);
        }
        NodeRef::MergeWhenClause(it) => {
            to.one(&it.condition).list(&it.target_list).list(&it.values);
        }
        NodeRef::OnConflictClause(it) => {
            to.typed(it.infer.as_deref(), NodeRef::InferClause).list(&it.target_list).one(&it.where_clause);
        }
        NodeRef::InferClause(it) => {
            to.list(&it.index_elems).one(&it.where_clause);
        }
        NodeRef::IndexElem(it) => {
            to.one(&it.expr);
        }
        NodeRef::ReturningClause(it) => {
            to.list(&it.options).list(&it.exprs);
        }
        NodeRef::ExplainStmt(it) => {
            to.list(&it.options).one(&it.query);
        }
        NodeRef::DeclareCursorStmt(it) => {
            to.one(&it.query);
        }
        NodeRef::PrepareStmt(it) => {
            to.list(&it.argtypes).one(&it.query);
        }
        NodeRef::ExecuteStmt(it) => {
            to.list(&it.params);
        }
        NodeRef::CopyStmt(it) => {
            to.range(&it.relation).one(&it.query).list(&it.attlist).list(&it.options).one(&it.where_clause);
        }
        NodeRef::CreateTableAsStmt(it) => {
            to.one(&it.query).typed(it.into.as_deref(), NodeRef::IntoClause);
        }
        NodeRef::IntoClause(it) => {
            to.range(&it.rel).list(&it.options);
        }
        NodeRef::ViewStmt(it) => {
            to.range(&it.view).one(&it.query).list(&it.options);
        }
        NodeRef::TruncateStmt(it) => {
            to.list(&it.relations);
        }
        NodeRef::LockStmt(it) => {
            to.list(&it.relations);
        }
        NodeRef::VacuumStmt(it) => {
            to.list(&it.options).list(&it.rels);
        }
        NodeRef::VacuumRelation(it) => {
            to.range(&it.relation);
        }
        NodeRef::CallStmt(it) => {
            to.typed(it.funccall.as_deref(), NodeRef::FuncCall);
        }
        NodeRef::DefElem(it) => {
            to.one(&it.arg);
        }
        _ => return clause(node, to),
    }
    Ok(())
}

fn select<'a>(it: &'a protobuf::SelectStmt, to: &mut Children<'a, '_>) {
    to.with(&it.with_clause);
    to.typed(it.larg.as_deref(), NodeRef::SelectStmt).typed(it.rarg.as_deref(), NodeRef::SelectStmt);
    to.list(&it.distinct_clause).list(&it.target_list).typed(it.into_clause.as_deref(), NodeRef::IntoClause);
    to.list(&it.values_lists).list(&it.from_clause).one(&it.where_clause);
    to.list(&it.group_clause).one(&it.having_clause).list(&it.window_clause);
    to.list(&it.sort_clause).one(&it.limit_offset).one(&it.limit_count).list(&it.locking_clause);
}

fn clause<'a>(node: NodeRef<'a>, to: &mut Children<'a, '_>) -> Result<(), UnknownNode> {
    match node {
        NodeRef::WithClause(it) => {
            to.list(&it.ctes);
        }
        NodeRef::CommonTableExpr(it) => {
            to.one(&it.ctequery).typed(it.search_clause.as_ref(), NodeRef::CtesearchClause);
            to.typed(it.cycle_clause.as_deref(), NodeRef::CtecycleClause);
        }
        NodeRef::CtecycleClause(it) => {
            to.one(&it.cycle_mark_value).one(&it.cycle_mark_default);
        }
        NodeRef::RangeSubselect(it) => {
            to.one(&it.subquery);
        }
        NodeRef::RangeFunction(it) => {
            to.list(&it.functions);
        }
        NodeRef::RangeTableSample(it) => {
            to.one(&it.relation).list(&it.args).one(&it.repeatable);
        }
        NodeRef::RangeTableFunc(it) => {
            to.one(&it.docexpr).one(&it.rowexpr).list(&it.namespaces).list(&it.columns);
        }
        NodeRef::RangeTableFuncCol(it) => {
            to.type_name(&it.type_name).one(&it.colexpr).one(&it.coldefexpr);
        }
        NodeRef::JoinExpr(it) => {
            to.one(&it.larg).one(&it.rarg).one(&it.quals);
        }
        NodeRef::ResTarget(it) => {
            to.list(&it.indirection).one(&it.val);
        }
        NodeRef::MultiAssignRef(it) => {
            // Each column of `(a, b) = (…)` points to the same source.
            if it.colno <= 1 {
                to.one(&it.source);
            }
        }
        NodeRef::SortBy(it) => {
            to.one(&it.node);
        }
        NodeRef::GroupingSet(it) => {
            to.list(&it.content);
        }
        NodeRef::WindowDef(it) => {
            to.list(&it.partition_clause).list(&it.order_clause).one(&it.start_offset).one(&it.end_offset);
        }
        NodeRef::List(it) => {
            to.list(&it.items);
        }
        _ => return expression(node, to),
    }
    Ok(())
}

fn expression<'a>(node: NodeRef<'a>, to: &mut Children<'a, '_>) -> Result<(), UnknownNode> {
    match node {
        NodeRef::AExpr(it) => {
            to.one(&it.lexpr).one(&it.rexpr);
        }
        NodeRef::BoolExpr(it) => {
            to.list(&it.args);
        }
        NodeRef::TypeCast(it) => {
            to.one(&it.arg).type_name(&it.type_name);
        }
        NodeRef::TypeName(it) => {
            to.list(&it.typmods).list(&it.array_bounds);
        }
        NodeRef::CollateClause(it) => {
            to.one(&it.arg);
        }
        NodeRef::FuncCall(it) => {
            to.list(&it.args).list(&it.agg_order).one(&it.agg_filter).window(&it.over);
        }
        NodeRef::NamedArgExpr(it) => {
            to.one(&it.arg);
        }
        NodeRef::SubLink(it) => {
            to.one(&it.testexpr).one(&it.subselect);
        }
        NodeRef::CaseExpr(it) => {
            to.one(&it.arg).list(&it.args).one(&it.defresult);
        }
        NodeRef::CaseWhen(it) => {
            to.one(&it.expr).one(&it.result);
        }
        NodeRef::CoalesceExpr(it) => {
            to.list(&it.args);
        }
        NodeRef::MinMaxExpr(it) => {
            to.list(&it.args);
        }
        NodeRef::NullTest(it) => {
            to.one(&it.arg);
        }
        NodeRef::BooleanTest(it) => {
            to.one(&it.arg);
        }
        NodeRef::AIndirection(it) => {
            to.one(&it.arg).list(&it.indirection);
        }
        NodeRef::AIndices(it) => {
            to.one(&it.lidx).one(&it.uidx);
        }
        NodeRef::AArrayExpr(it) => {
            to.list(&it.elements);
        }
        NodeRef::RowExpr(it) => {
            to.list(&it.args);
        }
        NodeRef::GroupingFunc(it) => {
            to.list(&it.args);
        }
        NodeRef::XmlExpr(it) => {
            to.list(&it.named_args).list(&it.args);
        }
        NodeRef::XmlSerialize(it) => {
            to.one(&it.expr).type_name(&it.type_name);
        }
        _ => return json(node, to),
    }
    Ok(())
}

fn json<'a>(node: NodeRef<'a>, to: &mut Children<'a, '_>) -> Result<(), UnknownNode> {
    match node {
        NodeRef::JsonValueExpr(it) => {
            to.one(&it.raw_expr).one(&it.formatted_expr);
        }
        NodeRef::JsonIsPredicate(it) => {
            to.one(&it.expr);
        }
        NodeRef::JsonOutput(it) => {
            to.type_name(&it.type_name);
        }
        NodeRef::JsonArgument(it) => {
            to.json_value(&it.val);
        }
        NodeRef::JsonKeyValue(it) => {
            to.one(&it.key).json_value(&it.value);
        }
        NodeRef::JsonBehavior(it) => {
            to.one(&it.expr);
        }
        NodeRef::JsonFuncExpr(it) => {
            to.json_value(&it.context_item).one(&it.pathspec).list(&it.passing).json_output(&it.output);
            to.json_behavior(&it.on_empty).json_behavior(&it.on_error);
        }
        NodeRef::JsonParseExpr(it) => {
            to.json_value(&it.expr).json_output(&it.output);
        }
        NodeRef::JsonScalarExpr(it) => {
            to.one(&it.expr).json_output(&it.output);
        }
        NodeRef::JsonSerializeExpr(it) => {
            to.json_value(&it.expr).json_output(&it.output);
        }
        NodeRef::JsonObjectConstructor(it) => {
            to.list(&it.exprs).json_output(&it.output);
        }
        NodeRef::JsonArrayConstructor(it) => {
            to.list(&it.exprs).json_output(&it.output);
        }
        NodeRef::JsonArrayQueryConstructor(it) => {
            to.one(&it.query).json_output(&it.output);
        }
        NodeRef::JsonAggConstructor(it) => {
            to.json_output(&it.output).one(&it.agg_filter).list(&it.agg_order).window(&it.over);
        }
        NodeRef::JsonObjectAgg(it) => {
            to.typed(it.constructor.as_deref(), NodeRef::JsonAggConstructor);
            to.typed(it.arg.as_deref(), NodeRef::JsonKeyValue);
        }
        NodeRef::JsonArrayAgg(it) => {
            to.typed(it.constructor.as_deref(), NodeRef::JsonAggConstructor).json_value(&it.arg);
        }
        NodeRef::JsonTable(it) => {
            to.json_value(&it.context_item).typed(it.pathspec.as_deref(), NodeRef::JsonTablePathSpec);
            to.list(&it.passing).list(&it.columns).json_behavior(&it.on_error);
        }
        NodeRef::JsonTablePathSpec(it) => {
            to.one(&it.string);
        }
        NodeRef::JsonTableColumn(it) => {
            to.type_name(&it.type_name).typed(it.pathspec.as_deref(), NodeRef::JsonTablePathSpec);
            to.list(&it.columns).json_behavior(&it.on_empty).json_behavior(&it.on_error);
        }
        _ => return Err(UnknownNode),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
