//! What a statement may leave behind in the backend that runs it, read off its tree.
//!
//! Errs on one side only: what is not known to be harmless counts as able to change the session, and
//! PostgreSQL is asked afterwards.

use howdah_catalog::Catalog;
use howdah_sql::{Kind, NodeEnum, NodeRef, Statement};

use crate::server::Draws;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Effects {
    /// Settings, temporary objects, locks, cursors and the like may be different after it.
    pub(crate) may_change_session: bool,
    /// May run code of users or ours, which may reach live tables: it needs a transaction around it.
    pub(crate) runs_code: bool,
    /// Whether it draws from sequences, as far as it can be seen: the backend remembers that.
    draws: Draws,
    /// Calls currval or lastval: the session wants its backend to remember from now on.
    pub(crate) asks_sequences: bool,
}

impl Effects {
    pub(crate) const NONE: Self =
        Self { may_change_session: false, runs_code: false, draws: Draws::No, asks_sequences: false };
    pub(crate) const UNKNOWN: Self = Self { may_change_session: true, draws: Draws::Likely, ..Self::NONE };

    /// Of a query that nobody looked at.
    pub(crate) const UNSEEN: Self = Self { runs_code: true, ..Self::UNKNOWN };

    pub(crate) fn of(statement: &Statement, catalog: &Catalog) -> Self {
        let mut effects = Self { may_change_session: is_suspect(statement), ..Self::NONE };
        // A view, a trigger or a default may call any user function.
        effects.runs_code = !catalog.objects().functions.is_empty() && names_relations(statement);
        let known = howdah_sql::walk(statement.node().to_ref(), &mut |node| {
            if let NodeRef::FuncCall(call) = node {
                let name = howdah_sql::names(&call.funcname).last().copied().unwrap_or_default();
                effects.may_change_session |= changes_session(name);
                effects.runs_code |= is_ours(name) || is_user_function(name, catalog);
                effects.asks_sequences |= matches!(name, "currval" | "lastval");
                if matches!(name, "nextval" | "setval") || is_user_function(name, catalog) {
                    effects.draws = Draws::Likely;
                }
            }
            if matches!(node, NodeRef::SetToDefault(_) | NodeRef::InsertStmt(_) | NodeRef::MergeStmt(_)) {
                effects.draws = Draws::Likely;
            }
        });
        if matches!(statement.kind(), Kind::CopyFrom | Kind::Call | Kind::Do | Kind::Execute) {
            effects.draws = Draws::Likely;
        }
        effects.may_change_session |= effects.runs_code;
        effects.runs_code &= statement.kind().is_plannable() || *statement.kind() == Kind::CreateTableAs;
        if known.is_err() { Self::UNKNOWN } else { effects }
    }

    /// Whether it draws from sequences: rules and triggers may, where it writes.
    pub(crate) fn draws(self, writes: bool) -> Draws {
        self.draws.max(if writes { Draws::Perhaps } else { Draws::No })
    }

    fn and(self, other: Self) -> Self {
        Self {
            may_change_session: self.may_change_session || other.may_change_session,
            runs_code: self.runs_code || other.runs_code,
            draws: self.draws.max(other.draws),
            asks_sequences: self.asks_sequences || other.asks_sequences,
        }
    }
}

impl FromIterator<Effects> for Effects {
    fn from_iter<T: IntoIterator<Item = Effects>>(effects: T) -> Self {
        effects.into_iter().fold(Self::NONE, Self::and)
    }
}

/// Settings with a dot in their name that a statement sets by a name written in it. PostgreSQL keeps them, and
/// tells their values, but does not list them.
pub(super) fn custom_settings(statement: &Statement) -> Vec<String> {
    let mut names = Vec::new();
    match statement.node() {
        NodeEnum::VariableSetStmt(it) => names.push(it.name.to_ascii_lowercase()),
        NodeEnum::DoStmt(it) => names.extend(it.args.iter().flat_map(|it| match it.node.as_ref() {
            Some(NodeEnum::DefElem(part)) => match part.arg.as_ref().and_then(|it| it.node.as_ref()) {
                Some(NodeEnum::String(code)) => settings_in_code(&code.sval),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        })),
        _ => {}
    }
    let _ = howdah_sql::walk(statement.node().to_ref(), &mut |node| {
        if let NodeRef::FuncCall(call) = node
            && howdah_sql::names(&call.funcname).last() == Some(&"set_config")
            && let Some(NodeEnum::AConst(first)) = call.args.first().and_then(|it| it.node.as_ref())
            && let Some(howdah_sql::ast::a_const::Val::Sval(name)) = &first.val
        {
            names.push(name.sval.to_ascii_lowercase());
        }
    });
    names.retain(|it| it.contains('.'));
    names
}

/// What stands in code like the name of a setting of users: in a string, or behind SET. The same rule as that of
/// `catalog_json.sql` for functions.
fn settings_in_code(code: &str) -> Vec<String> {
    let is_name = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '.');
    let mut names = Vec::new();
    let mut before = String::new();
    for word in code.split_inclusive(|it: char| !is_name(it)) {
        let name = word.trim_end_matches(|it: char| !is_name(it)).to_ascii_lowercase();
        let behind_set = before.split_whitespace().rev().find(|it| !matches!(*it, "local" | "session"));
        if name.contains('.') && (before.ends_with('\'') || behind_set == Some("set")) {
            names.push(name);
        }
        before.push_str(&word.to_ascii_lowercase());
        let start = before.char_indices().rev().nth(MAX_SET).map_or(0, |it| it.0);
        before.drain(..start);
    }
    names
}

