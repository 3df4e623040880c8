//! What a COPY statement asks for, read from its tree. What is not understood is refused by name.

use howdah_catalog::Table;
use howdah_pg::SqlState;
use howdah_pg::wire::ErrorFields;
use howdah_sql::ast::{CopyStmt, DefElem};
use howdah_sql::{NodeEnum, names};

use super::format::{CsvNull, Format};
use crate::error::{Error, Result};
use crate::settings::{literal, quote_identifier};

/// The options of a COPY, checked as far as the router relies on them.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) format: Format,
    pub(super) header: bool,
    /// HEADER MATCH.
    pub(super) matches_header: bool,
    freeze: bool,
    /// All options, as PostgreSQL is to judge them; empty if there is nothing that the router does not know.
    unjudged: Vec<String>,
    /// One that PostgreSQL may know, and the router does not.
    unsupported: Option<String>,
    force_null: Vec<String>,
    force_not_null: Vec<String>,
    /// For COPY TO; `*` is all.
    force_quote: Vec<String>,
}

#[derive(Default)]
struct Written {
    format: Option<String>,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    header: bool,
    matches_header: bool,
    freeze: bool,
    unusual: bool,
    all: Vec<String>,
    unsupported: Option<String>,
    force_null: Vec<String>,
    force_not_null: Vec<String>,
    force_quote: Vec<String>,
}

impl Options {
    pub(super) fn of(statement: &CopyStmt) -> Result<Self> {
        let mut written = Written::default();
        for option in statement.options.iter().filter_map(|it| it.node.as_ref()) {
            if let NodeEnum::DefElem(option) = option {
                written.read(option);
            }
        }
        written.options()
    }

    /// What FORCE_NULL and FORCE_NOT_NULL say of one column.
    pub(super) fn csv_null(&self, column: &str) -> CsvNull {
        let names = |list: &[String]| list.iter().any(|it| it == column || it == "*");
        CsvNull { force_null: names(&self.force_null), force_not_null: names(&self.force_not_null) }
    }

    /// To be asked when PostgreSQL has found nothing wrong.
    pub(super) fn check_supported(&self) -> Result<()> {
        match &self.unsupported {
            None => Ok(()),
            Some(name) => Err(Error::not_supported(
                format!("COPY option \"{name}\" is not supported for distributed tables"),
                "Leave the option out.",
            )),
        }
    }

    /// Whether a server must be asked if they are right.
    pub(super) fn wants_check(&self) -> bool {
        !self.unjudged.is_empty()
    }

    pub(super) fn as_written(&self) -> String {
        match self.unjudged.is_empty() {
            true => self.for_shard(),
            false => format!("({})", self.unjudged.join(", ")),
        }
    }

    /// For a COPY of the header alone.
    pub(super) fn for_header(&self) -> String {
        let mut list = self.list_for_shard();
        list.push("HEADER match".to_owned());
        format!("({})", list.join(", "))
    }

    /// The option list for a shard: rows as the client writes them, but without a header.
    pub(super) fn for_shard(&self) -> String {
        format!("({})", self.list_for_shard().join(", "))
    }

    fn list_for_shard(&self) -> Vec<String> {
        let mut list = Vec::new();
        list.extend(self.freeze.then(|| "FREEZE".to_owned()));
        match &self.format {
            Format::Binary => list.push("FORMAT binary".to_owned()),
            Format::Text { delimiter, null } => {
                list.push("FORMAT text".to_owned());
                list.extend(shared(*delimiter, null));
            }
            Format::Csv { delimiter, null, quote, escape, .. } => {
                list.push("FORMAT csv".to_owned());
                list.extend(shared(*delimiter, null));
                list.push(format!("QUOTE {}", letter(*quote)));
                list.push(format!("ESCAPE {}", letter(*escape)));
                list.extend(columns("FORCE_NULL", &self.force_null));
                list.extend(columns("FORCE_NOT_NULL", &self.force_not_null));
                list.extend(columns("FORCE_QUOTE", &self.force_quote));
            }
        }
        list
    }
}

fn shared(delimiter: u8, null: &[u8]) -> [String; 2] {
    [format!("DELIMITER {}", letter(delimiter)), format!("NULL {}", literal(&String::from_utf8_lossy(null)))]
}

fn letter(byte: u8) -> String {
    literal(&char::from(byte).to_string())
}

fn columns(option: &str, names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [all] if all == "*" => Some(format!("{option} *")),
        names => {
            let names: Vec<String> = names.iter().map(|it| quote_identifier(it)).collect();
            Some(format!("{option} ({})", names.join(", ")))
        }
    }
}

