//! The promises of a call, against servers that stall, flood, break off and redirect.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use files_session::{Error, ErrorKind, Login, Session, Site};
#[cfg(target_os = "linux")]
use support::in_child;
use support::{
    Call, LOGIN, LOGOUT, Reply, Server, accept_all, closed_port, login, not_tested, small_listener,
};

/// The time limit of the tests that exceed one.
const LIMIT: Duration = Duration::from_millis(1500);

/// How much later a call may end on a busy machine. Less than the limit, so that a limit that is
/// granted twice is noticed.
const SLACK: Duration = Duration::from_secs(1);

// Time

/// Both calls end at the limit. A logout may end at half of it, if a busy machine leaves no time
/// for another attempt.
#[track_caller]
fn ends_in_time(site: &Site) {
    let site = site.clone().timeout(LIMIT);
    for (call, minimum) in [(LOGIN, LIMIT), (LOGOUT, LIMIT / 2)] {
        let start = Instant::now();
        let error = call(&site).unwrap_err();
        let took = start.elapsed();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!((minimum..LIMIT + SLACK).contains(&took), "{took:?}: {error}");
    }
}

/// The same for a login only, because a logout doesn't wait for a body.
#[track_caller]
fn login_ends_in_time(site: Site, login: &Login) {
    let start = Instant::now();
    let error = Session::login(&site.timeout(LIMIT), login).unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!((LIMIT..LIMIT + SLACK).contains(&took), "{took:?}: {error}");
}

