//! What hosts files, name servers and networks do to a call. Each test reruns itself in namespaces
//! for the network, so that no packet leaves this machine, and for the files that the C library
//! reads.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use files_session::{Canceller, ErrorKind, Login, Session, Site};
use support::{
    LOGIN, LOGOUT, Server, accept_all, assert_passes, closed_port, login, rerun_self, watchdog,
};

/// Set inside the namespaces.
const INSIDE: &str = "FILES_SESSION_TEST_INSIDE";

/// How soon a call ends on a busy machine, after its limit or its cancellation.
const SOON: Duration = Duration::from_secs(5);

/// Whether the test runs inside the namespaces. If not, it is rerun there, with this hosts file and
/// this `resolv.conf`, and the caller has nothing left to do.
fn inside(test: &str, hosts: &str, resolv_conf: &str) -> bool {
    watchdog::test();
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut probe = Command::new("unshare");
    probe.args(["--net", "--mount", "ip", "link", "set", "lo", "up"]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        let message = "*** NOT TESTED, no network namespaces (they need root, unshare and ip)";
        let _ = writeln!(std::io::stderr(), "\n{message}: {test}\n");
        assert!(std::env::var_os("CI").is_none(), "no network namespaces");
        return false;
    }
    let files = files_of(test);
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("hosts"), hosts).unwrap();
    fs::write(files.join("resolv.conf"), resolv_conf).unwrap();
    fs::write(files.join("nsswitch.conf"), "hosts: files dns\n").unwrap();
    // 10.99.0.1 and fe80::1 are the near end of a link. Packets to 10.99.0.2 are lost on it.
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
        ip addr add fe80::1/64 dev here nodad
        ip link set here up
        ip link set there up
        ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:01 dev here
        exec \"$@\"";
    let files = files.to_str().unwrap();
    let before = ["unshare", "--net", "--mount", "sh", "-c", set_up, files];
    // The C library looks for its modules there.
    assert_passes(rerun_self(&before, test).env(INSIDE, "1").env("LD_LIBRARY_PATH", files));
    false
}

/// A directory for the files of a test.
fn files_of(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("namespaces_{test}"))
}

fn write_hosts(hosts: &str) {
    fs::write("/etc/hosts", hosts).unwrap();
}

/// A name server on port 53 of this machine. It resolves every name to 127.0.0.1, but does not
/// answer if the name begins with `silent`. Returns the names that it is asked for.
fn name_server() -> Receiver<String> {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    let (sender, names) = channel();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            // RFC 1035, 4.1: each label of a name follows its length.
            let question = &query[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 1;
            let (name, types) = question[..end + 4].split_at(end);
            let is_silent = name[1..].starts_with(b"silent");
            let name: Vec<u8> =
                name[1..end - 1].iter().map(|b| if *b < b' ' { b'.' } else { *b }).collect();
            let name = String::from_utf8(name).unwrap();
            if sender.send(name).is_err() || is_silent {
                continue;
            }
            // The same question, and one answer if it is for an IPv4 address.
            let is_ipv4 = types[..2] == [0, 1];
            let mut response = query[..2].to_vec();
            response.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
            response.extend(&question[..end + 4]);
            if is_ipv4 {
                response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&response, from);
        }
    });
    names
}

/// A site that only these tests know, over plain http.
fn site(host: &str, port: u16) -> Site {
    Site::new(&format!("http://{host}:{port}")).allow_http().retries(0)
}

#[test]
fn localhost_is_never_looked_up() {
    if !inside("localhost_is_never_looked_up", "10.99.0.1 localhost\n", "") {
        return;
    }
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let server = Server::on(TcpListener::bind(address).unwrap(), accept_all);
        let port = server.addr.port();
        let elsewhere = Server::on(TcpListener::bind(("10.99.0.1", port)).unwrap(), accept_all);
        for host in ["localhost", "localhost.", "LOCALHOST"] {
            let site = Site::new(&format!("http://{host}:{port}"));
            let session = Session::login(&site, &login()).unwrap();
            assert_eq!(session.base_url(), format!("http://localhost:{port}"));
            session.logout().unwrap();
        }
        let through = site("a.invalid", 80).proxy(&format!("http://localhost:{port}"));
        Session::login(&through, &login()).unwrap_err();
        assert_eq!(server.requests().last().unwrap().line, "CONNECT a.invalid:80");
        assert_eq!(server.requests().len(), 7);
        assert!(elsewhere.requests().is_empty());
    }
}

