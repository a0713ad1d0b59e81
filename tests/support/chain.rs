//! The longest certificate chain that rustls accepts, with the signatures that need the most stack.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P384_SHA384,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use super::{Server, accept_all, loopback};

/// The maximum number of intermediate certificates that rustls accepts.
pub const LONGEST: usize = 6;

/// A root certificate. All have the same name, so a chain to another root fails only at its last
/// signature.
pub struct Root {
    pub certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Root {
    pub fn new() -> Root {
        let (params, key) = (authority("root"), key());
        let certificate = params.self_signed(&key).unwrap();
        Root { certificate, issuer: Issuer::new(params, key) }
    }

    /// A TLS server at 127.0.0.1, with this many intermediate certificates.
    pub fn server(
        &self,
        intermediates: usize,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ServerConfig> {
        let mut chain = Vec::new();
        let mut last: Option<Issuer<KeyPair>> = None;
        for n in 0..intermediates {
            let (params, key) = (authority(&format!("intermediate {n}")), key());
            let certificate = params.signed_by(&key, last.as_ref().unwrap_or(&self.issuer));
            chain.insert(0, certificate.unwrap().der().clone());
            last = Some(Issuer::new(params, key));
        }
        let (params, key) = (CertificateParams::new(["127.0.0.1".to_owned()]).unwrap(), key());
        let certificate = params.signed_by(&key, last.as_ref().unwrap_or(&self.issuer)).unwrap();
        chain.insert(0, certificate.der().clone());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        Arc::new(config.unwrap())
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// An https proxy that is also the site behind its tunnels, and accepts every login and logout.
pub fn https_proxy(proxy: Arc<ServerConfig>, site: Arc<ServerConfig>) -> Server {
    Server::start("https", loopback(), true, accept_all, move |socket: &TcpStream| {
        let connect = |config: &Arc<ServerConfig>| ServerConnection::new(config.clone()).unwrap();
        let mut tunnel = StreamOwned::new(connect(&proxy), socket.try_clone()?);
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"\r\n\r\n") {
            tunnel.read_exact(&mut byte)?;
            request.push(byte[0]);
        }
        assert!(request.starts_with(b"CONNECT "), "{request:?}");
        tunnel.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        Ok(StreamOwned::new(connect(&site), tunnel))
    })
}
