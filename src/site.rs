//! Where to log in, and how to get there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::{AutoHeaderValue, Config, ConfigBuilder};
use ureq::http::HeaderValue;
use ureq::typestate::AgentScope;
use ureq::{Agent, Proxy};

use crate::base_url::BaseUrl;
use crate::connect::Connections;
use crate::error::InvalidInput;
use crate::limits::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_RETRIES, DEFAULT_TIMEOUT, INPUT_BUFFER_BYTES,
    MAX_HEADER_BYTES, MAX_IDLE_AGE, MAX_IDLE_CONNECTIONS, MAX_LANGUAGE_BYTES, MAX_TIMEOUT,
    OUTPUT_BUFFER_BYTES,
};
use crate::proxy::{Environment, ProxyChoice};
#[cfg(feature = "_tls")]
use crate::tls;

/// A Files.com site: where to log in, and how to reach it.
///
/// Cheap to clone; clones share one pool of connections. A login's connection waits there for the
/// logout, for up to five minutes. A login goes over an idle one only within 15 s, because it can't
/// be sent again if the connection has died in silence. Nothing is checked and nothing is sent
/// before the first call: a setting that can't be used is that call's
/// [`InvalidInput`](crate::ErrorKind::InvalidInput).
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
    base_url: Result<Arc<BaseUrl>, InvalidInput>,
    language: Option<Result<HeaderValue, InvalidInput>>,
    connections: Connections,
    proxy: ProxyChoice,
    timeout: Option<Duration>,
    retries: u32,
    allow_http: bool,
}

/// What a request needs to know of a site, checked.
pub(crate) struct Target<'a> {
    pub(crate) base_url: &'a BaseUrl,
    pub(crate) language: Option<&'a HeaderValue>,
    pub(crate) proxy: Option<Proxy>,
}

impl Site {
    /// The site at `url`: an origin such as `https://mysite.files.com`, or a custom domain.
    ///
    /// Without a scheme, `https` is meant. A `/` or `/api/rest/v1` at the end and a dot at the end
    /// of the host are tolerated; user info, any other path, a query or a fragment is not.
    ///
    /// A site's own subdomain is a better address than `https://app.files.com`: a failed login
    /// then shows in that site's log.
    #[must_use]
    pub fn new(url: impl AsRef<str>) -> Self {
        let environment = Environment::read();
        let config = config_with(environment.in_config());
        Site {
            base_url: BaseUrl::parse(url.as_ref()).map(Arc::new),
            language: None,
            connections: Connections::new(config.build()),
            proxy: ProxyChoice::Environment(Arc::new(environment)),
            timeout: None,
            retries: DEFAULT_RETRIES,
            allow_http: false,
        }
    }

    /// Sets the time limit of a call, everything included: looking up the name, connecting,
    /// waiting between retries, reading the response. Default: the configuration's
    /// `timeout_global`, which is 60 s in [`agent_config`]. A year is the longest.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets the language of the messages that the site sends, as in `Accept-Language`: `"de"`.
    /// Default: none is asked for, and the site chooses.
    #[must_use]
    pub fn language(mut self, tag: impl AsRef<str>) -> Self {
        let tag = tag.as_ref();
        let fits = tag.is_ascii() && (1..=MAX_LANGUAGE_BYTES).contains(&tag.len());
        let value = HeaderValue::from_str(tag).ok().filter(|_| fits);
        self.language = Some(value.ok_or(InvalidInput::Language));
        self
    }

    /// Sets how often a call is tried again, at most. Default: 3; 0 means never.
    ///
    /// A login is only tried again where the site surely did not carry out the first try.
    #[must_use]
    pub fn retries(mut self, n: u32) -> Self {
        self.retries = n;
        self
    }

