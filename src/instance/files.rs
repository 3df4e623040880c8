//! postgresql.conf and pg_hba.conf, written at each start. Pure but for [`write()`].
//!
//! initdb's postgresql.conf is kept (it knows the time zone) and includes ours as its last line; ALTER
//! SYSTEM's file is read by Postgres after both, so that what an administrator sets that way wins.
use std::fmt::Write as _;
use std::fs;

use crate::memory::resolve_percentages;
use crate::{Error, InstanceConfig};

pub(crate) fn write(config: &InstanceConfig) -> Result<(), Error> {
    let data = config.data_dir();
    write_file(&data.join("howdah.conf"), &postgresql_conf(config))?;
    write_file(&data.join("pg_hba.conf"), PG_HBA)?;
    let main = data.join("postgresql.conf");
    let text = fs::read_to_string(&main).map_err(Error::file("read", &main))?;
    if text.lines().any(|it| it == INCLUDE) {
        return Ok(());
    }
    write_file(&main, &format!("{text}\n{INCLUDE}\n"))
}

/// Replaces the file in one step: a crash leaves the old or the new one.
fn write_file(path: &std::path::Path, text: &str) -> Result<(), Error> {
    let beside = path.with_extension("new");
    fs::write(&beside, text).map_err(Error::file("write", &beside))?;
    fs::rename(&beside, path).map_err(Error::file("write", path))
}

fn postgresql_conf(config: &InstanceConfig) -> String {
    let mut text =
        String::from("# Written at each start; use ALTER SYSTEM or the ServerGroup's parameters.\n");
    let mut settings = resolve_percentages(&config.settings, config.servers_sharing_memory);
    // What this crate relies on comes last and wins.
    settings.extend(own_settings(config).map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in settings {
        writeln!(text, "{name} = {}", quote(&value)).expect("writing to a String cannot fail");
    }
    text
}

fn own_settings(config: &InstanceConfig) -> [(&'static str, String); 13] {
    let path = |it: &std::path::Path| it.display().to_string();
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
        // Standard error goes to postgres.log; a collector would be one more process per member.
        ("logging_collector", "off".into()),
        ("log_destination", "stderr".into()),
    ]
}

/// As in postgresql.conf: single quotes, doubled inside; backslashes too.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

const INCLUDE: &str = "include 'howdah.conf'";

/// The socket's directory lets in only the user that runs Postgres. Over TCP only holders of a certificate of
/// the group's CA come in: routers and operators.
const PG_HBA: &str = "\
# Written at each start.
local   all          all                 trust
local   replication  all                 trust
hostssl all          all  127.0.0.1/32   trust clientcert=verify-ca
hostssl all          all  ::1/128        trust clientcert=verify-ca
";

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
