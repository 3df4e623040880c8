//! DDL and maintenance on nodes other than the coordinator, around the coordinator's own part.
//!
//! The coordinator runs the client's text, and its event triggers change the shards through the loopback (see
//! `metadata/sql/events.sql`). What they cannot do is planned by [`howdah_planner::ddl`] and done here: before the
//! coordinator's part where the workers take part in the transaction, after it where the command commits by itself.

mod index_build;

use std::collections::BTreeMap;

use howdah_catalog::{CatalogVersion, GroupId, TableOid};
use howdah_pg::wire::Field;
use howdah_planner::{Ddl, Object};
use howdah_sql::{Kind, RelationName, Statement};

pub(crate) use howdah_planner::{concerns_all_nodes, runs_alone};

use crate::error::{Error, Result};
use crate::session::Session;
use crate::settings::literal;
use crate::transaction::Block;

/// Before the coordinator runs it: refusals, and the part of the workers.
pub(crate) async fn before(session: &mut Session, statement: &Statement) -> Result<()> {
    match session.plan_ddl(statement).await? {
        Ddl::AllNodes { text, object } => session.run_on_workers(&text, object).await,
        Ddl::TypeChange { table, conversions } => session.announce_type_change(&table, &conversions).await,
        Ddl::Block { body } => session.check_block(&body).await,
        Ddl::PerWorker { texts } if *statement.kind() != Kind::Lock => session.run_per_worker(&texts).await,
        Ddl::IndexBuild => {
            session.run_alone(GroupId::COORDINATOR, "SELECT howdah.leave_index_builds()").await
        }
        Ddl::Maintenance { object } if *statement.kind() == Kind::Reindex => {
            session.resume_index(&object).await
        }
        Ddl::Coordinator | Ddl::PerWorker { .. } | Ddl::Maintenance { .. } | Ddl::Configuration { .. } => {
            Ok(())
        }
    }
}

/// After the coordinator ran it without an error.
pub(crate) async fn after(session: &mut Session, statement: &Statement) -> Result<()> {
    if matches!(statement.kind(), Kind::Vacuum | Kind::Analyze) {
        return session.keep_statistics(statement).await;
    }
    match session.plan_ddl(statement).await? {
        // The table first, as DDL does.
        Ddl::PerWorker { texts } if *statement.kind() == Kind::Lock => session.run_per_worker(&texts).await,
        Ddl::Configuration { text } => {
            let groups = session.worker_groups();
            session.run_per_worker(&groups.into_iter().map(|it| (it, text.clone())).collect()).await
        }
        Ddl::IndexBuild => session.build_indexes().await,
        Ddl::Maintenance { object } => session.maintain(statement, &object).await,
        Ddl::AllNodes { object: Object::Optional, .. } => session.say_on_all_nodes("off").await,
        Ddl::AllNodes { object: Object::Needed, .. }
        | Ddl::Block { .. }
        | Ddl::TypeChange { .. }
        | Ddl::PerWorker { .. }
        | Ddl::Coordinator => Ok(()),
    }
}

impl Session {
    async fn plan_ddl(&mut self, statement: &Statement) -> Result<Ddl> {
        let tables = self.tables_of_ddl(statement).await?;
        Ok(howdah_planner::ddl(statement, &self.catalog(), &tables)?)
    }

    /// The distributed and reference tables that the plan depends on.
    async fn tables_of_ddl(&mut self, statement: &Statement) -> Result<BTreeMap<RelationName, TableOid>> {
        let catalog = self.catalog();
        let mut tables = BTreeMap::new();
        for name in howdah_planner::ddl_relations(statement) {
            if catalog.knows_name(&name.name)
                && let Some(oid) = self.table_named(&name).await?
                && catalog.table(oid).is_some()
            {
                tables.insert(name, oid);
            }
        }
        Ok(tables)
    }

    /// Brings what is known of shards now to the coordinator's planner.
    async fn keep_statistics(&mut self, statement: &Statement) -> Result<()> {
        let all = howdah_planner::ddl_relations(statement).is_empty();
        let tables: Vec<String> = match all {
            true if self.catalog().tables().next().is_some() => vec!["NULL".to_owned()],
            true => Vec::new(),
            false => self.tables_of_ddl(statement).await?.into_values().map(|it| it.to_string()).collect(),
        };
        for table in tables {
            let coordinator = self.participant(GroupId::COORDINATOR).await?;
            coordinator.queue_query(&format!("SELECT howdah.keep_statistics({table})"));
            coordinator.flush().await?;
            self.coordinator_rows().await?;
        }
        Ok(())
    }

    async fn table_named(&mut self, name: &RelationName) -> Result<Option<TableOid>> {
        let query = format!("SELECT pg_catalog.to_regclass({})::pg_catalog.oid", literal(&name.quoted()));
        let rows = self.participant(GroupId::COORDINATOR).await?.rows(&query).await?;
        let oid = rows.into_iter().flatten().next().flatten();
        Ok(oid.and_then(|it| it.parse().ok()).map(TableOid))
    }

    fn worker_groups(&self) -> Vec<GroupId> {
        self.catalog().workers().filter(|it| it.active).map(|it| it.group).collect()
    }

