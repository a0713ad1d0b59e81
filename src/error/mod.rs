//! Errors. Each message is built once, where its facts are known.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

mod api;
mod failure;
mod kind;
mod outcome;

pub use api::{ApiError, TwoFactor};
pub(crate) use failure::{ConnectError, Context, Stage};
pub use kind::ErrorKind;
#[cfg(feature = "capi")]
pub(crate) use kind::TEXTS;
pub(crate) use outcome::Outcome;

use crate::base_url::BaseUrl;
use crate::input::InvalidInput;
use crate::text::Sanitized;
use failure::judge;

/// The advice if a response is not from the API.
pub(crate) const IS_IT_A_SITE: &str = "is this a Files.com site?";

/// Why a call failed.
///
/// `Display` prints one sentence for people: what failed, the cause in parentheses, and often what
/// to do. The cause is in the words of the system or of the TLS library. `{:?}` prints the same
/// sentence, so that `fn main() -> Result<(), Error>` shows it; `{:#?}` prints the details. The
/// sentence is complete, so `source()` is `None`.
///
/// This crate puts no password, code, session id, partial session id or login token into any of
/// them. They do show the server's own words: escaped, and in the sentence also truncated.
///
/// ```
/// use files_session::{ErrorKind, Login, Session, Site};
///
/// let site = Site::new("http://mysite.files.com");
/// let error = Session::login(&site, &Login::new("username", "password")).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert!(error.to_string().contains("use https"));
/// ```
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    http_status: Option<u16>,
    location: Option<String>,
    api: Option<ApiError>,
    retry_after: Option<Duration>,
    /// What is known of the last attempt.
    outcome: Outcome,
    /// Whether the site may have carried out any of the attempts.
    outcome_unknown: bool,
}

impl Error {
    /// What this error means to the caller, for a `match`.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The site's refusal. `None` for any other error.
    pub fn api(&self) -> Option<&ApiError> {
        self.0.api.as_ref()
    }

    /// The second factor that the site asks for; see [`Login::answer`](crate::Login::answer).
    pub fn two_factor(&self) -> Option<&TwoFactor> {
        self.api()?.two_factor.as_ref()
    }

    /// The HTTP status of the response. `None` if there was no usable response.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The target of a redirect, without user info, query and fragment. Redirects are never
    /// followed.
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// Whether the site may have carried out the request although the call failed. After a login, a
    /// session whose id was lost may then stay open until it expires, and a code may be used up.
    ///
    /// It covers all attempts of a call. A 429 or a 5xx proves nothing, unless it is
    /// `site-disabled`: the site may have done the work before it failed.
    pub fn outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }

    /// Whether the same call may succeed later without any change. It says nothing about whether
    /// repeating is harmless: see [`outcome_unknown`](Error::outcome_unknown).
    pub fn is_transient(&self) -> bool {
        self.0.outcome.is_transient()
    }

    fn new(kind: ErrorKind, outcome: Outcome, message: String) -> Error {
        Error(Box::new(Inner {
            kind,
            message,
            http_status: None,
            location: None,
            api: None,
            retry_after: None,
            outcome,
            outcome_unknown: outcome.is_unknown(),
        }))
    }

    /// A request that got no complete response.
    #[cold]
    pub(crate) fn failed(error: ureq::Error, context: &Context) -> Error {
        let (kind, outcome, message) = judge(error, context);
        Error::new(kind, outcome, message)
    }

    #[cold]
    pub(crate) fn cancelled(outcome: Outcome) -> Error {
        let message = format!("the call was cancelled; {}", outcome.fact());
        Error::new(ErrorKind::Cancelled, outcome, message)
    }

    #[cold]
    pub(crate) fn refused(kind: ErrorKind, api: ApiError) -> Error {
        let message = api.sentence(kind);
        let mut error = Error::responded(kind, api.status, api.retry_after, message);
        // This type guarantees that the request was not carried out, even with a 5xx.
        if api.name() == "site-disabled" {
            (error.0.outcome, error.0.outcome_unknown) = (Outcome::Refused, false);
        }
        error.0.api = Some(api);
        error
    }

    /// A response that is not valid for the API. `reason` completes the sentence "the response …".
    #[cold]
    pub(crate) fn unexpected(
        status: u16,
        (reason, advice): (&str, &str),
        retry_after: Option<Duration>,
    ) -> Error {
        let message = format!("the response (HTTP {status}) {reason}: {advice}");
        Error::responded(ErrorKind::UnexpectedResponse, status, retry_after, message)
    }

    #[cold]
    pub(crate) fn redirect(status: u16, location: Option<String>) -> Error {
        let Some(target) = &location else {
            let reason = ("is a redirect without a target", IS_IT_A_SITE);
            return Error::unexpected(status, reason, None);
        };
        let message = format!(
            "the site redirects to {} (HTTP {status}), and redirects are not followed: \
             if that is the right site, use its scheme and host",
            Sanitized(target)
        );
        let mut error = Error::responded(ErrorKind::UnexpectedResponse, status, None, message);
        error.0.location = location;
        error
    }

    fn responded(
        kind: ErrorKind,
        status: u16,
        retry_after: Option<Duration>,
        message: String,
    ) -> Error {
        let mut error = Error::new(kind, Outcome::of_response(status, kind), message);
        (error.0.http_status, error.0.retry_after) = (Some(status), retry_after);
        error
    }

    /// What is known of the last attempt.
    pub(crate) fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// How long the response asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Notes which address asks for the second factor.
    pub(crate) fn asked_by(mut self, base_url: &Arc<BaseUrl>) -> Error {
        if let Some(ApiError { two_factor: Some(two_factor), .. }) = &mut self.0.api {
            two_factor.asked_by = Some(base_url.clone());
        }
        self
    }

    /// Adds what is known of earlier attempts.
    pub(crate) fn after(mut self, is_earlier_unknown: bool) -> Error {
        self.0.outcome_unknown |= is_earlier_unknown;
        self
    }
}

impl From<InvalidInput> for Error {
    fn from(input: InvalidInput) -> Self {
        Error::new(ErrorKind::InvalidInput, Outcome::NotSent, input.0.into_owned())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { self.0.fmt(f) } else { fmt::Display::fmt(self, f) }
    }
}

impl StdError for Error {}
