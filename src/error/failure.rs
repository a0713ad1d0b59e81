//! A request that got no whole response: what ureq says of it is judged here, once.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Duration;
use std::{fmt, io};

use ureq::Timeout;
use ureq::config::Config;

use super::caller::Caller;
use super::kind::ErrorKind;
use crate::limits::MAX_HEADER_BYTES;
use crate::text::Shown;

/// A request that got no whole response.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) delivery: Delivery,
    /// Where it happened; `None` once the connection was made.
    stage: Option<Stage>,
    /// Host and port of the proxy, where it was the proxy's fault.
    proxy: Option<String>,
    /// Host and port of the site.
    host: String,
    /// How long the time limit was that ran out.
    limit: Option<Duration>,
    pub(super) source: ureq::Error,
}

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Nothing of it was sent; another try may do better.
    NotSent,
    /// Nothing of it was sent, and the next try would end the same way.
    Refused,
    /// The server may have received it, or not.
    Unknown,
}

/// What was being done when a connection could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A name was looked up.
    LookUp,
    /// A thread for the look-up was started.
    LookUpThread,
    /// `localhost` was looked up, and is another machine's address.
    Localhost(IpAddr),
    /// Connecting: TCP, a proxy's tunnel, TLS.
    Connect,
    /// ureq panicked over its configuration.
    Config(String),
}

/// Marks an error of ureq's: nothing of the request was sent.
pub(crate) struct Unsent {
    pub(crate) stage: Stage,
    /// Whether it is the proxy's fault.
    pub(crate) by_proxy: bool,
    pub(crate) source: ureq::Error,
}

impl Unsent {
    /// The mark on an error, where there is one.
    pub(crate) fn of(error: ureq::Error) -> Result<Unsent, ureq::Error> {
        match error {
            ureq::Error::Other(other) => {
                other.downcast().map(|unsent| *unsent).map_err(ureq::Error::Other)
            }
            other => Err(other),
        }
    }
}

impl From<Unsent> for ureq::Error {
    fn from(unsent: Unsent) -> Self {
        ureq::Error::Other(Box::new(unsent))
    }
}

impl fmt::Debug for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl StdError for Unsent {}

/// For whom and how a request was sent.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a str,
    pub(crate) proxy: Option<String>,
    /// The time limit of the whole call.
    pub(crate) timeout: Duration,
    pub(crate) config: &'a Config,
}

impl Failure {
    /// Judges an error of ureq's: what it means, and how far the request got.
    ///
    /// `Err` is the reason why the configuration can't be used.
    pub(super) fn new(error: ureq::Error, context: Context) -> Result<Failure, String> {
        let (stage, by_proxy, source) = match Unsent::of(error) {
            Ok(Unsent { stage: Stage::Config(why), .. }) => return Err(why),
            Ok(unsent) => (Some(unsent.stage), unsent.by_proxy, unsent.source),
            // ureq finds it missing before anything is sent.
            Err(ureq::Error::TlsRequired) => {
                (Some(Stage::Connect), false, ureq::Error::TlsRequired)
            }
            Err(
                error @ (ureq::Error::RequireHttpsOnly(_)
                | ureq::Error::BadUri(_)
                | ureq::Error::Http(_)),
            ) => return Err(error.to_string()),
            Err(error) => (None, false, error),
        };
        // ureq blames connecting also where the call's own limit was the shorter one.
        let connect = context.config.timeouts().connect;
        let source = match source {
            ureq::Error::Timeout(Timeout::Connect)
                if connect.is_none_or(|connect| connect >= context.timeout) =>
            {
                ureq::Error::Timeout(Timeout::Global)
            }
            other => other,
        };
        let kind = match (&source, &stage) {
            (ureq::Error::Timeout(_), _) => ErrorKind::Timeout,
            (_, None) => ErrorKind::Transport,
            (source, Some(Stage::Connect)) if !by_proxy && is_tls(source) => ErrorKind::Tls,
            (_, Some(_)) => ErrorKind::Connect,
        };
        let delivery = match (&source, &stage) {
            (_, None) => Delivery::Unknown,
            (_, Some(Stage::Localhost(_) | Stage::LookUpThread)) => Delivery::Refused,
            // A proxy refused, or answered with what is not HTTP.
            (ureq::Error::ConnectProxyFailed(_) | ureq::Error::Protocol(_), _) => Delivery::Refused,
            (source, _) if is_tls(source) || is_shortage(source) => Delivery::Refused,
            _ => Delivery::NotSent,
        };
        Ok(Failure {
            kind,
            delivery,
            stage,
            proxy: context.proxy.filter(|_| by_proxy),
            host: context.host.to_owned(),
            limit: limit(&source, context.timeout, context.config),
            source,
        })
    }

