//! What an error means, as one flat list.

use std::ffi::CStr;
use std::fmt;

/// What an [`Error`](crate::Error) means to the caller.
///
/// Worth retrying later: [`Connect`](ErrorKind::Connect), [`Timeout`](ErrorKind::Timeout),
/// [`Transport`](ErrorKind::Transport), [`RateLimited`](ErrorKind::RateLimited),
/// [`ServiceUnavailable`](ErrorKind::ServiceUnavailable), and
/// [`UnexpectedResponse`](ErrorKind::UnexpectedResponse) with a 5xx status, such as a gateway's
/// page. Other kinds need another input or a change at the site first.
///
/// After `Timeout`, `Transport` or [`Cancelled`](ErrorKind::Cancelled) a login may have been
/// carried out: a session whose id was lost may stay open until it expires, and a code may be used
/// up. The same is possible after `RateLimited`, `ServiceUnavailable` and `UnexpectedResponse`.
///
/// A refusal has a type, `group/name`. Without a known one, the HTTP status decides. A response that
/// is not the API's is `UnexpectedResponse`, whatever its status: one whose body is not a JSON
/// object, and an empty 404 or 405. The exceptions are 429 and 503, which gateways send for the API.
///
/// `Display` prints a few words, such as `wrong user name or password`. The numbers are those of
/// the C ABI and never change.
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
    /// An argument or a setting can't be used. The failed attempt sent nothing.
    InvalidInput = 1,
    /// No connection could be made: the name is unknown, the port is closed, the proxy refused.
    /// The failed attempt sent nothing.
    Connect = 2,
    /// The server could not be authenticated: its certificate was rejected, or the TLS handshake
    /// failed. The failed attempt sent nothing.
    Tls = 3,
    /// A time limit expired. The message names it.
    Timeout = 4,
    /// The connection broke after it was made, or the response is not valid HTTP, or its header or
    /// framing is too large.
    Transport = 5,
    /// The response is not a valid one of the Files.com API: a redirect, another server's page, or
    /// a success without a session.
    UnexpectedResponse = 6,
    /// A [`Canceller`](crate::Canceller) ended the call.
    Cancelled = 7,

    /// The site rejected the request. Group `bad-request`, or any other 4xx.
    BadRequest = 10,
    /// The site requires authentication. Group `not-authenticated`, `authentication-required` in
    /// any group, or 401.
    NotAuthenticated = 11,
    /// The user may not do this. Group `not-authorized`, or 403.
    NotAuthorized = 12,
    /// The site doesn't exist. Group `not-found`, or 404.
    NotFound = 13,
    /// The site could not process the request. Group `processing-failure`, or 422.
    ProcessingFailure = 14,
    /// There were too many requests. Group `rate-limited`, or 429.
    RateLimited = 15,
    /// The site is unavailable for now. Group `service-unavailable`, or 5xx.
    ServiceUnavailable = 16,
    /// The account is overdue, was removed, or its trial has ended. Group `site-configuration`.
    SiteConfiguration = 17,

    /// The login needs a second factor; see [`Login::answer`](crate::Login::answer).
    /// `two-factor-authentication-error` or `two-factor-authentication-required`, in any group.
    TwoFactorRequired = 20,
    /// The user name or the password is wrong. `invalid-username-or-password` or
    /// `invalid-credentials`, in any group.
    InvalidCredentials = 21,
    /// The code of the second factor is wrong or expired. `one-time-password-incorrect` or
    /// `invalid-or-expired-code`, in any group.
    OtpIncorrect = 22,
    /// The user is locked out. `locked-out`, in any group.
    LockedOut = 23,
    /// The user or site belongs to another region: log in at
    /// [`ApiError::host`](crate::ApiError::host). `lockout-region-mismatch`, in any group, or the
    /// plain text of older servers.
    RegionMismatch = 24,
    /// The session has ended or never existed. `invalid-session`, in any group.
    InvalidSession = 25,
}

