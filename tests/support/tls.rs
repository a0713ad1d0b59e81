//! Certificates for the tests, issued by private CAs.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion, WantsVerifier};

/// A private CA.
pub struct Ca {
    pub certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// The years on whose first day the validity of a certificate begins and ends.
pub const VALID: (i32, i32) = (2020, 4000);
pub const EXPIRED: (i32, i32) = (2020, 2021);
pub const NOT_YET_VALID: (i32, i32) = (3999, 4000);

impl Ca {
    pub fn new() -> Ca {
        Ca::named("a private CA")
    }

    pub fn named(name: &str) -> Ca {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(VALID.0, 1, 1);
        params.not_after = date_time_ymd(VALID.1, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        Ca { certificate, issuer: Issuer::new(params, key) }
    }

    /// The PEM text for `Site::ca_pem`.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The configuration of a server with a certificate for `name`.
    pub fn server(&self, name: &str, validity: (i32, i32)) -> Arc<ServerConfig> {
        self.server_with(name, validity, rustls::ALL_VERSIONS)
    }

    /// The same, with these versions of TLS.
    pub fn server_with(
        &self,
        name: &str,
        validity: (i32, i32),
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let (chain, key) = self.issue(name, validity);
        let config = builder(versions).with_no_client_auth().with_single_cert(chain, key);
        Arc::new(config.unwrap())
    }

    /// The configuration of a server that demands a client's certificate.
    pub fn demanding_server(
        &self,
        name: &str,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let (chain, key) = self.issue(name, VALID);
        let config = builder(&[version]).with_client_cert_verifier(verifier.unwrap());
        Arc::new(config.with_single_cert(chain, key).unwrap())
    }

    fn issue(
        &self,
        name: &str,
        (from, to): (i32, i32),
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], key)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap()
}
