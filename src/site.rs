//! A site's settings, and the ureq configuration that is built from them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::{AutoHeaderValue, Config};
use ureq::http::HeaderValue;
use ureq::{Agent, Proxy};

use crate::base_url::BaseUrl;
use crate::canceller::Canceller;
use crate::connect::Shared;
use crate::error::InvalidInput;
use crate::limits::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_RETRIES, DEFAULT_TIMEOUT, MAX_FIELD_BYTES, MAX_HEADER_BYTES,
    MAX_IDLE_AGE, MAX_LANGUAGE_BYTES, MAX_TIMEOUT, OUTPUT_BUFFER_BYTES,
};
use crate::proxy::ProxyChoice;
use crate::tls::{self, Trust};

/// Where to log in, and how to reach it.
///
/// Cheap to clone. Clones share the TLS configuration and the resolved addresses. No method fails
/// or sends anything: an invalid setting makes every call fail with
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
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retries: u32,
    language: Option<Result<HeaderValue, InvalidInput>>,
    user_agent: Result<AutoHeaderValue, InvalidInput>,
    trust: Result<Trust, InvalidInput>,
    proxy: Result<ProxyChoice, InvalidInput>,
    pub(crate) canceller: Canceller,
    allow_http: bool,
    pub(crate) shared: Arc<Shared>,
}

impl Site {
    /// The site at `url`: an origin such as `https://mysite.files.com`, or a custom domain.
    ///
    /// An address without a scheme means https. A trailing `/` or `/api/rest/v1` and a trailing dot
    /// after the host are accepted; user info, any other path, a query or a fragment are not. The
    /// scheme's default port is left out.
    ///
    /// A site's own subdomain is a better address than `https://app.files.com`: failed logins then
    /// show in that site's log.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Site {
            base_url: BaseUrl::parse(url).map(Arc::new),
            timeout: DEFAULT_TIMEOUT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            retries: DEFAULT_RETRIES,
            language: None,
            user_agent: Ok(concat!("files-session/", env!("CARGO_PKG_VERSION")).into()),
            trust: Ok(Trust::built_in()),
            proxy: Ok(ProxyChoice::Environment),
            canceller: Canceller::new(),
            allow_http: false,
            shared: Arc::default(),
        }
    }

    /// Sets the time limit for a whole call, including retries and waits. Default: 60 s. Maximum:
    /// one year.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit.min(MAX_TIMEOUT);
        self
    }

    /// Sets the time limit for one connection: lookup, TCP, proxy and TLS. Default: 10 s. Maximum:
    /// one year.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit.min(MAX_TIMEOUT);
        self
    }

    /// Sets the maximum number of retries. Default: 3. 0 means none.
    ///
    /// A login is retried only if no connection could be made.
    #[must_use]
    pub fn retries(mut self, n: u32) -> Self {
        self.retries = n;
        self
    }

    /// Sets the language of the site's messages, as in `Accept-Language`: `"de"`. Default: none,
    /// and the site chooses. At most 256 bytes.
    #[must_use]
    pub fn language(mut self, tag: &str) -> Self {
        let value = header_value(tag, MAX_LANGUAGE_BYTES).ok_or(InvalidInput::new(
            "language is not a valid header value: \
             give a tag, or several, such as de or de,en;q=0.5",
        ));
        self.language = Some(value);
        self
    }

    /// Sets the whole value of `User-Agent`. Default: `files-session/` and the version of this
    /// crate. At most 4 KiB.
    ///
    /// A site may bind a session to it, so send the same one with other requests.
    #[must_use]
    pub fn user_agent(mut self, value: &str) -> Self {
        self.user_agent =
            header_value(value, MAX_FIELD_BYTES).map(|_| value.into()).ok_or(InvalidInput::new(
                "user_agent is not a valid header value: \
                 give a name and a version, such as my-tool/1.0",
            ));
        self
    }

    /// Sets the certificates to trust instead of the default ones, as PEM text (not a file name),
    /// for a private certificate authority. Default: the built-in roots, or the system's, depending
    /// on the TLS features.
    ///
    /// Uses about the size of the text in memory. A block that is not a certificate is
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput).
    #[must_use]
    pub fn ca_pem(mut self, pem: &str) -> Self {
        self.trust = Trust::from_pem(pem);
        // ureq's connector keeps the first TLS configuration that it sees.
        self.shared = Arc::default();
        self
    }

    /// Sets the proxy: `http://user:password@host:port`, or `https://…`. Default: the
    /// environment's.
    ///
    /// The environment is read for each connection and by
    /// [`Session::resume`](crate::Session::resume), by curl's rules: `https_proxy` or
    /// `HTTPS_PROXY` for https, `http_proxy` for http (never `HTTP_PROXY`), otherwise `all_proxy`
    /// or `ALL_PROXY`. `no_proxy` or `NO_PROXY` lists the exceptions: hosts with their subdomains,
    /// addresses, or `*`, but no networks. Loopback hosts never use the environment's proxy. The
    /// default port is 80, or 443 for an https proxy. SOCKS proxies are not supported.
    #[must_use]
    pub fn proxy(mut self, url: &str) -> Self {
        self.proxy = ProxyChoice::parse(url);
        self
    }

    /// Uses no proxy, even if the environment names one.
    #[must_use]
    pub fn no_proxy(mut self) -> Self {
        self.proxy = Ok(ProxyChoice::Setting(None));
        self
    }

    /// Sets a canceller, which can end this site's calls from another thread. Default: none.
    #[must_use]
    pub fn canceller(mut self, canceller: &Canceller) -> Self {
        self.canceller = canceller.clone();
        self
    }

    /// Allows plain http to any host. Default: loopback hosts only (`localhost`, `127.0.0.0/8`,
    /// `[::1]`); that traffic never leaves this machine.
    ///
    /// The password and the session id are then sent unencrypted.
    #[must_use]
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// The same site at another address.
    pub(crate) fn with_base_url(&self, base_url: BaseUrl) -> Self {
        Site { base_url: Ok(Arc::new(base_url)), ..self.clone() }
    }

    /// The settings, if all of them are valid.
    pub(crate) fn target(&self) -> Result<Target<'_>, InvalidInput> {
        let base_url = self.base_url.as_deref().map_err(Clone::clone)?;
        if base_url.is_https() && !tls::IS_AVAILABLE {
            return Err(InvalidInput::new(
                "https needs TLS, but files-session was built without it: \
                 turn on its feature rustls, platform-verifier or native-tls",
            ));
        }
        if !base_url.is_https() && !base_url.is_loopback() && !self.allow_http {
            return Err(InvalidInput::from(format!(
                "plain http would send a password or session id to {} unencrypted: \
                 use https, or set allow_http if that is intended",
                base_url.authority()
            )));
        }
        let language = self.language.as_ref().map(Result::as_ref).transpose();
        Ok(Target {
            base_url,
            language: language.map_err(Clone::clone)?,
            user_agent: self.user_agent.as_ref().map_err(Clone::clone)?,
            trust: self.trust.as_ref().map_err(Clone::clone)?,
            proxy: self.proxy.as_ref().map_err(Clone::clone)?,
            allow_http: self.allow_http,
        })
    }

    /// Scheme, host and port. Empty if the address is invalid.
    pub(crate) fn origin(&self) -> &str {
        self.base_url.as_ref().map_or("", |base_url| base_url.as_str())
    }
}

