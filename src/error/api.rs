//! A site's refusal.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::kind::{ErrorKind, split_type};
use crate::base_url::BaseUrl;
use crate::text::{Sanitized, has_visible_text, redacted};

/// A site's refusal: the facts, as the server sent them.
///
/// The strings are not escaped; show people the `Display` of [`Error`](crate::Error) instead. Any
/// of them may be absent.
///
/// ```
/// # use files_session::Error;
/// fn support_request(error: &Error) -> Option<&str> {
///     error.api()?.request_id.as_deref()
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status of the response.
    pub status: u16,
    /// `group/name`, or in an older form `401-name`: from the member `type`, otherwise from the
    /// header `X-Files-Error-Class`, otherwise from the first of `errors`.
    pub error_type: Option<String>,
    /// A short text for people, from `title`.
    pub title: Option<String>,
    /// The message for people, from `error`, otherwise from the first of `errors`.
    pub message: Option<String>,
    /// The id of the request, to quote to support: from `instance`, otherwise from the first of
    /// `errors`, otherwise from the header `X-Request-Id`.
    pub request_id: Option<String>,
    /// How long to wait before the next attempt, from `Retry-After`, if it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// The second factor that the site asks for, from `data`.
    pub two_factor: Option<TwoFactor>,
    /// The host where this user logs in, from `data.host` or the header `X-Files-Host`.
    pub host: Option<String>,
    /// The JSON text of `data`, or of the `data` of the first of `errors`: written anew, with all
    /// members in alphabetical order. May contain secrets.
    pub data: Option<String>,
}

/// The second factor that a site asks for; see [`Login::answer`](crate::Login::answer).
///
/// ```
/// # use files_session::{Error, Login, Session, Site};
/// # fn log_in(site: &Site, ask: impl Fn(&str) -> String) -> Result<Session, Error> {
/// let login = Login::new("username", "password");
/// match Session::login(site, &login) {
///     Err(error) if error.two_factor().is_some() => {
///         let two_factor = error.two_factor().unwrap();
///         let code = ask(&format!("{:?}", two_factor.methods)); // escapes the server's text
///         Session::login(site, &login.answer(two_factor, &code))
///     }
///     other => other,
/// }
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TwoFactor {
    /// The methods offered, such as `totp`, `sms`, `yubi`, `u2f`, `webauthn`, `email`; any string
    /// is possible. If `sms` is offered, the server has already sent the code.
    pub methods: Vec<String>,
    /// The id that ties the second request to the first. A secret, like a session id.
    pub partial_session_id: Option<String>,
    /// The address that asked. The answer is sent there.
    pub(crate) asked_by: Option<Arc<BaseUrl>>,
}

impl ApiError {
    /// A refusal of which only the status is known.
    pub(crate) fn new(status: u16) -> ApiError {
        ApiError {
            status,
            error_type: None,
            title: None,
            message: None,
            request_id: None,
            retry_after: None,
            two_factor: None,
            host: None,
            data: None,
        }
    }

    /// Whether a logout was refused because the session no longer exists. A 401 or 404 without one
    /// of these names may come from a server in front of the API.
    pub(crate) fn is_session_gone(&self) -> bool {
        matches!(self.name(), "invalid-session" | "authentication-required")
    }

    /// The name in the type, without its group.
    pub(super) fn name(&self) -> &str {
        self.error_type.as_deref().map_or("", |error_type| split_type(error_type).1)
    }

    /// One sentence: what the server said, and what to do about it.
    pub(super) fn sentence(&self, kind: ErrorKind) -> String {
        let texts = [self.message.as_deref(), self.title.as_deref()];
        let mut texts = texts.into_iter().flatten().map(|text| text.trim_matches([' ', '.']));
        let mut sentence = match texts.find(|text| has_visible_text(text)) {
            Some(text) => Sanitized(text).to_string(),
            None => "the site refused and gave no reason".to_owned(),
        };
        let error_type = self.error_type.as_deref().unwrap_or_default();
        let separator = if error_type.is_empty() { "" } else { ", " };
        let status = self.status;
        sentence = format!("{sentence} ({}{separator}HTTP {status})", Sanitized(error_type));
        if let Some(advice) = self.advice(kind) {
            sentence = sentence + ": " + &advice;
        }
        match &self.request_id {
            Some(request_id) => format!("{sentence} [request {}]", Sanitized(request_id)),
            None => sentence,
        }
    }

    /// What the caller can do about it.
    fn advice(&self, kind: ErrorKind) -> Option<String> {
        use ErrorKind as Kind;
        let text = match (self.name(), kind) {
            ("password-change-required", _) => "change the password in the browser first",
            ("too-many-concurrent-logins", _) => "log out other sessions first",
            (_, Kind::InvalidCredentials) => "check the user name and the password",
            (_, Kind::TwoFactorRequired) => return Some(self.two_factor_advice()),
            (_, Kind::OtpIncorrect) => "the code is wrong or expired; answer again with a new one",
            (_, Kind::LockedOut) => "the user is locked out; wait or ask the site's administrator",
            (_, Kind::RegionMismatch) => match &self.host {
                Some(host) => return Some(format!("this user logs in at {}", Sanitized(host))),
                None => "this user logs in at another host",
            },
            (_, Kind::InvalidSession) => "the session has ended or never existed; log in again",
            (_, Kind::SiteConfiguration) => "ask the site's administrator",
            (_, Kind::RateLimited | Kind::ServiceUnavailable) => match self.retry_after {
                Some(wait) => return Some(format!("try again in {} s", wait.as_secs())),
                None => "try again later",
            },
            ("authentication-required", _) => "log in again",
            (_, Kind::NotAuthenticated) if self.error_type.is_none() => {
                "check the user name and the password, or log in again"
            }
            (_, Kind::NotFound) if self.error_type.is_none() => "is this a Files.com site?",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn two_factor_advice(&self) -> String {
        let methods = self.two_factor.iter().flat_map(|two_factor| &two_factor.methods).take(8);
        let methods: Vec<String> = methods.map(|method| Sanitized(method).to_string()).collect();
        let methods = match &*methods.join(", ") {
            "" => String::new(),
            methods => format!(" ({methods})"),
        };
        format!("a second factor is needed{methods}; log in again with its code")
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
            // It contains the partial session id.
            .field("data", &redacted(self.data.as_ref()))
            .finish()
    }
}

impl fmt::Debug for TwoFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoFactor")
            .field("methods", &self.methods)
            .field("partial_session_id", &redacted(self.partial_session_id.as_ref()))
            .finish_non_exhaustive()
    }
}
