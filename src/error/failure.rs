//! What a request without a complete response means: the one place that judges a `ureq::Error`.

use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

use super::kind::ErrorKind;
use crate::limits::MAX_HEADER_BYTES;
use crate::text::Sanitized;

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Nothing was sent, because the kept connection is no longer open.
    NotOpen,
    /// Nothing was sent. Another attempt may succeed.
    NotSent,
    /// Nothing was sent, and another attempt would fail the same way.
    Permanent,
    /// The server may have received it.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Reusing the kept connection.
    Reuse,
    LookupThread,
    Lookup,
    /// Connecting: TCP, the proxy's tunnel, TLS.
    Connect,
    /// Checking a new connection: the server sent something before the request.
    EarlyBytes,
    /// Sending the request, or receiving the response.
    Exchange,
}

/// Marks a ureq error: no connection could be made, so nothing was sent. Without the mark, the
/// request may have been received.
pub(crate) struct ConnectError {
    pub(crate) stage: Stage,
    /// Whether the proxy is at fault.
    pub(crate) by_proxy: bool,
    pub(crate) source: ureq::Error,
}

impl ConnectError {
    /// The mark, or an error that has none.
    pub(crate) fn downcast(error: ureq::Error) -> Result<ConnectError, ureq::Error> {
        match error {
            ureq::Error::Other(other) => {
                other.downcast().map(|marked| *marked).map_err(ureq::Error::Other)
            }
            other => Err(other),
        }
    }
}

/// The stage of an error, whether the proxy is at fault, and the error without the mark.
pub(super) fn stage_of(error: ureq::Error) -> (Stage, bool, ureq::Error) {
    match ConnectError::downcast(error) {
        Ok(ConnectError { stage, by_proxy, source }) => (stage, by_proxy, source),
        // ureq reports this before it sends anything.
        Err(source @ ureq::Error::TlsRequired) => (Stage::Connect, false, source),
        Err(source) => (Stage::Exchange, false, source),
    }
}

impl From<ConnectError> for ureq::Error {
    fn from(error: ConnectError) -> Self {
        ureq::Error::Other(Box::new(error))
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl StdError for ConnectError {}

/// Where a request was to go, and its time limits.
pub(crate) struct Context<'a> {
    /// Host and port of the site.
    pub(crate) host: &'a str,
    pub(crate) is_https: bool,
    /// Host and port of the proxy.
    pub(crate) proxy: Option<String>,
    /// The limit for the connection.
    pub(crate) connect: Limit,
    /// The limit for the whole call.
    pub(crate) call: Limit,
}

/// A time limit, under the name that its setting has in Rust and C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) setting: &'static str,
    pub(crate) length: Duration,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.length, self.setting)
    }
}

