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
    let untrusted = Site::new(&https).ca_pem(&variable("OTHER_CA_PEM")?);
    let error = Session::login(&untrusted, &login).expect_err("the certificate is not trusted");
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    let source = error.source().and_then(|source| source.downcast_ref());
    assert!(!matches!(source, None | Some(ureq::Error::NativeTls(_))), "{source:?}");

    let trusted = Site::new(&https).ca_pem(&variable("CA_PEM")?);
    Session::login(&trusted, &login)?.logout()?;
    Ok(())
}
