//! The connections under a call: made late, kept within bounds.
//!
//! Built on ureq's own connectors, and adds what the promises of this crate need beyond them:
//!
//! - A host is looked up where a connection is really made, and on a thread only where a name
//!   needs one. ureq looks it up, on a thread, for every request.
//! - A failure of making the connection is marked, because a login may be repeated only then.
//! - All that one answer may take is counted, early hints and trailers without end included.
//! - A deadline holds for all reads after one write. ureq gives a proxy the whole time for each.
//! - What was sent is wiped: the buffer of an idle connection would else still hold the password.

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use ureq::config::Config;
use ureq::http::Uri;
#[cfg(feature = "rustls")]
use ureq::tls::RootCerts;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, Transport, time,
};
use ureq::{Agent, Error, Proxy, ProxyProtocol, Timeout};

use crate::answer::MOST_BODY;
use crate::site::MOST_HEADER;
use crate::tcp::Tcp;

/// An agent whose connections keep this crate's promises.
pub(crate) fn agent(config: Config) -> Agent {
    let connector = ().chain(ConnectProxyConnector::default()).chain(Tcp);
    #[cfg(feature = "rustls")]
    let connector = connector.chain(ureq::unversioned::transport::RustlsConnector::default());
    #[cfg(feature = "native-tls")]
    let connector = connector.chain(ureq::unversioned::transport::NativeTlsConnector::default());
    Agent::with_parts(config, Dial(connector), Later)
}

/// The caller's agent, with connections of this crate's own where it has none of its own.
///
/// An agent that was made from a configuration alone has ureq's connector and resolver, and a new
/// one of the same configuration does as well with those of this crate. ureq gives no other sign
/// of it than `Debug`. It stays as it is where ureq has a connector that this crate has not.
pub(crate) fn adopt(agent: Agent) -> Agent {
    let (config, shown) = (agent.config(), format!("{agent:?}"));
    let is_plain = shown == format!("{:?}", Agent::new_with_config(config.clone()));
    // ureq panics over a proxy or a TLS library that it was built without; this crate says so.
    let has_socks = !shown.contains("WarnOnNoSocksConnector");
    let needs_ureq = !config.proxy().is_none_or(speaks_http) && has_socks
        || shown.contains("RustlsConnector") && !cfg!(feature = "rustls")
        || shown.contains("NativeTlsConnector") && !cfg!(feature = "native-tls");
    if is_plain && !needs_ureq { self::agent(config.clone()) } else { agent }
}

fn speaks_http(proxy: &Proxy) -> bool {
    matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https)
}

/// Whether the connection for a call could not be made, so that nothing of it was sent.
pub(crate) fn was_not_made(error: &Error) -> bool {
    match error {
        Error::HostNotFound
        | Error::ConnectionFailed
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
        Error::Io(e) => is_unmade(e) || e.kind() == io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

fn is_unmade(e: &io::Error) -> bool {
    e.get_ref().is_some_and(<dyn StdError + Send + Sync>::is::<Unmade>)
}

/// Marks the error of a connection that could not be made.
#[derive(Debug)]
struct Unmade(io::Error);

impl fmt::Display for Unmade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Unmade {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

fn unmade(error: Error) -> Error {
    match error {
        Error::Io(e) if !is_unmade(&e) => Error::Io(io::Error::new(e.kind(), Unmade(e))),
        other => other,
    }
}

/// Leaves the look-up to [`Dial`].
#[derive(Debug)]
struct Later;

impl Resolver for Later {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Looks the host up, then makes the connection with the connectors inside.
#[derive(Debug)]
struct Dial<C>(C);

impl<C: Connector<()>> Connector<()> for Dial<C> {
    type Out = Bounded<C::Out>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let started = Instant::now();
        let proxy = details.config.proxy().filter(|proxy| !proxy.is_no_proxy(details.uri));
        if !proxy.is_none_or(speaks_http) {
            let why = "a SOCKS proxy needs an agent of ureq's feature socks-proxy";
            return Err(Error::ConnectProxyFailed(why.to_owned()));
        }
        #[cfg(feature = "rustls")]
        if details.needs_tls()
            && matches!(details.config.tls_config().root_certs(), RootCerts::PlatformVerifier)
            && !cfg!(any(feature = "platform-verifier", feature = "native-tls"))
        {
            return Err(Error::Tls("the system's roots need the feature platform-verifier"));
        }
        let addrs = if proxy.is_none_or(Proxy::resolve_target) {
            look_up(details.uri, details.config, details.timeout).map_err(unmade)?
        } else {
            Later.empty()
        };
        let details = ConnectionDetails {
            uri: details.uri,
            addrs,
            config: details.config,
            // Calls differ from the agent in limits only, so the agent's TLS setup is theirs.
            request_level: false,
            resolver: details.resolver,
            now: time::Instant::Exact(Instant::now()),
            timeout: less(details.timeout, started.elapsed())?,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let Some(transport) = self.0.connect(&details, None).map_err(unmade)? else {
            return Ok(None);
        };
        if details.needs_tls() && !transport.is_tls() {
            return Err(Error::TlsRequired);
        }
        Ok(Some(Bounded { transport, received: 0, due: None }))
    }
}

/// What is left of a time limit.
fn less(mut limit: NextTimeout, elapsed: Duration) -> Result<NextTimeout, Error> {
    if let time::Duration::Exact(after) = limit.after {
        let left = after.checked_sub(elapsed).filter(|left| !left.is_zero());
        limit.after = left.ok_or(Error::Timeout(limit.reason))?.into();
    }
    Ok(limit)
}

/// The addresses of the host in `uri`.
fn look_up(uri: &Uri, config: &Config, limit: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
    let host = uri.host().ok_or(Error::HostNotFound)?;
    let https = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addrs = match bare.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)].into_iter(),
        Err(_) => {
            let name = host.to_owned();
            within(limit, move || (name, port).to_socket_addrs())?
        }
    };
    let mut result = Later.empty();
    for addr in config.ip_family().keep_wanted(addrs).take(16) {
        result.push(addr);
    }
    if result.is_empty() { Err(Error::HostNotFound) } else { Ok(result) }
}

/// Does `work` on a thread of its own, because the system's look-up knows no time limit. Past the
/// limit the thread is left to itself.
fn within<T: Send + 'static>(
    limit: NextTimeout,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().spawn(move || sender.send(work()))?;
    match receiver.recv_timeout(*limit.after) {
        Ok(result) => Ok(result?),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::Timeout(limit.reason)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Error::HostNotFound),
    }
}

