//! Reads a ServerGroup file and checks what the local driver can check before anything starts.
use std::fs;
use std::path::Path;

use howdah_api::{API_VERSION, Coordinator, KIND, ServerGroup, ServerGroupSpec, Workers};
use howdah_instance::binaries::SUPPORTED;
use serde::Deserialize;
use serde_json::Value;

use crate::{Error, parameters};

/// The server group of a file. Errors name the line, or the field.
pub(crate) fn read(path: &Path) -> Result<ServerGroup, Error> {
    let text = fs::read_to_string(path).map_err(Error::file(path))?;
    parse(&text).map_err(|message| Error::Spec { path: path.to_owned(), message })
}

/// A file, as a person wrote it or as kubectl exported it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: ServerGroupSpec,
    /// Written by the operator; it says nothing about this machine.
    #[serde(rename = "status")]
    _status: Option<serde::de::IgnoredAny>,
}

/// What means something here; the rest is left alone.
#[derive(Deserialize)]
struct Metadata {
    name: String,
}

pub(crate) fn parse(text: &str) -> Result<ServerGroup, String> {
    let file: File = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let written: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    if let Some(message) = howdah_api::unknown_field(&written["spec"]) {
        return Err(message);
    }
    check(&file)?;
    Ok(ServerGroup::new(&file.metadata.name, file.spec))
}

fn check(file: &File) -> Result<(), String> {
    let expected =
        |field: &str, found: &str, wanted: &str| format!("{field}: \"{found}\" is not \"{wanted}\"");
    if file.api_version != API_VERSION {
        return Err(expected("apiVersion", &file.api_version, API_VERSION));
    }
    if file.kind != KIND {
        return Err(expected("kind", &file.kind, KIND));
    }
    check_name(&file.metadata.name)?;
    check_spec(&file.spec)
}

fn check_spec(spec: &ServerGroupSpec) -> Result<(), String> {
    postgres_major(spec)?;
    check_identifier("spec.database", &spec.database, &["template0", "template1"])?;
    check_identifier("spec.adminUser", &spec.admin_user, &["postgres", "public", "none"])?;
    if spec.admin_user.starts_with("pg_") {
        return Err("spec.adminUser: names that begin with \"pg_\" are reserved".into());
    }
    for (field, parameters) in [
        ("spec.parameters", &spec.parameters),
        ("spec.coordinator.parameters", &spec.coordinator.parameters),
        ("spec.workers.parameters", &spec.workers.parameters),
    ] {
        parameters::check(field, parameters)?;
    }
    if spec.workers.count == 0 || spec.coordinator.hold_shards {
        return Err("spec: shards on the coordinator are not supported yet: \
                    set workers.count to 1 or more and coordinator.holdShards to false"
            .into());
    }
    if spec.workers.count > MAX_WORKERS {
        return Err(format!("spec.workers.count: at most {MAX_WORKERS} on one machine"));
    }
    if spec.bootstrap != howdah_api::Bootstrap::default() {
        return Err("spec.bootstrap: restoring is not supported on one machine yet".into());
    }
    Ok(())
}

/// The version that the spec asks for, if it does.
pub(crate) fn postgres_major(spec: &ServerGroupSpec) -> Result<Option<u32>, String> {
    if spec.postgres_version.is_empty() {
        return Ok(None);
    }
    match spec.postgres_version.parse() {
        Ok(major) if SUPPORTED.contains(&major) => Ok(Some(major)),
        _ => Err(format!(
            "spec.postgresVersion: \"{}\" is not a major version from {} to {}",
            spec.postgres_version,
            SUPPORTED.start(),
            SUPPORTED.end()
        )),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let valid = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    let edges = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > 40 || edges || !name.chars().all(valid) {
        return Err(format!(
            "metadata.name: \"{name}\" must be 1 to 40 lower-case letters, digits and inner hyphens"
        ));
    }
    Ok(())
}

fn check_identifier(field: &str, name: &str, taken: &[&str]) -> Result<(), String> {
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        return Err(format!("{field}: a PostgreSQL name has 1 to 63 bytes"));
    }
    if taken.contains(&name) {
        return Err(format!("{field}: \"{name}\" is reserved"));
    }
    Ok(())
}

/// The fields that are set but mean nothing on one machine, for a note to the user.
pub(crate) fn ignored_fields(spec: &ServerGroupSpec) -> Vec<String> {
    let mut read = ServerGroupSpec {
        postgres_version: spec.postgres_version.clone(),
        database: spec.database.clone(),
        admin_user: spec.admin_user.clone(),
        parameters: spec.parameters.clone(),
        coordinator: Coordinator {
            parameters: spec.coordinator.parameters.clone(),
            ..Coordinator::default()
        },
        workers: Workers {
            count: spec.workers.count,
            parameters: spec.workers.parameters.clone(),
            ..Workers::default()
        },
        ..ServerGroupSpec::default()
    };
    read.router.pool.default_pool_size = spec.router.pool.default_pool_size;
    read.router.pool.max_client_connections = spec.router.pool.max_client_connections;
    let json = |it: &ServerGroupSpec| serde_json::to_value(it).expect("a spec is plain data");
    let mut fields = Vec::new();
    differences("spec", &json(spec), &json(&read), &mut fields);
    fields
}

/// Paths of the objects' fields that differ; two levels say enough.
fn differences(path: &str, written: &Value, read: &Value, fields: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) if path.matches('.').count() < 2 => {
            for (name, value) in written {
                differences(&format!("{path}.{name}"), value, read.get(name).unwrap_or(&Value::Null), fields);
            }
        }
        _ if written != read => fields.push(path.to_owned()),
        _ => {}
    }
}

const MAX_WORKERS: u32 = 64;

#[cfg(test)]
mod tests;
