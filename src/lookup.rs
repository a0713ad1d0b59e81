//! Looks up a name, within a time limit.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ureq::{Error, Timeout};

use crate::base_url;
use crate::canceller::Canceller;
use crate::limits::LOOKUP_STACK_BYTES;

/// The addresses of a host, in the order in which to try them. At least one.
pub(crate) fn look_up(
    host: &str,
    port: u16,
    limit: Duration,
    canceller: &Canceller,
) -> Result<Vec<SocketAddr>, Error> {
    if let Some(ip) = base_url::ip(host) {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    // RFC 6761, section 6.3: it is this machine, regardless of hosts files and name servers.
    if base_url::is_localhost(host) {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    if canceller.is_cancelled() {
        return Err(Error::Timeout(Timeout::Resolve));
    }
    // In a thread, because getaddrinfo has no timeout. After the limit or a cancellation, the thread
    // is abandoned.
    let (name, found) = (host.to_owned(), Arc::new(Mutex::new(None)));
    let (slot, done) = (found.clone(), canceller.clone());
    thread::Builder::new().stack_size(LOOKUP_STACK_BYTES).spawn(move || {
        let result = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        done.wake();
    })?;
    let found = || found.lock().unwrap_or_else(PoisonError::into_inner);
    canceller.wait(limit, || found().is_some());
    let addresses = found().take().ok_or(Error::Timeout(Timeout::Resolve))??;
    if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(alternate(&addresses)) }
}

/// The families in turn, beginning with the system's first choice (RFC 8305, section 4).
fn alternate(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_family = |address: &&SocketAddr| address.is_ipv6() == addresses[0].is_ipv6();
    let mut others = addresses.iter().filter(|address| !is_first_family(address));
    let mut ordered = Vec::with_capacity(addresses.len());
    for address in addresses.iter().filter(is_first_family) {
        ordered.push(*address);
        ordered.extend(others.next());
    }
    ordered.extend(others);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate() {
        let address = |name: &char| -> SocketAddr {
            let number = u16::try_from(u32::from(*name)).unwrap();
            let is_ipv6 = name.is_ascii_uppercase();
            if is_ipv6 { ([0; 8], number).into() } else { ([0; 4], number).into() }
        };
        // Upper case is IPv6.
        for (found, tried) in [("a", "a"), ("Aa", "Aa"), ("ABCab", "AaBbC"), ("abcdA", "aAbcd")] {
            let addresses = |names: &str| -> Vec<SocketAddr> {
                names.chars().map(|name| address(&name)).collect()
            };
            assert_eq!(alternate(&addresses(found)), addresses(tried), "{found}");
        }
    }

    #[test]
    fn the_end_of_a_lookup_ends_the_wait() {
        // The C library resolves this name to 127.0.0.1, and asks no name server.
        let start = std::time::Instant::now();
        let found = look_up("127.1", 1, Duration::from_secs(120), &Canceller::new());
        assert_eq!(found.unwrap(), [SocketAddr::from(([127, 0, 0, 1], 1))]);
        assert!(start.elapsed() < Duration::from_secs(50));
    }
}
