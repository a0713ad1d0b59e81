//! Logs in and out with files-session.

use std::process::ExitCode;

use files_session::{Error, Login, Session, Site};

#[path = "../args.rs"]
mod args;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let args = args::parse();
    let mut site = Site::new(&args.url);
    if !args.ca_pem.is_empty() {
        site = site.ca_pem(&args.ca_pem);
    }
    for _ in 0..args.times {
        let session = Session::login(&site, &Login::new("username", "password"))?;
        session.logout()?;
    }
    args::print_peak();
    Ok(())
}
