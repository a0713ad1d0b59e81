//! https: whom to trust, and what is said of those who are not.

#![cfg(feature = "_tls")]

mod support;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;

use files_session::{ErrorKind, Session, Site, agent_config, ureq};
use support::tls::{Ca, EXPIRED, NOT_YET_VALID, VALID};
use support::{Reply, Server, lets_in, login};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// The TLS libraries that were built in.
fn providers() -> Vec<TlsProvider> {
    let rustls = cfg!(feature = "rustls");
    let native = cfg!(feature = "native-tls");
    let providers = [(rustls, TlsProvider::Rustls), (native, TlsProvider::NativeTls)];
    providers.into_iter().filter(|(on, _)| *on).map(|(_, provider)| provider).collect()
}

/// A site that is reached with a configuration that trusts this CA alone.
fn trusting(ca: &Ca, site: Site, provider: TlsProvider) -> Site {
    let root = Certificate::from_der(ca.certificate.der()).to_owned();
    let tls = TlsConfig::builder()
        .provider(provider)
        .root_certs(RootCerts::new_with_certs(&[root]))
        .build();
    site.config(agent_config().tls_config(tls).build())
}

#[test]
fn a_private_ca_works_through_a_configuration() {
    let ca = Ca::new();
    for provider in providers() {
        let server = Server::tls(ca.server("127.0.0.1", VALID), lets_in);
        let site = trusting(&ca, server.site(), provider);
        Session::login(&site, &login()).unwrap().logout().unwrap();
        assert_eq!(server.methods(), ["POST", "DELETE"]);
        assert!(server.requests().iter().all(|request| request.connection == 0));
    }
}

#[test]
fn a_bad_certificate_is_refused_before_a_byte_of_the_login_is_sent() {
    let (ca, other, forged) = (Ca::new(), Ca::named("another"), Ca::new());
    for provider in providers() {
        for (server, says) in [
            (other.server("127.0.0.1", VALID), "the certificate's issuer is not trusted"),
            (forged.server("127.0.0.1", VALID), "the certificate's issuer is not trusted"),
            (ca.server("other.example", VALID), "the certificate is for another name"),
            (ca.server("127.0.0.1", EXPIRED), "the certificate has expired"),
            (
                ca.server("127.0.0.1", NOT_YET_VALID),
                "the certificate is not valid yet: is the clock of this machine set?",
            ),
        ] {
            let server = Server::tls(server, lets_in);
            let site = trusting(&ca, server.site(), provider);
            let logout = Session::resume(&site, "id").unwrap().logout();
            for error in [Session::login(&site, &login()).unwrap_err(), logout.unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::Tls, "{says}: {error:?}");
                assert!(error.to_string().contains(says), "{says}: {error}");
                assert!(error.to_string().contains(&server.addr.to_string()), "{error}");
            }
            assert!(server.requests().is_empty());
        }
    }
}

#[test]
fn a_private_ca_is_not_trusted_by_default() {
    let server = Server::tls(Ca::new().server("127.0.0.1", VALID), lets_in);
    let error = Session::login(&server.site(), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_server_that_speaks_no_tls_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(format!("https://{}", listener.local_addr().unwrap())).retries(0);
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).map(|_| received)
    });
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    let received = server.join().unwrap().unwrap_or_default();
    assert!(!received.windows(4).any(|part| part == b"POST"));
}

