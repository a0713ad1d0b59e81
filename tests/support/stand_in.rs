//! A stand-in for the Files.com session API, with a few users, on a loopback port.

#![allow(dead_code, reason = "the example uses a part of it")]

use std::{env, process, thread};

use httpmock::prelude::*;

pub const USERNAME: &str = "username";
pub const PASSWORD: &str = "password";
pub const SESSION_ID: &str = "60525f92e859c4c3d74cb02fd176b1525901b525";
pub const PARTIAL_SESSION_ID: &str = "partial-9f8e7d6c5b4a";
pub const OTP: &str = "123456";
/// What a `webauthn` device returns.
pub const DEVICE_ANSWER: &str = r#"{"id":"device"}"#;

/// Every attribute of the reference, and the three that newer servers send. Neighbours differ, so
/// that a swapped pair is noticed.
pub const SESSION: &str = r#"{
    "id": "60525f92e859c4c3d74cb02fd176b1525901b525",
    "language": "en",
    "login_token": "@tok-randomcode",
    "login_token_domain": "https://mysite.files.com",
    "max_dir_listing_size": 1,
    "multiple_regions": true,
    "read_only": false,
    "root_path": "",
    "sftp_insecure_ciphers": true,
    "site_id": 2,
    "ssl_required": false,
    "tls_disabled": true,
    "two_factor_setup_needed": false,
    "allowed_2fa_method_sms": true,
    "allowed_2fa_method_totp": false,
    "allowed_2fa_method_u2f": true,
    "allowed_2fa_method_yubi": false,
    "use_provided_modified_at": true,
    "windows_mode_ftp": false,
    "timeout_at": "2999-12-31T18:00:00-05:00",
    "home_path": "home",
    "allowed_2fa_method_webauthn": true,
    "new_attribute": {"of": ["tomorrow", 1.5, null]}
}"#;

/// Users with the right password who get another response: name, status, a header, body.
const REFUSED: &[(&str, u16, (&str, &str), &str)] = &[
    (
        "few-attributes",
        201,
        ("x-a", "b"),
        r#"{"id":"few","language":null,"root_path":"a\u0000b","read_only":false,
        "site_id":-9223372036854775808}"#,
    ),
    (
        "locked-out",
        401,
        ("x-request-id", "the-header"),
        r#"{"type":"not-authenticated/locked-out","error":"Locked out","instance":"the-instance"}"#,
    ),
    (
        "elsewhere",
        401,
        ("x-a", "b"),
        r#"{"type":"not-authenticated/lockout-region-mismatch","error":"Other region",
        "data":{"host":"eu.example.com"}}"#,
    ),
    (
        "too-often",
        429,
        ("retry-after", "3600"),
        r#"{"type":"rate-limited/too-many-login-attempts","error":"Too many"}"#,
    ),
    ("html", 404, ("content-type", "text/html"), "<html>Not found"),
    ("redirect", 301, ("location", "https://evil.example/"), ""),
    ("no-id", 201, ("x-a", "b"), r#"{"id":null}"#),
    ("broken", 500, ("x-a", "b"), "{}"),
];

/// The boolean attributes, in the order of the reference. User `bits-N` gets bit N of each
/// attribute's position, counted from 1, so that no two attributes agree for all four users.
const BOOLEANS: [&str; 13] = [
    "multiple_regions",
    "read_only",
    "sftp_insecure_ciphers",
    "ssl_required",
    "tls_disabled",
    "two_factor_setup_needed",
    "allowed_2fa_method_sms",
    "allowed_2fa_method_totp",
    "allowed_2fa_method_u2f",
    "allowed_2fa_method_yubi",
    "use_provided_modified_at",
    "windows_mode_ftp",
    "allowed_2fa_method_webauthn",
];

const API: &str = "/api/rest/v1/sessions";

/// Users who are asked for a second factor, and its method.
const TWO_FACTOR: [(&str, &str); 4] =
    [("2fa", "totp"), ("totp", "totp"), ("yubi", "yubi"), ("webauthn", "webauthn")];

