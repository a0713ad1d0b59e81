//! Logs in as two users over http, and with a trusted and an untrusted certificate over https. The
//! test looks at what the servers received.

use std::env;
use std::error::Error;

use files_session::{ErrorKind, Login, Session, Site};
use ureq::Agent;

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name| env::var(name).map_err(|error| format!("{name}: {error}"));
    let (http, https) = (variable("HTTP_URL")?, variable("HTTPS_URL")?);

    let site = Site::new(&http);
    let alice = Session::login(&site, &Login::new("alice", "password"))?;
    let bob = Session::login(&site, &Login::new("bob", "password"))?;
    alice.logout()?;
    bob.logout()?;

    // An agent of this crate has the features.
    let agent: Agent = Agent::config_builder().proxy(None).build().into();
    for _ in 0..2 {
        agent.post(&http).send("{}")?;
    }

    let login = Login::new("username", "password");
    let ca_pem = variable("CA_PEM")?;
    // The system trusts this CA: SSL_CERT_FILE names it. The built-in roots don't contain it.
    for site in [Site::new(&https), Site::new(&https).ca_pem(&variable("OTHER_CA_PEM")?)] {
        let error = Session::login(&site, &login).expect_err("the certificate is not trusted");
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        // In the words of rustls, although native-tls is enabled.
        assert!(error.to_string().contains("(invalid peer certificate: UnknownIssuer)"), "{error}");
    }
    for site in [Site::new(&https).ca_pem(&ca_pem), Site::new(&https).system_roots()] {
        Session::login(&site, &login)?.logout()?;
    }
    Ok(())
}
