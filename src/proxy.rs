//! The proxy for one connection: the caller's or the environment's, which is read by curl's rules.

use std::env;
use std::ffi::OsString;

use ureq::Proxy;

use crate::base_url::{self, BaseUrl};
use crate::input::InvalidInput;

/// Where a site's proxy comes from.
#[derive(Clone)]
pub(crate) enum ProxyChoice {
    /// The environment, read for each connection.
    Environment,
    /// The setting. `None` means no proxy.
    Setting(Option<Proxy>),
}

impl ProxyChoice {
    /// Parses the setting.
    pub(crate) fn parse(address: &str) -> Result<ProxyChoice, InvalidInput> {
        parse("proxy", address).map(|proxy| ProxyChoice::Setting(Some(proxy)))
    }

    /// The proxy for a connection to a site, if there is one.
    pub(crate) fn proxy_for(
        &self,
        site: &BaseUrl,
        allow_http: bool,
    ) -> Result<Option<Proxy>, InvalidInput> {
        let proxy = match self {
            ProxyChoice::Environment if site.is_loopback => None,
            ProxyChoice::Environment => from_environment(site, |name| env::var_os(name))?,
            ProxyChoice::Setting(proxy) => proxy.clone(),
        };
        // Plain http to a loopback host is safe only because it stays on this machine.
        let is_local = |proxy: &Proxy| base_url::is_loopback(proxy.host());
        if site.is_https() || allow_http || proxy.as_ref().is_none_or(is_local) {
            return Ok(proxy);
        }
        Err(InvalidInput::from(format!(
            "plain http to {} would leave this machine through the proxy: \
             use no proxy for it, or set allow_http if that is intended",
            site.authority()
        )))
    }
}

/// The environment's proxy for a site. `variable` reads a variable.
fn from_environment(
    site: &BaseUrl,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, InvalidInput> {
    let first = |names: &[&'static str]| {
        let mut names = names.iter();
        names.find_map(|name| Some((*name, variable(name).filter(|value| !value.is_empty())?)))
    };
    // HTTP_PROXY is left out: a web server sets it from a request header.
    let proxy = if site.is_https() {
        first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
    } else {
        first(&["http_proxy", "all_proxy", "ALL_PROXY"])
    };
    let exceptions = || first(&["no_proxy", "NO_PROXY"]).map(|(_, value)| value);
    match proxy {
        Some((name, value))
            if !is_exception(&exceptions().unwrap_or_default().to_string_lossy(), &site.host) =>
        {
            // A value that isn't UTF-8 is not an address.
            parse(name, &value.to_string_lossy()).map(Some)
        }
        _ => Ok(None),
    }
}

/// Parses a proxy's address. An error names the variable or setting, because the address itself may
/// contain a password.
fn parse(name: &'static str, address: &str) -> Result<Proxy, InvalidInput> {
    let invalid = |reason: &str| InvalidInput::from(format!("{name} {reason}"));
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let address = address.strip_suffix('/').unwrap_or(address);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user_info, authority) = rest.rsplit_once('@').unwrap_or(("", rest));
    let not_an_address = || match user_info {
        "" => invalid("is not the address of a proxy: write it as http://host:port, or unset it"),
        _ => invalid(
            "is not the address of a proxy: percent-encode the user and the password, \
             or write it as http://user:password@host:port",
        ),
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" => {}
        "https" if crate::tls::IS_AVAILABLE => {}
        "https" => {
            return Err(invalid("is an https proxy, but files-session was built without TLS"));
        }
        scheme if scheme.starts_with("socks") => {
            return Err(invalid(
                "is a SOCKS proxy, which is not supported: give an HTTP proxy, or unset it",
            ));
        }
        _ => return Err(not_an_address()),
    }
    // ureq ends the address at these, even inside a password.
    if rest.contains(['/', '?', '#', '\\']) {
        return Err(not_an_address());
    }
    let (host, port) = base_url::split_authority(authority);
    if !base_url::is_host(host) {
        return Err(not_an_address());
    }
    if !port.is_none_or(base_url::is_port) {
        return Err(invalid("has a port that is not a number from 1 to 65535"));
    }
    Proxy::new(address).map_err(|_| not_an_address())
}

