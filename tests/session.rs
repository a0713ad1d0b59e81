//! Logging in and out, against the stand-in and against raw responses.

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use files_session::{Error, ErrorKind, Login, Session, Site};
use support::{Reply, Server, accept_all, login, stand_in, start_stand_in};

/// The number of attributes, without the id.
const ATTRIBUTES: usize = 21;

fn log_in(body: impl AsRef<[u8]>) -> Result<Session, Error> {
    Session::login(&Server::new([Reply::json(201, body)]).site(), &login())
}

/// The number of attributes that are absent: `Debug` shows the others, and the id.
fn absent(session: &Session) -> usize {
    let text = format!("{session:?}");
    1 + ATTRIBUTES - text.split("site: Site").next().unwrap().matches(": ").count()
}

#[test]
fn login_and_logout_work_against_the_stand_in() {
    let server = start_stand_in();
    let site = Site::new(&server.base_url());
    let session = Session::login(&site, &login()).unwrap();
    assert_eq!(session.id, stand_in::SESSION_ID);
    session.logout().unwrap();
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

/// Checks that this request was sent once, with these headers and those that all requests have.
#[track_caller]
fn assert_is_only_request(server: &Server, line: &str, headers: &[(&str, &str)], body: &str) {
    let [request] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    assert_eq!((&*request.line, &*request.body), (line, body));
    let (host, agent) = (server.addr.to_string(), env!("CARGO_PKG_VERSION"));
    let agent = format!("files-session/{agent}");
    let common = [
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("host", &host),
        ("user-agent", &agent),
    ];
    let sent = request.headers.iter().map(|(name, value)| (&**name, &**value));
    let expected = [&common, headers].concat();
    assert_eq!(sorted(sent.collect()), sorted(expected));
}

#[test]
fn a_login_is_one_post() {
    let server = Server::new([Reply::session()]);
    let _ = Session::login(&server.site(), &Login::new("u", "p")).unwrap();
    assert_is_only_request(
        &server,
        "POST /api/rest/v1/sessions",
        &[("content-length", "31"), ("content-type", "application/json")],
        r#"{"username":"u","password":"p"}"#,
    );
}

#[test]
fn a_logout_is_one_delete() {
    let server = Server::new([Reply::no_content()]);
    Session::resume(&server.site(), "some-id").unwrap().logout().unwrap();
    assert_is_only_request(
        &server,
        "DELETE /api/rest/v1/sessions",
        &[("connection", "close"), ("x-filesapi-auth", "some-id")],
        "",
    );
}

#[test]
fn language_and_user_agent_are_sent_with_both_requests() {
    let server = Server::new([Reply::session(), Reply::no_content()]);
    let site = server.site().language("de").user_agent("my-tool/1.0");
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
    for request in server.requests() {
        assert_eq!(request.header("accept-language"), Some("de"));
        assert_eq!(request.header("user-agent"), Some("my-tool/1.0"));
    }
}

#[test]
fn each_session_has_its_own_connection_from_login_to_logout() {
    let server = Server::with(accept_all);
    let site = server.site();
    let clones = [site.clone(), site.clone().retries(1), site.timeout(Duration::from_secs(9))];
    let sessions: Vec<Session> =
        clones.iter().map(|site| Session::login(site, &login()).unwrap()).collect();
    for session in sessions.iter().rev() {
        session.logout().unwrap();
    }
    Session::login(&clones[0], &login()).unwrap().logout().unwrap();
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 1, 2, 2, 1, 0, 3, 3]);
}

#[test]
fn sessions_may_be_opened_and_closed_at_the_same_time() {
    // The server responds once all logins have arrived.
    let all = Arc::new(Barrier::new(20));
    let server = Server::with(move |request| {
        if request.line.starts_with("POST") {
            all.wait();
        }
        accept_all(request)
    });
    let site = server.site();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| Session::login(&site, &login()).unwrap().logout().unwrap());
        }
    });
    assert_eq!((server.requests().len(), server.connections()), (40, 20));
}

