//! Through a proxy, past it, and not at all.

mod support;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use files_session::{ErrorKind, Session, Site, agent_config, ureq};
use support::{Nobody, Reply, Server, again, example, lets_in, login, nobody, passes};

/// A proxy that leads every CONNECT to one address on this machine, and keeps what it got.
struct Tunnel {
    addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    fn to(target: SocketAddr) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = heads.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut client, kept) = (stream.unwrap(), kept.clone());
                thread::spawn(move || -> io::Result<()> {
                    let (mut head, mut reader) =
                        (String::new(), BufReader::new(client.try_clone()?));
                    while reader.read_line(&mut head)? > 2 {}
                    kept.lock().unwrap().push(head);
                    let mut server = TcpStream::connect(target)?;
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                    let mut back = (server.try_clone()?, client.try_clone()?);
                    thread::spawn(move || {
                        let _ = io::copy(&mut back.0, &mut back.1);
                        back.1.shutdown(Shutdown::Both)
                    });
                    io::copy(&mut client, &mut server).map(drop)
                });
            }
        });
        Tunnel { addr, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn through(site: Site, proxy: &str) -> Site {
    let proxy = ureq::Proxy::new(proxy).unwrap();
    site.retries(0).config(agent_config().proxy(Some(proxy)).build())
}

#[test]
fn a_call_goes_through_a_proxy() {
    let server = Server::with(lets_in);
    let proxy = Tunnel::to(server.addr);
    let site = through(
        Site::new("http://mysite.test.invalid").allow_http(),
        &format!("http://user:secret@{}", proxy.addr),
    );
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "login and logout share one tunnel");
    // The name is the proxy's to look up.
    assert!(heads[0].starts_with("CONNECT mysite.test.invalid:80 HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ="), "{heads:?}");
}

#[test]
fn a_login_through_a_tunnel_that_may_have_arrived_is_sent_once() {
    for reply in [Reply::nothing().then_close(), Reply::nothing().then_reset()] {
        let server = Server::new([reply, Reply::session()]);
        let proxy = Tunnel::to(server.addr);
        let site = Site::new("http://mysite.test.invalid").allow_http();
        let site = through(site, &format!("http://{}", proxy.addr)).retries(3);
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        assert!(
            error.to_string().contains("mysite.test.invalid"),
            "not the proxy's fault: {error}"
        );
        assert_eq!((server.requests().len(), proxy.heads().len()), (1, 1));
    }
}

#[test]
fn the_time_limit_for_connecting_ends_with_the_tunnel() {
    let server = Server::with(|request| lets_in(request).after(Duration::from_millis(1500)));
    let proxy = Tunnel::to(server.addr);
    let proxy = ureq::Proxy::new(&format!("http://{}", proxy.addr)).unwrap();
    let config = agent_config().proxy(Some(proxy)).timeout_connect(Some(Duration::from_secs(1)));
    let site = Site::new("http://mysite.test.invalid").allow_http().config(config.build());
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
}

