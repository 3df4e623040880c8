//! The first packets of a client: encryption, cancel requests, and what the session shall be.

use std::{io, mem};

use bytes::Buf;
use howdah_pg::SqlState;
use howdah_pg::scram::ChannelBinding;
use howdah_pg::wire::startup::{self, SessionStartup, Startup};
use howdah_pg::wire::{CancelKey, ErrorFields, Field, MAX_MESSAGE, backend};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::duplex::Duplex;
use crate::error::{Error, Result};
use crate::stream::Stream;
use crate::tls::ClientSide;

/// What a client must do before anything else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Requires {
    Tls,
    Nothing,
}

pub(crate) enum Accepted {
    Session(Box<Client>, Wishes),
    Cancel(CancelKey),
}

/// What a client asks for in its startup packet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Wishes {
    pub(crate) user: String,
    pub(crate) database: String,
    /// Settings in the order given, those of `options` first, as PostgreSQL applies them.
    pub(crate) settings: Vec<(String, String)>,
}

pub(crate) async fn accept(
    stream: TcpStream,
    tls: Option<&ClientSide>,
    requires: Requires,
) -> Result<Accepted> {
    let mut duplex = Duplex::new(Stream::Tcp(stream), MAX_MESSAGE);
    let (mut asked_tls, mut asked_gss) = (false, false);
    loop {
        match first_packet(&mut duplex).await? {
            First::Ssl if !mem::replace(&mut asked_tls, true) => duplex = encrypt(duplex, tls).await?,
            First::GssEnc if !mem::replace(&mut asked_gss, true) => {
                nothing_follows(&mut duplex, "GSSAPI encryption").await?;
                answer(&mut duplex, b'N').await?;
            }
            // Asked a second time, PostgreSQL takes the request for a version.
            First::Ssl => return Err(refuse(&mut duplex, &unsupported(1234, 5679)).await),
            First::GssEnc => return Err(refuse(&mut duplex, &unsupported(1234, 5680)).await),
            First::Cancel(key) => return Ok(Accepted::Cancel(key)),
            First::Session(_) if requires == Requires::Tls && !duplex.stream().is_tls() => {
                return Err(refuse(&mut duplex, &unencrypted()).await);
            }
            First::Session(wishes) => {
                let binding = match tls.filter(|_| duplex.stream().is_tls()) {
                    Some(tls) => tls.binding.clone(),
                    None => ChannelBinding::Unavailable,
                };
                return Ok(Accepted::Session(Box::new(Client::new(duplex, binding)), wishes));
            }
        }
    }
}

enum First {
    Ssl,
    GssEnc,
    Cancel(CancelKey),
    Session(Wishes),
}

async fn first_packet(duplex: &mut Duplex) -> Result<First> {
    loop {
        match read_first(duplex) {
            Ok(Some(first)) => return Ok(first),
            Ok(None) => duplex.fill().await.map_err(Error::ClientGone)?,
            Err(error) => return Err(refuse(duplex, &error).await),
        }
    }
}

fn read_first(duplex: &mut Duplex) -> Result<Option<First>> {
    let Some((startup, used)) = startup::startup(&duplex.read)? else { return Ok(None) };
    let first = match startup {
        Startup::Ssl => First::Ssl,
        Startup::GssEnc => First::GssEnc,
        Startup::Cancel(key) => First::Cancel(key),
        Startup::Session(session) => {
            let wishes = wishes(&session)?;
            negotiate_version(&session, &mut duplex.write);
            First::Session(wishes)
        }
    };
    duplex.read.advance(used);
    Ok(Some(first))
}

