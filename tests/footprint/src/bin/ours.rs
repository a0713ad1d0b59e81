//! Logs in and out with files-session: ours BASE_URL TIMES [peak]

use std::process::ExitCode;

use files_session::{Login, Session, Site};

#[path = "../peak.rs"]
mod peak;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), files_session::Error> {
    let mut args = std::env::args().skip(1);
    let (url, times) = (args.next().unwrap(), args.next().unwrap().parse().unwrap());
    let site = Site::new(&url);
    for _ in 0..times {
        let session = Session::login(&site, &Login::new("username", "password"))?;
        session.logout()?;
    }
    peak::print(args.next());
    Ok(())
}