/// What a failure means, how far the request got, and the sentence: the one table of failures.
#[allow(clippy::too_many_lines, reason = "one table is easier to read")]
pub(super) fn judge(
    stage: Stage,
    by_proxy: bool,
    source: &ureq::Error,
    context: &Context,
) -> (ErrorKind, Delivery, String) {
    use Delivery::{NotOpen, NotSent, Permanent, Unknown};
    use ErrorKind::{Connect, Timeout, Tls, Transport};
    use ureq::Error;

    let host = Sanitized(context.host);
    let peer = match &context.proxy {
        Some(proxy) if by_proxy => format!("the proxy {}", Sanitized(proxy)),
        _ => host.to_string(),
    };
    let (connect, call) = (context.connect, context.call);
    match (stage, source) {
        (Stage::Reuse, _) => {
            (Connect, NotOpen, format!("the connection to {host} is no longer open"))
        }
        (Stage::LookupThread, _) => (
            Connect,
            Permanent,
            format!(
                "no thread could be started to look up {peer}: end some threads, or \
                 raise the limit for threads or memory (ulimit -u, ulimit -v)"
            ),
        ),
        (Stage::Lookup | Stage::Connect, Error::Io(e)) if is_shortage(e) => (
            Connect,
            Permanent,
            format!(
                "no connection to {peer}: this process or machine has no file descriptor or \
                 memory left; close some files, or raise the limit (ulimit -n)"
            ),
        ),
        (Stage::Lookup, Error::Timeout(_)) => (
            Timeout,
            NotSent,
            format!(
                "looking up {peer} took longer than {connect}: \
                 check the network's name servers, or allow more time"
            ),
        ),
        (Stage::Lookup, _) => {
            let advice = if peer.contains(['.', ':']) {
                "check the address and the network's name servers".to_owned()
            } else {
                format!("to log in to a Files.com site, write https://{host}.files.com")
            };
            (Connect, NotSent, format!("{peer} could not be looked up: {advice}"))
        }
        (Stage::Connect, Error::Timeout(_)) => (
            Timeout,
            NotSent,
            format!(
                "no connection to {peer} within {connect}: \
                 check the address and the network, or allow more time"
            ),
        ),
        (Stage::Connect, Error::ConnectProxyFailed(why)) => (
            Connect,
            Permanent,
            format!(
                "no connection to {host} through {peer}: {}; \
                 check the proxy's address and credentials",
                Sanitized(why)
            ),
        ),
        (Stage::Connect, Error::Protocol(_)) => (
            Connect,
            Permanent,
            format!("the response from {peer} is not HTTP: check the proxy's address"),
        ),
        (Stage::Connect, Error::Io(e))
            if context.is_https && !by_proxy && is_disconnect(e.kind()) =>
        {
            (Tls, NotSent, tls_sentence(&peer))
        }
        (Stage::Connect, Error::Io(e)) if e.kind() != io::ErrorKind::InvalidData => (
            Connect,
            NotSent,
            format!("no connection to {peer}: {}; check the address and the network", e.kind()),
        ),
        (Stage::Connect, Error::HostNotFound | Error::ConnectionFailed) => (
            Connect,
            NotSent,
            format!("no connection to {peer}: check the address and the network"),
        ),
        // All other errors are TLS errors, whichever library they come from. rustls reports a bad
        // certificate or record as invalid data.
        (Stage::Connect, _) if by_proxy => (Connect, Permanent, tls_sentence(&peer)),
        (Stage::Connect, _) => (Tls, Permanent, tls_sentence(&peer)),
        (Stage::EarlyBytes, _) => (
            Connect,
            Permanent,
            format!("{host} sent data before it got a request: is this a Files.com site?"),
        ),
        (Stage::Exchange, Error::Timeout(_)) => (
            Timeout,
            Unknown,
            format!("no response from {host} within {call}: try again, or allow more time"),
        ),
        (Stage::Exchange, Error::LargeResponseHeader(..)) => (
            Transport,
            Unknown,
            format!(
                "the response from {host} exceeds the size limit ({MAX_HEADER_BYTES} bytes for its \
                 header): is this a Files.com site?"
            ),
        ),
        (Stage::Exchange, Error::Protocol(_)) => (
            Transport,
            Unknown,
            format!(
                "the response from {host} is not valid HTTP, or has more than 128 header fields: \
                 is this a Files.com site?"
            ),
        ),
        (Stage::Exchange, source) => {
            let cause = match source {
                Error::Io(e) if e.kind() != io::ErrorKind::InvalidData => e.kind().to_string(),
                _ if context.is_https => "the data received is not valid TLS".to_owned(),
                _ => "invalid data".to_owned(),
            };
            let message = format!(
                "the connection to {host} broke before the response was complete: {cause}; \
                 it is not known whether the request was carried out"
            );
            (Transport, Unknown, message)
        }
    }
}

/// One sentence for all TLS failures: the libraries distinguish them only by their wording.
fn tls_sentence(peer: &str) -> String {
    format!(
        "no trusted TLS connection to {peer}: check the address, this machine's clock and the \
         trusted certificates (set ca_pem for a private authority)"
    )
}

