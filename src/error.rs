//! What can go wrong: facts in the types, sentences in their `Display`.

use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

use crate::connect;
use crate::text::{Shown, hidden};

/// Why a login or a logout did not succeed.
///
/// Its `Display` is one sentence for people: what was wrong, with what, and what to do. Neither
/// that nor `Debug` shows a password, a code, a session id or a partial session id.
///
/// ```
/// use files_session::{Error, ErrorKind, Login, Session, Site};
///
/// let site = Site::new("http://mysite.files.com");
/// let error = Session::login(&site, &Login::new("username", "password")).unwrap_err();
/// assert!(matches!(error, Error::InvalidInput(_)));
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert!(error.to_string().contains("use https"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An argument is unusable. Nothing was sent.
    InvalidInput(InvalidInput),
    /// There was no answer, or only a part of one; the source is the [`ureq::Error`].
    ///
    /// Whether the server received the request is not known, unless the kind is
    /// [`Connect`](ErrorKind::Connect) or [`Tls`](ErrorKind::Tls).
    Transport(Box<Transport>),
    /// There was an answer, but not one that this API gives: a redirect, a page of some other
    /// server, a session without an id.
    #[non_exhaustive]
    UnexpectedResponse {
        /// The HTTP status of the answer.
        status: u16,
        /// Where a redirect pointed (its query and fragment are left out), from `Location`.
        location: Option<String>,
        /// What was wrong with the answer.
        reason: Unexpected,
    },
    /// The site refused, and says why.
    Api(Box<ApiError>),
}

impl Error {
    /// What this error means to the caller, for a `match`.
    ///
    /// A refusal's kind comes from its type, then from the type's group, then from its status.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::InvalidInput(_) => ErrorKind::InvalidInput,
            Error::Transport(transport) => transport.kind,
            Error::UnexpectedResponse { .. } => ErrorKind::UnexpectedResponse,
            Error::Api(api) => api.kind(),
        }
    }

    /// What to answer with, where the refusal asks for a second factor; see
    /// [`Login::answer`](crate::Login::answer).
    #[must_use]
    pub fn two_factor(&self) -> Option<&TwoFactor> {
        match self {
            Error::Api(api) => api.two_factor.as_ref(),
            _ => None,
        }
    }
}

