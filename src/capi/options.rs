//! `files_session_options`: checked, and turned into a site and a login.

use std::ffi::{CStr, c_char};
use std::mem::size_of;
use std::slice;
use std::time::Duration;

use super::edge::{guard, required, utf8};
use super::{CCanceller, invalid_argument};
use crate::error::Error;
use crate::login::Login;
use crate::site::Site;

/// `files_session_options`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Options {
    size: usize,
    base_url: *const c_char,
    username: *const c_char,
    password: *const c_char,
    otp: *const c_char,
    partial_session_id: *const c_char,
    language: *const c_char,
    user_agent: *const c_char,
    ca_pem: *const c_char,
    proxy: *const c_char,
    canceller: *const CCanceller,
    timeout_ms: u32,
    connect_timeout_ms: u32,
    retries: i32,
    allow_http: u32,
}

// Programs compiled today would leave padding unset, and a later version might read a new member
// there.
const _: () = assert!(
    size_of::<Options>()
        == size_of::<usize>() + 10 * size_of::<*const c_char>() + 4 * size_of::<u32>()
);

/// A larger size is assumed to be garbage: it is rejected, and nothing more is read.
const MAX_SIZE: usize = 4096;

impl Options {
    /// Copies the options, after a check of their size.
    ///
    /// # Safety
    /// `options` is NULL or valid for reads of as many bytes as its `size` says.
    pub(super) unsafe fn read(options: *const Options) -> Result<Options, Error> {
        if options.is_null() {
            return Err(invalid_argument("options", "is NULL"));
        }
        // SAFETY: at least the member `size` can be read. No reference to the whole is made.
        let size = unsafe { (&raw const (*options).size).read() };
        if !(size_of::<Options>()..=MAX_SIZE).contains(&size) {
            let reason = "is not sizeof(files_session_options): start from \
                          FILES_SESSION_OPTIONS_INIT or files_session_options_init";
            return Err(invalid_argument("options.size", reason));
        }
        // SAFETY: `options` is valid for `size` bytes, and the struct has no more.
        let (options, unknown) = unsafe {
            let end = options.add(1).cast::<u8>();
            (options.read(), slice::from_raw_parts(end, size - size_of::<Options>()))
        };
        if unknown.iter().any(|byte| *byte != 0) {
            let reason = "is larger than this library's, and an option that this version doesn't \
                          know is set: link a library that is not older than the header";
            return Err(invalid_argument("options.size", reason));
        }
        Ok(options)
    }

    /// Where to log in, and how to reach it.
    ///
    /// # Safety
    /// The pointers are NULL or as the header requires.
    pub(super) unsafe fn site(&self) -> Result<Site, Error> {
        // SAFETY: as the caller promises.
        let text = |pointer, name| unsafe { utf8(pointer, name) };
        let mut site = text(self.base_url, "base_url")?.map_or_else(Site::default, Site::new);
        if let Some(language) = text(self.language, "language")? {
            site = site.language(language);
        }
        if let Some(user_agent) = text(self.user_agent, "user_agent")? {
            site = site.user_agent(user_agent);
        }
        if !self.ca_pem.is_null() {
            // SAFETY: it is not NULL, so it is a string that ends with a NUL.
            site = match unsafe { CStr::from_ptr(self.ca_pem) }.to_bytes() {
                b"system" => site.system_roots(),
                pem => site.ca_pem_bytes(pem),
            };
        }
        site = match text(self.proxy, "proxy")? {
            None => site,
            Some("") => site.no_proxy(),
            Some(url) => site.proxy(url),
        };
        // SAFETY: as the caller promises.
        if let Some(canceller) = unsafe { self.canceller.as_ref() } {
            site = site.canceller(&canceller.0);
        }
        if self.timeout_ms > 0 {
            site = site.timeout(Duration::from_millis(self.timeout_ms.into()));
        }
        if self.connect_timeout_ms > 0 {
            site = site.connect_timeout(Duration::from_millis(self.connect_timeout_ms.into()));
        }
        if self.retries != 0 {
            site = site.retries(u32::try_from(self.retries).unwrap_or(0));
        }
        Ok(if self.allow_http == 0 { site } else { site.allow_http() })
    }

