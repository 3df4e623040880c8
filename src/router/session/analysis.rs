//! What a statement is and where it runs: from the plan cache, or by parsing and asking the coordinator.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use howdah_catalog::{Catalog, GroupId, TableOid};
use howdah_pg::TypeOid;
use howdah_pg::wire::{Format, backend, frontend};
use howdah_planner::{Plan, PlanScope, Planned};
use howdah_sql::{Kind, RelationName, RelationNames, Statement, TransactionKind};

use super::Session;
use super::effects::{self, Effects};
use super::large::LARGE;
use super::overlay::Environment;
use super::single_shard::Values;
use super::worker_statement::WorkerStatements;
use crate::error::{Error, Result};
use crate::execution::{Columns, Description};
use crate::executor::Pace;
use crate::pool::Term;
use crate::server::{error_fields, text_row};

/// A statement understood, as far as it concerns the router.
pub(crate) struct Analyzed {
    pub(crate) route: Route,
    pub(crate) effects: Effects,
    pub(crate) custom_settings: Vec<String>,
    /// Absent for text that is empty, not understood, or several statements.
    pub(crate) statement: Option<Arc<Statement>>,
}

pub(crate) enum Route {
    /// No statement at all.
    Empty,
    /// Rung 0, and whatever is not understood here: PostgreSQL is asked.
    Local,
    Control(TransactionKind),
    /// SELECT, INSERT, UPDATE, DELETE and MERGE that name distributed or reference tables.
    Planned(Box<Distributed>),
    /// EXPLAIN of such a statement.
    Explain(Box<Distributed>),
    /// COPY of a distributed or reference table.
    Copy,
    /// Any other command that names such a table, or that concerns all nodes.
    Utility,
}

/// A plan, and what is needed to make another for the same statement.
pub(crate) struct Distributed {
    pub(crate) planned: Planned,
    /// With `single_shard_allowed` false, made when first needed.
    fallback: OnceLock<std::result::Result<Planned, howdah_planner::Error>>,
    /// The statement that the plan is of: the one inside, for EXPLAIN.
    pub(crate) statement: Arc<Statement>,
    pub(crate) names: BTreeMap<RelationName, Option<TableOid>>,
    pub(crate) description: Description,
    pub(crate) catalog: Arc<Catalog>,
    /// How long its tasks took last time.
    pub(crate) pace: Pace,
    /// The same for every text that the plan is for.
    pub(super) on_workers: WorkerStatements,
    settings: howdah_planner::Settings,
}

/// Where the other plan of a statement comes from.
pub(super) enum Fallback<'a> {
    /// It is good for every statement of the shape, or for this very text.
    Known(&'a Planned),
    /// Made for this text alone.
    Own(Box<Distributed>),
}

impl Analyzed {
    /// The same statement with a plan of its own.
    pub(super) fn with_plan(&self, distributed: Box<Distributed>) -> Self {
        Self {
            route: Route::Planned(distributed),
            effects: self.effects,
            custom_settings: self.custom_settings.clone(),
            statement: self.statement.clone(),
        }
    }

    pub(super) fn empty() -> Self {
        Self { route: Route::Empty, effects: Effects::NONE, custom_settings: Vec::new(), statement: None }
    }

    /// A query that nobody looked at.
    pub(super) fn unseen() -> Self {
        Self { effects: Effects::UNSEEN, ..Self::unread() }
    }

    fn unread() -> Self {
        Self { route: Route::Local, effects: Effects::UNKNOWN, ..Self::empty() }
    }

    /// Whether a run of it on the coordinator may change data.
    pub(super) fn may_write(&self) -> bool {
        let kind = self.statement.as_ref().map(|it| it.kind());
        let reads = matches!(
            kind,
            Some(
                Kind::Select
                    | Kind::Show
                    | Kind::Set { .. }
                    | Kind::Reset
                    | Kind::Fetch
                    | Kind::Close
                    | Kind::CopyTo
            )
        );
        !reads || self.effects.runs_code
    }

    /// Whether PostgreSQL refuses it within a transaction block, or may.
    pub(super) fn runs_alone(&self) -> bool {
        self.statement.as_ref().is_none_or(|it| {
            crate::ddl::runs_alone(it) || matches!(it.kind(), Kind::Call | Kind::Do | Kind::Discard)
        })
    }

    /// Whether what is known holds for every statement of the shape.
    fn is_of_shape(&self) -> bool {
        match &self.route {
            Route::Empty | Route::Local | Route::Control(_) => self.custom_settings.is_empty(),
            Route::Planned(it) => it.planned.scope == PlanScope::Shape,
            Route::Explain(_) | Route::Copy | Route::Utility => false,
        }
    }

