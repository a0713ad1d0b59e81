//! Which proxy a call uses, and how a proxy's failures are reported.

mod support;

use std::time::{Duration, Instant};
use std::{env, thread};

use files_session::{ErrorKind, Session, Site};
use support::tunnel::Tunnel;
use support::{
    ClosedPort, PROXY_VARIABLES, Reply, Server, accept_all, closed_port, in_child, login, stand_in,
};

/// A site that only a proxy can reach, over plain http.
fn elsewhere() -> Site {
    Site::new("http://mysite.test.invalid").allow_http()
}

#[test]
fn a_call_goes_through_a_proxy() {
    let server = Server::with(accept_all);
    let proxy = Tunnel::to(server.addr);
    let site = elsewhere().proxy(&format!("http://user:secret@{}", proxy.addr));
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "login and logout share one tunnel");
    // The proxy looks up the name.
    assert!(heads[0].starts_with("CONNECT mysite.test.invalid:80 HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ="), "{heads:?}");
}

#[test]
fn a_login_through_a_tunnel_that_may_have_arrived_is_sent_once() {
    for reply in [Reply::nothing().then_close(), Reply::nothing().then_reset()] {
        let server = Server::new([reply, Reply::session()]);
        let proxy = Tunnel::to(server.addr);
        let error = Session::login(&elsewhere().proxy(&proxy.url()), &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        // It is not the proxy's fault.
        assert!(error.to_string().contains("the connection to mysite.test.invalid"), "{error}");
        assert_eq!((server.requests().len(), proxy.heads().len()), (1, 1));
    }
}

#[test]
fn connect_timeout_stops_once_the_tunnel_is_open() {
    let server = Server::with(|request| accept_all(request).after(Duration::from_millis(1500)));
    let proxy = Tunnel::to(server.addr);
    let site = elsewhere().proxy(&proxy.url()).connect_timeout(Duration::from_secs(1));
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
}

#[test]
fn bytes_after_the_proxys_response_are_not_the_response_to_the_request() {
    let stray =
        "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{\"id\":\"x\"}";
    let proxy = Server::new([Reply::raw(stray).then_silence()]);
    let error = Session::login(&elsewhere().proxy(&proxy.url()), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(error.to_string().contains("sent data before it got a request"), "{error}");
    assert_eq!(proxy.methods(), ["CONNECT"]);
}

// The environment

/// The result of a login and logout, in another process with these variables.
fn result_with(test: &str, url: &str, variables: &[(&str, impl AsRef<str>)]) -> String {
    let mut all = vec![("URL", url)];
    all.extend(variables.iter().map(|(name, value)| (*name, value.as_ref())));
    in_child(test, &[], &all, || {
        let site = Site::new(&env::var("URL").unwrap()).allow_http().retries(0);
        match Session::login(&site, &login()).and_then(|session| session.logout()) {
            Ok(()) => println!("logged out"),
            Err(error) => println!("{error}"),
        }
    })
}

/// A non-loopback address of this machine, with a closed port.
fn refusing(scheme: &str, closed: &ClosedPort) -> String {
    format!("{scheme}://0.0.0.0:{}", closed.addr.port())
}

/// A proxy that refuses every tunnel, so that its requests show what would go through it.
fn refusing_proxy() -> Server {
    Server::new([Reply::raw("HTTP/1.1 403 Forbidden\r\n\r\n").then_close()])
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn lines(proxy: &Server) -> Vec<String> {
    proxy.requests().into_iter().map(|request| request.line).collect()
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[test]
fn the_environment_names_the_proxy_and_its_exceptions() {
    let this = "the_environment_names_the_proxy_and_its_exceptions";
    let closed = closed_port();
    let direct = format!("no connection to 0.0.0.0:{} (", closed.addr.port());
    for (scheme, variable, exceptions, is_used) in [
        ("https", "https_proxy", "", true),
        ("https", "ALL_PROXY", "", true),
        ("https", "https_proxy", "a, 0.0.0.0 , b", false),
        // A web server sets it from a request header.
        ("http", "HTTP_PROXY", "", false),
    ] {
        let proxy = refusing_proxy();
        let url = refusing(scheme, &closed);
        let variables = [(variable, proxy.url()), ("NO_PROXY", exceptions.to_owned())];
        let text = result_with(this, &url, &variables);
        if is_used {
            let target = format!("CONNECT 0.0.0.0:{}", closed.addr.port());
            assert_eq!(lines(&proxy), [target], "{variable}: {text}");
            assert!(text.contains(&format!("through the proxy {} (", proxy.addr)), "{text}");
        } else {
            assert!(proxy.requests().is_empty() && text.contains(&direct), "{variable}: {text}");
        }
    }
}

#[test]
fn a_loopback_host_never_uses_the_environments_proxy() {
    let this = "a_loopback_host_never_uses_the_environments_proxy";
    let server = Server::with(accept_all);
    let proxy = refusing_proxy();
    let variables = |value: &str| {
        let names = PROXY_VARIABLES.split(' ');
        let names = names.filter(|name| !name.eq_ignore_ascii_case("no_proxy"));
        names.map(|name| (name, value.to_owned())).collect::<Vec<_>>()
    };
    for (host, value) in [
        ("127.0.0.1", proxy.url()),
        ("localhost", proxy.url()),
        ("localhost", "no address at all".to_owned()),
    ] {
        let url = format!("http://{host}:{}", server.addr.port());
        let text = result_with(this, &url, &variables(&value));
        assert!(text.contains("logged out"), "{text}");
    }
    assert_eq!(server.methods(), ["POST", "DELETE"].repeat(3));
    assert!(proxy.requests().is_empty());
}

#[test]
fn an_invalid_proxy_of_the_environment_is_never_bypassed() {
    let this = "an_invalid_proxy_of_the_environment_is_never_bypassed";
    let site = Server::with(accept_all);
    let url = format!("http://0.0.0.0:{}", site.addr.port());
    let proxy = refusing_proxy();
    let long = format!("http://u:hunter2{}@PROXY", "x".repeat(70_000));
    for (value, expected) in [
        ("http//PROXY", "http_proxy is not the address of a proxy"),
        ("http://PROXY ", "http_proxy has a port that is not a number"),
        ("http://127.0.0.1:99999", "http_proxy has a port that is not a number"),
        ("socks5://u:hunter2@PROXY", "http_proxy is a SOCKS proxy, which is not supported"),
        (&long, "http_proxy is not the address of a proxy"),
    ] {
        let value = value.replace("PROXY", &proxy.addr.to_string());
        let text = result_with(this, &url, &[("http_proxy", value)]);
        assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
    }
    assert_eq!((site.connections(), proxy.connections()), (0, 0));
}

#[test]
#[allow(unsafe_code, reason = "environment variables are set")]
fn the_environments_proxy_is_read_when_a_call_connects() {
    let server = Server::new([
        Reply::session(),
        Reply::http(201, "Connection: close\r\n", stand_in::SESSION),
        Reply::no_content(),
    ]);
    let tunnel = Tunnel::to(server.addr);
    let url = format!("http://0.0.0.0:{}", server.addr.port());
    let test = "the_environments_proxy_is_read_when_a_call_connects";
    in_child(test, &[], &[("URL", &url), ("TUNNEL", &tunnel.url())], || {
        let set = |value: &str| {
            // SAFETY: this process runs this test only, and no other thread uses the environment.
            unsafe { env::set_var("http_proxy", value) };
        };
        let site = Site::new(&env::var("URL").unwrap()).allow_http().retries(0);
        let [kept, closed] = [(); 2].map(|()| Session::login(&site, &login()).unwrap());
        set("no address at all");
        assert_eq!(Session::login(&site, &login()).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(Session::resume(&site, "id").unwrap_err().kind(), ErrorKind::InvalidInput);
        // The open connection is used as it is.
        kept.logout().unwrap();
        // The other connection was closed, so this logout makes a new one.
        assert_eq!(closed.logout().unwrap_err().kind(), ErrorKind::InvalidInput);
        set(&env::var("TUNNEL").unwrap());
        closed.logout().unwrap();
    });
    assert_eq!(server.methods(), ["POST", "POST", "DELETE", "DELETE"]);
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 1, 0, 2]);
    assert_eq!(tunnel.heads().len(), 1);
}

#[test]
fn a_setting_replaces_the_environments_proxy() {
    let test = "a_setting_replaces_the_environments_proxy";
    in_child(test, &[], &[("all_proxy", "no address at all")], || {
        let closed = closed_port();
        let site = || Site::new(&refusing("http", &closed)).allow_http().retries(0);
        let kind = |site: Site| Session::login(&site, &login()).unwrap_err().kind();
        assert_eq!(kind(site()), ErrorKind::InvalidInput);
        // The connection goes to the site itself.
        assert_eq!(kind(site().no_proxy()), ErrorKind::Connect);
        let server = Server::with(accept_all);
        let proxy = Tunnel::to(server.addr);
        Session::login(&site().proxy(&proxy.url()), &login()).unwrap().logout().unwrap();
        assert_eq!(proxy.heads().len(), 1);
    });
}

// Failures

#[test]
fn a_refusal_of_the_proxy_is_reported_as_the_proxys_and_not_retried() {
    for status in ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"] {
        let reply = format!("HTTP/1.1 {status}\r\n\r\n");
        let proxy = Server::new([Reply::raw(reply).then_close()]);
        let site = elsewhere().proxy(&format!("http://user:hunter2@{}", proxy.addr));
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("through the proxy {} (", proxy.addr)), "{text}");
        assert!(text.contains(&status[..3]), "{text}");
        let all = format!("{error:#?} {site:?}");
        assert!(!all.contains("hunter2") && !all.contains("dXNlcj"), "{all}");
        assert_eq!(proxy.requests().len(), 1);
    }
}

