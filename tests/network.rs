//! The promises of a call, against servers that stall, flood, break off and point elsewhere.

mod support;

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use files_session::ureq::middleware::MiddlewareNext;
use files_session::{Error, ErrorKind, Session, Site, agent_config, ureq};
use support::{Reply, Request, Server, lets_in, login, nobody, stand_in};
#[cfg(target_os = "linux")]
use support::{again, passes};

/// The time limit of the tests that run into one.
const LIMIT: Duration = Duration::from_millis(1500);

/// How much later a call may end on a busy machine. A limit that held twice over would still show.
const SLACK: Duration = Duration::from_secs(1);

type Call<'a> = Box<dyn Fn() -> Result<(), Error> + 'a>;

/// Login and logout at a site, each as a closure, for promises that hold for both.
fn both(site: &Site) -> [(&'static str, Call<'_>); 2] {
    let logout = || Session::resume(site, "id")?.logout();
    [("login", Box::new(|| Session::login(site, &login()).map(drop))), ("logout", Box::new(logout))]
}

// The deadline

/// Both calls end when the limit is reached. A logout may end at half of it, where the machine is
/// too busy for another try in the rest.
#[track_caller]
fn ends_in_time(site: &Site) {
    let site = site.clone().timeout(LIMIT);
    for ((name, call), least) in both(&site).into_iter().zip([LIMIT, LIMIT / 2]) {
        let start = Instant::now();
        let error = call().unwrap_err();
        let took = start.elapsed();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{name}: {error}");
        assert!((least..LIMIT + SLACK).contains(&took), "{name} took {took:?}: {error}");
    }
}

/// The same, for what a logout does not wait for: it is done with a 2xx.
#[track_caller]
fn login_ends_in_time(site: Site) {
    let start = Instant::now();
    let error = Session::login(&site.timeout(LIMIT), &login()).unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!((LIMIT..LIMIT + SLACK).contains(&took), "{took:?}: {error}");
}

#[test]
fn the_deadline_holds_over_silence() {
    ends_in_time(&Server::new([Reply::nothing().then_silence()]).site());
}

#[test]
fn the_deadline_holds_over_silence_after_the_headers() {
    let head = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{";
    login_ends_in_time(Server::new([Reply::raw(head).then_silence()]).site());
}

#[test]
fn the_deadline_holds_over_a_byte_at_a_time() {
    let body = format!("HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n{}", "{".repeat(999));
    let slowly =
        |bytes: &str| Reply::pieces(bytes.as_bytes().chunks(1)).slowly(Duration::from_millis(200));
    ends_in_time(&Server::new([slowly(&body)]).site());
    let head = "HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n";
    let body = Reply::pieces([vec![head.as_bytes()], vec![b"{"; 999]].concat());
    login_ends_in_time(Server::new([body.slowly(Duration::from_millis(200))]).site());
}

#[test]
fn the_deadline_holds_over_a_server_that_does_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(format!("http://{}", listener.local_addr().unwrap()));
    support::watchdog::test();
    // More than the buffers of both sides take. What it takes to write it in memory is part of
    // the call, and small beside a limit that holds twice over.
    let password = "x".repeat(8 * 1024 * 1024);
    let limit = Duration::from_secs(4);
    let start = Instant::now();
    let login = files_session::Login::new("u", &password);
    let error = Session::login(&site.timeout(limit), &login).unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!((limit..limit + 3 * SLACK).contains(&took), "{took:?}");
}

#[cfg(feature = "rustls")]
#[test]
fn the_deadline_holds_over_a_tls_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(format!("https://{}", listener.local_addr().unwrap()));
    ends_in_time(&site);
}

#[test]
fn the_deadline_holds_over_early_hints_without_end() {
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let server = Server::new([Reply::raw(hint).without_end().slowly(Duration::from_millis(20))]);
    ends_in_time(&server.site());
}