#[test]
fn the_limit_holds_if_the_server_stops_to_send() {
    ends_in_time(&Server::new([Reply::nothing().then_silence()]).site());
    let head = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{";
    login_ends_in_time(Server::new([Reply::raw(head).then_silence()]).site(), &login());
}

#[test]
fn the_limit_holds_if_the_response_drips() {
    let drip =
        |bytes: &str| Reply::pieces(bytes.as_bytes().chunks(1)).slowly(Duration::from_millis(200));
    let header = "HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n";
    ends_in_time(&Server::new([drip(header)]).site());
    let body = Reply::pieces([vec![header.as_bytes()], vec![b"{"; 999]].concat());
    let server = Server::new([body.slowly(Duration::from_millis(200))]);
    login_ends_in_time(server.site(), &login());
}

/// A password that makes the login exactly 64 KiB long.
fn longest_password() -> String {
    "x".repeat(64 * 1024 - r#"{"username":"u","password":""}"#.len())
}

#[test]
fn the_limit_holds_if_the_server_does_not_read() {
    let listener = small_listener();
    let site = Site::new(&format!("http://{}", listener.local_addr().unwrap()));
    login_ends_in_time(site, &Login::new("u", &longest_password()));
}

#[test]
fn a_login_of_64_kib_is_sent_and_a_larger_one_is_invalid() {
    let server = Server::new([Reply::session()]);
    let password = longest_password();
    let _ = Session::login(&server.site(), &Login::new("u", &password)).unwrap();
    let error = Session::login(&server.site(), &Login::new("uu", &password)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("64 KiB"), "{error}");
    assert_eq!((server.connections(), server.requests()[0].body.len()), (1, 65_536));
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[test]
fn the_limit_holds_during_a_tls_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ends_in_time(&Site::new(&format!("https://{}", listener.local_addr().unwrap())));
}

#[test]
fn the_limit_includes_the_waits_between_retries() {
    // The waits are about 0.5 s and 1 s. This limit ends the call before the second one.
    let limit = Duration::from_millis(1100);
    let closed = closed_port();
    let site = Site::new(&closed.url()).timeout(limit);
    for call in [LOGIN, LOGOUT] {
        let start = Instant::now();
        assert_eq!(call(&site).unwrap_err().kind(), ErrorKind::Connect);
        assert!(start.elapsed() >= Duration::from_millis(375), "no wait");
        assert!(start.elapsed() < limit + SLACK, "{:?}", start.elapsed());
    }
}

#[test]
fn a_retry_after_beyond_the_limit_ends_the_call() {
    for status in [429, 503] {
        let server = Server::new([Reply::http(status, "Retry-After: 3600\r\n", "")]);
        let start = Instant::now();
        let error = Session::resume(&server.site(), "id").unwrap().logout().unwrap_err();
        assert_eq!(error.api().unwrap().retry_after, Some(Duration::from_secs(3600)));
        assert!(start.elapsed() < Duration::from_secs(5), "{status}");
        assert_eq!(server.methods(), ["DELETE"]);
    }
}

#[test]
fn a_limit_may_be_zero_or_the_longest_duration() {
    let server = Server::new([Reply::session()]);
    for site in
        [server.site().timeout(Duration::ZERO), server.site().connect_timeout(Duration::ZERO)]
    {
        let error = Session::login(&site.retries(0), &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        // The sentence for a failed connection, which means that nothing was sent.
        assert!(error.to_string().starts_with("no connection to 127.0.0.1:"), "{error}");
    }
    assert!(server.requests().is_empty());
    let site = server.site().timeout(Duration::MAX).connect_timeout(Duration::MAX);
    let _ = Session::login(&site, &login()).unwrap();
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[test]
fn an_error_names_the_limit_that_expired() {
    let silent = Server::new([Reply::nothing().then_silence()]).site();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(&format!("https://{}", listener.local_addr().unwrap())).retries(1);
    let (short, long) = (Duration::from_secs(1), Duration::from_millis(2500));
    for (call, site, expected) in [
        (LOGIN, silent.timeout(short), "no response from 127.0.0.1"),
        (LOGIN, site.clone().connect_timeout(short).retries(0), "within 1s (connect_timeout)"),
        (LOGIN, site.clone().timeout(short), "within 1s (timeout)"),
        // The first attempt of this logout gets half of 2.5 s, so its limit for connecting expires
        // first. The second attempt ends at the limit for the call.
        (
            LOGOUT,
            site.timeout(long).connect_timeout(Duration::from_millis(1200)),
            "within 2.5s (timeout)",
        ),
    ] {
        let error = call(&site).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

// Redirects

#[test]
fn no_redirect_is_followed() {
    let elsewhere = Server::new([Reply::session()]);
    for status in [300, 301, 302, 303, 304, 305, 307, 308] {
        for target in [
            format!("{}/api/rest/v1/sessions", elsewhere.url()),
            "/other".into(),
            "//x".into(),
            "/x//a@b".into(),
            "https://münchen.example/".into(),
        ] {
            let header = format!("Location: {target}\r\n");
            let here = Server::new([Reply::http(status, &header, "")]);
            for call in [LOGIN, LOGOUT] {
                let error = call(&here.site()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{status}");
                assert_eq!(error.http_status(), Some(status));
                assert_eq!(error.location(), Some(target.as_str()));
                assert!(error.to_string().contains(&format!("redirects to {target}")), "{error}");
            }
            assert_eq!(here.methods(), ["POST", "DELETE"]);
        }
    }
    assert!(elsewhere.requests().is_empty());
}

// Retries

/// How often a call was sent, and its result.
fn sent(replies: impl IntoIterator<Item = Reply>, call: Call) -> (usize, Result<(), Error>) {
    let server = Server::new(replies);
    let result = call(&server.site().timeout(Duration::from_secs(20)));
    (server.requests().len(), result)
}

/// Checks the rows of a table at the same time, because they mostly wait.
fn in_parallel<T: Send>(rows: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for row in rows {
            scope.spawn(|| check(row));
        }
    });
}

#[test]
fn a_login_that_may_have_arrived_is_sent_once() {
    for reply in [
        Reply::nothing().then_close(),
        Reply::nothing().then_reset(),
        Reply::raw("HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{").then_close(),
        Reply::raw("not http\r\n\r\n"),
        Reply::http(408, "", ""),
        Reply::http(503, "Retry-After: 0\r\n", ""),
    ] {
        let (times, result) = sent([reply, Reply::session()], LOGIN);
        let error = result.unwrap_err();
        // These would mean that nothing was sent.
        let kinds = [ErrorKind::InvalidInput, ErrorKind::Connect, ErrorKind::Tls];
        assert!(!kinds.contains(&error.kind()), "{error}");
        assert_eq!(times, 1, "{error}");
    }
    let server = Server::new([Reply::nothing().then_silence(), Reply::session()]);
    let error = Session::login(&server.site().timeout(LIMIT), &login()).unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::Timeout, 1));
}

#[test]
fn a_logout_reuses_a_connection_that_was_idle_for_less_than_15_s() {
    let server = Server::with(accept_all);
    let site = server.site();
    let [first, second] = [(); 2].map(|()| Session::login(&site, &login()).unwrap());
    thread::sleep(Duration::from_secs(12));
    // A new login changes nothing for the open connections.
    let third = Session::login(&site, &login()).unwrap();
    first.logout().unwrap();
    thread::sleep(Duration::from_millis(3500));
    second.logout().unwrap();
    third.logout().unwrap();
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 1, 2, 0, 3, 2]);
}

#[test]
fn a_logout_is_retried_if_it_may_succeed() {
    let replies = [
        Reply::nothing().then_close(),
        Reply::nothing().then_reset(),
        Reply::raw("not http\r\n\r\n").then_close(),
        Reply::http(502, "", "<html>"),
        Reply::http(429, "", ""),
    ];
    in_parallel(replies, |reply| {
        let (times, result) = sent([reply, Reply::no_content()], LOGOUT);
        assert_eq!(times, 2, "{result:?}");
        result.unwrap();
    });
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
fn a_logout_over_a_reused_connection_that_breaks_is_sent_again_at_once_and_once() {
    let gone = || Reply::json(401, r#"{"type":"not-authenticated/invalid-session"}"#);
    let broken = Reply::nothing().then_close();
    // The replies to each DELETE, and how many are sent without retries.
    for (replies, deletes, is_done) in [
        (vec![broken.clone(), Reply::no_content()], 2, true),
        (vec![Reply::nothing().then_reset(), Reply::no_content()], 2, true),
        (vec![Reply::raw("HTTP/1.1 204 N").then_close(), Reply::no_content()], 2, true),
        (vec![Reply::http(408, "", "").then_close(), Reply::no_content()], 2, true),
        (vec![broken.clone(), gone()], 2, true),
        (vec![Reply::http(408, "", "").then_close(), gone()], 2, true),
        (vec![broken], 2, false),
        (vec![Reply::http(408, "", "").then_close()], 2, false),
        // A complete response is not sent again, nor is a request that ended with a limit.
        (vec![Reply::http(503, "", ""), Reply::no_content()], 1, false),
        (vec![Reply::nothing().then_silence(), Reply::no_content()], 1, false),
    ] {
        let last = replies.len() - 1;
        let server = Server::with(move |request| match request.number.checked_sub(1) {
            None => Reply::session(),
            Some(n) => replies[n.min(last)].clone(),
        });
        let session = Session::login(&server.site().retries(0).timeout(LIMIT), &login()).unwrap();
        let start = Instant::now();
        let result = session.logout();
        let shown = format!("{result:?}");
        assert_eq!(result.is_ok(), is_done, "{shown}");
        assert_eq!(server.requests().len(), 1 + deletes, "{shown}");
        assert_eq!(server.requests()[deletes].connection, deletes - 1, "{shown}");
        // The first attempt may have been carried out.
        assert!(result.err().is_none_or(|error| error.outcome_unknown()), "{shown}");
        assert!(start.elapsed() < LIMIT + SLACK, "{shown}");
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
fn a_refusal_that_means_no_such_session_is_success_only_after_a_request_was_sent() {
    let gone = || Reply::json(401, r#"{"type":"not-authenticated/invalid-session"}"#);
    let broken = || Reply::nothing().then_close();
    for replies in [vec![broken(), gone()], vec![broken(), Reply::http(503, "", ""), gone()]] {
        let expected = replies.len();
        let (times, result) = sent(replies, LOGOUT);
        result.unwrap();
        assert_eq!(times, expected);
    }
    // Nothing was sent over the connection that the server closed.
    let server = Server::new([Reply::session().then_close(), gone()]);
    let session = Session::login(&server.site(), &login()).unwrap();
    server.closed(0);
    assert_eq!(session.logout().unwrap_err().kind(), ErrorKind::InvalidSession);
}

#[test]
fn a_dead_connection_leaves_time_for_another_attempt_of_a_logout() {
    let server = Server::with(|request| match (request.connection, &*request.line) {
        (0, line) if line.starts_with("DELETE") => Reply::nothing().then_silence(),
        _ => accept_all(request),
    });
    let site = server.site().timeout(Duration::from_secs(4));
    let session = Session::login(&site, &login()).unwrap();
    let start = Instant::now();
    session.logout().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2), "less than half of the time");
    assert_eq!(server.methods(), ["POST", "DELETE", "DELETE"]);

    // Without retries, the only attempt gets all of the time.
    let server = Server::new([Reply::no_content().after(Duration::from_secs(2))]);
    let site = server.site().timeout(Duration::from_secs(3)).retries(0);
    Session::resume(&site, "id").unwrap().logout().unwrap();
}

#[test]
fn retries_are_counted() {
    in_parallel([(Some(0), 1), (Some(1), 2), (None, 4)], |(retries, times)| {
        let server = Server::new([Reply::http(503, "", "")]);
        let site = retries.map_or(server.site(), |n| server.site().retries(n));
        Session::resume(&site, "id").unwrap().logout().unwrap_err();
        assert_eq!(server.methods(), vec!["DELETE"; times], "{retries:?}");
    });
}

// Invalid responses

#[test]
fn a_response_that_is_not_http_is_an_error() {
    let body = r#"{"id":"x"}"#;
    let with = |headers: &str| format!("HTTP/1.1 201 Created\r\n{headers}\r\n{body}");
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        with("Content-Length: 10\r\nContent-Length: 11\r\n"),
        with("Content-Length: 11\r\n"),
        with("Transfer-Encoding: chunked\r\n"),
        with(&"X: y\r\n".repeat(200)),
    ] {
        let server = Server::new([Reply::raw(&bytes).then_close()]);
        let error = Session::login(&server.site(), &login()).unwrap_err();
        let bytes: String = bytes.chars().take(100).collect();
        assert_eq!(error.kind(), ErrorKind::Transport, "{bytes:?}: {error:?}");
    }
}

#[test]
fn a_header_may_be_16_kib_long() {
    let response = |n| {
        let head = "HTTP/1.1 201 Created\r\nContent-Length: 10\r\nX: \r\n\r\n";
        padded(head, n) + r#"{"id":"x"}"#
    };
    assert_only_the_first_is_read(response(16_384), response(16_385));
}

/// A header of `n` bytes, with a longer field `X`.
fn padded(head: &str, n: usize) -> String {
    head.replace("X: ", &format!("X: {}", "y".repeat(n - head.len())))
}

#[track_caller]
fn assert_only_the_first_is_read(fits: String, is_too_long: String) {
    let log_in = |response| Session::login(&Server::new([Reply::raw(response)]).site(), &login());
    assert_eq!(log_in(fits).unwrap().id, "x");
    let error = log_in(is_too_long).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains("is too large"), "{error}");
}

#[test]
fn endless_early_hints_exceed_the_size_limit() {
    let hints = Reply::raw("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)).without_end();
    let server = Server::new([hints]);
    for call in [LOGIN, LOGOUT] {
        let error = call(&server.site().retries(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        assert!(error.to_string().contains("is too large"), "{error}");
    }
}

#[test]
fn a_response_may_be_144_kib_long_with_its_framing() {
    // Each byte of the body is a chunk of six bytes. A header fills the rest.
    let body = format!(r#"{{"id":"x","a":"{}"}}"#, "y".repeat(21_900));
    let chunks = body.chars().flat_map(|c| ['1', '\r', '\n', c, '\r', '\n']);
    let chunks = chunks.collect::<String>() + "0\r\n\r\n";
    let head = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX: \r\n\r\n";
    let response = |n: usize| padded(head, n - chunks.len()) + &chunks;
    assert_only_the_first_is_read(response(147_456), response(147_457));
}

#[cfg(unix)]
#[test]
fn a_refusal_that_comes_before_the_request_is_read_is_not_lost() {
    for password in ["x".repeat(500), "x".repeat(60_000)] {
        for _ in 0..20 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let site = Site::new(&format!("http://{}", listener.local_addr().unwrap()));
            let server = thread::spawn(move || {
                let mut stream = listener.accept().unwrap().0;
                stream.read_exact(&mut [0; 10]).unwrap();
                // Unread data makes the close a reset.
                stream.write_all(b"HTTP/1.1 401 S\r\nContent-Length: 0\r\n\r\n").unwrap();
            });
            let error = Session::login(&site, &Login::new("u", &password)).unwrap_err();
            assert_eq!(error.http_status(), Some(401), "{} {error}", password.len());
            server.join().unwrap();
        }
    }
}

// This machine

#[cfg(target_os = "linux")]
#[test]
fn an_open_session_holds_one_descriptor_that_is_close_on_exec_and_no_thread() {
    let test = "an_open_session_holds_one_descriptor_that_is_close_on_exec_and_no_thread";
    let server = Server::with(accept_all);
    // In a separate process, because other tests open descriptors and threads. getaddrinfo resolves
    // this form of 127.0.0.1 without a name server, but this library treats it as a name and starts
    // the lookup thread.
    let url = format!("http://127.1:{}", server.addr.port());
    in_child(test, &[], &[("URL", &url)], || {
        let count = |kind: &str| std::fs::read_dir(format!("/proc/self/{kind}")).unwrap().count();
        // The flags of each open file, in octal: open(2).
        let stay_open_on_exec = || {
            let files = std::fs::read_dir("/proc/self/fdinfo").unwrap();
            let info = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
            let flags = info.filter_map(|info| {
                let line = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
                libc::c_int::from_str_radix(line.trim(), 8).ok()
            });
            flags.filter(|flags| flags & libc::O_CLOEXEC == 0).count()
        };
        let login = login();
        let (files, threads, inherited) = (count("fd"), count("task"), stay_open_on_exec());
        assert!(inherited >= 3, "the standard streams stay open");
        let site = Site::new(&std::env::var("URL").unwrap()).allow_http();
        let session = Session::login(&site, &login).unwrap();
        assert_eq!((count("fd"), stay_open_on_exec()), (files + 1, inherited));
        session.logout().unwrap();
        assert_eq!(count("fd"), files);
        // The system takes a moment to end a thread.
        let start = Instant::now();
        while count("task") > threads {
            assert!(start.elapsed() < Duration::from_secs(20), "a thread outlives the call");
            thread::yield_now();
        }
    });
}

#[test]
fn an_ipv6_address_and_localhost_reach_an_ipv6_server() {
    let listener = match TcpListener::bind("[::1]:0") {
        Ok(listener) => listener,
        Err(error) => return not_tested("a server at ::1", &error.to_string()),
    };
    let server = Server::on(listener, accept_all);
    for host in ["[::1]", "localhost"] {
        let host = format!("{host}:{}", server.addr.port());
        let site = Site::new(&format!("http://{host}"));
        Session::login(&site, &login()).unwrap().logout().unwrap();
        assert_eq!(server.requests().pop().unwrap().header("host"), Some(host.as_str()));
    }
}

#[cfg(unix)]
#[test]
#[allow(unsafe_code, reason = "signals are sent through the C library")]
fn signals_do_not_end_a_call() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn on_signal(_: libc::c_int) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: zero is a valid sigaction without flags, so a system call ends with EINTR. The
    // handler is async-signal-safe, and this thread outlives the one that interrupts it.
    let this = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
        libc::pthread_self()
    };
    // Signals arrive while the request is sent, and during the wait for the response.
    let reply = Reply::session().after(Duration::from_millis(500));
    let server = Server::on(small_listener(), move |_| reply.clone());
    let call_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !call_ended.load(Ordering::Relaxed) {
                // SAFETY: as above.
                assert_eq!(unsafe { libc::pthread_kill(this, libc::SIGUSR1) }, 0);
                thread::sleep(Duration::from_micros(100));
            }
        });
        let result = Session::login(&server.site(), &Login::new("u", &longest_password()));
        call_ended.store(true, Ordering::Relaxed);
        let _ = result.unwrap();
    });
    assert_eq!(server.requests()[0].body.len(), 64 * 1024);
    assert!(HANDLED.load(Ordering::Relaxed) > 20);
}
