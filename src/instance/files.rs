//! postgresql.conf, pg_hba.conf and pg_ident.conf, written at each start.
//!
//! initdb's postgresql.conf is kept (it knows the time zone) and includes ours as its last line; ALTER
//! SYSTEM's file is read by Postgres after both, so that what an administrator sets that way wins.
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use howdah_tls::names;

use crate::known_settings::Settings;
use crate::memory::resolve_percentages;
use crate::{Error, InstanceConfig};

/// All of them, for a server of this major version.
pub(crate) fn write(config: &InstanceConfig, settings: &Settings, major: u32) -> Result<(), Error> {
    let data = config.data_dir();
    write_settings(config, settings, &data)?;
    write_file(&data.join("pg_hba.conf"), &pg_hba(major))?;
    write_file(&data.join("pg_ident.conf"), &pg_ident(major))?;
    let main = data.join("postgresql.conf");
    let text = fs::read_to_string(&main).map_err(Error::file("read", &main))?;
    if text.lines().any(|it| it == INCLUDE) {
        return Ok(());
    }
    write_file(&main, &format!("{text}\n{INCLUDE}\n"))
}

/// Ours alone, into a directory with a configuration that includes it.
pub(crate) fn write_settings(
    config: &InstanceConfig,
    settings: &Settings,
    directory: &Path,
) -> Result<(), Error> {
    write_file(&directory.join("howdah.conf"), &postgresql_conf(config, settings))
}

/// Replaces the file in one step: a crash leaves the old or the new one.
fn write_file(path: &Path, text: &str) -> Result<(), Error> {
    let beside = path.with_extension("new");
    fs::write(&beside, text).map_err(Error::file("write", &beside))?;
    fs::rename(&beside, path).map_err(Error::file("write", path))
}

fn postgresql_conf(config: &InstanceConfig, settings: &Settings) -> String {
    let mut text =
        String::from("# Written at each start; use ALTER SYSTEM or the ServerGroup's parameters.\n");
    let mut settings = resolve_percentages(settings, config.servers_sharing_memory);
    // What this crate relies on comes last and wins.
    settings.extend(own_settings(config).map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in settings {
        writeln!(text, "{name} = {}", quote(&value)).expect("writing to a String cannot fail");
    }
    text
}

fn own_settings(config: &InstanceConfig) -> [(&'static str, String); 13] {
    let path = |it: &Path| it.display().to_string();
    [
        ("listen_addresses", config.listen_addresses.clone()),
        ("port", config.port.to_string()),
        ("unix_socket_directories", path(&config.socket_dir)),
        ("unix_socket_permissions", "0700".into()),
        ("cluster_name", config.name.clone()),
        ("ssl", "on".into()),
        ("ssl_cert_file", path(&config.tls.certificate)),
        ("ssl_key_file", path(&config.tls.key)),
        ("ssl_ca_file", path(&config.tls.ca)),
        ("wal_level", "logical".into()),
        ("password_encryption", "scram-sha-256".into()),
        // Standard error is where the log is taken from; a collector would be one more process per member.
        ("logging_collector", "off".into()),
        ("log_destination", "stderr".into()),
    ]
}

/// As in postgresql.conf: single quotes, doubled inside; backslashes too.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// The socket's directory lets in only the user that runs Postgres. Over TCP only holders of a certificate of
/// the group's CA come in, by the names in them.
fn pg_hba(major: u32) -> String {
    // Before 16, no map can say "any role". Whoever has a certificate of this CA that is for clients is then trusted:
    // routers, the operator and the coordinator; those of workers are for servers only, which OpenSSL checks.
    let method = if major < 16 { "trust clientcert=verify-ca" } else { "cert map=howdah" };
    format!(
        "# Written at each start.\n\
         local   all          all       trust\n\
         local   replication  all       trust\n\
         hostssl all          all  all  {method}\n"
    )
}

fn pg_ident(major: u32) -> String {
    let mut text = String::from("# Written at each start.\n");
    if 16 <= major {
        let (router, operator) = (names::ROUTER, names::OPERATOR);
        write!(text, "howdah {router} all\nhowdah {operator} postgres\n")
            .expect("writing to a String cannot fail");
    }
    text
}

const INCLUDE: &str = "include 'howdah.conf'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_postgres_reads() {
        assert_eq!(quote("64MB"), "'64MB'");
        assert_eq!(quote("it's"), "'it''s'");
        assert_eq!(quote(r"a\b"), r"'a\\b'");
    }
}
