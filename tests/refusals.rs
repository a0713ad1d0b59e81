//! What a refusal becomes: kind, facts and a sentence, and whether another request follows.

mod support;

use std::error::Error as _;
use std::time::{Duration, Instant};

use files_session::{ApiError, Error, ErrorKind, Session, Site};
use support::{Reply, Server, accept_all, closed_port, login};

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
        (
            401,
            r#"{"type":"not-authenticated/locked-out"}"#,
            ErrorKind::LockedOut,
            Some("not-authenticated/locked-out"),
        ),
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
    let sends = |reply: Reply| Server::new([reply.then_close()]).site();
    let created = |body: &str| Reply::http(201, "", body);
    let through = |reply: &str| {
        let proxy = Server::new([Reply::raw(reply).then_close()]);
        Site::new("http://mysite.test.invalid").allow_http().proxy(&proxy.url())
    };
    let second = Duration::from_secs(1);
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
        (
            "a large header",
            sends(Reply::http(201, &format!("X: {}\r\n", "x".repeat(20_000)), "")),
            Transport,
            true,
            true,
        ),
        (
            "a broken success",
            sends(Reply::raw("HTTP/1.1 201 C\r\nContent-Length: 9\r\n\r\n{")),
            Transport,
            true,
            true,
        ),
        ("no session", sends(created("{}")), UnexpectedResponse, true, false),
        ("a page", sends(created("<html>")), UnexpectedResponse, true, false),
        ("a large body", sends(created(&" ".repeat(70_000))), UnexpectedResponse, true, false),
        ("101", sends(Reply::raw("HTTP/1.1 101 S\r\n\r\n")), UnexpectedResponse, false, false),
        ("302", sends(Reply::http(302, "Location: /x\r\n", "")), UnexpectedResponse, false, false),
        ("a page's 404", sends(Reply::http(404, "", "<html>")), UnexpectedResponse, false, false),
        ("a page's 502", sends(Reply::http(502, "", "<html>")), UnexpectedResponse, true, true),
        ("600", sends(Reply::json(600, "{}")), UnexpectedResponse, true, true),
        ("429", sends(Reply::json(429, "{}")), RateLimited, true, true),
        ("500", sends(Reply::json(500, "{}")), ServiceUnavailable, true, true),
        ("a typed 422", typed(422, "rate-limited/too-many-requests"), RateLimited, true, true),
        ("another", typed(422, "service-unavailable/x"), ServiceUnavailable, true, true),
        (
            "a disabled site",
            typed(422, "service-unavailable/site-disabled"),
            SiteConfiguration,
            false,
            false,
        ),
        (
            "a disabled site's 503",
            typed(503, "service-unavailable/site-disabled"),
            SiteConfiguration,
            false,
            false,
        ),
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
fn a_refusal_is_read_leniently() {
    let (wrong, locked) = ("Invalid username or password", "not-authenticated/locked-out");
    for (body, error_type, title, message) in [
        (r"{}", None, None, None),
        (r#" { "error" : "Invalid username or password" } "#, None, None, Some(wrong)),
        (r#"{"title":"T","error":null}"#, None, Some("T"), None),
        (r#"{"error":{"message":"m","code":7}}"#, None, None, Some("m")),
        (r#"{"error":[{"message":"m"},{"message":"n"}]}"#, None, None, Some("m")),
        (r#"{"error":["m"]}"#, None, None, Some("m")),
        (r#"{"error":[],"errors":["m"]}"#, None, None, Some("m")),
        (r#"{"errors":[{"error":{"message":"m"}}]}"#, None, None, Some("m")),
        (r#"{"type":1,"title":[],"error":{},"errors":7,"data":"d"}"#, None, None, None),
        (r#"{"type":"not-authenticated/locked-out","http-code":401}"#, Some(locked), None, None),
        (r#"{"type":"not-authenticated/locked-out","http-code":"401"}"#, Some(locked), None, None),
        (r#"{"type":"not-authenticated/locked-out","http-code":[{}]}"#, Some(locked), None, None),
        (r#"{"errors":["Invalid username or password","b"]}"#, None, None, Some(wrong)),
        (r#"{"errors":[{"error":"Invalid username or password"}]}"#, None, None, Some(wrong)),
        (r#"{"errors":[{"title":"Invalid username or password"}]}"#, None, None, Some(wrong)),
        (
            r#"{"errors":[{"type":"not-authenticated/locked-out","error":"m"}],"error":null}"#,
            Some(locked),
            None,
            Some("m"),
        ),
        (r#"{"error":"m","errors":["other"]}"#, None, None, Some("m")),
        (r#"{"error":"","errors":["m"]}"#, None, None, Some("m")),
        (r#"{"errors":[]}"#, None, None, None),
        (r#"{"errors":[[1],2]}"#, None, None, None),
        (
            r#"{"model_errors":{"a":["b"]},"model_error_keys":null,"error":"m"}"#,
            None,
            None,
            Some("m"),
        ),
        (r#"{"error":"caf\u00e9 \"q\" 😀"}"#, None, None, Some("café \"q\" 😀")),
        // Truncated or not JSON: only the status and the headers are known.
        (r#"{"type":"not-authenticated/locked-out","error":"Too ma"#, None, None, None),
        (r#"{"type":"not-authenticated/locked-out","da"#, None, None, None),
        (r"{", None, None, None),
        (r#"{"error":"\ud800","type":"not-authenticated/locked-out"}"#, None, None, None),
    ] {
        let api = api(Reply::json(401, body));
        assert_eq!(api.status, 401, "{body}");
        assert_eq!(api.error_type.as_deref(), error_type, "{body}");
        assert_eq!(api.title.as_deref(), title, "{body}");
        assert_eq!(api.message.as_deref(), message, "{body}");
    }
}

#[test]
fn a_refusal_that_is_not_utf_8_is_read() {
    let api =
        api(Reply::json(401, b"{\"error\":\"caf\xe9\",\"type\":\"not-authenticated/locked-out\"}"));
    assert_eq!(api.message.as_deref(), Some("caf\u{fffd}"));
    assert_eq!(api.error_type.as_deref(), Some("not-authenticated/locked-out"));
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
fn a_response_of_another_server_is_not_a_refusal() {
    let html = "<!doctype html><title>Bad Gateway</title>";
    for (status, body, refusal) in [
        (401, "", true),
        (403, "", true),
        (400, "", true),
        (500, "", true),
        (502, "", true),
        (429, "", true),
        (429, html, true),
        (503, html, true),
        (404, "{}", true),
        (405, r#"{"error":"m"}"#, true),
        (405, "", false),
        (404, "", false),
        (404, html, false),
        (401, html, false),
        (502, html, false),
        (500, "oops", false),
        (500, "[1]", false),
        (500, "null", false),
    ] {
        let error = refused(Reply::http(status, "", body));
        assert_eq!(error.http_status(), Some(status), "{status} {body}");
        assert_eq!(error.api().is_some(), refusal, "{status} {body}");
        let unexpected = error.kind() == ErrorKind::UnexpectedResponse;
        assert_eq!(unexpected, !refusal, "{status} {body}");
    }
}

#[test]
fn the_error_class_header_replaces_a_missing_type() {
    use ErrorKind::*;
    let (wrong, locked) =
        ("not-authenticated/invalid-username-or-password", "not-authenticated/locked-out");
    let with_type = r#"{"type":"not-authenticated/locked-out"}"#;
    let with_errors = r#"{"errors":[{"type":"not-authenticated/locked-out"}]}"#;
    for (status, class, body, kind, error_type) in [
        (401, wrong, "<html>Gateway</html>", InvalidCredentials, wrong),
        (401, wrong, "", InvalidCredentials, wrong),
        (401, wrong, r#"{"type":"not-authenticated/inva"#, InvalidCredentials, wrong),
        (401, wrong, r#"{"error":"m"}"#, InvalidCredentials, wrong),
        (401, wrong, r#"{"type":null}"#, InvalidCredentials, wrong),
        (401, wrong, with_type, LockedOut, locked),
        (401, wrong, with_errors, InvalidCredentials, wrong),
        (404, "not-found/site-not-found", "", NotFound, "not-found/site-not-found"),
        (404, "not-found/site-not-found", "<html>", NotFound, "not-found/site-not-found"),
        (405, "bad-request/method-not-allowed", "", BadRequest, "bad-request/method-not-allowed"),
        (502, "site-configuration/x", "<html>", SiteConfiguration, "site-configuration/x"),
    ] {
        let header = format!("X-Files-Error-Class: {class}\r\n");
        let error = refused(Reply::http(status, &header, body));
        assert_eq!(error.kind(), kind, "{status} {class} {body}");
        let found = error.api().unwrap().error_type.as_deref();
        assert_eq!(found, Some(error_type), "{status} {class} {body}");
    }
    // The connection breaks in the middle of the body.
    let head = "HTTP/1.1 401 S\r\nX-Files-Error-Class: not-authenticated/locked-out\r\n\
                Content-Length: 900\r\n\r\n{\"type";
    assert_eq!(refused(Reply::raw(head).then_close()).kind(), LockedOut);
    // An empty header names no type.
    let error = refused(Reply::http(404, "X-Files-Error-Class: \r\n", "<html>"));
    assert_eq!(error.kind(), UnexpectedResponse);
}

#[test]
fn the_request_id_falls_back_on_the_header() {
    let header = "X-Request-Id: of-the-header\r\n";
    for (headers, body, id) in [
        (header, r#"{"instance":"of-the-body"}"#, Some("of-the-body")),
        ("", r#"{"instance":"of-the-body"}"#, Some("of-the-body")),
        (header, r#"{"instance":null}"#, Some("of-the-header")),
        (header, r#"{"instance":5}"#, Some("of-the-header")),
        (header, "", Some("of-the-header")),
        (header, r#"{"errors":[{"instance":"of-the-first"}]}"#, Some("of-the-first")),
        ("", "{}", None),
    ] {
        let api = api(Reply::http(401, headers, body));
        assert_eq!(api.request_id.as_deref(), id, "{headers}{body}");
    }
}

#[test]
fn a_second_factor_is_asked_for_by_the_type_or_by_the_data() {
    let data = r#""data":{"two_factor_authentication_methods":["sms"]}"#;
    for (body, methods) in [
        (r#"{"type":"not-authenticated/two-factor-authentication-error"}"#.to_owned(), Some(0)),
        (
            format!(r#"{{"type":"not-authenticated/two-factor-authentication-error",{data}}}"#),
            Some(1),
        ),
        (format!(r#"{{"type":"not-authenticated/additional",{data}}}"#), Some(1)),
        (format!(r#"{{"data":null,"errors":[{{"type":"401-x",{data}}}]}}"#), Some(1)),
        (r#"{"type":"not-authenticated/locked-out","data":{"host":"x"}}"#.to_owned(), None),
        (r#"{"type":"not-authenticated/locked-out"}"#.to_owned(), None),
    ] {
        let two_factor = api(Reply::json(401, &body)).two_factor;
        assert_eq!(two_factor.map(|two_factor| two_factor.methods.len()), methods, "{body}");
    }
}

#[test]
fn retry_after_is_read_in_seconds() {
    for (headers, wait) in [
        ("Retry-After: 3600\r\n", Some(3600)),
        ("Retry-After: 0\r\n", Some(0)),
        ("Retry-After: 31536000\r\n", Some(31_536_000)),
        ("Retry-After: 31536001\r\n", None),
        ("Retry-After: 99999999999999999999\r\n", None),
        ("Retry-After: Sun, 22 Nov 2026 13:00:00 GMT\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: 1.5\r\n", None),
        ("Retry-After: -1\r\n", None),
        ("Retry-After: +1\r\n", None),
        ("", None),
    ] {
        for status in [429, 503, 401] {
            let api = api(Reply::http(status, headers, "{}"));
            assert_eq!(api.retry_after, wait.map(Duration::from_secs), "{status} {headers}");
        }
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table stays one")]
fn a_sentence_contains_what_happened_and_what_to_do() {
    let json = |status, error_type: &str, more: &str| {
        Reply::json(
            status,
            format!(r#"{{"type":"{error_type}","error":"The server's words."{more}}}"#),
        )
    };
    for (reply, sentence) in [
        (
            json(401, "not-authenticated/invalid-username-or-password", r#","instance":"abc""#),
            "The server's words (not-authenticated/invalid-username-or-password, HTTP 401): \
             check the user name and the password [request abc]",
        ),
        (
            json(
                401,
                "not-authenticated/two-factor-authentication-error",
                r#","data":{"two_factor_authentication_methods":["totp","sms"],"partial_session_id":"x"}"#,
            ),
            "The server's words (not-authenticated/two-factor-authentication-error, HTTP 401): \
             a second factor is needed, one of totp, sms; log in again with its code",
        ),
        (
            json(401, "not-authenticated/one-time-password-incorrect", ""),
            "The server's words (not-authenticated/one-time-password-incorrect, HTTP 401): \
             the code is wrong or expired; answer again with a new one",
        ),
        (
            json(401, "not-authenticated/locked-out", ""),
            "The server's words (not-authenticated/locked-out, HTTP 401): \
             the user is locked out; wait or ask the site's administrator",
        ),
        (
            json(
                401,
                "not-authenticated/lockout-region-mismatch",
                r#","data":{"host":"a.example"}"#,
            ),
            "The server's words (not-authenticated/lockout-region-mismatch, HTTP 401): \
             this user logs in at a.example",
        ),
        (
            json(401, "not-authenticated/lockout-region-mismatch", ""),
            "The server's words (not-authenticated/lockout-region-mismatch, HTTP 401): \
             this user logs in at another host",
        ),
        (
            json(401, "not-authenticated/invalid-session", ""),
            "The server's words (not-authenticated/invalid-session, HTTP 401): \
             the session has ended or never existed; log in again",
        ),
        (
            json(402, "site-configuration/account-overdue", ""),
            "The server's words (site-configuration/account-overdue, HTTP 402): \
             ask the site's administrator",
        ),
        (
            json(403, "not-authorized/password-change-required", ""),
            "The server's words (not-authorized/password-change-required, HTTP 403): \
             change the password in the browser first",
        ),
        (
            json(429, "rate-limited/too-many-concurrent-logins", ""),
            "The server's words (rate-limited/too-many-concurrent-logins, HTTP 429): \
             log out other sessions first",
        ),
        (
            json(403, "not-authorized/authentication-required", ""),
            "The server's words (not-authorized/authentication-required, HTTP 403): log in again",
        ),
        (
            json(401, "not-authenticated/new-name", ""),
            "The server's words (not-authenticated/new-name, HTTP 401)",
        ),
        (json(404, "not-found/new-name", ""), "The server's words (not-found/new-name, HTTP 404)"),
        (
            Reply::json(401, "{}"),
            "the site refused and gave no reason (HTTP 401): check the user name and the password, or log in again",
        ),
        (
            Reply::json(404, "{}"),
            "the site refused and gave no reason (HTTP 404): is this a Files.com site?",
        ),
        (Reply::json(400, r#"{"error":" ... ","title":"Odd"}"#), "Odd (HTTP 400)"),
        (
            Reply::json(400, r#"{"error":" ... ","title":"\u3164"}"#),
            "the site refused and gave no reason (HTTP 400)",
        ),
        (
            Reply::http(429, "Retry-After: 90\r\n", r#"{"title":"Slow down"}"#),
            "Slow down (HTTP 429): try again in 90 s",
        ),
        (
            Reply::http(503, "", ""),
            "the site refused and gave no reason (HTTP 503): try again later",
        ),
        (
            Reply::http(405, "", ""),
            "the response (HTTP 405) is not from the Files.com API: is this a Files.com site?",
        ),
        (
            Reply::http(404, "", "<html>"),
            "the response (HTTP 404) is a page, and not from the Files.com API: give the site's own \
             address, without a path, such as https://mysite.files.com",
        ),
        (
            Reply::http(201, "", "\u{feff} <!DOCTYPE html>"),
            "the response (HTTP 201) is a page, and not from the Files.com API: give the site's own \
             address, without a path, such as https://mysite.files.com",
        ),
        (
            Reply::http(301, "Location: https://user:pw@other.example/a?token=secret#b\r\n", ""),
            "the site redirects to https://other.example/a (HTTP 301), and redirects are not \
             followed: use that address if it is the right site",
        ),
        (
            Reply::http(302, "", ""),
            "the response (HTTP 302) is a redirect without a target: is this a Files.com site?",
        ),
    ] {
        assert_eq!(refused(reply).to_string(), sentence);
    }
}

#[test]
fn control_characters_of_a_server_are_escaped_in_the_sentence() {
    let evil = r"\u001b]0;owned\u0007\r\nfake: line\u009b31m\u202e\u00ad\u3164\udb40\udc41";
    let body = format!(
        r#"{{"type":"{evil}","title":"{evil}","error":"{evil}{}","instance":"{evil}"}}"#,
        "x".repeat(9999)
    );
    let error = refused(Reply::json(401, body));
    let sentence = error.to_string();
    assert!(
        !sentence.chars().any(|c| c.is_control() || "\u{202e}\u{ad}\u{3164}\u{e0041}".contains(c)),
        "{sentence}"
    );
    assert!(sentence.contains(r"\u{1b}]0;owned\u{7}") && sentence.len() < 1500, "{sentence}");
    // The facts are unchanged.
    let title = error.api().unwrap().title.as_deref().unwrap();
    assert!(title.starts_with("\u{1b}]0;owned\u{7}\r\n"));

    let location = format!("Location: https://evil.example/\u{9b}{}\r\n", "x".repeat(9999));
    let sentence = refused(Reply::http(302, &location, "")).to_string();
    assert!(!sentence.chars().any(char::is_control) && sentence.len() < 1000, "{sentence}");
}

#[test]
fn an_address_that_cannot_be_used_is_refused_before_anything_is_sent() {
    let proxy = Server::new([Reply::nothing().then_close()]);
    for (url, sentence) in [
        ("http://mysite.files.com", "use https"),
        ("http://localhost.test.invalid", "use https"),
        ("http://127.0.0.1.test.invalid", "use https"),
        ("https://user:hunter2@mysite.files.com", "user name or password"),
        ("https://mysite.files.com/?key=hunter2", "has a query"),
        ("https://mysite.files.com/#hunter2", "has a fragment"),
        ("https://mysite.files.com/hunter2", "has a path"),
        ("ftp://mysite.files.com", "scheme 'ftp'"),
        ("https://", "no host"),
        ("https://a b", "'a b' is not a host name"),
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

#[test]
fn debug_prints_the_sentence_and_alternate_debug_the_details() {
    let body = r#"{"type":"not-authenticated/locked-out","error":"Locked","instance":"abc"}"#;
    let error = refused(Reply::json(401, body));
    assert_eq!(format!("{error:?}"), error.to_string());
    let details = format!("{error:#?}");
    for detail in ["kind: LockedOut", "status: 401", "not-authenticated/locked-out", "\"abc\""] {
        assert!(details.contains(detail), "{detail}: {details}");
    }
}

// Further requests

#[test]
fn a_logout_is_never_retried_sooner_than_the_backoff() {
    for status in [429, 503] {
        let server = Server::new([Reply::http(status, "Retry-After: 0\r\n", "")]);
        let session = Session::resume(&server.site().retries(1), "id").unwrap();
        let start = Instant::now();
        assert_eq!(session.logout().unwrap_err().http_status(), Some(status));
        // 0.5 s, less the jitter.
        assert!(start.elapsed() >= Duration::from_millis(375), "{:?}", start.elapsed());
        assert_eq!(server.methods(), ["DELETE"; 2]);
    }
}

#[test]
fn a_logout_is_done_if_an_earlier_attempt_may_have_succeeded() {
    let gone = |error_type| Reply::json(401, format!(r#"{{"type":"{error_type}"}}"#));
    for (status, retry_after, error_type) in [
        (503, "Retry-After: 1\r\n", "not-authenticated/invalid-session"),
        (429, "Retry-After: 0\r\n", "not-authenticated/authentication-required"),
        (500, "", "not-authorized/invalid-session"),
    ] {
        let server = Server::new([Reply::http(status, retry_after, ""), gone(error_type)]);
        Session::resume(&server.site(), "id").unwrap().logout().unwrap();
        assert_eq!(server.methods(), ["DELETE"; 2], "{status} {error_type}");
    }
    // Without such an attempt, it is an error.
    let server = Server::new([gone("not-authenticated/invalid-session")]);
    let error = Session::resume(&server.site(), "id").unwrap().logout().unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::InvalidSession, 1));
}

#[test]
fn a_408_counts_as_no_response_only_on_a_kept_connection() {
    let gone = Reply::json(401, r#"{"type":"not-authenticated/invalid-session"}"#);
    for (later, result, methods) in [
        (Reply::no_content(), Ok(()), &["POST", "DELETE", "DELETE"]),
        (gone, Ok(()), &["POST", "DELETE", "DELETE"]),
        (Reply::http(408, "", ""), Err(Some(408)), &["POST", "DELETE", "DELETE"]),
    ] {
        let server = Server::with(move |request| match (&*request.line, request.connection) {
            ("DELETE /api/rest/v1/sessions", 0) => Reply::http(408, "", ""),
            ("DELETE /api/rest/v1/sessions", _) => later.clone(),
            _ => accept_all(request),
        });
        let session = Session::login(&server.site(), &login()).unwrap();
        assert_eq!(session.logout().map_err(|error| error.http_status()), result);
        assert_eq!(server.methods(), methods);
    }
}

/// Regions: sites under files.com, over https, at one server behind a proxy.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod regions {
    use super::support::tls::{Ca, VALID};
    use super::support::tunnel::Tunnel;
    use super::support::{Call, LOGIN, LOGOUT};
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
            (401, "", with_data("eu.files.com")),
            (403, "", with_data("eu.files.com")),
            (401, "", with_data("https://eu.files.com")),
            (401, us, with_data("eu.files.com")),
            (403, eu, TEXT.to_owned()),
            (403, "X-Files-Host: https://eu.files.com\r\n", TEXT.to_owned()),
            (401, eu, MISMATCH.to_owned()),
            (401, eu, MISMATCH.replace('}', r#","data":{"host":null}}"#)),
            (401, eu, MISMATCH.replace('}', r#","data":null}"#)),
            (403, eu, MISMATCH.replace("authenticated", "authorized")),
            (401, &class, String::new()),
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
        let eu = "X-Files-Host: eu.files.com\r\n";
        let json = |error_type: &str| format!(r#"{{"type":"{error_type}"}}"#);
        let custom = "files.example.com";
        let custom_header = "X-Files-Host: files.example.com\r\n";
        let http = "http://eu.files.com";
        for (status, headers, body, kind, error_type, host) in [
            // A host that the caller must decide on, or none.
            (403, custom_header, TEXT.to_owned(), RegionMismatch, "", custom),
            (403, "", TEXT.to_owned(), RegionMismatch, "", ""),
            (401, custom_header, MISMATCH.to_owned(), RegionMismatch, TYPE, custom),
            (401, "", MISMATCH.to_owned(), RegionMismatch, TYPE, ""),
            (401, eu, with_data(custom), RegionMismatch, TYPE, custom),
            (401, eu, with_data(http), RegionMismatch, TYPE, http),
            (401, "", with_data("files.com"), RegionMismatch, TYPE, "files.com"),
            // Not a mismatch: the header means nothing.
            (401, eu, json("not-authenticated/x"), NotAuthenticated, "not-authenticated/x", ""),
            (403, eu, json("not-authorized/x"), NotAuthorized, "not-authorized/x", ""),
            (
                403,
                eu,
                json("lockout-region-mismatch"),
                NotAuthorized,
                "lockout-region-mismatch",
                "",
            ),
            (403, eu, String::new(), NotAuthorized, "", ""),
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
    fn a_plain_text_mismatch_has_all_facts() {
        let headers =
            format!("X-Files-Error-Class: {TYPE}\r\nX-Request-Id: r\r\nX-Files-Host: h\r\n");
        let api = api(Reply::http(403, &headers, TEXT));
        assert_eq!((api.status, api.error_type.as_deref()), (403, Some(TYPE)));
        assert_eq!(api.message.as_deref(), Some(TEXT));
        assert_eq!((api.request_id.as_deref(), api.host.as_deref()), (Some("r"), Some("h")));
    }

    #[test]
    fn a_mismatch_that_names_the_same_host_is_returned() {
        let (server, site) =
            start(Reply::json(401, with_data("mysite.files.com")), Reply::session());
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
