//! Ending calls from another thread. The lookup, the TCP connect and writes are in `namespaces.rs`.

mod support;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use files_session::{Canceller, ErrorKind, Session, Site};
#[cfg(target_os = "linux")]
use support::in_child;
use support::{LOGIN, LOGOUT, Reply, Server, accept_all, login};

/// How soon a cancelled call ends on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// A time limit that no test reaches.
const HOUR: Duration = Duration::from_secs(3600);

/// A server that does `work` on each connection, and then ignores that the client closes it. The
/// work sends a message when the call is in the phase in which it is to be cancelled.
fn serve(
    work: impl Fn(&mut TcpStream, &Sender<()>) -> io::Result<()> + Send + 'static,
) -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, reached) = channel();
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = work(&mut stream, &sender);
            open.push(stream);
        }
    });
    (addr, reached)
}

/// A server that reads, and sends nothing.
fn silent() -> (SocketAddr, Receiver<()>) {
    serve(|stream, reached| {
        stream.read_exact(&mut [0])?;
        let _ = reached.send(());
        Ok(())
    })
}

/// Cancels both calls at a site, each when it has reached its phase.
#[track_caller]
fn assert_ends_soon(site: Site, reached: &Receiver<()>) {
    let site = site.timeout(HOUR).connect_timeout(HOUR);
    for call in [LOGIN, LOGOUT] {
        let canceller = Canceller::new();
        let site = site.clone().canceller(&canceller);
        let call = thread::spawn(move || call(&site));
        reached.recv().unwrap();
        let start = Instant::now();
        canceller.cancel();
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    }
}

#[test]
fn a_wait_for_a_response_can_be_cancelled() {
    let (addr, reached) = silent();
    assert_ends_soon(Site::new(&format!("http://{addr}")), &reached);
}

