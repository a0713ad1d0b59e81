//! Logs in and out with bare ureq: bare BASE_URL TIMES [peak]

use std::process::ExitCode;

#[path = "../bare.rs"]
mod bare;
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

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (url, times) = (args.next().unwrap(), args.next().unwrap().parse().unwrap());
    let agent: ureq::Agent = bare::config().build().into();
    for _ in 0..times {
        bare::cycle(&agent, &url)?;
    }
    peak::print(args.next());
    Ok(())
}
