//! The arguments of both programs: BASE_URL TIMES [CA_PEM_FILE].

use std::{env, fs};

pub struct Args {
    pub url: String,
    pub times: usize,
    /// Empty means the built-in roots.
    pub ca_pem: String,
}

pub fn parse() -> Args {
    let mut args = env::args().skip(1);
    Args {
        url: args.next().unwrap(),
        times: args.next().unwrap().parse().unwrap(),
        ca_pem: args.next().map(|file| fs::read_to_string(file).unwrap()).unwrap_or_default(),
    }
}

/// Prints the peak of this process' memory in KiB, if the environment asks for it.
pub fn print_peak() {
    if env::var_os("PRINT_PEAK").is_some() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        println!("{}", peak.trim().trim_end_matches(" kB"));
    }
}
