//! The frontend/backend protocol 3.0, both directions, without IO: bytes in, messages out.
//!
//! [`frontend`] and [`backend`] read the messages of each side (`parse`) and append them to a buffer (`put_…`);
//! [`frame`] and [`frames`] find message boundaries and [`Relay`] passes runs of messages on unread.
//! Parsed messages borrow from the buffer. No input makes anything here panic or allocate more than a
//! small multiple of the input. Who may send what and when is the business of sessions, not of this module.

pub mod backend;
pub mod frontend;
pub mod startup;

mod body;
mod error;
mod fields;
mod frame;
mod values;

#[cfg(test)]
mod tests;

pub use self::error::ProtocolError;
pub use self::fields::{ErrorFields, Field, Severity};
pub use self::frame::{
    Frame, Frames, HEADER, MAX_MESSAGE, Relay, frame, frame_length, frame_limited, frames,
};
pub use self::startup::CancelKey;
pub use self::values::{Format, Formats, Types, Values};
