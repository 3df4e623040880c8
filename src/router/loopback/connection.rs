//! One loopback connection: the server half of the protocol, as far as libpq under `postgres_fdw` uses it.
//!
//! Simple queries, and the extended protocol with one statement between two Syncs. Whose transaction it is, is found out at
//! each START TRANSACTION from the pid that the instance vouches for: what the client says of itself is never believed.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use howdah_pg::SqlState;
use howdah_pg::wire::backend::{self, TransactionStatus};
use howdah_pg::wire::frontend::{self, Message, Target};
use howdah_pg::wire::startup::{self, Startup};
use howdah_pg::wire::{CancelKey, ErrorFields};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::cancels::Cancels;
use super::owner::{Owner, owner_of};
use super::request::{Answer, ConnectionId, Parameters, Request, Work};
use super::statement::Statement;
use crate::duplex::Duplex;
use crate::error::{Error, Result};
use crate::router::Router;

pub(super) struct Connection {
    id: ConnectionId,
    /// The backend of the coordinator at the other end.
    pid: u32,
    duplex: Duplex,
    router: Arc<Router>,
    cancels: Arc<Cancels>,
    owner: Option<Owner>,
    status: TransactionStatus,
    /// Prepared statements; the unnamed one has the empty name.
    prepared: HashMap<Vec<u8>, Statement>,
    /// The unnamed portal.
    portal: Option<(Statement, Parameters)>,
    /// An error has been sent; everything up to Sync is skipped.
    skipping: bool,
    /// Set off by a cancel request.
    cancel: CancellationToken,
}

/// How a command is answered.
enum Reply {
    Tag(String),
    Answer(Answer),
}

/// Serves a connection of the backend `pid` until it ends.
pub(super) async fn serve(
    mut duplex: Duplex,
    pid: u32,
    router: Arc<Router>,
    cancels: Arc<Cancels>,
) -> Result<()> {
    if !start(&mut duplex, &cancels).await? {
        return Ok(());
    }
    let (key, id) = cancels.register();
    let mut connection = Connection {
        id,
        pid,
        duplex,
        router,
        cancels,
        owner: None,
        status: TransactionStatus::Idle,
        prepared: HashMap::new(),
        portal: None,
        skipping: false,
        cancel: CancellationToken::new(),
    };
    let result = connection.run(&key).await;
    connection.cancels.remove(&key);
    if connection.owner.is_some() {
        // The backend died amid its transaction.
        let _ = connection.ask(Work::Abort).await;
    }
    result
}

/// The first packets. False for a cancel request, which is done.
async fn start(duplex: &mut Duplex, cancels: &Cancels) -> Result<bool> {
    loop {
        let packet = match startup::startup(&duplex.read)? {
            Some((packet, used)) => {
                let session = match packet {
                    Startup::Ssl | Startup::GssEnc => None,
                    Startup::Cancel(key) => {
                        cancels.cancel(&key);
                        return Ok(false);
                    }
                    Startup::Session(_) => Some(()),
                };
                duplex.read.advance(used);
                session
            }
            None => {
                duplex.fill().await.map_err(Error::ClientGone)?;
                continue;
            }
        };
        if packet.is_some() {
            return Ok(true);
        }
        duplex.write.extend_from_slice(b"N");
        duplex.flush().await.map_err(Error::ClientGone)?;
    }
}

impl Connection {
    async fn run(&mut self, key: &CancelKey) -> Result<()> {
        self.greet(key);
        loop {
            self.duplex.flush().await.map_err(Error::ClientGone)?;
            let frame = match self.duplex.next_frame().await {
                Ok(frame) => frame,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(Error::ClientGone(error)),
            };
            let message = frontend::parse(frame.tag, &frame.body)?;
            if self.skipping && !matches!(message, Message::Sync | Message::Terminate) {
                continue;
            }
            match message {
                Message::Terminate => return Ok(()),
                Message::Query { text } => {
                    self.simple_query(text).await;
                    backend::put_ready_for_query(&mut self.duplex.write, self.status);
                }
                Message::Sync => {
                    self.skipping = false;
                    backend::put_ready_for_query(&mut self.duplex.write, self.status);
                }
                message => {
                    if let Err(error) = self.extended(&message).await {
                        self.fail(&error);
                        self.skipping = true;
                    }
                }
            }
        }
    }

