//! The boundary between C and Rust: pointers come in, results go out, and no panic crosses it.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::{CError, CSession, OK, invalid_argument};
use crate::error::{Error, TwoFactor};
use crate::session::Session;

/// The value that a pointer points to.
///
/// # Safety
/// `pointer` is NULL or valid for reads of a `T` for as long as `'a`.
pub(super) unsafe fn reference<'a, T>(
    pointer: *const T,
    name: &'static str,
) -> Result<&'a T, Error> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| invalid_argument(name, "is NULL"))
}

/// The text that a pointer points to. `None` for NULL.
///
/// # Safety
/// `pointer` is NULL or a string that ends with a NUL, unchanged for as long as `'a`.
pub(super) unsafe fn utf8<'a>(
    pointer: *const c_char,
    name: &'static str,
) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL, so it is a string that ends with a NUL.
    let text = unsafe { CStr::from_ptr(pointer) }.to_str();
    text.map(Some).map_err(|_| invalid_argument(name, "is not UTF-8"))
}

/// The same, for a text that must not be NULL.
///
/// # Safety
/// As for [`utf8`].
pub(super) unsafe fn required<'a>(
    pointer: *const c_char,
    name: &'static str,
) -> Result<&'a str, Error> {
    // SAFETY: as the caller promises.
    unsafe { utf8(pointer, name) }?.ok_or_else(|| invalid_argument(name, "is NULL, but required"))
}

/// Runs work that can't fail. A panic, which would be a bug in this library, becomes `default`.
pub(super) fn guard<T>(default: T, work: impl FnOnce() -> T) -> T {
    // As in `call`.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(default)
}

/// Runs one call. Returns its status, and writes its error.
///
/// # Safety
/// `error` is NULL or valid for a write.
pub(super) unsafe fn call(
    error: *mut *mut CError,
    work: &mut dyn FnMut() -> Result<(), Error>,
) -> i32 {
    // State that a panic leaves inconsistent is never used again.
    let failed = |error| Box::new(CError::from(error));
    let result = catch_unwind(AssertUnwindSafe(|| work().map_err(failed)))
        .unwrap_or_else(|panic| Err(Box::new(CError::panic(&*panic))));
    let status = result.as_ref().map_or_else(|error| error.status, |()| OK);
    if !error.is_null() {
        let out = result.err().map_or(ptr::null_mut(), Box::into_raw);
        // SAFETY: it is not NULL, so it is valid for a write.
        unsafe { error.write(out) };
    }
    status
}

/// Runs a call that makes a session.
///
/// # Safety
/// `session` and `error` are NULL or valid for a write.
pub(super) unsafe fn call_for_session(
    session: *mut *mut CSession,
    error: *mut *mut CError,
    work: &mut dyn FnMut() -> Result<Session, Error>,
) -> i32 {
    // SAFETY: as the caller promises; `session` is written to only if it is not NULL.
    unsafe {
        call(error, &mut || {
            if session.is_null() {
                return Err(invalid_argument("session", "is NULL"));
            }
            session.write(ptr::null_mut());
            session.write(Box::into_raw(Box::new(CSession::from(work()?))));
            Ok(())
        })
    }
}

/// Gives the error of a call a challenge, unless it has one of its own.
///
/// # Safety
/// `error` is NULL, or a call has just written to it.
pub(super) unsafe fn carry_on(error: *mut *mut CError, challenge: &TwoFactor) {
    // SAFETY: the call has written NULL or an error that nothing else uses yet.
    let error = unsafe { error.as_ref().and_then(|error| error.as_mut()) };
    if let Some(error) = error.filter(|error| error.two_factor.is_none()) {
        error.set_challenge(challenge);
    }
}

/// Frees an object that the caller owns.
///
/// # Safety
/// `pointer` is NULL or came out of `Box::into_raw`, and nothing uses it any more.
pub(super) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: as the caller promises.
        guard((), || drop(unsafe { Box::from_raw(pointer) }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::PANIC;
    use super::super::getters::{
        files_session_error_is_transient, files_session_error_message,
        files_session_error_outcome_unknown, files_session_error_status,
    };
    use super::*;

    #[test]
    fn no_panic_crosses_a_call() {
        let mut error = ptr::null_mut();
        // SAFETY: `error` is valid for a write, and what comes out is freed once.
        unsafe {
            assert_eq!(call(&raw mut error, &mut || panic!("on purpose")), PANIC);
            assert_eq!(files_session_error_status(error), PANIC);
            assert_eq!(files_session_error_outcome_unknown(error), 1);
            assert_eq!(files_session_error_is_transient(error), 0);
            let message = CStr::from_ptr(files_session_error_message(error)).to_str().unwrap();
            assert_eq!(message, "internal error in files-session (on purpose): please report it");
            free(error);
            assert_eq!(call(ptr::null_mut(), &mut || panic!("on purpose")), PANIC);

            let mut session = ptr::dangling_mut();
            let status =
                call_for_session(&raw mut session, ptr::null_mut(), &mut || panic!("on purpose"));
            assert_eq!(status, PANIC);
            assert!(session.is_null());
        }
    }

    #[test]
    fn no_panic_crosses_a_getter_or_a_free() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        assert_eq!(guard(-1, || panic!("on purpose")), -1);
        // SAFETY: it came out of `Box::into_raw`, and is used once.
        unsafe { free(Box::into_raw(Box::new(Bomb))) };
    }
}
