//! The proxy for a call: the caller's, or the environment's, which is read as curl reads it.

use std::env;
use std::ffi::OsString;
use std::sync::Arc;

use ureq::{Proxy, ProxyProtocol};

use crate::base_url::{self, BaseUrl};
use crate::error::InvalidInput;

/// Where a site finds its proxy.
#[derive(Debug, Clone)]
pub(crate) enum ProxyChoice {
    /// The caller named one, or said that there is none.
    Named(Option<Proxy>),
    /// The environment names it, for each scheme and host.
    Environment(Arc<Environment>),
}

impl ProxyChoice {
    /// What a configuration says: one with the environment's proxy in it leaves the choice to the
    /// environment.
    pub(crate) fn of_config(proxy: Option<&Proxy>, environment: Arc<Environment>) -> ProxyChoice {
        match proxy {
            // No variable is set, or the caller took the proxy out.
            None => ProxyChoice::Named(None),
            proxy if proxy == environment.in_config().as_ref() => {
                ProxyChoice::Environment(environment)
            }
            proxy => ProxyChoice::Named(proxy.cloned()),
        }
    }

    /// The proxy for a site, if there is one.
    ///
    /// Plain http is allowed to a loopback host only because it never leaves this machine. Unless
    /// `allow_http`, a proxy elsewhere is therefore not used for it.
    pub(crate) fn proxy_for(
        &self,
        site: &BaseUrl,
        allow_http: bool,
    ) -> Result<Option<Proxy>, InvalidInput> {
        let proxy = match self {
            ProxyChoice::Environment(_) if site.is_loopback() => None,
            ProxyChoice::Environment(environment) => environment.proxy_for(site)?,
            ProxyChoice::Named(proxy) => proxy.clone(),
        };
        let Some(proxy) = proxy.filter(|proxy| !proxy.is_no_proxy(&site.endpoint)) else {
            return Ok(None);
        };
        if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
            return Err(InvalidInput::Proxy { setting: "the configured proxy", fault: SOCKS });
        }
        let stays = site.is_https() || allow_http || base_url::is_loopback(proxy.host());
        Ok(Some(proxy).filter(|_| stays))
    }
}

/// What the environment says of proxies: variables and their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    https: Option<Variable>,
    http: Option<Variable>,
    exceptions: String,
}

#[derive(Clone)]
struct Variable {
    name: &'static str,
    value: OsString,
}

impl std::fmt::Debug for Variable {
    /// Without the value, in which a password can stand.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A host that no request goes to. That the exceptions name it tells the environment's proxy from
/// any that a caller builds.
const MARK_HOST: &str = "proxy-of-the-environment.invalid";

const SOCKS: &str = "is a SOCKS proxy, which is not supported: name an HTTP proxy";
const NOT_AN_ADDRESS: &str =
    "is not the address of a proxy: write it as http://host:port, or unset it";

impl Environment {
    pub(crate) fn read() -> Environment {
        Environment::read_from(|name| env::var_os(name))
    }