impl Written {
    fn read(&mut self, option: &DefElem) {
        self.all.push(written(option));
        match option.defname.as_str() {
            "format" => self.format = Some(string(option)),
            "delimiter" => self.delimiter = Some(string(option)),
            "null" => self.null = Some(string(option)),
            "quote" => self.quote = Some(string(option)),
            "escape" => self.escape = Some(string(option)),
            "header" => {
                self.matches_header = string(option).eq_ignore_ascii_case("match");
                self.header = self.matches_header || boolean(option);
                self.unusual |= self.matches_header;
            }
            "force_null" => self.force_null = list(option),
            "force_not_null" => self.force_not_null = list(option),
            "force_quote" => self.force_quote = list(option),
            "encoding" if is_utf8(&string(option)) => {}
            "freeze" => self.freeze = boolean(option),
            // Without ON_ERROR ignore they have no effect, or are an error of PostgreSQL's.
            "log_verbosity" | "reject_limit" => {}
            "on_error" if string(option).eq_ignore_ascii_case("stop") => {}
            other => self.unsupported = Some(other.to_owned()),
        }
        self.unusual |= !matches!(
            option.defname.as_str(),
            "format" | "delimiter" | "null" | "quote" | "escape" | "header"
        );
    }

    fn options(self) -> Result<Options> {
        let format = match self.format.as_deref().unwrap_or("text") {
            "text" => Format::Text {
                delimiter: single(self.delimiter, b'\t', "delimiter")?,
                null: self.null.unwrap_or_else(|| "\\N".to_owned()).into_bytes(),
            },
            "csv" => {
                let quote = single(self.quote, b'"', "quote")?;
                Format::Csv {
                    delimiter: single(self.delimiter, b',', "delimiter")?,
                    null: self.null.unwrap_or_default().into_bytes(),
                    quote,
                    escape: single(self.escape, quote, "escape")?,
                    distribution_null: CsvNull::default(),
                }
            }
            "binary" => Format::Binary,
            other => return Err(invalid(format!("COPY format \"{other}\" not recognized"))),
        };
        Ok(Options {
            format,
            header: self.header,
            matches_header: self.matches_header,
            freeze: self.freeze,
            unsupported: self.unsupported,
            unjudged: if self.unusual { self.all } else { Vec::new() },
            force_null: self.force_null,
            force_not_null: self.force_not_null,
            force_quote: self.force_quote,
        })
    }
}

fn single(value: Option<String>, default: u8, name: &str) -> Result<u8> {
    match value.as_deref().map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) => Ok(*byte),
        Some(_) => Err(Error::from(ErrorFields::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("COPY {name} must be a single one-byte character"),
        ))),
    }
}

fn invalid(message: String) -> Error {
    ErrorFields::error(SqlState::INVALID_PARAMETER_VALUE, message).into()
}

fn argument(option: &DefElem) -> Option<&NodeEnum> {
    option.arg.as_ref()?.node.as_ref()
}

fn string(option: &DefElem) -> String {
    match argument(option) {
        Some(NodeEnum::String(it)) => it.sval.clone(),
        Some(NodeEnum::Integer(it)) => it.ival.to_string(),
        Some(NodeEnum::Boolean(it)) => it.boolval.to_string(),
        _ => String::new(),
    }
}

/// `defGetBoolean`: without an argument it is true.
fn boolean(option: &DefElem) -> bool {
    match argument(option) {
        None => true,
        Some(_) => matches!(string(option).to_ascii_lowercase().as_str(), "true" | "on" | "1"),
    }
}

/// The option as a client would write it.
fn written(option: &DefElem) -> String {
    let name = quote_identifier(&option.defname);
    match argument(option) {
        None => name,
        Some(NodeEnum::List(it)) => {
            let names: Vec<String> = names(&it.items).into_iter().map(quote_identifier).collect();
            format!("{name} ({})", names.join(", "))
        }
        Some(NodeEnum::AStar(_)) => format!("{name} *"),
        // MATCH is for rows, and there are none.
        Some(_) if string(option).eq_ignore_ascii_case("match") => name,
        Some(NodeEnum::Integer(it)) => format!("{name} {}", it.ival),
        Some(_) => format!("{name} {}", literal(&string(option))),
    }
}

fn list(option: &DefElem) -> Vec<String> {
    match argument(option) {
        Some(NodeEnum::List(it)) => names(&it.items).into_iter().map(str::to_owned).collect(),
        _ => vec!["*".to_owned()],
    }
}

fn is_utf8(name: &str) -> bool {
    matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode")
}

/// The columns that the rows have, in order: those written, or all that are not generated.
pub(super) fn columns_of(statement: &CopyStmt, table: &Table) -> Result<Vec<String>> {
    let written = names(&statement.attlist);
    if written.is_empty() {
        return Ok(table.columns.iter().filter(|it| !it.generated).map(|it| it.name.clone()).collect());
    }
    for name in &written {
        let Some(column) = table.column_named(name) else {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
            return Err(ErrorFields::error(SqlState::UNDEFINED_COLUMN, message).into());
        };
        if column.generated {
            let message = format!("column \"{name}\" is a generated column");
            return Err(ErrorFields::error(SqlState::INVALID_COLUMN_REFERENCE, message).into());
        }
    }
    Ok(written.into_iter().map(str::to_owned).collect())
}
