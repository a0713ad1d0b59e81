//! A small server on a raw socket, for responses that no HTTP library sends.

#![allow(dead_code, unused_imports, reason = "no test file uses all of it")]

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use files_session::{Error, Login, Session, Site};

pub mod chain;
pub mod stand_in;
pub mod tls;
pub mod tunnel;

/// A login that the servers here accept.
pub fn login() -> Login<'static> {
    Login::new(stand_in::USERNAME, stand_in::PASSWORD)
}

pub type Call = fn(&Site) -> Result<(), Error>;

/// A login.
pub const LOGIN: Call = |site| Session::login(site, &login()).map(drop);

/// The logout of a session that is known by its id.
pub const LOGOUT: Call = |site| Session::resume(site, "id")?.logout();

pub use stand_in::start as start_stand_in;

/// A request that a server received.
#[derive(Clone, Debug)]
pub struct Request {
    /// The index among this server's requests, from 0.
    pub number: usize,
    /// The index among this server's connections, from 0.
    pub connection: usize,
    /// `POST /api/rest/v1/sessions`
    pub line: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A response: bytes in pieces, and what happens after them.
#[derive(Clone)]
pub struct Reply {
    pieces: Vec<Vec<u8>>,
    delay: Duration,
    pause: Duration,
    then: Then,
    sent: Option<Sender<()>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// The connection stays open for the next request.
    Next,
    /// The connection is closed, with a FIN.
    Close,
    /// The connection is reset, with an RST.
    Reset,
    /// Nothing more is sent, and the connection stays open until the client closes it.
    Silence,
    /// The last piece is sent again and again, until the client closes the connection.
    Endless,
}

impl Reply {
    /// These bytes.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Reply {
        Reply::pieces([bytes])
    }

    /// These bytes, with one write for each piece.
    pub fn pieces<B: AsRef<[u8]>>(pieces: impl IntoIterator<Item = B>) -> Reply {
        let pieces = pieces.into_iter().map(|piece| piece.as_ref().to_vec()).collect();
        Reply { pieces, delay: Duration::ZERO, pause: Duration::ZERO, then: Then::Next, sent: None }
    }

    /// An HTTP response, with further header lines such as `"Retry-After: 1\r\n"`.
    pub fn http(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let head =
            format!("HTTP/1.1 {status} S\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        Reply::raw([head.as_bytes(), body].concat())
    }

    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Reply {
        Reply::http(status, "Content-Type: application/json\r\n", body)
    }

    /// The response to a successful login.
    pub fn session() -> Reply {
        Reply::json(201, stand_in::SESSION)
    }

    /// The response to a successful logout.
    pub fn no_content() -> Reply {
        Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")
    }

    /// No response at all.
    pub fn nothing() -> Reply {
        Reply::raw("")
    }

    /// Waits before the first piece.
    pub fn after(self, delay: Duration) -> Reply {
        Reply { delay, ..self }
    }

    /// Waits before each piece except the first.
    pub fn slowly(self, pause: Duration) -> Reply {
        Reply { pause, ..self }
    }

    pub fn then_close(self) -> Reply {
        Reply { then: Then::Close, ..self }
    }

    pub fn then_reset(self) -> Reply {
        Reply { then: Then::Reset, ..self }
    }

    pub fn then_silence(self) -> Reply {
        Reply { then: Then::Silence, ..self }
    }

    pub fn without_end(self) -> Reply {
        Reply { then: Then::Endless, ..self }
    }

    /// Sends a message once all pieces are sent.
    pub fn notify(self, sent: &Sender<()>) -> Reply {
        Reply { sent: Some(sent.clone()), ..self }
    }

    /// Sends it. Returns whether the connection is kept open for another request.
    fn send(&self, stream: &mut (impl Read + Write), socket: &TcpStream) -> io::Result<bool> {
        thread::sleep(self.delay);
        for (i, piece) in self.pieces.iter().enumerate() {
            if i > 0 && self.pause > Duration::ZERO {
                thread::sleep(self.pause);
            }
            stream.write_all(piece)?;
            stream.flush()?;
        }
        if let Some(sent) = &self.sent {
            let _ = sent.send(());
        }
        match self.then {
            Then::Next => return Ok(true),
            Then::Close => {}
            Then::Reset => socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO))?,
            Then::Silence => while stream.read(&mut [0; 512])? > 0 {},
            Then::Endless => loop {
                thread::sleep(self.pause);
                stream.write_all(self.pieces.last().expect("a piece to repeat"))?;
                stream.flush()?;
            },
        }
        Ok(false)
    }
}

/// A server on a loopback port that sends prepared responses and records the requests.
pub struct Server {
    pub addr: SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    closed: Arc<(Mutex<Vec<usize>>, Condvar)>,
}

impl Server {
    /// Sends these replies in turn, and repeats the last one.
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Server {
        let replies: Vec<Reply> = replies.into_iter().collect();
        Server::with(move |request| replies[request.number.min(replies.len() - 1)].clone())
    }

    /// Sends what `reply` returns for each request.
    pub fn with(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::on(loopback(), reply)
    }

