//! The C ABI of `files_session.h`: pointers come in, are checked once, and become Rust types;
//! behind that it is the Rust API. The header is the manual.
//!
//! What every function here relies on is what the header asks of its caller: a pointer is NULL or
//! good for the type that the header gives it, a string ends with a NUL, and what was freed is not
//! used again.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::{offset_of, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::Duration;

use crate::error::{ApiError, Error, InvalidInput};
use crate::{Login, Session, Site};

/// `FILES_SESSION_OK`; the other statuses are the numbers of [`ErrorKind`](crate::ErrorKind).
const OK: i32 = 0;

/// `FILES_SESSION_PANIC`
const PANIC: i32 = 99;

/// `files_session_options`
#[repr(C)]
pub struct Options {
    size: usize,
    base_url: *const c_char,
    username: *const c_char,
    password: *const c_char,
    otp: *const c_char,
    partial_session_id: *const c_char,
    language: *const c_char,
    ca_pem: *const c_char,
    timeout_ms: u32,
    retries: i32,
    /// C's `bool`; not Rust's, for which any byte but 0 and 1 would be undefined behaviour.
    allow_http: u8,
}

/// Where each member ends: the sizes that the options of a program can have.
const ENDS: [usize; 11] = [
    offset_of!(Options, username),
    offset_of!(Options, password),
    offset_of!(Options, otp),
    offset_of!(Options, partial_session_id),
    offset_of!(Options, language),
    offset_of!(Options, ca_pem),
    offset_of!(Options, timeout_ms),
    offset_of!(Options, retries),
    offset_of!(Options, allow_http),
    offset_of!(Options, allow_http) + 1,
    size_of::<Options>(),
];

/// `files_session`
pub struct CSession {
    session: Session,
    texts: [Option<CString>; 6],
}

/// `files_session_error`
pub struct CError {
    status: i32,
    message: CString,
    http_status: u16,
    /// What the caller can get of a refusal, and `files_session_answer` needs.
    api: Option<Box<ApiError>>,
    texts: [Option<CString>; 6],
    methods: Vec<CString>,
}

/// A string for C: a NUL inside becomes U+2400.
fn c_string(text: &str) -> CString {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    for byte in text.bytes() {
        match byte {
            0 => bytes.extend_from_slice("\u{2400}".as_bytes()),
            _ => bytes.push(byte),
        }
    }
    CString::new(bytes).unwrap_or_default()
}

fn c_strings(texts: [Option<&String>; 6]) -> [Option<CString>; 6] {
    texts.map(|text| text.map(|text| c_string(text)))
}

impl From<Session> for CSession {
    fn from(session: Session) -> Self {
        let texts = c_strings([
            Some(&session.id),
            session.language.as_ref(),
            session.login_token.as_ref(),
            session.login_token_domain.as_ref(),
            session.root_path.as_ref(),
            session.timeout_at.as_ref(),
        ]);
        CSession { session, texts }
    }
}

impl From<Error> for CError {
    fn from(error: Error) -> Self {
        let (status, message) = (error.kind() as i32, c_string(&error.to_string()));
        let (http_status, api) = match error {
            Error::UnexpectedResponse { status, .. } => (status, None),
            Error::Api(api) => (api.status, Some(api)),
            Error::InvalidInput(_) | Error::Transport(_) => (0, None),
        };
        let (mut texts, mut methods) = ([const { None }; 6], Vec::new());
        if let Some(api) = &api {
            let two_factor = api.two_factor.as_ref();
            methods.extend(two_factor.iter().flat_map(|tf| &tf.methods).map(|m| c_string(m)));
            texts = c_strings([
                api.error_type.as_ref(),
                api.title.as_ref(),
                api.request_id.as_ref(),
                two_factor.and_then(|two_factor| two_factor.partial_session_id.as_ref()),
                api.host.as_ref(),
                api.data.as_ref(),
            ]);
        }
        CError { status, message, http_status, api, texts, methods }
    }
}

impl CError {
    fn panic() -> Self {
        let message = "files-session failed on a fault of its own: please report it";
        CError { status: PANIC, message: c_string(message), ..CError::from(fault("", "")) }
    }
}

#[inline(never)]
fn fault(name: &'static str, fault: &'static str) -> Error {
    InvalidInput::Argument { name, fault }.into()
}

// Pointers come in.

/// # Safety
/// `pointer` is NULL or good for reads of a `T` for as long as `'a`.
unsafe fn reference<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T, Error> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| fault(name, "is NULL"))
}

/// # Safety
/// `pointer` is NULL or a string that ends with a NUL, unchanged for as long as `'a`.
#[inline(never)]
unsafe fn text<'a>(pointer: *const c_char, name: &'static str) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| fault(name, "is not UTF-8"))
}

