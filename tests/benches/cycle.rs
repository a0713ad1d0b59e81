//! A login and a logout with this crate, and with bare ureq and miniserde, in turn at one server.
//!
//! `cargo bench` prints the time of both, their ratio and the spread: over http and https, for the
//! first login of an agent or a site and for further ones.

use std::hint::black_box;
use std::time::{Duration, Instant};

use files_session::{Session, Site};

#[path = "../footprint/src/bare.rs"]
mod bare;
#[path = "../support/mod.rs"]
mod support;

use support::tls::{Ca, VALID};
use support::{Server, accept_all, login};

fn ours(site: &Site) {
    let session = Session::login(site, &login()).unwrap();
    session.logout().unwrap();
    let _ = black_box(session);
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Median and the middle half, in microseconds.
fn quartiles(mut times: Vec<Duration>) -> [f64; 3] {
    times.sort();
    let n = times.len();
    [n / 4, n / 2, n * 3 / 4].map(|i| times[i].as_secs_f64() * 1e6)
}

fn report(what: &str, bare: Vec<Duration>, ours: Vec<Duration>) {
    let ratio =
        ours.iter().sum::<Duration>().as_secs_f64() / bare.iter().sum::<Duration>().as_secs_f64();
    let ([b1, b2, b3], [o1, o2, o3]) = (quartiles(bare), quartiles(ours));
    println!(
        "{what:<22} bare {b2:>8.1} µs ({b1:.1} to {b3:.1})   files-session {o2:>8.1} µs ({o1:.1} to {o3:.1})   \
         median {:.3}, mean {ratio:.3}",
        o2 / b2
    );
}

/// `ca_pem` is empty for http.
fn measure(scheme: &str, server: &Server, ca_pem: &str) {
    let bare_agent =
        || ureq::Agent::new_with_config(bare::config(ca_pem).unwrap().proxy(None).build());
    let our_site = || match ca_pem {
        "" => server.site(),
        pem => server.site().ca_pem(pem),
    };
    let url = server.url();

    let (mut bare_times, mut our_times) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        bare_times.push(time(|| bare::cycle(&bare_agent(), &url).unwrap()));
        our_times.push(time(|| ours(&our_site())));
    }
    report(&format!("{scheme}, first"), bare_times, our_times);

    let (agent, site) = (bare_agent(), our_site());
    bare::cycle(&agent, &url).unwrap();
    ours(&site);
    let (mut bare_times, mut our_times) = (Vec::new(), Vec::new());
    for _ in 0..5000 {
        bare_times.push(time(|| bare::cycle(&agent, &url).unwrap()));
        our_times.push(time(|| ours(&site)));
    }
    report(&format!("{scheme}, further"), bare_times, our_times);
}

fn main() {
    // `cargo test --benches` only checks that it runs.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    measure("http", &Server::with(accept_all), "");
    let ca = Ca::new();
    let server = Server::tls(ca.server("127.0.0.1", VALID), accept_all);
    measure("https", &server, &ca.pem());
}