#[test]
fn a_wait_for_a_proxy_can_be_cancelled() {
    let (addr, reached) = silent();
    let site = Site::new("http://mysite.test.invalid").allow_http();
    assert_ends_soon(site.proxy(&format!("http://{addr}")), &reached);
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[test]
fn a_tls_handshake_can_be_cancelled() {
    let (addr, reached) = silent();
    assert_ends_soon(Site::new(&format!("https://{addr}")), &reached);
}

#[test]
fn a_body_that_drips_can_be_cancelled() {
    // Without a length, the body ends with the connection.
    for length in ["Content-Length: 60000\r\n", ""] {
        let (addr, reached) = serve(move |stream, reached| {
            let mut method = [0; 4];
            stream.read_exact(&mut method)?;
            // The body of a successful logout is not waited for.
            let status = if &method == b"POST" { 201 } else { 400 };
            write!(stream, "HTTP/1.1 {status} S\r\n{length}\r\n")?;
            for n in 0.. {
                stream.write_all(b" ")?;
                if n == 10 {
                    let _ = reached.send(());
                }
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        });
        assert_ends_soon(Site::new(&format!("http://{addr}")), &reached);
    }
}

#[test]
fn a_logout_over_a_kept_connection_can_be_cancelled() {
    let (addr, reached) = serve(|stream, reached| {
        let created = "HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{\"id\":\"i\"}";
        let mut request = [0; 4096];
        for response in [created, ""] {
            while stream.read(&mut request)? == 0 {}
            stream.write_all(response.as_bytes())?;
        }
        let _ = reached.send(());
        Ok(())
    });
    let canceller = Canceller::new();
    let site = Site::new(&format!("http://{addr}")).timeout(HOUR).canceller(&canceller);
    let session = Session::login(&site, &login()).unwrap();
    let logout = thread::spawn(move || session.logout());
    reached.recv().unwrap();
    let start = Instant::now();
    canceller.cancel();
    let error = logout.join().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Cancelled, true), "{error}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    // It was not sent again.
    assert!(reached.try_recv().is_err());
}

#[test]
fn a_wait_between_retries_can_be_cancelled() {
    let (addr, reached) = serve(|stream, reached| {
        stream.read_exact(&mut [0])?;
        stream.write_all(
            b"HTTP/1.1 503 S\r\nConnection: close\r\nRetry-After: 1800\r\n\
              Content-Length: 0\r\n\r\n",
        )?;
        // The client closes the connection once it has read the response.
        io::copy(stream, &mut io::sink())?;
        let _ = reached.send(());
        Ok(())
    });
    let canceller = Canceller::new();
    let site = Site::new(&format!("http://{addr}")).timeout(HOUR).canceller(&canceller);
    let logout = thread::spawn(move || Session::resume(&site, "id")?.logout());
    reached.recv().unwrap();
    let start = Instant::now();
    canceller.cancel();
    assert_eq!(logout.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn later_calls_are_cancelled_before_anything_is_sent() {
    let server = Server::with(accept_all);
    let canceller = Canceller::new();
    let site = server.site().canceller(&canceller);
    let session = Session::login(&site, &login()).unwrap();
    canceller.cancel();
    assert_eq!(session.logout().unwrap_err().kind(), ErrorKind::Cancelled);
    for call in [LOGIN, LOGOUT] {
        let error = call(&site).unwrap_err();
        assert_eq!(error.to_string(), "the call was cancelled; nothing was sent");
        assert!(error.kind() == ErrorKind::Cancelled && !error.outcome_unknown());
    }
    assert_eq!(server.methods(), ["POST"]);
    // With another canceller, the session can still be ended.
    let site = session.site().clone().canceller(&Canceller::new());
    Session::resume(&site, &session.id).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
}

#[test]
fn a_clone_cancels_all_sites_of_the_canceller_and_no_others() {
    let (canceller, other) = (Canceller::new(), Canceller::new());
    let (addr, reached) = silent();
    let (addr_2, reached_2) = silent();
    let calls = [addr, addr_2].map(|addr| {
        let site = Site::new(&format!("http://{addr}")).canceller(&canceller);
        thread::spawn(move || Session::login(&site, &login()).map(drop))
    });
    reached.recv().unwrap();
    reached_2.recv().unwrap();

    let (sender, received) = channel();
    let (release, released) = channel::<()>();
    let released = std::sync::Mutex::new(released);
    let server = Server::with(move |request| {
        sender.send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        accept_all(request)
    });
    let site = server.site().canceller(&other);
    let unaffected = thread::spawn(move || Session::login(&site, &login())?.logout());
    received.recv().unwrap();

    canceller.clone().cancel();
    for call in calls {
        assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    }
    release.send(()).unwrap();
    release.send(()).unwrap();
    unaffected.join().unwrap().unwrap();
}

#[test]
fn a_cancellation_at_the_start_of_a_call_is_not_missed() {
    let server = Server::forgetful(|_| Reply::nothing().then_silence());
    let site = server.site().timeout(HOUR).connect_timeout(HOUR);
    for round in 0..300 {
        let canceller = Canceller::new();
        let (site, start) = (&site.clone().canceller(&canceller), &Barrier::new(3));
        thread::scope(|scope| {
            let calls = [LOGIN, LOGOUT].map(|call| {
                scope.spawn(move || {
                    start.wait();
                    call(site)
                })
            });
            start.wait();
            // A little later in each round: before a connection is made, and up to the response.
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(round) {
                std::hint::spin_loop();
            }
            canceller.cancel();
            for call in calls {
                // One that escaped would wait for an hour.
                assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
            }
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_canceller_retains_nothing_after_a_thousand_calls() {
    let test = "a_canceller_retains_nothing_after_a_thousand_calls";
    let server = Server::with(accept_all);
    // In a process without any other threads.
    in_child(test, &[], &[("URL", &server.url())], || {
        let (url, login) = (std::env::var("URL").unwrap(), login());
        let canceller = Canceller::new();
        let make_calls = |n| {
            for _ in 0..n {
                let site = Site::new(&url).canceller(&canceller);
                Session::login(&site, &login).unwrap().logout().unwrap();
            }
        };
        let count = |of: &str| std::fs::read_dir(format!("/proc/self/{of}")).unwrap().count();
        let resident_pages = || -> u64 {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').nth(1).unwrap().parse().unwrap()
        };
        make_calls(100);
        let (files, threads, pages) = (count("fd"), count("task"), resident_pages());
        make_calls(1000);
        assert_eq!((count("fd"), count("task")), (files, threads));
        // A connection takes more than 1 KB.
        let grown = resident_pages().saturating_sub(pages);
        assert!(grown < 128, "{grown} pages");
        // The canceller is still in use.
        canceller.cancel();
    });
}
