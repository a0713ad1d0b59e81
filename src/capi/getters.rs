//! Attributes of a session, and facts of an error.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use super::edge::guard;
use super::{CError, CSession};

/// Defines getters: the type they take a pointer to, the type they return, the value they return
/// for NULL; then the name and the body of each.
macro_rules! getters {
    ($of:ty, $out:ty, $none:expr; $($name:ident: $get:expr,)*) => {$(
        /// # Safety
        /// See `files_session.h`.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(of: *const $of) -> $out {
            let get: fn(&$of) -> $out = $get;
            // SAFETY: the caller keeps to the header.
            let of = unsafe { of.as_ref() };
            guard($none, || of.map_or($none, get))
        }
    )*};
}

getters! { CSession, *const c_char, ptr::null();
    files_session_id: |s| s.id.as_ptr(),
    files_session_base_url: |s| s.base_url.as_ptr(),
    files_session_language: |s| pointer(&s.language),
    files_session_login_token: |s| pointer(&s.login_token),
    files_session_login_token_domain: |s| pointer(&s.login_token_domain),
    files_session_root_path: |s| pointer(&s.root_path),
    files_session_timeout_at: |s| pointer(&s.timeout_at),
    files_session_home_path: |s| pointer(&s.home_path),
}

getters! { CSession, c_int, -1;
    files_session_multiple_regions: |s| yes_or_no(s.session.multiple_regions),
    files_session_read_only: |s| yes_or_no(s.session.read_only),
    files_session_sftp_insecure_ciphers: |s| yes_or_no(s.session.sftp_insecure_ciphers),
    files_session_ssl_required: |s| yes_or_no(s.session.ssl_required),
    files_session_tls_disabled: |s| yes_or_no(s.session.tls_disabled),
    files_session_two_factor_setup_needed: |s| yes_or_no(s.session.two_factor_setup_needed),
    files_session_allowed_2fa_method_sms: |s| yes_or_no(s.session.allowed_2fa_method_sms),
    files_session_allowed_2fa_method_totp: |s| yes_or_no(s.session.allowed_2fa_method_totp),
    files_session_allowed_2fa_method_u2f: |s| yes_or_no(s.session.allowed_2fa_method_u2f),
    files_session_allowed_2fa_method_yubi: |s| yes_or_no(s.session.allowed_2fa_method_yubi),
    files_session_allowed_2fa_method_webauthn:
        |s| yes_or_no(s.session.allowed_2fa_method_webauthn),
    files_session_use_provided_modified_at: |s| yes_or_no(s.session.use_provided_modified_at),
    files_session_windows_mode_ftp: |s| yes_or_no(s.session.windows_mode_ftp),
}

getters! { CError, c_int, 0;
    files_session_error_status: |e| e.status,
    files_session_error_http_status: |e| e.http_status.into(),
    files_session_error_outcome_unknown: |e| e.outcome_unknown.into(),
    files_session_error_is_transient: |e| e.is_transient.into(),
}

getters! { CError, i64, -1;
    files_session_error_retry_after: |e| e.retry_after,
}

getters! { CError, *const c_char, ptr::null();
    files_session_error_message: |e| e.message.as_ptr(),
    files_session_error_type: |e| pointer(&e.error_type),
    files_session_error_title: |e| pointer(&e.title),
    files_session_error_site_message: |e| pointer(&e.site_message),
    files_session_error_request_id: |e| pointer(&e.request_id),
    files_session_error_partial_session_id: |e| pointer(&e.partial_session_id),
    files_session_error_host: |e| pointer(&e.host),
    files_session_error_location: |e| pointer(&e.location),
    files_session_error_data: |e| pointer(&e.data),
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_error_method(
    error: *const CError,
    i: usize,
) -> *const c_char {
    // SAFETY: the caller keeps to the header.
    let error = unsafe { error.as_ref() };
    let method = || error?.methods.get(i);
    guard(ptr::null(), || method().map_or(ptr::null(), |method| method.as_ptr()))
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_max_dir_listing_size(
    session: *const CSession,
    out: *mut i64,
) -> c_int {
    // SAFETY: the caller keeps to the header.
    unsafe { number(session, out, |s| s.session.max_dir_listing_size) }
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_site_id(session: *const CSession, out: *mut i64) -> c_int {
    // SAFETY: the caller keeps to the header.
    unsafe { number(session, out, |s| s.session.site_id) }
}

/// # Safety
/// `session` is NULL or valid for reads, `out` is NULL or valid for a write.
unsafe fn number(
    session: *const CSession,
    out: *mut i64,
    get: fn(&CSession) -> Option<i64>,
) -> c_int {
    // SAFETY: as the caller promises.
    let session = unsafe { session.as_ref() };
    let Some(number) = guard(None, || session.and_then(get)) else { return 0 };
    if !out.is_null() {
        // SAFETY: it is not NULL, so it is valid for a write.
        unsafe { out.write(number) };
    }
    1
}

#[allow(clippy::ref_option, reason = "it keeps the tables short")]
fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

fn yes_or_no(attribute: Option<bool>) -> c_int {
    attribute.map_or(-1, c_int::from)
}
