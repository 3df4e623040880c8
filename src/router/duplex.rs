//! A stream with one read buffer and one write buffer, and the framing of messages over it.
//!
//! Invariant: while bytes wait to be written, bytes that arrive are taken in as well (up to a limit), so
//! that two ends that both have much to say never wait for each other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::stream::Stream;

pub(crate) struct Duplex {
    stream: Stream,
    pub(crate) read: BytesMut,
    pub(crate) write: BytesMut,
    /// How much of `write` has gone out.
    written: usize,
    max_message: usize,
}

/// One message: its tag and its body, without the length.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
}

/// Read ahead while a write does not get through.
const MAX_READ_AHEAD: usize = 1 << 20;
const READ_BUFFER: usize = 16 << 10;

impl Duplex {
    pub(crate) fn new(stream: Stream, max_message: usize) -> Self {
        Self { stream, read: BytesMut::new(), write: BytesMut::new(), written: 0, max_message }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    /// The tag and length of body of the first message of the read buffer, once its head is there.
    pub(crate) fn head(&self) -> io::Result<Option<(u8, usize)>> {
        head_at(&self.read, self.max_message)
    }

    /// Takes the first message if it is complete.
    pub(crate) fn take_frame(&mut self) -> io::Result<Option<Frame>> {
        let Some((tag, length)) = self.head()? else { return Ok(None) };
        if self.read.len() < 5 + length {
            return Ok(None);
        }
        self.read.advance(5);
        Ok(Some(Frame { tag, body: self.read.split_to(length).freeze() }))
    }

    /// The next message. Cancel safe: what was read stays in the buffer.
    pub(crate) async fn next_frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// Reads once. The end of the stream is an error here: it always comes amid a conversation.
    pub(crate) async fn fill(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }

    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A buffer grown by one large message is not kept for the rest of the session.
        if self.read.is_empty() && self.read.capacity() > MAX_READ_AHEAD {
            self.read = BytesMut::new();
        }
        self.read.reserve(READ_BUFFER.min(self.wanted()));
        let read = ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read))?;
        if read == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes missing of a message that has begun; at least a buffer's worth.
    fn wanted(&self) -> usize {
        match self.head() {
            Ok(Some((_, length))) => (5 + length).saturating_sub(self.read.len()).max(READ_BUFFER),
            _ => READ_BUFFER,
        }
    }

    /// Writes all that waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.write.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.write[self.written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.written += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if self.read.len() < MAX_READ_AHEAD => ready!(self.poll_fill(cx))?,
                Poll::Pending => return Poll::Pending,
            }
        }
        self.write.clear();
        self.written = 0;
        if self.write.capacity() > MAX_READ_AHEAD {
            self.write = BytesMut::new();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

/// The head of the message at the front of `bytes`.
pub(crate) fn head_at(bytes: &[u8], max: usize) -> io::Result<Option<(u8, usize)>> {
    let [tag, a, b, c, d, ..] = bytes else { return Ok(None) };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    match length.checked_sub(4) {
        Some(body) if body <= max => Ok(Some((*tag, body))),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "invalid message length")),
    }
}
