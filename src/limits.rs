//! Bounds, defaults and deadlines.

use std::fmt;
use std::time::{Duration, Instant};

/// Maximum response header size, in bytes.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Maximum response body size, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// Maximum number of bytes received in response to one request: header and body, and as much again
/// as the body for early hints, chunk sizes, trailers and TLS. Also the limit for the proxy's response
/// and for a TLS handshake.
pub(crate) const MAX_RECEIVED_BYTES: usize = MAX_HEADER_BYTES + 2 * MAX_BODY_BYTES;

/// Holds the longest header field that can be sent.
pub(crate) const OUTPUT_BUFFER_BYTES: usize = MAX_FIELD_BYTES + 256;

/// Maximum number of bytes in one write to a connection: a request of 5 KiB, the end of a TLS
/// handshake before it, and the overhead of TLS.
pub(crate) const MAX_WRITE_BYTES: usize = 6 * 1024;

/// Maximum length of a session id or `User-Agent`, in bytes.
pub(crate) const MAX_FIELD_BYTES: usize = 4 * 1024;

/// Maximum length of `Accept-Language`, in bytes.
pub(crate) const MAX_LANGUAGE_BYTES: usize = 256;

/// Maximum size of a login's JSON text, in bytes.
pub(crate) const MAX_LOGIN_BYTES: usize = 64 * 1024;

/// Maximum cost of the values in a JSON text: 1 for each, 2 more for a list, 8 more for an object.
/// Real responses have about 30 values. The parser needs up to 80 bytes per unit, so this limits it
/// to about 330 KB. Without the limit, a body could need 60 times its size.
pub(crate) const MAX_JSON_COST: usize = 4096;

/// Maximum length of an untrusted text in a message, in characters.
pub(crate) const MAX_SHOWN_CHARS: usize = 300;

pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer time limits are reduced to this one, so that no sum of times overflows. A `Retry-After`
/// that is longer counts as absent.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Maximum idle time of a connection that a logout reuses.
pub(crate) const MAX_IDLE_AGE: Duration = Duration::from_secs(15);

/// How long an address may stay silent before the next one is tried: TCP's first retransmission
/// (RFC 6298, section 2.1). It doubles with each round over the addresses.
pub(crate) const FIRST_ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);

/// Stack size of the thread that looks up a name.
pub(crate) const LOOKUP_STACK_BYTES: usize = 256 * 1024;

pub(crate) const DEFAULT_RETRIES: u32 = 3;

/// The wait before the first retry. It doubles with each retry.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// When a time limit expires.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
    /// The name of the limit in Rust and C.
    setting: &'static str,
}

impl Deadline {
    /// The deadline of a limit that begins now.
    pub(crate) fn new(setting: &'static str, limit: Duration) -> Deadline {
        Deadline { at: Instant::now() + limit, limit, setting }
    }

    /// The earlier of two deadlines.
    pub(crate) fn min(self, other: Deadline) -> Deadline {
        if other.at < self.at { other } else { self }
    }

    /// The same limit, but it expires after this much time from now at the latest.
    pub(crate) fn within(self, time: Duration) -> Deadline {
        Deadline { at: self.at.min(Instant::now() + time), ..self }
    }

    pub(crate) fn time_left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.limit, self.setting)
    }
}
