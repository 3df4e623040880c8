//! One worker query, and how it is queued on a connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use howdah_catalog::{Catalog, GroupId};
use howdah_pg::TypeOid;
use howdah_pg::wire::Format;
use howdah_pg::wire::frontend::{self, Target};

use crate::error::Error;
use crate::execution::Execution;
use crate::server::ServerConnection;
use crate::settings::Settings;

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) group: GroupId,
    pub(crate) text: String,
    /// Array literals that are bound behind the client's parameters.
    pub(crate) arrays: Vec<Bytes>,
}

impl Task {
    pub(crate) fn new(group: GroupId, text: String) -> Self {
        Self { group, text, arrays: vec![] }
    }

    /// Queries of one worker as one, with `end` behind it if there are several.
    fn joined(tasks: &[Self], end: &str) -> Option<Self> {
        let group = tasks.first()?.group;
        let texts: Vec<&str> = tasks.iter().map(|it| it.text.as_str()).collect();
        let text = match texts.as_slice() {
            [only] => (*only).to_owned(),
            several => format!("({}){end}", several.join(") UNION ALL (")),
        };
        Some(Self::new(group, text))
    }

    /// The tasks of each worker as one query, with `end` behind those that are several.
    pub(crate) fn joined_per_worker(tasks: impl IntoIterator<Item = Self>, end: &str) -> Vec<Self> {
        let mut workers: BTreeMap<GroupId, Vec<Self>> = BTreeMap::new();
        tasks.into_iter().for_each(|it| workers.entry(it.group).or_default().push(it));
        workers.into_values().filter_map(|it| Self::joined(&it, end)).collect()
    }
}

/// How tasks are put to a worker, and what their answers are to the client.
#[derive(Clone)]
pub(crate) enum Form<'a> {
    /// With the client's parameters.
    Statement { execution: &'a Execution<'a>, formats: RowFormats },
    /// As a portal of this name on each worker, for [`Self::Portal`].
    Bind { execution: &'a Execution<'a>, formats: RowFormats, portal: String },
    /// So many rows of a portal that the task names.
    Portal { quotas: BTreeMap<GroupId, u64>, catalog: Arc<Catalog> },
    /// As the source of COPY TO STDOUT with these options.
    Copy { options: String, catalog: Arc<Catalog> },
}

impl Form<'_> {
    /// How many of the waiting tasks a connection is given together.
    pub(super) fn portion(&self, waiting: usize) -> usize {
        match self {
            Self::Statement { execution, .. } => execution.pace.portion(waiting),
            Self::Bind { .. } | Self::Portal { .. } | Self::Copy { .. } => waiting.min(1),
        }
    }

    pub(super) fn note_pace(&self, tasks: usize, took: Duration) {
        if let Self::Statement { execution, .. } = self {
            execution.pace.note(tasks, took);
        }
    }

    /// Queues a task; its rows are described first if `describes` says so.
    pub(super) fn queue(&self, connection: &mut ServerConnection, task: &Task, describes: bool) {
        match self {
            Self::Statement { execution, formats } => {
                queue_task(connection, task, execution, formats, describes);
            }
            Self::Bind { execution, formats, portal } => {
                queue_bind(connection, task, execution, formats, portal.as_bytes(), describes);
            }
            Self::Portal { quotas, .. } => {
                let rows = quotas.get(&task.group).map_or(1, |it| i32::try_from(*it).unwrap_or(i32::MAX));
                frontend::put_execute(connection.buffer(), task.text.as_bytes(), rows);
            }
            Self::Copy { options, .. } => {
                connection.queue_query(&format!("COPY ({}) TO STDOUT {options}", task.text));
            }
        }
    }

    /// Behind the tasks of one portion.
    pub(super) fn queue_sync(&self, connection: &mut ServerConnection) {
        match self {
            Self::Statement { .. } | Self::Bind { .. } | Self::Portal { .. } => connection.queue_sync(),
            Self::Copy { .. } => {}
        }
    }

    /// An error of a worker, which had this query.
    pub(super) fn in_client_terms(&self, error: Error, query: &str) -> Error {
        match self {
            Self::Statement { execution, .. } | Self::Bind { execution, .. } => {
                super::for_client(error, query, execution)
            }
            Self::Portal { catalog, .. } | Self::Copy { catalog, .. } => {
                super::without_shards(error, catalog)
            }
        }
    }
}

/// The formats in which the rows of tasks are wanted.
#[derive(Clone, Debug)]
pub(crate) enum RowFormats {
    /// As the client asked.
    Client,
    /// The client's columns as it asked, and this many hidden ones behind them as text.
    Extended {
        hidden: usize,
    },
    Text,
    /// One for each column.
    Columns(Vec<ColumnFormat>),
}

/// How the values of a column of intermediate rows come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ColumnFormat {
    Text,
    /// In binary, to be written with all their digits.
    Float4,
    Float8,
}

/// Text has all digits of a float, unless the session wants to see fewer.
pub(crate) fn text_is_exact(settings: &Settings) -> bool {
    let digits = settings.get("extra_float_digits").and_then(|it| it.parse::<i32>().ok());
    digits.is_none_or(|it| it > 0)
}