    /// Sets the configuration of the connections, for a proxy, a private CA, a client certificate,
    /// the time limit for connecting; build it from [`agent_config`]. Default: that as it is.
    ///
    /// The connections are this library's own, in a new pool. Whatever the configuration says, no
    /// redirect is followed, and the bounds hold. A SOCKS proxy is not supported.
    ///
    /// A configuration that ureq can't work with, such as a client certificate that is none, is an
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) of the first call. ureq finds that out by
    /// a panic, which is caught, but which the program's panic hook sees.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.proxy = ProxyChoice::of_config(config.proxy(), Arc::new(Environment::read()));
        self.connections = Connections::new(config);
        self
    }

    /// Allows plain http to any host. Default: only to a loopback host (`localhost`,
    /// `127.0.0.0/8`, `[::1]`), and to that only over a connection that stays on this machine: a
    /// proxy is then only used if it is on a loopback host itself. `localhost` is connected to only
    /// at a loopback address, whatever a hosts file or a name server says.
    ///
    /// The password and the session id then cross the network readable for anyone.
    #[must_use]
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// The same site at another address, with connections of its own: those to this address are
    /// not kept for a session that lives elsewhere.
    pub(crate) fn at(&self, base_url: BaseUrl) -> Self {
        if self.origin() == base_url.as_str() {
            return self.clone();
        }
        let connections = Connections::new(self.connections.agent.config().clone());
        Site { base_url: Ok(Arc::new(base_url)), connections, ..self.clone() }
    }

    /// Checks all that was set.
    pub(crate) fn target(&self) -> Result<Target<'_>, InvalidInput> {
        let base_url = self.base_url.as_deref().map_err(Clone::clone)?;
        if base_url.is_https() && !cfg!(feature = "_tls") {
            return Err(InvalidInput::NoTls);
        }
        if !base_url.is_https() && !base_url.is_loopback() && !self.allow_http {
            return Err(InvalidInput::PlainHttp(base_url.authority().to_owned()));
        }
        check(self.connections.agent.config())?;
        let language = self.language.as_ref().map(Result::as_ref).transpose();
        Ok(Target {
            base_url,
            language: language.map_err(Clone::clone)?,
            proxy: self.proxy.proxy_for(base_url, self.allow_http)?,
        })
    }

    /// Scheme, host and port; nothing where the address can't be used.
    pub(crate) fn origin(&self) -> &str {
        self.base_url.as_ref().map_or("", |base_url| base_url.as_str())
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(crate) fn max_retries(&self) -> u32 {
        self.retries
    }

    /// The time limit of a call.
    pub(crate) fn time_limit(&self) -> Duration {
        let global = || self.connections.agent.config().timeouts().global;
        self.timeout.or_else(global).unwrap_or(DEFAULT_TIMEOUT).min(MAX_TIMEOUT)
    }
}

/// What ureq would panic over, before it connects.
fn check(config: &Config) -> Result<(), InvalidInput> {
    let refuse = |why: &str| Err(InvalidInput::Config(why.to_owned()));
    for value in [config.user_agent(), config.accept_encoding()] {
        if matches!(value, AutoHeaderValue::Provided(v) if HeaderValue::from_str(v).is_err()) {
            return refuse("its user agent or accept encoding is not a valid header value");
        }
    }
    let limits = config.timeouts();
    let limits = [
        limits.per_call,
        limits.resolve,
        limits.connect,
        limits.send_request,
        limits.send_body,
        limits.recv_response,
        limits.recv_body,
    ];
    if limits.into_iter().flatten().any(|limit| limit > MAX_TIMEOUT) {
        return refuse("one of its time limits is longer than a year");
    }
    Ok(())
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
            .field("base_url", &self.base_url.as_ref().map(|base_url| base_url.as_str()))
            .field("language", &self.language)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

/// ureq's own configuration, with the defaults of this library set: time limits of 60 s for a call
/// and 10 s for connecting, small buffers, this library's `User-Agent`, what the features chose for
/// TLS, and the environment's proxy.
///
/// The environment is read as curl reads it: `https_proxy` or `HTTPS_PROXY` for https, `http_proxy`
/// for http (never `HTTP_PROXY`), else `all_proxy` or `ALL_PROXY`; `no_proxy` or `NO_PROXY` name
/// the exceptions. A loopback host is never reached through a proxy of the environment. Another
/// `.proxy(…)` replaces it, and `.proxy(None)` means none. Write a proxy's port: without one, ureq
/// takes 80, or 443 for an https proxy.
///
/// Another `TlsConfig` means rustls, as ureq has it, unless its `provider` says `NativeTls`.
///
/// Change what you need, build it, and hand it to [`Site::config`]:
///
/// ```no_run
/// use files_session::ureq::tls::{Certificate, RootCerts, TlsConfig};
/// use files_session::{Site, agent_config, ureq};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ca = Certificate::from_pem(&std::fs::read("ca.pem")?)?;
/// let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[ca])).build();
/// let config = agent_config()
///     .proxy(Some(ureq::Proxy::new("http://proxy.example:3128")?))
///     .tls_config(tls)
///     .timeout_connect(Some(Duration::from_secs(3)))
///     .build();
/// let site = Site::new("https://mysite.files.com").config(config);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn agent_config() -> ConfigBuilder<AgentScope> {
    config_with(Environment::read().in_config())
}

