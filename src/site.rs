//! A site's settings, and the ureq configuration that is built from them.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::config::{AutoHeaderValue, Config};
use ureq::http::HeaderValue;
use ureq::{Agent, Proxy};

use crate::base_url::BaseUrl;
use crate::canceller::Canceller;
use crate::input::InvalidInput;
use crate::limits::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_RETRIES, DEFAULT_TIMEOUT, MAX_FIELD_BYTES, MAX_HEADER_BYTES,
    MAX_IDLE_AGE, MAX_LANGUAGE_BYTES, MAX_TIMEOUT, OUTPUT_BUFFER_BYTES,
};
use crate::proxy::ProxyChoice;
use crate::tls::{self, Tls};

/// Where to log in, and how to reach it.
///
/// Cheap to clone. Clones share the TLS configuration. No method fails or sends anything: the first
/// invalid setting makes every call fail with
/// [`InvalidInput`](crate::ErrorKind::InvalidInput), and no later setting repairs it.
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
#[must_use]
pub struct Site {
    base_url: Arc<BaseUrl>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) language: Option<HeaderValue>,
    user_agent: AutoHeaderValue,
    proxy: ProxyChoice,
    pub(crate) canceller: Canceller,
    allow_http: bool,
    pub(crate) tls: Arc<Tls>,
    /// ureq's configuration without a proxy. Building one reads the environment.
    direct_config: Arc<OnceLock<Config>>,
    /// The first setting that can't be used.
    invalid: Option<InvalidInput>,
}

// No panic can leave a part of it inconsistent, although ureq's types don't promise that.
impl UnwindSafe for Site {}
impl RefUnwindSafe for Site {}

impl Site {
    /// The site at `url`: an origin such as `https://mysite.files.com`, or a custom domain.
    ///
    /// An address without a scheme means https. A trailing `/` or `/api/rest/v1` and a trailing dot
    /// after the host are accepted; user info, any other path, a query or a fragment are not. The
    /// scheme's default port is dropped.
    ///
    /// A site's own subdomain is a better address than `https://app.files.com`: failed logins then
    /// show in that site's log.
    pub fn new(url: &str) -> Self {
        let site = Site {
            base_url: Arc::default(),
            timeout: DEFAULT_TIMEOUT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            retries: DEFAULT_RETRIES,
            language: None,
            user_agent: concat!("files-session/", env!("CARGO_PKG_VERSION")).into(),
            proxy: ProxyChoice::Environment,
            canceller: Canceller::new(),
            allow_http: false,
            tls: Arc::new(Tls::default_roots()),
            direct_config: Arc::default(),
            invalid: None,
        };
        site.set(BaseUrl::parse(url), |site, base_url| site.base_url = Arc::new(base_url))
    }

