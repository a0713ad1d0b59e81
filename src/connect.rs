//! The connections under a call: ureq's own, kept within bounds. The only file that uses
//! `ureq::unversioned`; nothing of it is built by its fields, and nothing else of it is used than
//! what has met no break since ureq 3.0.
//!
//! What the promises of this crate need beyond ureq's connections:
//!
//! - Names are looked up once, and `localhost` is only ever this machine.
//! - A failure before anything was sent is marked, because a login may be repeated only then.
//! - All that is received in response to one request is counted, early hints and trailers included.
//! - A proxy has one time limit for opening a tunnel. ureq gives it the whole time for each read.
//! - What was sent is wiped: the buffer of an idle connection would else still hold the password.

use std::any::Any;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use ureq::{Agent, Error, Proxy, Timeout};

use crate::base_url;
use crate::error::{Stage, Unsent, is_io_shortage};
use crate::limits::{ADDRESSES_MAX_AGE, MAX_RECEIVED_BYTES};

/// One pool of connections, and what is known of names.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pub(crate) agent: Agent,
    resolver: CachingResolver,
}

impl Connections {
    pub(crate) fn new(config: Config) -> Connections {
        let resolver = CachingResolver::default();
        let connector =
            BoundedConnector { inner: DefaultConnector::default(), resolver: resolver.clone() };
        Connections { agent: Agent::with_parts(config, connector, resolver.clone()), resolver }
    }

    /// Looks a proxy's name up before the call needs it. ureq would count the look-up against the
    /// time limit for connecting, which is too short for a name server that is slow to fail.
    pub(crate) fn look_up_proxy(&self, proxy: &Proxy, limit: Duration) -> Result<(), Error> {
        match self.resolver.look_up(proxy.uri(), limit) {
            Ok(_) => Ok(()),
            Err((stage, source)) => Err(Unsent { stage, by_proxy: true, source }.into()),
        }
    }
}

/// The addresses of the name that was looked up last.
#[derive(Debug, Clone, Default)]
struct CachingResolver(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    name: String,
    addresses: Vec<IpAddr>,
    since: Instant,
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let addresses = self.look_up(uri, *timeout.after).map_err(|(stage, source)| {
            let source = match source {
                Error::Timeout(_) => Error::Timeout(timeout.reason),
                other => other,
            };
            Unsent { stage, by_proxy: false, source }
        })?;
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
        let mut resolved = self.empty();
        for address in config.ip_family().keep_wanted(addresses.collect::<Vec<_>>().into_iter()) {
            if resolved.len() == MAX_ADDRESSES {
                break;
            }
            resolved.push(address);
        }
        if resolved.is_empty() {
            let (stage, source) = (Stage::Connect, Error::HostNotFound);
            return Err(Unsent { stage, by_proxy: false, source }.into());
        }
        Ok(resolved)
    }
}

/// What ureq's list of addresses holds.
const MAX_ADDRESSES: usize = 16;

impl CachingResolver {
    fn look_up(&self, uri: &Uri, limit: Duration) -> Result<Vec<IpAddr>, (Stage, Error)> {
        let host = uri.host().unwrap_or_default();
        if let Some(ip) = base_url::ip(host) {
            return Ok(vec![ip]);
        }
        let mut known = self.known();
        if let Some(known) = &*known {
            if known.name == host && known.since.elapsed() < ADDRESSES_MAX_AGE {
                return Ok(known.addresses.clone());
            }
        }
        // No other thread waits for this look-up.
        *known = None;
        drop(known);
        let name = host.to_owned();
        let addresses = within(limit, move || addresses_of(&name))?;
        if base_url::is_localhost(host) {
            // Plain http is allowed to it because it is this machine. A hosts file or a name
            // server can say something else.
            if let Some(other) = addresses.iter().find(|ip| !ip.is_loopback()) {
                return Err((Stage::Localhost(*other), Error::HostNotFound));
            }
        }
        let name = host.to_owned();
        *self.known() = Some(Known { name, addresses: addresses.clone(), since: Instant::now() });
        Ok(addresses)
    }

