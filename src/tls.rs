//! What the features chose for TLS: rustls goes before native-tls where both are on, and trusts the
//! system's roots only with `platform-verifier`.

use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

pub(crate) fn config(roots: RootCerts) -> TlsConfig {
    let rustls = cfg!(feature = "rustls");
    let provider = if rustls { TlsProvider::Rustls } else { TlsProvider::NativeTls };
    TlsConfig::builder().provider(provider).root_certs(roots).build()
}

/// The roots that are trusted by default.
pub(crate) fn roots() -> RootCerts {
    if cfg!(all(feature = "rustls", not(feature = "platform-verifier"))) {
        RootCerts::WebPki
    } else {
        RootCerts::PlatformVerifier
    }
}

/// The certificates in a PEM text, as roots.
#[cfg(feature = "capi")]
pub(crate) fn roots_of(pem: &str) -> Result<RootCerts, &'static str> {
    use ureq::tls::{PemItem, parse_pem};

    let mut roots = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        match item {
            Ok(PemItem::Certificate(root)) => roots.push(root),
            Ok(_) => {}
            Err(_) => return Err("has a part that is no PEM"),
        }
    }
    if roots.is_empty() { Err("has no certificate in it") } else { Ok(roots.into()) }
}
