//! Where to log in, and how to get there.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ureq::config::ConfigBuilder;
use ureq::http::{HeaderValue, Uri};
use ureq::typestate::AgentScope;
use ureq::{Agent, Proxy};

use crate::connect;
use crate::error::InvalidInput;
use crate::send::RETRIES;
#[cfg(feature = "_tls")]
use crate::tls;

/// Behind the origin of a site, the path of the two calls.
const API: &str = "/api/rest/v1";

/// The time limit of a call, unless one is set.
const LIMIT: Duration = Duration::from_secs(60);

/// The time limit for making a connection (name look-up, proxy and TLS included).
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// More than any caller waits; what is longer is cut to this, so that no sum of times overflows.
const LONGEST_LIMIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The most that is read of an answer's header, in bytes.
pub(crate) const MOST_HEADER: usize = 64 * 1024;

/// A Files.com site: where to log in, and how to reach it.
///
/// Cheap to clone; clones share one pool of connections. Nothing is checked and nothing is sent
/// before the first call: an address that can't be used is that call's
/// [`Error::InvalidInput`](crate::Error::InvalidInput).
///
/// ```
/// use files_session::Site;
/// use std::time::Duration;
///
/// let site = Site::new("https://mysite.files.com")
///     .timeout(Duration::from_secs(20))
///     .language("de");
/// ```
#[derive(Clone)]
pub struct Site {
    base: Arc<Result<Base, InvalidInput>>,
    language: Option<Result<HeaderValue, InvalidInput>>,
    agent: Agent,
    own_agent: bool,
    timeout: Option<Duration>,
    retries: u32,
    allow_http: bool,
    distrusted: Arc<AtomicBool>,
}

/// The origin of a site, checked.
struct Base {
    /// The address of the two calls, path included.
    endpoint: Uri,
    https: bool,
    loopback: bool,
}

impl Site {
    /// The site at `url`: an origin such as `https://mysite.files.com`, or a custom domain.
    ///
    /// Without a scheme, `https` is meant. A `/` or `/api/rest/v1` at the end is tolerated; user
    /// info, any other path, a query or a fragment is not.
    ///
    /// A site's own subdomain is a better address than `https://app.files.com`: a failed login
    /// then shows in that site's log.
    #[must_use]
    pub fn new(url: impl AsRef<str>) -> Self {
        Site::with_agent(url.as_ref(), connect::agent(agent_config().build()))
    }

    /// The site at `url`, where only the certificates in `pem` are trusted.
    #[cfg(feature = "capi")]
    pub(crate) fn with_ca(url: &str, pem: &str) -> Result<Self, InvalidInput> {
        #[cfg(feature = "_tls")]
        let config = tls::roots_of(pem).map(|roots| agent_config().tls_config(tls::config(roots)));
        #[cfg(not(feature = "_tls"))]
        let config = {
            let _ = pem;
            Err::<ConfigBuilder<AgentScope>, _>("needs TLS, and files-session was built without")
        };
        let config = config.map_err(|fault| InvalidInput::Argument { name: "ca_pem", fault })?;
        Ok(Site::with_agent(url, connect::agent(config.build())))
    }

    fn with_agent(url: &str, agent: Agent) -> Self {
        Site {
            base: Arc::new(Base::parse(url)),
            language: None,
            agent,
            own_agent: false,
            timeout: None,
            retries: RETRIES,
            allow_http: false,
            distrusted: Arc::default(),
        }
    }

    /// Sets the time limit of a call, everything included: looking up the name, connecting,
    /// waiting between retries, reading the answer. Default: the agent's `timeout_global`, which
    /// is 60 s in [`agent_config`].
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets the language of the messages that the site sends, as in `Accept-Language`: `"de"`.
    /// Default: none is asked for, and the site chooses.
    #[must_use]
    pub fn language(mut self, tag: impl AsRef<str>) -> Self {
        let (tag, lengths) = (tag.as_ref(), 1..=256);
        let fits = tag.is_ascii() && lengths.contains(&tag.len());
        let value = HeaderValue::from_str(tag).ok().filter(|_| fits);
        self.language = Some(value.ok_or(InvalidInput::Language));
        self
    }

