//! The TLS library and the certificates to trust, chosen by features and by `ca_pem`.

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

use crate::error::InvalidInput;
#[cfg(feature = "_tls")]
use crate::text::Sanitized;

pub(crate) const IS_AVAILABLE: bool = cfg!(any(feature = "rustls", feature = "native-tls"));

#[derive(Clone)]
pub(crate) struct Trust(#[cfg(feature = "_tls")] ureq::tls::RootCerts);

#[cfg(feature = "_tls")]
impl Trust {
    pub(crate) fn built_in() -> Trust {
        let webpki = cfg!(all(feature = "rustls", not(feature = "platform-verifier")));
        Trust(if webpki {
            ureq::tls::RootCerts::WebPki
        } else {
            ureq::tls::RootCerts::PlatformVerifier
        })
    }

    /// The certificates of a PEM text (RFC 7468). It is read here because ureq's reader skips the
    /// blocks that it doesn't know.
    pub(crate) fn from_pem(pem: &str) -> Result<Trust, InvalidInput> {
        let mut certificates = Vec::new();
        // Between the dashes are the label of a beginning, base64, and the label of an end.
        let mut parts = pem.split('-').filter(|part| !part.is_empty());
        while let Some(part) = parts.next() {
            let Some(label) = part.strip_prefix("BEGIN ") else { continue };
            let der = match (label, parts.next(), parts.next()) {
                ("CERTIFICATE", Some(base64), Some("END CERTIFICATE")) => decode(base64),
                _ => None,
            };
            let Some(der) = der.filter(|der| is_certificate(der)) else {
                return Err(InvalidInput::from(format!(
                    "block {} of ca_pem, labelled {}, is not a valid certificate: \
                     ca_pem must contain certificates only",
                    certificates.len() + 1,
                    Sanitized(label)
                )));
            };
            certificates.push(ureq::tls::Certificate::from_der(&der).to_owned());
        }
        if certificates.is_empty() {
            return Err(InvalidInput::new(
                "ca_pem has no certificate: it must be the PEM text, not a file name",
            ));
        }
        Ok(Trust(certificates.into()))
    }

    /// Sets the TLS library and the roots in ureq's configuration.
    pub(crate) fn apply(&self, config: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
        use ureq::tls::{TlsConfig, TlsProvider};

        // Explicit, because another crate may turn on both providers.
        let rustls = cfg!(feature = "rustls");
        let provider = if rustls { TlsProvider::Rustls } else { TlsProvider::NativeTls };
        let tls = TlsConfig::builder().provider(provider).root_certs(self.0.clone());
        config.tls_config(tls.build())
    }
}

#[cfg(not(feature = "_tls"))]
impl Trust {
    pub(crate) fn built_in() -> Trust {
        Trust()
    }

    pub(crate) fn from_pem(_: &str) -> Result<Trust, InvalidInput> {
        Err(InvalidInput::new("ca_pem needs TLS, but files-session was built without it"))
    }

    #[allow(clippy::unused_self, reason = "as with TLS")]
    pub(crate) fn apply(&self, config: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
        config
    }
}

/// Decodes base64. White space and padding are skipped; the caller checks the result.
#[cfg(feature = "_tls")]
fn decode(base64: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for character in base64.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' | b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_be_bytes()[3]);
        }
    }
    Some(bytes)
}

/// Whether this has the outer structure of a certificate (RFC 5280, section 4.1). TLS libraries
/// skip roots that they can't read, and would later report an unknown issuer.
#[cfg(feature = "_tls")]
fn is_certificate(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let certificate = || {
        let (parts, rest) = element(SEQUENCE, der)?;
        let (to_be_signed, parts) = element(SEQUENCE, parts)?;
        let (_algorithm, parts) = element(SEQUENCE, parts)?;
        let (_signature, parts) = element(BIT_STRING, parts)?;
        Some(!to_be_signed.is_empty() && parts.is_empty() && rest.is_empty())
    };
    certificate() == Some(true)
}

/// The content of a DER element, and what follows it (X.690, section 8.1.3).
#[cfg(feature = "_tls")]
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    match first {
        0..=0x7f => rest.split_at_checked(usize::from(*first)),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            rest.split_at_checked(length)
        }
        _ => None,
    }
}

#[cfg(all(test, feature = "_tls"))]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        let all: Vec<u8> = (0..=255).collect();
        // Each of the 64 characters, and each length of the padding.
        let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7\r
            PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3\teHl6e3x9
            fn+AgYKDhIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq+wsbKztLW2t7i5uru8vb6/
            wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7/P3+/w==";
        assert_eq!(decode(text), Some(all));
        assert_eq!(decode("AQI="), Some(vec![1, 2]));
        assert_eq!(decode("AQ=="), Some(vec![1]));
        assert_eq!(decode("AQ-A"), None);
    }

    #[test]
    fn ca_pem_rejects_anything_but_certificates_and_names_the_block() {
        let block = |base64: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
        };
        // 30 08 (30 01 00) (30 00) (03 01 00), and the same with long forms of the lengths.
        let (short, long) = (block("MAgwAQAwAAMBAA=="), block("MIEKMIIAAQAwAAMBAA=="));
        let invalid = |n, label| format!("block {n} of ca_pem, labelled {label}, is not a valid");
        let one = || invalid(1, "CERTIFICATE");
        let no_certificate = || "it must be the PEM text, not a file name".to_owned();
        for (pem, message) in [
            (format!("# a comment\n{short}\n{long}"), String::new()),
            (String::new(), no_certificate()),
            ("/etc/ssl/certs/ca.pem".to_owned(), no_certificate()),
            (block("aGVsbG8="), one()),
            (block(""), one()),
            (block("!"), one()),
            (block("MAA="), one()),
            (block("MIA="), one()),
            (block("MII="), one()),
            (block("MIQAAAAA"), one()),
            // Wrong lengths, no content, and excess bytes inside and after the certificate.
            (block("MAkwAQAwAAMBAA=="), one()),
            (block("MAcwAQAwAAMBAA=="), one()),
            (block("MAcwADAAAwEA"), one()),
            (block("MAowAQAwAAMBAAUA"), one()),
            (block("MAgwAQAwAAMBAAA="), one()),
            (format!("{short}{}", block("MAA=")), invalid(2, "CERTIFICATE")),
            (format!("{short}-----BEGIN CERTIFICATE-----\nMAA=\n"), invalid(2, "CERTIFICATE")),
            (
                "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".to_owned(),
                invalid(1, "PRIVATE KEY"),
            ),
            (format!("{short}-----BEGIN X\n"), invalid(2, r"X\u{a}")),
            (short.replace("END", "BEGIN"), one()),
        ] {
            match Trust::from_pem(&pem) {
                Ok(_) => assert_eq!(message, "", "{pem}"),
                Err(error) => assert!(
                    !message.is_empty() && error.to_string().contains(&message),
                    "{pem}: {error}"
                ),
            }
        }
    }
}