#[test]
fn the_bounds_hold_with_a_configuration_of_the_callers() {
    let hints = Reply::raw("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)).without_end();
    let site = Server::new([hints]).site().timeout(Duration::from_secs(60));
    let site = site.config(ureq::Agent::config_builder().proxy(None).build());
    for (name, call) in both(&site.retries(0)) {
        let error = call().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{name}: {error}");
        assert!(error.to_string().contains("larger than any"), "{name}: {error}");
    }
}

#[test]
fn the_deadline_holds_over_the_waits_between_retries() {
    // About 0.5 s and 1 s are waited for. A limit between them ends it after the first.
    let limit = Duration::from_millis(1100);
    let nobody = nobody();
    let site = Site::new(nobody.url()).timeout(limit);
    for (name, call) in both(&site) {
        let start = Instant::now();
        assert_eq!(call().unwrap_err().kind(), ErrorKind::Connect, "{name}");
        assert!(start.elapsed() >= Duration::from_millis(375), "{name}: no wait");
        assert!(start.elapsed() < limit + SLACK, "{name}: {:?}", start.elapsed());
    }
}

#[test]
fn a_retry_after_beyond_the_limit_is_returned_at_once() {
    for status in [429, 503] {
        let server = Server::new([Reply::http(status, "Retry-After: 3600\r\n", "")]);
        for (name, call) in both(&server.site()) {
            let start = Instant::now();
            let error = call().unwrap_err();
            let retry_after = error.api().and_then(|api| api.retry_after);
            assert_eq!(retry_after, Some(Duration::from_secs(3600)), "{name}");
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
    // Nothing was sent, and the error says so.
    assert!(error.to_string().starts_with("no connection to 127.0.0.1:"), "{error}");
    assert!(server.requests().is_empty());
    Session::login(&server.site().timeout(Duration::MAX), &login()).unwrap();
}

#[test]
fn the_configurations_global_limit_counts_where_the_site_has_none() {
    let server = Server::new([Reply::nothing().then_silence()]);
    let config = agent_config().timeout_global(Some(LIMIT)).build();
    let start = Instant::now();
    let error = Session::login(&server.site().config(config), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!((LIMIT..LIMIT + SLACK).contains(&start.elapsed()));
}

#[test]
fn an_error_names_the_limit_that_ran_out_its_length_and_what_to_change() {
    let server = Server::new([Reply::nothing().then_silence()]);
    let site = server.site();
    let second = Duration::from_secs(1);
    for (site, says) in [
        (
            site.clone().timeout(second),
            "within 1s, the time limit of the call (Site::timeout): try again, or allow more",
        ),
        (
            site.clone().config(agent_config().timeout_recv_response(Some(second)).build()),
            "within 1s, a time limit of the configuration (receive response): allow more time",
        ),
        (
            site.clone().config(agent_config().timeout_per_call(Some(second)).build()),
            "within 1s, a time limit of the configuration (per call): allow more time",
        ),
        (
            site.clone().config(agent_config().timeout_per_read(Some(second)).build()),
            "within 1s, a time limit of the configuration (per read): allow more time",
        ),
    ] {
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let said = error.to_string();
        assert!(said.starts_with(&format!("no response from {}", server.addr)), "{said}");
        assert!(said.contains(says), "{said}");
    }
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
                assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{name} {status}");
                assert_eq!(error.http_status(), Some(status), "{name}");
                assert_eq!(error.location(), Some(target.as_str()), "{name}");
                assert!(error.to_string().contains(&format!("points to {target}")), "{error}");
            }
            assert_eq!(here.methods(), ["POST", "DELETE"]);
        }
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn no_redirect_is_followed_whatever_the_configuration_says() {
    let elsewhere = Server::new([Reply::session()]);
    let target = format!("Location: {}/api/rest/v1/sessions\r\n", elsewhere.url());
    let here = Server::new([Reply::http(302, &target, "")]);
    let config = agent_config()
        .max_redirects(10)
        .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost);
    for (name, call) in both(&here.site().config(config.build())) {
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
        let error = result.unwrap_err();
        assert_ne!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert_eq!(times, 1, "{error:?}");
    }
    let server = Server::new([Reply::nothing().then_silence(), Reply::session()]);
    let error = Session::login(&server.site().timeout(LIMIT), &login()).unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::Timeout, 1));
}