#[test]
fn a_failure_of_the_proxy_is_reported_as_the_proxys_and_nothing_was_sent() {
    use ErrorKind::{Connect, Timeout};

    let drip =
        |bytes: &str| Reply::pieces(bytes.as_bytes().chunks(1)).slowly(Duration::from_millis(100));
    let endless_header = "HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyy";
    let replies = [
        // What the proxy sends, the error, and the attempts of both calls.
        (Reply::raw("SSH-2.0-OpenSSH\r\n"), Connect, "is not HTTP", 2),
        (drip(&"x".repeat(999)), Connect, "is not HTTP", 2),
        (Reply::nothing().then_close(), Connect, "through the proxy", 2),
        (Reply::raw("HTTP/1.1 200 O").then_close(), Connect, "through the proxy", 2),
        (Reply::raw(format!("HTTP/1.1 200 O\r\nX: {}", "y".repeat(20_000))), Connect, "16 KiB", 2),
        (Reply::nothing().then_reset(), Connect, "onnection reset", 4),
        (Reply::nothing().then_silence(), Timeout, "within 1s (connect_timeout)", 4),
        (drip(endless_header), Timeout, "within 1s (connect_timeout)", 4),
    ];
    let check = |(reply, kind, expected, attempts)| {
        let proxy = Server::new([reply]);
        let url = format!("http://user:hunter2@{}", proxy.addr);
        let site = elsewhere().proxy(&url).connect_timeout(Duration::from_secs(1)).retries(1);
        let start = Instant::now();
        let logout = Session::resume(&site, "id").unwrap().logout();
        for error in [Session::login(&site, &login()).unwrap_err(), logout.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{error:#?}");
            let text = error.to_string();
            assert!(text.contains(&format!("the proxy {}", proxy.addr)), "{text}");
            assert!(text.contains(expected) && !text.contains("Files.com"), "{text}");
            assert!(!format!("{error:#?}").contains("hunter2"), "{error:#?}");
        }
        // Four attempts of 1 s each at most, and two waits.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert_eq!(proxy.requests().len(), attempts, "{expected}");
    };
    thread::scope(|scope| replies.map(|row| scope.spawn(move || check(row))).map(drop));
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[test]
fn an_https_proxy_is_reached_over_tls() {
    use support::tls::{Ca, VALID};

    let ca = Ca::new();
    let proxy = Server::tls(ca.server("127.0.0.1", VALID), |_| Reply::http(403, "", ""));
    let site = elsewhere().proxy(&proxy.url());
    for (site, expected) in [
        (site.clone(), format!("no trusted TLS connection to the proxy {}", proxy.addr)),
        (site.ca_pem(&ca.pem()), format!("through the proxy {} (", proxy.addr)),
    ] {
        let error = Session::login(&site, &login()).unwrap_err();
        // `Tls` is only for failures of the site.
        assert_eq!(error.kind(), ErrorKind::Connect, "{error:#?}");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    assert_eq!(lines(&proxy), ["CONNECT mysite.test.invalid:80"]);
}