/// A module of the C library that resolves every name to `fe80::1` on the link.
#[cfg(target_env = "gnu")]
const SCOPED: &str = r#"
    #include <arpa/inet.h>
    #include <net/if.h>
    #include <nss.h>
    #include <stdlib.h>

    enum nss_status _nss_scoped_gethostbyname4_r(const char *name, struct gaih_addrtuple **tuples,
        char *buffer, size_t length, int *error, int *host_error, int32_t *ttl)
    {
        static struct gaih_addrtuple tuple = { .family = AF_INET6 };
        inet_pton(AF_INET6, "fe80::1", tuple.addr);
        tuple.scopeid = if_nametoindex("here");
        if (*tuples != NULL)
            **tuples = tuple;
        else
            *tuples = &tuple;
        return NSS_STATUS_SUCCESS;
    }
"#;

#[cfg(target_env = "gnu")]
#[test]
fn a_link_local_address_is_connected_to_in_its_scope() {
    let test = "a_link_local_address_is_connected_to_in_its_scope";
    if std::env::var_os(INSIDE).is_none() {
        let files = files_of(test);
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("scoped.c"), SCOPED).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o", "libnss_scoped.so.2", "scoped.c"]).current_dir(files);
        assert!(cc.status().unwrap().success());
    }
    if !inside(test, "", "") {
        return;
    }
    fs::write("/etc/nsswitch.conf", "hosts: scoped\n").unwrap();
    let server = Server::on(TcpListener::bind(("fe80::1%here", 0)).unwrap(), accept_all);
    let site = site("site.test", server.addr.port());
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
}

#[test]
fn the_default_port_depends_on_the_scheme() {
    if !inside("the_default_port_depends_on_the_scheme", "127.0.0.1 site.test\n", "") {
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
        // Nothing else listens in this namespace.
        assert_ne!(error.kind(), ErrorKind::Connect, "{address}: {error}");
        server.join().unwrap().unwrap();
    }
}

#[test]
fn an_open_connection_needs_no_lookup() {
    if !inside("an_open_connection_needs_no_lookup", "", "nameserver 127.0.0.1\n") {
        return;
    }
    let names = name_server();
    let lookups = || names.try_iter().count();
    let server = Server::with(accept_all);
    let site = site("site.test", server.addr.port());
    let session = Session::login(&site, &login()).unwrap();
    assert!(lookups() > 0);
    Session::login(&site, &login()).unwrap();
    assert_eq!(lookups(), 0, "the addresses were not kept");
    // After a connection has failed, the next one needs a lookup.
    let unreachable = site.clone().proxy(&closed_port().url());
    assert_eq!(Session::login(&unreachable, &login()).unwrap_err().kind(), ErrorKind::Connect);
    session.logout().unwrap();
    assert_eq!(lookups(), 0, "the logout looked the name up");
    Session::login(&site, &login()).unwrap();
    assert!(lookups() > 0);
    let connections: Vec<usize> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 1, 0, 2]);
}

