//! No secret in anything that is formatted or logged, on any path.

mod support;

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use files_session::{Canceller, Error, Login, Session, Site};
use log::{LevelFilter, Log, Metadata, Record};
use support::{Reply, Server, closed_port};

/// A session with status 201, a challenge with 401.
const BODY: &str = r#"{"id":"secret-id","login_token":"secret-token","root_path":"the/root",
    "data":{"two_factor_authentication_methods":["yubi"],"partial_session_id":"secret-partial"}}"#;

fn login() -> Login<'static> {
    Login::new("username", "secret-password").otp("secret-code").partial_session_id("secret-id")
}

/// Whether a text contains a secret, or the base64 text of one with the proxy's user name.
fn is_secret(text: &str) -> bool {
    ["secret-", "secret id", "dXNlcjpzZWNyZXQ"].iter().any(|secret| text.contains(secret))
}

/// Everything that was logged: target, level and text.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let line = format!("{}: {} {}", record.target(), record.level(), record.args());
        LOGGED.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

fn check<T: Debug>(result: Result<T, Error>) -> Result<T, Error> {
    let facts = result.as_ref().err().map(|e| (e.to_string(), e.api(), e.location()));
    let shown = format!("{result:?} {result:#?} {facts:?}");
    assert!(!is_secret(&shown), "{shown}");
    result
}

/// Makes all calls, and checks everything that they take and return.
fn call(site: &Site) {
    let _ = check(Ok((site, login())));
    let result = check(Session::login(site, &login()));
    if let Some(two_factor) = result.as_ref().err().and_then(Error::two_factor) {
        let answer = login().answer(two_factor, "secret-code");
        let _ = check(Session::login(site, check(Ok(&answer)).unwrap()));
    }
    for id in ["secret-id", "secret-id\n", &"secret-id".repeat(999)] {
        let _ = check(Session::resume(site, id)).map(|session| check(session.logout()));
    }
}

fn go_everywhere() {
    for reply in [
        Reply::json(201, BODY),
        Reply::json(201, &BODY[..BODY.len() - 3]),
        Reply::json(201, BODY.replace("\"id\"", "\"site_id\"")),
        Reply::json(201, BODY.replace("secret-id", "secret id")),
        Reply::json(401, BODY),
        Reply::json(401, &BODY[..BODY.len() - 3]),
        Reply::json(401, BODY.replace("two_factor", "other")),
        Reply::http(307, "Location: https://secret-id@a.example/?secret-id#secret-token\r\n", ""),
        Reply::http(307, "Location: user:secret-id@evil.example/\r\n", ""),
        Reply::http(403, "X-Files-Host: eu.files.com\r\n", "You have connected to a URL"),
        Reply::http(503, "Retry-After: 9999\r\n", ""),
        Reply::raw(BODY).then_close(),
        Reply::raw("HTTP/1.1 201 secret-id\r\nsecret-token\r\n\r\n").then_close(),
        Reply::raw("HTTP/1.1 201 X\r\nContent-Length: secret-id\r\n\r\n").then_close(),
        Reply::nothing().then_reset(),
        Reply::nothing().then_silence(),
    ] {
        call(&Server::new([reply]).site().timeout(Duration::from_millis(400)).retries(1));
    }
    let site = |url: &str| Site::new(url).allow_http().retries(0);
    let (closed, plain) = (closed_port(), Server::new([Reply::http(407, "", "").then_close()]));
    let through = |proxy: &str| site("http://mysite.test.invalid").proxy(proxy);
    let canceller = Canceller::new();
    canceller.cancel();
    // A label has at most 63 characters, so no name server is asked.
    let unknown = format!("{}.invalid", "a".repeat(64));
    for site in [
        site(&closed.url()),
        site(&closed.url()).canceller(&canceller),
        site("localhost").ca_pem("-----BEGIN PRIVATE KEY-----\nsecret-\n-----END PRIVATE KEY-----"),
        site(&plain.url().replace("http", "https")),
        site(&format!("http://{unknown}")),
        site("https://user:secret-password@mysite.test.invalid"),
        site("https://mysite.test.invalid/?password=secret-password"),
        through(&format!("http://user:secret-password@{}", closed.addr)),
        through(&format!("http://user:secret-password@{}", plain.addr)),
        through(&format!("http://user:secret-password@{unknown}:3128")),
        through("socks5://user:secret-password@127.0.0.1"),
    ] {
        call(&site);
    }
}

#[test]
fn no_secret_is_formatted_or_logged() {
    log::set_logger(&Logger).unwrap();
    // At trace level ureq logs the header that it sends, the response, and the target of a
    // redirect. No library can keep that from an application's logger; the README says what to set.
    for level in [LevelFilter::Debug, LevelFilter::Trace] {
        log::set_max_level(level);
        go_everywhere();
        let logged = std::mem::take(&mut *LOGGED.lock().unwrap());
        let is_traced = level == LevelFilter::Trace;
        assert!(logged.len() > 100, "{}", logged.len());
        for line in &logged {
            assert!(!is_secret(line) || is_traced && line.starts_with("ureq"), "{line}");
            // The body of a login is not logged even there.
            assert!(!line.contains("secret-pass"), "{line}");
        }
        assert_eq!(logged.iter().any(|line| is_secret(line)), is_traced);
    }
}

#[test]
fn debug_shows_everything_but_secrets_and_whether_they_are_set() {
    let server = Server::new([Reply::json(201, BODY), Reply::json(401, BODY)]);
    let log_in = || Session::login(&server.site(), &login());
    for (shown, parts) in [
        (format!("{:?}", login()), ["\"username\"", "password: Some(…)", "otp: Some(…)"]),
        (format!("{:?}", log_in()), ["id: …", "login_token: …", "the/root"]),
        (format!("{:#?}", log_in()), ["status: 401", "\"yubi\"", "partial_session_id: Some(\n"]),
    ] {
        assert!(parts.iter().all(|part| shown.contains(part)) && !is_secret(&shown), "{shown}");
    }
}