    /// Sets how often a call is tried again, at most. Default: 3; 0 means never.
    ///
    /// A login is only tried again where the first try surely did not reach the site.
    #[must_use]
    pub fn retries(mut self, n: u32) -> Self {
        self.retries = n;
        self
    }

    /// Sets the agent that makes the connections, for a proxy, a private CA, a client certificate;
    /// build it from [`agent_config`]. Default: an agent of this library's own.
    ///
    /// Whatever the agent's configuration says, no redirect is followed, and the bounds hold. An
    /// agent that is made from a configuration is taken for that: the connections are then this
    /// library's own, and in a pool of its own. One with a connector or a resolver of its own
    /// ([`Agent::with_parts`]) is used as it is, its pool included.
    #[must_use]
    pub fn agent(mut self, agent: Agent) -> Self {
        self.agent = connect::adopt(agent);
        self.own_agent = true;
        self
    }

    /// Allows plain http to any host. Default: only to a loopback host (`localhost`,
    /// `127.0.0.0/8`, `[::1]`), and to that only over a connection that stays on this machine: a
    /// proxy is then only used if it is on a loopback host itself.
    ///
    /// The password and the session id then cross the network readable for anyone.
    #[must_use]
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// The same site at another host, over https.
    pub(crate) fn at(&self, host: &str) -> Self {
        Site { base: Arc::new(Base::parse(host)), ..self.clone() }
    }

    /// The address of the two calls, if all that was set can be used.
    pub(crate) fn endpoint(&self) -> Result<&Uri, InvalidInput> {
        let base = (*self.base).as_ref().map_err(Clone::clone)?;
        if base.https && !cfg!(feature = "_tls") && !self.own_agent {
            return Err(InvalidInput::NoTls);
        }
        if !base.https && !base.loopback && !self.allow_http {
            return Err(InvalidInput::PlainHttp(self.host()));
        }
        Ok(&base.endpoint)
    }

    /// Host and port, for messages.
    pub(crate) fn host(&self) -> String {
        let authority = (*self.base).as_ref().ok().and_then(|base| base.endpoint.authority());
        authority.map(ToString::to_string).unwrap_or_default()
    }

    pub(crate) fn accept_language(&self) -> Result<Option<&HeaderValue>, InvalidInput> {
        self.language.as_ref().map(Result::as_ref).transpose().map_err(Clone::clone)
    }

    pub(crate) fn http_agent(&self) -> &Agent {
        &self.agent
    }

    pub(crate) fn most_retries(&self) -> u32 {
        self.retries
    }

    /// The time limit of a call.
    pub(crate) fn limit(&self) -> Duration {
        let global = || self.agent.config().timeouts().global;
        self.timeout.or_else(global).unwrap_or(LIMIT).min(LONGEST_LIMIT)
    }

    /// Notes that an idle connection may have bytes on it that belong to no answer.
    pub(crate) fn distrust_idle_connections(&self) {
        self.distrusted.store(true, Ordering::Relaxed);
    }

    /// Whether the next request must not go over an idle connection. Asking resets it, because
    /// that request drops them all.
    pub(crate) fn takes_fresh_connection(&self) -> bool {
        self.distrusted.swap(false, Ordering::Relaxed)
    }

    /// Whether the agent's proxy must be passed by: what goes to a loopback host unprotected,
    /// because it stays on this machine, would not stay there.
    pub(crate) fn passes_proxy_by(&self) -> bool {
        let in_the_clear = (*self.base).as_ref().is_ok_and(|base| !base.https) && !self.allow_http;
        let elsewhere = |proxy: &Proxy| !is_loopback(proxy.host());
        in_the_clear && self.agent.config().proxy().is_some_and(elsewhere)
    }
}

