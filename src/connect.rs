//! The connections of the calls. The only file that uses `ureq::unversioned`. It uses only items
//! that have not changed since ureq 3.0, and constructs no struct by its fields.
//!
//! What this adds to ureq's connections:
//!
//! - A name is looked up before ureq is asked to connect, so that reusing a connection needs no
//!   lookup. `localhost` is never looked up.
//! - A failure before anything was sent is marked, because a login may be retried only then.
//! - All bytes received in response to a request are counted, with early hints and trailers.
//! - Opening a proxy's tunnel has one time limit. ureq applies the full limit to each read.
//! - Sent bytes are wiped. Otherwise the buffer of an idle connection would hold the password.
//! - Bytes that are received before a request is sent are never taken for its response, even if
//!   they are in a buffer of the TLS library.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use ureq::{Agent, Error, Timeout};

use crate::base_url;
use crate::canceller::Canceller;
use crate::error::{ConnectError, Stage, is_shortage};
use crate::limits::{
    ADDRESSES_MAX_AGE, LOOKUP_STACK_BYTES, MAX_CACHED_HOSTS, MAX_HEADER_BYTES, MAX_RECEIVED_BYTES,
    MAX_WRITE_BYTES,
};

/// What the sessions of a site share: the TLS configuration, which ureq keeps in its connector, and
/// a DNS cache.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    connector: DefaultConnector,
    cache: Mutex<Vec<CacheEntry>>,
}

#[derive(Debug, Clone)]
struct CacheEntry {
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
    /// `None` after a connection has failed.
    fresh_since: Option<Instant>,
}

impl CacheEntry {
    fn is_fresh(&self) -> bool {
        self.fresh_since.is_some_and(|since| since.elapsed() < ADDRESSES_MAX_AGE)
    }
}

impl Shared {
    /// An agent for one connection, to these addresses: the proxy's if the configuration has one,
    /// otherwise the site's.
    pub(crate) fn agent(self: &Arc<Self>, config: Config, addresses: Vec<SocketAddr>) -> Agent {
        let connector = BoundedConnector {
            shared: self.clone(),
            has_proxy: config.proxy().is_some(),
            is_used: AtomicBool::new(false),
        };
        Agent::with_parts(config, connector, Addresses(addresses))
    }