    /// Whether it is likely to be met again.
    fn is_worth_keeping(&self) -> bool {
        let kind = self.statement.as_ref().map(|it| it.kind());
        kind.is_some_and(|it| {
            it.is_plannable()
                || matches!(it, Kind::Transaction(_) | Kind::Set { .. } | Kind::Show | Kind::Reset)
        })
    }
}

impl Distributed {
    /// The plan for a text whose keys do not lead to one shard.
    pub(super) fn fallback(&self, text: &[u8]) -> Result<Fallback<'_>> {
        let made = self.fallback.get_or_init(|| howdah_planner::plan(&self.request(false)));
        let made = made.as_ref().map_err(|error| Error::from(error.clone()))?;
        if made.scope == PlanScope::Shape || text == self.statement.text().as_bytes() {
            return Ok(Fallback::Known(made));
        }
        // The plan speaks of the literals of another text.
        let statement = str::from_utf8(text).ok().and_then(|it| howdah_sql::parse(it).ok());
        let statement = statement.and_then(|mut it| (it.len() == 1).then(|| it.remove(0)));
        let missing = || Error::Internal("a text of a known shape cannot be parsed".to_owned());
        let mut own = Self {
            planned: self.planned.clone(),
            fallback: OnceLock::new(),
            statement: Arc::new(statement.ok_or_else(missing)?),
            names: self.names.clone(),
            description: self.description.clone(),
            catalog: self.catalog.clone(),
            settings: self.settings,
            pace: Pace::default(),
            on_workers: WorkerStatements::default(),
        };
        own.planned = howdah_planner::plan(&own.request(false))?;
        Ok(Fallback::Own(Box::new(own)))
    }

    /// Whether a value goes in or out in a binary form that only the coordinator reads and writes right: types of users
    /// have other OIDs on workers.
    pub(super) fn is_bound_to_the_coordinator(&self, values: &Values<'_>) -> bool {
        let Some(bind) = values.bind else { return false };
        let objects = self.catalog.objects();
        let columns = self.description.columns.iter().flat_map(Columns::types).enumerate();
        let result = !bind.result_formats.all_text()
            && columns
                .into_iter()
                .any(|(at, it)| bind.result_formats.of(at) == Format::Binary && objects.embeds_oids(it));
        let parameters = self.description.parameters.iter().enumerate();
        result
            || !bind.parameter_formats.all_text()
                && parameters.into_iter().any(|(at, it)| {
                    bind.parameter_formats.of(at) == Format::Binary && objects.embeds_oids(*it)
                })
    }

    /// Whether it may run on the coordinator instead.
    pub(super) fn is_read(&self) -> bool {
        let writes = matches!(&self.planned.plan, Plan::SingleShard(single) if single.writes);
        *self.statement.kind() == Kind::Select && !writes
    }

    fn request(&self, single_shard_allowed: bool) -> howdah_planner::Request<'_> {
        howdah_planner::Request {
            statement: &self.statement,
            catalog: &self.catalog,
            names: &self.names,
            parameter_types: &self.description.parameters,
            single_shard_allowed,
            settings: self.settings,
        }
    }
}

impl Session {
    /// What is known of one statement, and under which environment. Errors are the client's: PostgreSQL was asked,
    /// and refused.
    pub(super) async fn analyze(
        &mut self,
        text: &[u8],
        types: &[TypeOid],
    ) -> Result<(Arc<Analyzed>, Environment)> {
        // What a statement of the same pipeline has changed.
        if self.pipeline.refresh {
            self.land_before_questions().await?;
        }
        let environment = self.environment();
        if let Some(known) = self.known(&environment, text, types) {
            return Ok((known, environment));
        }
        self.land_before_questions().await?;
        self.renew_overlay().await?;
        // Another version may be published at any moment: what is found out holds for this one.
        let catalog = self.catalog();
        let environment = self.environment_with(catalog.version());
        let analyzed = Arc::new(self.analyze_anew(text, types, &catalog).await?);
        if text.len() <= LARGE
            && analyzed.is_worth_keeping()
            && self.is_cacheable()
            && self.read_shape(&environment, text, types)
        {
            if analyzed.is_of_shape() {
                self.router.plans.insert(&self.key, analyzed.clone());
            } else {
                self.text_key(&environment, text, types);
                self.router.plans.insert(&self.scratch, analyzed.clone());
            }
        }
        Ok((analyzed, environment))
    }

    /// From the cache.
    fn known(&mut self, environment: &Environment, text: &[u8], types: &[TypeOid]) -> Option<Arc<Analyzed>> {
        if !self.is_cacheable() || !self.read_shape(environment, text, types) {
            return None;
        }
        if let Some(known) = self.router.plans.get(&self.key) {
            return Some(known);
        }
        self.text_key(environment, text, types);
        self.router.plans.get(&self.scratch)
    }

