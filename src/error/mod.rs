//! Errors. Each message is built once, where its facts are known.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

mod api;
mod failure;
mod input;
mod kind;

pub use api::{ApiError, TwoFactor};
pub(crate) use failure::{ConnectError, Context, Delivery, Limit, Stage, is_shortage};
pub(crate) use input::InvalidInput;
pub use kind::ErrorKind;
#[cfg(feature = "capi")]
pub(crate) use kind::TEXTS;

use crate::text::Sanitized;
use failure::{judge, stage_of};

/// Why a call failed.
///
/// `Display` prints one sentence for people: what failed, where, and what to do. `{:?}` prints the
/// same sentence, so that `fn main() -> Result<(), Error>` shows it; `{:#?}` prints the details.
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
    /// How far a request without a response got.
    delivery: Option<Delivery>,
    source: Option<ureq::Error>,
}

impl Error {
    /// What this error means to the caller, for a `match`.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The site's refusal. `None` for any other error.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        self.0.api.as_ref()
    }

    /// The second factor that the site asks for; see [`Login::answer`](crate::Login::answer).
    #[must_use]
    pub fn two_factor(&self) -> Option<&TwoFactor> {
        self.api()?.two_factor.as_ref()
    }

    /// The HTTP status of the response. `None` if there was no complete response.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The target of a redirect, without user info, query and fragment. Redirects are never
    /// followed.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    fn new(kind: ErrorKind, message: String) -> Error {
        Error(Box::new(Inner {
            kind,
            message,
            http_status: None,
            location: None,
            api: None,
            retry_after: None,
            delivery: None,
            source: None,
        }))
    }

    /// A request that got no complete response.
    #[cold]
    pub(crate) fn failed(error: ureq::Error, context: &Context) -> Error {
        let (stage, by_proxy, source) = stage_of(error);
        let (kind, delivery, message) = judge(stage, by_proxy, &source, context);
        let mut error = Error::new(kind, message);
        error.0.delivery = Some(delivery);
        error.0.source = Some(source);
        error
    }

    #[cold]
    pub(crate) fn cancelled() -> Error {
        let message = "the call was cancelled; a request that was sent may have been carried out";
        Error::new(ErrorKind::Cancelled, message.to_owned())
    }

    #[cold]
    pub(crate) fn refused(kind: ErrorKind, api: ApiError) -> Error {
        let mut error = Error::new(kind, api.sentence(kind));
        error.0.http_status = Some(api.status);
        error.0.retry_after = api.retry_after;
        error.0.api = Some(api);
        error
    }

    /// A response that is not a valid one of the API. `reason` completes the sentence "the response
    /// …".
    #[cold]
    pub(crate) fn unexpected(status: u16, reason: &str, retry_after: Option<Duration>) -> Error {
        let message = format!("the response (HTTP {status}) {reason}: is this a Files.com site?");
        let mut error = Error::new(ErrorKind::UnexpectedResponse, message);
        error.0.http_status = Some(status);
        error.0.retry_after = retry_after;
        error
    }

    #[cold]
    pub(crate) fn redirect(status: u16, location: Option<String>) -> Error {
        let Some(target) = &location else {
            return Error::unexpected(status, "is a redirect without a target", None);
        };
        let message = format!(
            "the site redirects to {} (HTTP {status}), and redirects are not followed: \
             use that address if it is the right site",
            Sanitized(target)
        );
        let mut error = Error::new(ErrorKind::UnexpectedResponse, message);
        error.0.http_status = Some(status);
        error.0.location = location;
        error
    }

    /// How far the request got. `None` if there was a response, or no request.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        self.0.delivery
    }

    /// How long the response asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Notes which site asks for the second factor.
    pub(crate) fn with_challenge_origin(mut self, origin: &str) -> Error {
        if let Some(ApiError { two_factor: Some(two_factor), .. }) = &mut self.0.api {
            two_factor.challenge_origin = Some(origin.to_owned());
        }
        self
    }
}

impl From<InvalidInput> for Error {
    fn from(input: InvalidInput) -> Self {
        Error::new(ErrorKind::InvalidInput, input.to_string())
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

impl StdError for Error {
    /// The underlying error of a request that failed. Its type is not part of the API.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source as &(dyn StdError + 'static))
    }
}
