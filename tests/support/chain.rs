//! Certificate chains as long as rustls accepts, with the signatures that need the most stack.

use std::io::{BufRead, Write};
use std::sync::Arc;

use rcgen::{BasicConstraints::Unconstrained, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use super::{Server, accept_all, loopback};

/// The maximum number of intermediate certificates that rustls accepts.
pub const LONGEST: usize = 6;

/// A server at 127.0.0.1. The roots of all chains of one length have the same name, so for a client
/// that trusts another chain's root, only the last signature is wrong.
pub struct Chain {
    pub root_pem: String,
    /// The size of the certificates that the server sends.
    pub bytes: usize,
    pub server: Arc<ServerConfig>,
}

impl Chain {
    pub fn new(intermediates: usize, version: &'static SupportedProtocolVersion) -> Chain {
        // Number 0 is the server's own certificate. Real names are about as long.
        let new = |number| {
            let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, format!("certificate {number:80}"));
            params.is_ca = if number > 0 { IsCa::Ca(Unconstrained) } else { IsCa::NoCa };
            (params, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap())
        };
        let (root, key) = new(intermediates + 1);
        let root_pem = root.self_signed(&key).unwrap().pem();
        let (mut certificates, mut issuer) = (Vec::new(), Issuer::new(root, key));
        for number in (0..=intermediates).rev() {
            let (params, key) = new(number);
            certificates.insert(0, params.signed_by(&key, &issuer).unwrap().der().clone());
            issuer = Issuer::new(params, key);
        }
        let bytes = certificates.iter().map(|certificate: &CertificateDer| certificate.len()).sum();
        let key = PrivatePkcs8KeyDer::from(issuer.key().serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        let server = Arc::new(config.with_single_cert(certificates, key).unwrap());
        Chain { root_pem, bytes, server }
    }
}

/// An https proxy that is also the site behind its tunnels, and accepts every login and logout.
pub fn https_proxy(proxy: Arc<ServerConfig>, site: Arc<ServerConfig>) -> Server {
    Server::start("https", loopback(), true, accept_all, move |socket| {
        let proxy = ServerConnection::new(proxy.clone()).unwrap();
        let mut tunnel = StreamOwned::new(proxy, socket.try_clone()?);
        while tunnel.read_line(&mut String::new())? > 2 {}
        tunnel.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        Ok(StreamOwned::new(ServerConnection::new(site.clone()).unwrap(), tunnel))
    })
}