    /// The same, on this listener.
    pub fn on(
        listener: TcpListener,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Server {
        Server::start("http", listener, true, reply, TcpStream::try_clone)
    }

    /// The same, but it doesn't record the requests.
    pub fn forgetful(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::start("http", loopback(), false, reply, TcpStream::try_clone)
    }

    /// Like [`with`](Server::with), over TLS.
    pub fn tls(
        config: Arc<rustls::ServerConfig>,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Server {
        Server::start("https", loopback(), true, reply, move |socket| {
            let connection =
                rustls::ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            Ok(rustls::StreamOwned::new(connection, socket.try_clone()?))
        })
    }

    fn start<S: Read + Write>(
        scheme: &'static str,
        listener: TcpListener,
        keep: bool,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        open: impl Fn(&TcpStream) -> io::Result<S> + Send + Sync + 'static,
    ) -> Server {
        let addr = listener.local_addr().expect("a local address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let closed = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = connections.clone();
        let (kept, count) = (requests.clone(), AtomicUsize::new(0));
        let shared = Arc::new((reply, open, kept, count, closed.clone()));
        // The threads end with the process of the test.
        thread::spawn(move || {
            for (connection, socket) in listener.incoming().enumerate() {
                let (shared, Ok(socket)) = (shared.clone(), socket) else { return };
                // Otherwise small pieces wait for an acknowledgement.
                let _ = socket.set_nodelay(true);
                accepted.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || {
                    let (reply, open, kept, count, closed) = &*shared;
                    // A client may close the connection at any time.
                    let result = open(&socket).and_then(|stream| {
                        let mut stream = BufReader::new(stream);
                        while let Some(mut request) = read_request(&mut stream, connection)? {
                            {
                                // Numbered under the lock, so that they are in order.
                                let mut kept = kept.lock().unwrap();
                                request.number = count.fetch_add(1, Ordering::Relaxed);
                                if keep {
                                    kept.push(request.clone());
                                }
                            }
                            if !reply(&request).send(stream.get_mut(), &socket)? {
                                break;
                            }
                        }
                        Ok(())
                    });
                    if result.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
                        // TLS failed and an alert was sent. A reset would discard it.
                        let _ = socket.shutdown(Shutdown::Write);
                        let _ = io::copy(&mut &socket, &mut io::sink());
                    }
                    drop(socket);
                    closed.0.lock().unwrap().push(connection);
                    closed.1.notify_all();
                });
            }
        });
        Server { addr, scheme, requests, connections, closed }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// This server as a site.
    pub fn site(&self) -> Site {
        Site::new(&self.url())
    }

    /// Waits until the server has closed a connection.
    pub fn closed(&self, connection: usize) {
        let closed = self.closed.0.lock().unwrap();
        drop(self.closed.1.wait_while(closed, |closed| !closed.contains(&connection)).unwrap());
    }

    /// The number of connections that the server has accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The complete requests that the server received.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Their methods: `POST`, `DELETE`.
    pub fn methods(&self) -> Vec<String> {
        let method = |request: &Request| request.line.split(' ').next().unwrap().to_owned();
        self.requests().iter().map(method).collect()
    }
}

fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a loopback port")
}

fn read_request(stream: &mut impl BufRead, connection: usize) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        match header.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut request = Request { number: 0, connection, line, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |n| n.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    request.body = String::from_utf8(body).expect("UTF-8");
    Ok(Some(request))
}

/// The response of a site that accepts every login and logout.
pub fn accept_all(request: &Request) -> Reply {
    if request.line.starts_with("POST") { Reply::session() } else { Reply::no_content() }
}

/// A loopback listener whose connections have a small receive buffer.
pub fn small_listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&listener).set_recv_buffer_size(1).unwrap();
    listener
}

/// A loopback port that is reserved, but refuses connections.
pub struct ClosedPort {
    pub addr: SocketAddr,
    socket: socket2::Socket,
}

pub fn closed_port() -> ClosedPort {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    ClosedPort { addr, socket }
}

impl ClosedPort {
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Starts listening.
    pub fn listen(self) -> TcpListener {
        self.socket.listen(16).unwrap();
        self.socket.into()
    }
}

/// The variables that name a proxy or exceptions.
pub const PROXY_VARIABLES: &str = "ALL_PROXY HTTPS_PROXY HTTP_PROXY NO_PROXY \
                                   all_proxy https_proxy http_proxy no_proxy";

/// Removes the machine's proxies from a program's environment.
pub fn without_proxies(command: &mut Command) -> &mut Command {
    for name in PROXY_VARIABLES.split(' ') {
        command.env_remove(name);
    }
    command
}

/// Removes the variables that cargo sets for a test. A build that a test runs would otherwise run
/// ring's build script again, which depends on them.
pub fn without_cargo_variables(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs the body of a test in another process of this binary, with these variables. Returns what it
/// printed. `before` is a program that prepares the process and then runs the rest of its arguments.
#[track_caller]
pub fn in_child(
    test: &str,
    before: &[&str],
    variables: &[(&str, &str)],
    body: impl FnOnce(),
) -> String {
    /// The name of the test that this process runs.
    const INSIDE: &str = "FILES_SESSION_TEST_INSIDE";
    const PASSED: &str = "the body has passed";
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == test) {
        body();
        println!("{PASSED}");
        std::process::exit(0);
    }
    let this = std::env::current_exe().unwrap();
    let mut words = before.iter().map(OsStr::new).chain([this.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", test, "--nocapture"]).env(INSIDE, test);
    let output = without_proxies(&mut command).envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains(PASSED), "{text}");
    text.into_owned()
}

/// Reports a test that is skipped, past the test runner's capture. In CI, that is a failure.
pub fn not_tested(test: &str, reason: &str) {
    let _ = writeln!(io::stderr(), "\n*** NOT TESTED, {reason}: {test}\n");
    assert!(std::env::var_os("CI").is_none(), "{reason}");
}
