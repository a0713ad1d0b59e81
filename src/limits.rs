//! Bounds and defaults, all in one place.

use std::time::Duration;

/// What is read of a response's header at most, in bytes.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// What is read of a response's body at most, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// What is received in response to one request at most, in bytes: header and body, and as much
/// again as the body for early hints, chunk sizes and trailers.
pub(crate) const MAX_RECEIVED_BYTES: usize = MAX_HEADER_BYTES + 2 * MAX_BODY_BYTES;

/// ureq takes a header only whole, so its buffer holds the largest one, and the byte that is one
/// too many.
pub(crate) const INPUT_BUFFER_BYTES: usize = MAX_HEADER_BYTES + 64;

/// The longest header field that is sent, a session id, fits, and all others beside it.
pub(crate) const OUTPUT_BUFFER_BYTES: usize = 5 * 1024;

/// The longest session id, in bytes.
pub(crate) const MAX_SESSION_ID_BYTES: usize = 4 * 1024;

/// The longest `Accept-Language`, in bytes.
pub(crate) const MAX_LANGUAGE_BYTES: usize = 256;

/// The most opening brackets in a JSON text. Real ones have some ten. The parser spends a hundred
/// bytes and more on each, so a body full of them would cost a multiple of its own size.
pub(crate) const MAX_JSON_BRACKETS: usize = 256;

/// What is shown of a foreign text in a sentence at most, in characters.
pub(crate) const MAX_SHOWN_CHARS: usize = 300;

/// The time limit of a call, unless one is set.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The time limit for making one connection, unless one is set.
pub(crate) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A longer time limit is cut to this, so that no sum of times overflows.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long an idle connection may wait for its logout. Shorter than the idle times after which
/// load balancers and NAT routers commonly forget a connection in silence.
pub(crate) const MAX_IDLE_AGE: Duration = Duration::from_secs(5 * 60);

/// How long a connection may have been idle that a login goes over. One that died in silence meanwhile
/// costs a login all of its time, and it is not sent again.
pub(crate) const LOGIN_MAX_IDLE_AGE: Duration = Duration::from_secs(15);

/// How many idle connections wait for their logouts: one for each session that is open.
pub(crate) const MAX_IDLE_CONNECTIONS: usize = 1024;

/// How long the addresses of a name are used without another look-up, as in libcurl.
pub(crate) const ADDRESSES_MAX_AGE: Duration = Duration::from_secs(60);

/// How often a call is tried again, unless set.
pub(crate) const DEFAULT_RETRIES: u32 = 3;

/// The wait before the first retry; it doubles with each.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_millis(500);
