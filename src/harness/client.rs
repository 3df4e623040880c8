//! A PostgreSQL client that shows everything a server said: types, tags, SQLSTATEs.
//!
//! Ordinary drivers hide command tags and reorder results; the differential tests compare those too. Blocking and
//! without TLS on purpose: one test, one thread, one connection.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;

/// How long a server may take for one statement.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

pub struct Client {
    stream: Box<dyn Stream>,
    received: BytesMut,
    /// Names of types with an OID that differs between servers, as `format_type` gives them.
    type_names: HashMap<u32, String>,
    notices: Option<Sender<String>>,
}

/// What one statement answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub columns: Vec<ColumnType>,
    pub rows: Vec<Vec<Option<String>>>,
    pub tags: Vec<String>,
    pub copied: Vec<u8>,
    pub error: Option<ServerError>,
    pub status: u8,
}

impl Reply {
    /// `00000` of a success.
    pub fn sqlstate(&self) -> &str {
        self.error.as_ref().map_or("00000", |it| &it.sqlstate)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnType {
    pub name: String,
    pub type_oid: u32,
    pub typmod: i32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerError {
    pub sqlstate: String,
    pub message: String,
    pub detail: String,
    pub context: String,
}

#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    Simple,
    Extended,
}

/// A connection to a server, of either kind.
pub(crate) trait Stream: Read + Write + Send {
    /// A second handle to the same connection.
    fn duplicate(&self) -> io::Result<Box<dyn Stream>>;
    /// Tells the server that nothing more will come; its answers can still be read.
    fn finish_writing(&self) -> io::Result<()>;
}

macro_rules! stream {
    ($kind:ty) => {
        impl Stream for $kind {
            fn duplicate(&self) -> io::Result<Box<dyn Stream>> {
                Ok(Box::new(self.try_clone()?))
            }

            fn finish_writing(&self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }
        }
    };
}

stream!(TcpStream);
stream!(UnixStream);

impl Client {
    pub fn connect_unix(socket: &Path, user: &str, database: &str) -> anyhow::Result<Self> {
        let stream =
            UnixStream::connect(socket).with_context(|| format!("connecting to {}", socket.display()))?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        Self::start(Box::new(stream), user, "", database)
    }

    pub fn connect_tcp(address: &str, user: &str, password: &str, database: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        Self::start(Box::new(stream), user, password, database)
    }

    pub(crate) fn start(
        stream: Box<dyn Stream>,
        user: &str,
        password: &str,
        database: &str,
    ) -> anyhow::Result<Self> {
        let mut client =
            Self { stream, received: BytesMut::new(), type_names: HashMap::new(), notices: None };
        let mut out = BytesMut::new();
        let parameters = [("user", user), ("database", database), ("client_encoding", "UTF8")];
        frontend::startup_message(parameters, &mut out)?;
        client.send(&out)?;
        client.authenticate(password)?;
        Ok(client)
    }

    fn authenticate(&mut self, password: &str) -> anyhow::Result<()> {
        let mut scram = None;
        loop {
            let mut out = BytesMut::new();
            match self.message()? {
                Message::AuthenticationSasl(_) => {
                    let exchange = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), &mut out)?;
                    scram = Some(exchange);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let exchange = scram.as_mut().context("a SASL challenge without a start")?;
                    exchange.update(body.data())?;
                    frontend::sasl_response(exchange.message(), &mut out)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    scram.as_mut().context("a SASL end without a start")?.finish(body.data())?;
                }
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => {
                    bail!("connection refused: {:?}", server_error(body.fields())?)
                }
                _ => {}
            }
            self.send(&out)?;
        }
    }

    /// The bare connection, between two statements.
    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// Runs one statement; an error of the server is part of the reply, a broken connection is an `Err`.
    pub fn run(&mut self, sql: &str, protocol: Protocol, copy: Option<&str>) -> anyhow::Result<Reply> {
        let mut out = BytesMut::new();
        match protocol {
            Protocol::Simple => frontend::query(sql, &mut out)?,
            Protocol::Extended => {
                frontend::parse("", sql, [], &mut out)?;
                frontend::bind("", "", [], [], |(): (), _| Ok(IsNull::Yes), [], &mut out)
                    .map_err(|_| anyhow::anyhow!("encoding Bind"))?;
                frontend::describe(b'P', "", &mut out)?;
                frontend::execute("", 0, &mut out)?;
                if copy.is_none() {
                    frontend::sync(&mut out);
                }
            }
        }
        self.send(&out)?;
        self.collect(protocol, copy).with_context(|| format!("running {sql}"))
    }

    /// Sends the messages of all later notices there, as they arrive.
    pub fn send_notices_to(&mut self, notices: Sender<String>) {
        self.notices = Some(notices);
    }

    /// Runs one statement in the extended protocol with parameters in text format.
    pub fn run_with(&mut self, sql: &str, parameters: &[&str]) -> anyhow::Result<Reply> {
        let mut out = BytesMut::new();
        frontend::parse("", sql, [], &mut out)?;
        let put = |value: &&str, out: &mut BytesMut| {
            out.extend_from_slice(value.as_bytes());
            Ok(IsNull::No)
        };
        frontend::bind("", "", [], parameters, put, [], &mut out)
            .map_err(|_| anyhow::anyhow!("encoding Bind"))?;
        frontend::describe(b'P', "", &mut out)?;
        frontend::execute("", 0, &mut out)?;
        frontend::sync(&mut out);
        self.send(&out)?;
        self.collect(Protocol::Extended, None).with_context(|| format!("running {sql}"))
    }