fn config_with(proxy: Option<Proxy>) -> ConfigBuilder<AgentScope> {
    let config = Agent::config_builder()
        .proxy(proxy)
        .timeout_global(Some(DEFAULT_TIMEOUT))
        .timeout_connect(Some(DEFAULT_CONNECT_TIMEOUT))
        .user_agent(concat!("files-session/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(MAX_HEADER_BYTES)
        .max_idle_age(MAX_IDLE_AGE)
        .max_idle_connections(MAX_IDLE_CONNECTIONS)
        .max_idle_connections_per_host(MAX_IDLE_CONNECTIONS)
        .input_buffer_size(INPUT_BUFFER_BYTES)
        .output_buffer_size(OUTPUT_BUFFER_BYTES);
    #[cfg(feature = "_tls")]
    let config = config.tls_config(tls::config(tls::roots()));
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_address_is_that_of_all_sites() {
        assert_eq!(Site::default().origin(), "https://app.files.com");
    }

    #[test]
    fn a_language_must_be_a_valid_header_value() {
        let longest = "x".repeat(256);
        let too_long = "x".repeat(257);
        for (tag, fits) in [
            ("de", true),
            ("de,en;q=0.5", true),
            (&longest, true),
            (&too_long, false),
            ("", false),
            ("d\re", false),
            ("dé", false),
        ] {
            let site = Site::new("http://localhost").language(tag);
            assert_eq!(site.target().is_ok(), fits, "{tag:?}");
        }
    }

    #[test]
    fn a_configuration_that_ureq_would_panic_over_is_refused() {
        let refused = |config: ConfigBuilder<AgentScope>| {
            let site = Site::new("http://localhost").config(config.build());
            matches!(site.target(), Err(InvalidInput::Config(_)))
        };
        let (year, longer) = (Some(MAX_TIMEOUT), Some(MAX_TIMEOUT + Duration::from_nanos(1)));
        assert!(!refused(agent_config()));
        assert!(!refused(agent_config().timeout_connect(year).timeout_global(longer)));
        for config in [
            agent_config().user_agent("a\nb"),
            agent_config().accept_encoding("a\nb"),
            agent_config().timeout_per_call(longer),
            agent_config().timeout_resolve(longer),
            agent_config().timeout_connect(Some(Duration::MAX)),
            agent_config().timeout_send_request(longer),
            agent_config().timeout_send_body(longer),
            agent_config().timeout_recv_response(longer),
            agent_config().timeout_recv_body(longer),
        ] {
            assert!(refused(config));
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let config = agent_config().build();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(config.timeouts().global, seconds(60));
        assert_eq!(config.timeouts().connect, seconds(10));
        assert_eq!(Some(config.max_idle_age()), seconds(300));
        assert_eq!(config.max_response_header_size(), 16_384);
        assert_eq!(Site::default().max_retries(), 3);
        let agent = concat!("files-session/", env!("CARGO_PKG_VERSION"));
        assert!(matches!(config.user_agent(), AutoHeaderValue::Provided(v) if v.as_str() == agent));
    }

    #[test]
    fn the_time_limit_is_the_sites_or_else_the_configurations() {
        let site = || Site::new("http://localhost");
        let config = |limit| agent_config().timeout_global(limit).build();
        let (year, seven) = (Duration::from_secs(31_536_000), Duration::from_secs(7));
        assert_eq!(site().time_limit(), Duration::from_secs(60));
        assert_eq!(site().timeout(seven).time_limit(), seven);
        assert_eq!(site().timeout(Duration::MAX).time_limit(), year);
        assert_eq!(site().config(config(None)).time_limit(), Duration::from_secs(60));
        assert_eq!(site().config(config(Some(seven))).time_limit(), seven);
        assert_eq!(site().config(config(None)).timeout(seven).time_limit(), seven);
    }
}