    /// Uncommitted changes of the catalog, and temporary tables that may hide others, are this session's own.
    fn is_cacheable(&self) -> bool {
        self.overlay.is_none() && self.kept.temporary.is_empty() && !self.is_passthrough()
    }

    /// Puts the key of the statement's shape in place; its literals are read from [`Session::shape`].
    fn read_shape(&mut self, environment: &Environment, text: &[u8], types: &[TypeOid]) -> bool {
        if !self.has_standard_strings() || !self.shape.read(text) {
            return false;
        }
        self.key.clear();
        self.key.push(b's');
        self.key.extend_from_slice(environment);
        types.iter().for_each(|it| self.key.extend_from_slice(&it.0.to_be_bytes()));
        self.key.push(0);
        self.key.extend_from_slice(&self.shape.bytes);
        true
    }

    fn text_key(&mut self, environment: &Environment, text: &[u8], types: &[TypeOid]) {
        self.scratch.clear();
        self.scratch.push(b't');
        self.scratch.extend_from_slice(environment);
        types.iter().for_each(|it| self.scratch.extend_from_slice(&it.0.to_be_bytes()));
        self.scratch.push(0);
        self.scratch.extend_from_slice(text);
    }

    /// To be called whenever the settings change.
    pub(super) fn hash_settings(&mut self) {
        let mut hasher = DefaultHasher::new();
        (&*self.user, &*self.database).hash(&mut hasher);
        for name in
            ["role", "session_authorization", "search_path", "transform_null_equals", "client_encoding"]
        {
            self.settings.get(name).hash(&mut hasher);
        }
        self.settings_hash = hasher.finish();
        self.standard_strings = self.settings.get("standard_conforming_strings") != Some("off");
        self.utf8 = matches!(
            self.settings.get("client_encoding"),
            None | Some("UTF8" | "UNICODE" | "utf8" | "utf-8" | "UTF-8")
        );
    }

    fn has_standard_strings(&self) -> bool {
        self.standard_strings
    }

    async fn analyze_anew(
        &mut self,
        text: &[u8],
        types: &[TypeOid],
        catalog: &Arc<Catalog>,
    ) -> Result<Analyzed> {
        // In another encoding the same letters are other bytes here than on the server, and hash differently.
        let Some(text) = str::from_utf8(text).ok().filter(|it| self.utf8 || it.is_ascii()) else {
            return Ok(Analyzed::unread());
        };
        if let Some(unread) = self.leave_unread(text, catalog) {
            return Ok(unread);
        }
        let Ok(mut statements) = howdah_sql::parse(text) else { return Ok(Analyzed::unread()) };
        match statements.len() {
            0 => Ok(Analyzed::empty()),
            1 => self.analyze_statement(Arc::new(statements.remove(0)), types, catalog).await,
            _ => Ok(Analyzed::unread()),
        }
    }

    async fn analyze_statement(
        &mut self,
        statement: Arc<Statement>,
        types: &[TypeOid],
        catalog: &Arc<Catalog>,
    ) -> Result<Analyzed> {
        let route = self.route(&statement, types, catalog).await?;
        Ok(Analyzed {
            route,
            effects: Effects::of(&statement, catalog),
            custom_settings: effects::custom_settings(&statement),
            statement: Some(statement),
        })
    }

    async fn route(
        &mut self,
        statement: &Arc<Statement>,
        types: &[TypeOid],
        catalog: &Arc<Catalog>,
    ) -> Result<Route> {
        if let Kind::Transaction(command) = statement.kind() {
            return Ok(Route::Control(command.clone()));
        }
        if self.is_passthrough() {
            return Ok(Route::Local);
        }
        let named = howdah_sql::relation_names(statement);
        if !named.bare().any(|it| catalog.knows_name(it)) {
            return Ok(if crate::ddl::concerns_all_nodes(statement) { Route::Utility } else { Route::Local });
        }
        match statement.kind() {
            kind if kind.is_plannable() => self.plan(statement.clone(), types, &named, catalog).await,
            Kind::Explain => match statement.inner().filter(|it| it.kind().is_plannable()) {
                Some(inner) => match self.plan(Arc::new(inner), types, &named, catalog).await? {
                    Route::Planned(planned) => Ok(Route::Explain(planned)),
                    other => Ok(other),
                },
                None => Ok(Route::Local),
            },
            Kind::CopyFrom | Kind::CopyTo => {
                let names = self.resolve_names(&named).await?;
                let direct = names_distributed(catalog, &names) && statement.inner().is_none();
                Ok(if direct { Route::Copy } else { Route::Local })
            }
            _ => Ok(Route::Utility),
        }
    }

