//! https: which servers are trusted, what a failure means, and what sessions share.

#![cfg(any(feature = "rustls", feature = "native-tls"))]

mod support;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use files_session::{ErrorKind, Session, Site};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use support::tls::{Ca, EXPIRED, NOT_YET_VALID, VALID};
use support::{LOGIN, Reply, Server, accept_all, login, stand_in};

type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// A server that controls its TLS records. It serves one connection after another.
struct RawServer {
    addr: SocketAddr,
    /// The number of the connection and the method of each request.
    requests: Arc<Mutex<Vec<(usize, String)>>>,
    /// The kind of handshake before each request.
    #[cfg_attr(not(feature = "rustls"), allow(dead_code, reason = "only rustls resumes"))]
    handshakes: Arc<Mutex<Vec<Option<rustls::HandshakeKind>>>>,
}

impl RawServer {
    /// `respond` gets the number of the connection, and the method of the request.
    fn new(
        config: Arc<ServerConfig>,
        respond: impl Fn(usize, &str, &mut TlsStream) -> io::Result<()> + Send + 'static,
    ) -> RawServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let handshakes = Arc::new(Mutex::new(Vec::new()));
        let server = RawServer { addr, requests: requests.clone(), handshakes: handshakes.clone() };
        thread::spawn(move || {
            for (connection, socket) in listener.incoming().enumerate() {
                let tls = ServerConnection::new(config.clone()).unwrap();
                let mut stream = StreamOwned::new(tls, socket.unwrap());
                while let Some(method) = read_request(&mut stream) {
                    requests.lock().unwrap().push((connection, method.clone()));
                    handshakes.lock().unwrap().push(stream.conn.handshake_kind());
                    if respond(connection, &method, &mut stream).is_err() {
                        break;
                    }
                }
            }
        });
        server
    }

    fn site(&self, ca: &Ca) -> Site {
        Site::new(&format!("https://{}", self.addr)).ca_pem(&ca.pem())
    }

    fn requests(&self) -> Vec<(usize, String)> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads a request, and returns its method. `None` at the end of the connection.
fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut request = Vec::new();
    // A login ends with its JSON object, a logout with the empty line.
    let is_complete = |request: &[u8]| {
        let end: &[u8] = if request.starts_with(b"POST") { b"}" } else { b"\r\n\r\n" };
        request.ends_with(end)
    };
    while !is_complete(&request) {
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(n) if n > 0 => request.extend_from_slice(&part[..n]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&request).split(' ').next().unwrap().to_owned())
}

/// Sends each text in a separate TLS record, and all records in one TCP segment.
fn send_corked(stream: &mut TlsStream, texts: &[&str]) -> io::Result<()> {
    let mut segment = Vec::new();
    for text in texts {
        stream.conn.writer().write_all(text.as_bytes())?;
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut segment)?;
        }
    }
    stream.sock.write_all(&segment)
}

fn created() -> String {
    let (body, length) = (stand_in::SESSION, stand_in::SESSION.len());
    format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn a_private_ca_is_trusted_through_ca_pem_only() {
    let ca = Ca::new();
    let server = Server::tls(ca.server("127.0.0.1", VALID), accept_all);
    for pem in [ca.pem(), Ca::named("another").pem() + &ca.pem()] {
        let site = server.site().ca_pem(&pem);
        Session::login(&site, &login()).unwrap().logout().unwrap();
    }
    assert_eq!(LOGIN(&server.site()).unwrap_err().kind(), ErrorKind::Tls);
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1]);
}

