//! A connection to a PostgreSQL server of the group.
//!
//! Messages are queued in one write buffer and sent by one [`ServerConnection::flush`]; answers are taken
//! by [`ServerConnection::next_message`]. What a transaction or the settings need first goes in front as a
//! *prologue*: commands in the extended protocol without Sync, whose answers nobody sees. If one of them
//! fails, the server itself skips everything behind it, so that nothing ever runs outside its block.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use howdah_catalog::GroupId;
use howdah_pg::wire::backend::{self, TransactionStatus};
use howdah_pg::wire::{CancelKey, ErrorFields, Field, Severity, frontend, startup};
use howdah_pg::{SqlState, TypeOid};

use crate::cancel::Target;
use crate::config::NodeAddress;
use crate::duplex::Duplex;
use crate::error::{Error, Result};
use crate::loopback::Lease;
use crate::pool::Rank;
use crate::prepared::PreparedStatements;
use crate::settings::Settings;
use crate::stream::Stream;

/// One message of a server.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    /// Without tag and length.
    pub(crate) body: Bytes,
}

pub(crate) struct ServerConnection {
    group: GroupId,
    pub(crate) duplex: Duplex,
    status: TransactionStatus,
    parameters: BTreeMap<String, String>,
    /// Settings this connection has beyond those it began with.
    applied: Settings,
    /// The same as of the start of the block, if they changed in it: a rollback brings them back.
    applied_before: Option<Settings>,
    /// Settings of users that its backend has ever known.
    placeholders: BTreeSet<String>,
    /// Whether the last command was one that keeps what a block did.
    committed: bool,
    /// An error since the last ReadyForQuery.
    failed: bool,
    /// Statements prepared on this connection, by name.
    pub(crate) prepared: PreparedStatements,
    /// Commands of the prologue not yet answered.
    prologue: usize,
    /// The error of a prologue, until the server has caught up with it.
    refused: Option<Box<ErrorFields>>,
    /// What is on its way and ends in a ReadyForQuery.
    expected: VecDeque<Expected>,
    broken: bool,
    /// How many notifications came.
    notifications: u64,
    /// It may hold state of one session, and is not for another.
    tainted: bool,
    /// What its backend may remember of sequences, and when something was likely added to it.
    sequences: Option<(SequenceMemory, Option<Instant>)>,
    /// The backend as cancel requests see it; see the `cancel` module.
    target: Arc<Target>,
    /// Of the session that holds a backend of the coordinator: its live tables lead to that session.
    pub(crate) lease: Option<Lease>,
}

/// What one backend remembers of sequences for one session: the answers of `currval` and `lastval`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SequenceMemory {
    pub(crate) session: u64,
    /// Of the session's: only the newest can answer.
    pub(crate) number: u64,
}

/// Whether a statement draws from sequences.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Draws {
    No,
    /// Nothing in it says so, but rules and defaults are not seen here.
    Perhaps,
    Likely,
}

/// How long nobody else is given a backend that has drawn for a session, while another may be had. Clients that ask for `lastval`
/// do so right behind their INSERT.
const SEQUENCES_KEPT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expected {
    Query,
    Sync,
}

/// What was queued to have a statement prepared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Parsing {
    /// Nothing: it is.
    Known,
    New,
    /// Close of another in front of it.
    Replaces,
}

/// What a new connection introduces itself with.
pub(crate) struct Startup<'a> {
    pub(crate) group: GroupId,
    pub(crate) address: NodeAddress,
    pub(crate) user: &'a str,
    pub(crate) database: &'a str,
    pub(crate) max_prepared: usize,
}

impl ServerConnection {
    /// Starts a session on a fresh stream. Nodes trust the router's socket or certificate.
    pub(crate) async fn start(stream: Stream, startup: Startup<'_>) -> Result<Self> {
        let mut connection = Self {
            group: startup.group,
            duplex: Duplex::new(stream, 0x3fff_ffff),
            status: TransactionStatus::Idle,
            parameters: BTreeMap::new(),
            applied: Settings::default(),
            applied_before: None,
            placeholders: BTreeSet::new(),
            committed: false,
            failed: false,
            prepared: PreparedStatements::new(startup.max_prepared),
            prologue: 0,
            refused: None,
            expected: VecDeque::from([Expected::Sync]),
            broken: false,
            notifications: 0,
            tainted: false,
            sequences: None,
            target: Arc::new(Target::new(startup.address, CancelKey { pid: 0, secret: Box::default() })),
            lease: None,
        };
        let parameters =
            [("user", startup.user), ("database", startup.database), ("client_encoding", "UTF8")];
        startup::session_startup(&mut connection.duplex.write, parameters);
        connection.flush().await?;
        loop {
            let message = connection.next_message().await?;
            match message.tag {
                b'R' if message.body.starts_with(&[0, 0, 0, 0]) => {}
                b'R' => {
                    let reason = "the server asks for a password".to_owned();
                    return Err(Error::Connect { group: startup.group, reason });
                }
                b'K' => {
                    let Some((pid, secret)) = message.body.split_first_chunk() else { continue };
                    let key = CancelKey { pid: u32::from_be_bytes(*pid), secret: secret.into() };
                    connection.target = Arc::new(Target::new(connection.target.address.clone(), key));
                }
                b'E' => return Err(error_fields(&message.body).into()),
                b'Z' => return Ok(connection),
                _ => {}
            }
        }
    }

