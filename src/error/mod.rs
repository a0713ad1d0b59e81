//! What can go wrong: facts in the types, sentences made of them in `Display`, once.

use std::error::Error as StdError;
use std::fmt;

mod api;
mod caller;
mod failure;
mod input;
mod kind;

pub use api::{ApiError, TwoFactor};
#[cfg(feature = "capi")]
pub(crate) use caller::Caller;
pub(crate) use failure::{Context, Delivery, Stage, Unsent, is_io_shortage};
pub(crate) use input::InvalidInput;
pub use kind::ErrorKind;

use crate::text::Shown;
use failure::Failure;

/// Why a login or a logout did not succeed.
///
/// Its `Display` is one sentence for people: what was wrong, with what, and what to do. Neither
/// that nor `Debug` shows a password, a code, a session id, a partial session id or a login token.
///
/// ```
/// use files_session::{ErrorKind, Login, Session, Site};
///
/// let site = Site::new("http://mysite.files.com");
/// let error = Session::login(&site, &Login::new("username", "password")).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert!(error.to_string().contains("use https"));
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
enum Inner {
    /// An argument or a setting is unusable.
    InvalidInput(InvalidInput),
    /// There was no response, or only a part of one.
    Failure(Failure),
    /// There was a response, but not one of this API.
    UnexpectedResponse { status: u16, location: Option<String>, reason: Unexpected },
    /// The site refused, and says why.
    Api(ApiError),
}

/// What was wrong with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unexpected {
    /// The site answered with a redirect, and none is followed.
    Redirect,
    /// The status is none that this API gives, and the body is not the API's either.
    NotThisApi,
    /// The body is empty.
    Empty,
    /// The body is longer than is read.
    TooLarge,
    /// The body is not UTF-8.
    NotUtf8,
    /// The body is JSON, but no object.
    NotAnObject,
    /// The body is cut short, or it is not JSON.
    NotJson,
    /// There is no `id`, or it is empty or no string.
    NoId,
    /// The `id` is not a valid header value.
    UnfitId,
}

impl Error {
    /// What this error means to the caller, for a `match`.
    ///
    /// A refusal's kind comes from its type, then from the type's group, then from its status.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Inner::InvalidInput(_) => ErrorKind::InvalidInput,
            Inner::Failure(failure) => failure.kind,
            Inner::UnexpectedResponse { .. } => ErrorKind::UnexpectedResponse,
            Inner::Api(api) => api.kind(),
        }
    }

    /// What the site said, where it refused.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match &*self.0 {
            Inner::Api(api) => Some(api),
            _ => None,
        }
    }

    /// What to answer, where the site asks for a second factor; see
    /// [`Login::answer`](crate::Login::answer).
    #[must_use]
    pub fn two_factor(&self) -> Option<&TwoFactor> {
        self.api()?.two_factor.as_ref()
    }

    /// The HTTP status of the response, where there was one.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        match &*self.0 {
            Inner::UnexpectedResponse { status, .. } => Some(*status),
            Inner::Api(api) => Some(api.status),
            Inner::InvalidInput(_) | Inner::Failure(_) => None,
        }
    }

    /// Where a redirect pointed, without user info, query and fragment. None is followed.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        match &*self.0 {
            Inner::UnexpectedResponse { location, .. } => location.as_deref(),
            _ => None,
        }
    }

    #[cold]
    pub(crate) fn failed(error: ureq::Error, context: Context) -> Error {
        Error(Box::new(match Failure::new(error, context) {
            Ok(failure) => Inner::Failure(failure),
            Err(why) => Inner::InvalidInput(InvalidInput::Config(why)),
        }))
    }

    pub(crate) fn refused(api: ApiError) -> Error {
        Error(Box::new(Inner::Api(api)))
    }

    #[cold]
    pub(crate) fn unexpected(status: u16, location: Option<String>, reason: Unexpected) -> Error {
        Error(Box::new(Inner::UnexpectedResponse { status, location, reason }))
    }

    /// How far the request got, where there was no response to it.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        match &*self.0 {
            Inner::Failure(failure) => Some(failure.delivery),
            _ => None,
        }
    }

    /// Notes which site asks for the second factor.
    pub(crate) fn asked_by(mut self, origin: &str) -> Error {
        if let Inner::Api(ApiError { two_factor: Some(two_factor), .. }) = &mut *self.0 {
            two_factor.asked_by = Some(origin.to_owned());
        }
        self
    }

    /// The sentence, with the names that settings have for the caller.
    pub(crate) fn write(&self, caller: caller::Caller, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::InvalidInput(input) => input.write(caller, f),
            Inner::Failure(failure) => failure.write(caller, f),
            Inner::UnexpectedResponse { status, location, reason } => {
                reason.write(*status, location.as_deref(), f)
            }
            Inner::Api(api) => api.write(f),
        }
    }
}

impl From<InvalidInput> for Error {
    fn from(input: InvalidInput) -> Self {
        Error(Box::new(Inner::InvalidInput(input)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(caller::Caller::Rust, f)
    }
}

impl StdError for Error {
    /// The [`ureq::Error`] of a request that failed.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.0 {
            Inner::Failure(failure) => Some(&failure.source),
            _ => None,
        }
    }
}

impl Unexpected {
    fn write(self, status: u16, location: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self, location) {
            (Unexpected::Redirect, Some(location)) => {
                return write!(
                    f,
                    "the site points to {} (HTTP {status}), and no redirect is followed: \
                     give the address that it points to, if that is the right site",
                    Shown(location)
                );
            }
            (Unexpected::Redirect, None) => "is a redirect to nowhere",
            (Unexpected::NotThisApi, _) => "is not of the Files.com API",
            (Unexpected::Empty, _) => "is empty",
            (Unexpected::TooLarge, _) => "is larger than 64 KiB",
            (Unexpected::NotUtf8, _) => "is not UTF-8",
            (Unexpected::NotAnObject, _) => "is JSON, but no object",
            (Unexpected::NotJson, _) => "is cut short, or not JSON",
            (Unexpected::NoId, _) => "has no session id",
            (Unexpected::UnfitId, _) => "has a session id that is not a valid header value",
        };
        write!(f, "the response (HTTP {status}) {what}: is this a Files.com site?")
    }
}