    /// Sets the time limit for a whole call, including retries and waits. Default: 60 s. Maximum:
    /// one year.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit.min(MAX_TIMEOUT);
        self
    }

    /// Sets the time limit for making one connection (TCP, proxy and TLS), for all addresses
    /// together. Default: 10 s. Maximum: one year.
    ///
    /// The lookup of a name is limited only by `timeout`: the system's resolver may take 15 s if a
    /// name server's reply is lost.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit.min(MAX_TIMEOUT);
        self
    }

    /// Sets the maximum number of retries. Default: 3. 0 means none.
    ///
    /// A login is retried only if no connection could be made.
    pub fn retries(mut self, n: u32) -> Self {
        self.retries = n;
        self
    }

    /// Sets the language of the site's messages, as in `Accept-Language`: `"de"`. Default: none,
    /// and the site chooses. At most 256 bytes.
    pub fn language(self, tag: &str) -> Self {
        let value = header_value(tag, MAX_LANGUAGE_BYTES).ok_or(InvalidInput::new(
            "language is not a valid header value: \
             give a tag, or several, such as de or de,en;q=0.5",
        ));
        self.set(value, |site, value| site.language = Some(value))
    }

    /// Sets the whole value of `User-Agent`. Default: `files-session/` and the version of this
    /// crate. At most 4 KiB.
    ///
    /// A site may bind a session to it, so send the same one with other requests.
    pub fn user_agent(self, value: &str) -> Self {
        let checked = header_value(value, MAX_FIELD_BYTES).ok_or(InvalidInput::new(
            "user_agent is not a valid header value: give a name and a version, such as my-tool/1.0",
        ));
        self.set(checked, |site, _| site.user_agent = value.into())
    }

    /// Trusts the system's root certificates instead of the built-in ones. With rustls, this needs
    /// the feature `platform-verifier`; without the feature, every call fails with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput). With `native-tls` alone, they are the
    /// default.
    pub fn system_roots(self) -> Self {
        self.set(Tls::system_roots(), |site, tls| site.tls = Arc::new(tls))
    }

    /// Sets the certificates to trust instead of the default ones, as PEM text (not a file name),
    /// for a private certificate authority. Default: the built-in roots, or the system's with
    /// `native-tls` alone.
    ///
    /// Text around the blocks and blocks of other kinds are skipped. A private key, or no
    /// certificate at all, is [`InvalidInput`](crate::ErrorKind::InvalidInput). A certificate that
    /// the TLS library can't read is ignored. Needs about as much memory as the text.
    ///
    /// rustls needs the authority's certificate: it rejects a server certificate that is itself
    /// marked as an authority, like those of `openssl req -x509`.
    pub fn ca_pem(self, pem: &str) -> Self {
        self.ca_pem_bytes(pem.as_bytes())
    }

    /// The same, for a text that need not be UTF-8 outside the blocks.
    pub(crate) fn ca_pem_bytes(self, pem: &[u8]) -> Self {
        self.set(Tls::from_pem(pem), |site, tls| site.tls = Arc::new(tls))
    }

    /// Sets the proxy: `http://user:password@host:port`, or `https://…`. Default: the
    /// environment's.
    ///
    /// Each new connection and [`Session::resume`](crate::Session::resume) read the environment,
    /// much as curl does: `https_proxy` or `HTTPS_PROXY` for https, `http_proxy` for http (never
    /// `HTTP_PROXY`), otherwise `all_proxy` or `ALL_PROXY`. `no_proxy` or `NO_PROXY` lists the
    /// exceptions: hosts with their subdomains, addresses, or `*`, but not networks. Loopback hosts
    /// never use the environment's proxy. The default port is 80, or 443 for an https proxy. SOCKS
    /// proxies are not supported.
    pub fn proxy(self, url: &str) -> Self {
        self.set(ProxyChoice::parse(url), |site, proxy| site.proxy = proxy)
    }

    /// Uses no proxy, even if the environment names one.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Setting(None);
        self
    }

    /// Sets a canceller, which can end this site's calls from another thread. Default: none.
    pub fn canceller(mut self, canceller: &Canceller) -> Self {
        self.canceller = canceller.clone();
        self
    }

    /// Allows plain http to any host. Default: loopback hosts only (`localhost`, `127.0.0.0/8`,
    /// `[::1]`); that traffic never leaves this machine.
    ///
    /// The password and the session id are then sent unencrypted.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// The site's origin: scheme and host, and the port unless it is the scheme's default. Empty if
    /// the address is invalid.
    pub fn base_url(&self) -> &str {
        &self.base_url.origin
    }

    /// The same site at another address.
    pub(crate) fn with_base_url(&self, base_url: Arc<BaseUrl>) -> Self {
        Site { base_url, ..self.clone() }
    }

    /// Keeps a setting, or the reason why it can't be used.
    fn set<T>(mut self, setting: Result<T, InvalidInput>, keep: impl FnOnce(&mut Site, T)) -> Self {
        self.direct_config = Arc::default();
        match setting {
            Ok(value) => keep(&mut self, value),
            Err(reason) => drop(self.invalid.get_or_insert(reason)),
        }
        self
    }

    /// The address, if all settings can be used.
    pub(crate) fn checked(&self) -> Result<&Arc<BaseUrl>, InvalidInput> {
        if let Some(reason) = &self.invalid {
            return Err(reason.clone());
        }
        if self.base_url.is_https() && !tls::IS_AVAILABLE {
            return Err(InvalidInput::new(
                "https needs TLS, but files-session was built without it: \
                 enable its feature rustls, platform-verifier or native-tls",
            ));
        }
        if !self.base_url.is_https() && !self.base_url.is_loopback && !self.allow_http {
            return Err(InvalidInput::from(format!(
                "plain http would send a password or session id to {} unencrypted: \
                 use https, or set allow_http if that is intended",
                self.base_url.authority()
            )));
        }
        Ok(&self.base_url)
    }

    /// The proxy for a connection that is made now.
    pub(crate) fn current_proxy(&self) -> Result<Option<Proxy>, InvalidInput> {
        self.proxy.proxy_for(&self.base_url, self.allow_http)
    }

    /// ureq's configuration for one connection.
    pub(crate) fn config(&self, proxy: Option<&Proxy>) -> Config {
        let build = || {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .proxy(proxy.cloned())
                .user_agent(self.user_agent.clone())
                // Without it, a response may be compressed (RFC 9110, section 12.5.3).
                .accept_encoding("identity")
                .max_idle_age(MAX_IDLE_AGE)
                .input_buffer_size(MAX_HEADER_BYTES)
                .output_buffer_size(OUTPUT_BUFFER_BYTES);
            self.tls.apply(config).build()
        };
        if proxy.is_some() { build() } else { self.direct_config.get_or_init(build).clone() }
    }
}

