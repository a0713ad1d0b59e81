//! Logs in to Files.com, asks for the site's name, logs out, and passes the name on to `main.rs`.
//!
//! Prints only cargo's directives. A failure is one line, within the time limit.

use std::{env, error::Error, fs, path::Path, time::Duration};

use files_session::{Login, Session, Site};

const LIMIT: Duration = Duration::from_secs(20);
/// A site may bind a session to it.
const USER_AGENT: &str = "build-script/1.0";

#[derive(miniserde::Deserialize)]
struct About {
    name: String,
}

fn main() {
    // Not for the password: cargo would store its value in a file under `target`.
    for name in ["FILES_BASE_URL", "FILES_USERNAME"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Err(error) = fetch() {
        println!("cargo::error={error}");
    }
}

fn fetch() -> Result<(), Box<dyn Error>> {
    let variable = |name| env::var(name).map_err(|error| format!("{name}: {error}"));
    let url = variable("FILES_BASE_URL")?;
    let (username, password) = (variable("FILES_USERNAME")?, variable("FILES_PASSWORD")?);

    let site = Site::new(&url).user_agent(USER_AGENT).timeout(LIMIT);
    let session = Session::login(&site, &Login::new(&username, &password))?;
    let name = site_name(&session);
    let ended = session.logout();
    fs::write(Path::new(&env::var("OUT_DIR")?).join("site_name.txt"), name?)?;
    Ok(ended?)
}

fn site_name(session: &Session) -> Result<String, Box<dyn Error>> {
    let (name, value) = session.auth_header();
    // The session may live in another region than the address that was given.
    let response = ureq::get(format!("{}/api/rest/v1/site", session.base_url()))
        .config()
        .user_agent(USER_AGENT)
        .timeout_global(Some(LIMIT))
        .max_redirects(0)
        .build()
        .header(name, value)
        .call()?
        .body_mut()
        .read_to_string()?;
    let about: About =
        miniserde::json::from_str(&response).map_err(|_| "the response has no site name")?;
    Ok(about.name)
}
