//! Logs in and out with bare ureq.

use std::error::Error;
use std::process::ExitCode;

#[path = "../args.rs"]
mod args;
#[path = "../bare.rs"]
mod bare;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = args::parse();
    let agent: ureq::Agent = bare::config(&args.ca_pem)?.build().into();
    for _ in 0..args.times {
        bare::cycle(&agent, &args.url)?;
    }
    args::print_peak();
    Ok(())
}