    /// The addresses of a host, from the cache or a lookup. If the cached ones have expired, the
    /// lookup gets half of the limit, and they are used if it fails.
    pub(crate) fn look_up(
        &self,
        (host, port): (&str, u16),
        limit: Duration,
        canceller: &Canceller,
    ) -> Result<Vec<SocketAddr>, (Stage, Error)> {
        if let Some(ip) = base_url::ip(host) {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if base_url::is_localhost(host) {
            return Ok(localhost(port));
        }
        let is_same = |entry: &&CacheEntry| entry.host == host && entry.port == port;
        let cached = self.lock().iter().find(is_same).cloned();
        let known = match cached {
            Some(entry) if entry.is_fresh() => return Ok(entry.addresses),
            expired => expired.map(|entry| entry.addresses),
        };
        let limit = if known.is_some() { limit / 2 } else { limit };
        let name = host.to_owned();
        // Don't hold the lock during the lookup.
        match run_with_timeout(limit, canceller, move || addresses_of(&name, port)) {
            Ok(addresses) => {
                self.remember(host, port, &addresses);
                Ok(addresses)
            }
            Err(error) => known.ok_or(error),
        }
    }

    fn remember(&self, host: &str, port: u16, addresses: &[SocketAddr]) {
        let (host, addresses) = (host.to_owned(), addresses.to_vec());
        let mut cache = self.lock();
        cache.retain(|entry| entry.host != host || entry.port != port);
        cache.insert(0, CacheEntry { host, port, addresses, fresh_since: Some(Instant::now()) });
        cache.truncate(MAX_CACHED_HOSTS);
    }

    /// Makes the next connection look its host up again.
    fn expire(&self) {
        self.lock().iter_mut().for_each(|entry| entry.fresh_since = None);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<CacheEntry>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 6761, section 6.3: `localhost` is this machine, regardless of hosts files and name servers.
/// Without IPv6, `::1` is left out, so that the reported error is that of 127.0.0.1.
fn localhost(port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    addresses
}

fn addresses_of(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = (name, port).to_socket_addrs().map_err(|error| {
        // If no descriptor is free, getaddrinfo reports an unrelated error.
        match UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            Err(shortage) if is_shortage(&shortage) => shortage,
            _ => error,
        }
    })?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.dedup();
    if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
}

/// Runs `work` in a thread, because getaddrinfo has no timeout. If the limit expires or the
/// call is cancelled, the thread is abandoned.
fn run_with_timeout<T: Send + 'static>(
    limit: Duration,
    canceller: &Canceller,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, (Stage, Error)> {
    fn lock<T>(slot: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
    let slot = Arc::new(Mutex::new(None));
    let (result, done) = (slot.clone(), canceller.clone());
    thread::Builder::new()
        .stack_size(LOOKUP_STACK_BYTES)
        .spawn(move || {
            *lock(&result) = Some(work());
            done.wake();
        })
        .map_err(|error| (Stage::LookupThread, error.into()))?;
    canceller.wait(limit, || lock(&slot).is_some());
    let result = lock(&slot).take();
    match result {
        Some(result) => result.map_err(|error| (Stage::Lookup, error.into())),
        None => Err((Stage::Lookup, Error::Timeout(Timeout::Connect))),
    }
}

/// A resolver that returns the addresses that were looked up before.
#[derive(Debug)]
struct Addresses(Vec<SocketAddr>);

impl Resolver for Addresses {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        /// How many addresses ureq's list holds.
        const CAPACITY: usize = 16;
        let mut resolved = self.empty();
        self.0.iter().take(CAPACITY).for_each(|address| resolved.push(*address));
        Ok(resolved)
    }
}

/// Wraps ureq's connector for one connection: marks its errors, and bounds its transport.
///
/// With a proxy, ureq calls [`connect`](Connector::connect) again from within the first call, to
/// reach the proxy.
#[derive(Debug)]
struct BoundedConnector {
    shared: Arc<Shared>,
    has_proxy: bool,
    is_used: AtomicBool,
}

impl Connector<()> for BoundedConnector {
    type Out = BoundedTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let is_to_proxy = self.has_proxy && details.config.proxy().is_none();
        // A second connection needs a new lookup and the current proxy, so it needs a new agent.
        if !is_to_proxy && self.is_used.swap(true, Ordering::Relaxed) {
            let (stage, source) = (Stage::Reuse, Error::ConnectionFailed);
            return Err(ConnectError { stage, by_proxy: false, source }.into());
        }
        let deadline = is_to_proxy.then(|| Instant::now() + *details.timeout.after);
        let error = match self.shared.connector.connect(details, None) {
            Ok(inner) => return Ok(inner.map(|inner| BoundedTransport::new(inner, deadline))),
            Err(error) => error,
        };
        self.shared.expire();
        Err(ConnectError::downcast(error)
            .unwrap_or_else(|source| {
                let refused = matches!(source, Error::ConnectProxyFailed(_) | Error::Protocol(_));
                let by_proxy = is_to_proxy || refused;
                ConnectError { stage: Stage::Connect, by_proxy, source }
            })
            .into())
    }
}

/// A connection that bounds what is received in response to each request.
#[derive(Debug)]
struct BoundedTransport {
    inner: Box<dyn Transport>,
    received: usize,
    /// The deadline for opening the tunnel. `None` once it is open, and without a proxy.
    tunnel_deadline: Option<Instant>,
    /// The last timeout. [`is_open`](Transport::is_open) gets none, and can't construct one.
    last_timeout: Option<NextTimeout>,
}

impl BoundedTransport {
    fn new(inner: Box<dyn Transport>, tunnel_deadline: Option<Instant>) -> Self {
        BoundedTransport { inner, received: 0, tunnel_deadline, last_timeout: None }
    }

    /// Caps a timeout at the time left for opening the tunnel.
    fn clamp(&mut self, mut timeout: NextTimeout) -> NextTimeout {
        if let Some(deadline) = self.tunnel_deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            timeout.after = left.min(*timeout.after).into();
        }
        self.last_timeout = Some(timeout);
        timeout
    }