    /// Asks what a portal, or a cursor, returns.
    pub fn describe_portal(&mut self, name: &str) -> anyhow::Result<Reply> {
        let mut out = BytesMut::new();
        frontend::describe(b'P', name, &mut out)?;
        frontend::sync(&mut out);
        self.send(&out)?;
        self.collect(Protocol::Extended, None).with_context(|| format!("describing {name}"))
    }

    /// Runs statements of the extended protocol with one Sync behind them all.
    pub fn pipeline(&mut self, statements: &[&str]) -> anyhow::Result<Reply> {
        let mut out = BytesMut::new();
        for sql in statements {
            frontend::parse("", sql, [], &mut out)?;
            frontend::bind("", "", [], [], |(): (), _| Ok(IsNull::Yes), [], &mut out)
                .map_err(|_| anyhow::anyhow!("encoding Bind"))?;
            frontend::execute("", 0, &mut out)?;
        }
        frontend::sync(&mut out);
        self.send(&out)?;
        self.collect(Protocol::Extended, None).with_context(|| format!("running {statements:?}"))
    }

    pub fn simple(&mut self, sql: &str) -> anyhow::Result<Reply> {
        self.run(sql, Protocol::Simple, None)
    }

    /// Runs one statement that must succeed and gives its rows.
    pub fn rows(&mut self, sql: &str) -> anyhow::Result<Vec<Vec<Option<String>>>> {
        let reply = self.simple(sql)?;
        match reply.error {
            Some(error) => bail!("{sql}: {error:?}"),
            None => Ok(reply.rows),
        }
    }

    fn collect(&mut self, protocol: Protocol, copy: Option<&str>) -> anyhow::Result<Reply> {
        let mut reply = Reply::default();
        let mut synced = matches!(protocol, Protocol::Simple) || copy.is_none();
        loop {
            match self.message()? {
                Message::RowDescription(body) => {
                    reply.columns = body
                        .fields()
                        .map(|f| {
                            Ok(ColumnType {
                                name: f.name().to_owned(),
                                type_oid: f.type_oid(),
                                typmod: f.type_modifier(),
                            })
                        })
                        .collect()?;
                }
                Message::DataRow(body) => {
                    let bytes = body.buffer();
                    let row = body.ranges().map(|range| Ok(range.map(|r| text(&bytes[r])))).collect()?;
                    reply.rows.push(row);
                }
                Message::CommandComplete(body) => reply.tags.push(body.tag()?.to_owned()),
                Message::CopyInResponse(_) => {
                    self.send_copy(copy.context("the server asked for COPY data")?, protocol)?;
                    synced = true;
                }
                Message::CopyData(body) => reply.copied.extend_from_slice(body.data()),
                Message::ErrorResponse(body) => {
                    reply.error = Some(server_error(body.fields())?);
                    if !synced {
                        let mut out = BytesMut::new();
                        frontend::sync(&mut out);
                        self.send(&out)?;
                        synced = true;
                    }
                }
                Message::NoticeResponse(body) => {
                    if let Some(notices) = &self.notices {
                        // The test may have stopped listening.
                        let _ = notices.send(server_error(body.fields())?.message);
                    }
                }
                Message::ReadyForQuery(body) => {
                    reply.status = body.status();
                    return Ok(reply);
                }
                _ => {}
            }
        }
    }

    fn send_copy(&mut self, data: &str, protocol: Protocol) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        frontend::CopyData::new(data.as_bytes())?.write(&mut out);
        frontend::copy_done(&mut out);
        if matches!(protocol, Protocol::Extended) {
            frontend::sync(&mut out);
        }
        self.send(&out)
    }

    /// The type as `format_type` writes it; OIDs of user-defined types differ between servers, names do not.
    pub fn type_name(&mut self, column: &ColumnType) -> anyhow::Result<String> {
        const FIRST_USER_OID: u32 = 16384;
        if column.type_oid < FIRST_USER_OID {
            return Ok(format!("{}({})", column.type_oid, column.typmod));
        }
        if let Some(name) = self.type_names.get(&column.type_oid) {
            return Ok(name.clone());
        }
        let rows = self.rows(&format!("SELECT format_type({}, NULL)", column.type_oid))?;
        let name = rows.first().and_then(|row| row[0].clone()).unwrap_or_default();
        self.type_names.insert(column.type_oid, name.clone());
        Ok(name)
    }

    fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }

    fn message(&mut self) -> anyhow::Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.received)? {
                return Ok(message);
            }
            let mut chunk = [0; 16384];
            let n = self.stream.read(&mut chunk).context("waiting for the server's answer")?;
            if n == 0 {
                bail!("the server closed the connection");
            }
            self.received.extend_from_slice(&chunk[..n]);
        }
    }
}

fn server_error(mut fields: ErrorFields<'_>) -> anyhow::Result<ServerError> {
    let mut error = ServerError::default();
    while let Some(field) = fields.next()? {
        match field.type_() {
            b'C' => error.sqlstate = text(field.value_bytes()),
            b'M' => error.message = text(field.value_bytes()),
            b'D' => error.detail = text(field.value_bytes()),
            b'W' => error.context = text(field.value_bytes()),
            _ => {}
        }
    }
    Ok(error)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
