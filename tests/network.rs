//! The promises of a call, against servers that stall, flood, break off and point elsewhere.

mod support;

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use files_session::{Error, ErrorKind, Session, Site, agent_config, ureq};
use support::{Reply, Request, Server, login, nobody, stand_in};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// The time limit of the tests that run into one.
const LIMIT: Duration = Duration::from_millis(1500);

/// How much later a call may end on a busy machine. A limit that held only once over twice would
/// still show; the promise itself is a quarter of a second.
const SLACK: Duration = Duration::from_secs(1);

type Call<'a> = Box<dyn Fn() -> Result<(), Error> + 'a>;

/// Login and logout at a site, each as a closure, for promises that hold for both.
fn both(site: &Site) -> [(&'static str, Call<'_>); 2] {
    let logout = || Session::resume(site, "id")?.logout();
    [("login", Box::new(|| Session::login(site, &login()).map(drop))), ("logout", Box::new(logout))]
}

// The deadline

#[track_caller]
fn ends_in_time(site: &Site, kind: ErrorKind) {
    for (name, call) in both(&site.clone().timeout(LIMIT)) {
        let start = Instant::now();
        let error = call().unwrap_err();
        let took = start.elapsed();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(took < LIMIT + SLACK, "{name} took {took:?}: {error}");
    }
}

#[test]
fn the_deadline_holds_over_silence() {
    ends_in_time(&Server::new([Reply::nothing().then_silence()]).site(), ErrorKind::Timeout);
}

#[test]
fn the_deadline_holds_over_silence_after_the_headers() {
    // Not for a logout, which is done with a 2xx.
    let head = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{";
    let site = Server::new([Reply::raw(head).then_silence()]).site().timeout(LIMIT);
    let start = Instant::now();
    assert_eq!(Session::login(&site, &login()).unwrap_err().kind(), ErrorKind::Timeout);
    assert!(start.elapsed() < LIMIT + SLACK);
}

#[test]
fn the_deadline_holds_over_a_byte_at_a_time() {
    let body = format!("HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n{}", "{".repeat(999));
    let slowly =
        |bytes: &str| Reply::pieces(bytes.as_bytes().chunks(1)).slowly(Duration::from_millis(200));
    ends_in_time(&Server::new([slowly(&body)]).site(), ErrorKind::Timeout);
    let head = "HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n";
    let body = Reply::pieces([vec![head.as_bytes()], vec![b"{"; 999]].concat());
    let site = Server::new([body.slowly(Duration::from_millis(200))]).site().timeout(LIMIT);
    let start = Instant::now();
    assert_eq!(Session::login(&site, &login()).unwrap_err().kind(), ErrorKind::Timeout);
    assert!(start.elapsed() < LIMIT + SLACK);
}

#[test]
fn the_deadline_holds_over_a_server_that_never_accepts() {
    // The kernel makes the connection, and nobody serves it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(format!("http://{}", listener.local_addr().unwrap()));
    ends_in_time(&site, ErrorKind::Timeout);
}

#[test]
fn the_deadline_holds_over_a_server_that_does_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(format!("http://{}", listener.local_addr().unwrap())).timeout(LIMIT);
    // More than the buffers of both sides take.
    let password = "x".repeat(12 * 1024 * 1024);
    let start = Instant::now();
    let error = Session::login(&site, &files_session::Login::new("u", &password)).unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(took < LIMIT + SLACK, "{took:?}");
}

#[cfg(feature = "rustls")]
#[test]
fn the_deadline_holds_over_a_tls_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(format!("https://{}", listener.local_addr().unwrap()));
    ends_in_time(&site, ErrorKind::Timeout);
}

#[test]
fn the_deadline_holds_over_early_hints_without_end() {
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let server = Server::new([Reply::raw(hint).without_end().slowly(Duration::from_millis(20))]);
    ends_in_time(&server.site(), ErrorKind::Timeout);
}

