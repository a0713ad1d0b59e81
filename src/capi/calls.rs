//! Login, answer, resume, logout, the canceller and the frees. The header documents them.

use std::ffi::c_char;
use std::ptr;

use super::edge::{call, call_for_session, carry_on, free, guard, reference, required};
use super::options::{Options, require_credentials};
use super::{CCanceller, CError, CSession, OK, PANIC, invalid_argument};
use crate::canceller::Canceller;
use crate::error::{ErrorKind, TEXTS, TwoFactor};
use crate::session::Session;

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_login(
    options: *const Options,
    session: *mut *mut CSession,
    error: *mut *mut CError,
) -> i32 {
    // SAFETY: the caller follows the header's rules.
    let status = unsafe {
        call_for_session(session, error, &mut || {
            let options = Options::read(options)?;
            Session::login(&options.site()?, &require_credentials(options.login()?)?)
        })
    };
    // If the code in the options was wrong, files_session_answer can send another.
    if status == ErrorKind::OtpIncorrect as i32 {
        // SAFETY: the call has just written to `error`.
        unsafe { carry_on(error, &TwoFactor::default()) };
    }
    status
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_answer(
    options: *const Options,
    challenge: *const CError,
    code: *const c_char,
    session: *mut *mut CSession,
    error: *mut *mut CError,
) -> i32 {
    // SAFETY: the caller follows the header's rules: `*error` is initialised.
    let replaced = unsafe { error.as_ref() }.copied().filter(|old| ptr::eq(*old, challenge));
    // SAFETY: the caller follows the header's rules.
    let status = unsafe {
        call_for_session(session, error, &mut || {
            let options = Options::read(options)?;
            let two_factor =
                reference(challenge, "challenge")?.two_factor.as_ref().ok_or_else(|| {
                    let reason = "is not an error that asks for a second factor";
                    invalid_argument("challenge", reason)
                })?;
            let login = options.login()?.answer(two_factor, required(code, "code")?);
            Session::login(&options.site()?, &require_credentials(login)?)
        })
    };
    // SAFETY: the challenge is valid, and the call has just written to `error`.
    if let Some(challenge) = unsafe { challenge.as_ref() }.and_then(|old| old.two_factor.as_ref()) {
        // SAFETY: as above.
        unsafe { carry_on(error, challenge) };
    }
    if let Some(challenge) = replaced {
        // SAFETY: a call returned it, and this one has just overwritten the caller's variable.
        unsafe { free(challenge) };
    }
    status
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_resume(
    options: *const Options,
    id: *const c_char,
    session: *mut *mut CSession,
    error: *mut *mut CError,
) -> i32 {
    // SAFETY: the caller follows the header's rules.
    unsafe {
        call_for_session(session, error, &mut || {
            let site = Options::read(options)?.site()?;
            Session::resume(&site, required(id, "id")?)
        })
    }
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_logout(
    session: *const CSession,
    error: *mut *mut CError,
) -> i32 {
    // SAFETY: the caller follows the header's rules.
    unsafe { call(error, &mut || reference(session, "session")?.session.logout()) }
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_free(session: *mut CSession) {
    // SAFETY: a call returned it, and the caller gives up its ownership.
    unsafe { free(session) };
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_error_free(error: *mut CError) {
    // SAFETY: a call returned it, and the caller gives up its ownership.
    unsafe { free(error) };
}

/// See `files_session.h`.
#[unsafe(no_mangle)]
pub extern "C" fn files_session_canceller_new() -> *mut CCanceller {
    guard(ptr::null_mut(), || Box::into_raw(Box::new(CCanceller(Canceller::new()))))
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_cancel(canceller: *const CCanceller) {
    // SAFETY: the caller follows the header's rules.
    unsafe {
        call(ptr::null_mut(), &mut || {
            reference(canceller, "canceller")?.0.cancel();
            Ok(())
        })
    };
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_canceller_free(canceller: *mut CCanceller) {
    // SAFETY: files_session_canceller_new returned it, and the caller gives up its ownership.
    unsafe { free(canceller) };
}

/// See `files_session.h`.
#[unsafe(no_mangle)]
pub extern "C" fn files_session_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// See `files_session.h`.
#[unsafe(no_mangle)]
pub extern "C" fn files_session_status_text(status: i32) -> *const c_char {
    let text = match status {
        OK => c"ok",
        PANIC => c"internal error",
        _ => {
            let known = TEXTS.iter().find(|(kind, _)| *kind as i32 == status);
            known.map_or(c"unknown status", |(_, text)| text)
        }
    };
    text.as_ptr()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::error::ErrorKind;

    /// The name of a kind in the header, such as `UNEXPECTED_RESPONSE`.
    fn c_name(kind: ErrorKind) -> String {
        let mut name = String::new();
        for c in format!("{kind:?}").chars() {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(c.to_ascii_uppercase());
        }
        name
    }

    #[test]
    fn the_statuses_of_the_header_are_the_numbers_of_the_kinds() {
        let mut expected = vec![("OK".to_owned(), OK), ("PANIC".to_owned(), PANIC)];
        expected.extend(TEXTS.map(|(kind, _)| (c_name(kind), kind as i32)));
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
            // SAFETY: the text is a string that ends with a NUL.
            unsafe { CStr::from_ptr(files_session_status_text(status)) }.to_str().unwrap()
        };
        for (kind, _) in TEXTS {
            assert_eq!(text(kind as i32), kind.to_string());
        }
        assert_eq!(text(OK), "ok");
        assert_eq!(text(PANIC), "internal error");
        for unknown in [-1, 8, 18, i32::MIN, i32::MAX] {
            assert_eq!(text(unknown), "unknown status");
        }
    }
}