    /// Asks the coordinator what the names mean and what the statement returns, and plans.
    async fn plan(
        &mut self,
        statement: Arc<Statement>,
        types: &[TypeOid],
        named: &RelationNames,
        catalog: &Arc<Catalog>,
    ) -> Result<Route> {
        let RelationNames::Exact(names) = named else { return Ok(Route::Local) };
        let names: Vec<RelationName> =
            names.iter().filter(|it| catalog.knows_name(&it.name)).cloned().collect();
        let (oids, description) = self.ask(&names, Some((&statement, types))).await?;
        let names: BTreeMap<_, _> = names.into_iter().zip(oids).collect();
        if !names_distributed(catalog, &names) {
            return Ok(Route::Local);
        }
        let mut distributed = Distributed {
            planned: Planned {
                plan: howdah_planner::Plan::Coordinator { writes: false },
                rung: howdah_planner::Rung::Live,
                reasons: Vec::new(),
                scope: PlanScope::Text,
            },
            fallback: OnceLock::new(),
            statement,
            names,
            description,
            catalog: catalog.clone(),
            pace: Pace::default(),
            on_workers: WorkerStatements::default(),
            settings: self.planner_settings(),
        };
        distributed.planned = howdah_planner::plan(&distributed.request(true))?;
        Ok(Route::Planned(Box::new(distributed)))
    }

    fn planner_settings(&self) -> howdah_planner::Settings {
        let path = self.settings.get("search_path").unwrap_or_default();
        howdah_planner::Settings {
            standard_conforming_strings: self.standard_strings,
            transform_null_equals: self.settings.get("transform_null_equals") == Some("on"),
            system_names_first: !path.to_ascii_lowercase().contains("pg_catalog"),
        }
    }

    /// What the relations are, without a look at the rest.
    async fn resolve_names(
        &mut self,
        named: &RelationNames,
    ) -> Result<BTreeMap<RelationName, Option<TableOid>>> {
        let RelationNames::Exact(names) = named else { return Ok(BTreeMap::new()) };
        let names: Vec<RelationName> = names.iter().cloned().collect();
        let (oids, _) = self.ask(&names, None).await?;
        Ok(names.into_iter().zip(oids).collect())
    }

    /// One flight: `to_regclass` of names, and Describe of a statement.
    async fn ask(
        &mut self,
        names: &[RelationName],
        described: Option<(&Statement, &[TypeOid])>,
    ) -> Result<(Vec<Option<TableOid>>, Description)> {
        let classes = names
            .iter()
            .map(|it| format!("pg_catalog.to_regclass({})::oid", crate::settings::literal(&it.quoted())));
        let query = format!("SELECT {}", classes.collect::<Vec<_>>().join(", "));
        // SERIALIZABLE is one node's: the coordinator has no part in it for an answer that is the same outside of it.
        let mut own = match self.transaction.is_serializable_elsewhere(&self.settings) {
            true => Some(self.acquire(GroupId::COORDINATOR, Term::Open).await?),
            false => None,
        };
        let connection = match &mut own {
            Some(connection) => {
                connection.queue_settings(&self.settings);
                &mut **connection
            }
            None => self.participant(GroupId::COORDINATOR).await?,
        };
        let buffer = connection.buffer();
        frontend::put_parse(buffer, b"", query.as_bytes(), &[]);
        frontend::put_bind(buffer, b"", b"", &[], [], &[]);
        frontend::put_execute(buffer, b"", 0);
        if let Some((statement, types)) = described {
            frontend::put_parse(buffer, b"", statement.text().as_bytes(), types);
            frontend::put_describe(buffer, frontend::Target::Statement(b""));
        }
        connection.queue_sync();
        connection.flush().await?;
        let mut oids = Vec::new();
        let mut description = Description::default();
        let mut failure = None;
        loop {
            let message = match &mut own {
                Some(connection) => connection.next_message().await?,
                None => self.next_coordinator_message().await?,
            };
            match message.tag {
                b'D' => oids = text_row(&message.body),
                b't' => {
                    if let Ok(backend::Message::ParameterDescription(types)) =
                        backend::parse(b't', &message.body)
                    {
                        description.parameters = types.iter().collect();
                    }
                }
                b'T' => description.columns = Some(Columns::parse(&message.body)?),
                b'E' => failure = Some(error_fields(&message.body)),
                b'Z' => break,
                _ => {}
            }
        }
        if let Some(connection) = own {
            self.release(connection);
        }
        if let Some(fields) = failure {
            return Err(fields.into());
        }
        let oids = oids.into_iter().map(|it| it.and_then(|it| it.parse().ok()).map(TableOid));
        Ok((oids.collect(), description))
    }
}

fn names_distributed(catalog: &Catalog, names: &BTreeMap<RelationName, Option<TableOid>>) -> bool {
    names.values().flatten().any(|it| catalog.table(*it).is_some())
}