/// The settings of a site, checked.
pub(crate) struct Target<'a> {
    pub(crate) base_url: &'a BaseUrl,
    pub(crate) language: Option<&'a HeaderValue>,
    user_agent: &'a AutoHeaderValue,
    trust: &'a Trust,
    proxy: &'a ProxyChoice,
    allow_http: bool,
}

impl Target<'_> {
    /// The proxy for a connection that is made now.
    pub(crate) fn proxy(&self) -> Result<Option<Proxy>, InvalidInput> {
        self.proxy.proxy_for(self.base_url, self.allow_http)
    }

    /// ureq's configuration for one connection.
    pub(crate) fn config(
        &self,
        proxy: Option<Proxy>,
        limit: Duration,
        connect: Duration,
    ) -> Config {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy)
            .user_agent(self.user_agent.clone())
            // Another crate may turn on ureq's decompression.
            .accept_encoding("")
            .timeout_global(Some(limit))
            .timeout_connect(Some(connect))
            .max_idle_age(MAX_IDLE_AGE)
            .input_buffer_size(MAX_HEADER_BYTES)
            .output_buffer_size(OUTPUT_BUFFER_BYTES);
        self.trust.apply(config).build()
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
            .field("base_url", &self.origin())
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
        assert_eq!(site.origin(), "https://app.files.com");
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
            assert_eq!(site().language(value).target().is_ok(), is_valid, "{value:?}");
        }
        for (value, is_valid) in [
            ("my-tool/1.0", true),
            (&text(4096), true),
            (&text(4097), false),
            ("", false),
            ("a\nb", false),
        ] {
            assert_eq!(site().user_agent(value).target().is_ok(), is_valid, "{value:?}");
        }
    }

    #[test]
    fn a_later_valid_setting_replaces_an_invalid_one() {
        let site = Site::new("http://localhost").language("").user_agent("").proxy("").ca_pem("");
        assert!(site.target().is_err());
        let site = site.language("de").user_agent("a/1").no_proxy();
        assert!(site.target().err().unwrap().to_string().starts_with("ca_pem"));
    }
}