/// The options, checked: what they say of the site, and the strings that say who.
struct Given<'a> {
    site: Site,
    username: Option<&'a str>,
    password: Option<&'a str>,
    otp: Option<&'a str>,
    partial_session_id: Option<&'a str>,
}

impl<'a> Given<'a> {
    /// # Safety
    /// `options` is NULL or good for reads of as many bytes as its `size` says, and its strings
    /// are as for [`text`], for as long as `'a`.
    unsafe fn read(options: *const Options) -> Result<Given<'a>, Error> {
        if options.is_null() {
            return Err(fault("options", "is NULL"));
        }
        let mut given = Options {
            size: 0,
            base_url: ptr::null(),
            username: ptr::null(),
            password: ptr::null(),
            otp: ptr::null(),
            partial_session_id: ptr::null(),
            language: ptr::null(),
            ca_pem: ptr::null(),
            timeout_ms: 0,
            retries: -1,
            allow_http: 0,
        };
        // SAFETY: whatever the rest, the size is there. No reference to the whole is made.
        let size = unsafe { (&raw const (*options).size).read() };
        if !ENDS.contains(&size) {
            let wrong = "makes no sense: start from FILES_SESSION_OPTIONS_INIT, and link a library \
                         that is not older than the header";
            return Err(fault("options.size", wrong));
        }
        // SAFETY: `options` is good for `size` bytes, `given` for no fewer, and any bytes will do
        // for its members.
        unsafe {
            ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut given).cast::<u8>(), size);
        }

        let mut texts = [
            (given.base_url, "base_url", None),
            (given.username, "username", None),
            (given.password, "password", None),
            (given.otp, "otp", None),
            (given.partial_session_id, "partial_session_id", None),
            (given.language, "language", None),
            (given.ca_pem, "ca_pem", None),
        ];
        for (pointer, name, given) in &mut texts {
            // SAFETY: the strings are as the caller promises, or NULL.
            *given = unsafe { text(*pointer, name) }?;
        }
        let [url, username, password, otp, partial_session_id, language, ca_pem] =
            texts.map(|(_, _, given)| given);
        if given.retries < -1 {
            return Err(fault("retries", "is less than -1"));
        }

        let url = url.unwrap_or("https://app.files.com");
        let mut site = match ca_pem {
            Some(pem) => Site::with_ca(url, pem)?,
            None => Site::new(url),
        };
        if let Some(language) = language {
            site = site.language(language);
        }
        if given.timeout_ms > 0 {
            site = site.timeout(Duration::from_millis(given.timeout_ms.into()));
        }
        if let Ok(retries) = u32::try_from(given.retries) {
            site = site.retries(retries);
        }
        if given.allow_http != 0 {
            site = site.allow_http();
        }
        Ok(Given { site, username, password, otp, partial_session_id })
    }

    fn login(&self) -> Result<Login<'a>, Error> {
        let username = self.username.ok_or_else(|| fault("username", "is NULL"))?;
        let mut login = match self.password {
            Some(password) => Login::new(username, password),
            None => Login::without_password(username),
        };
        if let Some(otp) = self.otp {
            login = login.otp(otp);
        }
        if let Some(id) = self.partial_session_id {
            login = login.partial_session_id(id);
        }
        Ok(login)
    }
}

// Results go out.