    /// Who logs in. [`require_credentials`] checks whether that is enough.
    ///
    /// # Safety
    /// The strings are NULL or as the header requires, unchanged for as long as `'a`.
    pub(super) unsafe fn login<'a>(&self) -> Result<Login<'a>, Error> {
        // SAFETY: as the caller promises.
        let text = |pointer, name| unsafe { utf8(pointer, name) };
        // SAFETY: as the caller promises.
        let username = unsafe { required(self.username, "username") }?;
        let mut login = match text(self.password, "password")? {
            Some(password) => Login::new(username, password),
            None => Login::without_password(username),
        };
        if let Some(otp) = text(self.otp, "otp")? {
            login = login.otp(otp);
        }
        if let Some(id) = text(self.partial_session_id, "partial_session_id")? {
            login = login.partial_session_id(id);
        }
        Ok(login)
    }
}

/// Rejects a login without credentials.
pub(super) fn require_credentials(login: Login) -> Result<Login, Error> {
    let login = Some(login).filter(Login::has_credentials);
    login.ok_or_else(|| invalid_argument("password", "is NULL, but required"))
}

/// # Safety
/// See `files_session.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_options_init(options: *mut Options, size: usize) {
    guard((), || {
        if !options.is_null() && size >= size_of::<usize>() {
            // SAFETY: it is not NULL, so `size` bytes may be overwritten, and the size itself fits
            // into them.
            unsafe {
                options.cast::<u8>().write_bytes(0, size);
                options.cast::<usize>().write(size);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::mem::offset_of;
    use std::process::{Command, Stdio};

    use super::*;

    /// Compiles the header and these lines. `Err` is the compiler's output.
    fn compile(flags: &[&str], lines: &str) -> Result<(), String> {
        let compiler = std::env::var_os("CC").unwrap_or("cc".into());
        let mut child = Command::new(compiler)
            .args(["-std=c11", "-fsyntax-only", "-xc", "-"])
            .args(flags)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a C compiler");
        let source = include_str!("../files_session.h").to_owned() + lines;
        child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = || String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or_else(stderr)
    }

    #[test]
    fn the_options_have_the_layout_of_the_header_on_64_and_32_bit() {
        // Each member, its size in C (`word` is that of a pointer), and its offset in Rust.
        macro_rules! members {
            ($word:ident: $($member:ident $size:expr,)*) => {
                |$word: usize| [$((stringify!($member), $size, offset_of!(Options, $member)),)*]
            };
        }
        let members = members! { word:
            size word,
            base_url word, username word, password word, otp word, partial_session_id word,
            language word, user_agent word, ca_pem word, proxy word, canceller word,
            timeout_ms 4, connect_timeout_ms 4, retries 4, allow_http 4,
        };
        // Freestanding, so that no C library for 32 bit is needed.
        let m32 = ["-m32", "-ffreestanding"];
        let native = size_of::<usize>();
        for word in [native, 4] {
            let mut lines = String::new();
            let mut assert_equal = |what: String, n| {
                writeln!(lines, "_Static_assert({what} == {n}, \"{what} == {n}\");").unwrap();
            };
            let mut end = 0;
            for (member, size, offset) in members(word) {
                if word == native {
                    assert_eq!(offset, end, "{member}");
                }
                assert_equal(format!("offsetof(files_session_options, {member})"), end);
                assert_equal(format!("sizeof(((files_session_options *)0)->{member})"), size);
                end += size;
            }
            assert_equal("sizeof(files_session_options)".to_owned(), end);
            if word == native {
                assert_eq!(size_of::<Options>(), end);
                compile(&[], &lines).unwrap_or_else(|stderr| panic!("{stderr}"));
            } else if let Err(stderr) = compile(&m32, "") {
                // Past the test runner's capture.
                let _ = writeln!(
                    std::io::stderr(),
                    "\n*** NOT TESTED, cc -m32 does not work: the options on 32 bit\n{stderr}"
                );
                assert!(std::env::var_os("CI").is_none(), "cc -m32 does not work");
            } else {
                compile(&m32, &lines).unwrap_or_else(|stderr| panic!("{stderr}"));
            }
        }
    }

    #[test]
    fn a_wrong_layout_would_be_noticed() {
        let wrong = "_Static_assert(sizeof(files_session_options) == 1, \"on purpose\");";
        assert!(compile(&[], wrong).unwrap_err().contains("on purpose"));
    }
}