/// Queues a task as a portal, which is described if `describe` says so. No Sync is queued.
pub(super) fn queue_bind(
    connection: &mut ServerConnection,
    task: &Task,
    execution: &Execution<'_>,
    formats: &RowFormats,
    portal: &[u8],
    describe: bool,
) {
    let mut parameters = Parameters::of(execution, &task.text);
    parameters.append(&task.arrays);
    let row_formats = match formats {
        RowFormats::Text => vec![],
        RowFormats::Columns(columns) => columns.iter().map(|it| it.on_the_wire()).collect(),
        RowFormats::Client => client_formats(execution),
        RowFormats::Extended { hidden } => {
            let mut list = client_formats(execution);
            list.resize(list.len() + hidden, Format::Text);
            list
        }
    };
    let buffer = connection.buffer();
    frontend::put_parse(buffer, b"", task.text.as_bytes(), &parameters.types);
    frontend::put_bind(
        buffer,
        portal,
        b"",
        &parameters.formats,
        parameters.values.iter().copied(),
        &row_formats,
    );
    if describe {
        frontend::put_describe(buffer, Target::Portal(portal));
    }
}

/// Queues a task and its execution.
pub(crate) fn queue_task(
    connection: &mut ServerConnection,
    task: &Task,
    execution: &Execution<'_>,
    formats: &RowFormats,
    describe: bool,
) {
    queue_bind(connection, task, execution, formats, b"", describe);
    frontend::put_execute(connection.buffer(), b"", 0);
}

impl ColumnFormat {
    /// That in which a value of this type has all its digits, where its text may have fewer.
    pub(crate) fn exact(type_oid: TypeOid) -> Self {
        match type_oid {
            TypeOid::FLOAT4 => Self::Float4,
            TypeOid::FLOAT8 => Self::Float8,
            _ => Self::Text,
        }
    }

    pub(crate) fn on_the_wire(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::Float4 | Self::Float8 => Format::Binary,
        }
    }
}

/// Queues what asks for the columns of a task's rows. No Sync is queued.
pub(crate) fn queue_description(connection: &mut ServerConnection, task: &Task, execution: &Execution<'_>) {
    let parameters = Parameters::of(execution, &task.text);
    let buffer = connection.buffer();
    frontend::put_parse(buffer, b"", task.text.as_bytes(), &parameters.types);
    frontend::put_describe(buffer, Target::Statement(b""));
}

fn client_formats(execution: &Execution<'_>) -> Vec<Format> {
    let Some(bind) = execution.bind else { return vec![] };
    bind.result_formats.iter().collect()
}

/// The client's parameters as a worker is to be given them.
#[derive(Default)]
pub(crate) struct Parameters<'a> {
    pub(crate) types: Vec<TypeOid>,
    pub(crate) formats: Vec<Format>,
    pub(crate) values: Vec<Option<&'a [u8]>>,
}

impl<'a> Parameters<'a> {
    /// As they are: on the coordinator the types are the client's.
    pub(crate) fn on_coordinator(execution: &Execution<'a>) -> Self {
        let Some(bind) = execution.bind else { return Self::default() };
        Self {
            types: execution.description.parameters.clone(),
            formats: bind.parameter_formats.iter().collect(),
            values: bind.parameters.iter().collect(),
        }
    }

    fn append(&mut self, arrays: &'a [Bytes]) {
        if arrays.is_empty() {
            return;
        }
        // A list of formats is for all or for each; with more values it must be for each.
        let all = self.formats.first().copied().unwrap_or_default();
        if self.formats.len() != self.values.len() {
            self.formats = vec![all; self.values.len()];
        }
        for array in arrays {
            self.types.push(TypeOid(0));
            self.formats.push(Format::Text);
            self.values.push(Some(&array[..]));
        }
    }

    /// A type of a user has another OID on a worker: it is left open where the text uses the parameter, so that
    /// the worker infers it, and elsewhere the parameter is an unused NULL.
    pub(crate) fn of(execution: &Execution<'a>, text: &str) -> Self {
        let Some(bind) = execution.bind else { return Self::default() };
        let mut types = execution.description.parameters.clone();
        let mut values: Vec<_> = bind.parameters.iter().collect();
        for (index, type_oid) in types.iter_mut().enumerate().filter(|it| it.1.is_user_defined()) {
            if uses_parameter(text, index + 1) {
                *type_oid = TypeOid(0);
            } else {
                *type_oid = TypeOid::TEXT;
                if let Some(value) = values.get_mut(index) {
                    *value = None;
                }
            }
        }
        Self { types, formats: bind.parameter_formats.iter().collect(), values }
    }
}

/// Whether `$number` stands in the text, at worst inside of a string.
fn uses_parameter(text: &str, number: usize) -> bool {
    let name = format!("${number}");
    text.match_indices(&name)
        .any(|(at, _)| !text[at + name.len()..].starts_with(|it: char| it.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_their_whole_number() {
        assert!(uses_parameter("SELECT $1", 1));
        assert!(!uses_parameter("SELECT $12", 1));
        assert!(uses_parameter("SELECT $12, $1", 1));
    }
}