/// Does the work of one call, and hands out its status and its error. No panic gets past here.
///
/// # Safety
/// `error` is NULL or good for a write.
unsafe fn call(error: *mut *mut CError, work: &mut dyn FnMut() -> Result<(), Error>) -> i32 {
    // What a panic leaves half done is the caller's to free only.
    let result = catch_unwind(AssertUnwindSafe(|| work().map_err(|e| Box::new(CError::from(e)))))
        .unwrap_or_else(|_| Err(Box::new(CError::panic())));
    let status = result.as_ref().err().map_or(OK, |error| error.status);
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
unsafe fn call_for_session(
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
            if given.password.is_none() && given.partial_session_id.is_none() {
                return Err(fault("password", "is NULL"));
            }
            Session::login(&given.site, &given.login()?)
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
            let two_factor = reference(asked, "asked")?
                .api
                .as_ref()
                .and_then(|api| api.two_factor.as_ref())
                .ok_or_else(|| fault("asked", "is no error that asks for a second factor"))?;
            let code = text(code, "code")?.ok_or_else(|| fault("code", "is NULL"))?;
            Session::login(&given.site, &given.login()?.answer(two_factor, code))
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
            let id = text(id, "id")?.ok_or_else(|| fault("id", "is NULL"))?;
            Session::resume(&given.site, id)
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
    if !session.is_null() {
        // SAFETY: it came out of `Box::into_raw`, and the caller gives it back.
        drop(unsafe { Box::from_raw(session) });
    }
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_error_free(error: *mut CError) {
    if !error.is_null() {
        // SAFETY: it came out of `Box::into_raw`, and the caller gives it back.
        drop(unsafe { Box::from_raw(error) });
    }
}

/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub extern "C" fn files_session_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

// Getters

/// Defines getters: a name, the type whose pointer it takes, the type that it gives, what it gives
/// for NULL, and how it gets it.
macro_rules! getters {
    ($($name:ident($of:ty) -> $out:ty, $none:expr, $get:expr;)*) => {$(
        /// # Safety
        /// As `files_session.h` has it.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(of: *const $of) -> $out {
            let get: fn(&$of) -> $out = $get;
            // SAFETY: the caller keeps to the header.
            unsafe { of.as_ref() }.map_or($none, get)
        }
    )*};
}

#[allow(clippy::ref_option, reason = "it keeps the list of getters short")]
fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

fn yes_or_no(attribute: Option<bool>) -> c_int {
    attribute.map_or(-1, c_int::from)
}

getters! {
    files_session_id(CSession) -> *const c_char, ptr::null(), |s| pointer(&s.texts[0]);
    files_session_language(CSession) -> *const c_char, ptr::null(), |s| pointer(&s.texts[1]);
    files_session_login_token(CSession) -> *const c_char, ptr::null(), |s| pointer(&s.texts[2]);
    files_session_login_token_domain(CSession) -> *const c_char, ptr::null(), |s| pointer(&s.texts[3]);
    files_session_root_path(CSession) -> *const c_char, ptr::null(), |s| pointer(&s.texts[4]);
    files_session_timeout_at(CSession) -> *const c_char, ptr::null(), |s| pointer(&s.texts[5]);

    files_session_multiple_regions(CSession) -> c_int, -1, |s| yes_or_no(s.session.multiple_regions);
    files_session_read_only(CSession) -> c_int, -1, |s| yes_or_no(s.session.read_only);
    files_session_sftp_insecure_ciphers(CSession) -> c_int, -1, |s| yes_or_no(s.session.sftp_insecure_ciphers);
    files_session_ssl_required(CSession) -> c_int, -1, |s| yes_or_no(s.session.ssl_required);
    files_session_tls_disabled(CSession) -> c_int, -1, |s| yes_or_no(s.session.tls_disabled);
    files_session_two_factor_setup_needed(CSession) -> c_int, -1, |s| yes_or_no(s.session.two_factor_setup_needed);
    files_session_allowed_2fa_method_sms(CSession) -> c_int, -1, |s| yes_or_no(s.session.allowed_2fa_method_sms);
    files_session_allowed_2fa_method_totp(CSession) -> c_int, -1, |s| yes_or_no(s.session.allowed_2fa_method_totp);
    files_session_allowed_2fa_method_u2f(CSession) -> c_int, -1, |s| yes_or_no(s.session.allowed_2fa_method_u2f);
    files_session_allowed_2fa_method_yubi(CSession) -> c_int, -1, |s| yes_or_no(s.session.allowed_2fa_method_yubi);
    files_session_use_provided_modified_at(CSession) -> c_int, -1, |s| yes_or_no(s.session.use_provided_modified_at);
    files_session_windows_mode_ftp(CSession) -> c_int, -1, |s| yes_or_no(s.session.windows_mode_ftp);

    files_session_error_status(CError) -> i32, OK, |e| e.status;
    files_session_error_message(CError) -> *const c_char, ptr::null(), |e| e.message.as_ptr();
    files_session_error_http_status(CError) -> c_int, 0, |e| e.http_status.into();
    files_session_error_type(CError) -> *const c_char, ptr::null(), |e| pointer(&e.texts[0]);
    files_session_error_title(CError) -> *const c_char, ptr::null(), |e| pointer(&e.texts[1]);
    files_session_error_request_id(CError) -> *const c_char, ptr::null(), |e| pointer(&e.texts[2]);
    files_session_error_retry_after(CError) -> i64, -1, |e| {
        let wait = e.api.as_ref().and_then(|api| api.retry_after);
        wait.map_or(-1, |wait| i64::try_from(wait.as_secs()).unwrap_or(i64::MAX))
    };
    files_session_error_partial_session_id(CError) -> *const c_char, ptr::null(), |e| pointer(&e.texts[3]);
    files_session_error_host(CError) -> *const c_char, ptr::null(), |e| pointer(&e.texts[4]);
    files_session_error_data(CError) -> *const c_char, ptr::null(), |e| pointer(&e.texts[5]);
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_error_method(
    error: *const CError,
    i: usize,
) -> *const c_char {
    // SAFETY: the caller keeps to the header.
    let method = unsafe { error.as_ref() }.and_then(|error| error.methods.get(i));
    method.map_or(ptr::null(), |method| method.as_ptr())
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_max_dir_listing_size(
    session: *const CSession,
    out: *mut i64,
) -> bool {
    // SAFETY: the caller keeps to the header.
    unsafe { number(session, out, |session| session.max_dir_listing_size) }
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_site_id(session: *const CSession, out: *mut i64) -> bool {
    // SAFETY: the caller keeps to the header.
    unsafe { number(session, out, |session| session.site_id) }
}

/// # Safety
/// `session` is NULL or good for reads, `out` is NULL or good for a write.
unsafe fn number(
    session: *const CSession,
    out: *mut i64,
    get: fn(&Session) -> Option<i64>,
) -> bool {
    // SAFETY: as the caller promises.
    let number = unsafe { session.as_ref() }.and_then(|session| get(&session.session));
    if let Some(number) = number.filter(|_| !out.is_null()) {
        // SAFETY: it is not NULL, so it is good for a write.
        unsafe { out.write(number) };
    }
    number.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn no_panic_crosses() {
        let mut error = ptr::null_mut();
        // SAFETY: `error` is good for a write, and what comes out is freed once.
        unsafe {
            assert_eq!(call(&raw mut error, &mut || panic!("on purpose")), PANIC);
            assert_eq!(files_session_error_status(error), PANIC);
            let message = CStr::from_ptr(files_session_error_message(error)).to_str().unwrap();
            assert!(message.contains("a fault of its own"), "{message}");
            files_session_error_free(error);
            assert_eq!(call(ptr::null_mut(), &mut || panic!("on purpose")), PANIC);

            let mut session = ptr::null_mut();
            let status =
                call_for_session(&raw mut session, ptr::null_mut(), &mut || panic!("on purpose"));
            assert_eq!(status, PANIC);
            assert!(session.is_null());
        }
    }

    #[test]
    fn the_statuses_of_the_header_are_the_numbers_of_the_kinds() {
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
        let mut expected = vec![("OK".to_owned(), OK), ("PANIC".to_owned(), PANIC)];
        for kind in kinds {
            // UnexpectedResponse is UNEXPECTED_RESPONSE there.
            let mut name = String::new();
            for c in format!("{kind:?}").chars() {
                if c.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(c.to_ascii_uppercase());
            }
            expected.push((name, kind as i32));
        }
        let header = include_str!("files_session.h");
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
    fn the_options_have_the_layout_of_the_header() {
        let mut source = include_str!("files_session.h").to_owned();
        let same = |what: &str, n: usize| format!("_Static_assert({what} == {n}, \"{what}\");\n");
        source += &same("sizeof(files_session_options)", size_of::<Options>());
        macro_rules! same_offset {
            ($($member:ident)*) => {$(
                let member = stringify!($member);
                let what = format!("offsetof(files_session_options, {member})");
                source += &same(&what, offset_of!(Options, $member));
                let what = format!("sizeof(((files_session_options *)0)->{member})");
                source += &same(&what, { fn of<T>(_: fn(&Options) -> &T) -> usize { size_of::<T>() } of(|o| &o.$member) });
            )*};
        }
        same_offset! {
            size base_url username password otp partial_session_id language ca_pem timeout_ms
            retries allow_http
        }
        let file =
            std::env::temp_dir().join(format!("files_session_layout_{}.c", std::process::id()));
        std::fs::write(&file, source).unwrap();
        let compiler = std::env::var_os("CC").unwrap_or("cc".into());
        let output = std::process::Command::new(compiler)
            .args(["-std=c11", "-fsyntax-only"])
            .arg(&file)
            .output()
            .expect("a C compiler");
        std::fs::remove_file(file).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn a_nul_inside_a_string_cuts_nothing_off() {
        assert_eq!(c_string("a\0b\0").to_str(), Ok("a\u{2400}b\u{2400}"));
        assert_eq!(c_string("").to_str(), Ok(""));
    }

    #[test]
    fn the_version_of_the_header_is_the_crates() {
        let header = include_str!("files_session.h");
        let (major, minor, patch) = (
            env!("CARGO_PKG_VERSION_MAJOR"),
            env!("CARGO_PKG_VERSION_MINOR"),
            env!("CARGO_PKG_VERSION_PATCH"),
        );
        for line in [
            format!("#define FILES_SESSION_VERSION_MAJOR {major}\n"),
            format!("#define FILES_SESSION_VERSION_MINOR {minor}\n"),
            format!("#define FILES_SESSION_VERSION_PATCH {patch}\n"),
            format!("#define FILES_SESSION_VERSION \"{major}.{minor}.{patch}\"\n"),
        ] {
            assert!(header.contains(&line), "{line}");
        }
    }
}
