//! TCP, at the bottom of a connection: connecting to the first address that answers, and one
//! deadline for everything that is sent and received.
//!
//! Output is collected, and sent in one write when input is awaited or the buffer is full. So
//! header and body leave together, and over TLS 1.3 together with the end of the handshake. A
//! failed write is not yet a failure: the peer may have responded before it closed the connection,
//! and the next read shows that.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use std::{fmt, mem, thread};

use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};
use ureq::{Error, Timeout};

use crate::limits::{
    Deadline, FIRST_ADDRESS_TIMEOUT, MAX_HEADER_BYTES, MAX_RECEIVED_BYTES, MAX_WRITE_BYTES,
    OUTPUT_BUFFER_BYTES,
};

/// The state of a connection, shared by its call and a canceller, and their control of it. It
/// belongs to one call at a time.
#[derive(Debug)]
pub(crate) struct Handle(Mutex<State>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) deadline: Deadline,
    pub(crate) phase: Phase,
    /// The number of bytes received since the last `enter`.
    received: usize,
    stream: Weak<TcpStream>,
    is_cut_off: bool,
}

/// How far a connection, and a request over it, got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    New,
    /// TCP, or the proxy's tunnel.
    Connecting,
    /// TLS.
    Handshake,
    /// No part of a request was collected yet.
    Ready,
    /// The same, over the connection of an earlier request.
    Kept,
    /// Part of a request was collected.
    Requesting,
    /// The first byte of a request was handed to the system.
    Sent,
}

