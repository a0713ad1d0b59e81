//! Logging in and out, against the stand-in and against raw answers.

mod support;

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use files_session::{ApiError, Error, ErrorKind, Login, Session, Site, TwoFactor, ureq};
use support::{Reply, Server, lets_in, login, stand_in, start_stand_in};

/// What `Debug` of a site has of them.
const SITE_NONES: usize = 2;

fn log_in(answer: impl AsRef<[u8]>) -> Result<Session, Error> {
    Session::login(&Server::new([Reply::json(201, answer)]).site(), &login())
}

#[test]
fn login_and_logout_work_against_the_stand_in() {
    let server = start_stand_in();
    let site = Site::new(server.base_url());
    let session = Session::login(&site, &login()).unwrap();
    assert_eq!(session.id, stand_in::SESSION_ID);
    session.logout().unwrap();
}

#[test]
fn a_login_is_the_one_request_of_the_protocol() {
    let server = Server::new([Reply::session()]);
    Session::login(&server.site(), &Login::new("u", "p")).unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, "POST /api/rest/v1/sessions");
    assert_eq!(requests[0].body, r#"{"username":"u","password":"p"}"#);
    let mut headers = requests[0].headers.clone();
    headers.sort();
    let host = server.addr.to_string();
    let agent = concat!("files-session/", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("accept", "application/json"),
        ("content-length", "31"),
        ("content-type", "application/json"),
        ("host", &host),
        ("user-agent", agent),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_logout_is_the_one_request_of_the_protocol() {
    let server = Server::new([Reply::no_content()]);
    Session::resume(&server.site(), "some-id").unwrap().logout().unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, "DELETE /api/rest/v1/sessions");
    assert_eq!(requests[0].body, "");
    let mut headers = requests[0].headers.clone();
    headers.sort();
    let host = server.addr.to_string();
    let agent = concat!("files-session/", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("accept", "application/json"),
        ("connection", "close"),
        ("host", &host),
        ("user-agent", agent),
        ("x-filesapi-auth", "some-id"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn any_character_arrives_unchanged() {
    let every = (0..0x300_u32).chain([0x2028, 0xFEFF, 0xFFFF, 0x1F600, 0x10_FFFF]);
    let every: String = every.filter_map(char::from_u32).collect();
    let long = "\"\\🔑".repeat(20_000);
    let server = Server::new([Reply::session()]);
    for secret in ["", "\"", "\\", "\\u0000", "a\0b", "\r\n", "p@ss wörd 🔑", &every, &long] {
        let login = Login::new(secret, secret).otp(secret).partial_session_id(secret);
        Session::login(&server.site(), &login).unwrap();
        let body = server.requests().pop().unwrap().body;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        for name in ["username", "password", "otp", "partial_session_id"] {
            assert_eq!(body[name], secret, "{name}");
        }
    }
}

#[test]
fn a_language_is_sent_where_one_is_set() {
    let server = Server::new([Reply::session(), Reply::no_content()]);
    let site = server.site().language("de");
    Session::login(&site, &login()).unwrap().logout().unwrap();
    for request in server.requests() {
        assert_eq!(request.header("accept-language"), Some("de"));
    }
}

#[test]
fn login_and_logout_share_one_connection() {
    let server = Server::new([Reply::session(), Reply::no_content()]);
    Session::login(&server.site(), &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
    assert!(server.requests().iter().all(|request| request.connection == 0));
}

#[test]
fn clones_of_a_site_share_one_pool() {
    let server = Server::new([Reply::session()]);
    let site = server.site();
    for site in [site.clone(), site.clone().retries(1), site.timeout(Duration::from_secs(9))] {
        Session::login(&site, &login()).unwrap();
    }
    assert!(server.requests().iter().all(|request| request.connection == 0));
}

#[test]
fn each_open_session_keeps_a_connection_for_its_logout() {
    // All logins are answered together, so that none can go over another's connection.
    let all = Arc::new(Barrier::new(20));
    let server = Server::with(move |request| {
        if request.line.starts_with("POST") {
            all.wait();
        }
        lets_in(request)
    });
    let site = server.site();
    let logins: Vec<_> = (0..20)
        .map(|_| {
            let site = site.clone();
            thread::spawn(move || Session::login(&site, &login()).unwrap())
        })
        .collect();
    let sessions: Vec<_> = logins.into_iter().map(|login| login.join().unwrap()).collect();
    for session in sessions {
        session.logout().unwrap();
    }
    assert_eq!(server.requests().len(), 40);
    assert!(server.requests().iter().all(|request| request.connection < 20));
}

#[test]
fn every_attribute_of_the_reference_is_a_field() {
    let session = log_in(stand_in::SESSION).unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(session.id, "60525f92e859c4c3d74cb02fd176b1525901b525");
    assert_eq!(session.language, text("en"));
    assert_eq!(session.login_token, text("@tok-randomcode"));
    assert_eq!(session.login_token_domain, text("https://mysite.files.com"));
    assert_eq!(session.max_dir_listing_size, Some(1));
    assert_eq!(session.multiple_regions, Some(true));
    assert_eq!(session.read_only, Some(false));
    assert_eq!(session.root_path, text(""));
    assert_eq!(session.sftp_insecure_ciphers, Some(true));
    assert_eq!(session.site_id, Some(2));
    assert_eq!(session.ssl_required, Some(false));
    assert_eq!(session.tls_disabled, Some(true));
    assert_eq!(session.two_factor_setup_needed, Some(false));
    assert_eq!(session.allowed_2fa_method_sms, Some(true));
    assert_eq!(session.allowed_2fa_method_totp, Some(false));
    assert_eq!(session.allowed_2fa_method_u2f, Some(true));
    assert_eq!(session.allowed_2fa_method_yubi, Some(false));
    assert_eq!(session.use_provided_modified_at, Some(true));
    assert_eq!(session.windows_mode_ftp, Some(false));
    assert_eq!(session.timeout_at, text("2026-11-22T18:00:00-05:00"));
}

#[test]
fn an_attribute_may_be_absent_or_null() {
    let reference: serde_json::Value = serde_json::from_str(stand_in::SESSION).unwrap();
    for answer in [
        r#"{"id":"x"}"#.to_owned(),
        // Every attribute but the id as null.
        {
            let mut nulls = reference.clone();
            nulls.as_object_mut().unwrap().values_mut().for_each(|v| *v = serde_json::Value::Null);
            nulls["id"] = "x".into();
            nulls.to_string()
        },
    ] {
        let session = log_in(answer).unwrap();
        assert_eq!(session.id, "x");
        let none = Session::resume(&Site::new("http://localhost"), "x").unwrap();
        let shown = |session: &Session| {
            format!("{session:?}").split(", site: Site").next().unwrap().to_owned()
        };
        assert_eq!(shown(&session), shown(&none));
        assert!(shown(&session).matches("None").count() == 19, "{session:?}");
    }
}

#[test]
fn attributes_hold_what_json_can() {
    let session = log_in(
        r#"{"id":"x","site_id":9223372036854775807,"max_dir_listing_size":-9223372036854775808,
        "root_path":"a\u0000b\"\\\/\n\u00e9\ud83d\ude00é😀","read_only":false}"#,
    )
    .unwrap();
    assert_eq!(session.site_id, Some(i64::MAX));
    assert_eq!(session.max_dir_listing_size, Some(i64::MIN));
    assert_eq!(session.root_path.as_deref(), Some("a\0b\"\\/\né😀é😀"));
    assert_eq!(session.read_only, Some(false));
}

#[test]
fn unknown_members_are_ignored() {
    let session = log_in(
        r#"{"new":{"id":"wrong","a":[1,{"b":null}]},"id":"right","":0,"other":1e300,"id2":[[]]}"#,
    );
    assert_eq!(session.unwrap().id, "right");
}

#[test]
fn an_attribute_of_another_type_is_none_and_the_session_is_kept() {
    for attribute in [
        r#""site_id":"1""#,
        r#""site_id":1.5"#,
        r#""site_id":9223372036854775808"#,
        r#""site_id":[1]"#,
        r#""read_only":"yes""#,
        r#""read_only":1"#,
        r#""language":{"a":[]}"#,
        r#""language":7"#,
        r#""timeout_at":1764000000"#,
        r#""login_token":false"#,
    ] {
        let body = format!(r#"{{{attribute},"root_path":"r","id":"x"}}"#);
        let session = log_in(&body).unwrap();
        assert_eq!((session.id.as_str(), session.root_path.as_deref()), ("x", Some("r")), "{body}");
        assert_eq!(format!("{session:?}").matches("None").count(), 18 + SITE_NONES, "{session:?}");
    }
}

#[test]
fn a_response_without_a_valid_id_is_no_session() {
    for (body, says) in [
        ("{}", "no session id"),
        (r#"{"id":null}"#, "no session id"),
        (r#"{"id":""}"#, "no session id"),
        (r#"{"ID":"x"}"#, "no session id"),
        (r#"{"session":{"id":"x"}}"#, "no session id"),
        (r#"{"id":1}"#, "no session id"),
        (r#"{"id":["x"]}"#, "no session id"),
        (r#"{"id":{"id":"x"}}"#, "no session id"),
        (r#"{"id":true}"#, "no session id"),
        (r#"{"id":" "}"#, "not a valid header value"),
        (r#"{"id":"a b"}"#, "not a valid header value"),
        (r#"{"id":"a\r\nX-Evil: 1"}"#, "not a valid header value"),
        (r#"{"id":"a\u0000"}"#, "not a valid header value"),
        (r#"{"id":"a\u007f"}"#, "not a valid header value"),
        (r#"{"id":"é"}"#, "not a valid header value"),
    ] {
        let error = log_in(body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{body}");
        assert_eq!(error.http_status(), Some(201), "{body}");
        assert!(error.to_string().contains(says), "{body}: {error}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(log_in("\u{feff}{\"id\":\"x\"}").unwrap().id, "x");
    let server = Server::new([Reply::json(401, "\u{feff} {\"error\":\"m\"}")]);
    let error = Session::login(&server.site(), &login()).unwrap_err();
    assert_eq!(error.api().unwrap().message.as_deref(), Some("m"));
}

#[test]
fn a_status_of_200_is_accepted_for_a_login() {
    let server = Server::new([Reply::json(200, stand_in::SESSION)]);
    Session::login(&server.site(), &login()).unwrap();
}

#[test]
fn any_2xx_logs_out_whatever_its_body() {
    for reply in [
        Reply::no_content(),
        Reply::http(200, "", ""),
        Reply::json(200, "{}"),
        Reply::json(202, "not json"),
        Reply::raw("HTTP/1.1 299 Odd\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        Reply::raw("HTTP/1.0 200 OK\r\n\r\nto the end").then_close(),
        // A body that never comes does not hold up what the status has said already.
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").then_silence(),
    ] {
        let server = Server::new([reply]);
        Session::resume(&server.site(), "id").unwrap().logout().unwrap();
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn stray_bytes_behind_a_204_do_not_reach_the_next_response() {
    let head = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n";
    for pieces in [vec![[head, "{}"].concat()], vec![head.into(), "{}".into()]] {
        // The server keeps its side open, whatever the client said.
        let server = Server::with(move |request| {
            let stray = Reply::pieces(&pieces).slowly(Duration::from_millis(50));
            if request.line.starts_with("DELETE") { stray } else { Reply::session() }
        });
        let site = server.site();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        Session::login(&site, &login()).unwrap().logout().unwrap();
                    }
                });
            }
        });
        let methods = server.methods();
        for method in ["POST", "DELETE"] {
            assert_eq!(methods.iter().filter(|m| *m == method).count(), 24, "{method}");
        }
    }
}

#[test]
fn nothing_follows_a_logout_on_its_connection() {
    let server = Server::with(lets_in);
    let site = server.site();
    for _ in 0..3 {
        Session::login(&site, &login()).unwrap().logout().unwrap();
    }
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn a_login_survives_an_idle_connection_that_the_server_closed() {
    let server = Server::new([Reply::session().then_close(), Reply::session()]);
    let site = server.site();
    Session::login(&site, &login()).unwrap();
    server.closed(0);
    Session::login(&site, &login()).unwrap();
    assert_eq!(server.requests()[1].connection, 1);
}

#[test]
fn answers_come_in_every_form_that_http_allows() {
    let session = stand_in::SESSION;
    let length = session.len();
    let chunked = session
        .as_bytes()
        .chunks(7)
        .map(|chunk| [format!("{:x};ext\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .chain([b"0\r\nTrailer: x\r\n\r\n".to_vec()])
        .collect::<Vec<_>>();
    let chunked_head = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{session}");
    for reply in [
        Reply::raw(format!("HTTP/1.0 201 Created\r\n\r\n{session}")).then_close(),
        Reply::raw(format!("HTTP/1.1 201\r\nConnection: close\r\n\r\n{session}")).then_close(),
        Reply::raw(whole.replace("Content-Length", "cONTENT-lENGTH")),
        Reply::pieces(whole.as_bytes().chunks(1)),
        Reply::raw([chunked_head.as_bytes(), &chunked.concat()].concat()),
        Reply::pieces([vec![chunked_head.as_bytes().to_vec()], chunked].concat()),
        Reply::raw(format!("HTTP/1.1 100 Continue\r\n\r\n{whole}")),
        Reply::pieces(["HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", whole.as_str()])
            .slowly(Duration::from_millis(10)),
        Reply::raw(format!(
            "HTTP/1.1 201 Created\r\nX-Long: {}\r\n\r\n{session}",
            "x".repeat(16_000)
        ))
        .then_close(),
    ] {
        let server = Server::new([reply]);
        assert_eq!(Session::login(&server.site(), &login()).unwrap().id, stand_in::SESSION_ID);
    }
}

#[test]
fn a_second_factor_is_answered_by_the_method_offered() {
    for user in ["totp", "yubi"] {
        let server = start_stand_in();
        let site = Site::new(server.base_url());
        let login = Login::new(user, stand_in::PASSWORD);
        let error = Session::login(&site, &login).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TwoFactorRequired);
        let two_factor = error.two_factor().unwrap();
        assert_eq!(two_factor.methods, [user]);
        assert_eq!(two_factor.partial_session_id.as_deref(), Some(stand_in::PARTIAL_SESSION_ID));
        // The stand-in lets in only the members of the second request, and no other.
        let session = Session::login(&site, &login.answer(two_factor, stand_in::OTP)).unwrap();
        session.logout().unwrap();
    }
}

#[test]
fn a_known_code_can_go_in_the_first_request() {
    let server = start_stand_in();
    let login = Login::new("totp", stand_in::PASSWORD).otp(stand_in::OTP);
    Session::login(&Site::new(server.base_url()), &login).unwrap().logout().unwrap();
}

#[test]
fn a_second_factor_is_answered_at_the_host_that_asked() {
    let asked = Reply::json(
        401,
        r#"{"type":"not-authenticated/two-factor-authentication-error",
        "data":{"two_factor_authentication_methods":["totp"]}}"#,
    );
    let (asks, other) = (Server::new([asked, Reply::session()]), Server::new([Reply::session()]));
    let error = Session::login(&asks.site(), &login()).unwrap_err();
    let answer = login().answer(error.two_factor().unwrap(), "123456");
    let session = Session::login(&other.site(), &answer).unwrap();
    assert_eq!(session.base_url(), asks.url());
    assert!(other.requests().is_empty());
}

#[test]
fn the_data_of_a_refusal_is_kept_whole() {
    let data = r#"{"two_factor_authentication_methods": ["u2f", 1, "new"],
        "partial_session_id" : "x", "u2f_sign_requests":[{"app_id":"a","challenge":"c\u0000\u2028",
        "sign_request":{"version":"U2F_V2","keyHandle":"k"}}],"z":null,"n":-7,"f":1.5,"t":true}"#;
    let body = format!(
        r#"{{"type":"not-authenticated/two-factor-authentication-error","data":{data} ,"z":0}}"#
    );
    let server = Server::new([Reply::json(401, body)]);
    let error = Session::login(&server.site(), &login()).unwrap_err();
    let api = error.api().unwrap();
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(api.data.as_deref().unwrap()), value(data));
    let two_factor = api.two_factor.as_ref().unwrap();
    assert_eq!(two_factor.methods, ["u2f", "new"]);
    assert_eq!(two_factor.partial_session_id.as_deref(), Some("x"));
    assert_eq!(error.two_factor(), Some(two_factor));
}

#[test]
fn an_earlier_session_is_resumed_by_its_id() {
    let server = start_stand_in();
    let site = Site::new(server.base_url());
    let id = Session::login(&site, &login()).unwrap().id;
    // Another process, knowing no more than the id.
    let session = Session::resume(&Site::new(server.base_url()), id).unwrap();
    assert_eq!(session.base_url(), server.base_url());
    assert_eq!(session.language, None);
    session.logout().unwrap();
}

#[test]
fn an_unfit_id_is_refused_before_it_is_sent() {
    let server = Server::new([Reply::no_content()]);
    let long = "x".repeat(5000);
    for id in ["", " ", "a b", "a\n", "a\r\nX-Evil: 1", "a\0", "\u{7f}", "é", &long] {
        let error = Session::resume(&server.site(), id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
        // A field can be changed, too.
        let mut session = Session::resume(&server.site(), "x").unwrap();
        session.id = id.to_owned();
        assert_eq!(session.logout().unwrap_err().kind(), ErrorKind::InvalidInput, "{id:?}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn the_longest_id_is_sent() {
    let id = "x".repeat(4096);
    let server =
        Server::new([Reply::json(201, format!(r#"{{"id":"{id}"}}"#)), Reply::no_content()]);
    Session::login(&server.site(), &login()).unwrap().logout().unwrap();
    assert_eq!(server.requests()[1].header("x-filesapi-auth"), Some(id.as_str()));
}

#[test]
fn the_auth_header_authenticates_another_call() {
    let server = start_stand_in();
    let session = Session::login(&Site::new(server.base_url()), &login()).unwrap();
    let (name, value) = session.auth_header();
    assert_eq!(name, "X-FilesAPI-Auth");
    let url = format!("{}/api/rest/v1/site", session.base_url());
    let request = ureq::get(url).config().proxy(None).build();
    let mut answer = request.header(name, value).call().unwrap();
    assert!(answer.body_mut().read_to_string().unwrap().contains("My Site"));
    session.logout().unwrap();
}

#[test]
fn a_logout_of_no_session_is_an_error() {
    let server = start_stand_in();
    let session = Session::resume(&Site::new(server.base_url()), "gone").unwrap();
    assert_eq!(session.logout().unwrap_err().kind(), ErrorKind::InvalidSession);
}

#[test]
fn sessions_sites_and_errors_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Session>();
    check::<Site>();
    check::<Error>();
    check::<ErrorKind>();
    check::<ApiError>();
    check::<TwoFactor>();
    check::<Login<'static>>();
}

#[test]
fn an_error_is_one_word() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}

#[test]
fn threads_share_a_site() {
    let server = Server::with(lets_in);
    let site = server.site();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    Session::login(&site, &login()).unwrap().logout().unwrap();
                }
            });
        }
    });
    assert_eq!(server.requests().len(), 8 * 20 * 2);
}