/// Whether the peer closed or reset the connection during the handshake.
fn is_disconnect(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// Whether this process or machine has run out of descriptors (EMFILE, ENFILE, WSAEMFILE) or
/// memory.
pub(crate) fn is_shortage(e: &io::Error) -> bool {
    let too_many_files = if cfg!(windows) { &[10024][..] } else { &[23, 24] };
    e.raw_os_error().is_some_and(|code| too_many_files.contains(&code))
        || e.kind() == io::ErrorKind::OutOfMemory
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(setting: &'static str, seconds: u64) -> Limit {
        Limit { setting, length: Duration::from_secs(seconds) }
    }

    #[test]
    fn each_failure_has_a_kind_and_a_sentence() {
        use ErrorKind::{Connect, Timeout, Tls, Transport};
        use Stage::{Exchange, Lookup, LookupThread};
        use ureq::Error;

        let io = |kind: io::ErrorKind| Error::Io(kind.into());
        let timeout = || Error::Timeout(ureq::Timeout::Global);
        let (refused, eof) = (io::ErrorKind::ConnectionRefused, io::ErrorKind::UnexpectedEof);
        let (connect, tls) = (Stage::Connect, "no trusted TLS connection to a.example: check");
        let lookup = "a.example could not be looked up: check the address";
        let no_thread = "no thread could be started to look up a.example";
        let shortage = "no connection to a.example: this process or machine has no file descriptor";
        for (stage, https, source, kind, sentence) in [
            (LookupThread, true, io(io::ErrorKind::WouldBlock), Connect, no_thread),
            (Lookup, true, io(io::ErrorKind::OutOfMemory), Connect, shortage),
            (Lookup, true, io(io::ErrorKind::Other), Connect, lookup),
            (
                Lookup,
                true,
                timeout(),
                Timeout,
                "looking up a.example took longer than 3s (connect_timeout): ",
            ),
            (
                connect,
                true,
                timeout(),
                Timeout,
                "no connection to a.example within 3s (connect_timeout): check",
            ),
            (connect, true, io(io::ErrorKind::OutOfMemory), Connect, shortage),
            (
                connect,
                true,
                io(refused),
                Connect,
                "no connection to a.example: connection refused; check",
            ),
            (connect, false, io(eof), Connect, "no connection to a.example: unexpected end of"),
            (connect, true, io(eof), Tls, tls),
            (connect, true, io(io::ErrorKind::ConnectionReset), Tls, tls),
            (connect, true, io(io::ErrorKind::InvalidData), Tls, tls),
            (connect, true, Error::Tls("x"), Tls, tls),
            (connect, true, Error::BadUri("x".to_owned()), Tls, tls),
            (connect, true, Error::HostNotFound, Connect, "no connection to a.example: check"),
            (connect, true, Error::ConnectionFailed, Connect, "no connection to a.example: check"),
            (
                Exchange,
                true,
                timeout(),
                Timeout,
                "no response from a.example within 60s (timeout): try again, or allow more time",
            ),
            (Exchange, true, io(refused), Transport, "broke before the response was complete: c"),
            (Exchange, true, io(io::ErrorKind::InvalidData), Transport, "is not valid TLS; it is"),
            (Exchange, true, Error::Tls("x"), Transport, "is not valid TLS; it is not known"),
            (Exchange, false, Error::BadUri("x".to_owned()), Transport, ": invalid data; it is"),
            (
                Exchange,
                true,
                Error::LargeResponseHeader(1, 1),
                Transport,
                "the response from a.example exceeds the size limit (16384 bytes for its header)",
            ),
        ] {
            let context = Context {
                host: "a.example",
                is_https: https,
                proxy: Some("proxy.example:3128".to_owned()),
                connect: limit("connect_timeout", 3),
                call: limit("timeout", 60),
            };
            let shown = format!("{stage:?} {source:?}");
            let (found, _, message) = judge(stage, false, &source, &context);
            assert_eq!(found, kind, "{shown}");
            assert!(message.contains(sentence), "{shown}: {message}");
            // A failure of the proxy is reported as the proxy's, never as a TLS failure of the
            // site.
            if stage != Exchange {
                let (found, _, message) = judge(stage, true, &source, &context);
                assert_ne!(found, Tls, "{shown}");
                assert!(message.contains("the proxy proxy.example:3128"), "{shown}: {message}");
            }
        }
    }

    #[test]
    fn a_name_without_a_dot_may_be_a_subdomain() {
        let limit = limit("timeout", 60);
        let context =
            Context { host: "mysite", is_https: true, proxy: None, connect: limit, call: limit };
        let (_, _, message) = judge(Stage::Lookup, false, &ureq::Error::HostNotFound, &context);
        assert!(message.ends_with("write https://mysite.files.com"), "{message}");
    }
}
