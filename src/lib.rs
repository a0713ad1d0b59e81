//! A blocking client that logs in to Files.com and logs out again.
//!
//! [`Session::login`] turns a user name and a password into a [`Session`], and [`Session::logout`]
//! ends it. [`Session::auth_header`] authenticates all other API requests, with any HTTP client.
//! [`Site`] is where to log in, with all settings; [`Login`] is who logs in.
//!
//! ```no_run
//! use files_session::{Login, Session, Site};
//!
//! fn main() -> Result<(), files_session::Error> {
//!     let site = Site::new("https://mysite.files.com");
//!     let session = Session::login(&site, &Login::new("username", "password"))?;
//!     println!("{:?}", session.root_path);
//!     session.logout()
//! }
//! ```
//!
//! A call that fails returns an [`Error`], whose text is one sentence for people. Its
//! [`kind`](Error::kind) is an [`ErrorKind`] for a `match`. [`ApiError`] has the facts of a site's
//! refusal. If the site asks for a second factor, [`Error::two_factor`] returns a [`TwoFactor`],
//! and [`Login::answer`] builds the second request from it. A [`Canceller`] ends calls from another
//! thread.
//!
//! The README states what a call promises: its time limits, what it reads, where a password may go,
//! and what is retried. The C ABI (feature `capi`) is documented in `src/files_session.h`.

mod base_url;
mod canceller;
#[cfg(feature = "capi")]
mod capi;
mod connect;
mod error;
mod json;
mod limits;
mod login;
mod proxy;
mod request;
mod response;
mod retry;
mod session;
mod site;
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
