//! The C ABI of `files_session.h`: pointers are checked once and become Rust types, and the Rust
//! API does the rest. The header is the manual.
//!
//! Every function relies on what the header asks of its caller: a pointer is NULL or valid for the
//! type that the header gives it, a string ends with a NUL, and nothing is used after it was freed.

#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::CString;

use crate::canceller::Canceller;
use crate::error::{Error, TwoFactor};
use crate::input::InvalidInput;
use crate::session::Session;

mod calls;
mod edge;
mod getters;
mod options;

/// `FILES_SESSION_OK`; the other statuses are the numbers of [`ErrorKind`](crate::ErrorKind).
const OK: i32 = 0;

/// `FILES_SESSION_PANIC`
const PANIC: i32 = 99;

/// `files_session`: a session, and its texts as C strings.
pub struct CSession {
    session: Session,
    id: CString,
    base_url: CString,
    language: Option<CString>,
    login_token: Option<CString>,
    login_token_domain: Option<CString>,
    root_path: Option<CString>,
    timeout_at: Option<CString>,
    home_path: Option<CString>,
}

/// `files_session_canceller`
pub struct CCanceller(Canceller);

/// `files_session_error`
#[derive(Default)]
pub struct CError {
    status: i32,
    message: CString,
    http_status: u16,
    outcome_unknown: bool,
    is_transient: bool,
    error_type: Option<CString>,
    title: Option<CString>,
    site_message: Option<CString>,
    request_id: Option<CString>,
    /// In seconds, or -1.
    retry_after: i64,
    partial_session_id: Option<CString>,
    methods: Vec<CString>,
    host: Option<CString>,
    location: Option<CString>,
    data: Option<CString>,
    /// For `files_session_answer`.
    two_factor: Option<TwoFactor>,
}

impl From<Session> for CSession {
    fn from(session: Session) -> Self {
        CSession {
            id: c_string(&session.id),
            base_url: c_string(session.base_url()),
            language: session.language.as_deref().map(c_string),
            login_token: session.login_token.as_deref().map(c_string),
            login_token_domain: session.login_token_domain.as_deref().map(c_string),
            root_path: session.root_path.as_deref().map(c_string),
            timeout_at: session.timeout_at.as_deref().map(c_string),
            home_path: session.home_path.as_deref().map(c_string),
            session,
        }
    }
}

impl From<Error> for CError {
    #[cold]
    fn from(error: Error) -> Self {
        let mut out = CError::new(error.kind() as i32, &error.to_string());
        out.http_status = error.http_status().unwrap_or(0);
        out.outcome_unknown = error.outcome_unknown();
        out.is_transient = error.is_transient();
        out.location = error.location().map(c_string);
        let Some(api) = error.api() else { return out };
        for (place, text) in [
            (&mut out.error_type, &api.error_type),
            (&mut out.title, &api.title),
            (&mut out.site_message, &api.message),
            (&mut out.request_id, &api.request_id),
            (&mut out.host, &api.host),
            (&mut out.data, &api.data),
        ] {
            *place = text.as_deref().map(c_string);
        }
        if let Some(wait) = api.retry_after {
            out.retry_after = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        }
        if let Some(two_factor) = &api.two_factor {
            out.set_challenge(two_factor);
        }
        out
    }
}

impl CError {
    fn new(status: i32, message: &str) -> CError {
        CError { status, message: c_string(message), retry_after: -1, ..CError::default() }
    }

    fn panic(panic: &(dyn Any + Send)) -> CError {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown");
        let message = format!("internal error in files-session ({text}): please report it");
        CError { outcome_unknown: true, ..CError::new(PANIC, &message) }
    }

    fn set_challenge(&mut self, two_factor: &TwoFactor) {
        self.partial_session_id = two_factor.partial_session_id.as_deref().map(c_string);
        self.methods = two_factor.methods.iter().map(|method| c_string(method)).collect();
        self.two_factor = Some(two_factor.clone());
    }
}

/// A string for C: a NUL inside becomes U+2400.
fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{2400}")).unwrap_or_default()
}

/// An argument that can't be used.
#[cold]
fn invalid_argument(name: &'static str, reason: &'static str) -> Error {
    InvalidInput::from(format!("{name} {reason}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_inside_a_string_truncates_nothing() {
        assert_eq!(c_string("a\0b\0").to_str(), Ok("a\u{2400}b\u{2400}"));
        assert_eq!(c_string("").to_str(), Ok(""));
    }

    #[test]
    fn the_version_of_the_header_is_the_version_of_the_crate() {
        let header = include_str!("../files_session.h");
        let number = |part: &str| part.parse::<u8>().unwrap();
        let major = number(env!("CARGO_PKG_VERSION_MAJOR"));
        let minor = number(env!("CARGO_PKG_VERSION_MINOR"));
        let patch = number(env!("CARGO_PKG_VERSION_PATCH"));
        for line in [
            format!("#define FILES_SESSION_VERSION_MAJOR {major}\n"),
            format!("#define FILES_SESSION_VERSION_MINOR {minor}\n"),
            format!("#define FILES_SESSION_VERSION_PATCH {patch}\n"),
            format!("#define FILES_SESSION_VERSION_STRING \"{major}.{minor}.{patch}\"\n"),
            format!("#define FILES_SESSION_VERSION_NUMBER 0x{major:02x}{minor:02x}{patch:02x}\n"),
        ] {
            assert!(header.contains(&line), "{line}");
        }
    }
}