impl Default for Site {
    /// `https://app.files.com`, where any user of any site can log in.
    fn default() -> Self {
        Site::new("https://app.files.com")
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("base", &(*self.base).as_ref().map(|base| &base.endpoint))
            .field("language", &self.language)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

impl Base {
    fn parse(url: &str) -> Result<Base, InvalidInput> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return Err(InvalidInput::Scheme(scheme.to_owned()));
        }
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        // Before anything else, so that no message shows what stands there.
        if rest.contains('@') {
            return Err(InvalidInput::UserInfo);
        }
        let path = &rest[authority.len()..];
        if path.contains('#') {
            return Err(InvalidInput::NotAnOrigin { part: "fragment" });
        }
        if path.contains('?') {
            return Err(InvalidInput::NotAnOrigin { part: "query" });
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() && path != API {
            return Err(InvalidInput::NotAnOrigin { part: "path" });
        }

        // The colon of a port is the one behind a bracket, or else the only one.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if !is_host(host) {
            return Err(InvalidInput::Host(host.to_owned()));
        }
        let is_port = |port: &str| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
        };
        if let Some(port) = port.filter(|port| !is_port(port)) {
            return Err(InvalidInput::Port(port.to_owned()));
        }

        let scheme = if https { "https" } else { "http" };
        let endpoint = format!("{scheme}://{authority}{API}/sessions").to_ascii_lowercase();
        let endpoint = Uri::try_from(endpoint).map_err(|_| InvalidInput::Host(host.to_owned()))?;
        Ok(Base { loopback: is_loopback(host), endpoint, https })
    }
}

/// Whether `host` is a host name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(ip) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return ip.parse::<Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// Whether a connection to `host` stays on this machine, as far as its name says.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .and_then(|ip| ip.parse::<Ipv6Addr>().ok())
            .is_some_and(|ip| ip.is_loopback())
}

