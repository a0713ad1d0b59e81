//! No secret in anything that is formatted or logged, on any path.

mod support;

use std::error::Error as _;
use std::fmt::{Debug, Display};
use std::sync::Mutex;
use std::time::Duration;

use files_session::{Canceller, Error, Login, Session, Site};
use log::{LevelFilter, Log, Metadata, Record};
use support::{Reply, Server, closed_port};

const PASSWORD: &str = "secret-password";
const CODE: &str = "secret-code";
const PARTIAL: &str = "secret-partial-session-id";
const ID: &str = "secret-session-id";
const TOKEN: &str = "secret-login-token";

/// Everything that was formatted.
static FORMATTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Everything that was logged: target and text.
static LOGGED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let text = format!("{} {}", record.level(), record.args());
        LOGGED.lock().unwrap().push((record.target().to_owned(), text));
    }

    fn flush(&self) {}
}

fn collect_debug(thing: &impl Debug) {
    FORMATTED.lock().unwrap().extend([format!("{thing:?}"), format!("{thing:#?}")]);
}

fn collect(thing: &(impl Debug + Display)) {
    collect_debug(thing);
    FORMATTED.lock().unwrap().push(format!("{thing}"));
}

fn collect_error(error: &Error) {
    collect(error);
    collect_debug(&error.kind());
    if let Some(two_factor) = error.two_factor() {
        collect_debug(two_factor);
    }
    if let Some(api) = error.api() {
        collect_debug(api);
    }
    if let Some(location) = error.location() {
        FORMATTED.lock().unwrap().push(location.to_owned());
    }
    if let Some(source) = error.source() {
        assert!(!error.to_string().contains(&source.to_string()), "{error} repeats its source");
    }
    let mut source = error.source();
    while let Some(error) = source {
        FORMATTED.lock().unwrap().push(format!("{error} {error:?} {error:#?}"));
        source = error.source();
    }
}

fn login() -> Login<'static> {
    Login::new("username", PASSWORD).otp(CODE).partial_session_id(PARTIAL)
}

/// Makes both calls, and collects what comes of them.
fn call(site: &Site) {
    collect_debug(site);
    collect_debug(&login());
    match Session::login(site, &login()) {
        Ok(session) => collect_debug(&session),
        Err(error) => {
            collect_error(&error);
            if let Some(two_factor) = error.two_factor() {
                let answer = login().answer(two_factor, CODE);
                collect_debug(&answer);
                collect_error(&Session::login(site, &answer).unwrap_err());
            }
        }
    }
    match Session::resume(site, ID) {
        Ok(session) => {
            collect_debug(&session);
            if let Err(error) = session.logout() {
                collect_error(&error);
            }
        }
        Err(error) => collect_error(&error),
    }
}

/// Goes down every path.
fn go_everywhere() {
    let session =
        format!(r#"{{"id":"{ID}","login_token":"{TOKEN}","partial_session_id":"{PARTIAL}"}}"#);
    let two_factor = format!(
        r#"{{"type":"not-authenticated/two-factor-authentication-error","error":"2FA",
        "data":{{"two_factor_authentication_methods":["yubi"],"partial_session_id":"{PARTIAL}"}}}}"#
    );
    let redirect = format!("Location: https://{ID}@evil.example/?session={ID}#{TOKEN}\r\n");
    for reply in [
        Reply::json(201, &session),
        Reply::json(201, session.replace('"', "'")),
        Reply::json(201, &session[..session.len() - 3]),
        Reply::json(201, session.replace("\"id\"", "\"site_id\"")),
        Reply::json(201, session.replace("-session-id", " session id")),
        Reply::json(401, &two_factor),
        Reply::json(401, &two_factor[..two_factor.len() - 3]),
        Reply::json(401, &session),
        Reply::http(307, &redirect, ""),
        Reply::http(307, &format!("Location: user:{ID}@evil.example/\r\n"), ""),
        Reply::http(405, "", ""),
        Reply::http(403, "X-Files-Host: eu.files.com\r\n", "You have connected to a URL"),
        Reply::http(500, "", "{}"),
        Reply::http(503, "Retry-After: 9999\r\n", ""),
        Reply::raw(&session).then_close(),
        Reply::raw(format!("HTTP/1.1 201 {ID}\r\n{TOKEN}\r\n\r\n")).then_close(),
        Reply::raw(format!("HTTP/1.1 201 X\r\nContent-Length: {ID}\r\n\r\n")).then_close(),
        Reply::nothing().then_close(),
        Reply::nothing().then_reset(),
        Reply::nothing().then_silence(),
    ] {
        let site = Server::new([reply]).site().timeout(Duration::from_millis(400));
        call(&site.retries(1));
    }
    let closed = closed_port();
    call(&Site::new(&closed.url()).retries(0));
    let canceller = Canceller::new();
    canceller.cancel();
    call(&Site::new(&closed.url()).canceller(&canceller));
    let key = format!("-----BEGIN PRIVATE KEY-----\n{PASSWORD}\n-----END PRIVATE KEY-----\n");
    call(&Site::new(&closed.url()).ca_pem(&key));
    let plain = Server::new([Reply::json(201, &session)]);
    call(&Site::new(&plain.url().replace("http", "https")).retries(0));
    // A label has at most 63 characters, so no name server is asked.
    let unknown = format!("{}.invalid", "a".repeat(64));
    call(&Site::new(&format!("http://{unknown}")).allow_http().retries(0));
    call(&Site::new("http://mysite.test.invalid"));
    call(&Site::new(&format!("https://user:{PASSWORD}@mysite.test.invalid")));
    call(&Site::new(&format!("https://mysite.test.invalid/?password={PASSWORD}")));
    for id in [format!("{ID}\n"), format!("{ID} "), ID.repeat(999)] {
        collect_error(&Session::resume(&Site::default(), &id).unwrap_err());
    }
    let refuses = Server::new([Reply::http(407, "", "").then_close()]);
    for proxy in [closed.addr.to_string(), refuses.addr.to_string(), format!("{unknown}:3128")] {
        let site = Site::new("http://mysite.test.invalid").allow_http().retries(0);
        call(&site.clone().proxy(&format!("http://user:{PASSWORD}@{proxy}")));
        call(&site.proxy(&format!("socks5://user:{PASSWORD}@{proxy}")));
    }
}