/// Starts it. A login that matches no mock is refused.
pub fn start() -> MockServer {
    let server = MockServer::start();

    let two_factor = |method: &str| {
        format!(
            r#"{{"type":"not-authenticated/two-factor-authentication-error","http-code":401,
            "title":"Two Factor Authentication Error","error":"2FA Authentication error: {method}",
            "data":{{"two_factor_authentication_methods":["{method}"],
            "partial_session_id":"{PARTIAL_SESSION_ID}"}}}}"#
        )
    };
    let members = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| (name.to_string(), (*value).into()));
        serde_json::Value::Object(pairs.collect())
    };
    let id = ("partial_session_id", PARTIAL_SESSION_ID);
    for body in [
        members(&[("username", USERNAME), ("password", PASSWORD)]),
        members(&[("username", USERNAME), ("password", PASSWORD), ("otp", OTP)]),
        members(&[("username", "2fa"), ("password", PASSWORD), ("otp", OTP)]),
        members(&[("username", "totp"), ("password", PASSWORD), ("otp", OTP)]),
        members(&[("username", "yubi"), ("otp", OTP), id]),
        members(&[("username", "webauthn"), ("otp", DEVICE_ANSWER), id]),
    ] {
        server.mock(|when, then| {
            when.method(POST).path(API).header("content-type", "application/json").json_body(body);
            then.status(201).header("content-type", "application/json").body(SESSION);
        });
    }
    for (username, method) in TWO_FACTOR {
        let body = members(&[("username", username), ("password", PASSWORD)]);
        server.mock(|when, then| {
            when.method(POST).path(API).json_body(body.clone());
            respond(then, 401, &two_factor(method));
        });
        // A wrong code.
        server.mock(|when, then| {
            when.method(POST).path(API).json_body_includes(body.to_string());
            respond(
                then,
                401,
                r#"{"type":"not-authenticated/one-time-password-incorrect","http-code":401,
                "title":"One Time Password Incorrect","error":"Incorrect code"}"#,
            );
        });
    }
    for bit in 0..4 {
        server.mock(|when, then| {
            let username = format!("bits-{bit}");
            let body = members(&[("username", &username), ("password", PASSWORD)]);
            let mut session = members(&[("id", SESSION_ID)]);
            for (i, name) in BOOLEANS.iter().enumerate() {
                session[name] = ((i + 1) >> bit & 1 == 1).into();
            }
            when.method(POST).path(API).json_body(body);
            then.status(201).body(session.to_string());
        });
    }
    for (username, status, header, body) in REFUSED {
        server.mock(|when, then| {
            let body_of_request = members(&[("username", username), ("password", PASSWORD)]);
            when.method(POST).path(API).json_body(body_of_request);
            respond(then.header(header.0, header.1), *status, body);
        });
    }
    server.mock(|when, then| {
        when.method(DELETE).path(API).header("x-filesapi-auth", SESSION_ID);
        then.status(204);
    });
    // httpmock uses the first mock that matches, so these get all other requests.
    server.mock(|when, then| {
        when.method(POST).path(API);
        respond(
            then.header("x-request-id", "5d4c3b2a"),
            401,
            r#"{"type":"not-authenticated/invalid-username-or-password","http-code":"401",
            "title":"Invalid Username Or Password","error":"Invalid username or password"}"#,
        );
    });
    server.mock(|when, then| {
        when.method(DELETE).path(API);
        respond(
            then,
            401,
            r#"{"type":"not-authenticated/invalid-session","error":"Invalid session","http-code":401}"#,
        );
    });
    server.mock(|when, then| {
        when.method(GET).path("/api/rest/v1/site").header("x-filesapi-auth", SESSION_ID);
        then.status(200).body(r#"{"name":"My Site","subdomain":"mysite"}"#);
    });
    server
}

/// The variables of the example: where to log in, and who.
pub const VARIABLES: [&str; 3] = ["FILES_BASE_URL", "FILES_USERNAME", "FILES_PASSWORD"];

/// The values of the variables. If none is set, those of a stand-in that runs until the process
/// ends. With `--serve` as an argument, prints them for a shell, and never returns.
pub fn account() -> Result<[String; 3], String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let serve = arguments == ["--serve"];
    if !serve && !arguments.is_empty() {
        println!("usage: cargo run --example login [-- --serve]");
        process::exit(if arguments == ["--help"] { 0 } else { 2 });
    }
    if !serve && VARIABLES.iter().any(|name| env::var_os(name).is_some()) {
        let [url, username, password] =
            VARIABLES.map(|name| env::var(name).map_err(|error| format!("{name}: {error}")));
        return Ok([url?, username?, password?]);
    }
    let server = Box::leak(Box::new(start()));
    let account = [server.base_url(), USERNAME.to_owned(), PASSWORD.to_owned()];
    if !serve {
        println!("a stand-in for Files.com runs at {}; to use your site, set", account[0]);
        println!("{}", VARIABLES.join(", "));
        return Ok(account);
    }
    println!("# a stand-in for Files.com runs until this program ends");
    println!("# user 2fa with the same password is asked for a code, which is {OTP}");
    for (name, value) in VARIABLES.iter().zip(&account) {
        println!("export {name}={value}");
    }
    loop {
        thread::park();
    }
}

/// Responds with a body. A typed refusal has its type in a header as well.
fn respond(then: httpmock::Then, status: u16, body: &str) {
    let mut then = then.status(status).body(body);
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(body) {
        then = then.header("content-type", "application/json");
        if let Some(error_type) = json["type"].as_str() {
            then.header("x-files-error-class", error_type);
        }
    }
}
