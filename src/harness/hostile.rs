//! Hostile bytes at a server's port, as data: `hostile.txt` says for each case what is sent and how PostgreSQL answers.
//!
//! A case is a block of lines: `case NAME`, `after connecting|encryption|startup|login`, then what is sent, then `expect` with the
//! answer, and `router` where the router may answer differently. Sent are `bytes …` as they stand, `message T …`
//! with the length filled in, `query …` with its zero as well; a number and `times` in front repeat it. Escapes are
//! those of Rust. After them the client says that nothing more will come, and reads until the server closes.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use std::{io, thread};

use anyhow::{Context, bail, ensure};
use howdah_pg::wire::{ErrorFields, backend, frames, startup};

use crate::client::{Client, Stream};

/// Within this time the server must have answered and closed.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    after: Phase,
    sent: Vec<u8>,
    /// What PostgreSQL answers.
    pub expected: String,
    /// What else the router may answer.
    pub router: Option<String>,
}

/// How far a connection has come before the bytes.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Connecting,
    /// The server has said whether it encrypts.
    Encryption,
    /// The server has asked for a password.
    Startup,
    Login,
}

/// Whom to attack. The user must have to log in by SCRAM-SHA-256.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: Address,
    pub user: String,
    pub password: String,
    pub database: String,
}

#[derive(Clone, Debug)]
pub enum Address {
    Unix(PathBuf),
    Tcp(String),
}

/// The cases of `hostile.txt`.
pub fn cases() -> anyhow::Result<Vec<Case>> {
    parse(include_str!("hostile.txt"))
}

impl Case {
    /// Plays the case and says what came back: types of messages, errors with their SQLSTATE, and how it ended.
    pub fn play(&self, target: &Target) -> anyhow::Result<String> {
        let mut stream = target.reach(self.after)?;
        let mut writer = stream.duplicate()?;
        let sent = self.sent.clone();
        // Apart, because a server may stop reading until its answers are read.
        let writing = thread::spawn(move || {
            // It may close before all is written: that is an answer as well.
            let _ = writer.write_all(&sent);
            let _ = writer.finish_writing();
        });
        let (received, end) = read_to_end(&mut *stream)?;
        writing.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
        Ok(summary(&received, self.after) + end)
    }
}

impl Target {
    /// A connection for ordinary use.
    pub fn client(&self) -> anyhow::Result<Client> {
        Client::start(self.connect()?, &self.user, &self.password, &self.database)
    }

    fn connect(&self) -> anyhow::Result<Box<dyn Stream>> {
        match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(DEADLINE))?;
                Ok(Box::new(stream))
            }
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(DEADLINE))?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }

    fn reach(&self, phase: Phase) -> anyhow::Result<Box<dyn Stream>> {
        if matches!(phase, Phase::Login) {
            return Ok(self.client()?.into_stream());
        }
        let mut stream = self.connect()?;
        let mut packet = bytes::BytesMut::new();
        if matches!(phase, Phase::Encryption) {
            startup::ssl_request(&mut packet);
            stream.write_all(&packet)?;
            stream.read_exact(&mut [0])?;
        }
        if matches!(phase, Phase::Startup) {
            startup::session_startup(
                &mut packet,
                [("user", self.user.as_str()), ("database", &self.database)],
            );
            stream.write_all(&packet)?;
            await_message(&mut *stream)?;
        }
        Ok(stream)
    }
}

/// Reads one message: the request for a password.
fn await_message(stream: &mut dyn Stream) -> anyhow::Result<()> {
    let mut header = [0; 5];
    stream.read_exact(&mut header)?;
    ensure!(header[0] == b'R', "the server answered a startup packet with {:?}", char::from(header[0]));
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
    stream.read_exact(&mut vec![0; length as usize - 4])?;
    Ok(())
}