#[test]
fn no_secret_is_formatted_or_logged() {
    // In plain text, or in base64 with the proxy's user name.
    let secrets = ["secret-", "secret session id", "dXNlcjpzZWNyZXQ"];
    let is_secret = |text: &str| secrets.iter().any(|secret| text.contains(secret));
    log::set_logger(&Logger).unwrap();

    log::set_max_level(LevelFilter::Debug);
    go_everywhere();
    let logged = std::mem::take(&mut *LOGGED.lock().unwrap());
    assert!(logged.len() > 100, "{}", logged.len());
    for (target, text) in logged {
        assert!(!is_secret(&text), "{target}: {text}");
    }

    // At trace level ureq logs the header that it sends, the response, and the target of a
    // redirect. No library can keep that from an application's logger; the README says what to set.
    log::set_max_level(LevelFilter::Trace);
    go_everywhere();
    let logged = std::mem::take(&mut *LOGGED.lock().unwrap());
    let is_ureq = |target: &str| target.starts_with("ureq::") || target.starts_with("ureq_proto::");
    assert!(logged.iter().any(|(target, text)| is_ureq(target) && is_secret(text)));
    for (target, text) in logged {
        assert!(is_ureq(&target) || !is_secret(&text), "{target}: {text}");
        // The body of a login is not logged even there.
        assert!(!text.contains("secret-pass"), "{target}: {text}");
    }

    let formatted = FORMATTED.lock().unwrap();
    assert!(formatted.len() > 300, "{}", formatted.len());
    for text in formatted.iter() {
        assert!(!is_secret(text), "{text}");
    }
}

#[test]
fn debug_shows_everything_but_secrets_and_whether_they_are_set() {
    let all = Login::new("the user", PASSWORD).otp(CODE).partial_session_id(PARTIAL);
    assert_eq!(
        format!("{all:?}"),
        "Login { username: \"the user\", password: Some(…), otp: Some(…), \
         partial_session_id: Some(…), asked_by: None }"
    );
    let without = format!("{:?}", Login::new("the user", PASSWORD));
    assert!(without.contains("otp: None, partial_session_id: None"), "{without}");

    let body = r#"{"type":"not-authenticated/two-factor-authentication-error","error":"the words",
        "data":{"two_factor_authentication_methods":["yubi"],"partial_session_id":"secret-id"}}"#;
    let server = Server::new([Reply::json(401, body)]);
    let error = Session::login(&server.site(), &all).unwrap_err();
    let shown = format!("{error:#?}");
    for part in [
        "status: 401",
        "the words",
        "not-authenticated/two-factor-authentication-error",
        "\"yubi\"",
        "partial_session_id: Some(\n",
        "data: Some(\n",
        "…",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    let body = r#"{"id":"secret-id","login_token":"secret","root_path":"the/root"}"#;
    let server = Server::new([Reply::json(201, body)]);
    let session = Session::login(&server.site().language("de"), &all).unwrap();
    let shown = format!("{session:?}");
    for part in ["id: …", "login_token: …", "the/root", &server.url(), "\"de\""] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("secret"), "{shown}");
}
