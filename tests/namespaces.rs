//! What hosts files, name servers and networks do to a call: in network namespaces of the tests'
//! own, from which no packet leaves this machine.
//!
//! Each test runs itself again, inside: a namespace for the network, and one for the files that
//! the C library reads.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use files_session::{ErrorKind, Session, Site, agent_config, ureq};
use support::{Reply, Server, again, lets_in, login, passes, watchdog};

/// Says inside which namespaces the test is.
const INSIDE: &str = "FILES_SESSION_TEST_INSIDE";

/// Whether the test is inside already. If not, it is run there, with this hosts file and this
/// `resolv.conf`, and the caller has nothing left to do.
fn inside(test: &str, hosts: &str, resolv_conf: &str) -> bool {
    watchdog::test();
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut can = Command::new("unshare");
    can.args(["--net", "--mount", "ip", "link", "set", "lo", "up"]);
    if !can.output().is_ok_and(|output| output.status.success()) {
        let said = "*** NOT TESTED, no network namespaces (they want root, unshare and ip)";
        let _ = writeln!(std::io::stderr(), "\n{said}: {test}\n");
        assert!(std::env::var_os("CI").is_none(), "no network namespaces");
        return false;
    }
    let files = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("namespaces_{test}"));
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("hosts"), hosts).unwrap();
    fs::write(files.join("resolv.conf"), resolv_conf).unwrap();
    fs::write(files.join("nsswitch.conf"), "hosts: files dns\n").unwrap();
    // 10.99.0.1 is this side of a link; what goes to 10.99.0.2 gets lost on it.
    let set_up = "
        set -e
        mount --make-rprivate /
        for file in hosts resolv.conf nsswitch.conf; do
            [ -e /etc/$file ] || : > /etc/$file
            mount --bind $0/$file /etc/$file
        done
        ip link set lo up
        ip link add here type veth peer name there
        ip addr add 10.99.0.1/24 dev here
        ip link set here up
        ip link set there up
        ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:01 dev here
        exec \"$@\"";
    let files = files.to_str().unwrap();
    let before = ["unshare", "--net", "--mount", "sh", "-c", set_up, files];
    passes(again(&before, test).env(INSIDE, "1"));
    false
}

/// A name server on this machine's port 53. It knows one address of every name, if asked for IPv4,
/// and says nothing if asked for IPv6. It counts the questions.
fn name_server_without_ipv6() -> Arc<AtomicUsize> {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    let questions = Arc::new(AtomicUsize::new(0));
    let count = questions.clone();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            count.fetch_add(1, Ordering::Relaxed);
            let question = &query[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 1;
            let question = &question[..end + 4];
            if question[end..end + 2] != [0, 1] {
                continue;
            }
            // RFC 1035, 4.1: the id, one question, one answer: 127.0.0.1 for 60 s.
            let mut response = query[..2].to_vec();
            response.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            response.extend(question);
            response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            let _ = socket.send_to(&response, from);
        }
    });
    questions
}

