//! Certificates for the tests, and who has issued them.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};

/// A private CA.
pub struct Ca {
    pub certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// When a certificate is valid, in years.
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

    /// What a server with a certificate for `name` needs.
    pub fn server(&self, name: &str, valid: (i32, i32)) -> Arc<ServerConfig> {
        self.server_with(name, valid, ConfigBuilder::<ServerConfig, _>::with_no_client_auth)
    }

    /// The same, for a server that wants a certificate of this CA from its clients.
    pub fn server_for_clients_with_certificates(&self, name: &str) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().unwrap();
        self.server_with(name, VALID, |config| config.with_client_cert_verifier(verifier))
    }

    /// A client's certificate of this CA, and its key.
    pub fn client(&self) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(Vec::<String>::new()).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn server_with(
        &self,
        name: &str,
        (from, to): (i32, i32),
        clients: impl FnOnce(
            ConfigBuilder<ServerConfig, WantsVerifier>,
        ) -> ConfigBuilder<ServerConfig, WantsServerCert>,
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config =
            clients(config).with_single_cert(vec![certificate.der().clone()], key).unwrap();
        Arc::new(config)
    }
}
