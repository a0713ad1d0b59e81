//! The address of a site: which hosts are valid, which are on this machine, and which are under
//! `files.com`.

use std::net::{IpAddr, Ipv6Addr};

use ureq::http::Uri;

use crate::input::InvalidInput;
use crate::text::Sanitized;

const API_PATH: &str = "/api/rest/v1";

/// The origin of a site, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// Scheme, host, and port unless it is the scheme's default.
    pub(crate) origin: String,
    pub(crate) host: String,
    pub(crate) is_loopback: bool,
    /// The URL of both calls.
    pub(crate) endpoint: Uri,
}

impl BaseUrl {
    /// Checks an address. One without a scheme means https.
    pub(crate) fn parse(url: &str) -> Result<BaseUrl, InvalidInput> {
        // Checked first, so that no message shows a password.
        if url.contains('@') {
            return Err(InvalidInput::new(
                "the site's address contains a user name or password: pass them to the login",
            ));
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(&*scheme, "https" | "http") {
            return Err(InvalidInput::from(format!(
                "the site's address has the scheme '{}': use https",
                Sanitized(&scheme)
            )));
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let trimmed_path = path.strip_suffix('/').unwrap_or(path);
        let part = match trimmed_path {
            "" | API_PATH => None,
            _ if path.contains('#') => Some("fragment"),
            _ if path.contains('?') => Some("query"),
            _ => Some("path"),
        };
        if let Some(part) = part {
            return Err(InvalidInput::from(format!(
                "the site's address has a {part}: \
                 give only scheme and host, such as https://mysite.files.com"
            )));
        }

        let (host, port) = split_authority(authority);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let invalid_host = || match &*host {
            "" => InvalidInput::new(
                "the site's address has no host: write it as https://mysite.files.com",
            ),
            host => InvalidInput::from(format!(
                "'{}' is not a host name or IP address: write the site as https://mysite.files.com",
                Sanitized(host)
            )),
        };
        if !is_host(&host) {
            return Err(invalid_host());
        }
        let mut origin = [&*scheme, "://", &*host].concat();
        if let Some(text) = port {
            let port = text.parse::<u16>().ok().filter(|_| is_port(text)).ok_or_else(|| {
                InvalidInput::from(format!(
                    "the site's address has the port '{}': it must be a number from 1 to 65535",
                    Sanitized(text)
                ))
            })?;
            // RFC 6454, section 6.2: an origin has no default port.
            if !matches!((&*scheme, port), ("https", 443) | ("http", 80)) {
                origin = origin + ":" + &port.to_string();
            }
        }
        let endpoint = origin.clone() + API_PATH + "/sessions";
        let endpoint = Uri::try_from(endpoint).map_err(|_| invalid_host())?;
        Ok(BaseUrl { is_loopback: is_loopback(&host), origin, host, endpoint })
    }

    /// The site in another region, as a refusal names it: a host under `files.com`, bare or as
    /// `https://host`. No other host may get a password.
    pub(crate) fn region(host: &str) -> Option<BaseUrl> {
        let region = BaseUrl::parse(host).ok()?;
        let is_under_files_com = region.host.ends_with(".files.com");
        let has_port = host.rsplit("://").next().is_some_and(|rest| rest.contains(':'));
        (region.is_https() && is_under_files_com && !has_port).then_some(region)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.endpoint.scheme_str() == Some("https")
    }

    /// Host, and port unless it is the scheme's default: for messages.
    pub(crate) fn authority(&self) -> &str {
        self.endpoint.authority().map_or("", |authority| authority.as_str())
    }
}

/// Host and port. The port follows the last colon that isn't inside brackets.
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

/// The IP address, if the host is one. IPv6 addresses are in brackets.
pub(crate) fn ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// Whether this is `localhost`, the one name that always means this machine.
pub(crate) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// Whether a connection to this host stays on this machine: `localhost`, `127.0.0.0/8`, `[::1]`.
pub(crate) fn is_loopback(host: &str) -> bool {
    is_localhost(host) || ip(host).is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_addresses() {
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
            ("mysite.files.com:443", "https://mysite.files.com"),
            ("https://mysite.files.com:80", "https://mysite.files.com:80"),
            ("http://localhost:80/", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("http://localhost:08080", "http://localhost:8080"),
            ("localhost", "https://localhost"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]", "http://[::1]"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://a-b_c.example", "https://a-b_c.example"),
            ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
        ] {
            let base_url = BaseUrl::parse(url).unwrap_or_else(|e| panic!("{url}: {e:?}"));
            assert_eq!(base_url.origin, origin, "{url}");
            assert_eq!(base_url.endpoint, *format!("{origin}/api/rest/v1/sessions"), "{url}");
        }
        let longest = format!("{}.com", "a.".repeat(124) + "a");
        assert_eq!(longest.len(), 253);
        assert!(BaseUrl::parse(&longest).is_ok());
    }

    #[test]
    fn rejected_addresses() {
        let too_long = "a".repeat(254);
        for (url, message) in [
            ("", "has no host"),
            ("https://", "has no host"),
            ("https://.", "has no host"),
            ("https:///", "has no host"),
            ("https://:443", "has no host"),
            ("https://a..b", "'a..b' is not a host name"),
            ("https://a.b..", "'a.b.' is not a host name"),
            ("https://a b", "'a b' is not a host name"),
            ("https://a\nb", "'a\\u{a}b' is not a host name"),
            ("https://münchen.example", "'münchen.example' is not a host name"),
            ("https://a%2eb", "'a%2eb' is not a host name"),
            ("https://[::1", "'[:' is not a host name"),
            ("https://[::g]", "'[::g]' is not a host name"),
            ("https://[127.0.0.1]", "'[127.0.0.1]' is not a host name"),
            ("https://::1", "':' is not a host name"),
            (too_long.as_str(), "is not a host name"),
            ("ftp://mysite.files.com", "scheme 'ftp'"),
            ("//mysite.files.com", "has a path"),
            ("https://u:p@mysite.files.com", "user name or password"),
            ("u:p@https://mysite.files.com", "user name or password"),
            ("https://-a.example", "'-a.example' is not a host name"),
            ("https://a-.example", "'a-.example' is not a host name"),
            ("https://mysite.files.com/@", "user name or password"),
            ("https://mysite.files.com/x", "has a path"),
            ("https://mysite.files.com//", "has a path"),
            ("https://mysite.files.com\\x", "has a path"),
            ("https://mysite.files.com/api/rest/v1/x", "has a path"),
            ("https://mysite.files.com?x", "has a query"),
            ("https://mysite.files.com/?x#y", "has a fragment"),
            ("https://mysite.files.com:", "the port ''"),
            ("https://mysite.files.com:0", "the port '0'"),
            ("https://mysite.files.com:65536", "the port '65536'"),
            ("https://mysite.files.com:+1", "the port '+1'"),
        ] {
            let error = BaseUrl::parse(url).unwrap_err().0;
            assert!(error.contains(message), "{url}: {error}");
        }
    }

    #[test]
    fn only_hosts_on_this_machine_are_loopback() {
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
            assert_eq!(BaseUrl::region(host).unwrap().origin, origin, "{host}");
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
            "https://eu.files.com:443",
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
