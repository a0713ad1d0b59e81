//! Logs in and out again: `cargo run --example login`.
//!
//! It logs in at the site that `FILES_BASE_URL`, `FILES_USERNAME` and `FILES_PASSWORD` name. If none
//! of them is set, it starts a stand-in for Files.com and logs in there. With `-- --serve`, it only
//! runs the stand-in, and prints these variables for other programs. `-- --help` prints the usage.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, ExitCode};
use std::{env, fs};

use files_session::{ErrorKind, Login, Session, Site, TwoFactor};

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
            answer(&site, login, two_factor)?
        }
    };
    println!("logged in at {}", session.base_url());
    print_attributes(&session);

    // A later process could resume the session. Whatever fails here, remove the file and log out.
    let file = env::temp_dir().join(format!("my-tool-{}", process::id()));
    let saved = save(&session, &file);
    let removed = fs::remove_file(file);
    session.logout()?;
    println!("logged out");
    saved?;
    removed?;
    Ok(())
}

/// Asks for codes until one is right.
fn answer(site: &Site, login: Login, two_factor: &TwoFactor) -> Result<Session, Box<dyn Error>> {
    loop {
        let code = prompt(&format!("code of {:?}", two_factor.methods))?;
        match Session::login(site, &login.answer(two_factor, &code)) {
            Err(error) if error.kind() == ErrorKind::OtpIncorrect => eprintln!("{error}"),
            result => return Ok(result?),
        }
    }
}

fn prompt(what: &str) -> io::Result<String> {
    print!("{what}: ");
    io::stdout().flush()?;
    let mut line = String::new();
    match io::stdin().read_line(&mut line)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no code was given")),
        _ => Ok(line),
    }
}

/// The server's text is printed with `{:?}`, so that no control character reaches the terminal.
fn print_attributes(session: &Session) {
    for (name, value) in [
        ("language", &session.language),
        ("home_path", &session.home_path),
        ("timeout_at", &session.timeout_at),
    ] {
        if let Some(value) = value {
            println!("{name}: {value:?}");
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