impl Error {
    /// A failed try: what ureq says of it, for the host and the time limit named.
    pub(crate) fn transport(host: String, limit: Duration, source: ureq::Error) -> Error {
        match source {
            ureq::Error::RequireHttpsOnly(_)
            | ureq::Error::BadUri(_)
            | ureq::Error::Http(_)
            | ureq::Error::InvalidProxyUrl => InvalidInput::Agent(source.to_string()).into(),
            _ => {
                let kind = ErrorKind::of_transport(&source);
                Error::Transport(Box::new(Transport { kind, host, limit, source }))
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Transport(transport) => Some(&transport.source),
            _ => None,
        }
    }
}

impl From<InvalidInput> for Error {
    fn from(input: InvalidInput) -> Self {
        Error::InvalidInput(input)
    }
}

/// What an [`Error`] means to the caller: one flat list, with the numbers that C sees.
///
/// ```
/// # use files_session::{Error, ErrorKind};
/// fn exit_code(error: &Error) -> u8 {
///     match error.kind() {
///         ErrorKind::InvalidCredentials | ErrorKind::OtpIncorrect => 2,
///         ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::ServiceUnavailable => 75,
///         _ => 1,
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorKind {
    /// An argument is unusable; nothing was sent.
    InvalidInput = 1,
    /// No connection: the name is not known, the port is closed, the proxy refused.
    Connect = 2,
    /// No trusted connection: the certificate or the handshake failed; nothing was sent.
    Tls = 3,
    /// The time limit was reached.
    Timeout = 4,
    /// The connection broke off, or what came back is not HTTP, or is larger than the bounds.
    Transport = 5,
    /// An answer, but not this API's.
    UnexpectedResponse = 6,

    /// Group `bad-request`, or another 4xx without a type.
    BadRequest = 10,
    /// Group `not-authenticated`, or 401 without a type.
    NotAuthenticated = 11,
    /// Group `not-authorized`, or 403 without a type.
    NotAuthorized = 12,
    /// Group `not-found`, or 404 without a type.
    NotFound = 13,
    /// Group `processing-failure`, or 422 without a type.
    ProcessingFailure = 14,
    /// Group `rate-limited`, or 429 without a type.
    RateLimited = 15,
    /// Group `service-unavailable`, or a 5xx without a type.
    ServiceUnavailable = 16,
    /// Group `site-configuration`: the account is overdue, was removed, or its trial has ended.
    SiteConfiguration = 17,

    /// A second factor is needed: `not-authenticated/two-factor-authentication-error` or
    /// `not-authorized/two-factor-authentication-required`.
    TwoFactorRequired = 20,
    /// `not-authenticated/invalid-username-or-password` or `…/invalid-credentials`.
    InvalidCredentials = 21,
    /// `not-authenticated/one-time-password-incorrect` or `…/invalid-or-expired-code`.
    OtpIncorrect = 22,
    /// `not-authenticated/locked-out`.
    LockedOut = 23,
    /// `not-authenticated/lockout-region-mismatch`: this user logs in at another host.
    RegionMismatch = 24,
    /// `not-authenticated/invalid-session`: the session has ended, or never was.
    InvalidSession = 25,
}

impl ErrorKind {
    fn of_transport(source: &ureq::Error) -> ErrorKind {
        match source {
            ureq::Error::Timeout(_) => ErrorKind::Timeout,
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_) => ErrorKind::Connect,
            ureq::Error::Tls(_) | ureq::Error::TlsRequired => ErrorKind::Tls,
            #[cfg(feature = "rustls")]
            ureq::Error::Rustls(_) => ErrorKind::Tls,
            #[cfg(feature = "native-tls")]
            ureq::Error::NativeTls(_) | ureq::Error::Der(_) => ErrorKind::Tls,
            // rustls wraps its errors so: a bad certificate, a bad record.
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => ErrorKind::Tls,
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::TimedOut => ErrorKind::Timeout,
            _ if connect::was_not_made(source) => ErrorKind::Connect,
            _ => ErrorKind::Transport,
        }
    }

    /// The kind of a refusal: by its type, then the type's group, then the status.
    fn of_refusal(error_type: Option<&str>, status: u16) -> ErrorKind {
        let (group, name) = error_type.and_then(|t| t.split_once('/')).unwrap_or_default();
        match (group, name) {
            ("not-authenticated", "two-factor-authentication-error")
            | ("not-authorized", "two-factor-authentication-required") => {
                ErrorKind::TwoFactorRequired
            }
            ("not-authenticated", "invalid-username-or-password" | "invalid-credentials") => {
                ErrorKind::InvalidCredentials
            }
            ("not-authenticated", "one-time-password-incorrect" | "invalid-or-expired-code") => {
                ErrorKind::OtpIncorrect
            }
            ("not-authenticated", "locked-out") => ErrorKind::LockedOut,
            ("not-authenticated", "lockout-region-mismatch") => ErrorKind::RegionMismatch,
            ("not-authenticated", "invalid-session") => ErrorKind::InvalidSession,
            _ => match error_type.map_or("", |t| t.split('/').next().unwrap_or(t)) {
                "bad-request" => ErrorKind::BadRequest,
                "not-authenticated" => ErrorKind::NotAuthenticated,
                "not-authorized" => ErrorKind::NotAuthorized,
                "not-found" => ErrorKind::NotFound,
                "processing-failure" => ErrorKind::ProcessingFailure,
                "rate-limited" => ErrorKind::RateLimited,
                "service-unavailable" => ErrorKind::ServiceUnavailable,
                "site-configuration" => ErrorKind::SiteConfiguration,
                _ => match status {
                    401 => ErrorKind::NotAuthenticated,
                    403 => ErrorKind::NotAuthorized,
                    404 => ErrorKind::NotFound,
                    422 => ErrorKind::ProcessingFailure,
                    429 => ErrorKind::RateLimited,
                    // RFC 9110, 15: an unknown status is as good as the x00 of its class.
                    500.. => ErrorKind::ServiceUnavailable,
                    _ => ErrorKind::BadRequest,
                },
            },
        }
    }
}

