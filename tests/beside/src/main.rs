//! One configuration for both: logs in, asks for the site's name with an agent of its own, logs out.

use std::env;
use std::error::Error;

use files_session::{Login, Session, Site};
use ureq::Agent;
use ureq::config::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let config: Config = files_session::agent_config().max_redirects(0).build();
    let site = Site::new(env::var("FILES_BASE_URL")?).config(config.clone());
    let session = Session::login(&site, &Login::new("username", "password"))?;
    let (name, value) = session.auth_header();
    let agent: Agent = config.new_agent();
    let site: Result<Named, _> = agent
        .get(format!("{}/api/rest/v1/site", session.base_url()))
        .header(name, value)
        .call()
        .and_then(|mut response| response.body_mut().read_json());
    session.logout()?;
    println!("{}", site?["name"]);
    Ok(())
}

type Named = std::collections::HashMap<String, String>;
