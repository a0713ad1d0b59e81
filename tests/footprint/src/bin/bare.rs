//! Logs in and out with bare ureq: bare BASE_URL TIMES [peak]

#[path = "../bare.rs"]
mod bare;
#[path = "../peak.rs"]
mod peak;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (url, times) = (args.next().unwrap(), args.next().unwrap().parse().unwrap());
    let agent = ureq::Agent::new_with_defaults();
    for _ in 0..times {
        bare::cycle(&agent, &url)?;
    }
    peak::print(args.next());
    Ok(())
}