    pub(super) fn write(&self, caller: Caller, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_sentence(caller, f)?;
        match caller {
            Caller::Rust => Ok(()),
            // C has no `source()`.
            #[cfg(feature = "capi")]
            Caller::C => write!(f, " [{}]", Shown(&self.source.to_string())),
        }
    }

    fn write_sentence(&self, caller: Caller, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = Shown(&self.host);
        let peer = match &self.proxy {
            Some(proxy) => format!("the proxy {}", Shown(proxy)),
            None => host.to_string(),
        };
        match (&self.source, &self.stage) {
            (ureq::Error::Timeout(reason), stage) => {
                match stage {
                    Some(Stage::LookUp) => {
                        write!(f, "the look-up of the name of {peer} did not end")?;
                    }
                    Some(_) => write!(f, "no connection to {peer}")?,
                    None => write!(f, "no response from {host}")?,
                }
                self.write_limit(*reason, caller, f)
            }
            (_, Some(Stage::LookUpThread)) => write!(
                f,
                "no thread could be started to look up the name of {peer}: \
                 end some, or raise the limit of threads (ulimit -u)"
            ),
            (source, Some(_)) if is_shortage(source) => write!(
                f,
                "no connection to {peer}: this process or machine has no file descriptor or \
                 memory left; close some files, or raise the limit (ulimit -n)"
            ),
            (_, Some(Stage::Localhost(ip))) => write!(
                f,
                "localhost is {ip} on this machine, which is not a loopback address: \
                 correct the hosts file, or write 127.0.0.1 in the address of {}",
                if self.proxy.is_some() { "the proxy" } else { "the site" }
            ),
            (ureq::Error::ConnectProxyFailed(why), _) => write!(
                f,
                "no connection to {host}, {peer} refused: {}; check the proxy's address and \
                 credentials",
                Shown(why)
            ),
            (ureq::Error::Protocol(_), Some(_)) => {
                write!(f, "the response of {peer} is not HTTP: check the proxy's address")
            }
            (_, Some(Stage::LookUp)) => write!(
                f,
                "the name of {peer} could not be looked up: \
                 check the address, and the network's name servers"
            ),
            (source, Some(_)) if is_tls(source) => {
                write!(f, "no trusted connection to {peer}: {}", tls_advice(source, caller))
            }
            (source, Some(_)) => write!(
                f,
                "no connection to {peer}: {}; check the address and the network",
                cause(source)
            ),
            (ureq::Error::LargeResponseHeader(..), None) => write!(
                f,
                "the response of {host} is larger than any of Files.com (its header is limited \
                 to {MAX_HEADER_BYTES} bytes): is this a Files.com site?"
            ),
            (ureq::Error::Protocol(_), None) => {
                write!(f, "the response of {host} is not HTTP: is this a Files.com site?")
            }
            (source, None) if wants_client_certificate(&source.to_string()) => {
                write!(f, "{host} ended the connection: {}", client_certificate(caller))
            }
            (source, None) => write!(
                f,
                "the connection to {host} broke off before the response was complete: {}; \
                 it is not known whether the request was carried out",
                if is_tls(source) {
                    "what came is not valid TLS".to_owned()
                } else {
                    cause(source)
                }
            ),
        }
    }

    /// Which limit ran out, how long it was, and what to do.
    fn write_limit(
        &self,
        reason: Timeout,
        caller: Caller,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let (limit, setting, advice) = match reason {
            Timeout::Global => (
                "the time limit of the call",
                caller.name("Site::timeout", "timeout_ms"),
                "try again, or allow more time",
            ),
            Timeout::Connect => (
                "the time limit for connecting",
                caller.name("timeout_connect of the configuration", "connect_timeout_ms"),
                "check the address and the network, or allow more time for connecting",
            ),
            _ => ("a time limit of the configuration", "", "allow more time there"),
        };
        match self.limit {
            Some(length) => write!(f, " within {length:?}, {limit}")?,
            None => write!(f, " within {limit}")?,
        }
        match setting {
            "" => write!(f, " ({reason})")?,
            setting => write!(f, " ({setting})")?,
        }
        if self.stage == Some(Stage::LookUp) {
            return f.write_str(": check the network's name servers, or allow more time");
        }
        write!(f, ": {advice}")
    }
}

