//! The operator's end of the control API: one question, one connection.
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Failure, SettingsApplied, SettingsError, SettingsRequest, Status};

/// Asks one instance manager.
#[derive(Clone)]
pub struct ControlClient {
    address: String,
    name: ServerName<'static>,
    tls: TlsConnector,
}

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It is not there, not yet, or not the one it should be.
    #[error("could not reach the instance manager at {address}: {source}")]
    Unreachable { address: String, source: io::Error },
    /// What it says of a failure of its own; 409 while its server is not ready.
    #[error("{error}")]
    Failed { status: u16, error: String },
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl ControlClient {
    /// `host` is a name in the node's certificate.
    pub fn new(host: &str, port: u16, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Self { address: format!("{host}:{port}"), name, tls: TlsConnector::from(tls) })
    }

    /// Another address than the name: a pod's own.
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    pub async fn status(&self) -> Result<Status, ControlError> {
        let answer = self.ask("GET", "/v1/status", Vec::new(), QUESTION).await?;
        self.read(&answer, 200)
    }

    /// `Ok(Err(_))` if they are wrong; nothing has changed then.
    pub async fn put_settings(
        &self,
        settings: &BTreeMap<String, String>,
    ) -> Result<Result<SettingsApplied, SettingsError>, ControlError> {
        let body = SettingsRequest { settings: settings.clone() };
        let body = serde_json::to_vec(&body).expect("settings are plain data");
        let answer = self.ask("PUT", "/v1/settings", body, CHECK).await?;
        match answer.status {
            422 => self.read(&answer, 422).map(Err),
            _ => self.read(&answer, 200).map(Ok),
        }
    }

    /// Restarts Postgres in place; answers when it is ready again.
    pub async fn restart(&self) -> Result<Status, ControlError> {
        let answer = self.ask("POST", "/v1/restart", Vec::new(), RESTART).await?;
        self.read(&answer, 200)
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer, wanted: u16) -> Result<T, ControlError> {
        if answer.status == wanted {
            return serde_json::from_slice(&answer.body).map_err(|it| self.unreachable(io::Error::other(it)));
        }
        let error = match serde_json::from_slice(&answer.body) {
            Ok(Failure { error }) => error,
            Err(_) => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        Err(ControlError::Failed { status: answer.status, error })
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Answer, ControlError> {
        let asked = async {
            let stream = timeout(CONNECT, self.connect()).await;
            let mut stream = stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: howdah\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).await?;
            stream.flush().await?;
            let mut answer = Vec::new();
            stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
            parse(&answer).ok_or_else(|| io::Error::other("this is no answer of an instance manager"))
        };
        let answered = timeout(patience, asked).await;
        let answered = answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        answered.map_err(|it| self.unreachable(it))
    }

    async fn connect(&self) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.address).await?;
        self.tls.connect(self.name.clone(), stream).await
    }

    fn unreachable(&self, source: io::Error) -> ControlError {
        ControlError::Unreachable { address: self.address.clone(), source }
    }
}

/// An HTTP answer whose length is given, of a connection that was closed behind it.
fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines
        .filter_map(|it| it.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length?.1.trim().parse().ok()?;
    let body = answer.get(end + 4..end + 4 + length)?.to_vec();
    Some(Answer { status, body })
}

const CONNECT: Duration = Duration::from_secs(5);
const QUESTION: Duration = Duration::from_secs(15);
/// Libraries may have to be loaded.
const CHECK: Duration = Duration::from_secs(60);
/// A little more than the server itself waits.
const RESTART: Duration = Duration::from_secs(310);
const MAX_ANSWER: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_answers_only() {
        let text = b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        let answer = parse(text).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (422, b"{}".as_slice()));
        assert!(parse(&text[..text.len() - 1]).is_none());
        assert!(parse(b"").is_none());
    }
}