    /// Reads the variables in curl's order. One that is empty counts as not set. `HTTP_PROXY` is
    /// never read: a web server sets it from a request's header.
    fn read_from(variable: impl Fn(&str) -> Option<OsString>) -> Environment {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.is_empty())?;
                Some(Variable { name, value })
            })
        };
        let all = first(&["all_proxy", "ALL_PROXY"]);
        let https = first(&["https_proxy", "HTTPS_PROXY"]).or_else(|| all.clone());
        let http = first(&["http_proxy"]).or(all);
        if https.is_none() && http.is_none() {
            return Environment::default();
        }
        let exceptions = first(&["no_proxy", "NO_PROXY"]).map(|variable| variable.value);
        let exceptions = exceptions.unwrap_or_default().to_string_lossy().into_owned();
        Environment { https, http, exceptions }
    }

    fn proxy_for(&self, site: &BaseUrl) -> Result<Option<Proxy>, InvalidInput> {
        let variable = if site.is_https() { &self.https } else { &self.http };
        match variable {
            Some(variable) if !is_exception(&self.exceptions, site.host()) => {
                variable.proxy().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What stands for the environment in a configuration: the proxy for https, marked. Where
    /// there is none for https but another variable is set, or where the variable is no proxy
    /// address, a mark that no call goes through alone.
    pub(crate) fn in_config(&self) -> Option<Proxy> {
        let proxy = match (&self.https, &self.http) {
            (None, None) => return None,
            (None, Some(_)) => None,
            (Some(variable), _) => Some(variable.proxy()),
        };
        let mark = || Proxy::builder(ProxyProtocol::Http).host(MARK_HOST);
        let builder = match &proxy {
            Some(Ok(proxy)) => {
                let mut builder =
                    Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port());
                if let Some(username) = proxy.username() {
                    builder = builder.username(username);
                }
                if let Some(password) = proxy.password() {
                    builder = builder.password(password);
                }
                entries(&self.exceptions).fold(builder, |builder, entry| {
                    builder.no_proxy(entry).no_proxy(&format!(".{entry}"))
                })
            }
            // Whoever uses the configuration without this crate gets an error, or no proxy.
            Some(Err(_)) => mark(),
            None => mark().no_proxy("*"),
        };
        builder.no_proxy(MARK_HOST).build().ok()
    }
}

impl Variable {
    fn proxy(&self) -> Result<Proxy, InvalidInput> {
        let fault = InvalidInput::Proxy { setting: self.name, fault: NOT_AN_ADDRESS };
        self.value.to_str().ok_or(fault).and_then(|value| parse(self.name, value))
    }
}

/// The proxy at an address, checked by the rules for any host. `setting` names it in an error: the
/// address itself may have a password in it.
pub(crate) fn parse(setting: &'static str, address: &str) -> Result<Proxy, InvalidInput> {
    let bad = |fault| InvalidInput::Proxy { setting, fault };
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    match scheme.to_ascii_lowercase().as_str() {
        "http" => {}
        "https" if cfg!(feature = "_tls") => {}
        "https" => return Err(bad("is an https proxy, and files-session was built without TLS")),
        scheme if scheme.starts_with("socks") => return Err(bad(SOCKS)),
        _ => return Err(bad(NOT_AN_ADDRESS)),
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // ureq would end the address there, in the middle of a password that is not encoded.
    if rest.contains(['/', '?', '#', '\\']) {
        return Err(bad(NOT_AN_ADDRESS));
    }
    let authority = rest.rsplit_once('@').map_or(rest, |(_, authority)| authority);
    let (host, port) = base_url::split_authority(authority);
    if !base_url::is_host(host) {
        return Err(bad(NOT_AN_ADDRESS));
    }
    if !port.is_none_or(base_url::is_port) {
        return Err(bad("has a port that is not a number from 1 to 65535"));
    }
    Proxy::new(address).map_err(|_| bad(NOT_AN_ADDRESS))
}

/// The entries of a list of exceptions: between commas or spaces, without the leading dot that
/// changes nothing in curl.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ', '\t'])
        .map(|entry| entry.trim_start_matches('.').trim_end_matches('.'))
        .filter(|entry| !entry.is_empty())
}

/// Whether a list of exceptions names a host: `*` names all, a name itself and what is below it,
/// an address itself, and `address/bits` a network.
fn is_exception(list: &str, host: &str) -> bool {
    list.trim() == "*"
        || entries(list).any(|entry| match base_url::ip(host) {
            Some(ip) => is_in_network(ip, entry),
            None => {
                let host = host.to_ascii_lowercase();
                let above = host.strip_suffix(&entry.to_ascii_lowercase());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        })
}

/// Whether an address is in `address` or `address/bits`.
fn is_in_network(ip: std::net::IpAddr, network: &str) -> bool {
    use std::net::IpAddr;

    // Shifted to the left end, so that the bits to compare are the first ones in both versions.
    let bits_of = |ip| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let (address, bits) = network.split_once('/').map_or((network, None), |(a, b)| (a, Some(b)));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let ((ip_bits, size), (address_bits, address_size)) = (bits_of(ip), bits_of(address));
    let bits = match bits {
        None => size,
        Some(bits) => match bits.parse::<u32>() {
            Ok(bits) if bits <= size => bits,
            _ => return false,
        },
    };
    let differing = (ip_bits ^ address_bits).checked_shr(128 - bits).unwrap_or(0);
    size == address_size && differing == 0
}

#[cfg(test)]
mod tests {
    use ureq::http::Uri;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::read_from(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into())
        })
    }

    /// The proxy that the environment gives for a site, or the error's text.
    fn chosen(variables: &[(&str, &str)], url: &str) -> String {
        let choice = ProxyChoice::Environment(environment(variables).into());
        match choice.proxy_for(&BaseUrl::parse(url).unwrap(), true) {
            Ok(Some(proxy)) => format!("{}:{}", proxy.host(), proxy.port()),
            Ok(None) => "none".to_owned(),
            Err(error) => crate::error::Error::from(error).to_string(),
        }
    }

    /// What comes of a proxy that is reached over TLS.
    const HTTPS_PROXY: &str = if cfg!(feature = "_tls") {
        "a:443"
    } else {
        "all_proxy is an https proxy, and files-session was built without TLS"
    };

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let (https, http) = ("https://mysite.files.com", "http://mysite.files.com");
        for (variables, for_https, for_http) in [
            (&[][..], "none", "none"),
            (&[("https_proxy", "http://a:1")], "a:1", "none"),
            (&[("HTTPS_PROXY", "a:1")], "a:1", "none"),
            (&[("HTTPS_PROXY", "b:2"), ("https_proxy", "a:1")], "a:1", "none"),
            (&[("http_proxy", "a:1")], "none", "a:1"),
            (&[("HTTP_PROXY", "a:1")], "none", "none"),
            (&[("all_proxy", "a:1")], "a:1", "a:1"),
            (&[("ALL_PROXY", "a:1")], "a:1", "a:1"),
            (&[("ALL_PROXY", "b:2"), ("all_proxy", "a:1")], "a:1", "a:1"),
            (&[("ALL_PROXY", "b:2"), ("HTTPS_PROXY", "a:1")], "a:1", "b:2"),
            (&[("HTTPS_PROXY", ""), ("ALL_PROXY", "a:1")], "a:1", "a:1"),
            (&[("https_proxy", ""), ("HTTPS_PROXY", "a:1")], "a:1", "none"),
            (&[("all_proxy", "HTTP://a")], "a:80", "a:80"),
            (&[("all_proxy", "http://u:p@a:1/")], "a:1", "a:1"),
            (&[("all_proxy", "http://[::1]:1")], "[::1]:1", "[::1]:1"),
            (&[("all_proxy", "https://a")], HTTPS_PROXY, HTTPS_PROXY),
            (&[("all_proxy", "a:1"), ("no_proxy", "x, files.com")], "none", "none"),
            (&[("all_proxy", "a:1"), ("NO_PROXY", "mysite.files.com")], "none", "none"),
            (&[("all_proxy", "a:1"), ("NO_PROXY", "files.com"), ("no_proxy", "x")], "a:1", "a:1"),
        ] {
            assert_eq!(chosen(variables, https), for_https, "{variables:?}");
            assert_eq!(chosen(variables, http), for_http, "{variables:?}");
        }
    }

    #[test]
    fn a_loopback_host_takes_no_proxy_of_the_environment() {
        let variables = [("all_proxy", "a:1")];
        for url in ["http://localhost", "https://127.0.0.1", "http://[::1]:8080"] {
            assert_eq!(chosen(&variables, url), "none", "{url}");
        }
    }

    #[test]
    fn a_variable_that_is_no_proxy_address_is_an_error_that_names_it() {
        for (value, says) in [
            ("http://proxy:99999", "HTTPS_PROXY has a port"),
            ("http://proxy:", "HTTPS_PROXY has a port"),
            ("http://proxy:0", "HTTPS_PROXY has a port"),
            ("http://proxy:3128 ", "HTTPS_PROXY has a port"),
            (" http://proxy:3128", "HTTPS_PROXY is not the address"),
            ("http//proxy:3128", "HTTPS_PROXY is not the address"),
            ("htp://proxy:3128", "HTTPS_PROXY is not the address"),
            ("http://", "HTTPS_PROXY is not the address"),
            ("http://proxy:3128/path", "HTTPS_PROXY is not the address"),
            ("http://bob:12/x@proxy:3128", "HTTPS_PROXY is not the address"),
            ("http://bob:secret#x@proxy:3128", "HTTPS_PROXY is not the address"),
            ("http://bob:secret?x@proxy:3128", "HTTPS_PROXY is not the address"),
            ("http://proxy/path", "HTTPS_PROXY is not the address"),
            ("http://user:%ff@proxy:3128", "HTTPS_PROXY is not the address"),
            ("socks5://proxy", "HTTPS_PROXY is a SOCKS proxy"),
            ("socks5h://user:secret@proxy", "HTTPS_PROXY is a SOCKS proxy"),
            ("SOCKS4://proxy", "HTTPS_PROXY is a SOCKS proxy"),
        ] {
            let said = chosen(&[("HTTPS_PROXY", value)], "https://mysite.files.com");
            assert!(said.contains(says) && !said.contains("secret"), "{value}: {said}");
            // An exception needs no proxy, and so no address of one.
            let exception = [("HTTPS_PROXY", value), ("NO_PROXY", "*")];
            assert_eq!(chosen(&exception, "https://mysite.files.com"), "none", "{value}");
        }
    }

    #[test]
    fn exceptions_are_names_networks_and_all() {
        for (list, host, named) in [
            ("", "a.example", false),
            ("*", "a.example", true),
            ("x,*", "a.example", false),
            (" * ", "a.example", true),
            ("a.example", "a.example", true),
            ("A.Example", "a.EXAMPLE", true),
            ("example", "a.example", true),
            (".example", "a.example", true),
            ("a.example", "b.a.example", true),
            ("a.example", "ba.example", false),
            ("b.a.example", "a.example", false),
            ("x , a.example ,y", "a.example", true),
            ("x a.example", "a.example", true),
            ("a.example.", "a.example", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.77", false),
            ("2.7", "192.0.2.7", false),
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.0/24", "192.0.3.7", false),
            ("192.0.2.8/29", "192.0.2.7", false),
            ("0.0.0.0/0", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.7", true),
            ("192.0.2.7/33", "192.0.2.7", false),
            ("192.0.2.0/x", "192.0.2.0", false),
            ("2001:db8::/32", "[2001:db8::1]", true),
            ("[2001:db8::1]", "[2001:db8::1]", true),
            ("2001:db9::/32", "[2001:db8::1]", false),
            ("::/0", "192.0.2.7", false),
        ] {
            assert_eq!(is_exception(list, host), named, "{list:?} {host}");
        }
    }

    #[test]
    fn a_configuration_keeps_apart_what_the_environment_and_what_the_caller_said() {
        let is_environment = |variables: &[(&str, &str)], proxy: Option<Proxy>| {
            let choice = ProxyChoice::of_config(proxy.as_ref(), environment(variables).into());
            matches!(choice, ProxyChoice::Environment(_))
        };
        for variables in [
            [("https_proxy", "http://u:p@a:1")],
            [("http_proxy", "a:1")],
            [("all_proxy", "socks5://a:1")],
            [("https_proxy", "no proxy")],
        ] {
            let proxy = environment(&variables).in_config();
            assert!(is_environment(&variables, proxy), "{variables:?}");
            let named = Proxy::builder(ProxyProtocol::Http).host("a").port(1).no_proxy("*");
            assert!(!is_environment(&variables, named.build().ok()), "{variables:?}");
            assert!(!is_environment(&variables, None), "{variables:?}");
        }
        assert!(environment(&[]).in_config().is_none());

        // The proxy itself is there, for whoever uses the configuration elsewhere.
        let of_https = environment(&[("https_proxy", "http://u:p@a:1"), ("no_proxy", "b.example")]);
        let proxy = of_https.in_config().unwrap();
        let parts = (proxy.host(), proxy.port(), proxy.username(), proxy.password());
        assert_eq!(parts, ("a", 1, Some("u"), Some("p")));
        for (url, direct) in [
            ("https://b.example", true),
            ("https://c.b.example", true),
            ("https://a.example", false),
        ] {
            assert_eq!(proxy.is_no_proxy(&Uri::from_static(url)), direct, "{url}");
        }
        let of_http = environment(&[("http_proxy", "a:1")]).in_config().unwrap();
        assert!(of_http.is_no_proxy(&Uri::from_static("https://b.example")));
    }

    #[test]
    fn in_the_clear_a_loopback_host_is_not_reached_through_a_proxy_elsewhere() {
        let through = |site: &str, proxy: &str, allow_http| {
            let choice = ProxyChoice::Named(Some(Proxy::new(proxy).unwrap()));
            choice.proxy_for(&BaseUrl::parse(site).unwrap(), allow_http).unwrap().is_some()
        };
        assert!(!through("http://127.0.0.1", "http://proxy.example", false));
        assert!(through("http://127.0.0.1", "http://localhost:3128", false));
        assert!(through("https://127.0.0.1", "http://proxy.example", false));
        assert!(through("http://127.0.0.1", "http://proxy.example", true));
    }
}