/// A setting as the value of a header.
fn header_value(text: &str, limit: usize) -> Option<HeaderValue> {
    let is_valid_len = (1..=limit).contains(&text.len());
    HeaderValue::from_str(text).ok().filter(|_| is_valid_len && text.is_ascii())
}

impl Default for Site {
    /// `https://app.files.com`, where a user of any site can log in.
    fn default() -> Self {
        Site::new("https://app.files.com")
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("base_url", &self.base_url())
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("retries", &self.retries)
            .field("language", &self.language)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let site = Site::default();
        assert_eq!(site.base_url(), "https://app.files.com");
        assert_eq!(site.timeout, Duration::from_secs(60));
        assert_eq!(site.connect_timeout, Duration::from_secs(10));
        assert_eq!(site.retries, 3);
    }

    #[test]
    fn a_time_limit_is_at_most_a_year() {
        let year = Duration::from_secs(31_536_000);
        let site = Site::default().timeout(Duration::MAX).connect_timeout(Duration::MAX);
        assert_eq!((site.timeout, site.connect_timeout), (year, year));
    }

    #[test]
    fn language_and_user_agent_must_be_valid_header_values() {
        let site = || Site::new("http://localhost");
        let text = |n| "x".repeat(n);
        for (value, is_valid) in [
            ("de", true),
            ("de,en;q=0.5", true),
            (&text(256), true),
            (&text(257), false),
            ("", false),
            ("d\re", false),
            ("dé", false),
        ] {
            assert_eq!(site().language(value).checked().is_ok(), is_valid, "{value:?}");
        }
        for (value, is_valid) in [
            ("my-tool/1.0", true),
            (&text(4096), true),
            (&text(4097), false),
            ("", false),
            ("a\nb", false),
        ] {
            assert_eq!(site().user_agent(value).checked().is_ok(), is_valid, "{value:?}");
        }
    }

    #[test]
    fn the_first_invalid_setting_stays() {
        let site = Site::new("http://localhost").language("").user_agent("");
        let site = site.language("de").user_agent("a/1");
        assert!(site.checked().unwrap_err().0.starts_with("language"));
        let site = Site::new("ftp://localhost").language("");
        assert!(site.checked().unwrap_err().0.contains("scheme 'ftp'"));
        assert_eq!(site.base_url(), "");
    }
}