/// Bounds what is read in answer to what was last written, in bytes and in time.
#[derive(Debug)]
struct Bounded<T> {
    transport: T,
    received: usize,
    due: Option<(Timeout, Instant)>,
}

impl<T> Bounded<T> {
    /// The earliest moment that a limit of this kind has named since the last write.
    fn strictest(&mut self, mut limit: NextTimeout) -> Result<NextTimeout, Error> {
        let time::Duration::Exact(after) = limit.after else { return Ok(limit) };
        let now = Instant::now();
        let mut due = now + after;
        match self.due {
            Some((reason, earlier)) if reason == limit.reason => due = due.min(earlier),
            _ => {}
        }
        self.due = Some((limit.reason, due));
        limit.after = due.saturating_duration_since(now).into();
        less(limit, Duration::ZERO)
    }
}

impl<T: Transport> Transport for Bounded<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        (self.received, self.due) = (0, None);
        let result = self.transport.transmit_output(amount, timeout);
        self.transport.buffers().output()[..amount].fill(0);
        result
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = self.strictest(timeout)?;
        let before = self.transport.buffers().input().len();
        let progress = self.transport.await_input(timeout)?;
        self.received += self.transport.buffers().input().len().saturating_sub(before);
        let most = MOST_HEADER + MOST_BODY;
        if self.received > most {
            return Err(Error::LargeResponseHeader(self.received, most));
        }
        Ok(progress)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn limit(after: Duration) -> NextTimeout {
        NextTimeout { after: after.into(), reason: Timeout::Connect, ..NextTimeout::default() }
    }

    #[test]
    fn a_look_up_that_hangs_is_left_at_the_limit() {
        let (hold, held) = mpsc::channel::<()>();
        let hangs = move || Ok(held.recv().is_ok());
        let start = Instant::now();
        let result = within(limit(Duration::from_millis(100)), hangs);
        assert!(matches!(result, Err(Error::Timeout(Timeout::Connect))));
        assert!(start.elapsed() < Duration::from_secs(5));
        drop(hold);
        assert!(matches!(within(limit(Duration::from_secs(60)), || Ok(7)), Ok(7)));
    }

    #[test]
    fn a_literal_address_needs_no_look_up() {
        let look_up = |uri| {
            let config = Agent::config_builder().proxy(None).build();
            // With no time at all, no thread could answer.
            look_up(&Uri::from_static(uri), &config, limit(Duration::ZERO))
                .map(|a| a[0].to_string())
        };
        assert_eq!(look_up("http://192.0.2.1").unwrap(), "192.0.2.1:80");
        assert_eq!(look_up("https://192.0.2.1").unwrap(), "192.0.2.1:443");
        assert_eq!(look_up("https://[2001:db8::1]:8443").unwrap(), "[2001:db8::1]:8443");
    }

    #[test]
    fn a_name_is_looked_up() {
        let config = Agent::config_builder().proxy(None).build();
        let addrs = look_up(
            &Uri::from_static("http://localhost:81"),
            &config,
            limit(Duration::from_secs(60)),
        );
        assert!(addrs.unwrap().iter().all(|addr| addr.ip().is_loopback() && addr.port() == 81));
    }

    /// A server that sends `start`, then `more` again and again, until the client goes.
    fn sends_without_end(start: &'static [u8], more: Vec<u8>, pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            stream.write_all(start)?;
            loop {
                stream.write_all(&more)?;
                thread::sleep(pause);
            }
            #[allow(unreachable_code, reason = "for the type")]
            io::Result::Ok(())
        });
        addr
    }

    #[test]
    fn a_proxy_that_sends_a_byte_at_a_time_does_not_outlast_the_limit() {
        let proxy =
            sends_without_end(b"HTTP/1.1 200 OK\r\nX: ", b"y".to_vec(), Duration::from_millis(50));
        let config = Agent::config_builder()
            .proxy(Proxy::new(&format!("http://{proxy}")).ok())
            .timeout_global(Some(Duration::from_millis(300)))
            .build();
        let start = Instant::now();
        let result = agent(config).get("http://127.0.0.1:9").call();
        assert!(matches!(result, Err(Error::Timeout(_))), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    #[test]
    fn what_one_answer_may_take_is_counted() {
        let hints = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100);
        let server = sends_without_end(b"", hints, Duration::ZERO);
        let config = Agent::config_builder()
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        let result = agent(config).get(format!("http://{server}")).call();
        assert!(matches!(result, Err(Error::LargeResponseHeader(..))), "{result:?}");
    }
}