fn read_to_end(stream: &mut dyn Stream) -> anyhow::Result<(Vec<u8>, &'static str)> {
    let mut received = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok((received, "closed")),
            Ok(count) => received.extend_from_slice(&chunk[..count]),
            // What was sent and not read any more makes a closing server reset the connection.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok((received, "closed")),
            Err(error) if is_timeout(&error) => return Ok((received, "open")),
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn summary(received: &[u8], phase: Phase) -> String {
    // The answers to requests for encryption are one byte.
    let (encryption, received) = match (phase, received) {
        (Phase::Connecting, [answer @ (b'S' | b'N'), rest @ ..]) => {
            (Some(char::from(*answer).to_string()), rest)
        }
        _ => (None, received),
    };
    let mut messages = frames(received);
    let names = messages.by_ref().map_while(Result::ok).filter_map(|it| name_of(it.tag, it.body));
    let mut answers = vec![Vec::new()];
    for name in encryption.into_iter().chain(names) {
        let ends = name.starts_with('Z');
        answers.last_mut().expect("there is always one").push(name);
        if ends {
            answers.push(Vec::new());
        }
    }
    let answers = answers.into_iter().filter(|it| !it.is_empty()).map(|it| counted(it.into_iter()).join(" "));
    let mut text = counted(answers).join(" ") + " ";
    if text == " " {
        text.clear();
    }
    if !messages.rest().is_empty() {
        text.push_str("? ");
    }
    text
}

/// What is repeated, once with its count.
fn counted(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for item in items {
        match runs.last_mut() {
            Some((last, count)) if *last == item => *count += 1,
            _ => runs.push((item, 1)),
        }
    }
    let shown = |(item, count): (String, usize)| match count {
        1 => item,
        _ if item.contains(' ') => format!("({item})*{count}"),
        _ => format!("{item}*{count}"),
    };
    runs.into_iter().map(shown).collect()
}

/// What of a message must agree. Parameters, keys and notices may differ.
fn name_of(tag: u8, body: &[u8]) -> Option<String> {
    match tag {
        b'S' | b'K' | b'N' => None,
        b'E' => Some(match ErrorFields::parse(body) {
            Ok(error) => format!("{}:{}", error.severity().as_str(), error.code()),
            Err(_) => "E?".into(),
        }),
        b'Z' => Some(format!("Z{}", String::from_utf8_lossy(body))),
        b'R' | b'v' if backend::parse(tag, body).is_err() => Some(format!("{}?", char::from(tag))),
        tag => Some(char::from(tag).into()),
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        read_line(line, &mut cases).with_context(|| format!("line {}: {line}", number + 1))?;
    }
    Ok(cases)
}

fn read_line(line: &str, cases: &mut Vec<Case>) -> anyhow::Result<()> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    if word == "case" {
        cases.push(Case {
            name: rest.into(),
            after: Phase::Login,
            sent: Vec::new(),
            expected: String::new(),
            router: None,
        });
        return Ok(());
    }
    if word.is_empty() || word.starts_with('#') {
        return Ok(());
    }
    let case = cases.last_mut().context("a line before the first case")?;
    match word {
        "after" => {
            case.after = match rest {
                "connecting" => Phase::Connecting,
                "encryption" => Phase::Encryption,
                "startup" => Phase::Startup,
                "login" => Phase::Login,
                _ => bail!("no phase"),
            }
        }
        "expect" => case.expected = rest.into(),
        "router" => case.router = Some(rest.into()),
        _ => case.sent.extend(sent(line)?),
    }
    Ok(())
}

/// What a line of bytes, a message or a query sends.
fn sent(line: &str) -> anyhow::Result<Vec<u8>> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "bytes" => unescape(rest),
        "query" => {
            let mut body = unescape(rest)?;
            body.push(0);
            Ok(message(b'Q', &body))
        }
        "message" => {
            let (tag, body) = rest.split_once(' ').unwrap_or((rest, ""));
            let [tag] = tag.as_bytes() else { bail!("a type is one letter") };
            Ok(message(*tag, &unescape(body)?))
        }
        count => {
            let count: usize = count.parse().context("no such line")?;
            let (times, rest) = rest.split_once(' ').context("what is repeated")?;
            ensure!(times == "times", "what is repeated");
            Ok(sent(rest)?.repeat(count))
        }
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 4) as u32;
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

fn unescape(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first().context("an escape without end")?;
        rest = after;
        bytes.push(match escape {
            b'0' => 0,
            b'n' => b'\n',
            b'\\' => b'\\',
            b'x' => {
                let (digits, after) = rest.split_at_checked(2).context("two digits")?;
                rest = after;
                u8::from_str_radix(str::from_utf8(digits)?, 16)?
            }
            _ => bail!("no such escape"),
        });
    }
    Ok(bytes)
}