#[test]
fn every_attribute_is_a_field() {
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
    assert_eq!(session.timeout_at, text("2999-12-31T18:00:00-05:00"));
    assert_eq!(session.home_path, text("home"));
    assert_eq!(session.allowed_2fa_method_webauthn, Some(true));
    assert_eq!(absent(&session), 0);
}

#[test]
fn a_response_without_a_valid_id_is_an_error() {
    for (body, text) in [
        ("{}", "no session id"),
        (r#"{"id":""}"#, "no session id"),
        (r#"{"session":{"id":"x"}}"#, "no session id"),
        (r#"{"id":1}"#, "no session id"),
        (r#"{"id":"a\r\nX-Evil: 1"}"#, "not a valid header value"),
        (r#"{"id":"é"}"#, "not a valid header value"),
        (&" ".repeat(65_537), "larger than 64 KiB"),
    ] {
        let error = log_in(body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{body}");
        assert_eq!(error.http_status(), Some(201), "{body}");
        assert!(error.to_string().contains(text), "{body}: {error}");
    }
}

#[test]
fn a_successful_login_is_read_leniently() {
    for (status, body, root_path) in [
        (200, &b"{\"id\":\"x\"}"[..], None),
        (201, b"\xef\xbb\xbf{\"id\":\"x\"}", None),
        (201, b"{\"id\":\"x\",\"root_path\":\"caf\xe9\"}", Some("caf\u{fffd}")),
        (201, br#"{"id":"x","root_path":"a\u0000\ud83d\ude00"}"#, Some("a\0😀")),
    ] {
        let server = Server::new([Reply::json(status, body)]);
        let session = Session::login(&server.site(), &login()).unwrap();
        assert_eq!((session.id.as_str(), session.root_path.as_deref()), ("x", root_path));
        assert_eq!(absent(&session), ATTRIBUTES - usize::from(root_path.is_some()));
    }
}

#[test]
fn a_logout_is_done_on_any_2xx() {
    for reply in [
        Reply::no_content(),
        Reply::http(200, "", ""),
        Reply::json(200, "{}"),
        Reply::json(202, "not json"),
        Reply::raw("HTTP/1.1 299 Odd\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        Reply::raw("HTTP/1.0 200 OK\r\n\r\nto the end").then_close(),
        // The body is never waited for.
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").then_silence(),
    ] {
        let server = Server::new([reply]);
        Session::resume(&server.site(), "id").unwrap().logout().unwrap();
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn nothing_follows_a_logout_on_its_connection() {
    // A live server's 204, in one piece or two. It keeps its side open.
    let head = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n";
    for pieces in [vec![[head, "{}"].concat()], vec![head.into(), "{}".into()]] {
        let server = Server::with(move |request| {
            let stray = Reply::pieces(&pieces).slowly(Duration::from_millis(50));
            if request.line.starts_with("DELETE") { stray } else { Reply::session() }
        });
        let site = server.site();
        for _ in 0..3 {
            let session = Session::login(&site, &login()).unwrap();
            session.logout().unwrap();
            session.logout().unwrap();
        }
        let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
        assert_eq!(connections, [0, 0, 1, 2, 2, 3, 4, 4, 5]);
    }
}

#[test]
fn bytes_after_the_response_to_a_login_are_not_the_response_to_the_logout() {
    let stray = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    let body = stand_in::SESSION;
    let head = format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n", body.len());
    let created = [head.as_bytes(), body.as_bytes()].concat();
    for response in [
        Reply::raw([created.clone(), stray.clone()].concat()),
        Reply::pieces([created, stray]).slowly(Duration::from_millis(50)),
    ] {
        let (sender, sent) = channel();
        // The server keeps the connection open.
        let response = response.notify(&sender).then_silence();
        let server = Server::with(move |request| match request.connection {
            0 => response.clone(),
            _ => Reply::http(403, "", ""),
        });
        let session = Session::login(&server.site(), &login()).unwrap();
        sent.recv().unwrap();
        assert_eq!(session.logout().unwrap_err().http_status(), Some(403));
        assert_eq!(server.requests()[1].connection, 1);
    }
}

#[test]
fn a_response_may_have_any_form_that_http_allows() {
    let (session, chunked) = (stand_in::SESSION, "Transfer-Encoding: chunked\r\nTrailer: X");
    let chunk = |c: char| format!("1;ext\r\n{c}\r\n");
    let chunks = session.chars().map(chunk).collect::<String>() + "0\r\nX: y\r\n\r\n";
    let padded = " ".repeat(65_536 - session.len()) + session;
    let large = format!("HTTP/1.1 201 C\r\ncONTENT-lENGTH: {}\r\n\r\n{padded}", padded.len());
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    for reply in [
        Reply::raw(format!("HTTP/1.0 201 Created\r\n\r\n{session}")).then_close(),
        Reply::raw(format!("HTTP/1.1 201\r\nConnection: close\r\n\r\n{session}")).then_close(),
        Reply::raw(format!("HTTP/1.1 201 C\r\n{chunked}\r\n\r\n{chunks}")),
        Reply::pieces(format!("HTTP/1.1 100 Continue\r\n\r\n{large}").as_bytes().chunks(999)),
        // Early hints and a large body in one burst.
        Reply::raw([hints, &large].concat()),
        Reply::pieces([hints, &large]).slowly(Duration::from_millis(10)),
    ] {
        let server = Server::new([reply]);
        assert_eq!(Session::login(&server.site(), &login()).unwrap().id, stand_in::SESSION_ID);
    }
}

#[test]
fn the_answer_to_a_second_factor_depends_on_the_method() {
    for (user, code) in
        [("totp", stand_in::OTP), ("yubi", stand_in::OTP), ("webauthn", stand_in::DEVICE_ANSWER)]
    {
        let server = start_stand_in();
        let site = Site::new(&server.base_url());
        let login = Login::new(user, stand_in::PASSWORD);
        let error = Session::login(&site, &login).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TwoFactorRequired);
        let two_factor = error.two_factor().unwrap();
        assert_eq!(two_factor.methods, [user]);
        assert_eq!(two_factor.partial_session_id.as_deref(), Some(stand_in::PARTIAL_SESSION_ID));
        // The stand-in accepts the second request only with the right members. A prompt leaves a
        // newline.
        let code = format!("{code}\n");
        let session = Session::login(&site, &login.answer(two_factor, &code)).unwrap();
        session.logout().unwrap();
    }
}

#[test]
fn a_known_code_may_be_in_the_first_request() {
    let server = start_stand_in();
    let login = Login::new("totp", stand_in::PASSWORD).otp(stand_in::OTP);
    Session::login(&Site::new(&server.base_url()), &login).unwrap().logout().unwrap();
}

#[test]
fn a_second_factor_is_answered_at_the_host_that_asked() {
    let challenge = Reply::json(
        401,
        r#"{"type":"not-authenticated/two-factor-authentication-error",
        "data":{"two_factor_authentication_methods":["totp"]}}"#,
    );
    let challenger = Server::new([challenge, Reply::session()]);
    let other = Server::new([Reply::session()]);
    let error = Session::login(&challenger.site(), &login()).unwrap_err();
    let answer = login().answer(error.two_factor().unwrap(), "123456");
    let session = Session::login(&other.site(), &answer).unwrap();
    assert_eq!(session.base_url(), challenger.url());
    assert!(other.requests().is_empty());
}

#[test]
fn a_challenge_can_be_answered_again_after_a_wrong_code() {
    let of_type = |error_type: &str| {
        let data = r#"{"two_factor_authentication_methods":["totp"],"partial_session_id":"p"}"#;
        Reply::json(401, format!(r#"{{"type":"not-authenticated/{error_type}","data":{data}}}"#))
    };
    let wrong = Reply::json(401, r#"{"type":"not-authenticated/one-time-password-incorrect"}"#);
    let challenge = of_type("two-factor-authentication-error");
    let server = Server::new([challenge, wrong, Reply::session()]);
    let error = Session::login(&server.site(), &login()).unwrap_err();
    let answer =
        |code| Session::login(&server.site(), &login().answer(error.two_factor().unwrap(), code));
    assert_eq!(answer("000 000").unwrap_err().kind(), ErrorKind::OtpIncorrect);
    assert_eq!(answer("817 293").unwrap().id, stand_in::SESSION_ID);
    let otp = |n: usize| server.requests()[n].body.split(r#""otp":""#).nth(1).map(str::to_owned);
    assert_eq!((otp(1).unwrap(), otp(2).unwrap()), ("000000\"}".into(), "817293\"}".into()));
}

#[test]
fn the_site_of_a_session_is_the_address_where_it_lives_with_all_settings() {
    let server = Server::with(accept_all);
    let site = server.site().language("de");
    let session = Session::login(&site, &login()).unwrap();
    assert_eq!((session.site().base_url(), session.base_url()), (site.base_url(), site.base_url()));
    Session::resume(session.site(), &session.id).unwrap().logout().unwrap();
    assert_eq!(server.requests()[1].header("accept-language"), Some("de"));
}

#[test]
fn the_first_of_several_logouts_has_the_connection_and_each_its_own_limit() {
    let (sender, sent) = channel();
    let server = Server::with(move |request| match &*request.line {
        "POST /api/rest/v1/sessions" => Reply::session(),
        _ => Reply::nothing().notify(&sender).then_silence(),
    });
    let limit = Duration::from_secs(3);
    let session = Session::login(&server.site().retries(0).timeout(limit), &login()).unwrap();
    let log_out = |session: Session| {
        let start = Instant::now();
        let error = session.logout().unwrap_err();
        (error.kind(), start.elapsed())
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| log_out(session.clone()));
        sent.recv().unwrap();
        thread::sleep(limit / 2);
        let second = scope.spawn(|| log_out(session.clone()));
        for call in [first, second] {
            let (kind, took) = call.join().unwrap();
            assert_eq!(kind, ErrorKind::Timeout);
            // Half of the limit more if they shared it.
            assert!((limit..limit * 4 / 3).contains(&took), "{took:?}");
        }
    });
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[test]
fn a_session_is_resumed_by_its_id() {
    let server = start_stand_in();
    let site = Site::new(&server.base_url());
    let id = Session::login(&site, &login()).unwrap().id;
    let session = Session::resume(&Site::new(&server.base_url()), &id).unwrap();
    assert_eq!(session.base_url(), server.base_url());
    assert_eq!(session.language, None);
    session.logout().unwrap();
}

#[test]
fn an_invalid_id_is_not_sent() {
    let server = Server::new([Reply::no_content()]);
    let long = "x".repeat(4097);
    for id in ["", "a b", "a\r\nX-Evil: 1", "é", &long] {
        let error = Session::resume(&server.site(), id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
        // The logout checks it again, because the field is public.
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
fn the_auth_header_authenticates_another_request() {
    let server = start_stand_in();
    let session = Session::login(&Site::new(&server.base_url()), &login()).unwrap();
    let (name, value) = session.auth_header();
    assert_eq!(name, "X-FilesAPI-Auth");
    let url = format!("{}/api/rest/v1/site", session.base_url());
    let request = ureq::get(url).config().proxy(None).build();
    let mut response = request.header(name, value).call().unwrap();
    assert!(response.body_mut().read_to_string().unwrap().contains("My Site"));
    session.logout().unwrap();
}
