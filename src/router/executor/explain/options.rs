//! The options of an EXPLAIN, and the result that they promise.

use bytes::BytesMut;
use howdah_pg::wire::ErrorFields;
use howdah_pg::wire::Format as WireFormat;
use howdah_pg::wire::backend::{self, ColumnDescription};
use howdah_pg::{SqlState, TypeOid};
use howdah_sql::ast::DefElem;
use howdah_sql::{NodeEnum, Statement, quote_identifier, quote_literal};

use super::document::Value;
use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
    Yaml,
    Xml,
}

#[derive(Default)]
pub(super) struct Options {
    pub(super) analyze: bool,
    pub(super) format: Format,
    /// The others as written, for the servers to judge.
    list: Vec<String>,
}

impl Options {
    pub(super) fn of(statement: &Statement) -> Result<Self> {
        let NodeEnum::ExplainStmt(explain) = statement.node() else {
            return Err(Error::Internal("what is explained is no EXPLAIN".to_owned()));
        };
        let mut options = Self::default();
        for option in explain.options.iter().filter_map(|it| it.node.as_ref()) {
            let NodeEnum::DefElem(option) = option else { continue };
            let value = value(option);
            if option.defname == "format" {
                options.format = Format::of(value.as_deref().unwrap_or_default())?;
                continue;
            }
            if option.defname == "analyze" {
                let value = value.as_deref().unwrap_or("true").to_ascii_lowercase();
                options.analyze = matches!(value.as_str(), "true" | "on" | "1");
            }
            let name = quote_identifier(&option.defname);
            options.list.push(match value {
                Some(value) => format!("{name} {}", quote_literal(&value)),
                None => name,
            });
        }
        // Every format for programs is made of this one.
        if options.format != Format::Text {
            options.list.push("FORMAT json".to_owned());
        }
        Ok(options)
    }

    /// The query with EXPLAIN and the options.
    pub(super) fn text(&self, query: &str) -> String {
        match self.list.as_slice() {
            [] => format!("EXPLAIN {query}"),
            list => format!("EXPLAIN ({}) {query}", list.join(", ")),
        }
    }
}

impl Format {
    fn of(name: &str) -> Result<Self> {
        Ok(match name {
            "text" => Self::Text,
            "json" => Self::Json,
            "yaml" => Self::Yaml,
            "xml" => Self::Xml,
            other => {
                let message = format!("unrecognized value for EXPLAIN option \"format\": \"{other}\"");
                return Err(ErrorFields::error(SqlState::INVALID_PARAMETER_VALUE, message).into());
            }
        })
    }

    pub(super) fn write(self, document: &Value) -> String {
        match self {
            Self::Text | Self::Json => document.to_json(),
            Self::Yaml => document.to_yaml(),
            Self::Xml => document.to_xml(),
        }
    }

    /// `ExplainResultDesc`.
    fn type_oid(self) -> TypeOid {
        match self {
            Self::Text | Self::Yaml => TypeOid::TEXT,
            Self::Json => TypeOid::JSON,
            Self::Xml => TypeOid(142),
        }
    }
}

/// The RowDescription of an EXPLAIN.
pub(crate) fn put_plan_column(explain: &Statement, to: &mut BytesMut) -> Result<()> {
    let column = ColumnDescription {
        name: b"QUERY PLAN".as_slice().into(),
        table_oid: 0,
        column: 0,
        type_oid: Options::of(explain)?.format.type_oid(),
        type_size: -1,
        typmod: -1,
        format: WireFormat::Text,
    };
    backend::put_row_description(to, &[column]);
    Ok(())
}

fn value(option: &DefElem) -> Option<String> {
    match option.arg.as_ref()?.node.as_ref()? {
        NodeEnum::String(it) => Some(it.sval.clone()),
        NodeEnum::Integer(it) => Some(it.ival.to_string()),
        NodeEnum::Float(it) => Some(it.fval.clone()),
        NodeEnum::Boolean(it) => Some(it.boolval.to_string()),
        _ => None,
    }
}
