//! https: whom to trust, and what is said of those who are not.

#![cfg(feature = "_tls")]

mod support;

use files_session::{Error, ErrorKind, Session, Site, agent_config, ureq};
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

/// A site that is reached with an agent that trusts this CA alone.
fn trusting(ca: &Ca, site: Site, provider: TlsProvider) -> Site {
    let root = Certificate::from_der(ca.certificate.der()).to_owned();
    let tls = TlsConfig::builder()
        .provider(provider)
        .root_certs(RootCerts::new_with_certs(&[root]))
        .build();
    site.agent(agent_config().tls_config(tls).build().into())
}

#[test]
fn a_private_ca_works_through_an_agent() {
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
            (other.server("127.0.0.1", VALID), "nobody that is trusted here has issued"),
            (forged.server("127.0.0.1", VALID), "nobody that is trusted here has issued"),
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
fn the_default_agent_does_not_trust_a_private_ca() {
    let server = Server::tls(Ca::new().server("127.0.0.1", VALID), lets_in);
    let error = Session::login(&server.site(), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_server_that_speaks_no_tls_is_an_error() {
    let server = Server::new([Reply::raw("HTTP/1.1 400 Bad Request\r\n\r\n").then_close()]);
    let site = Site::new(server.url().replace("http", "https")).retries(0);
    let error = Session::login(&site, &login()).unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert!(server.requests().iter().all(|request| !request.line.contains("POST")));
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
fn an_answer_of_the_largest_size_comes_over_tls_too() {
    let ca = Ca::new();
    let body = format!(r#"{{"id":"x","a":"{}"}}"#, "y".repeat(255 * 1024));
    let header = format!("X-Long: {}\r\n", "x".repeat(60_000));
    let server =
        Server::tls(ca.server("127.0.0.1", VALID), move |_| Reply::http(201, &header, &body));
    let site = trusting(&ca, server.site(), providers()[0]);
    assert_eq!(Session::login(&site, &login()).unwrap().id, "x");
}

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
        let site = server.site().retries(0).agent(agent_config().tls_config(tls).build().into());
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{provider:?}: {error}");
    }
    assert!(server.requests().is_empty());
}
