//! What an error means, as one flat list.

use std::ffi::CStr;
use std::fmt;

/// What an [`Error`](crate::Error) means to the caller.
///
/// | kind | what to do |
/// | --- | --- |
/// | `InvalidInput` | correct the argument or the setting that the message names |
/// | `Connect`, `Timeout`, `Transport` | try again later, or check the address and the network |
/// | `Tls` | check the address, this machine's clock and the trusted certificates |
/// | `UnexpectedResponse` | check the address; after a 5xx, try again later |
/// | `Cancelled` | nothing: your program asked for it |
/// | `RateLimited`, `ServiceUnavailable` | try again later: see [`ApiError::retry_after`](crate::ApiError::retry_after) |
/// | `SiteConfiguration`, `LockedOut` | ask the site's administrator |
/// | `TwoFactorRequired`, `OtpIncorrect` | ask for a code and [answer](crate::Login::answer) with it |
/// | `InvalidCredentials` | ask for the user name and the password again |
/// | `RegionMismatch` | log in at [`ApiError::host`](crate::ApiError::host) |
/// | `InvalidSession` | log in again |
/// | `NotAuthenticated`, `NotAuthorized`, `NotFound`, `BadRequest`, `ProcessingFailure` | show the message |
///
/// Whether another try may help, and whether the request may have been carried out, depends on more
/// than the kind: see [`Error::is_transient`](crate::Error::is_transient) and
/// [`Error::outcome_unknown`](crate::Error::outcome_unknown).
///
/// A refusal has a type, `group/name`. If that is missing or unknown, the HTTP status decides. A
/// 4xx or 5xx whose body is neither empty nor a JSON object comes from another server, and is
/// `UnexpectedResponse`. So is an empty 404 or 405. A 429, a 503, and a 4xx or 5xx with the header
/// `X-Files-Error-Class` are always refusals.
///
/// `Display` prints a few words, such as `wrong user name or password`. The discriminants are the
/// statuses of the C ABI and never change.
///
/// ```
/// # use files_session::{Error, ErrorKind};
/// fn exit_code(error: &Error) -> u8 {
///     match error.kind() {
///         ErrorKind::InvalidCredentials | ErrorKind::OtpIncorrect => 2,
///         _ if error.is_transient() => 75,
///         _ => 1,
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorKind {
    /// An argument, a setting or a proxy variable can't be used. The failed attempt sent nothing.
    InvalidInput = 1,
    /// No connection could be made: the name is unknown, the port is closed, the proxy refused.
    /// The failed attempt sent nothing.
    Connect = 2,
    /// The server could not be authenticated: its certificate was rejected, or the TLS handshake
    /// failed. The failed attempt sent nothing. With TLS 1.3, a missing client certificate shows
    /// only after the request, as `Transport`.
    Tls = 3,
    /// A time limit expired. The message names it.
    Timeout = 4,
    /// The connection broke after it was made, or the response is not valid HTTP, or its header or
    /// framing is too large.
    Transport = 5,
    /// The response is not a valid Files.com API response: a redirect, another server's page, or a
    /// success without a session.
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
    /// The site is disabled, its account is overdue or removed, or its trial has ended. Group
    /// `site-configuration`, or `site-disabled` in any group.
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
            "site-disabled" => return ErrorKind::SiteConfiguration,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_comes_from_the_name_then_the_group_then_the_status() {
        use ErrorKind::*;
        for (status, error_type, kind) in [
            (401, "not-authenticated/invalid-username-or-password", InvalidCredentials),
            (401, "not-authenticated/invalid-credentials", InvalidCredentials),
            (401, "not-authenticated/one-time-password-incorrect", OtpIncorrect),
            (401, "not-authenticated/invalid-or-expired-code", OtpIncorrect),
            (401, "not-authenticated/two-factor-authentication-error", TwoFactorRequired),
            (403, "not-authorized/two-factor-authentication-required", TwoFactorRequired),
            (401, "not-authenticated/two-factor-authentication-setup-expired", NotAuthenticated),
            (401, "not-authenticated/locked-out", LockedOut),
            (401, "not-authenticated/lockout-region-mismatch", RegionMismatch),
            (401, "not-authenticated/invalid-session", InvalidSession),
            (401, "401-two-factor-authentication-error", TwoFactorRequired),
            (401, "not-a-status-locked-out", NotAuthenticated),
            (401, "not-authenticated/authentication-required", NotAuthenticated),
            (401, "not-authenticated/additional-authentication-required", NotAuthenticated),
            (401, "not-authenticated/api-key-sessions-not-supported", NotAuthenticated),
            (403, "not-authorized/password-change-required", NotAuthorized),
            (403, "not-authorized/contact-admin-for-password-change-help", NotAuthorized),
            (403, "not-authorized/cannot-login-while-using-key", NotAuthorized),
            (403, "not-authorized/must-authenticate-with-api-key", NotAuthorized),
            (403, "not-authorized/recaptcha-failed", NotAuthorized),
            (429, "rate-limited/too-many-login-attempts", RateLimited),
            (429, "rate-limited/too-many-concurrent-logins", RateLimited),
            (
                422,
                "processing-failure/two-factor-authentication-code-already-sent",
                ProcessingFailure,
            ),
            (503, "service-unavailable/site-disabled", SiteConfiguration),
            (422, "new-group/site-disabled", SiteConfiguration),
            (503, "service-unavailable/migration-in-progress", ServiceUnavailable),
            (402, "site-configuration/account-overdue", SiteConfiguration),
            (402, "site-configuration/trial-expired", SiteConfiguration),
            (400, "bad-request/anything", BadRequest),
            (404, "not-found/new-name", NotFound),
            // A name with a kind of its own, in another group.
            (422, "bad-request/invalid-username-or-password", InvalidCredentials),
            (403, "not-authorized/invalid-credentials", InvalidCredentials),
            (422, "bad-request/one-time-password-incorrect", OtpIncorrect),
            (422, "processing-failure/invalid-or-expired-code", OtpIncorrect),
            (403, "not-authorized/two-factor-authentication-error", TwoFactorRequired),
            (403, "not-authorized/locked-out", LockedOut),
            (403, "not-authorized/lockout-region-mismatch", RegionMismatch),
            (403, "not-authorized/invalid-session", InvalidSession),
            (403, "not-authorized/authentication-required", NotAuthenticated),
            (403, "new-group/authentication-required", NotAuthenticated),
            // The eight groups, with another group's status.
            (503, "bad-request/x", BadRequest),
            (418, "not-authenticated/x", NotAuthenticated),
            (418, "not-authorized/x", NotAuthorized),
            (418, "not-found/x", NotFound),
            (418, "processing-failure/x", ProcessingFailure),
            (418, "rate-limited/x", RateLimited),
            (418, "service-unavailable/x", ServiceUnavailable),
            (418, "site-configuration/x", SiteConfiguration),
            (418, "not-authenticated", NotAuthenticated),
            (401, "not-authenticated/new-name", NotAuthenticated),
            (418, "bad-request/a/b", BadRequest),
            (403, "new-group/new-name", NotAuthorized),
            (429, "invalid-session", RateLimited),
            (500, "/", ServiceUnavailable),
            // Without a type.
            (400, "", BadRequest),
            (401, "", NotAuthenticated),
            (403, "", NotAuthorized),
            (404, "", NotFound),
            (405, "", BadRequest),
            (422, "", ProcessingFailure),
            (429, "", RateLimited),
            (499, "", BadRequest),
            (500, "", ServiceUnavailable),
            (502, "", ServiceUnavailable),
            (503, "", ServiceUnavailable),
            (599, "", ServiceUnavailable),
        ] {
            let found = ErrorKind::from_refusal(Some(error_type), status);
            assert_eq!(found, kind, "{status} {error_type}");
        }
        assert_eq!(ErrorKind::from_refusal(None, 401), NotAuthenticated);
    }
}
