//! A stand-in for the Files.com session API: one user, on a loopback port, with httpmock.

use httpmock::prelude::*;

pub const USERNAME: &str = "username";
pub const PASSWORD: &str = "password";
pub const SESSION_ID: &str = "60525f92e859c4c3d74cb02fd176b1525901b525";
pub const PARTIAL_SESSION_ID: &str = "partial-9f8e7d6c5b4a";
pub const OTP: &str = "123456";

/// Every attribute of the reference, and `timeout_at`. Neighbours differ, so that a pair that is
/// swapped shows.
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
    "timeout_at": "2026-11-22T18:00:00-05:00",
    "new_attribute": {"of": ["tomorrow", 1.5, null]}
}"#;

/// Users with the right password whose login comes to something else: name, status, a header, body.
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

/// The attributes that are yes or no, in the order of the reference. The users `bits-0` to `bits-3`
/// get the bits of each one's number, from 1 on, so no two of them agree for all four users.
const YES_OR_NO: [&str; 12] = [
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
];

const API: &str = "/api/rest/v1/sessions";

/// Starts it: the user's login works, with or without the right code, any other is refused; a
/// user named `totp` or `yubi` is asked for a second factor of that method.
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
        members(&[("username", "totp"), ("password", PASSWORD), ("otp", OTP)]),
        members(&[("username", "yubi"), ("otp", OTP), id]),
    ] {
        server.mock(|when, then| {
            when.method(POST).path(API).header("content-type", "application/json").json_body(body);
            then.status(201).header("content-type", "application/json").body(SESSION);
        });
    }
    for method in ["totp", "yubi"] {
        server.mock(|when, then| {
            let body = members(&[("username", method), ("password", PASSWORD)]);
            when.method(POST).path(API).json_body(body);
            then.status(401).body(two_factor(method));
        });
    }
    for bit in 0..4 {
        server.mock(|when, then| {
            let username = format!("bits-{bit}");
            let body = members(&[("username", &username), ("password", PASSWORD)]);
            let mut session = members(&[("id", SESSION_ID)]);
            for (i, name) in YES_OR_NO.iter().enumerate() {
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
            then.status(*status).header(header.0, header.1).body(*body);
        });
    }
    server.mock(|when, then| {
        when.method(DELETE).path(API).header("x-filesapi-auth", SESSION_ID);
        then.status(204);
    });
    // httpmock takes the first mock that matches, so these are for all the rest.
    server.mock(|when, then| {
        when.method(POST).path(API);
        then.status(401).header("x-request-id", "5d4c3b2a").body(
            r#"{"type":"not-authenticated/invalid-username-or-password","http-code":"401",
            "title":"Invalid Username Or Password","error":"Invalid username or password"}"#,
        );
    });
    server.mock(|when, then| {
        when.method(DELETE).path(API);
        then.status(401).body(
            r#"{"type":"not-authenticated/invalid-session","error":"Invalid session","http-code":401}"#,
        );
    });
    server.mock(|when, then| {
        when.method(GET).path("/api/rest/v1/site").header("x-filesapi-auth", SESSION_ID);
        then.status(200).body(r#"{"name":"My Site","subdomain":"mysite"}"#);
    });
    server
}