fn run_example(url: &str, variables: &[(&str, &str)]) -> Output {
    example("login")
        .env("FILES_BASE_URL", url)
        .env("FILES_USERNAME", "username")
        .env("FILES_PASSWORD", "password")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// A name that only a proxy knows.
#[cfg(feature = "_tls")]
const ELSEWHERE: &str = "https://mysite.test.invalid";

/// This machine, by an address that is not a loopback one, and a port at which nobody listens.
fn unreachable(scheme: &str, nobody: &Nobody) -> String {
    format!("{scheme}://0.0.0.0:{}", nobody.addr.port())
}

/// What the proxy was asked, and what the example said.
#[cfg(feature = "_tls")]
fn asked(url: &str, variables: &[(&str, &str)]) -> (Vec<String>, String) {
    let proxy = Server::new([Reply::raw("HTTP/1.1 403 Forbidden\r\n\r\n").then_close()]);
    let addr = proxy.addr.to_string();
    let variables: Vec<(&str, String)> =
        variables.iter().map(|(name, value)| (*name, value.replace("PROXY", &addr))).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let output = run_example(url, &variables);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = proxy.requests().into_iter().map(|request| request.line).collect();
    (lines, String::from_utf8(output.stderr).unwrap())
}

#[cfg(feature = "_tls")]
#[test]
fn a_proxy_is_taken_from_the_environment() {
    let connect = vec!["CONNECT mysite.test.invalid:443".to_owned()];
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let (lines, said) = asked(ELSEWHERE, &[(name, "http://PROXY")]);
        assert_eq!(lines, connect, "{name}: {said}");
        assert!(said.contains("the proxy 127.0.0.1:") && said.contains("403"), "{said}");
    }
    // Of another scheme, or one that a web server sets from a request's header.
    let nobody = nobody();
    let past = format!("no connection to 0.0.0.0:{}: ", nobody.addr.port());
    for name in ["HTTP_PROXY", "http_proxy"] {
        let (lines, said) = asked(&unreachable("https", &nobody), &[(name, "http://PROXY")]);
        assert!(lines.is_empty() && said.contains(&past), "{name}: {said}");
    }
}

#[cfg(feature = "_tls")]
#[test]
fn exceptions_of_the_environment_are_respected() {
    let nobody = nobody();
    let past = format!("no connection to 0.0.0.0:{}: ", nobody.addr.port());
    for (name, exceptions, respected) in [
        ("NO_PROXY", "a, 0.0.0.0 , b", true),
        ("no_proxy", "0.0.0.0", true),
        ("NO_PROXY", "*", true),
        ("NO_PROXY", "0.0.0.1", false),
    ] {
        let variables = [("HTTPS_PROXY", "http://PROXY"), (name, exceptions)];
        let (lines, said) = asked(&unreachable("https", &nobody), &variables);
        assert_eq!(lines.is_empty(), respected, "{exceptions}: {said}");
        assert_eq!(said.contains(&past), respected, "{exceptions}: {said}");
    }
}

