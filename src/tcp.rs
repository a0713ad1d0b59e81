//! A TCP connection that keeps the time limit in writing, too.
//!
//! ureq's own gives each system call of a write the whole limit. A peer that stops reading in the
//! middle of a long login would double it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport, time,
};
use ureq::{Error, Timeout};

/// Makes TCP connections, where no connector before it has made one.
#[derive(Debug)]
pub(crate) struct Tcp;

impl<In: Transport> Connector<In> for Tcp {
    type Out = Either<In, Connection>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let stream = connect(&details.addrs, &Until::new(details.timeout))?;
        stream.set_nodelay(details.config.no_delay())?;
        let stream = Arc::new(stream);
        let handle: Weak<dyn ShutdownHandle> = Arc::<TcpStream>::downgrade(&stream);
        (details.register_shutdown)(handle)?;
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Connection { stream, buffers: LazyBuffers::new(input, output) })))
    }
}

/// Tries one address after the other. Each but the last may take half of the time that is left.
fn connect(addrs: &[SocketAddr], until: &Until) -> Result<TcpStream, Error> {
    let mut result = Err(Error::ConnectionFailed);
    for (i, addr) in addrs.iter().enumerate() {
        let share = if i + 1 < addrs.len() { 2 } else { 1 };
        let attempt = match until.left()? {
            Some(left) => TcpStream::connect_timeout(addr, left / share),
            None => TcpStream::connect(addr),
        };
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(e) if is_timeout(&e) => result = Err(Error::Timeout(Timeout::Connect)),
            Err(e) => result = Err(e.into()),
        }
    }
    result
}

fn is_timeout(e: &io::Error) -> bool {
    // What a socket's time limit gives on Unix, and on Windows.
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The moment at which a time limit is reached, if there is one.
struct Until {
    due: Option<Instant>,
    reason: Timeout,
}

impl Until {
    fn new(limit: NextTimeout) -> Until {
        let due = match limit.after {
            time::Duration::Exact(after) => Instant::now().checked_add(after),
            time::Duration::NotHappening => None,
        };
        Until { due, reason: limit.reason }
    }

    /// What is left, which is never nothing: a socket would take that for no limit at all.
    fn left(&self) -> Result<Option<Duration>, Error> {
        let Some(due) = self.due else { return Ok(None) };
        match due.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::Timeout(self.reason)),
            left => Ok(Some(left)),
        }
    }

    /// Does something with a socket within the limit, again where a signal interrupted it.
    fn keep<T>(
        &self,
        set: impl Fn(Option<Duration>) -> io::Result<()>,
        mut act: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Error> {
        loop {
            match set(self.left()?) {
                // macOS does not take a limit once the peer is gone; what comes next tells.
                Err(e) if e.kind() != io::ErrorKind::InvalidInput => return Err(e.into()),
                _ => {}
            }
            match act() {
                Ok(value) => return Ok(value),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => return Err(Error::Timeout(self.reason)),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    /// Shared with the agent's `shutdown`, weakly.
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let (stream, until) = (&*self.stream, Until::new(timeout.for_write()));
        let mut left = &self.buffers.output()[..amount];
        while !left.is_empty() {
            match until
                .keep(|limit| stream.set_write_timeout(limit), || (&mut &*stream).write(left))?
            {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                n => left = &left[n..],
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let (stream, until) = (&*self.stream, Until::new(timeout.for_read()));
        let space = self.buffers.input_append_buf();
        let n =
            until.keep(|limit| stream.set_read_timeout(limit), || (&mut &*stream).read(space))?;
        self.buffers.input_appended(n);
        Ok(n > 0)
    }

    /// Whether an idle connection is good for another request: neither closed, nor with bytes on
    /// it that belong to no answer.
    fn is_open(&mut self) -> bool {
        let quiet = || {
            self.stream.set_nonblocking(true)?;
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            Ok::<_, io::Error>(peeked.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock))
        };
        quiet().unwrap_or(false)
    }
}
