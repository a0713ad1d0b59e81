//! One flat list of what can go wrong.

use std::fmt;

/// What an [`Error`](crate::Error) means to the caller: one flat list, with the numbers that C
/// sees.
///
/// Its `Display` is a few words, such as `wrong user name or password`.
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
    /// An argument or a setting is unusable. Nothing was sent.
    InvalidInput = 1,
    /// No connection: the name is not known, the port is closed, the proxy refused. Nothing of the
    /// request was sent.
    Connect = 2,
    /// No trusted connection: the certificate or the handshake failed. Nothing of the request was
    /// sent.
    Tls = 3,
    /// A time limit ran out.
    Timeout = 4,
    /// The connection broke after it was made, or what came back is not HTTP, or its header is too
    /// large.
    Transport = 5,
    /// A response, but not one of the Files.com API.
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
    /// The kind of a refusal: by its type, then the type's group, then the status.
    pub(crate) fn of_refusal(error_type: Option<&str>, status: u16) -> ErrorKind {
        let error_type = error_type.unwrap_or_default();
        match error_type {
            "not-authenticated/two-factor-authentication-error"
            | "not-authorized/two-factor-authentication-required" => {
                return ErrorKind::TwoFactorRequired;
            }
            "not-authenticated/invalid-username-or-password"
            | "not-authenticated/invalid-credentials" => return ErrorKind::InvalidCredentials,
            "not-authenticated/one-time-password-incorrect"
            | "not-authenticated/invalid-or-expired-code" => return ErrorKind::OtpIncorrect,
            "not-authenticated/locked-out" => return ErrorKind::LockedOut,
            "not-authenticated/lockout-region-mismatch" => return ErrorKind::RegionMismatch,
            "not-authenticated/invalid-session" => return ErrorKind::InvalidSession,
            _ => {}
        }
        match (error_type.split('/').next().unwrap_or_default(), status) {
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
            // RFC 9110, 15: an unknown status is as good as the x00 of its class.
            (_, 500..) => ErrorKind::ServiceUnavailable,
            _ => ErrorKind::BadRequest,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ErrorKind::InvalidInput => "invalid input",
            ErrorKind::Connect => "no connection",
            ErrorKind::Tls => "no trusted connection",
            ErrorKind::Timeout => "time limit reached",
            ErrorKind::Transport => "connection broken",
            ErrorKind::UnexpectedResponse => "unexpected response",
            ErrorKind::BadRequest => "bad request",
            ErrorKind::NotAuthenticated => "not authenticated",
            ErrorKind::NotAuthorized => "not authorized",
            ErrorKind::NotFound => "not found",
            ErrorKind::ProcessingFailure => "processing failure",
            ErrorKind::RateLimited => "rate limited",
            ErrorKind::ServiceUnavailable => "service unavailable",
            ErrorKind::SiteConfiguration => "site configuration",
            ErrorKind::TwoFactorRequired => "second factor required",
            ErrorKind::InvalidCredentials => "wrong user name or password",
            ErrorKind::OtpIncorrect => "wrong or expired code",
            ErrorKind::LockedOut => "user locked out",
            ErrorKind::RegionMismatch => "user of another region",
            ErrorKind::InvalidSession => "no such session",
        })
    }
}