    fn forget(&self) {
        *self.known() = None;
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn addresses_of(name: &str) -> io::Result<Vec<IpAddr>> {
    let looked_up = (name, 0).to_socket_addrs().map_err(|error| {
        // Without a descriptor to ask a name server with, the C library says something else.
        match UdpSocket::bind(("127.0.0.1", 0)) {
            Err(shortage) if is_io_shortage(&shortage) => shortage,
            _ => error,
        }
    })?;
    let mut addresses: Vec<IpAddr> = looked_up.map(|address| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}

/// Does `work` on a thread of its own, because the system's look-up knows no time limit. Past the
/// limit the thread is left to itself.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, (Stage, Error)> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .spawn(move || sender.send(work()))
        .map_err(|error| (Stage::LookUpThread, error.into()))?;
    let result = match receiver.recv_timeout(limit) {
        Ok(result) => result.map_err(Error::from),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::Timeout(Timeout::Global)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Error::HostNotFound),
    };
    result.map_err(|source| (Stage::LookUp, source))
}

/// ureq's connector; its failures are marked, and what it makes is kept within bounds.
///
/// ureq calls it once more, from the inside, to connect to a proxy.
#[derive(Debug)]
struct BoundedConnector {
    inner: DefaultConnector,
    resolver: CachingResolver,
}

impl Connector<()> for BoundedConnector {
    type Out = BoundedTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        // ureq panics over a configuration that it can't work with, such as a client certificate
        // that is none. What is half done by then is dropped.
        let due = Instant::now() + *details.timeout.after;
        let connected = catch_unwind(AssertUnwindSafe(|| self.inner.connect(details, None)));
        let error = match connected {
            Ok(Ok(inner)) => return Ok(inner.map(|inner| BoundedTransport::new(inner, due))),
            Ok(Err(error)) => error,
            Err(panic) => {
                let (stage, source) = (Stage::Config(message(&*panic)), Error::ConnectionFailed);
                return Err(Unsent { stage, by_proxy: false, source }.into());
            }
        };
        self.resolver.forget();
        let through_proxy = details.config.proxy().is_some();
        Err(match Unsent::of(error) {
            // Marked on the inside, where only a proxy is connected to.
            Ok(unsent) => Unsent { by_proxy: unsent.by_proxy || through_proxy, ..unsent },
            Err(source) => {
                let by_proxy = matches!(source, Error::ConnectProxyFailed(_) | Error::Protocol(_));
                Unsent { stage: Stage::Connect, by_proxy, source }
            }
        }
        .into())
    }
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("ureq panicked").to_owned()
}

/// A connection, with bounds on what is received in response to what was last written.
#[derive(Debug)]
struct BoundedTransport {
    inner: Box<dyn Transport>,
    received: usize,
    tunnel: Tunnel,
}

/// Whether a proxy is being asked for a tunnel.
#[derive(Debug, Clone, Copy)]
enum Tunnel {
    /// Nothing was written yet; connecting has time until then.
    Fresh(Instant),
    /// The first thing that was written is ureq's CONNECT, and the proxy has time until then.
    Asked(Instant),
    /// There is a tunnel, or there is no proxy.
    Done,
}

impl BoundedTransport {
    fn new(inner: Box<dyn Transport>, due: Instant) -> Self {
        BoundedTransport { inner, received: 0, tunnel: Tunnel::Fresh(due) }
    }

    /// What is left of a limit. ureq gives a proxy the whole of it for each read.
    fn left(&self, mut timeout: NextTimeout) -> NextTimeout {
        if let Tunnel::Asked(due) = self.tunnel {
            let left = due.saturating_duration_since(Instant::now());
            timeout.after = left.min(*timeout.after).into();
        }
        timeout
    }

    /// Until there is a tunnel, it is the proxy that fails, and nothing of the request was sent.
    fn mark<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|source| match self.tunnel {
            Tunnel::Asked(_) => Unsent { stage: Stage::Connect, by_proxy: true, source }.into(),
            Tunnel::Fresh(_) | Tunnel::Done => source,
        })
    }

    fn receive(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = self.left(timeout);
        let before = self.inner.buffers().input().len();
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
        self.tunnel = match self.tunnel {
            Tunnel::Fresh(due)
                if self.inner.buffers().output()[..amount].starts_with(b"CONNECT ") =>
            {
                Tunnel::Asked(due)
            }
            Tunnel::Asked(due) if self.received == 0 => Tunnel::Asked(due),
            _ => Tunnel::Done,
        };
        self.received = 0;
        let timeout = self.left(timeout);
        let result = self.inner.transmit_output(amount, timeout);
        self.inner.buffers().output()[..amount].fill(0);
        self.mark(result)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let result = self.receive(timeout);
        self.mark(result)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_used_again_for_a_minute_and_for_their_own_name() {
        let known = [IpAddr::from([127, 0, 0, 9])];
        let used_again = |name: &str, age| {
            let resolver = CachingResolver::default();
            let since = Instant::now().checked_sub(Duration::from_secs(age)).unwrap();
            let (name, addresses) = (name.to_owned(), known.to_vec());
            *resolver.known() = Some(Known { name, addresses, since });
            let uri = Uri::from_static("http://localhost");
            resolver.look_up(&uri, Duration::from_secs(60)).unwrap() == known
        };
        assert!(used_again("localhost", 0));
        assert!(used_again("localhost", 50));
        assert!(!used_again("localhost", 61));
        assert!(!used_again("elsewhere", 0));
    }
}