#[test]
fn a_connection_that_was_idle_for_long_is_good_for_a_logout_only() {
    let (server, other) = (Server::with(lets_in), Server::with(lets_in));
    let (site, other_site) = (server.site(), other.site());
    let session = Session::login(&site, &login()).unwrap();
    Session::login(&other_site, &login()).unwrap();
    thread::sleep(Duration::from_millis(15_500));
    session.logout().unwrap();
    Session::login(&other_site, &login()).unwrap();
    let connections = |server: &Server| {
        server.requests().iter().map(|request| request.connection).collect::<Vec<_>>()
    };
    assert_eq!(connections(&server), [0, 0]);
    assert_eq!(connections(&other), [0, 1]);
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
    let nobody = nobody();
    let (sender, tries) = mpsc::channel();
    // A middleware of the caller's configuration sees each try.
    let tell = move |request: ureq::http::Request<ureq::SendBody>, next: MiddlewareNext| {
        let response = next.handle(request);
        sender.send(response.as_ref().err().map(ToString::to_string)).unwrap();
        response
    };
    let site = Site::new(nobody.url()).config(agent_config().middleware(tell).build());
    let login = thread::spawn(move || Session::login(&site, &login()).map(|session| session.id));
    let failed = tries.recv().unwrap().expect("the first try found somebody");
    assert!(
        failed.contains("refused"),
        "what a middleware sees is marked, but not changed: {failed}"
    );
    let (mut stream, _) = nobody.listen().accept().unwrap();
    let mut request = [0; 4];
    io::Read::read_exact(&mut stream, &mut request).unwrap();
    assert_eq!(&request, b"POST");
    let (body, length) = (stand_in::SESSION, stand_in::SESSION.len());
    let head = format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n");
    io::Write::write_all(&mut stream, [head.as_str(), body].concat().as_bytes()).unwrap();
    assert_eq!(login.join().unwrap().unwrap(), stand_in::SESSION_ID);
    assert_eq!(tries.try_iter().last().unwrap(), None);
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
        let session = Session::login(&server.site().retries(0), &login()).unwrap();
        server.closed(0);
        session.logout().unwrap();
        assert_eq!(server.methods(), ["POST", "DELETE"]);
    }
}

#[test]
fn a_logout_may_be_called_again_after_an_error() {
    let server = Server::new([Reply::http(500, "", "{}"), Reply::no_content()]);
    let session = Session::resume(&server.site().retries(0), "id").unwrap();
    assert_eq!(session.logout().unwrap_err().kind(), ErrorKind::ServiceUnavailable);
    session.logout().unwrap();
}