#[test]
fn localhost_is_only_ever_a_loopback_address() {
    let hosts = "10.99.0.1 localhost\n";
    if !inside("localhost_is_only_ever_a_loopback_address", hosts, "") {
        return;
    }
    // Where a hosts file sends it, somebody waits for the password.
    let listener = TcpListener::bind("10.99.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let localhost = format!("http://localhost:{port}");
    let proxy = ureq::Proxy::new(&localhost).unwrap();
    let proxy = agent_config().proxy(Some(proxy)).build();
    let start = Instant::now();
    for (site, advice) in [
        (Site::new(&localhost), "write 127.0.0.1 in the address of the site"),
        (Site::new(format!("http://localhost.:{port}")), "in the address of the site"),
        (Site::new("http://a.invalid").allow_http().config(proxy), "in the address of the proxy"),
    ] {
        let error = Session::login(&site.retries(4), &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        let said = error.to_string();
        assert!(said.contains("localhost is 10.99.0.1 on this machine, which is not a loopback"));
        assert!(said.contains(advice), "{said}");
    }
    // The waits between five tries are longer than this.
    assert!(start.elapsed() < Duration::from_secs(5), "it was tried again");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "somebody was connected to");
}

#[test]
fn localhost_is_no_other_machine_besides() {
    let hosts = "127.0.0.1 localhost\n10.99.0.1 localhost\n";
    if !inside("localhost_is_no_other_machine_besides", hosts, "") {
        return;
    }
    let server = Server::with(lets_in);
    let site = Site::new(format!("http://localhost:{}", server.addr.port()));
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(error.to_string().contains("localhost is 10.99.0.1 on this machine"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn localhost_works_by_its_name() {
    if !inside("localhost_works_by_its_name", "127.0.0.1 localhost\n", "") {
        return;
    }
    let server = Server::with(lets_in);
    for host in ["localhost", "localhost.", "LOCALHOST"] {
        let site = Site::new(format!("http://{host}:{}", server.addr.port()));
        let session = Session::login(&site, &login()).unwrap();
        assert_eq!(session.base_url(), format!("http://localhost:{}", server.addr.port()));
        session.logout().unwrap();
    }
}

#[test]
fn without_a_port_it_is_the_schemes() {
    if !inside("without_a_port_it_is_the_schemes", "127.0.0.1 site.test\n", "") {
        return;
    }
    let refusal = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    for (address, port) in [
        ("http://site.test", 80),
        ("http://127.0.0.1", 80),
        #[cfg(feature = "_tls")]
        ("https://site.test", 443),
        #[cfg(feature = "_tls")]
        ("https://127.0.0.1", 443),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let server = thread::spawn(move || listener.accept().unwrap().0.write_all(refusal));
        let site = Site::new(address).allow_http().retries(0);
        let error = Session::login(&site, &login()).unwrap_err();
        // Nobody else listens here.
        assert_ne!(error.kind(), ErrorKind::Connect, "{address}: {error}");
        server.join().unwrap().unwrap();
    }
}

#[test]
fn a_look_up_has_no_shorter_limit_than_the_call() {
    let resolv_conf = "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n";
    if !inside("a_look_up_has_no_shorter_limit_than_the_call", "", resolv_conf) {
        return;
    }
    let questions = name_server_without_ipv6();
    let server = Server::with(lets_in);
    let port = server.addr.port();
    // The C library waits for the other half of its question for longer than connecting may take.
    let config = || agent_config().timeout_connect(Some(Duration::from_millis(500)));
    let site = Site::new(format!("http://site.test:{port}")).allow_http().retries(0);
    let start = Instant::now();
    let session = Session::login(&site.clone().config(config().build()), &login()).unwrap();
    assert!(start.elapsed() > Duration::from_secs(1), "the name server was not slow");
    // The name is not looked up again for the logout.
    let asked = questions.load(Ordering::Relaxed);
    assert!(asked > 0);
    session.logout().unwrap();
    assert_eq!(questions.load(Ordering::Relaxed), asked, "it was looked up again");

    // A proxy's name is looked up by the same rule.
    let proxy = files_session::ureq::Proxy::new(&format!("http://proxy.test:{port}")).unwrap();
    let through = site.clone().config(config().proxy(Some(proxy)).build());
    let error = Session::login(&through, &login()).unwrap_err();
    // It is no proxy, but it was found and asked.
    assert!(server.requests().last().unwrap().line.starts_with("CONNECT site.test"), "{error}");

    // And its look-up is part of the call's time.
    let silent = Server::new([Reply::nothing().then_silence()]);
    let proxy = format!("http://proxy.test:{}", silent.addr.port());
    let proxy = files_session::ureq::Proxy::new(&proxy).unwrap();
    let limit = Duration::from_secs(4);
    let through = site.clone().config(agent_config().proxy(Some(proxy)).build()).timeout(limit);
    let start = Instant::now();
    assert_eq!(Session::login(&through, &login()).unwrap_err().kind(), ErrorKind::Timeout);
    let took = start.elapsed();
    assert!((limit..limit + Duration::from_millis(1500)).contains(&took), "{took:?}");

    let error = Session::login(&site.timeout(Duration::from_millis(700)), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let said = error.to_string();
    let says = format!(
        "the look-up of the name of site.test:{port} did not end within 700ms, the time limit of \
         the call (Site::timeout): check the network's name servers, or allow more time"
    );
    assert_eq!(said, says);
}

#[test]
fn the_next_address_is_tried_where_one_is_dead_or_silent() {
    // Two that the C library leaves in order, which it would not with 127.0.0.1.
    let hosts = "127.0.0.3 site.test\n127.0.0.2 site.test\n";
    if !inside("the_next_address_is_tried_where_one_is_dead_or_silent", hosts, "") {
        return;
    }
    let server = Server::on(TcpListener::bind("127.0.0.2:0").unwrap(), lets_in);
    let port = server.addr.port();
    let works = || {
        let site = Site::new(format!("http://site.test:{port}")).allow_http().retries(0);
        // Of two addresses the first has two thirds of the time.
        let config = agent_config().timeout_connect(Some(Duration::from_secs(3)));
        let start = Instant::now();
        Session::login(&site.config(config.build()), &login()).unwrap().logout().unwrap();
        start.elapsed()
    };
    works();
    // Nobody accepts at the first one now. Once the places to wait in are taken, it is silent.
    let silent: SocketAddr = ([127, 0, 0, 3], port).into();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&silent.into()).unwrap();
    socket.listen(0).unwrap();
    let mut waiting = Vec::new();
    while let Ok(one) = TcpStream::connect_timeout(&silent, Duration::from_millis(300)) {
        waiting.push(one);
    }
    let took = works();
    assert!(took >= Duration::from_secs(1), "the first address was not tried: {took:?}");
    assert_eq!(server.methods(), ["POST", "DELETE"].repeat(2));
}

#[test]
fn a_network_that_swallows_everything_is_a_clear_error() {
    let test = "a_network_that_swallows_everything_is_a_clear_error";
    if !inside(test, "10.99.0.2 silent.test\n", "") {
        return;
    }
    let limit = Duration::from_millis(500);
    let config = || agent_config().timeout_connect(Some(limit));
    let site = || Site::new("http://silent.test").allow_http().retries(0);
    let start = Instant::now();
    let error = Session::login(&site().config(config().build()), &login()).unwrap_err();
    assert!((limit..limit * 4).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let says = "no connection to silent.test within 500ms, the time limit for connecting \
                (timeout_connect of the configuration): check the address and the network, or \
                allow more time for connecting";
    assert_eq!(error.to_string(), says);

    let proxy = files_session::ureq::Proxy::new("http://silent.test:3128").unwrap();
    let through = site().config(config().proxy(Some(proxy)).build());
    let error = Session::login(&through, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let says = "no connection to the proxy silent.test:3128 within 500ms";
    assert!(error.to_string().starts_with(says), "{error}");
}

#[test]
fn addresses_are_forgotten_when_no_connection_can_be_made() {
    let test = "addresses_are_forgotten_when_no_connection_can_be_made";
    if !inside(test, "127.0.0.2 moves.test\n", "") {
        return;
    }
    let server = Server::with(lets_in);
    let site = Site::new(format!("http://moves.test:{}", server.addr.port())).allow_http();
    let error = Session::login(&site.clone().retries(0), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    fs::write("/etc/hosts", "127.0.0.1 moves.test\n").unwrap();
    let session = Session::login(&site.retries(0), &login()).unwrap();
    // A name that was connected to is not looked up again.
    fs::write("/etc/hosts", "127.0.0.2 moves.test\n").unwrap();
    session.logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
}
