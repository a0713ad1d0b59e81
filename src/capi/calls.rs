//! The functions that do something; the header says what.

use std::ffi::{CStr, c_char};

use super::edge::{c_str, call, call_for_session, free, guard, reference, required};
use super::options::{Given, Options, complete};
use super::{CError, CSession, OK, PANIC, fault};
use crate::error::ErrorKind;
use crate::session::Session;

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_login(
    options: *const Options,
    session: *mut *mut CSession,
    error: *mut *mut CError,
) -> i32 {
    // SAFETY: the caller keeps to the header.
    unsafe {
        call_for_session(session, error, &mut || {
            let given = Given::read(options)?;
            let (site, login) = (given.site()?, given.login()?);
            Session::login(&site, &complete(login)?)
        })
    }
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_answer(
    options: *const Options,
    asked: *const CError,
    code: *const c_char,
    session: *mut *mut CSession,
    error: *mut *mut CError,
) -> i32 {
    // SAFETY: the caller keeps to the header.
    unsafe {
        call_for_session(session, error, &mut || {
            let given = Given::read(options)?;
            let two_factor = reference(asked, "asked")?.two_factor.as_ref();
            let two_factor = two_factor
                .ok_or_else(|| fault("asked", "is not an error that asks for a second factor"))?;
            let code = required(c_str(code), "code")?;
            let (site, login) = (given.site()?, given.login()?);
            Session::login(&site, &complete(login.answer(two_factor, code))?)
        })
    }
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_resume(
    options: *const Options,
    id: *const c_char,
    session: *mut *mut CSession,
    error: *mut *mut CError,
) -> i32 {
    // SAFETY: the caller keeps to the header.
    unsafe {
        call_for_session(session, error, &mut || {
            let given = Given::read(options)?;
            Session::resume(&given.site()?, required(c_str(id), "id")?)
        })
    }
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_logout(
    session: *const CSession,
    error: *mut *mut CError,
) -> i32 {
    // SAFETY: the caller keeps to the header.
    unsafe { call(error, &mut || reference(session, "session")?.session.logout()) }
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_free(session: *mut CSession) {
    // SAFETY: it came out of a call, and the caller gives it back.
    unsafe { free(session) };
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_error_free(error: *mut CError) {
    // SAFETY: it came out of a call, and the caller gives it back.
    unsafe { free(error) };
}

/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub extern "C" fn files_session_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// A few words for each status: those of `ErrorKind`'s `Display`.
const STATUS_TEXTS: [(i32, &CStr); 22] = [
    (OK, c"ok"),
    (ErrorKind::InvalidInput as i32, c"invalid input"),
    (ErrorKind::Connect as i32, c"no connection"),
    (ErrorKind::Tls as i32, c"no trusted connection"),
    (ErrorKind::Timeout as i32, c"time limit reached"),
    (ErrorKind::Transport as i32, c"connection broken"),
    (ErrorKind::UnexpectedResponse as i32, c"unexpected response"),
    (ErrorKind::BadRequest as i32, c"bad request"),
    (ErrorKind::NotAuthenticated as i32, c"not authenticated"),
    (ErrorKind::NotAuthorized as i32, c"not authorized"),
    (ErrorKind::NotFound as i32, c"not found"),
    (ErrorKind::ProcessingFailure as i32, c"processing failure"),
    (ErrorKind::RateLimited as i32, c"rate limited"),
    (ErrorKind::ServiceUnavailable as i32, c"service unavailable"),
    (ErrorKind::SiteConfiguration as i32, c"site configuration"),
    (ErrorKind::TwoFactorRequired as i32, c"second factor required"),
    (ErrorKind::InvalidCredentials as i32, c"wrong user name or password"),
    (ErrorKind::OtpIncorrect as i32, c"wrong or expired code"),
    (ErrorKind::LockedOut as i32, c"user locked out"),
    (ErrorKind::RegionMismatch as i32, c"user of another region"),
    (ErrorKind::InvalidSession as i32, c"no such session"),
    (PANIC, c"fault of the library"),
];

/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub extern "C" fn files_session_status_text(status: i32) -> *const c_char {
    let unknown = c"unknown status";
    let known = || STATUS_TEXTS.iter().find(|(number, _)| *number == status);
    guard(unknown, || known().map_or(unknown, |(_, text)| text)).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All kinds, with their names in the header.
    fn kinds() -> Vec<(ErrorKind, String)> {
        use ErrorKind::*;
        let kinds = [
            InvalidInput,
            Connect,
            Tls,
            Timeout,
            Transport,
            UnexpectedResponse,
            BadRequest,
            NotAuthenticated,
            NotAuthorized,
            NotFound,
            ProcessingFailure,
            RateLimited,
            ServiceUnavailable,
            SiteConfiguration,
            TwoFactorRequired,
            InvalidCredentials,
            OtpIncorrect,
            LockedOut,
            RegionMismatch,
            InvalidSession,
        ];
        // UnexpectedResponse is UNEXPECTED_RESPONSE there.
        let c_name = |kind: ErrorKind| {
            let mut name = String::new();
            for c in format!("{kind:?}").chars() {
                if c.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(c.to_ascii_uppercase());
            }
            name
        };
        kinds.into_iter().map(|kind| (kind, c_name(kind))).collect()
    }

    #[test]
    fn the_statuses_of_the_header_are_the_numbers_of_the_kinds() {
        let mut expected = vec![("OK".to_owned(), OK), ("PANIC".to_owned(), PANIC)];
        expected.extend(kinds().into_iter().map(|(kind, name)| (name, kind as i32)));
        let header = include_str!("../files_session.h");
        let mut found: Vec<(String, i32)> = header
            .lines()
            .filter_map(|line| line.trim().strip_prefix("FILES_SESSION_")?.split_once(" = "))
            .map(|(name, n)| (name.to_owned(), n.trim_end_matches(',').parse().unwrap()))
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_status_has_a_text() {
        let text = |status| {
            // SAFETY: a status' text is a string that ends with a NUL.
            unsafe { CStr::from_ptr(files_session_status_text(status)) }.to_str().unwrap()
        };
        for (kind, _) in kinds() {
            assert_eq!(text(kind as i32), kind.to_string());
        }
        assert_eq!(text(OK), "ok");
        assert_eq!(text(PANIC), "fault of the library");
        for unknown in [-1, 7, 18, i32::MIN, i32::MAX] {
            assert_eq!(text(unknown), "unknown status");
        }
    }
}