/// A refusal: what the site said, as it said it.
///
/// The strings are the server's own, unescaped; the `Display` of [`Error`] is what to show to a
/// person. Any of them may be absent.
///
/// ```
/// # use files_session::Error;
/// fn support_request(error: &Error) -> Option<&str> {
///     match error {
///         Error::Api(api) => api.request_id.as_deref(),
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status of the answer.
    pub status: u16,
    /// `group/name`, from the member `type`.
    pub error_type: Option<String>,
    /// A short text for people, from `title`.
    pub title: Option<String>,
    /// The message for people: `error`, or else the first of `errors`.
    pub message: Option<String>,
    /// The request's id, for a support request: `instance`, or else the header `X-Request-Id`.
    pub request_id: Option<String>,
    /// How long to wait, from the header `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The second factor that is asked for, from `data`.
    pub two_factor: Option<TwoFactor>,
    /// The host at which this user logs in, from `data.host`.
    pub host: Option<String>,
    /// The JSON text of `data`, as it was sent.
    pub data: Option<String>,
}

impl ApiError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::of_refusal(self.error_type.as_deref(), self.status)
    }
}

/// The second factor that a login is asked for.
///
/// ```
/// # use files_session::{Error, Login, Session, Site};
/// # fn log_in(site: &Site, ask: impl Fn(&str) -> String) -> Result<Session, Error> {
/// let login = Login::new("username", "password");
/// match Session::login(site, &login) {
///     Err(error) if error.two_factor().is_some() => {
///         let two_factor = error.two_factor().unwrap();
///         let code = ask(&two_factor.methods.join(" or "));
///         Session::login(site, &login.answer(two_factor, &code))
///     }
///     other => other,
/// }
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TwoFactor {
    /// The methods offered, such as `totp`, `sms`, `yubi`, `u2f`, `webauthn`, `email`; any string
    /// is possible. For `sms` the refused request itself made the server send the code.
    pub methods: Vec<String>,
    /// What ties the second request to the first. A secret, as a session id is.
    pub partial_session_id: Option<String>,
}

/// Which argument is unusable, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidInput {
    /// The address has another scheme than https or http.
    Scheme(String),
    /// The address has a user name or a password in it.
    UserInfo,
    /// The address has a path, a query or a fragment.
    NotAnOrigin {
        /// The part that must go.
        part: &'static str,
    },
    /// The address has no host, or one that is no host name and no IP address.
    Host(String),
    /// The address has a port that is not a number from 1 to 65535.
    Port(String),
    /// Plain http to a host that is not this machine.
    PlainHttp(String),
    /// https, but the crate was built without TLS.
    NoTls,
    /// The agent handed to `Site::agent` refuses this address.
    Agent(String),
    /// The language can't stand in a header.
    Language,
    /// The session id can't stand in a header.
    SessionId,
    /// An argument of the C ABI is missing or unusable.
    #[cfg(feature = "capi")]
    Argument {
        /// The argument, or the member of the options.
        name: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// A call that got no answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Transport {
    pub(crate) kind: ErrorKind,
    /// The host and port that the request was for.
    pub(crate) host: String,
    /// The time limit of the call.
    pub(crate) limit: Duration,
    pub(crate) source: ureq::Error,
}