    /// Until the tunnel is open, any failure is the proxy's, and no part of the request was sent.
    fn map_proxy_error<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|source| match self.tunnel_deadline {
            Some(_) => ConnectError { stage: Stage::Connect, by_proxy: true, source }.into(),
            None => source,
        })
    }

    /// Sends a large request in small pieces, each within the rest of the time limit. A socket's
    /// timeout starts again after each part of a write that it accepts, so one large write could
    /// exceed the limit.
    fn transmit_in_pieces(&mut self, amount: usize, mut timeout: NextTimeout) -> Result<(), Error> {
        let deadline = Instant::now() + *timeout.after;
        for start in (0..amount).step_by(MAX_WRITE_BYTES) {
            let end = amount.min(start + MAX_WRITE_BYTES);
            if start > 0 {
                timeout.after = deadline.saturating_duration_since(Instant::now()).into();
                self.inner.buffers().output().copy_within(start..end, 0);
            }
            self.inner.transmit_output(end - start, timeout)?;
        }
        Ok(())
    }

    /// Whether ureq's buffer or the TLS library's holds bytes, or `Err` if the connection failed.
    fn has_buffered(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        if !self.inner.buffers().input().is_empty() {
            return Ok(true);
        }
        // With no time left, this never blocks: it returns what a buffer holds, or a timeout.
        timeout.after = Duration::ZERO.into();
        match self.inner.await_input(timeout) {
            Ok(_) => Ok(true),
            Err(Error::Timeout(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn receive(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = self.clamp(timeout);
        let before = self.inner.buffers().input().len();
        // ureq waits for more only if the buffer does not hold a whole header yet.
        if before >= MAX_HEADER_BYTES {
            return Err(Error::LargeResponseHeader(before, MAX_HEADER_BYTES));
        }
        let progress = self.inner.await_input(timeout)?;
        self.received += self.inner.buffers().input().len().saturating_sub(before);
        if self.received > MAX_RECEIVED_BYTES {
            return Err(Error::LargeResponseHeader(self.received, MAX_RECEIVED_BYTES));
        }
        Ok(progress)
    }
}

impl Transport for BoundedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // ureq sends nothing between CONNECT and the proxy's response, so the first write after the
        // response goes through the tunnel.
        if self.received > 0 {
            self.tunnel_deadline = None;
        }
        self.received = 0;
        let is_request = self.tunnel_deadline.is_none() && self.last_timeout.is_none();
        let timeout = self.clamp(timeout);
        let result = if is_request && matches!(self.has_buffered(timeout), Ok(true)) {
            let (stage, source) = (Stage::EarlyBytes, Error::ConnectionFailed);
            Err(ConnectError { stage, by_proxy: false, source }.into())
        } else {
            self.transmit_in_pieces(amount, timeout)
        };
        self.inner.buffers().output()[..amount].fill(0);
        self.map_proxy_error(result)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let result = self.receive(timeout);
        self.map_proxy_error(result)
    }

    fn is_open(&mut self) -> bool {
        let timeout = self.last_timeout;
        let has_buffered = timeout.map_or(Ok(false), |timeout| self.has_buffered(timeout));
        matches!(has_buffered, Ok(false)) && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a lookup that fails, with this entry in the cache. A label has at most 63
    /// characters, so no name server is asked.
    fn looked_up(host: &str, port: u16, age: Option<u64>) -> Option<SocketAddr> {
        let name = "a".repeat(64);
        let shared = Shared::default();
        let (address, now) = ([127, 0, 0, 9], Instant::now());
        let fresh_since = age.and_then(|age| now.checked_sub(Duration::from_secs(age)));
        *shared.lock() = vec![CacheEntry {
            host: host.replace("NAME", &name),
            port: 1,
            addresses: vec![(address, 1).into()],
            fresh_since,
        }];
        let limit = Duration::from_secs(60);
        let found = shared.look_up((&name, port), limit, &Canceller::new());
        found.ok().map(|addresses| addresses[0])
    }

    #[test]
    fn the_last_known_addresses_are_used_if_a_lookup_fails() {
        let known = Some(SocketAddr::from(([127, 0, 0, 9], 1)));
        assert_eq!(looked_up("NAME", 1, Some(0)), known);
        assert_eq!(looked_up("NAME", 1, Some(3600)), known);
        assert_eq!(looked_up("NAME", 1, None), known);
        assert_eq!(looked_up("NAME", 2, Some(0)), None);
        assert_eq!(looked_up("b.example", 1, Some(0)), None);
    }

    #[test]
    fn addresses_are_used_for_a_minute_without_another_lookup() {
        let shared = Shared::default();
        let known = vec![SocketAddr::from(([127, 0, 0, 9], 1))];
        // The C library resolves this name to 127.0.0.1, and asks no name server.
        let name = "127.1".to_owned();
        let start = Instant::now();
        let is_used = |age: u64| {
            *shared.lock() = vec![CacheEntry {
                host: name.clone(),
                port: 1,
                addresses: known.clone(),
                fresh_since: start.checked_sub(Duration::from_secs(age)),
            }];
            let limit = Duration::from_secs(120);
            shared.look_up((&name, 1), limit, &Canceller::new()).unwrap() == known
        };
        assert!(is_used(0) && is_used(50) && !is_used(61));
        assert!(start.elapsed() < Duration::from_secs(50), "the end of the lookup went unnoticed");
    }

    #[test]
    fn a_cache_keeps_the_last_four_hosts() {
        let shared = Shared::default();
        for (host, port) in [("a", 1), ("b", 1), ("c", 1), ("a", 1), ("a", 2), ("e", 1)] {
            shared.remember(host, port, &[]);
        }
        let hosts: Vec<_> =
            shared.lock().iter().map(|entry| (entry.host.clone(), entry.port)).collect();
        let expected = [("e", 1), ("a", 2), ("a", 1), ("c", 1)];
        assert_eq!(hosts, expected.map(|(host, port)| (host.to_owned(), port)));
    }
}