/// How long the time limit is that ran out.
fn limit(source: &ureq::Error, timeout: Duration, config: &Config) -> Option<Duration> {
    let ureq::Error::Timeout(reason) = source else { return None };
    let timeouts = config.timeouts();
    match reason {
        Timeout::Global => Some(timeout),
        Timeout::PerCall => timeouts.per_call,
        Timeout::Resolve => timeouts.resolve,
        Timeout::Connect => timeouts.connect,
        Timeout::SendRequest => timeouts.send_request,
        Timeout::SendBody => timeouts.send_body,
        Timeout::RecvResponse => timeouts.recv_response,
        Timeout::RecvBody => timeouts.recv_body,
        Timeout::PerRead => config.timeout_per_read(),
        Timeout::PerWrite => config.timeout_per_write(),
        _ => None,
    }
}

fn is_tls(source: &ureq::Error) -> bool {
    match source {
        ureq::Error::Tls(_) | ureq::Error::TlsRequired => true,
        #[cfg(feature = "_tls")]
        ureq::Error::Pem(_) => true,
        #[cfg(feature = "rustls")]
        ureq::Error::Rustls(_) => true,
        #[cfg(feature = "native-tls")]
        ureq::Error::NativeTls(_) | ureq::Error::Der(_) => true,
        // rustls wraps its errors so: a bad certificate, a bad record.
        ureq::Error::Io(e) => e.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// Whether this process or machine has run out of something: EMFILE, ENFILE (on Windows
/// WSAEMFILE), memory.
fn is_shortage(source: &ureq::Error) -> bool {
    matches!(source, ureq::Error::Io(e) if is_io_shortage(e))
}

pub(crate) fn is_io_shortage(e: &io::Error) -> bool {
    let too_many_files = if cfg!(windows) { &[10024][..] } else { &[23, 24] };
    e.raw_os_error().is_some_and(|code| too_many_files.contains(&code))
        || e.kind() == io::ErrorKind::OutOfMemory
}

/// A cause in words of this crate's own: the source's words are at `source()`.
fn cause(source: &ureq::Error) -> String {
    match source {
        ureq::Error::Io(e) if e.raw_os_error().is_some() || e.kind() != io::ErrorKind::Other => {
            match e.kind().to_string() {
                kind if kind.starts_with("uncategorized") => "an error of the system".to_owned(),
                kind => kind,
            }
        }
        ureq::Error::HostNotFound => {
            "the name has no address of the kind that is wanted".to_owned()
        }
        _ => "no reason is known".to_owned(),
    }
}

/// Whether this is the alert for a missing client certificate, by the words of rustls 0.23 and OpenSSL 3. Their types are not
/// this crate's to name, and no more than advice hangs on it.
fn wants_client_certificate(source: &str) -> bool {
    source.contains("CertificateRequired") || source.contains("certificate required")
}

fn client_certificate(caller: Caller) -> &'static str {
    caller.name(
        "the site wants a client certificate: add one to the TLS configuration",
        "the site wants a client certificate, which C's options have no place for",
    )
}

/// What to do about a TLS failure, by the words of rustls 0.23 and OpenSSL 3 for it.
fn tls_advice(source: &ureq::Error, caller: Caller) -> &'static str {
    let source = source.to_string();
    let says = |words: &[&str]| words.iter().any(|words| source.contains(words));
    if says(&["not valid yet", "not yet valid", "NotValidYet"]) {
        "the certificate is not valid yet: is the clock of this machine set?"
    } else if says(&["expired", "Expired"]) {
        "the certificate has expired: check the clock of this machine, or tell the site's \
         administrator"
    } else if says(&["not valid for", "NotValidForName", "mismatch"]) {
        "the certificate is for another name: check the address of the site"
    } else if says(&[
        "UnknownIssuer",
        "BadSignature",
        "unable to get local issuer",
        "self-signed",
        "signature failure",
    ]) {
        caller.name(
            "the certificate's issuer is not trusted; if the site uses a private CA, add its \
             certificate",
            "the certificate's issuer is not trusted; if the site uses a private CA, give its \
             certificate as ca_pem",
        )
    } else if wants_client_certificate(&source) {
        client_certificate(caller)
    } else {
        "check the address, and whether something between here and the site intercepts TLS"
    }
}

#[cfg(test)]
mod tests {
    use super::super::Error;
    use super::*;