    pub(crate) fn group(&self) -> GroupId {
        self.group
    }

    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Process id of the backend.
    pub(crate) fn pid(&self) -> u32 {
        self.target.key.pid
    }

    /// As of the last ReadyForQuery.
    pub(crate) fn status(&self) -> TransactionStatus {
        self.status
    }

    /// What the server reported by ParameterStatus.
    pub(crate) fn parameters(&self) -> &BTreeMap<String, String> {
        &self.parameters
    }

    /// Appends whole messages, none of which makes the server answer ReadyForQuery.
    pub(crate) fn queue(&mut self, messages: &[u8]) {
        self.duplex.write.extend_from_slice(messages);
    }

    /// The write buffer, for messages made in place; the same rule as for [`Self::queue`].
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.duplex.write
    }

    pub(crate) fn queue_query(&mut self, sql: &str) {
        self.queue_query_bytes(sql.as_bytes());
    }

    /// The same in the client's own encoding.
    pub(crate) fn queue_query_bytes(&mut self, sql: &[u8]) {
        frontend::put_query(&mut self.duplex.write, sql);
        self.expected.push_back(Expected::Query);
    }

    pub(crate) fn queue_sync(&mut self) {
        frontend::put_sync(&mut self.duplex.write);
        self.expected.push_back(Expected::Sync);
    }

    pub(crate) fn queue_function_call(&mut self, body: &[u8]) {
        self.queue_frame(b'F', body);
        self.expected.push_back(Expected::Query);
    }

    /// The Sync under way came during COPY, and is not answered.
    pub(crate) fn forget_sync(&mut self) {
        self.expected.retain(|it| *it != Expected::Sync);
    }

    /// Queues Parse of a statement that is not prepared here yet, behind Close of one that makes room for it.
    pub(crate) fn queue_parse(&mut self, name: &str, text: &[u8], types: &[TypeOid]) -> Parsing {
        if self.prepared.touch(name) {
            return Parsing::Known;
        }
        let evicted = self.prepared.insert(name);
        let buffer = &mut self.duplex.write;
        if let Some(evicted) = &evicted {
            frontend::put_close(buffer, frontend::Target::Statement(evicted.as_bytes()));
        }
        frontend::put_parse(buffer, name.as_bytes(), text, types);
        if evicted.is_some() { Parsing::Replaces } else { Parsing::New }
    }

    /// A command to run before everything queued after it, unseen. Only with nothing else under way.
    pub(crate) fn queue_prologue(&mut self, sql: &str) {
        debug_assert!(self.expected.is_empty(), "a prologue comes first");
        let buffer = &mut self.duplex.write;
        frontend::put_parse(buffer, b"", sql.as_bytes(), &[]);
        frontend::put_bind(buffer, b"", b"", &[], [], &[]);
        frontend::put_execute(buffer, b"", 0);
        self.prologue += 1;
    }

    /// Queues what brings this connection to the settings of a session. True if among them are some that a
    /// transaction takes over when it begins: they need a Sync of their own in front of it.
    pub(crate) fn queue_settings(&mut self, wanted: &Settings) -> bool {
        if self.applied.is_same(wanted) {
            return false;
        }
        let begins_otherwise = wanted.begins_otherwise(&self.applied);
        self.placeholders.extend(wanted.placeholders().map(str::to_owned));
        for command in wanted.commands_from(&self.applied) {
            self.queue_prologue(&command);
        }
        // They are of one transaction with what follows: its error or rollback takes them back.
        let before = std::mem::replace(&mut self.applied, wanted.clone());
        self.applied_before.get_or_insert(before);
        begins_otherwise
    }

    /// The settings are known to be these now, by whatever way they came about.
    pub(crate) fn note_settings(&mut self, settings: Settings) {
        self.placeholders.extend(settings.placeholders().map(str::to_owned));
        if self.status != TransactionStatus::Idle && self.applied_before.is_none() {
            self.applied_before = Some(self.applied.clone());
        }
        self.applied = settings;
    }

    /// After ROLLBACK TO some of the settings may be those of the savepoint: all are sent again.
    pub(crate) fn doubt_settings(&mut self) {
        let doubtful = self.applied.doubtful();
        self.note_settings(doubtful);
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        let sent = self.duplex.flush().await;
        sent.map_err(|error| self.lost(&error))
    }

    /// The next message that is not the prologue's. Cancel safe.
    ///
    /// An error of the prologue is this function's error; the connection is then idle and in order again.
    /// ErrorResponse of anything else is an ordinary message.
    pub(crate) async fn next_message(&mut self) -> Result<Message> {
        loop {
            if self.refused.is_some() {
                return Err(self.finish_refused().await);
            }
            let frame = match self.duplex.next_frame().await {
                Ok(frame) => frame,
                Err(error) => return Err(self.lost(&error)),
            };
            self.note(frame.tag, &frame.body);
            if self.prologue == 0 {
                return Ok(self.message(frame.tag, frame.body));
            }
            match frame.tag {
                b'C' => self.prologue -= 1,
                b'E' => self.abandon_prologue(&frame.body),
                _ => {}
            }
        }
    }

    /// Takes the answers of the prologue that are here. True once there are no more to come.
    pub(crate) async fn skip_prologue_here(&mut self) -> Result<bool> {
        loop {
            if self.refused.is_some() {
                return Err(self.finish_refused().await);
            }
            if self.prologue == 0 {
                return Ok(true);
            }
            let Some(frame) = self.duplex.take_frame().map_err(|error| self.lost(&error))? else {
                return Ok(false);
            };
            self.note(frame.tag, &frame.body);
            match frame.tag {
                b'C' => self.prologue -= 1,
                b'E' => self.abandon_prologue(&frame.body),
                _ => {}
            }
        }
    }

    /// Whether the prologue, not being in a block, would make one of what follows: PostgreSQL (18, perhaps late releases of 16 and
    /// 17) takes messages without Sync between them for an implicit transaction block, which a simple Query joins and does not end.
    pub(crate) fn opens_implicit_block(&self) -> bool {
        let version = self.parameters.get("server_version").and_then(|it| it.get(..2));
        version != Some("15")
    }

    pub(crate) fn has_prologue(&self) -> bool {
        self.prologue > 0 || self.refused.is_some()
    }

    /// Whether the next message is a whole row, or a piece of COPY.
    pub(crate) fn has_row(&self) -> bool {
        let head = self.duplex.head();
        matches!(head, Ok(Some((b'D' | b'd', length))) if 5 + length <= self.duplex.read.len())
    }

    /// A message that is already here.
    pub(crate) fn take_message(&mut self) -> Result<Option<Message>> {
        let frame = self.duplex.take_frame().map_err(|error| self.lost(&error))?;
        Ok(frame.map(|frame| {
            self.note(frame.tag, &frame.body);
            self.message(frame.tag, frame.body)
        }))
    }

    /// A message as it came, but for the error of a statement that was cancelled to end a deadlock.
    fn message(&self, tag: u8, body: Bytes) -> Message {
        if tag != b'E' || !self.target.deadlocked.swap(false, Ordering::Relaxed) {
            return Message { tag, body };
        }
        let mut fields = error_fields(&body);
        if fields.code() == SqlState::QUERY_CANCELED {
            fields.set_code(SqlState::DEADLOCK_DETECTED);
            fields.set(Field::Message, "deadlock detected");
            fields.set(Field::Detail, "Transactions of several nodes waited for each other.");
        }
        let mut message = BytesMut::new();
        backend::put_error(&mut message, &fields);
        Message { tag, body: message.freeze().slice(5..) }
    }

    /// Reads once. Cancel safe.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        let filled = self.duplex.fill().await;
        filled.map_err(|error| self.lost(&error))
    }

    /// Whether something is there to be read without waiting.
    pub(crate) fn has_input(&self) -> bool {
        !self.duplex.read.is_empty()
    }

    /// Appends a client's message as it came.
    pub(crate) fn queue_frame(&mut self, tag: u8, body: &[u8]) {
        let buffer = &mut self.duplex.write;
        buffer.extend_from_slice(&[tag]);
        let length = u32::try_from(body.len() + 4).expect("a message is smaller than 1 GiB");
        buffer.extend_from_slice(&length.to_be_bytes());
        buffer.extend_from_slice(body);
    }

    /// Whether it is time to send what was queued.
    pub(crate) fn is_write_buffer_large(&self) -> bool {
        self.duplex.write.len() >= 64 << 10
    }

    /// Reads until nothing is under way, and returns the first error among the answers.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        let mut result = Ok(());
        while self.is_busy() {
            let message = self.next_message().await?;
            if message.tag == b'E' && result.is_ok() {
                result = Err(error_fields(&message.body).into());
            }
        }
        result
    }

    /// Runs commands whose rows are not wanted, in one flight.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<()> {
        self.queue_query(sql);
        self.flush().await?;
        self.finish().await
    }

    /// Runs a query and returns its rows as text; `None` is NULL.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.queue_query(sql);
        self.flush().await?;
        self.take_rows().await
    }

    /// The rows of a query that was sent behind another, up to its ReadyForQuery.
    pub(crate) async fn take_rows(&mut self) -> Result<Vec<Vec<Option<String>>>> {
        let mut answer = RowsAnswer::default();
        while !self.expected.is_empty() {
            answer.take(&self.next_message().await?);
        }
        answer.rows()
    }

    /// Whether something was sent whose ReadyForQuery has not come.
    pub(crate) fn is_busy(&self) -> bool {
        !self.expected.is_empty() || self.has_prologue()
    }

    /// After a loss: nothing is expected of it any more.
    pub(crate) fn give_up(&mut self) {
        self.broken = true;
        self.expected.clear();
        self.prologue = 0;
        self.refused = None;
    }

    /// Whether the server still holds its end, as far as can be told without asking: one that went away has
    /// closed the stream, or said farewell.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(filled) = self.duplex.poll_fill(&mut context) {
            if filled.is_err() {
                return false;
            }
        }
        // Settings that were reloaded are reported to idle connections as well.
        while let Ok(Some(message)) = self.take_message() {
            if !matches!(message.tag, b'S' | b'N' | b'A') {
                return false;
            }
        }
        !self.broken && self.duplex.read.is_empty()
    }

    /// Whether another session may have it.
    pub(crate) fn is_clean(&self) -> bool {
        !self.broken
            && !self.tainted
            && !self.target.cancelled.load(Ordering::Relaxed)
            && !self.is_busy()
            && self.status == TransactionStatus::Idle
            && self.duplex.read.is_empty()
            && self.duplex.write.is_empty()
    }

    pub(crate) fn notifications(&self) -> u64 {
        self.notifications
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether it stays with the session that has it, whatever happens.
    pub(crate) fn taint(&mut self, tainted: bool) {
        self.tainted = tainted;
    }

    pub(crate) fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// Begins to serve a session. What its backend remembers of sequences is forgotten first, unless that is this session's memory.
    pub(crate) fn lend_to(&mut self, memory: SequenceMemory) {
        if self.sequences.take_if(|it| it.0 != memory).is_some() {
            self.queue_prologue("DISCARD SEQUENCES");
        }
    }

    /// How well it suits a session: best is the one that remembers what the session drew from sequences, worst are those that
    /// remember what others drew, and settings that need not be sent are welcome. What another session drew a moment ago
    /// it may ask for next. Unfit is what knows a setting of users that this session never made: RESET would leave it
    /// empty rather than unknown.
    pub(crate) fn rank_for(&self, memory: SequenceMemory, settings: &Settings) -> Rank {
        if self.placeholders.iter().any(|it| settings.get(it).is_none()) {
            return Rank::Unfit;
        }
        let same = 2 * u8::from(self.applied.is_same(settings));
        match self.sequences {
            Some((own, _)) if own == memory => Rank::Fit(4),
            Some((_, Some(drawn))) if drawn.elapsed() < SEQUENCES_KEPT => Rank::Reserved,
            Some(_) => Rank::Fit(same),
            None => Rank::Fit(same + 1),
        }
    }

    /// It is closed instead of being lent again.
    pub(crate) fn retire(&mut self) {
        self.broken = true;
    }

    /// A statement that may draw from sequences runs on it. Beside this backend none remembers the session's draws any more:
    /// it could not tell the last one.
    pub(crate) fn note_draws(&mut self, draws: Draws, memory: &mut SequenceMemory) {
        if draws == Draws::No {
            return;
        }
        let likely = (draws == Draws::Likely).then(Instant::now);
        match &mut self.sequences {
            Some((own, at)) if own == memory => *at = likely.or(*at),
            other => {
                memory.number += 1;
                *other = Some((*memory, likely));
            }
        }
    }

    /// Keeps the books on messages that say something of the connection itself. Every message passes here.
    pub(crate) fn note(&mut self, tag: u8, body: &[u8]) {
        match tag {
            b'Z' => {
                self.expected.pop_front();
                self.set_status(body.first().copied());
            }
            b'C' => self.committed = body.starts_with(b"COMMIT") || body.starts_with(b"PREPARE TRANSACTION"),
            b'S' => {
                if let Some((name, value)) = two_strings(body) {
                    self.parameters.insert(name, value);
                }
            }
            b'A' => self.notifications += 1,
            b'E' => {
                self.failed = true;
                self.broken |= is_fatal(&error_fields(body));
            }
            _ => {}
        }
    }

    fn set_status(&mut self, letter: Option<u8>) {
        // Outside of a block each exchange commits, unless it had an error.
        let lasts = match self.status {
            TransactionStatus::Idle => !self.failed,
            _ => self.committed,
        };
        self.failed = false;
        self.status =
            letter.and_then(|it| TransactionStatus::parse(it).ok()).unwrap_or(TransactionStatus::Idle);
        if self.status == TransactionStatus::Idle
            && let Some(before) = self.applied_before.take()
            && !lasts
        {
            self.applied = before;
        }
    }

    /// After an error the server ignores everything up to the next Sync: if none is under way, one is sent.
    fn abandon_prologue(&mut self, body: &[u8]) {
        let report = error_fields(body);
        self.prologue = 0;
        // Some of the settings may have been applied, some not.
        self.broken = true;
        if is_fatal(&report) {
            self.expected.clear();
        } else {
            while self.expected.front() == Some(&Expected::Query) {
                self.expected.pop_front();
            }
            if self.expected.is_empty() {
                self.queue_sync();
            }
        }
        self.refused = Some(Box::new(report));
    }

    /// Reads what the server still answers after the error of a prologue. Cancel safe, as its caller must be.
    async fn finish_refused(&mut self) -> Error {
        while !self.expected.is_empty() {
            if let Err(error) = self.flush().await {
                self.refused = None;
                return error;
            }
            match self.duplex.next_frame().await {
                Ok(frame) => self.note(frame.tag, &frame.body),
                Err(error) => {
                    self.refused = None;
                    return self.lost(&error);
                }
            }
        }
        match self.refused.take() {
            Some(report) => Error::Postgres(report),
            None => Error::Internal("no prologue was refused".to_owned()),
        }
    }

    pub(crate) fn lost(&mut self, error: &io::Error) -> Error {
        self.broken = true;
        Error::ConnectionLost { group: self.group, reason: error.to_string() }
    }
}

