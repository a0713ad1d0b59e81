//! One session's connection: a name becomes addresses, then TCP or the proxy's tunnel, then TLS.
//!
//! Uses only items of `ureq::unversioned` that have not changed since ureq 3.0, and constructs no
//! struct by its fields. ureq's own time limits are not used: the socket has the deadline.

use std::io;
use std::sync::Arc;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, Transport,
};
use ureq::{Agent, Error, Proxy};

use crate::error::{ConnectError, Stage};
use crate::limits::{Deadline, MAX_HEADER_BYTES};
use crate::lookup::look_up;
use crate::site::Site;
use crate::socket::{Handle, Phase, Socket, State, wipe};

/// A connection for one session. It is made when the first request is sent, and kept for the next.
pub(crate) struct Connection {
    /// An agent of its own, so that no other session gets its connection or its cookies.
    pub(crate) agent: Agent,
    pub(crate) handle: Arc<Handle>,
}

impl Connection {
    pub(crate) fn new(site: &Site, proxy: Option<&Proxy>, deadline: Deadline) -> Connection {
        let handle = Arc::new(Handle::new(deadline));
        site.canceller.watch(&handle);
        let connector = SessionConnector { handle: handle.clone(), site: site.clone() };
        let agent = Agent::with_parts(site.config(proxy), connector, NoResolver);
        Connection { agent, handle }
    }

    /// Whether the first byte of the request was handed to the system.
    pub(crate) fn is_sent(&self) -> bool {
        self.handle.state().phase == Phase::Sent
    }

    /// Prepares a connection that was kept for another request.
    pub(crate) fn reuse(self, deadline: Deadline) -> Connection {
        self.handle.state().deadline = deadline;
        self.handle.enter(Phase::Kept);
        self
    }
}

/// ureq wants an address before it connects, and gets a placeholder. The connector does the lookup.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut placeholder = self.empty();
        placeholder.push(([0, 0, 0, 0], 0).into());
        Ok(placeholder)
    }
}

/// Makes one connection. With a proxy, ureq calls [`connect`](Connector::connect) again from within
/// the first call, to reach the proxy.
#[derive(Debug)]
struct SessionConnector {
    handle: Arc<Handle>,
    site: Site,
}

impl Connector<()> for SessionConnector {
    type Out = SessionTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let handle = &self.handle;
        let State { phase, deadline: call_deadline, .. } = *handle.state();
        let is_to_proxy = phase == Phase::Connecting;
        let failed_at = |stage| {
            let by_proxy = is_to_proxy || stage == Stage::Tunnel;
            move |source| ConnectError::mark(source, stage, by_proxy, handle.state().deadline)
        };
        // A second connection needs the current proxy, so it needs a new agent.
        if !is_to_proxy && phase != Phase::New {
            return Err(failed_at(Stage::Tcp)(closed()));
        }
        handle.enter(Phase::Connecting);

        let tunnel = ConnectProxyConnector::default().connect(details, None::<Socket>);
        let transport: Box<dyn Transport> = match tunnel.map_err(failed_at(Stage::Tunnel))? {
            Some(tunnel) => Box::new(tunnel),
            None => {
                let (host, port) = host_and_port(details.uri);
                let addresses =
                    look_up(host, port, call_deadline.time_left(), &self.site.canceller)
                        .map_err(failed_at(Stage::Lookup))?;
                let connect_deadline = Deadline::new("connect_timeout", self.site.connect_timeout);
                handle.state().deadline = call_deadline.min(connect_deadline);
                let socket = Socket::connect(addresses, handle);
                Box::new(socket.map_err(failed_at(Stage::Tcp))?)
            }
        };
        handle.enter(Phase::Handshake);
        let inner = self.site.tls.connect(details, transport).map_err(failed_at(Stage::Tls))?;

        if is_to_proxy {
            // The tunnel is yet to be opened, before the same deadline.
            handle.enter(Phase::Connecting);
        } else {
            handle.state().deadline = call_deadline;
            handle.enter(Phase::Ready);
        }
        Ok(Some(SessionTransport { inner, handle: handle.clone() }))
    }
}

/// The peer has closed the connection.
pub(crate) fn closed() -> Error {
    io::Error::from(io::ErrorKind::UnexpectedEof).into()
}

fn host_and_port(uri: &Uri) -> (&str, u16) {
    let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default_port))
}

/// Checks that nothing was received before a request, and wipes what was sent: the buffer of an
/// idle connection would otherwise hold the password.
#[derive(Debug)]
struct SessionTransport {
    inner: Box<dyn Transport>,
    handle: Arc<Handle>,
}

impl SessionTransport {
    /// Bytes that are received before a request are not its response, but ureq and the TLS library
    /// would return them as one without reading the socket, so the request would not even be sent.
    fn check_before_request(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let State { phase, deadline, .. } = *self.handle.state();
        let is_kept = phase == Phase::Kept;
        if !is_kept && phase != Phase::Ready {
            return Ok(());
        }
        let stage = if is_kept { Stage::Tcp } else { Stage::EarlyBytes };
        match self.buffered(timeout) {
            Ok(0) => self.handle.enter(Phase::Requesting),
            Err(error) if !is_kept => return Err(error),
            _ => return Err(ConnectError::mark(closed(), stage, false, deadline)),
        }
        Ok(())
    }

    /// The number of bytes in ureq's buffer, after the TLS library's was emptied into it.
    fn buffered(&mut self, timeout: NextTimeout) -> Result<usize, Error> {
        // Secure Transport gives up a connection after a read that finds nothing.
        let can_look = !cfg!(target_vendor = "apple") || cfg!(feature = "rustls");
        if can_look && self.inner.buffers().input().is_empty() {
            match self.inner.await_input(timeout) {
                Ok(true) | Err(Error::Timeout(_)) => {}
                Ok(false) => return Err(closed()),
                Err(error) => return Err(error),
            }
        }
        Ok(self.inner.buffers().input().len())
    }
}

impl Transport for SessionTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let result = self
            .check_before_request(timeout)
            .and_then(|()| self.inner.transmit_output(amount, timeout));
        wipe(&mut self.inner.buffers().output()[..amount]);
        result
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        // ureq waits for more only if the buffer does not hold a whole header yet. A read into a
        // full buffer would look like the end of the input.
        let received = self.inner.buffers().input().len();
        if received >= MAX_HEADER_BYTES {
            return Err(Error::LargeResponseHeader(received, MAX_HEADER_BYTES));
        }
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