    /// What libpq wants to know of a server.
    fn greet(&mut self, key: &CancelKey) {
        let buffer = &mut self.duplex.write;
        backend::put_authentication_ok(buffer);
        let parameters: [(&[u8], &[u8]); 6] = [
            // postgres_fdw asks newer servers for more; what it asks of this version is what is known here.
            (b"server_version", b"15.0"),
            (b"server_encoding", b"UTF8"),
            (b"client_encoding", b"UTF8"),
            (b"standard_conforming_strings", b"on"),
            (b"integer_datetimes", b"on"),
            (b"DateStyle", b"ISO, MDY"),
        ];
        for (name, value) in parameters {
            backend::put_parameter_status(buffer, name, value);
        }
        backend::put_backend_key_data(buffer, key);
        backend::put_ready_for_query(buffer, self.status);
    }

    async fn simple_query(&mut self, text: &[u8]) {
        let reply = match parse(text) {
            Ok(statement) => self.execute(statement, Parameters::new()).await,
            Err(error) => Err(error),
        };
        match reply {
            Ok(reply) => self.put_reply(reply, true),
            Err(error) => self.fail(&error),
        }
    }

    async fn extended(&mut self, message: &Message<'_>) -> Result<()> {
        match message {
            Message::Parse(it) => {
                let statement = parse(it.text)?;
                self.prepared.insert(it.statement.to_vec(), statement);
                backend::put_parse_complete(&mut self.duplex.write);
            }
            Message::Bind(it) => {
                if !it.portal.is_empty() || !it.parameter_formats.all_text() {
                    return Err(unexpected());
                }
                let statement = self.prepared.get(it.statement).cloned();
                let statement = statement.ok_or_else(|| {
                    Error::UndefinedStatement(String::from_utf8_lossy(it.statement).into_owned())
                })?;
                let text = |it: &[u8]| String::from_utf8(it.to_vec()).map_err(|_| unexpected());
                let parameters: Result<Parameters> =
                    it.parameters.iter().map(|it| it.map(text).transpose()).collect();
                self.portal = Some((statement, parameters?));
                backend::put_bind_complete(&mut self.duplex.write);
            }
            // Only a write with RETURNING has rows: they are described when they are there, which libpq does not mind.
            Message::Describe(Target::Portal(_)) => {
                let returns = matches!(&self.portal, Some((Statement::Modify(it), _)) if it.returns());
                if !returns {
                    backend::put_no_data(&mut self.duplex.write);
                }
            }
            Message::Execute(_) => {
                let (statement, parameters) = self.portal.take().ok_or_else(unexpected)?;
                let reply = self.execute(statement, parameters).await?;
                self.put_reply(reply, false);
            }
            Message::Close(target) => {
                if let Target::Statement(name) = target {
                    self.prepared.remove(*name);
                }
                backend::put_close_complete(&mut self.duplex.write);
            }
            Message::Flush => {}
            _ => return Err(unexpected()),
        }
        Ok(())
    }

    async fn execute(&mut self, statement: Statement, parameters: Parameters) -> Result<Reply> {
        if self.status == TransactionStatus::Failed
            && !matches!(statement, Statement::Abort | Statement::RollbackTo(_) | Statement::Commit)
        {
            return Err(Error::InFailedTransaction);
        }
        let work = match statement {
            Statement::Set => return Ok(Reply::Tag("SET".to_owned())),
            Statement::Deallocate(name) => {
                self.prepared.remove(name.as_bytes());
                return Ok(Reply::Tag("DEALLOCATE".to_owned()));
            }
            Statement::DeallocateAll | Statement::Discard => {
                self.prepared.clear();
                return Ok(Reply::Tag("DEALLOCATE ALL".to_owned()));
            }
            Statement::Begin => return self.begin().await,
            Statement::Commit | Statement::Abort => return self.end(statement).await,
            Statement::Savepoint(depth) => Work::Savepoint(depth),
            Statement::Release(depth) => Work::Release(depth),
            Statement::RollbackTo(depth) => Work::RollbackTo(depth),
            Statement::Declare { cursor, select } => Work::Declare { cursor, select, parameters },
            Statement::Fetch { cursor, count } => Work::Fetch { cursor, count },
            Statement::Rewind(cursor) => Work::Rewind { cursor },
            Statement::Close(cursor) => Work::Close { cursor },
            Statement::Insert(insert) => Work::Insert { insert, parameters },
            Statement::Modify(modify) => Work::Modify { modify, parameters },
            Statement::Truncate(tables) => Work::Truncate(tables),
            Statement::Pages(table) => Work::Pages(table),
            Statement::Tuples(table) => Work::Tuples(table),
        };
        let recovers = matches!(work, Work::RollbackTo(_));
        let answer = self.ask(work).await?;
        if recovers {
            self.status = TransactionStatus::InTransaction;
        }
        Ok(Reply::Answer(answer))
    }