#[test]
fn a_rejected_certificate_is_a_tls_error_with_its_cause_and_not_retried() {
    let (ca, other, forged) = (Ca::new(), Ca::named("another"), Ca::new());
    // The words of rustls, and of OpenSSL.
    for (config, rustls, openssl) in [
        (other.server("127.0.0.1", VALID), "UnknownIssuer", "unable to get local issuer"),
        (forged.server("127.0.0.1", VALID), "BadSignature", "certificate signature failure"),
        (ca.server("other.example", VALID), "not valid for name", "IP address mismatch"),
        (ca.server("127.0.0.1", EXPIRED), "certificate expired", "certificate has expired"),
        (ca.server("127.0.0.1", NOT_YET_VALID), "not valid yet", "certificate is not yet valid"),
    ] {
        let server = Server::tls(config, accept_all);
        let site = server.site().ca_pem(&ca.pem());
        let logout = Session::resume(&site, "id").unwrap().logout();
        for error in [Session::login(&site, &login()).unwrap_err(), logout.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Tls, "{error:#?}");
            assert!(!error.outcome_unknown() && !error.is_transient(), "{error}");
            let text = error.to_string();
            let cause =
                text.split_once(" (").unwrap().1.split_once("): check the address, ").unwrap();
            let expected = if cfg!(feature = "rustls") { rustls } else { openssl };
            assert!(cause.0.contains(expected) || !cfg!(unix), "{text}");
            let start = format!("no trusted TLS connection to {} (", server.addr);
            assert!(text.starts_with(&start), "{text}");
        }
        assert_eq!((server.connections(), server.requests().len()), (2, 0), "{rustls}");
    }
}

#[test]
fn a_server_learns_why_its_certificate_was_rejected() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(&format!("https://{}", listener.local_addr().unwrap()));
    // With TLS 1.3, rustls has queued another record before the alert, and ureq passes on only one.
    let config = Ca::named("another").server_with("127.0.0.1", VALID, &[&TLS12]);
    let server = thread::spawn(move || {
        let tls = ServerConnection::new(config).unwrap();
        StreamOwned::new(tls, listener.accept().unwrap().0).read(&mut [0]).unwrap_err()
    });
    let error = Session::login(&site.ca_pem(&Ca::new().pem()), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:#?}");
    let alert = server.join().unwrap().to_string();
    assert!(alert.contains("fatal alert: UnknownCA"), "{alert}");
}

#[test]
fn a_demanded_client_certificate_is_named_as_the_cause() {
    let ca = Ca::new();
    for (version, kind) in [(&TLS13, ErrorKind::Transport), (&TLS12, ErrorKind::Tls)] {
        let server = Server::tls(ca.demanding_server("127.0.0.1", version), accept_all);
        let error = Session::login(&server.site().ca_pem(&ca.pem()), &login()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:#?}");
        let text = error.to_string().to_lowercase();
        // The words of rustls, and of OpenSSL.
        let is_named = ["certificaterequired", "certificate required"]
            .iter()
            .any(|words| text.contains(words));
        assert!(is_named || version.version != TLS13.version || !cfg!(unix), "{text}");
        assert!(server.requests().is_empty());
    }
}

/// Counts what is read, and writes all output at once before it reads: a client answers each part of
/// a handshake that arrives alone.
struct Counting {
    socket: TcpStream,
    output: Vec<u8>,
    reads: Arc<AtomicUsize>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.write_all(&self.output)?;
        self.output.clear();
        let result = self.socket.read(buffer);
        self.reads.fetch_add(1, Ordering::Relaxed);
        result
    }
}

impl Write for Counting {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.output.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_request_leaves_in_one_write_with_the_end_of_the_handshake() {
    let ca = Ca::new();
    for (version, writes) in [(&TLS13, 2), (&TLS12, 3)] {
        let config = ca.server_with("127.0.0.1", VALID, &[version]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let site = Site::new(&format!("https://{}", listener.local_addr().unwrap()));
        let server = thread::spawn(move || {
            let socket = listener.accept().unwrap().0;
            let reads = Arc::new(AtomicUsize::new(0));
            let counting = Counting { socket, output: Vec::new(), reads: reads.clone() };
            let tls = ServerConnection::new(config).unwrap();
            let mut stream = StreamOwned::new(tls, counting);
            ["POST", "DELETE"].map(|method| {
                assert_eq!(read_request(&mut stream).as_deref(), Some(method));
                stream.write_all(created().as_bytes()).unwrap();
                let (count, output) = (reads.load(Ordering::Relaxed), &stream.sock.output);
                (&stream.sock.socket).write_all(output).unwrap();
                stream.sock.output.clear();
                count
            })
        });
        let session = Session::login(&site.ca_pem(&ca.pem()), &login()).unwrap();
        session.logout().unwrap();
        assert_eq!(server.join().unwrap(), [writes, writes + 1]);
    }
}

#[cfg(all(feature = "rustls", not(feature = "platform-verifier")))]
#[test]
fn the_systems_roots_need_their_feature() {
    let error = Session::login(&Site::default().system_roots(), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("need the feature platform-verifier"), "{error}");
}

#[test]
fn a_server_without_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(&format!("https://{}", listener.local_addr().unwrap())).retries(0);
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).map(|_| received)
    });
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:#?}");
    let received = server.join().unwrap().unwrap_or_default();
    assert!(!received.windows(4).any(|part| part == b"POST"));
}