impl Handle {
    /// The handle of a connection that is yet to be made.
    pub(crate) fn new(deadline: Deadline) -> Handle {
        let (phase, stream) = (Phase::New, Weak::new());
        Handle(Mutex::new(State { deadline, phase, received: 0, stream, is_cut_off: false }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let mut state = self.state();
        (state.phase, state.received) = (phase, 0);
    }

    /// Ends the operation in progress, and makes all later ones fail.
    pub(crate) fn cut_off(&self) {
        let mut state = self.state();
        state.is_cut_off = true;
        // It fails if the peer has closed the connection, which is just as good.
        state.stream.upgrade().map(|stream| stream.shutdown(Shutdown::Both));
    }

    /// The time left until the deadline. An error if there is none, or after a cut-off.
    fn time_left(&self) -> Result<Duration, Error> {
        let state = self.state();
        match state.deadline.time_left() {
            _ if state.is_cut_off => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
            Duration::ZERO => Err(Error::Timeout(Timeout::Global)),
            left => Ok(left),
        }
    }
}

/// A TCP connection.
pub(crate) struct Socket {
    stream: Arc<TcpStream>,
    handle: Arc<Handle>,
    buffers: LazyBuffers,
    /// Output that was not sent yet. It may contain a password.
    collected: Vec<u8>,
    failed_write: Option<Error>,
}

impl Socket {
    /// Connects to the first address that answers, before the deadline of the handle.
    pub(crate) fn connect(addresses: Vec<SocketAddr>, handle: &Arc<Handle>) -> Result<Self, Error> {
        let stream = Arc::new(connect_first(addresses, handle)?);
        // If this fails, small packets wait for the peer's acknowledgement: slower, but correct.
        let _ = stream.set_nodelay(true);
        if cfg!(windows) {
            stream.set_nonblocking(true)?;
        }
        handle.state().stream = Arc::downgrade(&stream);
        Ok(Socket {
            stream,
            handle: handle.clone(),
            buffers: LazyBuffers::new(MAX_HEADER_BYTES, OUTPUT_BUFFER_BYTES),
            collected: Vec::new(),
            failed_write: None,
        })
    }

    /// Sends what was collected. After a failed write, it is dropped.
    fn send_collected(&mut self) {
        let mut collected = mem::take(&mut self.collected);
        if self.failed_write.is_none() {
            self.failed_write = self.write_all(&collected).err();
        }
        wipe(&mut collected);
    }

    fn write_all(&self, mut output: &[u8]) -> Result<(), Error> {
        while !output.is_empty() {
            let write = |mut stream: &TcpStream| stream.write(output);
            let amount = wait(&self.stream, &self.handle, TcpStream::set_write_timeout, write)?;
            if amount == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            let mut state = self.handle.state();
            if state.phase == Phase::Requesting {
                state.phase = Phase::Sent;
            }
            output = &output[amount..];
        }
        Ok(())
    }

    /// Sends what was collected, and waits for input. `false` means the end of the input.
    fn await_response(&mut self) -> Result<bool, Error> {
        self.handle.time_left()?;
        if matches!(self.handle.state().phase, Phase::Ready | Phase::Kept) {
            // Before a request, only the buffers of ureq and of the TLS library are checked.
            return Err(Error::Timeout(Timeout::Global));
        }
        self.send_collected();
        match (self.read(), self.failed_write.take()) {
            (Ok(0) | Err(_), Some(failed)) => Err(failed),
            (result, failed) => {
                self.failed_write = failed;
                result.map(|amount| amount > 0)
            }
        }
    }

    fn read(&mut self) -> Result<usize, Error> {
        let input = self.buffers.input_append_buf();
        let read = |mut stream: &TcpStream| stream.read(input);
        let amount = wait(&self.stream, &self.handle, TcpStream::set_read_timeout, read)?;
        self.buffers.input_appended(amount);
        let mut state = self.handle.state();
        state.received += amount;
        match (amount, state.phase) {
            // The peer did not end the input, but ureq would take this for the end of a body.
            (0, _) if state.is_cut_off => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
            // With OpenSSL, the end of the input would look like any other error.
            (0, Phase::Handshake) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ if state.received > MAX_RECEIVED_BYTES => {
                Err(Error::LargeResponseHeader(state.received, MAX_RECEIVED_BYTES))
            }
            _ => Ok(amount),
        }
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        if self.collected.len() + amount > self.collected.capacity() {
            self.send_collected();
            // It must not grow later: that would leave a copy behind.
            self.collected = Vec::with_capacity(MAX_WRITE_BYTES.max(amount));
        }
        self.collected.extend_from_slice(&self.buffers.output()[..amount]);
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        self.await_response()
    }

    /// Whether the peer has sent nothing and has not closed the connection.
    fn is_open(&mut self) -> bool {
        let is_quiet = self.stream.set_nonblocking(true).is_ok()
            && self.stream.peek(&mut [0]).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
        let is_restored = cfg!(windows) || self.stream.set_nonblocking(false).is_ok();
        self.failed_write.is_none() && self.buffers.input().is_empty() && is_quiet && is_restored
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The alert that tells the server why the handshake failed.
        let is_alert = self.handle.state().phase == Phase::Handshake;
        if is_alert && self.failed_write.is_none() {
            let _ = self.stream.set_nonblocking(true);
            let _ = (&*self.stream).write(&self.collected);
        }
        wipe(&mut self.collected);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The buffers contain secrets.
        f.debug_struct("Socket").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// Connects to the first address that answers, in rounds over all of them. An address that fails is
/// left out of the next round; one that is silent is tried again, twice as long. If only one is
/// left, it gets all the remaining time. If none answers, this returns the failure of the first
/// address.
fn connect_first(mut addresses: Vec<SocketAddr>, handle: &Handle) -> Result<TcpStream, Error> {
    let first = addresses.first().copied();
    let mut failure = None;
    let mut timeout = FIRST_ADDRESS_TIMEOUT;
    while !addresses.is_empty() {
        let mut silent = Vec::new();
        for (i, address) in addresses.iter().enumerate() {
            let left = handle.time_left();
            let left = left.map_err(|error| failure.take().map_or(error, Error::Io))?;
            let is_only = silent.is_empty() && i + 1 == addresses.len();
            let timeout = if is_only { left } else { left.min(timeout) };
            match TcpStream::connect_timeout(address, timeout) {
                Ok(stream) => return Ok(stream),
                // The system's own timeout, which is longer, has an error code.
                Err(error)
                    if error.kind() == io::ErrorKind::TimedOut
                        && error.raw_os_error().is_none() =>
                {
                    silent.push(*address);
                }
                Err(error) if Some(*address) == first => failure = Some(error),
                Err(_) => {}
            }
        }
        addresses = silent;
        timeout *= 2;
    }
    Err(failure.map_or(Error::ConnectionFailed, Error::Io))
}

/// Repeats an operation until it is done or has failed, the deadline has passed, or the handle is
/// cut off.
fn wait(
    stream: &TcpStream,
    handle: &Handle,
    set_timeout: fn(&TcpStream, Option<Duration>) -> io::Result<()>,
    mut operation: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> Result<usize, Error> {
    let mut pause = Duration::from_millis(1);
    loop {
        let left = handle.time_left()?;
        if !cfg!(windows) {
            // Linux lengthens a socket's timeout by as much as an eighth.
            let timeout = (left * 8 / 9).max(Duration::from_millis(1));
            match set_timeout(stream, Some(timeout)) {
                // macOS, once the peer has closed the connection.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                result => result?,
            }
        }
        match operation(stream) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // On Windows, a socket whose timeout has expired is not to be used again, and a
                // shutdown from another thread wakes no read. So the socket doesn't block there.
                if cfg!(windows) {
                    thread::sleep(pause.min(left));
                    pause = (pause * 2).min(Duration::from_millis(10));
                }
            }
            result => return Ok(result?),
        }
    }
}

/// Overwrites a secret.
pub(crate) fn wipe(secret: &mut [u8]) {
    secret.fill(0);
    // Keeps the compiler from removing the `fill`.
    std::hint::black_box(secret);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn connected(limit: Duration) -> (TcpListener, Arc<Handle>, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let handle = Arc::new(Handle::new(Deadline::new("timeout", limit)));
        let addresses = vec![listener.local_addr().unwrap()];
        let socket = Socket::connect(addresses, &handle).unwrap();
        (listener, handle, socket)
    }

    /// Linux lengthens a socket's timeout by as much as an eighth.
    #[cfg(unix)]
    #[test]
    fn a_wait_is_shorter_than_the_time_left() {
        let (_listener, handle, mut socket) = connected(Duration::from_secs(90));
        let stream = socket.stream.clone();
        let call = thread::spawn(move || socket.read().unwrap_err());
        let timeout = loop {
            if let Some(timeout) = stream.read_timeout().unwrap() {
                break timeout;
            }
        };
        assert!(timeout < Duration::from_secs(81), "{timeout:?}");
        handle.cut_off();
        let Error::Io(error) = call.join().unwrap() else { panic!("not an I/O error") };
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn before_a_request_nothing_is_sent_or_received() {
        let (listener, handle, mut socket) = connected(Duration::from_secs(60));
        let mut peer = listener.accept().unwrap().0;
        socket.collected = b"end of the handshake".to_vec();
        handle.enter(Phase::Ready);
        assert!(matches!(socket.await_response(), Err(Error::Timeout(_))));
        assert!(!socket.collected.is_empty());
        handle.enter(Phase::Requesting);
        peer.write_all(b"response").unwrap();
        assert!(socket.await_response().unwrap());
        assert_eq!(socket.buffers.input(), b"response");
        assert_eq!(handle.state().phase, Phase::Sent);
    }

    #[test]
    fn a_request_that_is_given_up_is_not_sent_later() {
        for (phase, sent) in [(Phase::Requesting, ""), (Phase::Handshake, "collected")] {
            let (listener, handle, mut socket) = connected(Duration::from_secs(60));
            let mut peer = listener.accept().unwrap().0;
            socket.collected = b"collected".to_vec();
            handle.enter(phase);
            drop(socket);
            let mut received = String::new();
            peer.read_to_string(&mut received).unwrap();
            assert_eq!(received, sent, "{phase:?}");
        }
    }
}
