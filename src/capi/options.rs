//! `files_session_options`: checked, and turned into a site and a login.

use std::ffi::{CStr, c_char};
use std::mem::size_of;
use std::slice;
use std::time::Duration;

use super::edge::{c_str, guard, required, utf8};
use super::fault;
use crate::error::Error;
use crate::login::Login;
use crate::site::{Site, agent_config};

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
    ca_pem: *const c_char,
    proxy: *const c_char,
    timeout_ms: u32,
    connect_timeout_ms: u32,
    retries: i32,
    allow_http: u32,
}

// No padding: a program that was compiled today leaves no byte unset in which a later version
// could look for a new member.
const _: () = assert!(
    size_of::<Options>()
        == size_of::<usize>() + 8 * size_of::<*const c_char>() + 4 * size_of::<u32>()
);

/// A larger size than this is garbage, and is not followed into memory.
const MAX_SIZE: usize = 4096;

/// The options of a call, as Rust sees them.
pub(super) struct Given<'a> {
    base_url: Option<&'a CStr>,
    username: Option<&'a CStr>,
    password: Option<&'a CStr>,
    otp: Option<&'a CStr>,
    partial_session_id: Option<&'a CStr>,
    language: Option<&'a CStr>,
    ca_pem: Option<&'a CStr>,
    proxy: Option<&'a CStr>,
    timeout_ms: u32,
    connect_timeout_ms: u32,
    retries: i32,
    allow_http: u32,
}

impl<'a> Given<'a> {
    /// # Safety
    /// `options` is NULL or good for reads of as many bytes as its `size` says, and its strings
    /// are NULL or end with a NUL, all of it unchanged for as long as `'a`.
    pub(super) unsafe fn read(options: *const Options) -> Result<Given<'a>, Error> {
        if options.is_null() {
            return Err(fault("options", "is NULL"));
        }
        // SAFETY: whatever the rest, the size is there. No reference to the whole is made.
        let size = unsafe { (&raw const (*options).size).read() };
        if !(size_of::<Options>()..=MAX_SIZE).contains(&size) {
            let wrong = "is not sizeof(files_session_options): start from \
                         FILES_SESSION_OPTIONS_INIT or files_session_options_init";
            return Err(fault("options.size", wrong));
        }
        // SAFETY: `options` is good for `size` bytes, and they are no fewer than the struct's.
        let (options, unknown) = unsafe {
            let end = options.add(1).cast::<u8>();
            (options.read(), slice::from_raw_parts(end, size - size_of::<Options>()))
        };
        if unknown.iter().any(|byte| *byte != 0) {
            let wrong = "is larger than this library knows, and there is an option set behind what \
                         it knows: link a library that is not older than the header";
            return Err(fault("options.size", wrong));
        }
        // SAFETY: the strings are as the caller promises.
        unsafe {
            Ok(Given {
                base_url: c_str(options.base_url),
                username: c_str(options.username),
                password: c_str(options.password),
                otp: c_str(options.otp),
                partial_session_id: c_str(options.partial_session_id),
                language: c_str(options.language),
                ca_pem: c_str(options.ca_pem),
                proxy: c_str(options.proxy),
                timeout_ms: options.timeout_ms,
                connect_timeout_ms: options.connect_timeout_ms,
                retries: options.retries,
                allow_http: options.allow_http,
            })
        }
    }

    /// Where, and how to get there.
    pub(super) fn site(&self) -> Result<Site, Error> {
        let mut site = utf8(self.base_url, "base_url")?.map_or_else(Site::default, Site::new);
        if let Some(language) = utf8(self.language, "language")? {
            site = site.language(language);
        }
        if self.timeout_ms > 0 {
            site = site.timeout(milliseconds(self.timeout_ms));
        }
        if self.retries != 0 {
            site = site.retries(u32::try_from(self.retries).unwrap_or(0));
        }
        match self.allow_http {
            0 => {}
            1 => site = site.allow_http(),
            _ => return Err(fault("allow_http", "is neither 0 nor 1")),
        }
        self.configure(site)
    }

    /// Sets what is ureq's to keep.
    fn configure(&self, site: Site) -> Result<Site, Error> {
        let ca_pem = utf8(self.ca_pem, "ca_pem")?;
        let proxy = utf8(self.proxy, "proxy")?;
        if ca_pem.is_none() && proxy.is_none() && self.connect_timeout_ms == 0 {
            return Ok(site);
        }
        let mut config = agent_config();
        if let Some(pem) = ca_pem {
            #[cfg(feature = "_tls")]
            {
                let roots = crate::tls::roots_of(pem).map_err(|wrong| fault("ca_pem", wrong))?;
                config = config.tls_config(crate::tls::config(roots));
            }
            #[cfg(not(feature = "_tls"))]
            {
                let _ = pem;
                return Err(fault("ca_pem", "needs TLS, and this library was built without it"));
            }
        }
        config = match proxy {
            None => config,
            Some("") => config.proxy(None),
            Some(address) => config.proxy(Some(crate::proxy::parse("proxy", address)?)),
        };
        if self.connect_timeout_ms > 0 {
            config = config.timeout_connect(Some(milliseconds(self.connect_timeout_ms)));
        }
        Ok(site.config(config.build()))
    }

    /// Who; [`complete`] says whether it is enough to log in with.
    pub(super) fn login(&self) -> Result<Login<'a>, Error> {
        let username = required(self.username, "username")?;
        let mut login = match utf8(self.password, "password")? {
            Some(password) => Login::new(username, password),
            None => Login::without_password(username),
        };
        if let Some(otp) = utf8(self.otp, "otp")? {
            login = login.otp(otp);
        }
        if let Some(id) = utf8(self.partial_session_id, "partial_session_id")? {
            login = login.partial_session_id(id);
        }
        Ok(login)
    }
}