    async fn begin(&mut self) -> Result<Reply> {
        if self.owner.is_some() {
            return Err(unexpected());
        }
        self.owner = Some(owner_of(self.pid, &self.router).await?);
        self.status = TransactionStatus::InTransaction;
        self.ask(Work::Begin).await.map(Reply::Answer)
    }

    async fn end(&mut self, statement: Statement) -> Result<Reply> {
        if self.owner.is_none() {
            return Ok(Reply::Tag("ROLLBACK".to_owned()));
        }
        // COMMIT of a failed transaction is a rollback, as anywhere.
        let commits = statement == Statement::Commit && self.status != TransactionStatus::Failed;
        let answer = self.ask(if commits { Work::Commit } else { Work::Abort }).await;
        match answer {
            Ok(answer) => {
                self.owner = None;
                self.status = TransactionStatus::Idle;
                Ok(Reply::Answer(answer))
            }
            Err(error) => Err(error),
        }
    }

    /// Has the owner of this transaction do something.
    async fn ask(&mut self, work: Work) -> Result<Answer> {
        let Some(owner) = &self.owner else {
            return Err(Error::from(ErrorFields::error(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            )));
        };
        self.cancel = self.cancels.arm(self.id);
        let (reply, answer) = oneshot::channel();
        let request = Request {
            connection: self.id,
            parallel: owner.parallel,
            work,
            cancel: self.cancel.clone(),
            reply,
        };
        let gone = || {
            Error::from(ErrorFields::error(
                SqlState::CONNECTION_FAILURE,
                "the session of this backend is no longer at the router",
            ))
        };
        let sender: &mpsc::Sender<Request> = &owner.session;
        sender.send(request).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn fail(&mut self, error: &Error) {
        let mut fields = error.fields();
        // The coordinator's statement fails, not its connection to us.
        fields.set_severity(howdah_pg::wire::Severity::Error);
        backend::put_error(&mut self.duplex.write, &fields);
        if self.status == TransactionStatus::InTransaction {
            self.status = TransactionStatus::Failed;
        }
    }

    fn put_reply(&mut self, reply: Reply, describe: bool) {
        let buffer = &mut self.duplex.write;
        let tag = match reply {
            Reply::Tag(tag) => tag,
            Reply::Answer(Answer::Done(tag)) => tag.to_owned(),
            Reply::Answer(Answer::Inserted(count)) => format!("INSERT 0 {count}"),
            Reply::Answer(Answer::Modified(command, count)) => format!("{command} {count}"),
            Reply::Answer(Answer::Returned(command, rows)) => {
                backend::put_row_description(buffer, &rows.description);
                rows.rows.iter().for_each(|it| put_row(buffer, it));
                format!("{command} {}", rows.rows.len())
            }
            Reply::Answer(Answer::Rows(rows)) => {
                if describe {
                    backend::put_row_description(buffer, &rows.description);
                }
                rows.rows.iter().for_each(|it| put_row(buffer, it));
                format!("FETCH {}", rows.rows.len())
            }
        };
        backend::put_command_complete(buffer, tag.as_bytes());
    }
}

fn parse(text: &[u8]) -> Result<Statement> {
    let text = std::str::from_utf8(text).map_err(|_| unexpected())?;
    Statement::parse(text)
}

fn put_row(buffer: &mut bytes::BytesMut, body: &Bytes) {
    buffer.extend_from_slice(b"D");
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(body);
}

fn unexpected() -> Error {
    Error::ProtocolViolation("this is not how postgres_fdw speaks".to_owned())
}