#[test]
fn a_peer_that_closes_during_the_handshake_is_a_tls_error_and_retried() {
    let ca = Ca::new();
    let config = ca.server("127.0.0.1", VALID);
    for linger in [None, Some(Duration::ZERO)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let site = Site::new(&format!("https://{}", listener.local_addr().unwrap()));
        let site = site.ca_pem(&ca.pem());
        let config = config.clone();
        let server = thread::spawn(move || {
            for _ in 0..2 {
                let mut socket = listener.accept().unwrap().0;
                // The ClientHello, so that closing sends a FIN, or a RST without lingering.
                assert!(socket.read(&mut [0; 8192]).unwrap() > 0);
                socket2::SockRef::from(&socket).set_linger(linger).unwrap();
            }
            let tls = ServerConnection::new(config).unwrap();
            let mut stream = StreamOwned::new(tls, listener.accept().unwrap().0);
            let method = read_request(&mut stream);
            send_corked(&mut stream, &[&created()]).unwrap();
            method
        });
        let error = Session::login(&site.clone().retries(0), &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error:#?}");
        assert!(error.to_string().contains("TLS"), "{error}");
        assert!(!error.outcome_unknown() && error.is_transient(), "{error}");
        // Nothing was sent, so a login is retried.
        let _ = Session::login(&site.retries(1), &login()).unwrap();
        assert_eq!(server.join().unwrap().as_deref(), Some("POST"));
    }
}

#[test]
fn a_large_response_is_read_over_tls() {
    let ca = Ca::new();
    let body = format!(r#"{{"id":"x","a":"{}"}}"#, "y".repeat(65_000));
    let header = format!("X-Long: {}\r\n", "x".repeat(16_000));
    let server =
        Server::tls(ca.server("127.0.0.1", VALID), move |_| Reply::http(201, &header, &body));
    let site = server.site().ca_pem(&ca.pem());
    assert_eq!(Session::login(&site, &login()).unwrap().id, "x");
}

#[test]
fn an_extra_tls_record_is_not_taken_for_the_next_response() {
    let ca = Ca::new();
    let padding = "x".repeat(5000);
    for stray in [
        // The TLS library may hold all of it, or any part.
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        // It crosses a boundary of 4,096 bytes, the size of rustls's reads.
        format!("HTTP/1.1 204 No Content\r\nX-Padding: {padding}\r\n\r\n"),
        "{}".to_owned(),
    ] {
        let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        let server =
            RawServer::new(ca.server("127.0.0.1", VALID), move |_, method, stream| match method {
                "POST" => send_corked(stream, &[&created(), &stray]),
                _ => send_corked(stream, &[refusal]),
            });
        let session = Session::login(&server.site(&ca), &login()).unwrap();
        assert_eq!(session.logout().unwrap_err().http_status(), Some(403));
        let requests = [(0, "POST".to_owned()), (1, "DELETE".to_owned())];
        assert_eq!(server.requests(), requests);
    }
}

#[test]
fn bytes_after_an_https_proxys_response_are_not_the_response_to_the_request() {
    let ca = Ca::new();
    let proxy = RawServer::new(ca.server("127.0.0.1", VALID), |_, _, stream| {
        send_corked(stream, &["HTTP/1.1 200 OK\r\n\r\n", &created()])
    });
    let site = Site::new("http://mysite.test.invalid").allow_http().ca_pem(&ca.pem());
    let error = LOGIN(&site.proxy(&format!("https://{}", proxy.addr))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:#?}");
    assert!(error.to_string().contains("sent data before it got a request"), "{error}");
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn a_tls_record_that_arrives_with_the_handshake_is_not_taken_for_the_response() {
    // Without data, the record is a close_notify.
    for (data, kind, text) in [
        (created(), ErrorKind::Connect, "sent data before it got a request"),
        (String::new(), ErrorKind::Transport, "nothing was sent"),
    ] {
        let ca = Ca::new();
        let mut config = Arc::unwrap_or_clone(ca.server("127.0.0.1", VALID));
        // Sends data before the handshake has ended.
        config.send_half_rtt_data = true;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let tls = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(tls, listener.accept().unwrap().0);
            stream.conn.read_tls(&mut stream.sock).unwrap();
            stream.conn.process_new_packets().unwrap();
            if data.is_empty() {
                stream.conn.send_close_notify();
            }
            send_corked(&mut stream, &[&data]).unwrap();
            read_request(&mut stream)
        });
        let error = Session::login(&Site::new(&url).ca_pem(&ca.pem()), &login()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:#?}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(server.join().unwrap(), None);
    }
}

#[test]
fn tls_that_breaks_after_the_request_does_not_mean_that_nothing_was_sent() {
    let ca = Ca::new();
    for bytes in [
        // A record that can't be decrypted, an unencrypted alert, and bytes that are not TLS.
        &b"\x17\x03\x03\x00\x05xxxxx"[..],
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let server = || {
            RawServer::new(ca.server("127.0.0.1", VALID), move |connection, _, stream| {
                if connection > 0 {
                    return send_corked(stream, &["HTTP/1.1 204 No Content\r\n\r\n"]);
                }
                stream.sock.write_all(bytes)?;
                // Until the client closes the connection.
                stream.sock.shutdown(Shutdown::Write)?;
                io::copy(&mut stream.sock, &mut io::sink())?;
                Err(io::ErrorKind::ConnectionAborted.into())
            })
        };
        let broken = server();
        let error = Session::login(&broken.site(&ca), &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error:#?}");
        assert!(error.to_string().contains("not known whether"), "{error}");
        assert_eq!(broken.requests(), [(0, "POST".to_owned())]);

        let broken = server();
        Session::resume(&broken.site(&ca), "id").unwrap().logout().unwrap();
        assert_eq!(broken.requests(), [(0, "DELETE".to_owned()), (1, "DELETE".to_owned())]);
    }
}

/// With native-tls, ureq has no cache of TLS sessions.
#[cfg(feature = "rustls")]
#[test]
fn further_sessions_of_a_site_resume_its_tls_session() {
    let ca = Ca::new();
    let server = RawServer::new(ca.server("127.0.0.1", VALID), |_, method, stream| match method {
        "POST" => send_corked(stream, &[&created()]),
        _ => {
            send_corked(stream, &["HTTP/1.1 204 No Content\r\n\r\n"])?;
            // The client sent `Connection: close`.
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    });
    let site = server.site(&ca);
    for site in
        [&site, &site.clone().language("de"), &site.clone().timeout(Duration::from_secs(50))]
    {
        Session::login(site, &login()).unwrap().logout().unwrap();
    }
    Session::resume(&site, "id").unwrap().logout().unwrap();
    // Another site shares nothing with it.
    Session::resume(&server.site(&ca), "id").unwrap().logout().unwrap();
    let handshakes = server.handshakes.lock().unwrap();
    let resumed: Vec<(usize, bool)> = server
        .requests()
        .iter()
        .zip(handshakes.iter())
        .map(|((connection, _), kind)| (*connection, *kind == Some(rustls::HandshakeKind::Resumed)))
        .collect();
    let (first, rest) = resumed.split_at(2);
    assert_eq!(first, [(0, false), (0, false)]);
    assert_eq!(rest, [(1, true), (1, true), (2, true), (2, true), (3, true), (4, false)]);
}