#[cfg(feature = "_tls")]
#[test]
fn the_bounds_hold_with_an_agent_of_the_callers() {
    let hints = Reply::raw("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)).without_end();
    let site = Server::new([hints]).site().timeout(Duration::from_secs(60));
    let site = site.agent(agent_config().timeout_connect(None).build().into());
    for (name, call) in both(&site.retries(0)) {
        let error = call().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{name}: {error}");
        assert!(error.to_string().contains("larger than any"), "{name}: {error}");
    }
}

/// A resolver that hangs, as a name server may that does not answer.
#[derive(Debug)]
struct Hanging;

impl Resolver for Hanging {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        thread::sleep(*timeout.after);
        Err(ureq::Error::Timeout(timeout.reason))
    }
}

#[test]
fn the_deadline_holds_over_a_look_up() {
    let config = agent_config().build();
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), Hanging);
    ends_in_time(&Site::new("http://localhost").agent(agent), ErrorKind::Timeout);
}

#[test]
fn the_deadline_holds_over_the_waits_between_retries() {
    // 0.5 s and 1 s are waited for; a limit between them ends it after the first.
    let site = Site::new(format!("http://{}", nobody())).timeout(Duration::from_millis(1200));
    for (name, call) in both(&site) {
        let start = Instant::now();
        assert_eq!(call().unwrap_err().kind(), ErrorKind::Connect, "{name}");
        assert!(
            start.elapsed() < Duration::from_millis(1200) + SLACK,
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_retry_after_beyond_the_limit_is_returned_at_once() {
    for status in [429, 503] {
        let server = Server::new([Reply::http(status, "Retry-After: 3600\r\n", "")]);
        for (name, call) in both(&server.site()) {
            let start = Instant::now();
            let Err(Error::Api(api)) = call() else { panic!("{name}") };
            assert_eq!(api.retry_after, Some(Duration::from_secs(3600)), "{name}");
            assert!(start.elapsed() < Duration::from_secs(5), "{name}");
        }
        assert_eq!(server.methods(), ["POST", "DELETE"]);
    }
}

#[test]
fn a_limit_of_nothing_and_one_of_for_ever_are_limits() {
    let server = Server::new([Reply::session()]);
    let error = Session::login(&server.site().timeout(Duration::ZERO), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(server.requests().is_empty());
    Session::login(&server.site().timeout(Duration::MAX), &login()).unwrap();
}

#[test]
fn the_agents_global_limit_counts_where_the_site_has_none() {
    let server = Server::new([Reply::nothing().then_silence()]);
    let agent = agent_config().timeout_global(Some(LIMIT)).build();
    let start = Instant::now();
    let error = Session::login(&server.site().agent(agent.into()), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(start.elapsed() < LIMIT + SLACK);
}

// Redirects

#[test]
fn no_redirect_is_followed() {
    let elsewhere = Server::new([Reply::session()]);
    for status in [300, 301, 302, 303, 304, 305, 307, 308] {
        for target in
            [format!("{}/api/rest/v1/sessions", elsewhere.url()), "/other".into(), "//x".into()]
        {
            let header = format!("Location: {target}\r\n");
            let here = Server::new([Reply::http(status, &header, "")]);
            for (name, call) in both(&here.site()) {
                let error = call().unwrap_err();
                let Error::UnexpectedResponse { status: s, location, .. } = &error else {
                    panic!("{name} {status}: {error:?}");
                };
                assert_eq!((*s, location.as_deref()), (status, Some(target.as_str())), "{name}");
                assert!(error.to_string().contains(&format!("points to {target}")), "{error}");
            }
            assert_eq!(here.methods(), ["POST", "DELETE"]);
        }
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn no_redirect_is_followed_whatever_the_agent_says() {
    let elsewhere = Server::new([Reply::session()]);
    let target = format!("Location: {}/api/rest/v1/sessions\r\n", elsewhere.url());
    let here = Server::new([Reply::http(302, &target, "")]);
    let agent = ureq::Agent::new_with_defaults();
    for (name, call) in both(&here.site().agent(agent)) {
        assert_eq!(call().unwrap_err().kind(), ErrorKind::UnexpectedResponse, "{name}");
    }
    assert!(elsewhere.requests().is_empty());
}

// Retries

/// How often a call was sent, and what came of it.
fn sent(replies: impl IntoIterator<Item = Reply>, call: &str) -> (usize, Result<(), Error>) {
    let server = Server::new(replies);
    let site = server.site().timeout(Duration::from_secs(20));
    let result = both(&site).into_iter().find(|(name, _)| *name == call).unwrap().1();
    (server.requests().len(), result)
}

#[test]
fn a_login_that_may_have_arrived_is_sent_once() {
    for reply in [
        Reply::nothing().then_close(),
        Reply::nothing().then_reset(),
        Reply::raw("HTTP/1.1 201 Cre").then_close(),
        Reply::raw("HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{").then_close(),
        Reply::raw("not http\r\n\r\n"),
        Reply::http(500, "", "{}"),
        Reply::http(502, "", "<html>"),
        Reply::http(503, "", ""),
        Reply::http(504, "", ""),
        Reply::http(429, "", ""),
    ] {
        let (times, result) = sent([reply, Reply::session()], "login");
        assert_eq!((times, result.is_err()), (1, true), "{result:?}");
    }
    let server = Server::new([Reply::nothing().then_silence(), Reply::session()]);
    Session::login(&server.site().timeout(LIMIT), &login()).unwrap_err();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_login_is_sent_again_after_a_fitting_retry_after() {
    for status in [429, 503] {
        let wait = Reply::http(status, "Retry-After: 1\r\n", "");
        let start = Instant::now();
        let (times, result) = sent([wait, Reply::session()], "login");
        result.unwrap();
        assert_eq!(times, 2);
        assert!(start.elapsed() >= Duration::from_secs(1));
    }
}

#[test]
fn a_login_is_sent_again_after_a_refused_connection() {
    let addr = nobody();
    let listening = thread::spawn(move || {
        // The first try, at once, finds nobody; later ones do.
        thread::sleep(Duration::from_millis(150));
        let listener = TcpListener::bind(addr)?;
        let (stream, _) = listener.accept()?;
        io::Write::write_all(
            &mut &stream,
            format!(
                "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{}",
                stand_in::SESSION.len(),
                stand_in::SESSION
            )
            .as_bytes(),
        )?;
        io::copy(&mut &stream, &mut io::sink())
    });
    let site = Site::new(format!("http://{addr}"));
    let session = Session::login(&site, &login()).unwrap();
    drop((session, site));
    assert!(listening.join().unwrap().unwrap() > 100, "the login did not arrive");
}

#[test]
fn a_logout_survives_what_can_be_repeated() {
    for reply in [
        Reply::nothing().then_close(),
        Reply::nothing().then_reset(),
        Reply::raw("HTTP/1.1 20").then_close(),
        Reply::raw("not http\r\n\r\n").then_close(),
        Reply::http(500, "", "{}"),
        Reply::http(502, "", "<html>"),
        Reply::http(503, "", ""),
        Reply::http(503, "Retry-After: 0\r\n", ""),
        Reply::http(429, "Retry-After: 0\r\n", ""),
    ] {
        let (times, result) = sent([reply, Reply::no_content()], "logout");
        assert_eq!(times, 2, "{result:?}");
        result.unwrap();
    }
}

#[test]
fn a_logout_survives_a_dropped_connection() {
    for reply in [Reply::session().then_close(), Reply::session().then_reset()] {
        let server = Server::with(move |request| {
            if request.line.starts_with("POST") { reply.clone() } else { Reply::no_content() }
        });
        let session = Session::login(&server.site(), &login()).unwrap();
        session.logout().unwrap();
        assert_eq!(server.methods(), ["POST", "DELETE"]);
    }
}

#[test]
fn a_logout_whose_first_try_had_worked_is_done() {
    let gone =
        |status, error_type: &str| Reply::json(status, format!(r#"{{"type":"{error_type}"}}"#));
    for gone in [
        gone(401, "not-authenticated/invalid-session"),
        gone(401, "not-authenticated/authentication-required"),
        gone(404, "not-found/session-not-found"),
        Reply::http(401, "", ""),
    ] {
        for first in [Reply::nothing().then_close(), Reply::http(502, "", "")] {
            let (times, result) = sent([first, gone.clone()], "logout");
            result.unwrap();
            assert_eq!(times, 2);
        }
        // Where no earlier try can have worked, it is the error that it is.
        let (times, result) = sent([gone.clone()], "logout");
        assert_eq!((times, result.is_err()), (1, true));
        let later = Reply::http(503, "Retry-After: 0\r\n", "");
        let (times, result) = sent([later, gone], "logout");
        assert_eq!((times, result.is_err()), (2, true));
    }
}

#[test]
fn a_refusal_is_never_repeated() {
    for status in [400, 401, 403, 404, 405, 409, 422, 429] {
        for call in ["login", "logout"] {
            let (times, result) = sent([Reply::json(status, r#"{"error":"no"}"#)], call);
            assert_eq!((times, result.is_err()), (1, true), "{call} {status}");
        }
    }
}

#[test]
fn retries_are_counted() {
    for (retries, times) in [(0, 1), (1, 2), (2, 3)] {
        let server = Server::new([Reply::http(503, "Retry-After: 0\r\n", "")]);
        for (name, call) in both(&server.site().retries(retries)) {
            let before = server.requests().len();
            assert!(call().is_err());
            assert_eq!(server.requests().len() - before, times, "{name}");
        }
    }
    let server = Server::new([Reply::http(503, "Retry-After: 0\r\n", "")]);
    Session::login(&server.site(), &login()).unwrap_err();
    assert_eq!(server.requests().len(), 4, "three retries by default");
}

// Answers that are none

#[test]
fn an_answer_that_is_none_is_an_error_that_names_what_was_wrong() {
    let long = format!(r#"{{"id":"x","a":"{}"}}"#, "y".repeat(256 * 1024));
    let deep = format!(r#"{{"id":"x","a":{}"#, "[".repeat(100_000));
    let deep_but_whole = format!(r#"{{"id":"x","a":{}{}}}"#, "[".repeat(9_000), "]".repeat(9_000));
    for (body, says) in [
        ("", "is empty"),
        (" \r\n\t", "is empty"),
        (r#"{"id":"x""#, "cut short, or not JSON"),
        (r#"{"id":"x"}}"#, "cut short, or not JSON"),
        (r#"{"id":"x"} x"#, "cut short, or not JSON"),
        (r"{'id':'x'}", "cut short, or not JSON"),
        (r#"{"id":"x",}"#, "cut short, or not JSON"),
        ("{\"id\":\"a\nb\"}", "cut short, or not JSON"),
        (r#"{"id":"\ud800"}"#, "cut short, or not JSON"),
        (r#"{"id":"x","language":"\udc00\ud800"}"#, "cut short, or not JSON"),
        (r#"{"id":"x","site_id":01}"#, "cut short, or not JSON"),
        (r#"[{"id":"x"}]"#, "no object"),
        (r#""x""#, "no object"),
        ("1", "no object"),
        ("null", "no object"),
        ("true", "no object"),
        ("undefined", "cut short, or not JSON"),
        ("<html>", "not of the Files.com API"),
        (r#"{"id":"x","site_id":"1"}"#, "attribute site_id in another type"),
        (r#"{"id":"x","site_id":1.5}"#, "attribute site_id in another type"),
        (r#"{"id":"x","site_id":9223372036854775808}"#, "attribute site_id in another type"),
        (r#"{"id":"x","read_only":"yes"}"#, "attribute read_only in another type"),
        (r#"{"id":"x","read_only":1}"#, "attribute read_only in another type"),
        (r#"{"id":"x","language":{"a":[]}}"#, "attribute language in another type"),
        (r#"{"id":"x\r\nX-Evil: 1"}"#, "can't stand in a header"),
        (&long, "larger than 256 KiB"),
        (&deep, "cut short, or not JSON"),
        (&deep_but_whole, "cut short, or not JSON"),
        (&"[".repeat(200_000), "cut short, or not JSON"),
        (&"[".repeat(1_000_000), "larger than 256 KiB"),
    ] {
        let server = Server::new([Reply::json(201, body).then_close()]);
        let error = Session::login(&server.site(), &login()).unwrap_err();
        let body: String = body.chars().take(60).collect();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{body}: {error}");
        assert!(error.to_string().contains(says), "{body}: {error}");
    }
    let server = Server::new([Reply::json(201, b"{\"id\":\"\xff\"}")]);
    let error = Session::login(&server.site(), &login()).unwrap_err();
    assert!(error.to_string().contains("is not UTF-8"), "{error}");
}

#[test]
fn an_answer_that_is_not_http_is_an_error() {
    let body = r#"{"id":"x"}"#;
    let with = |headers: &str| format!("HTTP/1.1 201 Created\r\n{headers}\r\n{body}");
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "\0\0\0\0\0\0\0\0".to_owned(),
        "HTTP/9.9 201 Created\r\n\r\n".to_owned(),
        "HTTP/1.1 099 Odd\r\n\r\n".to_owned(),
        "HTTP/1.1 abc Odd\r\n\r\n".to_owned(),
        "{}HTTP/1.1 201 Created\r\n\r\n".to_owned(),
        with("Content-Length: -1\r\n"),
        with("Content-Length: 10, 11\r\n"),
        with("Content-Length: 10\r\nContent-Length: 11\r\n"),
        with("Content-Length: 99999999999999999999999\r\n"),
        with("Content-Length: 18446744073709551615\r\n"),
        with("Content-Length: 11\r\n"),
        with("Content-Length: 9\r\n"),
        with("Transfer-Encoding: chunked\r\n"),
        with("Bad Header: 1\r\n"),
        with("X: a\0b\r\n"),
        with(&"X: y\r\n".repeat(200)),
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n".to_owned(),
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx"
            .to_owned(),
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx"
            .to_owned(),
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\rx".to_owned(),
    ] {
        let server = Server::new([Reply::raw(&bytes).then_close()]);
        let error = Session::login(&server.site(), &login()).unwrap_err();
        let kinds = [ErrorKind::Transport, ErrorKind::UnexpectedResponse];
        let bytes: String = bytes.chars().take(100).collect();
        assert!(kinds.contains(&error.kind()), "{bytes:?}: {error:?}");
        assert!(!error.to_string().is_empty());
        // A logout by the same server is done where the status says so, and never panics.
        let _ = Session::resume(&server.site().retries(0), "id").unwrap().logout();
    }
}

#[test]
fn a_switch_of_protocols_is_no_session() {
    let reply = Reply::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").then_close();
    let error = Session::login(&Server::new([reply]).site(), &login()).unwrap_err();
    assert!(matches!(error, Error::UnexpectedResponse { status: 101, .. }), "{error:?}");
}

// What goes out

#[test]
fn plain_http_leaves_this_machine_only_if_allowed() {
    let server = Server::new([Reply::session()]);
    let through = |site: Site| {
        let proxy = ureq::Proxy::new(&server.url()).unwrap();
        site.retries(0).agent(agent_config().proxy(Some(proxy)).build().into())
    };
    let site = through(Site::new("http://mysite.test.invalid"));
    assert_eq!(Session::login(&site, &login()).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(server.requests().is_empty());
    let _ = Session::login(&site.allow_http(), &login());
    let asked = |request: &Request| request.line == "CONNECT mysite.test.invalid:80";
    assert!(server.requests().iter().all(asked) && !server.requests().is_empty());
}