/// A few words for each kind, for Rust and C.
pub(crate) const TEXTS: [(ErrorKind, &CStr); 21] = [
    (ErrorKind::InvalidInput, c"invalid input"),
    (ErrorKind::Connect, c"no connection"),
    (ErrorKind::Tls, c"no trusted connection"),
    (ErrorKind::Timeout, c"time limit reached"),
    (ErrorKind::Transport, c"connection broken"),
    (ErrorKind::UnexpectedResponse, c"unexpected response"),
    (ErrorKind::Cancelled, c"cancelled"),
    (ErrorKind::BadRequest, c"bad request"),
    (ErrorKind::NotAuthenticated, c"not authenticated"),
    (ErrorKind::NotAuthorized, c"not authorized"),
    (ErrorKind::NotFound, c"not found"),
    (ErrorKind::ProcessingFailure, c"processing failure"),
    (ErrorKind::RateLimited, c"rate limited"),
    (ErrorKind::ServiceUnavailable, c"service unavailable"),
    (ErrorKind::SiteConfiguration, c"site configuration"),
    (ErrorKind::TwoFactorRequired, c"second factor required"),
    (ErrorKind::InvalidCredentials, c"wrong user name or password"),
    (ErrorKind::OtpIncorrect, c"wrong or expired code"),
    (ErrorKind::LockedOut, c"user locked out"),
    (ErrorKind::RegionMismatch, c"belongs to another region"),
    (ErrorKind::InvalidSession, c"no such session"),
];

impl ErrorKind {
    /// The kind of a refusal: by the name in its type, then the type's group, then the status.
    ///
    /// The same name appears in different groups, so a name that has its own kind takes precedence.
    pub(crate) fn from_refusal(error_type: Option<&str>, status: u16) -> ErrorKind {
        let (group, name) = split_type(error_type.unwrap_or_default());
        match name {
            "two-factor-authentication-error" | "two-factor-authentication-required" => {
                return ErrorKind::TwoFactorRequired;
            }
            "invalid-username-or-password" | "invalid-credentials" => {
                return ErrorKind::InvalidCredentials;
            }
            "one-time-password-incorrect" | "invalid-or-expired-code" => {
                return ErrorKind::OtpIncorrect;
            }
            "locked-out" => return ErrorKind::LockedOut,
            "lockout-region-mismatch" => return ErrorKind::RegionMismatch,
            "invalid-session" => return ErrorKind::InvalidSession,
            "authentication-required" => return ErrorKind::NotAuthenticated,
            _ => {}
        }
        match (group, status) {
            ("bad-request", _) => ErrorKind::BadRequest,
            ("not-authenticated", _) => ErrorKind::NotAuthenticated,
            ("not-authorized", _) => ErrorKind::NotAuthorized,
            ("not-found", _) => ErrorKind::NotFound,
            ("processing-failure", _) => ErrorKind::ProcessingFailure,
            ("rate-limited", _) => ErrorKind::RateLimited,
            ("service-unavailable", _) => ErrorKind::ServiceUnavailable,
            ("site-configuration", _) => ErrorKind::SiteConfiguration,
            (_, 401) => ErrorKind::NotAuthenticated,
            (_, 403) => ErrorKind::NotAuthorized,
            (_, 404) => ErrorKind::NotFound,
            (_, 422) => ErrorKind::ProcessingFailure,
            (_, 429) => ErrorKind::RateLimited,
            // RFC 9110, section 15: an unknown status counts as the x00 of its class.
            (_, 500..) => ErrorKind::ServiceUnavailable,
            _ => ErrorKind::BadRequest,
        }
    }
}

/// Group and name of a type. An older form is `401-name`; a type may also be a group alone.
pub(super) fn split_type(error_type: &str) -> (&str, &str) {
    let is_status = |(group, _): &(&str, &str)| group.parse::<u16>().is_ok();
    error_type
        .split_once('/')
        .or_else(|| error_type.split_once('-').filter(is_status))
        .unwrap_or((error_type, ""))
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = TEXTS.iter().find(|(kind, _)| kind == self).map(|(_, text)| text.to_str());
        f.pad(text.and_then(Result::ok).unwrap_or_default())
    }
}