    /// One after the other in the order of the nodes, so that two such statements cannot wait for each other.
    async fn run_on_workers(&mut self, text: &str, object: Object) -> Result<()> {
        if self.catalog().version() == CatalogVersion(0) {
            return Ok(());
        }
        let mut everywhere = true;
        for group in self.share_nodes().await? {
            self.participant(group).await?;
            self.transaction.mark_writer(group);
            everywhere &= self.try_on_worker(group, text, object).await?;
        }
        match object {
            Object::Optional if everywhere => self.say_on_all_nodes("on").await,
            Object::Optional | Object::Needed => Ok(()),
        }
    }

    /// The workers as of now: a node that is being added is waited for, and none is added before this transaction ends.
    async fn share_nodes(&mut self) -> Result<Vec<GroupId>> {
        let coordinator = self.participant(GroupId::COORDINATOR).await?;
        let rows = coordinator.rows("SELECT howdah.share_nodes()").await?;
        let numbers = rows.into_iter().flatten().flatten();
        Ok(numbers.filter_map(|it| it.parse().ok()).map(GroupId).collect())
    }

    /// False if the worker lacks what the statement needs: then it is as if it had not been asked.
    async fn try_on_worker(&mut self, group: GroupId, text: &str, object: Object) -> Result<bool> {
        let connection = self.participant(group).await?;
        connection.run("SAVEPOINT howdah_ddl").await?;
        if object == Object::Optional {
            // Bodies speak of tables that are not here.
            connection.run("SET LOCAL check_function_bodies = off").await?;
        }
        let result = connection.run(text).await;
        match result {
            Ok(()) => connection.run("RELEASE SAVEPOINT howdah_ddl").await.map(|()| true),
            Err(Error::Postgres(fields))
                if object == Object::Optional || is_missing(fields.code().as_str()) =>
            {
                connection.run("ROLLBACK TO SAVEPOINT howdah_ddl").await?;
                connection.run("RELEASE SAVEPOINT howdah_ddl").await.map(|()| false)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells the coordinator's event trigger whether the workers have the function that comes.
    async fn say_on_all_nodes(&mut self, value: &str) -> Result<()> {
        if self.transaction.block() == Block::Failed {
            return Ok(());
        }
        let coordinator = self.participant(GroupId::COORDINATOR).await?;
        coordinator.run(&format!("SET LOCAL howdah.on_all_nodes = '{value}'")).await
    }

    async fn announce_type_change(
        &mut self,
        table: &RelationName,
        conversions: &BTreeMap<String, String>,
    ) -> Result<()> {
        if !self.catalog().knows_name(&table.name) {
            return Ok(());
        }
        let conversions = serde_json::to_string(conversions).map_err(|it| Error::Internal(it.to_string()))?;
        let query = format!(
            "SELECT howdah.announce_type_change(pg_catalog.to_regclass({}), {}::pg_catalog.jsonb, \
             pg_catalog.current_setting('search_path'))",
            literal(&table.quoted()),
            literal(&conversions)
        );
        self.participant(GroupId::COORDINATOR).await?.run(&query).await
    }

    /// Refuses what a block would say of live tables in vain.
    async fn check_block(&mut self, body: &str) -> Result<()> {
        if self.catalog().tables().next().is_none() {
            return Ok(());
        }
        let query = format!("SELECT howdah.check_block({})", literal(body));
        match self.participant(GroupId::COORDINATOR).await?.rows(&query).await {
            Err(Error::Postgres(mut fields)) => {
                fields.remove(Field::Where);
                Err(Error::Postgres(fields))
            }
            other => other.map(drop),
        }
    }

    /// Each worker by itself, or in the block if there is one.
    async fn run_per_worker(&mut self, texts: &BTreeMap<GroupId, String>) -> Result<()> {
        for (group, text) in texts {
            self.run_alone(*group, text).await?;
        }
        Ok(())
    }

    /// The shards of the table or index one after the other.
    async fn maintain(&mut self, statement: &Statement, object: &RelationName) -> Result<()> {
        let query = format!(
            "SELECT groupid, schema_name, name, clustered FROM howdah.shard_objects(pg_catalog.to_regclass({}))",
            literal(&object.quoted())
        );
        for row in self.participant(GroupId::COORDINATOR).await?.rows(&query).await? {
            let [Some(group), Some(schema), Some(name), clustered] = row.as_slice() else { continue };
            let text = howdah_planner::for_shard(statement, schema, name, clustered.as_deref());
            if let (Ok(group), Some(text)) = (group.parse(), text) {
                self.run_alone(GroupId(group), &text).await?;
            }
        }
        Ok(())
    }

    /// REINDEX of an index whose build was interrupted goes on with it.
    async fn resume_index(&mut self, object: &RelationName) -> Result<()> {
        if self.transaction.is_in_progress() {
            return Ok(());
        }
        let query = format!(
            "SELECT howdah.resume_index_build(pg_catalog.to_regclass({}))",
            literal(&object.quoted())
        );
        let rows = self.participant(GroupId::COORDINATOR).await?.rows(&query).await?;
        match rows.into_iter().flatten().flatten().next().as_deref() {
            Some("t") => {
                self.build_indexes().await?;
                // PostgreSQL takes some forms of REINDEX only outside of a transaction.
                self.end_statement().await
            }
            _ => Ok(()),
        }
    }
}

/// An object, a function, a table or a schema that does not exist.
fn is_missing(code: &str) -> bool {
    matches!(code, "42704" | "42883" | "42P01" | "3F000")
}