/// `SET SESSION` and some space.
const MAX_SET: usize = 24;

fn is_suspect(statement: &Statement) -> bool {
    match statement.kind() {
        Kind::Select
        | Kind::Insert
        | Kind::Update
        | Kind::Delete
        | Kind::Merge
        | Kind::CopyFrom
        | Kind::CopyTo
        | Kind::Explain
        | Kind::Transaction(_)
        | Kind::Show
        | Kind::SetConstraints
        | Kind::Fetch
        | Kind::Notify
        | Kind::Vacuum
        | Kind::Analyze
        | Kind::Lock
        | Kind::Truncate
        | Kind::Checkpoint
        | Kind::Cluster
        | Kind::Reindex
        | Kind::AlterSystem => false,
        // Without HOLD it ends with the transaction.
        Kind::Declare => match statement.node() {
            NodeEnum::DeclareCursorStmt(it) => it.options & CURSOR_OPT_HOLD != 0,
            _ => true,
        },
        Kind::Set { .. }
        | Kind::Reset
        | Kind::Prepare
        | Kind::Execute
        | Kind::Deallocate
        | Kind::Close
        | Kind::Listen
        | Kind::Unlisten
        | Kind::Discard
        | Kind::Call
        | Kind::Do
        | Kind::Load
        | Kind::RefreshMaterializedView
        | Kind::CreateTableAs
        | Kind::Ddl => true,
    }
}

/// `CURSOR_OPT_HOLD` of parsenodes.h.
const CURSOR_OPT_HOLD: i32 = 0x0020;

fn names_relations(statement: &Statement) -> bool {
    howdah_sql::relation_names(statement).bare().next().is_some()
}

fn is_user_function(name: &str, catalog: &Catalog) -> bool {
    !catalog.objects().functions_named(name).is_empty()
}

/// Our functions, which change the catalog or work on other nodes.
fn is_ours(name: &str) -> bool {
    const PREFIXES: [&str; 12] = [
        "citus_",
        "create_distributed_",
        "create_reference_",
        "undistribute_",
        "alter_distributed_",
        "update_distributed_",
        "truncate_local_data",
        "run_command_on_",
        "rebalance_",
        "recover_prepared_",
        "isolate_tenant",
        "master_",
    ];
    PREFIXES.iter().any(|it| name.starts_with(it))
}

/// PostgreSQL's own functions that change the session rather than data.
fn changes_session(name: &str) -> bool {
    matches!(
        name,
        "set_config"
            | "setseed"
            | "pg_advisory_lock"
            | "pg_advisory_lock_shared"
            | "pg_try_advisory_lock"
            | "pg_try_advisory_lock_shared"
            | "pg_advisory_unlock"
            | "pg_advisory_unlock_shared"
            | "pg_advisory_unlock_all"
            | "pg_replication_origin_session_setup"
            | "pg_replication_origin_session_reset"
            | "dblink_connect"
            | "dblink_connect_u"
            | "dblink_disconnect"
            | "query_to_xml"
            | "query_to_xmlschema"
            | "query_to_xml_and_xmlschema"
            | "cursor_to_xml"
            | "ts_stat"
            | "ts_rewrite"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_in_code() {
        let code = "BEGIN PERFORM set_config('App.Tenant', v.x, false); SET LOCAL my.name = 'a.b'; set\n your.name TO 1; x.y := 1; END";
        assert_eq!(settings_in_code(code), ["app.tenant", "my.name", "a.b", "your.name"]);
    }
}