/// The fields of an ErrorResponse; one that cannot be read is still an error.
pub(crate) fn error_fields(body: &[u8]) -> ErrorFields {
    ErrorFields::parse(body).unwrap_or_else(ErrorFields::from)
}

fn is_fatal(fields: &ErrorFields) -> bool {
    fields.severity() >= Severity::Fatal
}

pub(crate) fn two_strings(body: &[u8]) -> Option<(String, String)> {
    let mut parts = body.split(|it| *it == 0).map(|it| String::from_utf8_lossy(it).into_owned());
    Some((parts.next()?, parts.next()?))
}

/// What a query whose rows are read as text has answered so far.
#[derive(Debug, Default)]
pub(crate) struct RowsAnswer {
    rows: Vec<Vec<Option<String>>>,
    error: Option<Error>,
}

impl RowsAnswer {
    pub(crate) fn take(&mut self, message: &Message) {
        match message.tag {
            b'D' => self.rows.push(text_row(&message.body)),
            b'E' if self.error.is_none() => self.error = Some(Error::from(error_fields(&message.body))),
            _ => {}
        }
    }

    pub(crate) fn rows(self) -> Result<Vec<Vec<Option<String>>>> {
        match self.error {
            None => Ok(self.rows),
            Some(error) => Err(error),
        }
    }
}

/// The values of a DataRow in text format.
pub(crate) fn text_row(body: &[u8]) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let Ok(length) = usize::try_from(length) else {
            values.push(None);
            rest = tail;
            continue;
        };
        let Some((value, tail)) = tail.split_at_checked(length) else { break };
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
        rest = tail;
    }
    values
}
