//! A blocking client that logs in to Files.com and logs out again.
//!
//! [`Session::login`] turns a user name and a password into a [`Session`], and [`Session::logout`]
//! ends it. [`Session::auth_header`] authenticates all other API requests, with any HTTP client.
//! [`Site`] has the address and all settings; [`Login`] has the credentials.
//!
//! ```no_run
//! use files_session::{Login, Session, Site};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let site = Site::new("https://mysite.files.com");
//!     let session = Session::login(&site, &Login::new("username", "password"))?;
//!     let (name, value) = session.auth_header();
//!     let request = ureq::get(format!("{}/api/rest/v1/folders", session.base_url()));
//!     let folders = request.header(name, value).call();
//!     session.logout()?; // dropping it does not log out
//!     println!("{}", folders?.body_mut().read_to_string()?);
//!     Ok(())
//! }
//! ```
//!
//! A call that fails returns an [`Error`], whose text is one sentence for people. Its
//! [`kind`](Error::kind) is an [`ErrorKind`] for a `match`. [`ApiError`] has the facts of a site's
//! refusal. If the site asks for a second factor, [`Error::two_factor`] returns a [`TwoFactor`],
//! and [`Login::answer`] builds the second request from it. A [`Canceller`] ends calls from another
//! thread.
//!
//! # What a call promises
//!
//! - **Time.** A call ends within [`timeout`](Site::timeout): all addresses, retries and waits
//!   included, however slowly the peer, a proxy or the network sends. After the lookup, a
//!   connection is made within [`connect_timeout`](Site::connect_timeout). While retries remain, an
//!   attempt of a logout gets half of the remaining time, unless the wait after it would not fit
//!   into the other half. An error names the limit that expired.
//! - **Addresses.** All addresses of a name are tried, the families in turn. If one fails, the next
//!   is tried. One that is silent for a second gives way to the next, and is tried again later, for
//!   twice as long. A name is looked up for each new connection; nothing is cached.
//! - **Packets.** A request of up to 5 KiB is sent in one write. Over TLS 1.3, the end of the
//!   handshake goes with it. A response to a half-sent request is read even if the peer has closed
//!   the connection, unless the system discarded it.
//! - **Size.** A response has at most 16 KiB of header (128 fields) and 64 KiB of body (about 4,000
//!   JSON values). These limits also bound the memory of a call. On 64-bit Linux with rustls and
//!   the built-in roots, an open session holds at most 36 KB of heap over http, and 100 KB over
//!   https with an ordinary certificate chain. All sessions of a `Site` share one TLS
//!   configuration.
//! - **Connection.** Each session has its own connection, which no other session shares. The logout
//!   reuses it if it was idle for less than 15 s, and closes it. Bytes that are received before a
//!   request is sent are never taken for its response.
//! - **Hosts.** A password or a session id goes only to the host that the caller named, with one
//!   exception: regions. No redirect is followed.
//! - **Regions.** If a response over https reports that the user or site belongs to another region,
//!   and names a host under `files.com`, the request is sent once more, to that host. After a login,
//!   [`Session::base_url`] returns its origin.
//! - **https.** Plain http is accepted for loopback hosts (`localhost`, `127.0.0.0/8`, `[::1]`), and
//!   for others only after [`allow_http`](Site::allow_http). `localhost` is never looked up.
//! - **Proxies.** The environment's proxy is used, much as in curl, but never for loopback hosts.
//!   An invalid proxy address is an error, and never leads to a direct connection.
//! - **Logins** are sent once. They are retried only if no connection could be made. Any response
//!   except a region mismatch ends the call, even a 429 or 503.
//! - **Logouts** are also retried after a broken or missing response, and after 429 and any 5xx
//!   (except `site-disabled`). If an earlier attempt may have succeeded, "no such session" counts
//!   as success.
//! - **Retries.** 3 by default, after 0.5, 1 and 2 s with jitter, or later if `Retry-After` says so.
//!   A logout that finds the login's connection closed uses a new one at once; that is not counted
//!   as a retry.
//! - **Second factors.** For a code from a Yubikey, U2F or `WebAuthn` device, [`Login::answer`]
//!   sends the partial session id, if there is one, instead of the password.
//! - **Threads.** No thread outlives a call, except a name lookup that hangs or was cancelled.
//! - **Panics.** No input and no server can cause one. The one exception is a program that installs
//!   a process-wide `rustls::crypto::CryptoProvider` that lacks cipher suites or key exchanges.
//!
//! # Features, minimum Rust version
//!
//! | feature | meaning |
//! | --- | --- |
//! | `rustls` (default) | https with rustls and Mozilla's roots, which are built in |
//! | `platform-verifier` | with rustls: [`Site::system_roots`]; the feature alone changes nothing |
//! | `native-tls` | https with the system's TLS library and roots, if rustls is off |
//! | `capi` | the C ABI of `src/files_session.h`; enable it only to build the C library |
//!
//! The minimum Rust version is 1.85.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
compile_error!("files-session needs sockets and threads, which wasm32-unknown-unknown lacks");

mod base_url;
mod call;
mod canceller;
#[cfg(feature = "capi")]
mod capi;
mod connection;
mod error;
mod input;
mod json;
mod limits;
mod login;
mod lookup;
mod proxy;
mod request;
mod response;
mod session;
mod site;
mod socket;
mod text;
mod tls;

pub use canceller::Canceller;
pub use error::{ApiError, Error, ErrorKind, TwoFactor};
pub use login::Login;
pub use session::Session;
pub use site::Site;

/// The README's programs are doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use super::*;

    #[test]
    fn public_types_are_send_sync_and_unwind_safe() {
        fn check<T: Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}
        check::<Session>();
        check::<Site>();
        check::<Error>();
        check::<ErrorKind>();
        check::<ApiError>();
        check::<TwoFactor>();
        check::<Login<'static>>();
        check::<Canceller>();
    }

    #[test]
    fn an_error_has_the_size_of_a_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