    /// The judgement of an error of ureq's, over a configuration whose limits are all different.
    fn judged(source: ureq::Error, stage: Option<Stage>) -> (ErrorKind, String) {
        let seconds = |n| Some(Duration::from_secs(n));
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .timeout_per_call(seconds(1))
            .timeout_resolve(seconds(2))
            .timeout_connect(seconds(3))
            .timeout_send_request(seconds(4))
            .timeout_send_body(seconds(5))
            .timeout_recv_response(seconds(6))
            .timeout_recv_body(seconds(7))
            .timeout_per_read(seconds(8))
            .timeout_per_write(seconds(9))
            .build();
        let timeout = Duration::from_secs(60);
        let context = Context { host: "a.example", proxy: None, timeout, config: &config };
        let source = match stage {
            Some(stage) => Unsent { stage, by_proxy: false, source }.into(),
            None => source,
        };
        let error = Error::failed(source, context);
        (error.kind(), error.to_string())
    }

    #[test]
    fn each_time_limit_is_named_with_its_length_and_what_to_do() {
        let advice = "allow more time there";
        for (reason, says, advice) in [
            (
                Timeout::Global,
                "60s, the time limit of the call (Site::timeout)",
                "try again, or allow more time",
            ),
            (
                Timeout::Connect,
                "3s, the time limit for connecting (timeout_connect of the configuration)",
                "check the address and the network, or allow more time for connecting",
            ),
            (Timeout::PerCall, "1s, a time limit of the configuration (per call)", advice),
            (Timeout::Resolve, "2s, a time limit of the configuration (resolve)", advice),
            (Timeout::SendRequest, "4s, a time limit of the configuration (send request)", advice),
            (Timeout::SendBody, "5s, a time limit of the configuration (send body)", advice),
            (
                Timeout::RecvResponse,
                "6s, a time limit of the configuration (receive response)",
                advice,
            ),
            (Timeout::RecvBody, "7s, a time limit of the configuration (receive body)", advice),
            (Timeout::PerRead, "8s, a time limit of the configuration (per read)", advice),
            (Timeout::PerWrite, "9s, a time limit of the configuration (per write)", advice),
        ] {
            let sentence = format!("no response from a.example within {says}: {advice}");
            assert_eq!(judged(ureq::Error::Timeout(reason), None), (ErrorKind::Timeout, sentence));
        }
        let (kind, said) = judged(ureq::Error::Timeout(Timeout::Global), Some(Stage::LookUp));
        assert_eq!(kind, ErrorKind::Timeout);
        assert!(said.ends_with(": check the network's name servers, or allow more time"), "{said}");
    }

    #[test]
    fn the_cause_is_named_where_it_is_known() {
        let io = |kind: io::ErrorKind| ureq::Error::Io(kind.into());
        for (source, says) in [
            (io(io::ErrorKind::ConnectionRefused), "connection refused"),
            (io(io::ErrorKind::UnexpectedEof), "unexpected end of file"),
            (ureq::Error::Io(io::Error::other("the source's words")), "no reason is known"),
            (ureq::Error::Io(io::Error::from_raw_os_error(99_999)), "an error of the system"),
            (ureq::Error::HostNotFound, "the name has no address of the kind that is wanted"),
            (ureq::Error::ConnectionFailed, "no reason is known"),
        ] {
            let says =
                format!("no connection to a.example: {says}; check the address and the network");
            assert_eq!(judged(source, Some(Stage::Connect)), (ErrorKind::Connect, says));
        }
        let (_, said) = judged(io(io::ErrorKind::OutOfMemory), Some(Stage::Connect));
        assert!(said.contains("no file descriptor or memory left"), "{said}");
    }

    #[cfg(feature = "rustls")]
    #[test]
    fn what_a_tls_library_says_is_of_tls() {
        let pem = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let pem = ureq::tls::parse_pem(pem).next().and_then(Result::err).unwrap();
        assert!(matches!(pem, ureq::Error::Pem(_)), "{pem:?}");
        for source in [
            pem,
            ureq::Error::Rustls(rustls::Error::DecryptError),
            ureq::Error::Tls("no"),
            ureq::Error::TlsRequired,
            ureq::Error::Io(io::ErrorKind::InvalidData.into()),
        ] {
            let shown = format!("{source:?}");
            assert_eq!(judged(source, Some(Stage::Connect)).0, ErrorKind::Tls, "{shown}");
        }
    }
}
