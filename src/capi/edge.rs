//! Where C and Rust meet: pointers come in, results go out, and neither a panic nor a cancellation
//! gets through.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::{CError, CSession, OK, fault};
use crate::error::Error;
use crate::session::Session;

// Pointers come in.

/// What a pointer points to.
///
/// # Safety
/// `pointer` is NULL or good for reads of a `T` for as long as `'a`.
pub(super) unsafe fn reference<'a, T>(
    pointer: *const T,
    name: &'static str,
) -> Result<&'a T, Error> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| fault(name, "is NULL"))
}

/// The string that a pointer points to; `None` where that is NULL.
///
/// # Safety
/// `pointer` is NULL or a string that ends with a NUL, unchanged for as long as `'a`.
pub(super) unsafe fn c_str<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    // SAFETY: it is not NULL, so it is a string, as the caller promises.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
}

pub(super) fn utf8<'a>(
    text: Option<&'a CStr>,
    name: &'static str,
) -> Result<Option<&'a str>, Error> {
    text.map(CStr::to_str).transpose().map_err(|_| fault(name, "is not UTF-8"))
}

pub(super) fn required<'a>(text: Option<&'a CStr>, name: &'static str) -> Result<&'a str, Error> {
    utf8(text, name)?.ok_or_else(|| fault(name, "is NULL"))
}

// Results go out.

/// Does what can't fail. A panic, which would be this library's fault, comes to `default`.
pub(super) fn guard<T>(default: T, work: impl FnOnce() -> T) -> T {
    // What a panic leaves half done is never looked at again.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(default)
}

/// Does the work of one call, and hands out its status and its error.
///
/// # Safety
/// `error` is NULL or good for a write.
pub(super) unsafe fn call(
    error: *mut *mut CError,
    work: &mut dyn FnMut() -> Result<(), Error>,
) -> i32 {
    let _cancellation = NoCancellation::begin();
    let failed = |error| Some(Box::new(CError::from(error)));
    let result = guard(Err(None), || work().map_err(failed))
        .map_err(|error| error.unwrap_or_else(|| Box::new(CError::panic())));
    let status = result.as_ref().map_or_else(|error| error.status, |()| OK);
    if !error.is_null() {
        let out = result.err().map_or(ptr::null_mut(), Box::into_raw);
        // SAFETY: it is not NULL, so it is good for a write.
        unsafe { error.write(out) };
    }
    status
}

/// A call that hands out a session.
///
/// # Safety
/// `session` and `error` are NULL or good for a write.
pub(super) unsafe fn call_for_session(
    session: *mut *mut CSession,
    error: *mut *mut CError,
    work: &mut dyn FnMut() -> Result<Session, Error>,
) -> i32 {
    // SAFETY: `error` is as the caller promises; `session` is, too, where it is not NULL.
    unsafe {
        call(error, &mut || {
            if session.is_null() {
                return Err(fault("session", "is NULL, and there is nowhere to put a session"));
            }
            session.write(ptr::null_mut());
            session.write(Box::into_raw(Box::new(CSession::from(work()?))));
            Ok(())
        })
    }
}

/// Frees what one of the calls handed out.
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

// Cancellation stays out.

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

    /// As long as it lives, this thread is not cancelled. POSIX cancels by unwinding the stack,
    /// which ends the process where it meets Rust.
    pub(crate) struct NoCancellation {
        before: c_int,
    }

    impl NoCancellation {
        pub(crate) fn begin() -> Self {
            let mut before = 0;
            // SAFETY: the state is one that POSIX names, and `before` is good for a write.
            unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
            NoCancellation { before }
        }
    }

    impl Drop for NoCancellation {
        fn drop(&mut self) {
            let mut ours = 0;
            // SAFETY: the state is the one that was there before, and `ours` is good for a write.
            unsafe { pthread_setcancelstate(self.before, &raw mut ours) };
        }
    }
}

/// Windows and Android know no cancellation.
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
        // SAFETY: `error` is good for a write, and what comes out is freed once.
        unsafe {
            assert_eq!(call(&raw mut error, &mut || panic!("on purpose")), PANIC);
            assert_eq!(files_session_error_status(error), PANIC);
            let message = CStr::from_ptr(files_session_error_message(error)).to_str().unwrap();
            assert!(message.contains("a fault of its own"), "{message}");
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
