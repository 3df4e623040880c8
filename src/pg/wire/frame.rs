//! Message boundaries: a type byte, a length that counts itself, a body. Startup packets lack the type.

use super::ProtocolError;

/// `PQ_LARGE_MESSAGE_LIMIT`: the largest length word of any message.
pub const MAX_MESSAGE: usize = 0x3fff_ffff - 1;

/// The type byte and the length word.
pub const HEADER: usize = 5;

/// One complete message in a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    pub tag: u8,
    pub body: &'a [u8],
    /// Header and body, as they stand in the buffer.
    pub bytes: &'a [u8],
}

/// The first complete message of `buf`, or `None` when more input is needed.
pub fn frame(buf: &[u8]) -> Result<Option<Frame<'_>>, ProtocolError> {
    frame_limited(buf, MAX_MESSAGE)
}

/// As [`frame`], for a message whose length word may be at most `limit`.
pub fn frame_limited(buf: &[u8], limit: usize) -> Result<Option<Frame<'_>>, ProtocolError> {
    let Some((&tag, rest)) = buf.split_first() else { return Ok(None) };
    let Some(length) = length_word(rest) else { return Ok(None) };
    if !(4..=limit).contains(&length) {
        return Err(ProtocolError::InvalidLength);
    }
    Ok(buf.get(..1 + length).map(|bytes| Frame { tag, body: &bytes[HEADER..], bytes }))
}

/// How many bytes the first message of `buf` has in all; `None` when its header is not complete.
///
/// Lets a reader make room for a large message at once.
pub fn frame_length(buf: &[u8]) -> Option<usize> {
    length_word(buf.get(1..)?).map(|length| length.saturating_add(1))
}

/// The complete messages at the start of `buf`. Stops before an incomplete one and after an error.
pub fn frames(buf: &[u8]) -> Frames<'_> {
    Frames { rest: buf }
}

#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// What has not been returned yet: at the end, the start of an incomplete message.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, ProtocolError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = frame(self.rest).transpose()?;
        self.rest = match &result {
            Ok(frame) => &self.rest[frame.bytes.len()..],
            Err(_) => &[],
        };
        Some(result)
    }
}

/// Relays runs of messages by their headers alone, whatever way they were cut into reads: a row that is
/// larger than the read buffer passes through in pieces.
#[derive(Clone, Debug, Default)]
pub struct Relay {
    /// Bytes of the message being passed that have not been seen yet.
    missing: usize,
}

impl Relay {
    /// How many bytes at the start of `run` belong to messages whose type `passes`.
    ///
    /// The rest, if any, starts with the header of a message that does not pass, or with a part of a
    /// header. The bytes counted must then really be consumed: the relay remembers how far it is.
    pub fn pass(&mut self, run: &[u8], passes: impl Fn(u8) -> bool) -> Result<usize, ProtocolError> {
        let mut at = self.missing.min(run.len());
        self.missing -= at;
        while self.missing == 0 {
            let rest = &run[at..];
            let Some((&tag, length)) = rest.split_first() else { break };
            let Some(length) = length_word(length).filter(|_| passes(tag)) else { break };
            if !(4..=MAX_MESSAGE).contains(&length) {
                return Err(ProtocolError::InvalidLength);
            }
            let present = rest.len().min(1 + length);
            self.missing = 1 + length - present;
            at += present;
        }
        Ok(at)
    }

    /// Whether the last run ended within a message: nothing else may be written to the peer now.
    pub fn is_within_message(&self) -> bool {
        self.missing > 0
    }
}

fn length_word(buf: &[u8]) -> Option<usize> {
    buf.first_chunk().map(|it| u32::from_be_bytes(*it) as usize)
}
