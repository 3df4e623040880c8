//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, as `auth-scram.c` speaks it.
//!
//! The exchange is two steps, each bytes in and bytes out: [`Exchange::start`] reads the client's first message,
//! [`Exchange::finish`] its last. A user without a usable secret gets a [`Secret::mock`] and goes
//! through the same steps before the refusal, so that nobody learns which users exist.
//! Randomness comes in as an argument.

mod binding;
mod exchange;
mod message;
mod secret;

#[cfg(test)]
mod client;
#[cfg(test)]
mod tests;

pub use self::binding::server_end_point;
pub use self::exchange::{ChannelBinding, Exchange, ScramError};
pub use self::secret::{Secret, UnusableSecret};

/// The mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism with channel binding, offered only within TLS.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// `SCRAM_RAW_NONCE_LEN`: random bytes in the nonce of a server.
pub const NONCE: usize = 18;
