//! What a refusal becomes: kind, facts and a sentence, and whether another request follows.

mod support;

use std::error::Error as _;
use std::time::Duration;

use files_session::{ApiError, Error, ErrorKind, Session, Site};
use support::{Reply, Server, closed_port, login};

fn refused(reply: Reply) -> Error {
    Session::login(&Server::new([reply]).site().retries(0), &login()).unwrap_err()
}

fn api(reply: Reply) -> ApiError {
    let error = refused(reply);
    error.api().unwrap_or_else(|| panic!("no refusal: {error:?}")).clone()
}

#[test]
fn a_refusal_has_the_kind_of_its_type_or_its_status() {
    for (status, body, kind, error_type) in [
        (401, r#"{"type":"x/locked-out"}"#, ErrorKind::LockedOut, Some("x/locked-out")),
        (403, r#"{"type":"new-group/x"}"#, ErrorKind::NotAuthorized, Some("new-group/x")),
        (404, "{}", ErrorKind::NotFound, None),
    ] {
        let error = refused(Reply::json(status, body));
        let api = error.api().unwrap();
        assert_eq!((error.kind(), api.error_type.as_deref()), (kind, error_type));
        assert_eq!((api.status, error.http_status()), (status, Some(status)));
    }
}

/// Whether the site may have carried out the request, and whether the same call may succeed later.
#[test]
fn an_error_says_what_is_known() {
    use ErrorKind::*;
    let typed = |status, error_type: &str| {
        let body = format!(r#"{{"type":"{error_type}"}}"#);
        Server::new([Reply::json(status, body)]).site()
    };
    let disabled = |status| typed(status, "service-unavailable/site-disabled");
    let sends = |reply: Reply| Server::new([reply.then_close()]).site();
    let created = |body: &str| Reply::http(201, "", body);
    let raw = |length, body| sends(Reply::raw(format!("HTTP/1.1 201 C\r\n{length}\r\n{body}")));
    let through = |reply: &str| {
        let proxy = Server::new([Reply::raw(reply).then_close()]);
        Site::new("http://mysite.test.invalid").allow_http().proxy(&proxy.url())
    };
    let (large, second) = (format!("X: {}\r\n", "x".repeat(20_000)), Duration::from_secs(1));
    let silent = || Server::new([Reply::nothing().then_silence()]).site().timeout(second);
    let closed = closed_port();
    for (what, site, kind, outcome_unknown, is_transient) in [
        ("an invalid setting", Site::new("ftp://x"), InvalidInput, false, false),
        ("a name", Site::new("http://x.invalid").allow_http().no_proxy(), Connect, false, true),
        ("a closed port", Site::new(&closed.url()), Connect, false, true),
        ("a proxy's refusal", through("HTTP/1.1 407 P\r\n\r\n"), Connect, false, false),
        ("a limit for connecting", silent().connect_timeout(Duration::ZERO), Timeout, false, true),
        ("silence", silent(), Timeout, true, true),
        ("a break", sends(Reply::nothing()), Transport, true, true),
        ("no HTTP", sends(Reply::raw("SSH-2.0\r\n\r\n")), Transport, true, true),
        ("a large header", sends(Reply::http(201, &large, "")), Transport, true, true),
        ("a broken success", raw("Content-Length: 99\r\n", "{"), Transport, true, true),
        ("one without a length", raw("", "{\"id\":\"x\""), Transport, true, true),
        ("no session", sends(created("{}")), UnexpectedResponse, true, false),
        ("a page", sends(created("<html>")), UnexpectedResponse, true, false),
        ("half of an object", sends(created("{\"id\":\"x\"")), UnexpectedResponse, true, false),
        ("a large body", raw("", &"{".repeat(70_000)), UnexpectedResponse, true, false),
        ("101", sends(Reply::raw("HTTP/1.1 101 S\r\n\r\n")), UnexpectedResponse, false, false),
        ("302", sends(Reply::http(302, "Location: /x\r\n", "")), UnexpectedResponse, false, false),
        ("a page's 404", sends(Reply::http(404, "", "<html>")), UnexpectedResponse, false, false),
        ("a page's 502", sends(Reply::http(502, "", "<html>")), UnexpectedResponse, true, true),
        ("600", sends(Reply::json(600, "{}")), UnexpectedResponse, true, true),
        ("429", sends(Reply::json(429, "{}")), RateLimited, true, true),
        ("500", sends(Reply::json(500, "{}")), ServiceUnavailable, true, true),
        ("a typed 422", typed(422, "rate-limited/too-many-requests"), RateLimited, true, true),
        ("another", typed(422, "service-unavailable/x"), ServiceUnavailable, true, true),
        ("a disabled site", disabled(422), SiteConfiguration, false, false),
        ("a disabled site's 503", disabled(503), SiteConfiguration, false, false),
        ("a refusal", typed(401, "not-authenticated/locked-out"), LockedOut, false, false),
        ("a 408", sends(Reply::json(408, "{}")), BadRequest, false, false),
    ] {
        let error = Session::login(&site.retries(0), &login()).unwrap_err();
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert_eq!(error.outcome_unknown(), outcome_unknown, "{what}: {error}");
        assert_eq!(error.is_transient(), is_transient, "{what}: {error}");
    }
}

#[test]
fn a_later_refusal_does_not_make_the_outcome_known() {
    let server = Server::new([Reply::http(503, "", ""), Reply::json(403, "{}")]);
    let session = Session::resume(&server.site(), "id").unwrap();
    let error = session.logout().unwrap_err();
    assert_eq!(error.http_status(), Some(403));
    assert!(error.outcome_unknown() && !error.is_transient());
}

#[test]
fn a_truncated_refusal_keeps_its_status_and_headers() {
    let head = "HTTP/1.1 429 Too Many\r\nContent-Length: 90000\r\nRetry-After: 7200\r\n\
                X-Request-Id: abc\r\n\r\n";
    let body = r#"{"type":"rate-limited/too-many-requests","error":"Too ma"#;
    let too_long = format!(r#"{{"error":"{}"}}"#, "y".repeat(65_536));
    for (reply, status) in [
        (Reply::raw([head, body].concat()).then_close(), 429),
        (Reply::raw(head).then_close(), 429),
        (Reply::http(401, "Retry-After: 7200\r\nX-Request-Id: abc\r\n", &too_long), 401),
    ] {
        let api = api(reply);
        assert_eq!((api.status, api.message.as_deref()), (status, None));
        assert_eq!(api.retry_after, Some(Duration::from_secs(7200)));
        assert_eq!(api.request_id.as_deref(), Some("abc"));
    }
}

#[test]
fn an_address_that_cannot_be_used_is_refused_before_anything_is_sent() {
    let proxy = Server::new([Reply::nothing().then_close()]);
    for (url, sentence) in [
        ("http://mysite.files.com", "use https"),
        ("https://user:hunter2@mysite.files.com", "user name or password"),
        ("https://mysite.files.com/?key=hunter2", "has a query"),
        ("https://mysite.files.com/hunter2", "has a path"),
    ] {
        let site = Site::new(url).proxy(&proxy.url());
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        assert!(error.to_string().contains(sentence), "{url}: {error}");
        let all = format!("{error} {error:?} {error:#?} {site:?}");
        assert!(!all.contains("hunter2"), "{all}");
        let error = Session::resume(&site, "id").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
    }
    assert_eq!(proxy.connections(), 0);
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[test]
fn https_without_tls_is_refused_before_anything_is_sent() {
    let error = Session::login(&Site::default(), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("enable its feature rustls"), "{error}");
}

#[test]
fn the_sentence_of_a_failed_connection_has_the_cause() {
    let closed = closed_port();
    let error = Session::login(&Site::new(&closed.url()).retries(0), &login()).unwrap_err();
    let cause = std::io::Error::from_raw_os_error(if cfg!(windows) { 10061 } else { 111 });
    if cfg!(any(target_os = "linux", windows)) {
        let advice = "check the address and the network";
        let sentence = format!("no connection to {} ({cause}): {advice}", closed.addr);
        assert_eq!(error.to_string(), sentence);
    }
    assert!(error.source().is_none());
}

/// Regions: sites under files.com, over https, at one server behind a proxy.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod regions {
    use super::support::tls::{Ca, VALID};
    use super::support::tunnel::Tunnel;
    use super::support::{Call, LOGIN, LOGOUT, accept_all};
    use super::*;

    const MISMATCH: &str = r#"{"type":"not-authenticated/lockout-region-mismatch"}"#;
    const TYPE: &str = "not-authenticated/lockout-region-mismatch";
    const TEXT: &str = "You have connected to a URL that is not the one of this site.";

    /// The site `mysite.files.com`, which sends `reply`, and `eu.files.com`, which sends `at_eu`.
    fn start(reply: Reply, at_eu: Reply) -> (Server, Site) {
        serve(move |request| {
            let is_at_eu = request.header("host") == Some("eu.files.com");
            if is_at_eu { at_eu.clone() } else { reply.clone() }
        })
    }

    /// The site `mysite.files.com`, and every other one under `files.com`.
    fn serve(reply: impl Fn(&support::Request) -> Reply + Send + Sync + 'static) -> (Server, Site) {
        let ca = Ca::new();
        let server = Server::tls(ca.server("*.files.com", VALID), reply);
        let proxy = Tunnel::to(server.addr).url();
        let site = Site::new("https://mysite.files.com");
        (server, site.ca_pem(&ca.pem()).proxy(&proxy))
    }

    /// Both calls, and their methods.
    const CALLS: [(Call, &str); 2] = [(LOGIN, "POST"), (LOGOUT, "DELETE")];

    /// Methods and hosts of the requests.
    fn requests(server: &Server) -> Vec<String> {
        let show = |(request, method): (support::Request, String)| {
            format!("{method} {}", request.header("host").unwrap())
        };
        server.requests().into_iter().zip(server.methods()).map(show).collect()
    }

    fn with_data(host: &str) -> String {
        format!(r#"{{"type":"{TYPE}","data":{{"host":"{host}"}}}}"#)
    }

    #[test]
    fn a_region_mismatch_is_followed_once_to_the_host_that_it_names() {
        let (eu, us) = ("X-Files-Host: eu.files.com\r\n", "X-Files-Host: us.files.com\r\n");
        let class = format!("X-Files-Error-Class: {TYPE}\r\n{eu}");
        for (status, headers, body) in [
            (401, us, with_data("eu.files.com")),
            (403, "", with_data("https://eu.files.com")),
            (403, eu, TEXT.to_owned()),
            (401, eu, MISMATCH.replace('}', r#","data":{"host":null}}"#)),
            (403, &class, "<html>".to_owned()),
        ] {
            for (call, method) in CALLS {
                let success = if method == "POST" { Reply::session() } else { Reply::no_content() };
                let (server, site) = start(Reply::http(status, headers, &body), success);
                call(&site).unwrap_or_else(|error| panic!("{headers}{body}: {error}"));
                let sent = ["mysite", "eu"].map(|name| format!("{method} {name}.files.com"));
                assert_eq!(requests(&server), sent, "{headers}{body}");
            }
        }
    }

    #[test]
    fn only_a_mismatch_that_names_a_host_under_files_com_is_followed() {
        use ErrorKind::*;
        let (eu, plain) = ("X-Files-Host: eu.files.com\r\n", "http://eu.files.com");
        let other = r#"{"type":"not-authorized/x"}"#.to_owned();
        for (status, headers, body, kind, error_type, host) in [
            // A host that the caller must decide on, or none.
            (401, eu, with_data("files.example.com"), RegionMismatch, TYPE, "files.example.com"),
            (401, "", with_data(plain), RegionMismatch, TYPE, plain),
            (403, "", TEXT.to_owned(), RegionMismatch, "", ""),
            // Not a mismatch: the header means nothing.
            (403, eu, other, NotAuthorized, "not-authorized/x", ""),
            (403, eu, format!(" {TEXT}"), UnexpectedResponse, "", ""),
            (401, eu, TEXT.to_owned(), UnexpectedResponse, "", ""),
        ] {
            for (call, method) in CALLS {
                let (server, site) = start(Reply::http(status, headers, &body), Reply::session());
                let error = call(&site).unwrap_err();
                assert_eq!(error.kind(), kind, "{headers}{body}: {error}");
                let api = error.api();
                let found = api.and_then(|api| api.error_type.as_deref()).unwrap_or_default();
                assert_eq!(found, error_type, "{headers}{body}");
                let found = api.and_then(|api| api.host.as_deref()).unwrap_or_default();
                assert_eq!(found, host, "{headers}{body}");
                assert_eq!(requests(&server), [format!("{method} mysite.files.com")], "{body}");
            }
        }
    }

    #[test]
    fn a_session_of_another_region_lives_there() {
        let (server, site) = serve(|request| match request.number {
            0 => Reply::json(401, with_data("eu.files.com")),
            _ => accept_all(request),
        });
        let session = Session::login(&site, &login()).unwrap();
        assert_eq!(session.base_url(), "https://eu.files.com");
        // No connection to the first host is kept.
        server.closed(0);
        session.logout().unwrap();
        let sent = ["POST mysite.files.com", "POST eu.files.com", "DELETE eu.files.com"];
        assert_eq!(requests(&server), sent);
        assert_eq!(server.requests()[2].connection, 1);
    }

    #[test]
    fn one_limit_holds_for_both_hosts() {
        let mismatch = Reply::json(401, with_data("eu.files.com"));
        let silence = Reply::nothing().then_silence();
        let (server, site) = start(mismatch.after(Duration::from_secs(2)), silence);
        let (limit, start) = (Duration::from_secs(3), std::time::Instant::now());
        let error = LOGIN(&site.timeout(limit)).unwrap_err();
        let took = start.elapsed();
        assert_eq!((error.kind(), server.requests().len()), (ErrorKind::Timeout, 2), "{error}");
        // With a limit for each host, the call would take 5 s.
        assert!((limit..limit + Duration::from_millis(1500)).contains(&took), "{took:?}");
    }

    #[test]
    fn a_second_factor_of_another_region_is_answered_there() {
        let challenge = r#"{"type":"not-authenticated/two-factor-authentication-error",
            "data":{"two_factor_authentication_methods":["totp","yubi"],
            "partial_session_id":"p"}}"#;
        let wrong = r#"{"type":"not-authenticated/one-time-password-incorrect"}"#;
        let (server, site) = serve(move |request| match request.number {
            0 => Reply::json(401, with_data("eu.files.com")),
            1 => Reply::json(401, challenge),
            2 | 3 => Reply::json(401, wrong),
            _ => accept_all(request),
        });
        let error = Session::login(&site, &login()).unwrap_err();
        let answer =
            |code| Session::login(&site, &login().answer(error.two_factor().unwrap(), code));
        // With the password, and with the partial session id in its place.
        for code in ["000000", "cccccccccccccccccccccccccccccccccccccccccccc"] {
            assert_eq!(answer(code).unwrap_err().kind(), ErrorKind::OtpIncorrect);
        }
        assert!(server.requests()[3].body.contains(r#""partial_session_id":"p""#));
        let session = answer("123456").unwrap();
        assert_eq!(session.base_url(), "https://eu.files.com");
        // Only the first login went to the host that the caller named.
        assert_eq!(requests(&server)[1..], ["POST eu.files.com"; 4]);
    }

    #[test]
    fn a_second_mismatch_is_returned() {
        for (call, method) in CALLS {
            let at = |host| Reply::json(401, with_data(host));
            let (server, site) = start(at("eu.files.com"), at("us.files.com"));
            let error = call(&site).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RegionMismatch, "{error}");
            assert_eq!(error.api().unwrap().host.as_deref(), Some("us.files.com"));
            let sent = ["mysite", "eu"].map(|name| format!("{method} {name}.files.com"));
            assert_eq!(requests(&server), sent);
        }
    }

    #[test]
    fn a_mismatch_that_names_the_same_host_is_returned() {
        let (server, site) = serve(|_| Reply::json(401, with_data("mysite.files.com")));
        let error = LOGIN(&site).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RegionMismatch, "{error}");
        assert_eq!(server.requests().len(), 1);
    }

    /// A logout whose first attempt breaks off, whose second is referred to another region, and
    /// whose third gets this reply there.
    fn broken_then_moved(last: &Reply) -> (Vec<String>, Result<(), Error>) {
        let last = last.clone();
        let (server, site) = serve(move |request| match request.number {
            0 => Reply::nothing().then_close(),
            1 => Reply::json(401, with_data("eu.files.com")),
            _ => last.clone(),
        });
        let result = LOGOUT(&site.retries(1));
        (requests(&server), result)
    }

    #[test]
    fn a_region_hop_keeps_the_retry_count_and_what_may_have_succeeded() {
        let sent = ["mysite", "mysite", "eu"].map(|name| format!("DELETE {name}.files.com"));
        let (requests, result) = broken_then_moved(&Reply::nothing().then_close());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Transport);
        assert_eq!(requests, sent);
        let gone = Reply::json(401, r#"{"type":"not-authenticated/invalid-session"}"#);
        let (requests, result) = broken_then_moved(&gone);
        result.unwrap();
        assert_eq!(requests, sent);
    }

    #[test]
    fn a_region_hop_does_not_make_the_outcome_known() {
        // A login never succeeds by the end of a session.
        for refusal in ["{}", r#"{"type":"not-authenticated/invalid-session"}"#] {
            let moved = Reply::json(503, with_data("eu.files.com"));
            let (server, site) = start(moved, Reply::json(401, refusal));
            let error = LOGIN(&site).unwrap_err();
            assert_eq!(error.http_status(), Some(401));
            assert!(error.outcome_unknown());
            assert_eq!(server.requests().len(), 2);
        }
    }

    #[test]
    fn a_mismatch_over_plain_http_is_not_followed() {
        for (status, headers, body) in [
            (401, "", with_data("eu.files.com")),
            (403, "X-Files-Host: eu.files.com\r\n", TEXT.to_owned()),
        ] {
            for (call, method) in CALLS {
                let server = Server::new([Reply::http(status, headers, &body)]);
                // A request to another host would end at this server as well.
                let proxy = Tunnel::to(server.addr).url();
                let site = Site::new("http://mysite.files.com").allow_http().proxy(&proxy);
                let error = call(&site).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::RegionMismatch, "{error}");
                assert_eq!(error.api().unwrap().host.as_deref(), Some("eu.files.com"));
                assert_eq!(requests(&server), [format!("{method} mysite.files.com")]);
            }
        }
    }
}