#[test]
fn no_redirect_from_https_to_http_is_followed() {
    let elsewhere = Server::new([Reply::session()]);
    let target = format!("Location: {}/api/rest/v1/sessions\r\n", elsewhere.url());
    let ca = Ca::new();
    let server = Server::tls(ca.server("127.0.0.1", VALID), move |_| Reply::http(307, &target, ""));
    let site = trusting(&ca, server.site(), providers()[0]);
    let logout = Session::resume(&site, "id").unwrap().logout();
    for error in [Session::login(&site, &login()).unwrap_err(), logout.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
        assert!(error.to_string().contains("points to http://127.0.0.1"), "{error}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_response_of_the_largest_size_comes_over_tls_too() {
    let ca = Ca::new();
    let body = format!(r#"{{"id":"x","a":"{}"}}"#, "y".repeat(65_000));
    let header = format!("X-Long: {}\r\n", "x".repeat(16_000));
    let server =
        Server::tls(ca.server("127.0.0.1", VALID), move |_| Reply::http(201, &header, &body));
    let site = trusting(&ca, server.site(), providers()[0]);
    assert_eq!(Session::login(&site, &login()).unwrap().id, "x");
}

#[cfg(not(all(feature = "native-tls", feature = "platform-verifier")))]
#[test]
fn a_tls_library_that_is_not_built_in_is_an_error() {
    let missing = [
        (cfg!(feature = "rustls"), TlsProvider::Rustls, RootCerts::WebPki),
        (cfg!(feature = "native-tls"), TlsProvider::NativeTls, RootCerts::WebPki),
        (cfg!(feature = "platform-verifier"), TlsProvider::Rustls, RootCerts::PlatformVerifier),
    ];
    let server = Server::tls(Ca::new().server("127.0.0.1", VALID), lets_in);
    for (_, provider, roots) in missing.into_iter().filter(|(built_in, ..)| !built_in) {
        let tls = TlsConfig::builder().provider(provider).root_certs(roots).build();
        let site = server.site().retries(0).config(agent_config().tls_config(tls).build());
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{provider:?}: {error}");
        assert!(error.to_string().contains("the configuration can't be used"), "{error}");
    }
    assert!(server.requests().is_empty());
}

/// A TLS server that reads each whole request, and then sends these bytes without encryption; for
/// a connection that it is not to break, a response. Gives the requests' first words.
fn breaks_tls(
    config: Arc<rustls::ServerConfig>,
    bytes: &'static [u8],
    whole_from: usize,
) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for (connection, socket) in listener.incoming().enumerate() {
            let mut socket = socket?;
            let tls = rustls::ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            let mut stream = rustls::StreamOwned::new(tls, socket.try_clone()?);
            let mut request = Vec::new();
            // The login's body ends it, or the empty line of a logout.
            while !request.ends_with(b"}") && !request.ends_with(b"\r\n\r\n")
                || request.starts_with(b"POST") && !request.ends_with(b"}")
            {
                let mut part = [0; 4096];
                match stream.read(&mut part) {
                    Ok(n) if n > 0 => request.extend_from_slice(&part[..n]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&request);
            let _ = sender.send(text.split(' ').next().unwrap().to_owned());
            if connection >= whole_from {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                let _ = stream.flush();
            } else {
                let _ = socket.write_all(bytes);
            }
            let _ = socket.read(&mut [0]);
        }
        io::Result::Ok(())
    });
    (addr, requests)
}

#[test]
fn tls_that_breaks_after_the_request_is_no_promise_that_nothing_was_sent() {
    let ca = Ca::new();
    for provider in providers() {
        for bytes in [
            // A record that can't be decrypted, an alert in the clear, and junk.
            &b"\x17\x03\x03\x00\x05xxxxx"[..],
            b"\x15\x03\x03\x00\x02\x02\x28",
            b"SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            let (addr, requests) = breaks_tls(ca.server("127.0.0.1", VALID), bytes, 1);
            let site = trusting(&ca, Site::new(format!("https://{addr}")), provider);
            let error = Session::login(&site, &login()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transport, "{error:?}");
            assert!(error.to_string().contains("not known whether"), "{error}");
            assert_eq!(requests.recv().unwrap(), "POST");
            assert!(requests.try_recv().is_err(), "the login was sent again");

            let (addr, requests) = breaks_tls(ca.server("127.0.0.1", VALID), bytes, 1);
            let site = trusting(&ca, Site::new(format!("https://{addr}")), provider);
            Session::resume(&site, "id").unwrap().logout().unwrap();
            assert_eq!(requests.try_iter().collect::<Vec<_>>(), ["DELETE"; 2]);
        }
    }
}

#[test]
fn a_site_that_wants_a_client_certificate_is_said_to() {
    let ca = Ca::new();
    for provider in providers() {
        let config = ca.server_for_clients_with_certificates("127.0.0.1");
        let server = Server::tls(config, lets_in);
        let site = trusting(&ca, server.site().retries(0), provider);
        let error = Session::login(&site, &login()).unwrap_err();
        // With TLS 1.3 the request is sent before the refusal arrives, so nothing is certain.
        assert_eq!(error.kind(), ErrorKind::Transport, "{error:?}");
        let said = error.to_string();
        assert!(said.contains("the site wants a client certificate"), "{said}");
        assert!(server.requests().is_empty());
    }
}

#[cfg(feature = "rustls")]
#[test]
fn a_client_certificate_works_through_a_configuration() {
    use ureq::tls::{ClientCert, PrivateKey};

    let ca = Ca::new();
    let (certificate, key) = ca.client();
    let certificate = Certificate::from_der(certificate.der()).to_owned();
    let key = PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap();
    let root = Certificate::from_der(ca.certificate.der()).to_owned();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[root]))
        .client_cert(Some(ClientCert::new_with_certs(&[certificate], key)))
        .build();
    let server = Server::tls(ca.server_for_clients_with_certificates("127.0.0.1"), lets_in);
    let site = server.site().config(agent_config().tls_config(tls).build());
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
}

#[cfg(feature = "rustls")]
#[test]
fn a_client_certificate_that_is_none_is_an_error() {
    use ureq::tls::{ClientCert, PrivateKey};

    let ca = Ca::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let key = PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap();
    let none = ClientCert::new_with_certs(&[Certificate::from_der(b"none").to_owned()], key);
    let tls = TlsConfig::builder().client_cert(Some(none)).build();
    let server = Server::tls(ca.server("127.0.0.1", VALID), lets_in);
    let site = server.site().config(agent_config().tls_config(tls).build());
    let logout = Session::resume(&site, "id").unwrap().logout();
    for error in [Session::login(&site, &login()).unwrap_err(), logout.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains("can't be used") && said.contains("client auth certificate"),
            "{said}"
        );
    }
    assert!(server.requests().is_empty());
}