/// What was wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unexpected {
    /// The site answered with a redirect, and none is followed.
    Redirect,
    /// The status is none that an answer of this API has, and the body is not the API's either.
    NotThisApi,
    /// The body is empty.
    Empty,
    /// The body is larger than 256 KiB.
    TooLarge,
    /// The body is not UTF-8.
    NotUtf8,
    /// The body is JSON, but no object.
    NotAnObject,
    /// The body is cut short, or it is not JSON.
    NotJson,
    /// A known attribute has another JSON type than the reference gives it.
    WrongType(&'static str),
    /// There is no `id`, or it is `null` or empty.
    NoId,
    /// The `id` could not stand in a header.
    UnfitId,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidInput(input) => input.fmt(f),
            Error::Transport(transport) => transport.fmt(f),
            Error::UnexpectedResponse { status, location, reason } => {
                fmt_unexpected(*status, location.as_deref(), reason, f)
            }
            Error::Api(api) => api.fmt(f),
        }
    }
}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidInput::Scheme(scheme) => {
                write!(f, "the address of the site has the scheme {}: use https", Shown(scheme))
            }
            InvalidInput::UserInfo => f.write_str(
                "the address of the site has a user name or a password in it: \
                 leave it out, they belong into the login",
            ),
            InvalidInput::NotAnOrigin { part } => write!(
                f,
                "the address of the site has a {part}: give only scheme and host, \
                 such as https://mysite.files.com"
            ),
            InvalidInput::Host(host) if host.is_empty() => f.write_str(
                "the address of the site has no host: write it as https://mysite.files.com",
            ),
            InvalidInput::Host(host) => write!(
                f,
                "{} is no host name and no IP address: write the site as https://mysite.files.com",
                Shown(host)
            ),
            InvalidInput::Port(port) => write!(
                f,
                "the address of the site has the port '{}': it must be a number from 1 to 65535",
                Shown(port)
            ),
            InvalidInput::PlainHttp(host) => write!(
                f,
                "plain http would send the password to {} unprotected: use https, \
                 or allow_http() if that is meant",
                Shown(host)
            ),
            InvalidInput::NoTls => f.write_str(
                "https needs TLS, and files-session was built without: \
                 turn on its feature rustls, platform-verifier or native-tls",
            ),
            InvalidInput::Agent(why) => {
                write!(f, "the agent given to Site::agent refuses the address: {}", Shown(why))
            }
            InvalidInput::Language => f.write_str(
                "the language can't stand in a header: \
                 give a tag, or several, such as de or de,en;q=0.5",
            ),
            InvalidInput::SessionId => f.write_str(
                "the session id can't stand in a header (it is empty, too long, or has white \
                 space, a control character or a non-ASCII one in it): give the id as the login \
                 returned it",
            ),
            #[cfg(feature = "capi")]
            InvalidInput::Argument { name, fault } => write!(f, "{name} {fault}"),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, source) = (Shown(&self.host), self.source.to_string());
        let source = Shown(source.strip_prefix("io: ").unwrap_or(&source));
        match (&self.source, self.kind) {
            (ureq::Error::Timeout(phase), ErrorKind::Timeout) => write!(
                f,
                "no answer from {host} in time (time limit {:?}, ran out at: {phase}): \
                 try again, or allow more time",
                self.limit
            ),
            (ureq::Error::ConnectProxyFailed(_), _) => write!(
                f,
                "no connection to {host}, the proxy refused: {source}; check the proxy's address \
                 and credentials (HTTPS_PROXY, NO_PROXY)"
            ),
            (ureq::Error::LargeResponseHeader(..), _) => write!(
                f,
                "the answer of {host} is larger than any of Files.com ({source}): \
                 is this a Files.com site?"
            ),
            (ureq::Error::Protocol(_), _) => {
                write!(f, "the answer of {host} is not HTTP ({source}): is this a Files.com site?")
            }
            (_, ErrorKind::Connect) => {
                write!(f, "no connection to {host}: {source}; check the address and the network")
            }
            (_, ErrorKind::Tls) => {
                write!(f, "no trusted connection to {host}: {source}; {}", tls_advice(source.0))
            }
            (_, ErrorKind::Timeout) => {
                write!(f, "no answer from {host} in time: {source}; try again")
            }
            _ => write!(
                f,
                "the connection to {host} broke off before the answer was complete: {source}; \
                 it is not known whether the request was carried out"
            ),
        }
    }
}

/// What to do about a TLS failure, by the words of rustls 0.23 and OpenSSL 3 for it.
fn tls_advice(source: &str) -> &'static str {
    const ADVICE: [(&str, &str); 4] = [
        (
            "not valid yet|not yet valid|NotValidYet",
            "the certificate is not valid yet: is the clock of this machine set?",
        ),
        (
            "expired|Expired",
            "the certificate has expired: check the clock of this machine, or tell the site's \
             administrator",
        ),
        (
            "not valid for|NotValidForName|mismatch",
            "the certificate is for another name: check the address of the site",
        ),
        (
            "UnknownIssuer|BadSignature|unable to get local issuer|self-signed|signature failure",
            "nobody that is trusted here has issued the certificate: \
             for a private CA hand over its certificate",
        ),
    ];
    let says = |words: &str| words.split('|').any(|words| source.contains(words));
    match ADVICE.iter().find(|(words, _)| says(words)) {
        Some((_, advice)) => advice,
        None => "check the address, and whether something between here and the site intercepts TLS",
    }
}