#[test]
fn a_loopback_host_is_never_reached_through_a_proxy_of_the_environment() {
    let server = Server::with(lets_in);
    for proxy in ["http://127.0.0.1:9", "http://proxy.test.invalid:3128", "no address at all"] {
        let variables = ["all_proxy", "http_proxy", "https_proxy"].map(|name| (name, proxy));
        let output = run_example(&server.url(), &variables);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(server.methods(), ["POST", "DELETE"].repeat(3));
}

#[cfg(feature = "_tls")]
#[test]
fn a_variable_that_is_no_proxy_address_is_never_a_call_past_the_proxy() {
    for (value, says) in [
        ("http//PROXY", "error: https_proxy is not the address of a proxy"),
        ("http://PROXY ", "error: https_proxy has a port that is not a number"),
        ("http://127.0.0.1:99999", "error: https_proxy has a port that is not a number"),
        ("socks5://u:hunter2@PROXY", "error: https_proxy is a SOCKS proxy, which is not supported"),
    ] {
        let (lines, said) = asked(ELSEWHERE, &[("https_proxy", value)]);
        assert!(lines.is_empty() && said.contains(says), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_configuration_that_names_a_proxy_goes_before_the_environment() {
    // The test runs itself again, with an environment that no call gets through.
    if std::env::var_os("FILES_SESSION_TEST_AGAIN").is_none() {
        let test = "a_configuration_that_names_a_proxy_goes_before_the_environment";
        let mut again = again(&[], test);
        passes(again.env("FILES_SESSION_TEST_AGAIN", "1").env("all_proxy", "no address at all"));
        return;
    }
    let nobody = nobody();
    let site = || Site::new(unreachable("http", &nobody)).allow_http().retries(0);
    let kind = |site: Site| Session::login(&site, &login()).unwrap_err().kind();
    assert_eq!(kind(site()), ErrorKind::InvalidInput);
    assert_eq!(kind(site().config(agent_config().build())), ErrorKind::InvalidInput);
    // None: the site itself is asked.
    assert_eq!(kind(site().config(agent_config().proxy(None).build())), ErrorKind::Connect);
    let server = Server::with(lets_in);
    let proxy = Tunnel::to(server.addr);
    let site = through(site(), &format!("http://{}", proxy.addr));
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(proxy.heads().len(), 1);
}

#[cfg(feature = "_tls")]
#[test]
fn a_proxy_that_refuses_is_a_clear_error() {
    for (reply, says) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"),
    ] {
        let proxy = Server::new([Reply::raw(reply).then_close()]);
        let url = format!("http://user:hunter2@{}", proxy.addr);
        let site = through(Site::new(ELSEWHERE), &url).retries(3);
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        let said = error.to_string();
        let refused = format!("the proxy {} refused", proxy.addr);
        assert!(said.contains(&refused) && said.contains(says), "{said}");
        let all = format!("{error} {error:?} {site:?}");
        assert!(!all.contains("hunter2") && !all.contains("dXNlcj"), "{all}");
        assert_eq!(proxy.requests().len(), 1, "a refusal is not repeated");
    }
}

#[test]
fn what_a_proxy_breaks_is_said_of_the_proxy_and_nothing_counts_as_sent() {
    let breaks = |reply: Reply| Server::new([reply]);
    for (proxy, kind, says) in [
        (breaks(Reply::raw("SSH-2.0-OpenSSH\r\n")), ErrorKind::Connect, "is not HTTP"),
        (breaks(Reply::nothing().then_close()), ErrorKind::Connect, "refused"),
        (breaks(Reply::nothing().then_reset()), ErrorKind::Connect, "connection reset"),
        (breaks(Reply::raw("HTTP/1.1 200 O").then_close()), ErrorKind::Connect, "refused"),
        (breaks(Reply::nothing().then_silence()), ErrorKind::Timeout, "within 1s"),
        (
            breaks(Reply::pieces([b"x"; 999]).slowly(Duration::from_millis(100))),
            ErrorKind::Connect,
            "is not HTTP",
        ),
        (
            breaks(
                Reply::pieces(
                    "HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyy".as_bytes().chunks(1),
                )
                .slowly(Duration::from_millis(100)),
            ),
            ErrorKind::Timeout,
            "within 1s",
        ),
    ] {
        let site = Site::new("http://mysite.test.invalid").allow_http().retries(1);
        let url = format!("http://user:hunter2@{}", proxy.addr);
        let config = agent_config()
            .proxy(Some(ureq::Proxy::new(&url).unwrap()))
            .timeout_connect(Some(Duration::from_secs(1)));
        let site = site.config(config.build());
        let start = Instant::now();
        let logout = Session::resume(&site, "id").unwrap().logout();
        for error in [Session::login(&site, &login()).unwrap_err(), logout.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{error:?}");
            let said = error.to_string();
            assert!(said.contains(&format!("the proxy {}", proxy.addr)), "{said}");
            assert!(said.contains(says) && !said.contains("Files.com"), "{said}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        // Two calls of two tries of 1 s each, and what is waited between.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        // A login is repeated only where nothing was sent.
        let times = proxy.requests().len();
        let repeated = !says.contains("HTTP") && says != "refused";
        assert_eq!(times, if repeated { 4 } else { 2 }, "{says}");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_a_clear_error() {
    let nobody = nobody();
    let url = format!("http://user:hunter2@{}", nobody.addr);
    let site = through(Site::new("http://mysite.test.invalid").allow_http(), &url);
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    let said = error.to_string();
    assert!(said.starts_with(&format!("no connection to the proxy {}", nobody.addr)), "{said}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");

    // A label of a name has at most 63 characters, so no name server is asked for this one.
    let proxy = format!("{}.invalid:3128", "a".repeat(64));
    let site = Site::new("http://mysite.test.invalid").allow_http();
    let error = Session::login(&through(site, &format!("http://{proxy}")), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    let said = error.to_string();
    assert!(said.contains(&format!("the name of the proxy {proxy} could not")), "{said}");
}

#[test]
fn a_socks_proxy_of_a_configuration_is_refused() {
    let site = through(Site::new("http://127.0.0.1:9"), "socks5://user:hunter2@127.0.0.1:9");
    let error = Session::login(&site.allow_http(), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let all = format!("{error} {error:?}");
    assert!(all.contains("SOCKS") && !all.contains("hunter2"), "{all}");
}

/// The refusal of a login whose user belongs to another region.
#[cfg(feature = "_tls")]
fn mismatch(host: &str) -> Reply {
    Reply::json(
        401,
        format!(
            r#"{{"type":"not-authenticated/lockout-region-mismatch","error":"Other region",
            "data":{{"host":"{host}"}}}}"#
        ),
    )
}

/// A site on this machine that is reached directly, while all else goes to a proxy.
fn behind(proxy: SocketAddr, site: &Server) -> Site {
    let proxy = ureq::Proxy::builder(ureq::ProxyProtocol::Http)
        .host("127.0.0.1")
        .port(proxy.port())
        .no_proxy("127.0.0.1");
    site.site().config(agent_config().proxy(Some(proxy.build().unwrap())).build())
}

#[cfg(feature = "_tls")]
#[test]
fn a_login_of_another_region_is_sent_once_more_to_its_host() {
    for (host, asked) in [
        ("eu.files.com", Some("CONNECT eu.files.com:443")),
        ("https://eu.files.com", Some("CONNECT eu.files.com:443")),
        ("http://eu.files.com", None),
        ("evil.example", None),
        ("", None),
    ] {
        let site = Server::new([mismatch(host)]);
        // Whatever is not for the site itself shows at the proxy, which lets nobody through.
        let proxy = Server::new([Reply::raw("HTTP/1.1 403 Forbidden\r\n\r\n").then_close()]);
        let error = Session::login(&behind(proxy.addr, &site), &login()).unwrap_err();

        assert_eq!(site.requests().len(), 1, "{host}");
        let lines: Vec<String> = proxy.requests().into_iter().map(|request| request.line).collect();
        assert_eq!(lines, asked.into_iter().collect::<Vec<_>>(), "{host}");
        match asked {
            Some(_) => assert_eq!(error.kind(), ErrorKind::Connect, "{error}"),
            None => {
                assert_eq!(error.kind(), ErrorKind::RegionMismatch, "{error}");
                assert_eq!(error.api().unwrap().host.as_deref().unwrap_or_default(), host);
            }
        }
    }
}

#[test]
fn only_a_region_mismatch_sends_the_login_elsewhere() {
    for error_type in [
        "not-authenticated/invalid-credentials",
        "not-authenticated/two-factor-authentication-error",
        "not-authorized/lockout-region-mismatch",
        "lockout-region-mismatch",
    ] {
        let refusal = format!(r#"{{"type":"{error_type}","data":{{"host":"eu.files.com"}}}}"#);
        let site = Server::new([Reply::json(401, refusal)]);
        let proxy = Server::new([Reply::raw("HTTP/1.1 403 Forbidden\r\n\r\n").then_close()]);
        let error = Session::login(&behind(proxy.addr, &site), &login()).unwrap_err();
        assert_eq!(error.api().unwrap().error_type.as_deref(), Some(error_type));
        assert!(proxy.requests().is_empty(), "{error_type}");
    }
}

#[cfg(feature = "_tls")]
#[test]
fn the_deadline_holds_over_two_regions() {
    let limit = Duration::from_secs(3);
    let site = Server::new([mismatch("eu.files.com").after(Duration::from_secs(2))]);
    let silent = Server::new([Reply::nothing().then_silence()]);
    let start = Instant::now();
    let site = behind(silent.addr, &site).timeout(limit);
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let took = start.elapsed();
    // A limit of its own for the second host would end after 5 s.
    assert!((limit..limit + Duration::from_millis(1500)).contains(&took), "{took:?}");
}

/// A region over https, through a proxy that leads every tunnel to it.
#[cfg(feature = "_tls")]
fn region(
    reply: impl Fn(&support::Request) -> Reply + Send + Sync + 'static,
) -> (Server, Server, Site) {
    use support::tls::{Ca, VALID};
    use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

    let ca = Ca::new();
    let region = Server::tls(ca.server("eu.files.com", VALID), reply);
    let proxy = Tunnel::to(region.addr);
    let root = Certificate::from_der(ca.certificate.der()).to_owned();
    let provider =
        if cfg!(feature = "rustls") { TlsProvider::Rustls } else { TlsProvider::NativeTls };
    let tls = TlsConfig::builder()
        .provider(provider)
        .root_certs(RootCerts::new_with_certs(&[root]))
        .build();
    let here = Server::new([mismatch("https://eu.files.com")]);
    let proxy = ureq::Proxy::builder(ureq::ProxyProtocol::Http)
        .host("127.0.0.1")
        .port(proxy.addr.port())
        .no_proxy("127.0.0.1");
    let config = agent_config().tls_config(tls).proxy(Some(proxy.build().unwrap()));
    let site = here.site().config(config.build());
    (region, here, site)
}

#[cfg(feature = "_tls")]
#[test]
fn a_session_of_another_region_lives_there() {
    let (region, here, site) = region(lets_in);
    let session = Session::login(&site, &login()).unwrap();
    assert_eq!(session.base_url(), "https://eu.files.com");
    // It keeps no connection to where it does not live.
    drop(site);
    here.closed(0);
    session.logout().unwrap();
    assert_eq!(region.methods(), ["POST", "DELETE"]);
    assert_eq!(region.requests()[0].header("host"), Some("eu.files.com"));
}

#[cfg(feature = "_tls")]
#[test]
fn a_login_is_sent_on_to_another_region_only_once() {
    let (region, here, site) = region(|_| mismatch("us.files.com"));
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RegionMismatch, "{error}");
    assert_eq!(error.api().unwrap().host.as_deref(), Some("us.files.com"));
    assert_eq!((here.requests().len(), region.requests().len()), (1, 1));
}

#[cfg(feature = "_tls")]
#[test]
fn a_second_factor_asked_for_in_another_region_is_answered_there() {
    let (region, here, site) = region(|request| match request.number {
        0 => Reply::json(
            401,
            r#"{"type":"not-authenticated/two-factor-authentication-error",
            "data":{"two_factor_authentication_methods":["totp","yubi"],"partial_session_id":"p"}}"#,
        ),
        1 | 2 => Reply::json(401, r#"{"type":"not-authenticated/one-time-password-incorrect"}"#),
        _ => lets_in(request),
    });
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TwoFactorRequired);
    let two_factor = error.two_factor().unwrap();
    // With the password, or with the partial session id in its place.
    for code in ["000000", "cccccccccccccccccccccccccccccccccccccccccccc"] {
        let wrong = Session::login(&site, &login().answer(two_factor, code)).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::OtpIncorrect);
    }
    assert!(region.requests()[2].body.contains(r#""partial_session_id":"p""#));
    let session = Session::login(&site, &login().answer(two_factor, "123456")).unwrap();
    assert_eq!(session.base_url(), "https://eu.files.com");
    session.logout().unwrap();
    assert_eq!(region.methods(), ["POST", "POST", "POST", "POST", "DELETE"]);
    // Only the first login was for the site that the caller named.
    assert_eq!(here.methods(), ["POST"]);
}
