//! What a site says when it refuses.

use std::fmt;
use std::time::Duration;

use super::kind::ErrorKind;
use crate::text::{Shown, hidden, is_readable};

/// A refusal: what the site said, as it said it.
///
/// The strings are the server's own, unescaped; the `Display` of [`Error`](crate::Error) is what
/// to show to a person. Any of them may be absent.
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
    /// The JSON text of `data`: all its members, in alphabetical order. There may be secrets in it.
    pub data: Option<String>,
}

/// The second factor that a login is asked for; see [`Login::answer`](crate::Login::answer).
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
#[non_exhaustive]
pub struct TwoFactor {
    /// The methods offered, such as `totp`, `sms`, `yubi`, `u2f`, `webauthn`, `email`; any string
    /// is possible. For `sms` the refused request itself made the server send the code.
    pub methods: Vec<String>,
    /// What ties the second request to the first. A secret, as a session id is.
    pub partial_session_id: Option<String>,
    /// The origin of the site that asked, where the answer goes.
    pub(crate) asked_by: Option<String>,
}

impl ApiError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::of_refusal(self.error_type.as_deref(), self.status)
    }

    /// Whether a logout is refused because the session is no more. A 401 or 404 without one of
    /// these types may come from whatever stands in front of the API.
    pub(crate) fn says_no_such_session(&self) -> bool {
        matches!(
            self.error_type.as_deref(),
            Some("not-authenticated/invalid-session" | "not-authenticated/authentication-required")
        )
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [self.message.as_deref(), self.title.as_deref()];
        let said = said.into_iter().flatten().map(|said| said.trim_matches([' ', '.']));
        match said.into_iter().find(|said| is_readable(said)) {
            Some(said) => write!(f, "{}", Shown(said))?,
            None => f.write_str("the site refused without saying why")?,
        }
        match &self.error_type {
            Some(error_type) => write!(f, " ({}, HTTP {})", Shown(error_type), self.status)?,
            None => write!(f, " (HTTP {})", self.status)?,
        }
        self.write_advice(f)?;
        if let Some(request_id) = &self.request_id {
            write!(f, " [request {}]", Shown(request_id))?;
        }
        Ok(())
    }

    /// What the caller can do about it.
    fn write_advice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
                f.write_str(": check the user name and the password, or log in again")
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
            .field("asked_by", &self.asked_by)
            .finish()
    }
}

#[cfg(test)]
impl ApiError {
    /// A refusal that says nothing but its status.
    pub(crate) fn of_status(status: u16) -> ApiError {
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
}