fn wishes(startup: &SessionStartup<'_>) -> Result<Wishes> {
    if startup.major != 3 {
        return Err(unsupported(startup.major, startup.minor));
    }
    let Some(user) = startup.get("user").filter(|it| !it.is_empty()) else {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
    };
    if startup.get("replication").is_some_and(|it| !matches!(it, "false" | "off" | "no" | "0")) {
        return Err(fatal(
            SqlState::FEATURE_NOT_SUPPORTED,
            "replication is not available through the router",
        ));
    }
    let mut settings = match startup.get("options") {
        Some(options) => parse_options(options)?,
        None => Vec::new(),
    };
    for (name, value) in &startup.parameters {
        let reserved = matches!(*name, "user" | "database" | "options" | "replication");
        if !reserved && !name.starts_with("_pq_.") {
            settings.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    let database = startup.get("database").filter(|it| !it.is_empty()).unwrap_or(user);
    Ok(Wishes { user: user.to_owned(), database: database.to_owned(), settings })
}

/// The switches that `postgres` takes for settings; a backslash keeps the next character, as in
/// `pg_split_opts`.
fn parse_options(options: &str) -> Result<Vec<(String, String)>> {
    let words = split_options(options);
    let mut settings = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let setting = match word.as_str() {
            "-c" => rest.next().map(String::as_str),
            word => word.strip_prefix("--").or_else(|| word.strip_prefix("-c")),
        };
        let Some((name, value)) = setting.and_then(|it| it.split_once('=')) else {
            let message = format!("invalid command-line argument for server process: {word}");
            return Err(fatal(SqlState::SYNTAX_ERROR, message));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split_options(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = options.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.get_or_insert_default().extend(letters.next()),
            letter if letter.is_ascii_whitespace() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn negotiate_version(startup: &SessionStartup<'_>, to: &mut bytes::BytesMut) {
    let unknown: Vec<&str> = startup.protocol_options().collect();
    if startup.minor > 0 || !unknown.is_empty() {
        backend::put_negotiate_protocol_version(to, unknown.into_iter());
    }
}

async fn encrypt(mut duplex: Duplex, tls: Option<&ClientSide>) -> Result<Duplex> {
    nothing_follows(&mut duplex, "SSL").await?;
    let Some(tls) = tls.filter(|_| !duplex.stream().is_tls()) else {
        answer(&mut duplex, b'N').await?;
        return Ok(duplex);
    };
    answer(&mut duplex, b'S').await?;
    let Stream::Tcp(stream) = duplex.into_stream() else {
        return Err(Error::Internal("a client is reached by TCP".to_owned()));
    };
    let stream = tls.acceptor.accept(stream).await.map_err(Error::ClientGone)?;
    Ok(Duplex::new(Stream::Accepted(Box::new(stream)), MAX_MESSAGE))
}

/// What came unencrypted behind a request for encryption may be an attacker's (CVE-2021-23222).
async fn nothing_follows(duplex: &mut Duplex, what: &str) -> Result<()> {
    if duplex.read.is_empty() {
        return Ok(());
    }
    let message = format!("received unencrypted data after {what} request");
    Err(refuse(duplex, &fatal(SqlState::PROTOCOL_VIOLATION, message)).await)
}

fn unsupported(major: u16, minor: u16) -> Error {
    let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
    fatal(SqlState::FEATURE_NOT_SUPPORTED, message)
}

fn unencrypted() -> Error {
    let code = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
    let mut fields = ErrorFields::fatal(code, "this server group accepts only connections with TLS");
    fields.set(Field::Hint, "Connect with sslmode=require, or a stricter one.");
    Error::Fatal(Box::new(fields))
}

async fn answer(duplex: &mut Duplex, letter: u8) -> Result<()> {
    duplex.write.extend_from_slice(&[letter]);
    duplex.flush().await.map_err(Error::ClientGone)
}

/// Tells the client; the error then only ends the connection.
async fn refuse(duplex: &mut Duplex, error: &Error) -> Error {
    backend::put_error(&mut duplex.write, &error.fields());
    let told = duplex.flush().await;
    Error::ClientGone(told.err().unwrap_or_else(|| io::Error::other(error.to_string())))
}

pub(crate) fn fatal(code: SqlState, message: impl Into<String>) -> Error {
    Error::Fatal(Box::new(ErrorFields::fatal(code, message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_as_postgres_does() {
        let settings = parse_options(r"-c search_path=a,\ b --work-mem=64kB -cjit=off").unwrap();
        let settings: Vec<_> = settings.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        assert_eq!(settings, [("search_path", "a, b"), ("work_mem", "64kB"), ("jit", "off")]);
        assert!(parse_options("-x").is_err());
    }
}
