//! What a request without a complete response means: the one place that judges a `ureq::Error`.

use std::error::Error as StdError;
use std::{fmt, io};

use super::IS_IT_A_SITE;
use super::kind::ErrorKind;
use super::outcome::Outcome;
use crate::limits::{Deadline, MAX_HEADER_BYTES};
use crate::text::Sanitized;

/// The stage of a request in which it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Lookup,
    Tcp,
    /// The proxy's tunnel.
    Tunnel,
    Tls,
    /// Checking a new connection: the server sent something before the request.
    EarlyBytes,
    /// Sending the request, or receiving the response.
    Exchange,
}

/// Marks a ureq error: no connection could be made, so nothing was sent. Without the mark, the
/// request may have been received.
#[derive(Debug)]
pub(crate) struct ConnectError {
    stage: Stage,
    /// Whether the proxy is at fault.
    by_proxy: bool,
    /// The deadline that has passed if the source is a timeout.
    deadline: Deadline,
    source: ureq::Error,
}

impl ConnectError {
    /// Marks an error, unless it is marked already.
    pub(crate) fn mark(
        source: ureq::Error,
        stage: Stage,
        by_proxy: bool,
        deadline: Deadline,
    ) -> ureq::Error {
        match source {
            ureq::Error::Other(other) if other.is::<ConnectError>() => ureq::Error::Other(other),
            source => ureq::Error::Other(Box::new(Self { stage, by_proxy, deadline, source })),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl StdError for ConnectError {}

/// Where a request was to go, and how far it got.
pub(crate) struct Context<'a> {
    /// Host and port of the site.
    pub(crate) host: &'a str,
    /// Host and port of the proxy.
    pub(crate) proxy: Option<String>,
    /// Whether the first byte of the request was handed to the system.
    pub(crate) is_sent: bool,
    /// The deadline of the whole call.
    pub(crate) deadline: Deadline,
}

/// What a failure means, what is known of the request, and the sentence: the one table of failures.
#[allow(clippy::too_many_lines, reason = "one table is easier to read")]
pub(super) fn judge(error: ureq::Error, context: &Context) -> (ErrorKind, Outcome, String) {
    use ErrorKind::{Connect, Timeout, Tls, Transport};
    use Outcome::{Broken, NoResponse, NotBegun, NotConnected, NotSent};
    use ureq::Error;

    let (stage, by_proxy, limit, source) = match error {
        Error::Other(other) => match other.downcast::<ConnectError>() {
            Ok(marked) => (marked.stage, marked.by_proxy, marked.deadline, marked.source),
            Err(other) => (Stage::Exchange, false, context.deadline, Error::Other(other)),
        },
        error => (Stage::Exchange, false, context.deadline, error),
    };
    let host = Sanitized(context.host);
    let peer = match &context.proxy {
        Some(proxy) if by_proxy => format!("the proxy {}", Sanitized(proxy)),
        _ => host.to_string(),
    };
    let cause = cause(&source);
    let cause = Sanitized(&cause);
    let unless_unsent = |outcome| if context.is_sent { outcome } else { NotBegun };
    let subdomain = format!("to log in to a Files.com site, write https://{host}.files.com");
    let (check_network, check_proxy) =
        ("check the address and the network", "check the proxy's address");

    let (kind, outcome, what, advice) = match (stage, &source) {
        (Stage::Lookup, Error::Timeout(_)) => {
            let what = format!("{peer} could not be looked up within {limit}");
            (Timeout, NotConnected, what, "check the network's name servers, or allow more time")
        }
        (Stage::Lookup, _) => {
            let is_name = !peer.contains(['.', ':']);
            let advice = "check the address and the network's name servers";
            let advice = if is_name { &*subdomain } else { advice };
            (Connect, NotConnected, format!("{peer} could not be looked up ({cause})"), advice)
        }
        (Stage::Tcp | Stage::Tunnel | Stage::Tls, Error::Timeout(_)) => {
            let what = format!("no connection to {peer} within {limit}");
            (Timeout, NotConnected, what, "check the address and the network, or allow more time")
        }
        (Stage::Tunnel, Error::ConnectProxyFailed(_)) => {
            let what = format!("no connection to {host} through {peer} ({cause})");
            let advice =
                "check the proxy's address and credentials, and whether it allows this host";
            (Connect, NotSent, what, advice)
        }
        (Stage::Tunnel, Error::LargeResponseHeader(..)) => {
            (Connect, NotSent, format!("the response from {peer} exceeds 16 KiB"), check_proxy)
        }
        (Stage::Tunnel, Error::Protocol(_)) => {
            let what = format!("the response from {peer} is not HTTP ({cause})");
            (Connect, NotSent, what, check_proxy)
        }
        (Stage::EarlyBytes, _) => {
            let what = format!("{host} sent data before it got a request");
            (Connect, NotSent, what, IS_IT_A_SITE)
        }
        (Stage::Tcp | Stage::Tunnel | Stage::Tls, Error::Io(e))
            if e.kind() != io::ErrorKind::InvalidData
                && !(stage == Stage::Tls && is_disconnect(e)) =>
        {
            (Connect, NotConnected, format!("no connection to {peer} ({cause})"), check_network)
        }
        // All other errors are TLS errors, whichever library they come from. rustls reports a bad
        // certificate or record as invalid data.
        (Stage::Tcp | Stage::Tunnel | Stage::Tls, source) => {
            let is_closed = matches!(source, Error::Io(e) if is_disconnect(e));
            let advice = "check the address, this machine's clock and the trusted certificates \
                          (set ca_pem for a private authority)";
            (
                if by_proxy { Connect } else { Tls },
                if is_closed { NotConnected } else { NotSent },
                format!("no trusted TLS connection to {peer} ({cause})"),
                advice,
            )
        }
        (Stage::Exchange, Error::Timeout(_)) => {
            let what = format!("no response from {host} within {limit}");
            (Timeout, unless_unsent(NoResponse), what, "try again, or allow more time")
        }
        (Stage::Exchange, Error::LargeResponseHeader(_, max)) => {
            let is_header = *max == MAX_HEADER_BYTES;
            let part = if is_header { "header" } else { "header, body and framing" };
            let what =
                format!("the response from {host} is too large (over {max} bytes of {part})");
            (Transport, unless_unsent(NoResponse), what, IS_IT_A_SITE)
        }
        (Stage::Exchange, Error::Protocol(_)) => {
            let what = format!("the response from {host} is not valid HTTP ({cause})");
            (Transport, unless_unsent(NoResponse), what, IS_IT_A_SITE)
        }
        (Stage::Exchange, source) => {
            let is_closed = matches!(source, Error::Io(e) if is_disconnect(e));
            let outcome = unless_unsent(if is_closed { Broken } else { NoResponse });
            let what = format!(
                "the connection to {host} broke before the response was complete ({cause})"
            );
            (Transport, outcome, what, outcome.fact())
        }
    };
    (kind, outcome, format!("{what}: {advice}"))
}

/// The cause of a failure in the words of the system or of a library, without those that ureq puts
/// in front.
fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Protocol(error) => error.to_string(),
        ureq::Error::ConnectProxyFailed(reason) => reason.clone(),
        #[cfg(feature = "rustls")]
        ureq::Error::Rustls(error) => error.to_string(),
        #[cfg(feature = "native-tls")]
        ureq::Error::NativeTls(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Whether the peer closed or reset the connection.
fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::MAX_RECEIVED_BYTES;

    const PROXY: &str = "proxy.example:3128";

    fn limit(setting: &'static str, seconds: u64) -> Deadline {
        Deadline::new(setting, Duration::from_secs(seconds))
    }

    fn context(is_sent: bool) -> Context<'static> {
        Context {
            host: "a.example",
            proxy: Some(PROXY.to_owned()),
            is_sent,
            deadline: limit("timeout", 60),
        }
    }

    #[test]
    fn what_a_failed_connection_means() {
        use ErrorKind::{Connect, Timeout, Tls};
        use Outcome::{NotConnected, NotSent};
        use Stage::{EarlyBytes, Lookup, Tcp, Tunnel};
        use io::ErrorKind::{ConnectionRefused, InvalidData, UnexpectedEof};
        use ureq::Error;

        let io = |kind: io::ErrorKind| Error::Io(io::Error::new(kind, "the\ncause"));
        let timeout = || Error::Timeout(ureq::Timeout::Global);
        let refused = || Error::ConnectProxyFailed("responded 407".to_owned());
        let large = || Error::LargeResponseHeader(MAX_HEADER_BYTES, MAX_HEADER_BYTES);
        let tls = "no trusted TLS connection to PEER (the\\u{a}cause): check the address, this";
        let tcp = "no connection to PEER (the\\u{a}cause): check the address and the network";
        let late = "no connection to PEER within 3s (connect_timeout): check the address";
        let tunnel = "no connection to a.example through PEER (responded 407): check the proxy's";
        for (stage, source, kind, outcome, sentence) in [
            (Lookup, timeout(), Timeout, NotConnected, "PEER could not be looked up within 3s"),
            (
                Lookup,
                io(io::ErrorKind::Other),
                Connect,
                NotConnected,
                "PEER could not be looked up (the\\u{a}cause): check the address",
            ),
            (Lookup, Error::HostNotFound, Connect, NotConnected, "(host not found): check"),
            (Tcp, io(ConnectionRefused), Connect, NotConnected, tcp),
            (Tcp, timeout(), Timeout, NotConnected, late),
            (Tunnel, timeout(), Timeout, NotConnected, late),
            (Tunnel, refused(), Connect, NotSent, tunnel),
            (Tunnel, large(), Connect, NotSent, "the response from PEER exceeds 16 KiB"),
            (Tunnel, io(UnexpectedEof), Connect, NotConnected, tcp),
            (Stage::Tls, timeout(), Timeout, NotConnected, late),
            (Stage::Tls, io(UnexpectedEof), Tls, NotConnected, tls),
            (Stage::Tls, io(io::ErrorKind::ConnectionReset), Tls, NotConnected, tls),
            (Stage::Tls, io(io::ErrorKind::HostUnreachable), Connect, NotConnected, tcp),
            (Stage::Tls, io(InvalidData), Tls, NotSent, tls),
            (Stage::Tls, Error::Tls("no"), Tls, NotSent, "connection to PEER (no): check"),
            (EarlyBytes, Error::ConnectionFailed, Connect, NotSent, "sent data before it got a"),
        ] {
            let shown = format!("{stage:?} {source:?}");
            for (by_proxy, peer) in [(false, "a.example"), (true, "the proxy proxy.example:3128")] {
                let source = match &source {
                    Error::Io(e) => io(e.kind()),
                    Error::Timeout(_) => timeout(),
                    Error::HostNotFound => Error::HostNotFound,
                    Error::ConnectProxyFailed(_) => refused(),
                    Error::LargeResponseHeader(..) => large(),
                    Error::Tls(_) => Error::Tls("no"),
                    _ => Error::ConnectionFailed,
                };
                let limit = limit("connect_timeout", 3);
                let marked = ConnectError::mark(source, stage, by_proxy, limit);
                // The first mark stays.
                let marked = ConnectError::mark(marked, Stage::Exchange, !by_proxy, limit);
                let (found, found_outcome, message) = judge(marked, &context(false));
                // A failure of the proxy is not a TLS failure of the site.
                let kind = if by_proxy && kind == Tls { Connect } else { kind };
                assert_eq!((found, found_outcome), (kind, outcome), "{shown}");
                let sentence = sentence.replace("PEER", peer);
                assert!(message.contains(&sentence), "{shown}: {message}");
            }
        }
    }

    #[test]
    fn what_a_failure_after_connecting_means() {
        use ErrorKind::{Timeout, Transport};
        use Outcome::{Broken, NoResponse, NotBegun};
        use ureq::Error;

        let io = |kind: io::ErrorKind| Error::Io(io::Error::new(kind, "the cause"));
        let broke = "broke before the response was complete (the cause): it is not known whether";
        for (source, kind, outcome, sentence) in [
            (
                Error::Timeout(ureq::Timeout::Global),
                Timeout,
                NoResponse,
                "no response from a.example within 60s (timeout): try again, or allow more time",
            ),
            (io(io::ErrorKind::UnexpectedEof), Transport, Broken, broke),
            (io(io::ErrorKind::ConnectionReset), Transport, Broken, broke),
            (io(io::ErrorKind::ConnectionAborted), Transport, Broken, broke),
            (io(io::ErrorKind::BrokenPipe), Transport, Broken, broke),
            (io(io::ErrorKind::InvalidData), Transport, NoResponse, broke),
            (io(io::ErrorKind::TimedOut), Transport, NoResponse, broke),
            (Error::Tls("no"), Transport, NoResponse, "was complete (no): it is not known"),
            (
                Error::LargeResponseHeader(1, MAX_HEADER_BYTES),
                Transport,
                NoResponse,
                "the response from a.example is too large (over 16384 bytes of header): is this",
            ),
            (
                Error::LargeResponseHeader(1, MAX_RECEIVED_BYTES),
                Transport,
                NoResponse,
                "is too large (over 147456 bytes of header, body and framing)",
            ),
        ] {
            let shown = format!("{source:?}");
            let (found, found_outcome, message) = judge(source, &context(true));
            assert_eq!((found, found_outcome), (kind, outcome), "{shown}");
            assert!(message.contains(sentence), "{shown}: {message}");
        }
        // Before the first byte of the request, it is known that nothing was sent.
        let (_, outcome, message) = judge(io(io::ErrorKind::UnexpectedEof), &context(false));
        assert_eq!(outcome, NotBegun);
        assert!(message.ends_with(": nothing was sent"), "{message}");
        let (_, outcome, _) = judge(Error::Timeout(ureq::Timeout::Global), &context(false));
        assert_eq!(outcome, NotBegun);
    }

    #[test]
    fn a_name_without_a_dot_may_be_a_subdomain() {
        let context = Context { host: "mysite", proxy: None, ..context(false) };
        let (source, limit) = (ureq::Error::HostNotFound, context.deadline);
        let marked = ConnectError::mark(source, Stage::Lookup, false, limit);
        let (_, _, message) = judge(marked, &context);
        assert!(message.ends_with("write https://mysite.files.com"), "{message}");
    }
}