/// ureq's own configuration, with the defaults of this library set: time limits of 60 s for a call
/// and 10 s for connecting, small buffers, this library's `User-Agent`, and what the features
/// chose for TLS.
///
/// A proxy is taken from the environment (`ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`),
/// as ureq does. Change what you need, and hand the agent to [`Site::agent`]:
///
/// ```
/// use files_session::{Site, agent_config, ureq};
///
/// # fn main() -> Result<(), ureq::Error> {
/// let config = agent_config().proxy(Some(ureq::Proxy::new("http://proxy.example:3128")?));
/// let site = Site::new("https://mysite.files.com").agent(config.build().into());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn agent_config() -> ConfigBuilder<AgentScope> {
    let config = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .timeout_connect(Some(CONNECT_LIMIT))
        .user_agent(concat!("files-session/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(MOST_HEADER)
        // ureq takes a header only whole, so the buffer must hold the largest one.
        .input_buffer_size(MOST_HEADER + 4 * 1024)
        // The longest header that is sent, a session id, must fit.
        .output_buffer_size(8 * 1024);
    #[cfg(feature = "_tls")]
    let config = config.tls_config(tls::config(tls::roots()));
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn endpoint(url: &str) -> String {
        // An agent of the caller's, so that it does not matter which features are on.
        match Site::new(url).agent(Agent::new_with_defaults()).endpoint() {
            Ok(uri) => uri.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn addresses_that_are_taken() {
        for (url, origin) in [
            ("https://mysite.files.com", "https://mysite.files.com"),
            ("https://mysite.files.com/", "https://mysite.files.com"),
            ("https://mysite.files.com/api/rest/v1", "https://mysite.files.com"),
            ("https://mysite.files.com/api/rest/v1/", "https://mysite.files.com"),
            ("HTTPS://MySite.Files.Com:8443", "https://mysite.files.com:8443"),
            ("mysite.files.com", "https://mysite.files.com"),
            ("mysite.files.com:8443/", "https://mysite.files.com:8443"),
            ("https://192.0.2.1", "https://192.0.2.1"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
            ("http://localhost:1", "http://localhost:1"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:80/", "http://[::1]:80"),
        ] {
            assert_eq!(endpoint(url), format!("{origin}/api/rest/v1/sessions"), "{url}");
        }
    }

    #[test]
    fn addresses_that_are_refused() {
        for (url, says) in [
            ("", "no host"),
            ("https://", "no host"),
            ("https:///x", "has a path"),
            ("ftp://mysite.files.com", "scheme ftp"),
            ("file:///etc/passwd", "scheme file"),
            ("https://user@mysite.files.com", "user name or a password"),
            ("https://user:pass@mysite.files.com", "user name or a password"),
            ("https://mysite.files.com/?a=b@c", "user name or a password"),
            ("https://mysite.files.com/other", "has a path"),
            ("https://mysite.files.com//", "has a path"),
            ("https://mysite.files.com/api/rest/v2", "has a path"),
            ("https://mysite.files.com?", "has a query"),
            ("https://mysite.files.com/?a=b", "has a query"),
            ("https://mysite.files.com#top", "has a fragment"),
            ("https://mysite.files.com:", "port ''"),
            ("https://mysite.files.com:0", "port '0'"),
            ("https://mysite.files.com:+1", "port '+1'"),
            ("https://mysite.files.com:65536", "port '65536'"),
            ("https://:443", "no host"),
            ("https://my site.files.com", "no host name"),
            (" https://mysite.files.com", "scheme  https"),
            ("https://mysite.files.com\n", "no host name"),
            ("https://mysite.files.com\r\nX-Evil: 1", "no host name"),
            ("https://mysite..com", "no host name"),
            ("https://mysité.files.com", "no host name"),
            ("https://mysite%2ecom", "no host name"),
            ("https://[::1", "no host name"),
            ("https://[::1%25lo]", "no host name"),
            ("https://a:b:443", "no host name"),
            ("https://mysite.files.com\\@evil.example", "user name or a password"),
            ("https://mysite.files.com\\evil.example", "has a path"),
            ("http://mysite.files.com", "use https"),
        ] {
            let said = endpoint(url);
            assert!(said.contains(says), "{url}: {said}");
            assert!(!said.contains("pass@") && !said.contains('\n'), "{url}: {said}");
        }
    }

    #[test]
    fn loopback_is_what_stays_on_this_machine() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.255.255.254", "[::1]", "[0:0::1]"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.test.invalid",
            "127.0.0.1.test.invalid",
            "localhost.",
            "notlocalhost",
            "127.1",
            "127.0.0.01",
            "2130706433",
            "0x7f000001",
            "128.0.0.1",
            "0.0.0.0",
            "::1",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::1].test.invalid",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn plain_http_needs_loopback_or_leave() {
        let http = |url: &str| Site::new(url);
        for url in ["http://localhost.test.invalid", "http://127.0.0.1.test.invalid"] {
            assert!(matches!(http(url).endpoint(), Err(InvalidInput::PlainHttp(_))), "{url}");
            assert!(http(url).allow_http().endpoint().is_ok(), "{url}");
        }
    }

    #[test]
    fn in_the_clear_a_loopback_host_is_not_reached_through_a_proxy_elsewhere() {
        let through = |site: &str, proxy: &str| {
            let config = agent_config().proxy(Some(Proxy::new(proxy).unwrap()));
            Site::new(site).agent(config.build().into())
        };
        assert!(through("http://127.0.0.1", "http://proxy.example").passes_proxy_by());
        assert!(!through("http://127.0.0.1", "http://localhost:3128").passes_proxy_by());
        assert!(!through("https://127.0.0.1", "http://proxy.example").passes_proxy_by());
        assert!(
            !through("http://127.0.0.1", "http://proxy.example").allow_http().passes_proxy_by()
        );
    }

    #[test]
    fn a_language_must_fit_into_a_header() {
        for (tag, fits) in [
            ("de", true),
            ("de,en;q=0.5", true),
            ("", false),
            ("d\re", false),
            ("dé", false),
            ("x".repeat(257).as_str(), false),
        ] {
            assert_eq!(Site::default().language(tag).accept_language().is_ok(), fits, "{tag:?}");
        }
    }

    #[test]
    fn the_longest_limit_is_cut_so_that_no_sum_overflows() {
        assert_eq!(Site::default().timeout(Duration::MAX).limit(), LONGEST_LIMIT);
        assert_eq!(Site::default().limit(), LIMIT);
        let agent = |limit| agent_config().timeout_global(limit).build().into();
        assert_eq!(Site::default().agent(agent(None)).limit(), LIMIT);
        let seven = Duration::from_secs(7);
        assert_eq!(Site::default().agent(agent(Some(seven))).limit(), seven);
        assert_eq!(Site::default().agent(agent(None)).timeout(seven).limit(), seven);
    }
}