/// A login that has what proves who the user is.
pub(super) fn complete(login: Login) -> Result<Login, Error> {
    if login.is_complete() { Ok(login) } else { Err(fault("password", "is NULL")) }
}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// # Safety
/// As `files_session.h` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn files_session_options_init(options: *mut Options, size: usize) {
    guard((), || {
        if !options.is_null() && size >= size_of::<usize>() {
            // SAFETY: it is not NULL, so `size` bytes from there on are the caller's to overwrite,
            // and the size itself fits into them.
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

    /// Compiles the header and these lines. `Err` is what the compiler said.
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
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or_else(said)
    }

    #[test]
    fn the_options_have_the_layout_of_the_header_on_64_and_32_bit() {
        // Each member with its size in C where `word` is that of a pointer, and its place in Rust.
        macro_rules! members {
            ($word:ident: $($member:ident $size:expr,)*) => {
                |$word: usize| [$((stringify!($member), $size, offset_of!(Options, $member)),)*]
            };
        }
        let members = members! { word:
            size word,
            base_url word, username word, password word, otp word, partial_session_id word,
            language word, ca_pem word, proxy word,
            timeout_ms 4, connect_timeout_ms 4, retries 4, allow_http 4,
        };
        let native = size_of::<usize>();
        for word in [native, 4] {
            let mut lines = String::new();
            let mut same = |what: String, n| {
                writeln!(lines, "_Static_assert({what} == {n}, \"{what} == {n}\");").unwrap();
            };
            let mut end = 0;
            for (member, size, offset) in members(word) {
                if word == native {
                    assert_eq!(offset, end, "{member}");
                }
                same(format!("offsetof(files_session_options, {member})"), end);
                same(format!("sizeof(((files_session_options *)0)->{member})"), size);
                end += size;
            }
            same("sizeof(files_session_options)".to_owned(), end);
            if word == native {
                assert_eq!(size_of::<Options>(), end);
                compile(&[], &lines).unwrap_or_else(|said| panic!("{said}"));
            } else if let Err(said) = compile(&["-m32"], "") {
                // Past the test runner's capture.
                let _ = writeln!(
                    std::io::stderr(),
                    "\n*** NOT TESTED, cc -m32 does not work: the options on 32 bit\n{said}"
                );
                assert!(std::env::var_os("CI").is_none(), "cc -m32 does not work");
            } else {
                compile(&["-m32"], &lines).unwrap_or_else(|said| panic!("{said}"));
            }
        }
    }

    #[test]
    fn a_wrong_layout_would_be_noticed() {
        let wrong = "_Static_assert(sizeof(files_session_options) == 1, \"on purpose\");";
        assert!(compile(&[], wrong).unwrap_err().contains("on purpose"));
    }
}
