//! The client's end of a session: messages in, messages out, with backpressure.

use std::collections::BTreeMap;

use bytes::{Buf, BytesMut};
use howdah_pg::scram::ChannelBinding;
use howdah_pg::wire::{ErrorFields, HEADER, backend, frames, frontend};

use crate::duplex::{Duplex, Frame};
use crate::error::{Error, Result};
use crate::stream::Stream;

/// What is sent to a client waits in a buffer until the turn ends or the buffer is full; a slow client
/// therefore slows down whoever produces its rows.
pub(crate) struct Client {
    pub(crate) duplex: Duplex,
    /// What it may bind its authentication to.
    pub(crate) binding: ChannelBinding,
    /// What the client believes of `server_encoding`, `TimeZone`, …
    known_parameters: BTreeMap<String, String>,
    /// What waited to be sent when a result began to be kept back.
    before_hold: Option<BytesMut>,
    /// How often output was sent.
    sent: u64,
}

/// A place in the output.
pub(crate) struct Mark {
    sent: u64,
    waiting: usize,
}

/// Where a result is sent on before it is complete.
const HIGH_WATER: usize = 64 << 10;
/// A result that is read in portions is in memory as a whole.
const MAX_HELD: usize = 256 << 20;

impl Client {
    pub(crate) fn new(duplex: Duplex, binding: ChannelBinding) -> Self {
        Self { duplex, binding, known_parameters: BTreeMap::new(), before_hold: None, sent: 0 }
    }

    /// The name in the certificate that it has shown.
    pub(crate) fn common_name(&self) -> Option<String> {
        match self.duplex.stream() {
            Stream::Accepted(stream) => howdah_tls::common_name(stream.get_ref().1.peer_certificates()),
            _ => None,
        }
    }

    /// Moves the data of CopyData messages that are here, which may be as small as one row.
    pub(crate) fn take_copy_data(&mut self, to: &mut BytesMut) -> Result<()> {
        while self.duplex.read.first() == Some(&b'd')
            && let Some(frame) = frontend::frame(&self.duplex.read)?
        {
            to.extend_from_slice(frame.body);
            let size = HEADER + frame.body.len();
            self.duplex.read.advance(size);
        }
        Ok(())
    }

    /// Whether the next message is here as a whole.
    pub(crate) fn has_message(&self) -> Result<bool> {
        Ok(frontend::frame(&self.duplex.read)?.is_some())
    }

    pub(crate) async fn next_message(&mut self) -> Result<Frame> {
        loop {
            // Too large, or of no known type: PostgreSQL does not read on either.
            if let Some(frame) = frontend::frame(&self.duplex.read)? {
                let tag = frame.tag;
                let length = frame.body.len();
                self.duplex.read.advance(HEADER);
                return Ok(Frame { tag, body: self.duplex.read.split_to(length).freeze() });
            }
            self.duplex.fill().await.map_err(Error::ClientGone)?;
        }
    }

    /// The output buffer, for messages made in place.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.duplex.write
    }

    /// Appends a message with this body.
    pub(crate) fn push(&mut self, tag: u8, body: &[u8]) {
        let buffer = &mut self.duplex.write;
        buffer.extend_from_slice(&[tag]);
        let length = u32::try_from(body.len() + 4).expect("a message is smaller than 1 GiB");
        buffer.extend_from_slice(&length.to_be_bytes());
        buffer.extend_from_slice(body);
    }

    pub(crate) fn push_error(&mut self, fields: &ErrorFields) {
        backend::put_error(&mut self.duplex.write, fields);
    }

    pub(crate) fn push_notice(&mut self, fields: &ErrorFields) {
        backend::put_notice(&mut self.duplex.write, fields);
    }

    pub(crate) fn push_command_complete(&mut self, tag: &str) {
        backend::put_command_complete(&mut self.duplex.write, tag.as_bytes());
    }

    /// Whether much waits to be sent.
    pub(crate) fn is_full(&self) -> bool {
        HIGH_WATER <= self.duplex.write.len()
    }

    /// Sends what waits if it has become much. Called between rows.
    pub(crate) async fn flush_if_full(&mut self) -> Result<()> {
        if !self.is_full() {
            return Ok(());
        }
        if self.before_hold.is_some() && MAX_HELD < self.duplex.write.len() {
            return Err(Error::LimitExceeded(
                "the result of a portal with a row limit is too large".to_owned(),
            ));
        }
        self.flush().await
    }

    /// Where the output is.
    pub(crate) fn mark(&self) -> Mark {
        Mark { sent: self.sent, waiting: self.duplex.write.len() }
    }

    /// Whether all that was put since then still waits.
    pub(crate) fn may_rewind(&self, to: &Mark) -> bool {
        self.sent == to.sent && self.before_hold.is_none() && to.waiting <= self.duplex.write.len()
    }

    /// Takes back what was put since then, but for parameters: what they say stays true.
    pub(crate) fn rewind(&mut self, to: &Mark) -> Result<()> {
        let taken = self.duplex.write.split_off(to.waiting);
        for frame in frames(&taken) {
            let frame = frame?;
            if frame.tag == b'S' {
                self.duplex.write.extend_from_slice(frame.bytes);
            }
        }
        Ok(())
    }

    /// From now on what is put is kept back, for a portal that the client reads in portions.
    pub(crate) fn hold(&mut self) {
        self.before_hold = Some(std::mem::take(&mut self.duplex.write));
    }

    /// Ends [`Self::hold`] and hands out what was kept.
    pub(crate) fn release(&mut self) -> BytesMut {
        let before = self.before_hold.take().unwrap_or_default();
        std::mem::replace(&mut self.duplex.write, before)
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        if self.before_hold.is_some() {
            return Ok(());
        }
        self.sent += 1;
        self.duplex.flush().await.map_err(Error::ClientGone)
    }

    /// Tells the client of a parameter's value unless it knows.
    pub(crate) fn push_parameter(&mut self, name: &str, value: &str) {
        if self.known_parameters.get(name).is_some_and(|known| known == value) {
            return;
        }
        self.known_parameters.insert(name.to_owned(), value.to_owned());
        backend::put_parameter_status(&mut self.duplex.write, name.as_bytes(), value.as_bytes());
    }
}