fn fmt_unexpected(
    status: u16,
    location: Option<&str>,
    reason: &Unexpected,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if *reason == Unexpected::Redirect {
        return match location {
            Some(location) => write!(
                f,
                "the site points to {} (HTTP {status}), and no redirect is followed: \
                 give the address that it points to, if that is the right site",
                Shown(location)
            ),
            None => write!(
                f,
                "the site answered with a redirect to nowhere (HTTP {status}): \
                 is this a Files.com site?"
            ),
        };
    }
    let what = match reason {
        Unexpected::Redirect | Unexpected::NotThisApi => "is not of the Files.com API",
        Unexpected::Empty => "is empty",
        Unexpected::TooLarge => "is larger than 256 KiB",
        Unexpected::NotUtf8 => "is not UTF-8",
        Unexpected::NotAnObject => "is JSON, but no object",
        Unexpected::NotJson => "is cut short, or not JSON",
        Unexpected::WrongType(attribute) => {
            return write!(
                f,
                "the answer (HTTP {status}) gives the attribute {attribute} in another type than \
                 the Files.com API: is this a Files.com site?"
            );
        }
        Unexpected::NoId => "has no session id",
        Unexpected::UnfitId => "has a session id that can't stand in a header",
    };
    write!(f, "the answer (HTTP {status}) {what}: is this a Files.com site?")
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.message.as_deref().or(self.title.as_deref());
        match said {
            Some(said) => write!(f, "{}", Shown(said.trim_end_matches('.')))?,
            None => f.write_str("the site refused without saying why")?,
        }
        match &self.error_type {
            Some(error_type) => write!(f, " ({}, HTTP {})", Shown(error_type), self.status)?,
            None => write!(f, " (HTTP {})", self.status)?,
        }
        self.fmt_advice(f)?;
        if let Some(request_id) = &self.request_id {
            write!(f, " [request {}]", Shown(request_id))?;
        }
        Ok(())
    }
}

impl ApiError {
    /// What the caller can do about it.
    fn fmt_advice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ErrorKind::InvalidCredentials => f.write_str(": check the user name and the password"),
            ErrorKind::TwoFactorRequired => {
                f.write_str(": a second factor is needed")?;
                let methods = self.two_factor.iter().flat_map(|two_factor| &two_factor.methods);
                for (i, method) in methods.take(8).enumerate() {
                    write!(f, "{}{}", if i == 0 { ", one of " } else { ", " }, Shown(method))?;
                }
                f.write_str("; log in again with its code")
            }
            ErrorKind::OtpIncorrect => {
                f.write_str(": the code is wrong or too old, log in again with a fresh one")
            }
            ErrorKind::LockedOut => {
                f.write_str(": the user is locked out, wait or ask the site's administrator")
            }
            ErrorKind::RegionMismatch => match &self.host {
                Some(host) => write!(f, ": this user logs in at {}", Shown(host)),
                None => f.write_str(": this user logs in at another host"),
            },
            ErrorKind::InvalidSession => {
                f.write_str(": the session has ended or never was, log in again")
            }
            ErrorKind::SiteConfiguration => f.write_str(": ask the site's administrator"),
            ErrorKind::RateLimited | ErrorKind::ServiceUnavailable => match self.retry_after {
                Some(wait) => write!(f, ": try again in {} s", wait.as_secs()),
                None => f.write_str(": try again later"),
            },
            ErrorKind::NotAuthenticated if self.error_type.is_none() => {
                f.write_str(": check the user name and the password")
            }
            ErrorKind::NotFound if self.error_type.is_none() => {
                f.write_str(": is this a Files.com site?")
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("status", &self.status)
            .field("error_type", &self.error_type)
            .field("title", &self.title)
            .field("message", &self.message)
            .field("request_id", &self.request_id)
            .field("retry_after", &self.retry_after)
            .field("two_factor", &self.two_factor)
            .field("host", &self.host)
            // It holds the partial session id.
            .field("data", &hidden(self.data.as_ref()))
            .finish()
    }
}

impl fmt::Debug for TwoFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoFactor")
            .field("methods", &self.methods)
            .field("partial_session_id", &hidden(self.partial_session_id.as_ref()))
            .finish()
    }
}
