//! The boundary between C and Rust: pointers come in, results go out, and neither a panic nor a
//! thread cancellation crosses it.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::{CError, CSession, OK, invalid_argument};
use crate::error::Error;
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
    let _cancellation = NoCancellation::begin();
    // State that a panic leaves inconsistent is never used again.
    let failed = |error| Box::new(CError::from(error));
    let result = catch_unwind(AssertUnwindSafe(|| work().map_err(failed)))
        .unwrap_or_else(|_| Err(Box::new(CError::panic())));
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

/// Frees an object that the caller owns.
///
/// # Safety
/// `pointer` is NULL or came out of `Box::into_raw`, and nothing uses it any more.
pub(super) unsafe fn free<T>(pointer: *mut T) {
    let _cancellation = NoCancellation::begin();
    if !pointer.is_null() {
        // SAFETY: as the caller promises.
        guard((), || drop(unsafe { Box::from_raw(pointer) }));
    }
}

#[cfg(any(
    target_vendor = "apple",
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
mod cancellation {
    use std::ffi::c_int;

    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
    }

    const PTHREAD_CANCEL_DISABLE: c_int = if cfg!(target_vendor = "apple") { 0 } else { 1 };

    /// While it exists, this thread is not cancelled. Some C libraries cancel by unwinding the
    /// stack, which aborts the process when it reaches Rust.
    pub(crate) struct NoCancellation {
        before: c_int,
    }

    impl NoCancellation {
        pub(crate) fn begin() -> Self {
            let mut before = 0;
            // SAFETY: the state is one that POSIX names, and `before` is valid for a write.
            unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
            NoCancellation { before }
        }
    }

    impl Drop for NoCancellation {
        fn drop(&mut self) {
            let mut ours = 0;
            // SAFETY: the state is the one from before, and `ours` is valid for a write.
            unsafe { pthread_setcancelstate(self.before, &raw mut ours) };
        }
    }
}

/// For systems without thread cancellation, such as Windows and Android.
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
)))]
mod cancellation {
    pub(crate) struct NoCancellation;

    impl NoCancellation {
        pub(crate) fn begin() -> Self {
            NoCancellation
        }
    }
}

use cancellation::NoCancellation;

#[cfg(test)]
mod tests {
    use super::super::PANIC;
    use super::super::getters::{files_session_error_message, files_session_error_status};
    use super::*;

    #[test]
    fn no_panic_crosses_a_call() {
        let mut error = ptr::null_mut();
        // SAFETY: `error` is valid for a write, and what comes out is freed once.
        unsafe {
            assert_eq!(call(&raw mut error, &mut || panic!("on purpose")), PANIC);
            assert_eq!(files_session_error_status(error), PANIC);
            let message = CStr::from_ptr(files_session_error_message(error)).to_str().unwrap();
            assert!(message.contains("internal error in files-session"), "{message}");
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
