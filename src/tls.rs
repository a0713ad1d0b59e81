//! Which TLS library is used, and which certificates it trusts.

use ureq::Error;
use ureq::unversioned::transport::ConnectionDetails;
#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
use ureq::unversioned::transport::NativeTlsConnector as TlsConnector;
#[cfg(feature = "rustls")]
use ureq::unversioned::transport::RustlsConnector as TlsConnector;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
use ureq::{
    config::ConfigBuilder,
    tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
    typestate::AgentScope,
    unversioned::transport::{Connector, Transport},
};

use crate::input::InvalidInput;

pub(crate) const IS_AVAILABLE: bool = cfg!(any(feature = "rustls", feature = "native-tls"));

/// What all sessions of a site share: the roots, and a connector that keeps the TLS library's
/// configuration with its resumption cache. Other roots need another connector.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[derive(Debug)]
pub(crate) struct Tls {
    roots: RootCerts,
    connector: TlsConnector,
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
impl Tls {
    /// The built-in roots with rustls, the system's with `native-tls`.
    pub(crate) fn default_roots() -> Tls {
        let is_rustls = cfg!(feature = "rustls");
        Tls::new(if is_rustls { RootCerts::WebPki } else { RootCerts::PlatformVerifier })
    }

    pub(crate) fn system_roots() -> Result<Tls, InvalidInput> {
        if cfg!(all(feature = "rustls", not(feature = "platform-verifier"))) {
            return Err(InvalidInput::new(
                "the system's roots need the feature platform-verifier of files-session",
            ));
        }
        Ok(Tls::new(RootCerts::PlatformVerifier))
    }

    /// The certificates of a PEM text (RFC 7468).
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Tls, InvalidInput> {
        let invalid = |reason| Err(InvalidInput::new(reason));
        let mut certificates = Vec::new();
        for item in parse_pem(pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem)) {
            match item {
                Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                Ok(_) => return invalid("ca_pem has a private key: give certificates only"),
                Err(_) => return invalid("ca_pem has a block that is not valid PEM"),
            }
        }
        if certificates.is_empty() {
            return invalid("ca_pem has no certificate: it must be the PEM text, not a file name");
        }
        Ok(Tls::new(certificates.into()))
    }

    fn new(roots: RootCerts) -> Tls {
        Tls { roots, connector: TlsConnector::default() }
    }

    /// Sets the TLS library and the roots in ureq's configuration.
    pub(crate) fn apply(&self, config: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
        // Explicit, because another crate may enable both providers.
        let is_rustls = cfg!(feature = "rustls");
        let provider = if is_rustls { TlsProvider::Rustls } else { TlsProvider::NativeTls };
        let tls = TlsConfig::builder().provider(provider).root_certs(self.roots.clone());
        config.tls_config(tls.build())
    }

    /// Adds TLS to a connection, if its address needs it.
    pub(crate) fn connect(
        &self,
        details: &ConnectionDetails,
        transport: Box<dyn Transport>,
    ) -> Result<Box<dyn Transport>, Error> {
        if !details.needs_tls() {
            return Ok(transport);
        }
        let transport = self.connector.connect(details, Some(transport))?;
        Ok(Box::new(transport.ok_or(Error::TlsRequired)?))
    }
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[derive(Debug)]
pub(crate) struct Tls;

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with TLS")]
impl Tls {
    pub(crate) fn default_roots() -> Tls {
        Tls
    }

    pub(crate) fn system_roots() -> Result<Tls, InvalidInput> {
        Tls::from_pem(&[])
    }

    pub(crate) fn from_pem(_: &[u8]) -> Result<Tls, InvalidInput> {
        Err(InvalidInput::new("root certificates need TLS, but files-session was built without it"))
    }

    pub(crate) fn apply<T>(&self, config: T) -> T {
        config
    }

    pub(crate) fn connect<T>(&self, _: &ConnectionDetails, transport: T) -> Result<T, Error> {
        Ok(transport)
    }
}

#[cfg(all(test, any(feature = "rustls", feature = "native-tls")))]
mod tests {
    use super::*;

    #[test]
    fn ca_pem_contains_certificates_and_no_private_key() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
        let certificate = block("CERTIFICATE");
        let no_certificate = "it must be the PEM text, not a file name";
        for (pem, message) in [
            (certificate.clone(), ""),
            (format!("\u{feff}{certificate}"), ""),
            (format!("text\n{certificate}more text\n{}", block("X509 CRL")), ""),
            (format!("{}{certificate}", block("DH PARAMETERS")), ""),
            (String::new(), no_certificate),
            ("/etc/ssl/certs/ca.pem".to_owned(), no_certificate),
            (block("X509 CRL"), no_certificate),
            (certificate.clone() + &block("PRIVATE KEY"), "has a private key"),
            (certificate.clone() + &block("RSA PRIVATE KEY"), "has a private key"),
            (certificate.clone() + &block("EC PRIVATE KEY"), "has a private key"),
            (certificate.replace("END", "BEGIN"), "not valid PEM"),
            (certificate.replace("MAA=", "!"), "not valid PEM"),
        ] {
            let error = Tls::from_pem(pem.as_bytes()).err().map(|error| error.0);
            match error {
                None => assert_eq!(message, "", "{pem}"),
                Some(error) => assert!(error.contains(message) && !message.is_empty(), "{error}"),
            }
        }
        let latin_1 = [b"caf\xe9\n", certificate.as_bytes()].concat();
        assert!(Tls::from_pem(&latin_1).is_ok());
    }
}
