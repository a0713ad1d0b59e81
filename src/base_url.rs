//! The address of a site: the one place that says what a host may be, which ones stay on this
//! machine, and which ones are under `files.com`.

use std::net::{IpAddr, Ipv6Addr};

use ureq::http::Uri;

use crate::error::InvalidInput;

/// Behind the origin, the path of the API.
const API: &str = "/api/rest/v1";

/// The origin of a site, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    origin: String,
    /// The address of the two calls.
    pub(crate) endpoint: Uri,
}

impl BaseUrl {
    /// Checks an address. One without a scheme means https.
    pub(crate) fn parse(url: &str) -> Result<BaseUrl, InvalidInput> {
        // Before anything else, so that no message shows what stands there.
        if url.contains('@') {
            return Err(InvalidInput::UserInfo);
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(&*scheme, "https" | "http") {
            return Err(InvalidInput::Scheme(scheme));
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        for (sign, part) in [('#', "fragment"), ('?', "query")] {
            if path.contains(sign) {
                return Err(InvalidInput::NotAnOrigin(part));
            }
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() && path != API {
            return Err(InvalidInput::NotAnOrigin("path"));
        }

        let (host, port) = split_authority(authority);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if !is_host(&host) {
            return Err(InvalidInput::Host(host));
        }
        if let Some(port) = port.filter(|port| !is_port(port)) {
            return Err(InvalidInput::Port(port.to_owned()));
        }
        let mut origin = scheme + "://" + &host;
        if let Some(port) = port {
            origin = origin + ":" + port;
        }
        let endpoint = origin.clone() + API + "/sessions";
        let endpoint = Uri::try_from(endpoint).map_err(|_| InvalidInput::Host(host))?;
        Ok(BaseUrl { origin, endpoint })
    }

    /// The place of another region, as a refusal names it: a host under `files.com`, bare or as
    /// `https://host`. Any other is not to get a password.
    pub(crate) fn region(host: &str) -> Option<BaseUrl> {
        let region = BaseUrl::parse(host).ok()?;
        let is_under_files_com = region.host().ends_with(".files.com");
        let has_port = region.endpoint.port().is_some();
        (region.is_https() && is_under_files_com && !has_port).then_some(region)
    }

    /// Scheme, host and, where one was given, port.
    pub(crate) fn as_str(&self) -> &str {
        &self.origin
    }

    pub(crate) fn is_https(&self) -> bool {
        self.endpoint.scheme_str() == Some("https")
    }

    /// Whether a connection stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }

    pub(crate) fn host(&self) -> &str {
        self.endpoint.host().unwrap_or_default()
    }

    /// Host and, where one was given, port: for messages.
    pub(crate) fn authority(&self) -> &str {
        self.endpoint.authority().map_or("", |authority| authority.as_str())
    }
}

/// Host and port. The colon of a port is the one behind a bracket, or else the only one.
pub(crate) fn split_authority(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether this is a host name, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_host(host: &str) -> bool {
    if host.starts_with('[') {
        return ip(host).is_some();
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

pub(crate) fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
}

/// The address that a host is, where it is one: an IPv6 address stands in brackets.
pub(crate) fn ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// The one name that stays on this machine.
pub(crate) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// Whether a connection to this host stays on this machine: `localhost`, which is connected to
/// only at a loopback address, `127.0.0.0/8`, `[::1]`.
pub(crate) fn is_loopback(host: &str) -> bool {
    is_localhost(host) || ip(host).is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_taken() {
        for (url, origin) in [
            ("https://mysite.files.com", "https://mysite.files.com"),
            ("https://mysite.files.com/", "https://mysite.files.com"),
            ("https://mysite.files.com./", "https://mysite.files.com"),
            ("https://mysite.files.com.:444", "https://mysite.files.com:444"),
            ("https://mysite.files.com/api/rest/v1", "https://mysite.files.com"),
            ("https://mysite.files.com/api/rest/v1/", "https://mysite.files.com"),
            ("HTTPS://MySite.Files.COM", "https://mysite.files.com"),
            ("mysite.files.com", "https://mysite.files.com"),
            ("mysite.files.com:444", "https://mysite.files.com:444"),
            ("localhost", "https://localhost"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]", "http://[::1]"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://a-b_c.example", "https://a-b_c.example"),
            ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
        ] {
            let base_url = BaseUrl::parse(url).unwrap_or_else(|e| panic!("{url}: {e:?}"));
            assert_eq!(base_url.as_str(), origin, "{url}");
            assert_eq!(base_url.endpoint, *format!("{origin}/api/rest/v1/sessions"), "{url}");
        }
        let longest = format!("{}.com", "a.".repeat(124) + "a");
        assert_eq!(longest.len(), 253);
        assert!(BaseUrl::parse(&longest).is_ok());
    }

    #[test]
    fn addresses_that_are_refused() {
        let host = |host: &str| InvalidInput::Host(host.to_owned());
        let too_long = "a".repeat(254);
        for (url, error) in [
            ("", host("")),
            ("https://", host("")),
            ("https://.", host("")),
            ("https:///", host("")),
            ("https://:443", host("")),
            ("https://a..b", host("a..b")),
            ("https://a.b..", host("a.b.")),
            ("https://a b", host("a b")),
            ("https://a\nb", host("a\nb")),
            ("https://münchen.example", host("münchen.example")),
            ("https://a%2eb", host("a%2eb")),
            ("https://[::1", host("[:")),
            ("https://[::g]", host("[::g]")),
            ("https://[127.0.0.1]", host("[127.0.0.1]")),
            ("https://::1", host(":")),
            (too_long.as_str(), host(&too_long)),
            ("ftp://mysite.files.com", InvalidInput::Scheme("ftp".to_owned())),
            ("//mysite.files.com", InvalidInput::NotAnOrigin("path")),
            ("https://u:p@mysite.files.com", InvalidInput::UserInfo),
            ("u:p@https://mysite.files.com", InvalidInput::UserInfo),
            ("https://-a.example", host("-a.example")),
            ("https://a-.example", host("a-.example")),
            ("https://mysite.files.com/@", InvalidInput::UserInfo),
            ("https://mysite.files.com/x", InvalidInput::NotAnOrigin("path")),
            ("https://mysite.files.com//", InvalidInput::NotAnOrigin("path")),
            ("https://mysite.files.com\\x", InvalidInput::NotAnOrigin("path")),
            ("https://mysite.files.com/api/rest/v1/x", InvalidInput::NotAnOrigin("path")),
            ("https://mysite.files.com?x", InvalidInput::NotAnOrigin("query")),
            ("https://mysite.files.com/?x#y", InvalidInput::NotAnOrigin("fragment")),
            ("https://mysite.files.com:", InvalidInput::Port(String::new())),
            ("https://mysite.files.com:0", InvalidInput::Port("0".to_owned())),
            ("https://mysite.files.com:65536", InvalidInput::Port("65536".to_owned())),
            ("https://mysite.files.com:+1", InvalidInput::Port("+1".to_owned())),
        ] {
            assert_eq!(BaseUrl::parse(url), Err(error), "{url}");
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
    fn regions_are_hosts_under_files_com() {
        for (host, origin) in [
            ("eu.files.com", "https://eu.files.com"),
            ("EU.Files.Com", "https://eu.files.com"),
            ("a-1.b.files.com", "https://a-1.b.files.com"),
            ("https://eu.files.com", "https://eu.files.com"),
            ("https://eu.files.com/", "https://eu.files.com"),
        ] {
            assert_eq!(BaseUrl::region(host).unwrap().as_str(), origin, "{host}");
        }
        let (too_long, long_label) =
            ("a.".repeat(125) + "files.com", "a".repeat(64) + ".files.com");
        for host in [
            "",
            "files.com",
            ".files.com",
            "a..files.com",
            "evilfiles.com",
            "files.com.evil.example",
            "eu.files.com:8443",
            "eu.files.com:443",
            "http://eu.files.com",
            "ftp://eu.files.com",
            "evil.example/.files.com",
            "user@eu.files.com",
            "evil.example?.files.com",
            "evil.example#.files.com",
            "evil.example\\.files.com",
            "eu.files.com\n",
            "eu .files.com",
            "éu.files.com",
            "[::1]",
            "-.files.com",
            &too_long,
            &long_label,
        ] {
            assert!(BaseUrl::region(host).is_none(), "{host}");
        }
    }
}