#[test]
fn a_logout_whose_first_try_had_worked_is_done() {
    let gone =
        |status, error_type: &str| Reply::json(status, format!(r#"{{"type":"{error_type}"}}"#));
    for gone in [
        gone(401, "not-authenticated/invalid-session"),
        gone(401, "not-authenticated/authentication-required"),
        gone(403, "not-authenticated/authentication-required"),
    ] {
        for first in [Reply::nothing().then_close(), Reply::http(502, "", "")] {
            let (times, result) = sent([first, gone.clone()], "logout");
            result.unwrap();
            assert_eq!(times, 2);
        }
        // What a try in between says does not undo it.
        let later = Reply::http(503, "Retry-After: 0\r\n", "");
        let broken = Reply::nothing().then_close();
        let (times, result) = sent([broken, later, gone.clone()], "logout");
        result.unwrap();
        assert_eq!(times, 3);
        // Where no earlier try can have worked, it is the error that it is.
        let (times, result) = sent([gone.clone()], "logout");
        assert_eq!((times, result.unwrap_err().api().is_some()), (1, true));
        let later = Reply::http(503, "Retry-After: 0\r\n", "");
        let (times, result) = sent([later, gone], "logout");
        assert_eq!((times, result.unwrap_err().api().is_some()), (2, true));
    }
}

#[test]
fn no_other_refusal_of_a_repeated_logout_means_that_it_is_done() {
    let of_type =
        |status, error_type: &str| Reply::json(status, format!(r#"{{"type":"{error_type}"}}"#));
    for (refusal, kind) in [
        (Reply::json(404, "{}"), ErrorKind::NotFound),
        (Reply::http(404, "", "<html>"), ErrorKind::UnexpectedResponse),
        (Reply::http(401, "", ""), ErrorKind::NotAuthenticated),
        (Reply::json(401, r#"{"error":"invalid-session"}"#), ErrorKind::NotAuthenticated),
        (of_type(401, "not-authenticated/other"), ErrorKind::NotAuthenticated),
        (of_type(401, "not-authenticated/invalid-session/x"), ErrorKind::NotAuthenticated),
        (of_type(404, "not-found/session-not-found"), ErrorKind::NotFound),
        (of_type(403, "not-authorized/invalid-session"), ErrorKind::NotAuthorized),
    ] {
        let (times, result) = sent([Reply::nothing().then_close(), refusal], "logout");
        assert_eq!((times, result.unwrap_err().kind()), (2, kind));
    }
}

#[test]
fn a_logout_that_fails_again_and_again_is_an_error() {
    for (reply, times, kind) in [
        (Reply::http(500, "", "{}"), 4, ErrorKind::ServiceUnavailable),
        (Reply::http(502, "", "<html>"), 4, ErrorKind::UnexpectedResponse),
        (Reply::http(403, "", ""), 1, ErrorKind::NotAuthorized),
        (Reply::nothing().then_close(), 4, ErrorKind::Transport),
    ] {
        let (sent, result) = sent([reply], "logout");
        assert_eq!((sent, result.unwrap_err().kind()), (times, kind));
    }
}

#[test]
fn a_connection_that_died_in_silence_leaves_time_for_another_logout() {
    let server = Server::with(|request| match (request.connection, &*request.line) {
        (0, line) if line.starts_with("DELETE") => Reply::nothing().then_silence(),
        _ => lets_in(request),
    });
    let site = server.site().timeout(Duration::from_secs(4));
    let session = Session::login(&site, &login()).unwrap();
    let start = Instant::now();
    session.logout().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2), "half of the time was not given");
    assert_eq!(server.methods(), ["POST", "DELETE", "DELETE"]);

    // Without retries, one try has all of the time.
    let server = Server::new([Reply::no_content().after(Duration::from_secs(2))]);
    let site = server.site().timeout(Duration::from_secs(3)).retries(0);
    Session::resume(&site, "id").unwrap().logout().unwrap();
}

#[test]
fn a_refusal_without_retry_after_is_never_repeated() {
    for status in [400, 401, 403, 404, 405, 409, 422, 429] {
        for call in ["login", "logout"] {
            let (times, result) = sent([Reply::json(status, r#"{"error":"no"}"#)], call);
            assert_eq!((times, result.unwrap_err().http_status()), (1, Some(status)), "{call}");
        }
    }
}

#[test]
fn retries_are_counted() {
    for (retries, times) in [(0, 1), (1, 2), (2, 3)] {
        let server = Server::new([Reply::http(503, "Retry-After: 0\r\n", "")]);
        for (name, call) in both(&server.site().retries(retries)) {
            let before = server.requests().len();
            assert_eq!(call().unwrap_err().kind(), ErrorKind::ServiceUnavailable);
            assert_eq!(server.requests().len() - before, times, "{name}");
        }
    }
    let server = Server::new([Reply::http(503, "Retry-After: 0\r\n", "")]);
    Session::login(&server.site(), &login()).unwrap_err();
    assert_eq!(server.requests().len(), 4, "three retries by default");
}

// Responses that are none

#[test]
fn a_response_that_is_none_is_an_error_that_names_what_was_wrong() {
    let of_length = |n: usize| format!(r#"{{"id":"x","a":"{}"}}"#, "y".repeat(n - 17));
    let (longest, long) = (of_length(65_536), of_length(65_537));
    let deep = format!(r#"{{"id":"x","a":{}"#, "[".repeat(60_000));
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
        (&long, "larger than 64 KiB"),
        (&deep, "cut short, or not JSON"),
        (&deep_but_whole, "cut short, or not JSON"),
        (&"[".repeat(65_536), "cut short, or not JSON"),
        (&"[".repeat(65_537), "larger than 64 KiB"),
    ] {
        let server = Server::new([Reply::json(201, body).then_close()]);
        let error = Session::login(&server.site(), &login()).unwrap_err();
        let body: String = body.chars().take(60).collect();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{body}: {error}");
        assert!(error.to_string().contains(says), "{body}: {error}");
    }
    // One byte less is a session.
    let server = Server::new([Reply::json(201, &longest)]);
    assert_eq!(Session::login(&server.site(), &login()).unwrap().id, "x");
    let server = Server::new([Reply::json(201, b"{\"id\":\"\xff\"}")]);
    let error = Session::login(&server.site(), &login()).unwrap_err();
    assert!(error.to_string().contains("is not UTF-8"), "{error}");
}

#[test]
fn a_response_that_is_not_http_is_an_error() {
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
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{error:?}");
    assert_eq!(error.http_status(), Some(101));
}

#[test]
fn a_header_of_16_kib_is_read_and_not_a_byte_more() {
    let body = r#"{"id":"x"}"#;
    let of_length = |n: usize| {
        let rest = format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\nX: \r\n\r\n", body.len());
        let padding = format!("X: {}", "y".repeat(n - rest.len()));
        [rest.replace("X: ", &padding).as_str(), body].concat()
    };
    let log_in = |n| {
        let server = Server::new([Reply::raw(of_length(n)).then_close()]);
        Session::login(&server.site(), &login())
    };
    assert_eq!(log_in(16_384).unwrap().id, "x");
    let error = log_in(16_385).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains("larger than any of Files.com"), "{error}");
}

#[test]
fn a_response_of_144_kib_with_all_that_frames_it_is_read_and_not_a_byte_more() {
    let log_in = |n: usize| {
        // Six bytes for each one of the body, the chunk that ends it, and a header for the rest.
        let body = format!(r#"{{"id":"x","a":"{}"}}"#, "y".repeat(21_900));
        let bytes: Vec<String> = body.chars().map(String::from).collect();
        let chunks = ["1\r\n", &bytes.join("\r\n1\r\n"), "\r\n0\r\n\r\n"].concat();
        let head = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX: \r\n\r\n";
        let padding = format!("X: {}", "y".repeat(n - head.len() - chunks.len()));
        let response = head.replace("X: ", &padding) + &chunks;
        assert_eq!(response.len(), n);
        Session::login(&Server::new([Reply::raw(response)]).site(), &login())
    };
    assert_eq!(log_in(147_456).unwrap().id, "x");
    let error = log_in(147_457).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains("larger than any of Files.com"), "{error}");
}

// What goes out

#[test]
fn plain_http_leaves_this_machine_only_if_allowed() {
    let server = Server::new([Reply::session()]);
    let through = |site: Site| {
        let proxy = ureq::Proxy::new(&server.url()).unwrap();
        site.retries(0).config(agent_config().proxy(Some(proxy)).build())
    };
    let site = through(Site::new("http://mysite.test.invalid"));
    assert_eq!(Session::login(&site, &login()).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(server.requests().is_empty());
    let _ = Session::login(&site.allow_http(), &login());
    let asked = |request: &Request| request.line == "CONNECT mysite.test.invalid:80";
    assert!(server.requests().iter().all(asked) && !server.requests().is_empty());
}

// What this machine lacks

/// Less than the waits before the three retries, which are 2.6 s at least.
#[cfg(target_os = "linux")]
const WITHOUT_RETRIES: Duration = Duration::from_millis(2500);

#[cfg(target_os = "linux")]
#[test]
fn too_many_open_files_are_said_and_not_tried_again() {
    // The test runs itself again, where it may have but a few.
    let Ok(url) = std::env::var("FILES_SESSION_TEST_FEW_FILES") else {
        let server = Server::new([Reply::session()]);
        let few = ["sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\""];
        passes(
            again(&few, "too_many_open_files_are_said_and_not_tried_again")
                .env("FILES_SESSION_TEST_FEW_FILES", server.url()),
        );
        assert!(server.requests().is_empty());
        return;
    };
    let sites = [Site::new(url), Site::new("http://mysite.test.invalid").allow_http()];
    let mut open = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        open.push(file);
    }
    let results = sites.map(|site| {
        let start = Instant::now();
        (Session::login(&site, &login()).unwrap_err(), start.elapsed())
    });
    drop(open);
    for (error, took) in results {
        assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
        let said = error.to_string();
        assert!(said.contains("no file descriptor or memory left"), "{said} {error:?}");
        assert!(said.contains("ulimit -n"), "{said}");
        assert!(took < WITHOUT_RETRIES, "{took:?}");
    }
}

#[cfg(all(target_os = "linux", feature = "_tls"))]
#[test]
fn a_thread_that_can_not_be_had_is_said_and_not_tried_again() {
    let start = Instant::now();
    let output = support::example("login")
        // A stack that no machine has room for.
        .env("RUST_MIN_STACK", "1152921504606846976")
        .env("FILES_BASE_URL", "https://mysite.test.invalid")
        .env("FILES_USERNAME", "username")
        .env("FILES_PASSWORD", "password")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no thread could be started to look up the name of mysite"), "{said}");
    assert!(start.elapsed() < WITHOUT_RETRIES, "{:?}", start.elapsed());
}

#[cfg(target_os = "linux")]
#[test]
fn an_open_session_holds_one_descriptor_and_no_thread() {
    // The test runs itself again, where nothing else has any.
    let Ok(url) = std::env::var("FILES_SESSION_TEST_HOLDS") else {
        let server = Server::with(lets_in);
        let test = "an_open_session_holds_one_descriptor_and_no_thread";
        passes(again(&[], test).env("FILES_SESSION_TEST_HOLDS", server.url()));
        assert_eq!(server.methods(), ["POST", "DELETE"]);
        return;
    };
    let held = |of: &str| std::fs::read_dir(format!("/proc/self/{of}")).unwrap().count();
    let login = login();
    let (files, threads) = (held("fd"), held("task"));
    // The look-up of a name has a thread, which is gone at once. A label has at most 63 characters,
    // so no name server is asked for this one.
    let proxy = ureq::Proxy::new(&format!("http://{}.invalid:3128", "a".repeat(64))).unwrap();
    let by_name = Site::new("http://mysite.test.invalid").allow_http().retries(0);
    let by_name = by_name.config(agent_config().proxy(Some(proxy)).build());
    assert_eq!(Session::login(&by_name, &login).unwrap_err().kind(), ErrorKind::Connect);
    let session = Session::login(&Site::new(url), &login).unwrap();
    assert_eq!(held("fd"), files + 1);
    session.logout().unwrap();
    drop(session);
    assert_eq!(held("fd"), files);
    // The system takes a moment to end a thread.
    let start = Instant::now();
    while held("task") > threads {
        assert!(start.elapsed() < Duration::from_secs(20), "a thread outlives the call");
        thread::yield_now();
    }
}

#[test]
fn an_ipv6_address_is_connected_to() {
    let listener = match TcpListener::bind("[::1]:0") {
        Ok(listener) => listener,
        Err(error) => {
            let _ = writeln!(io::stderr(), "\n*** NOT TESTED, no IPv6 loopback address: {error}\n");
            assert!(std::env::var_os("CI").is_none(), "no IPv6 loopback address");
            return;
        }
    };
    let server = Server::on(listener, lets_in);
    Session::login(&server.site(), &login()).unwrap().logout().unwrap();
    let host = format!("[::1]:{}", server.addr.port());
    assert_eq!(server.requests()[0].header("host"), Some(host.as_str()));
}

#[cfg(unix)]
#[test]
#[allow(unsafe_code, reason = "signals are the C library's")]
fn signals_do_not_end_a_call() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn on_signal(_: libc::c_int) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    support::watchdog::test();
    // SAFETY: zero is a valid sigaction: no flag, so that a system call ends with EINTR. The
    // handler does only what a handler may, and the caller's thread outlives the server's.
    let caller = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
        libc::pthread_self()
    };
    let interrupt = move || {
        for _ in 0..20 {
            let handled = HANDLED.load(Ordering::Relaxed);
            // SAFETY: as above.
            assert_eq!(unsafe { libc::pthread_kill(caller, libc::SIGUSR1) }, 0);
            while HANDLED.load(Ordering::Relaxed) == handled {
                thread::yield_now();
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(format!("http://{}", listener.local_addr().unwrap()));
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0];
        stream.read_exact(&mut request).unwrap();
        interrupt(); // while the rest is being sent, which no buffer takes
        while !request.ends_with(b"\"}") {
            let mut more = [0; 4096];
            let length = stream.read(&mut more).unwrap();
            request.extend(&more[..length]);
        }
        interrupt(); // while the response is waited for
        write!(stream, "HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{{\"id\":\"i\"}}")
            .unwrap();
        request.len()
    });
    let password = "x".repeat(8 * 1024 * 1024);
    let session = Session::login(&site, &files_session::Login::new("u", &password)).unwrap();
    assert_eq!(session.id, "i");
    assert!(server.join().unwrap() > password.len());
}

#[test]
fn a_login_whose_user_name_looks_like_a_request_is_sent_once() {
    // At the place where the second piece of the request begins, as it is sent.
    for at in [5000, 5107, 5120] {
        let name = "a".repeat(at) + "CONNECT x";
        let server = Server::new([Reply::nothing().then_reset(), Reply::session()]);
        let login = files_session::Login::new(&name, "password");
        let error = Session::login(&server.site(), &login).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}