/// Whether a list contains a host. `*` alone matches every host, a name matches itself and its
/// subdomains, an address matches itself. A leading dot is ignored, as in curl.
fn is_exception(list: &str, host: &str) -> bool {
    let matches = |entry: &str| match base_url::ip(host) {
        Some(ip) => {
            let entry = entry.trim_start_matches('[').trim_end_matches(']');
            entry.parse() == Ok(ip)
        }
        None => {
            let rest = host.strip_suffix(&entry.to_ascii_lowercase());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    };
    list.trim() == "*"
        || list
            .split([',', ' ', '\t'])
            .map(|entry| entry.trim_start_matches('.').trim_end_matches('.'))
            .any(|entry| !entry.is_empty() && matches(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxy that the environment names for a site, or the error's text.
    fn chosen(variables: &[(&str, &str)], url: &str) -> String {
        let site = BaseUrl::parse(url).unwrap();
        let variable =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        match from_environment(&site, variable) {
            Ok(Some(proxy)) => format!("{}:{}", proxy.host(), proxy.port()),
            Ok(None) => "none".to_owned(),
            Err(error) => error.0.into_owned(),
        }
    }

    /// The result for a proxy that is reached over TLS.
    const HTTPS_PROXY: &str = if crate::tls::IS_AVAILABLE {
        "a:443"
    } else {
        "all_proxy is an https proxy, but files-session was built without TLS"
    };

    #[test]
    fn the_environment_is_read_by_curls_rules() {
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
            (&[("all_proxy", "a:1/")], "a:1", "a:1"),
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
    fn an_invalid_proxy_address_is_an_error_that_names_the_variable() {
        for (value, message) in [
            ("http://proxy:99999", "HTTPS_PROXY has a port"),
            ("http://proxy:", "HTTPS_PROXY has a port"),
            ("http://proxy:0", "HTTPS_PROXY has a port"),
            ("http://proxy:3128 ", "HTTPS_PROXY has a port"),
            (" http://proxy:3128", "HTTPS_PROXY is not the address"),
            ("http//proxy:3128", "HTTPS_PROXY is not the address"),
            ("htp://proxy:3128", "HTTPS_PROXY is not the address"),
            ("http://", "HTTPS_PROXY is not the address"),
            ("http://proxy:3128/path", "HTTPS_PROXY is not the address"),
            ("http://proxy/path", "proxy: write it as"),
            ("http://bob:12/x@proxy:3128", "percent-encode the user and the password"),
            ("http://bob:secret#x@proxy:3128", "percent-encode"),
            ("http://bob:secret?x@proxy:3128", "percent-encode"),
            (r"http://DOMAIN\bob:secret@proxy:3128", "percent-encode"),
            ("http://bob:sécret@proxy:3128", "percent-encode"),
            ("http://bob:a secret@proxy:3128", "percent-encode"),
            ("http://user:%ff@proxy:3128", "percent-encode"),
            ("http://pr\u{fffd}xy:3128", "HTTPS_PROXY is not the address"),
            ("socks5://proxy", "HTTPS_PROXY is a SOCKS proxy"),
            ("socks5h://user:secret@proxy", "HTTPS_PROXY is a SOCKS proxy"),
            ("SOCKS4://proxy", "HTTPS_PROXY is a SOCKS proxy"),
        ] {
            let error = chosen(&[("HTTPS_PROXY", value)], "https://mysite.files.com");
            assert!(error.contains(message) && !error.contains("secret"), "{value}: {error}");
            // For an exempt host, the proxy's address is not checked.
            let exception = [("HTTPS_PROXY", value), ("NO_PROXY", "*")];
            assert_eq!(chosen(&exception, "https://mysite.files.com"), "none", "{value}");
        }
    }

    #[test]
    fn exceptions_are_names_addresses_and_all() {
        for (list, host, matches) in [
            ("", "a.example", false),
            ("*", "a.example", true),
            ("x,*", "a.example", false),
            (" * ", "a.example", true),
            ("a.example", "a.example", true),
            ("A.Example", "a.example", true),
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
            ("192.0.2.0/24", "192.0.2.7", false),
            ("2001:db8::1", "[2001:db8::1]", true),
            ("2001:db8:0::1", "[2001:db8::1]", true),
            ("[2001:db8::1]", "[2001:db8::1]", true),
        ] {
            assert_eq!(is_exception(list, host), matches, "{list:?} {host}");
        }
    }

    #[test]
    fn plain_http_to_a_loopback_host_does_not_leave_this_machine_through_a_proxy() {
        let is_allowed = |site: &str, proxy: &str, allow_http| {
            let choice = ProxyChoice::parse(proxy).unwrap();
            choice.proxy_for(&BaseUrl::parse(site).unwrap(), allow_http).is_ok()
        };
        assert!(!is_allowed("http://127.0.0.1", "http://proxy.example", false));
        assert!(is_allowed("http://127.0.0.1", "http://localhost:3128", false));
        assert!(is_allowed("https://127.0.0.1", "http://proxy.example", false));
        assert!(is_allowed("http://127.0.0.1", "http://proxy.example", true));
    }
}