#[test]
fn the_last_known_addresses_are_used_if_a_lookup_fails_or_hangs() {
    let test = "the_last_known_addresses_are_used_if_a_lookup_fails_or_hangs";
    let resolv_conf = "nameserver 127.0.0.1\noptions timeout:30\n";
    if !inside(test, "127.0.0.1 silent.test\n", resolv_conf) {
        return;
    }
    let closed = closed_port();
    let new_site =
        || site("silent.test", closed.addr.port()).connect_timeout(Duration::from_secs(3));
    let [used, used_later, unused] = [(); 3].map(|()| new_site());
    for site in [&used, &used_later] {
        assert_eq!(LOGIN(site).unwrap_err().kind(), ErrorKind::Connect);
    }
    write_hosts("");
    let server = Server::on(closed.listen(), accept_all);
    // Nothing listens on the name server's port, so lookups fail.
    Session::login(&used, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
    let error = LOGIN(&unused).unwrap_err();
    assert!(error.to_string().contains("could not be looked up"), "{error}");
    // Now they hang. One that may end with known addresses gets half of the time.
    let _names = name_server();
    LOGIN(&used_later).unwrap();
}

#[test]
fn a_name_is_looked_up_again_after_a_failed_connection() {
    let test = "a_name_is_looked_up_again_after_a_failed_connection";
    if !inside(test, "127.0.0.2 moves.test\n", "") {
        return;
    }
    let server = Server::with(accept_all);
    let site = site("moves.test", server.addr.port());
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    write_hosts("127.0.0.1 moves.test\n");
    Session::login(&site, &login()).unwrap();
    assert_eq!(server.methods(), ["POST"]);
}

#[test]
fn a_lookup_counts_towards_the_time_limits() {
    let resolv_conf = "nameserver 127.0.0.1\noptions timeout:30\n";
    if !inside("a_lookup_counts_towards_the_time_limits", "", resolv_conf) {
        return;
    }
    let _names = name_server();
    let limit = Duration::from_millis(500);
    let site = || site("silent.test", 80);
    let (host, proxy) = ("silent.test", "the proxy silent-proxy.test:3128");
    for (site, peer, setting) in [
        (site().connect_timeout(limit), host, "connect_timeout"),
        (site().timeout(limit), host, "timeout"),
        (site().connect_timeout(limit).proxy("silent-proxy.test:3128"), proxy, "connect_timeout"),
    ] {
        for call in [LOGIN, LOGOUT] {
            let start = Instant::now();
            let error = call(&site).unwrap_err();
            let took = start.elapsed();
            assert!((limit..SOON).contains(&took), "{took:?}");
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            let sentence = format!(
                "looking up {peer} took longer than 500ms ({setting}): \
                 check the network's name servers, or allow more time"
            );
            assert_eq!(error.to_string(), sentence);
        }
    }
}

#[test]
fn a_login_that_fills_a_small_send_buffer_ends_in_time() {
    if !inside("a_login_that_fills_a_small_send_buffer_ends_in_time", "", "") {
        return;
    }
    let (limit, password) = (Duration::from_millis(1500), "x".repeat(65_000));
    for buffer in ["4096 4096 4096", "4096 16384 65536"] {
        fs::write("/proc/sys/net/ipv4/tcp_wmem", buffer).unwrap();
        // It accepts connections, but doesn't read.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&listener).set_recv_buffer_size(1).unwrap();
        let site = Site::new(&format!("http://{}", listener.local_addr().unwrap())).timeout(limit);
        let start = Instant::now();
        let error = Session::login(&site, &Login::new("username", &password)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let took = start.elapsed();
        assert!((limit..limit * 2).contains(&took), "{took:?}");
    }
}

#[test]
fn a_write_can_be_cancelled() {
    if !inside("a_write_can_be_cancelled", "", "") {
        return;
    }
    fs::write("/proc/sys/net/ipv4/tcp_wmem", "4096 4096 4096").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&listener).set_recv_buffer_size(1).unwrap();
    let canceller = Canceller::new();
    let site = site("127.0.0.1", listener.local_addr().unwrap().port()).canceller(&canceller);
    let call = thread::spawn(move || {
        Session::login(&site, &Login::new("username", &"x".repeat(65_000))).map(drop)
    });
    // The rest of the request doesn't fit into the buffers.
    let mut stream = listener.accept().unwrap().0;
    stream.read_exact(&mut [0]).unwrap();
    let start = Instant::now();
    canceller.cancel();
    let error = call.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn a_lookup_can_be_cancelled() {
    let resolv_conf = "nameserver 127.0.0.1\noptions timeout:30\n";
    if !inside("a_lookup_can_be_cancelled", "", resolv_conf) {
        return;
    }
    let names = name_server();
    for (i, call) in [LOGIN, LOGOUT].into_iter().enumerate() {
        for (name, site) in [
            (format!("silent-{i}.test"), site(&format!("silent-{i}.test"), 80)),
            (
                format!("silent-proxy-{i}.test"),
                site("site.test", 80).proxy(&format!("silent-proxy-{i}.test:3128")),
            ),
        ] {
            let canceller = Canceller::new();
            let site = site.connect_timeout(Duration::from_secs(30)).canceller(&canceller);
            let call = thread::spawn(move || call(&site));
            assert!(names.iter().any(|asked| asked == name));
            let start = Instant::now();
            canceller.cancel();
            let error = call.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{name}: {error}");
            assert!(start.elapsed() < SOON, "{name}: {:?}", start.elapsed());
        }
    }
}

#[test]
fn the_next_address_is_tried_if_one_is_dead_or_silent() {
    // The C library keeps the order of these two. It would not with 127.0.0.1.
    let hosts = "127.0.0.3 site.test\n127.0.0.2 site.test\n";
    if !inside("the_next_address_is_tried_if_one_is_dead_or_silent", hosts, "") {
        return;
    }
    let server = Server::on(TcpListener::bind("127.0.0.2:0").unwrap(), accept_all);
    let port = server.addr.port();
    let log_in_and_out = || {
        // The first of two addresses has two thirds of the time.
        let site = site("site.test", port).connect_timeout(Duration::from_secs(3));
        let start = Instant::now();
        Session::login(&site, &login()).unwrap().logout().unwrap();
        start.elapsed()
    };
    log_in_and_out();
    // From now on, the first one listens. It is silent once its backlog is full.
    let silent: SocketAddr = ([127, 0, 0, 3], port).into();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&silent.into()).unwrap();
    socket.listen(0).unwrap();
    let mut backlog = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&silent, Duration::from_millis(300)) {
        backlog.push(stream);
    }
    let took = log_in_and_out();
    assert!(took >= Duration::from_secs(1), "the first address was not tried: {took:?}");
    assert_eq!(server.methods(), ["POST", "DELETE"].repeat(2));
}

