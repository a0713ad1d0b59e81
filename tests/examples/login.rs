//! Logs in and out again: `cargo run --example login`.
//!
//! It logs in at the site that `FILES_BASE_URL`, `FILES_USERNAME` and `FILES_PASSWORD` name. If none
//! of them is set, it starts a stand-in for Files.com and logs in there. With `-- --serve`, it only
//! runs the stand-in, and prints these variables for other programs.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, ExitCode};
use std::{env, fs};

use files_session::{Login, Session, Site};

#[path = "../support/stand_in.rs"]
mod stand_in;

/// A site may bind a session to it, so send the same one with all other requests.
const USER_AGENT: &str = "my-tool/1.0";

fn main() -> ExitCode {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<(), Box<dyn Error>> {
    // Your own values go here. All the rest can be copied.
    let [url, username, password] = stand_in::account()?;

    let site = Site::new(&url).user_agent(USER_AGENT);
    let login = Login::new(&username, &password);
    let session = match Session::login(&site, &login) {
        Ok(session) => session,
        Err(error) => {
            let Some(two_factor) = error.two_factor() else { return Err(error.into()) };
            let code = prompt(&two_factor.methods.join(" or "))?;
            Session::login(&site, &login.answer(two_factor, &code))?
        }
    };
    println!("logged in at {}", session.base_url());
    print_attributes(&session);

    // A later process could resume the session. Whatever fails here, log out first.
    let file = env::temp_dir().join(format!("my-tool-{}", process::id()));
    let saved = save(&session, &file);
    session.logout()?;
    println!("logged out");
    saved?;
    fs::remove_file(file)?;
    Ok(())
}

fn prompt(what: &str) -> io::Result<String> {
    print!("{what}: ");
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

fn print_attributes(session: &Session) {
    for (name, value) in [
        ("language", session.language.clone()),
        ("home_path", session.home_path.clone()),
        ("site_id", session.site_id.map(|id| id.to_string())),
        ("read_only", session.read_only.map(|yes| yes.to_string())),
        ("timeout_at", session.timeout_at.clone()),
    ] {
        if let Some(value) = value {
            println!("{name}: {value}");
        }
    }
}

/// The id is a secret, so only this user may read the file.
fn save(session: &Session, file: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    write!(options.open(file)?, "{}\n{}\n", session.base_url(), session.id)
}
