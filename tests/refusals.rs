//! What a refusal becomes: kind, type, message, and a sentence.

mod support;

use std::error::Error as _;
use std::time::Duration;

use files_session::{ApiError, Error, ErrorKind, Session, Site, ureq};
use support::{Reply, Server, login, nobody};

fn refused(reply: Reply) -> Error {
    Session::login(&Server::new([reply]).site().retries(0), &login()).unwrap_err()
}

fn api(reply: Reply) -> ApiError {
    let error = refused(reply);
    error.api().unwrap_or_else(|| panic!("no refusal: {error:?}")).clone()
}

#[test]
fn the_kind_comes_from_the_type_then_the_group_then_the_status() {
    use ErrorKind::*;
    for (status, error_type, kind) in [
        (401, "not-authenticated/invalid-username-or-password", InvalidCredentials),
        (401, "not-authenticated/invalid-credentials", InvalidCredentials),
        (401, "not-authenticated/one-time-password-incorrect", OtpIncorrect),
        (401, "not-authenticated/invalid-or-expired-code", OtpIncorrect),
        (401, "not-authenticated/two-factor-authentication-error", TwoFactorRequired),
        (403, "not-authorized/two-factor-authentication-required", TwoFactorRequired),
        (401, "not-authenticated/two-factor-authentication-setup-expired", NotAuthenticated),
        (401, "not-authenticated/locked-out", LockedOut),
        (401, "not-authenticated/lockout-region-mismatch", RegionMismatch),
        (401, "not-authenticated/invalid-session", InvalidSession),
        (401, "not-authenticated/authentication-required", NotAuthenticated),
        (401, "not-authenticated/additional-authentication-required", NotAuthenticated),
        (401, "not-authenticated/api-key-sessions-not-supported", NotAuthenticated),
        (403, "not-authorized/password-change-required", NotAuthorized),
        (403, "not-authorized/contact-admin-for-password-change-help", NotAuthorized),
        (403, "not-authorized/cannot-login-while-using-key", NotAuthorized),
        (403, "not-authorized/must-authenticate-with-api-key", NotAuthorized),
        (403, "not-authorized/recaptcha-failed", NotAuthorized),
        (403, "not-authorized/locked-out", NotAuthorized),
        (429, "rate-limited/too-many-login-attempts", RateLimited),
        (429, "rate-limited/too-many-concurrent-logins", RateLimited),
        (422, "processing-failure/two-factor-authentication-code-already-sent", ProcessingFailure),
        (503, "service-unavailable/site-disabled", ServiceUnavailable),
        (503, "service-unavailable/migration-in-progress", ServiceUnavailable),
        (402, "site-configuration/account-overdue", SiteConfiguration),
        (402, "site-configuration/trial-expired", SiteConfiguration),
        (400, "bad-request/anything", BadRequest),
        (404, "not-found/new-name", NotFound),
        // The eight groups, with a status that says otherwise.
        (503, "bad-request/x", BadRequest),
        (418, "not-authenticated/x", NotAuthenticated),
        (418, "not-authorized/x", NotAuthorized),
        (418, "not-found/x", NotFound),
        (418, "processing-failure/x", ProcessingFailure),
        (418, "rate-limited/x", RateLimited),
        (418, "service-unavailable/x", ServiceUnavailable),
        (418, "site-configuration/x", SiteConfiguration),
        (418, "not-authenticated", NotAuthenticated),
        (401, "not-authenticated/new-name", NotAuthenticated),
        (418, "bad-request/a/b", BadRequest),
        (403, "new-group/new-name", NotAuthorized),
        (429, "invalid-session", RateLimited),
        (500, "/", ServiceUnavailable),
        (401, "", NotAuthenticated),
    ] {
        let error = refused(Reply::json(status, format!(r#"{{"type":"{error_type}"}}"#)));
        assert_eq!(error.kind(), kind, "{status} {error_type}");
        let api = error.api().unwrap();
        assert_eq!(api.error_type.as_deref().unwrap_or_default(), error_type);
        assert_eq!((api.status, error.http_status()), (status, Some(status)));
    }
    for (status, kind) in [
        (400, BadRequest),
        (401, NotAuthenticated),
        (403, NotAuthorized),
        (404, NotFound),
        (405, BadRequest),
        (422, ProcessingFailure),
        (429, RateLimited),
        (499, BadRequest),
        (500, ServiceUnavailable),
        (502, ServiceUnavailable),
        (503, ServiceUnavailable),
        (599, ServiceUnavailable),
    ] {
        assert_eq!(refused(Reply::json(status, "{}")).kind(), kind, "{status}");
    }
}

#[test]
fn a_refusal_is_read_leniently() {
    let (wrong, locked) = ("Invalid username or password", "not-authenticated/locked-out");
    for (body, error_type, title, message) in [
        (r"{}", None, None, None),
        (r#" { "error" : "Invalid username or password" } "#, None, None, Some(wrong)),
        (r#"{"title":"T","error":null}"#, None, Some("T"), None),
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
        // Cut short, or not JSON: the status and the headers say what there is to say.
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
fn a_refusal_that_is_not_utf_8_is_still_one() {
    let api =
        api(Reply::json(401, b"{\"error\":\"caf\xe9\",\"type\":\"not-authenticated/locked-out\"}"));
    assert_eq!(api.message.as_deref(), Some("caf\u{fffd}"));
    assert_eq!(api.error_type.as_deref(), Some("not-authenticated/locked-out"));
}

#[test]
fn a_refusal_that_is_cut_short_keeps_its_status_and_headers() {
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
fn a_response_is_the_apis_or_not() {
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
fn the_request_id_falls_back_on_the_header() {
    let header = "X-Request-Id: of-the-header\r\n";
    for (headers, body, id) in [
        (header, r#"{"instance":"of-the-body"}"#, Some("of-the-body")),
        ("", r#"{"instance":"of-the-body"}"#, Some("of-the-body")),
        (header, r#"{"instance":null}"#, Some("of-the-header")),
        (header, r#"{"instance":5}"#, Some("of-the-header")),
        (header, "", Some("of-the-header")),
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
        (r#"{"type":"not-authenticated/locked-out","data":{"host":"x"}}"#.to_owned(), None),
        (r#"{"type":"not-authenticated/locked-out"}"#.to_owned(), None),
    ] {
        let two_factor = api(Reply::json(401, &body)).two_factor;
        assert_eq!(two_factor.map(|two_factor| two_factor.methods.len()), methods, "{body}");
    }
}

#[test]
fn retry_after_is_read_as_seconds_and_as_a_date() {
    let date = "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n";
    for (headers, wait) in [
        ("Retry-After: 3600\r\n".to_owned(), Some(3600)),
        (format!("Retry-After: Sun, 22 Nov 2026 13:00:00 GMT\r\n{date}"), Some(3600)),
        (format!("Retry-After: Sunday, 22-Nov-26 13:00:00 GMT\r\n{date}"), Some(3600)),
        ("Retry-After: soon\r\n".to_owned(), None),
        ("Retry-After: -1\r\n".to_owned(), None),
        (String::new(), None),
    ] {
        for status in [429, 503, 401] {
            let api = api(Reply::http(status, &headers, "{}"));
            assert_eq!(api.retry_after, wait.map(Duration::from_secs), "{status} {headers}");
        }
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table stays one")]
fn the_sentences_say_what_happened_and_what_to_do() {
    let json = |status, error_type: &str, more: &str| {
        Reply::json(
            status,
            format!(r#"{{"type":"{error_type}","error":"The server's words."{more}}}"#),
        )
    };
    for (reply, says) in [
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
             the code is wrong or too old, log in again with a fresh one",
        ),
        (
            json(401, "not-authenticated/locked-out", ""),
            "The server's words (not-authenticated/locked-out, HTTP 401): \
             the user is locked out, wait or ask the site's administrator",
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
             the session has ended or never was, log in again",
        ),
        (
            json(402, "site-configuration/account-overdue", ""),
            "The server's words (site-configuration/account-overdue, HTTP 402): \
             ask the site's administrator",
        ),
        (
            json(401, "not-authenticated/new-name", ""),
            "The server's words (not-authenticated/new-name, HTTP 401)",
        ),
        (json(404, "not-found/new-name", ""), "The server's words (not-found/new-name, HTTP 404)"),
        (
            Reply::json(401, "{}"),
            "the site refused without saying why (HTTP 401): check the user name and the password, or log in again",
        ),
        (
            Reply::json(404, "{}"),
            "the site refused without saying why (HTTP 404): is this a Files.com site?",
        ),
        (Reply::json(400, r#"{"error":" ... ","title":"Odd"}"#), "Odd (HTTP 400)"),
        (
            Reply::json(400, r#"{"error":" ... ","title":"\u3164"}"#),
            "the site refused without saying why (HTTP 400)",
        ),
        (
            Reply::http(429, "Retry-After: 90\r\n", r#"{"title":"Slow down"}"#),
            "Slow down (HTTP 429): try again in 90 s",
        ),
        (
            Reply::http(503, "", ""),
            "the site refused without saying why (HTTP 503): try again later",
        ),
        (
            Reply::http(405, "", ""),
            "the response (HTTP 405) is not of the Files.com API: is this a Files.com site?",
        ),
        (
            Reply::http(404, "", "<html>"),
            "the response (HTTP 404) is not of the Files.com API: is this a Files.com site?",
        ),
        (
            Reply::http(201, "", "<html>"),
            "the response (HTTP 201) is not of the Files.com API: is this a Files.com site?",
        ),
        (
            Reply::http(301, "Location: https://other.example/a?token=secret#b\r\n", ""),
            "the site points to https://other.example/a (HTTP 301), and no redirect is followed: \
             give the address that it points to, if that is the right site",
        ),
        (
            Reply::http(302, "", ""),
            "the response (HTTP 302) is a redirect to nowhere: is this a Files.com site?",
        ),
    ] {
        assert_eq!(refused(reply).to_string(), says);
    }
}

#[test]
fn what_a_server_said_does_not_reach_the_terminal_raw() {
    let evil = r"\u001b]0;owned\u0007\r\nfake: line\u009b31m\u202e\u00ad\u3164\udb40\udc41";
    let body = format!(
        r#"{{"type":"{evil}","title":"{evil}","error":"{evil}{}","instance":"{evil}"}}"#,
        "x".repeat(9999)
    );
    let error = refused(Reply::json(401, body));
    let said = error.to_string();
    assert!(
        !said.chars().any(|c| c.is_control() || "\u{202e}\u{ad}\u{3164}\u{e0041}".contains(c)),
        "{said}"
    );
    assert!(said.contains(r"\u{1b}]0;owned\u{7}") && said.chars().count() < 1500, "{said}");
    // A program gets it as it was sent.
    let title = error.api().unwrap().title.as_deref().unwrap();
    assert!(title.starts_with("\u{1b}]0;owned\u{7}\r\n"));

    let location = format!("Location: https://evil.example/\u{9b}{}\r\n", "x".repeat(9999));
    let said = refused(Reply::http(302, &location, "")).to_string();
    assert!(!said.chars().any(char::is_control) && said.chars().count() < 1000, "{said}");
}

#[test]
fn an_address_that_cannot_be_used_is_refused_before_anything_is_sent() {
    for (url, says) in [
        ("http://mysite.files.com", "use https"),
        ("http://localhost.test.invalid", "use https"),
        ("http://127.0.0.1.test.invalid", "use https"),
        ("https://user:hunter2@mysite.files.com", "user name or a password"),
        ("https://mysite.files.com/?key=hunter2", "has a query"),
        ("https://mysite.files.com/#hunter2", "has a fragment"),
        ("https://mysite.files.com/hunter2", "has a path"),
        ("ftp://mysite.files.com", "scheme ftp"),
        ("https://", "no host"),
        ("https://a b", "'a b' is not a host name"),
    ] {
        let site = Site::new(url);
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        assert!(error.to_string().contains(says), "{url}: {error}");
        let all = format!("{error} {error:?} {site:?}");
        assert!(!all.contains("hunter2"), "{all}");
        let error = Session::resume(&site, "id").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
    }
}

#[cfg(not(feature = "_tls"))]
#[test]
fn https_without_tls_is_refused_before_anything_is_sent() {
    let error = Session::login(&Site::default(), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("turn on its feature rustls"), "{error}");
}

#[test]
fn a_transport_error_has_the_ureq_error_as_its_source() {
    let nobody = nobody();
    let site = Site::new(nobody.url()).retries(0);
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let source = error.source().unwrap();
    assert!(matches!(source.downcast_ref::<ureq::Error>(), Some(ureq::Error::Io(_))), "{source:?}");
    assert!(!error.to_string().contains(&source.to_string()), "{error}");
    assert!(error.to_string().starts_with("no connection to 127.0.0.1:"), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}