#[test]
fn a_network_that_drops_all_packets_is_a_clear_error() {
    let test = "a_network_that_drops_all_packets_is_a_clear_error";
    if !inside(test, "10.99.0.2 silent.test\n", "") {
        return;
    }
    let limit = Duration::from_millis(500);
    let site = || site("silent.test", 80).connect_timeout(limit);
    for (site, peer) in [
        (site(), "silent.test"),
        (site().proxy("http://silent.test:3128"), "the proxy silent.test:3128"),
    ] {
        let start = Instant::now();
        let error = Session::login(&site, &login()).unwrap_err();
        // ureq rounds down to milliseconds.
        let took = start.elapsed();
        assert!((limit * 9 / 10..SOON).contains(&took), "{took:?}");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let sentence = format!(
            "no connection to {peer} within 500ms (connect_timeout): \
             check the address and the network, or allow more time"
        );
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn a_cancelled_call_that_is_connecting_ends_at_connect_timeout() {
    let test = "a_cancelled_call_that_is_connecting_ends_at_connect_timeout";
    if !inside(test, "10.99.0.2 silent.test\n", "") {
        return;
    }
    let is_connecting = || {
        let sockets = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let is_syn_sent = |line: &str| line.split_whitespace().nth(3) == Some("02");
        sockets.lines().any(is_syn_sent)
    };
    let canceller = Canceller::new();
    let site = site("silent.test", 80).connect_timeout(Duration::from_secs(2)).retries(3);
    let site = site.canceller(&canceller);
    let call = thread::spawn(move || Session::login(&site, &login()).map(drop));
    while !is_connecting() {
        thread::yield_now();
    }
    let start = Instant::now();
    canceller.cancel();
    let error = call.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn a_proxy_that_is_not_found_is_never_bypassed() {
    let test = "a_proxy_that_is_not_found_is_never_bypassed";
    if !inside(test, "127.0.0.1 site.test\n", "") {
        return;
    }
    let server = Server::with(accept_all);
    let site = site("site.test", server.addr.port()).proxy("http://proxy.test:3128");
    for call in [LOGIN, LOGOUT] {
        let error = call(&site).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        let sentence = "the proxy proxy.test:3128 could not be looked up";
        assert!(error.to_string().starts_with(sentence), "{error}");
    }
    assert!(server.requests().is_empty());
}
