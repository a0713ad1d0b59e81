//! Arguments and settings that can't be used.

use std::fmt;

use super::caller::Caller;
use crate::text::Shown;

/// Which argument or setting is unusable, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InvalidInput {
    /// The address has another scheme than https or http.
    Scheme(String),
    /// The address has a user name or a password in it.
    UserInfo,
    /// The address has this part beyond an origin.
    NotAnOrigin(&'static str),
    /// The address has no host, or one that is no host name and no IP address.
    Host(String),
    /// The address has a port that is not a number from 1 to 65535.
    Port(String),
    /// Plain http to a host that is not this machine.
    PlainHttp(String),
    /// https, but the crate was built without TLS.
    NoTls,
    /// The setting is no proxy that can be used.
    Proxy { setting: &'static str, fault: &'static str },
    /// ureq can't work with its configuration.
    Config(String),
    /// The language is not a valid header value.
    Language,
    /// The session id is not a valid header value.
    SessionId,
    /// An argument of the C ABI is missing or unusable.
    #[cfg(feature = "capi")]
    Argument { name: &'static str, fault: &'static str },
}

impl InvalidInput {
    pub(super) fn write(&self, caller: Caller, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidInput::Scheme(scheme) => {
                write!(f, "the address of the site has the scheme {}: use https", Shown(scheme))
            }
            InvalidInput::UserInfo => f.write_str(
                "the address of the site has a user name or a password in it: \
                 pass them to the login",
            ),
            InvalidInput::NotAnOrigin(part) => write!(
                f,
                "the address of the site has a {part}: give only scheme and host, \
                 such as https://mysite.files.com"
            ),
            InvalidInput::Host(host) if host.is_empty() => f.write_str(
                "the address of the site has no host: write it as https://mysite.files.com",
            ),
            InvalidInput::Host(host) => write!(
                f,
                "'{}' is not a host name or IP address: \
                 write the site as https://mysite.files.com",
                Shown(host)
            ),
            InvalidInput::Port(port) => write!(
                f,
                "the address of the site has the port '{}': it must be a number from 1 to 65535",
                Shown(port)
            ),
            InvalidInput::PlainHttp(host) => write!(
                f,
                "plain http would send a password or a session id to {} unprotected: use https, \
                 or set {} if that is meant",
                Shown(host),
                caller.name("allow_http()", "allow_http")
            ),
            InvalidInput::NoTls => write!(
                f,
                "https needs TLS, and files-session was built without it: {}",
                caller.name(
                    "turn on its feature rustls, platform-verifier or native-tls",
                    "build the library with its default features"
                )
            ),
            InvalidInput::Proxy { setting, fault } => write!(f, "{setting} {fault}"),
            InvalidInput::Config(why) => {
                write!(f, "the configuration can't be used: {}", Shown(why))
            }
            InvalidInput::Language => f.write_str(
                "the language is not a valid header value: \
                 give a tag, or several, such as de or de,en;q=0.5",
            ),
            InvalidInput::SessionId => f.write_str(
                "the session id is not a valid header value (it is empty, longer than 4 KiB, or \
                 has white space, a control character or a non-ASCII one in it): give the id as \
                 the login returned it",
            ),
            #[cfg(feature = "capi")]
            InvalidInput::Argument { name, fault } => write!(f, "{name} {fault}"),
        }
    }
}
