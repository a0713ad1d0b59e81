//! What hosts files, name servers and networks do to a call. Each test reruns itself in namespaces
//! for the network, so that no packet leaves this machine, and for the files that the C library
//! reads.

#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use files_session::{Canceller, ErrorKind, Login, Session, Site};
use support::{
    LOGIN, LOGOUT, Server, accept_all, closed_port, in_child, login, not_tested, small_listener,
};

/// How soon a call ends on a busy machine, after its limit or its cancellation.
const SOON: Duration = Duration::from_secs(5);

/// Runs a test in namespaces, with this hosts file, after these shell commands.
///
/// `10.99.0.1` and `2001:db8::1` are the near end of a link. Packets to `10.99.0.2` and to
/// `2001:db8::2` up to `::9` are lost on it; other addresses of its networks have no host.
fn in_network(test: &str, hosts: &str, commands: &str, body: impl FnOnce()) {
    let mut probe = Command::new("unshare");
    probe.args(["--net", "--mount", "ip", "link", "set", "lo", "up"]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        not_tested(test, "no network namespaces (they need root, unshare and ip)");
        return;
    }
    let files = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("namespaces_{test}"));
    let set_up = format!(
        "
        set -e
        mount --make-rprivate /
        for file in hosts resolv.conf nsswitch.conf; do
            [ -e /etc/$file ] || : > /etc/$file
            : > $0/$file
            mount --bind $0/$file /etc/$file
        done
        echo 'hosts: files dns' > /etc/nsswitch.conf
        printf '{hosts}' > /etc/hosts
        ip link set lo up
        ip link add here type veth peer name there
        ip addr add 10.99.0.1/24 dev here
        ip addr add 2001:db8::1/64 dev here nodad
        ip link set here up
        ip link set there up
        for host in 10.99.0.2 $(seq -f 2001:db8::%g 2 9); do
            ip neigh add $host lladdr 02:00:00:00:00:01 dev here
        done
        {commands}
        exec \"$@\""
    );
    fs::create_dir_all(&files).unwrap();
    let files = files.to_str().unwrap();
    in_child(test, &["unshare", "--net", "--mount", "sh", "-c", &set_up, files], &[], body);
}

/// Uses [`name_server`], and waits for an answer for this number of seconds.
fn asks_name_server(seconds: u32) -> String {
    format!(
        "printf 'nameserver 127.0.0.1\noptions timeout:{seconds} attempts:2\n' > /etc/resolv.conf"
    )
}

/// A name server on port 53 of this machine. It never answers a question for an IPv6 address. It
/// resolves every name to 127.0.0.1, but does not answer at all if the name begins with `silent`.
/// Returns the names that it is asked for.
fn name_server() -> Receiver<String> {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    let (sender, names) = channel();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            // RFC 1035, 4.1: each label of a name follows its length.
            let question = &query[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 1;
            let is_ipv4 = question[end..end + 2] == [0, 1];
            let name: Vec<u8> =
                question[1..end - 1].iter().map(|b| if *b < b' ' { b'.' } else { *b }).collect();
            let name = String::from_utf8(name).unwrap();
            if is_ipv4 && !name.starts_with("silent") {
                // The same question, and one answer.
                let mut response = query[..2].to_vec();
                response.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
                response.extend(&question[..end + 4]);
                response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
                let _ = socket.send_to(&response, from);
            }
            let _ = sender.send(name);
        }
    });
    names
}

/// The lines of a hosts file that give a name these addresses.
fn hosts(name: &str, numbers: RangeInclusive<u32>, network: &str) -> String {
    numbers.fold(String::new(), |lines, n| lines + &format!("{network}{n} {name}\n"))
}

/// A site that only these tests know, over plain http.
fn site(host: &str, port: u16) -> Site {
    Site::new(&format!("http://{host}:{port}")).allow_http().retries(0)
}

/// A listener that is silent because its backlog is full, and the connections in it.
fn silent(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut backlog = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        backlog.push(stream);
    }
    (socket.into(), backlog)
}

#[test]
fn localhost_is_never_looked_up() {
    in_network("localhost_is_never_looked_up", "10.99.0.1 localhost\n", "", || {
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
    });
}

#[test]
fn the_default_port_depends_on_the_scheme() {
    in_network("the_default_port_depends_on_the_scheme", "127.0.0.1 site.test\n", "", || {
        let refusal = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        for (address, port) in [
            ("http://site.test", 80),
            ("http://127.0.0.1", 80),
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
            ("https://site.test", 443),
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
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
    });
}

#[test]
fn a_name_is_looked_up_for_each_new_connection_and_not_for_an_open_one() {
    let test = "a_name_is_looked_up_for_each_new_connection_and_not_for_an_open_one";
    in_network(test, "127.0.0.2 moves.test\n", "", || {
        let closed = closed_port();
        let site = site("moves.test", closed.addr.port());
        assert_eq!(LOGIN(&site).unwrap_err().kind(), ErrorKind::Connect);
        // The same site, now at another address.
        fs::write("/etc/hosts", "127.0.0.1 moves.test\n").unwrap();
        let server = Server::on(closed.listen(), accept_all);
        let session = Session::login(&site, &login()).unwrap();
        fs::write("/etc/hosts", "").unwrap();
        let error = LOGIN(&site).unwrap_err();
        assert!(error.to_string().contains("could not be looked up ("), "{error}");
        session.logout().unwrap();
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn a_logout_over_a_dead_connection_goes_to_the_current_address() {
    let test = "a_logout_over_a_dead_connection_goes_to_the_current_address";
    in_network(test, "127.0.0.2 moves.test\n", "", || {
        let old = Server::on(TcpListener::bind("127.0.0.2:0").unwrap(), |request| {
            accept_all(request).then_close()
        });
        let address = ("127.0.0.1", old.addr.port());
        let new = Server::on(TcpListener::bind(address).unwrap(), accept_all);
        let session = Session::login(&site("moves.test", old.addr.port()), &login()).unwrap();
        old.closed(0);
        fs::write("/etc/hosts", "127.0.0.1 moves.test\n").unwrap();
        session.logout().unwrap();
        assert_eq!((old.methods(), new.methods()), (vec!["POST".into()], vec!["DELETE".into()]));
    });
}

#[test]
fn a_lookup_has_the_time_of_the_call() {
    let commands = asks_name_server(30);
    in_network("a_lookup_has_the_time_of_the_call", "", &commands, || {
        let _names = name_server();
        let limit = Duration::from_millis(1500);
        let site = site("silent.test", 80).timeout(limit).connect_timeout(limit / 3);
        let (host, proxy) = ("silent.test", "the proxy silent-proxy.test:3128");
        for (site, peer) in [(site.clone(), host), (site.proxy("silent-proxy.test:3128"), proxy)] {
            for call in [LOGIN, LOGOUT] {
                let start = Instant::now();
                let error = call(&site).unwrap_err();
                let took = start.elapsed();
                assert!((limit..SOON).contains(&took), "{took:?}");
                assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
                let sentence = format!(
                    "{peer} could not be looked up within 1.5s (timeout): \
                     check the network's name servers, or allow more time"
                );
                assert_eq!(error.to_string(), sentence);
            }
        }
    });
}

#[test]
fn a_name_server_that_answers_for_one_family_only_costs_time_but_no_failure() {
    let test = "a_name_server_that_answers_for_one_family_only_costs_time_but_no_failure";
    in_network(test, "", &asks_name_server(1), || {
        let _names = name_server();
        let server = Server::with(accept_all);
        // The C library waits for the other answer longer than this.
        let limit = Duration::from_millis(500);
        let site = site("site.test", server.addr.port()).connect_timeout(limit);
        let start = Instant::now();
        let session = Session::login(&site, &login()).unwrap();
        assert!(start.elapsed() > limit, "the lookup was not slow");
        session.logout().unwrap();
    });
}

/// A site that accepts connections, but receives no more than a small buffer holds.
fn that_does_not_read() -> (TcpListener, Site) {
    let listener = small_listener();
    let site = site("127.0.0.1", listener.local_addr().unwrap().port());
    (listener, site)
}

#[test]
fn a_login_that_fills_a_small_send_buffer_ends_in_time() {
    in_network("a_login_that_fills_a_small_send_buffer_ends_in_time", "", "", || {
        let (limit, password) = (Duration::from_millis(1500), "x".repeat(65_000));
        for buffer in ["4096 4096 4096", "4096 16384 65536"] {
            fs::write("/proc/sys/net/ipv4/tcp_wmem", buffer).unwrap();
            let (_listener, site) = that_does_not_read();
            let (site, start) = (site.timeout(limit), Instant::now());
            let error = Session::login(&site, &Login::new("username", &password)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            assert!((limit..limit * 2).contains(&start.elapsed()), "{:?}", start.elapsed());
        }
    });
}

#[test]
fn a_write_can_be_cancelled() {
    in_network("a_write_can_be_cancelled", "", "", || {
        fs::write("/proc/sys/net/ipv4/tcp_wmem", "4096 4096 4096").unwrap();
        let (canceller, (listener, site)) = (Canceller::new(), that_does_not_read());
        let site = site.canceller(&canceller);
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
    });
}

#[test]
fn a_lookup_can_be_cancelled() {
    in_network("a_lookup_can_be_cancelled", "", &asks_name_server(30), || {
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
                let later = self::site("later.test", 80).canceller(&canceller);
                assert_eq!(LOGIN(&later).unwrap_err().kind(), ErrorKind::Cancelled);
            }
        }
        assert!(names.try_iter().all(|asked| asked != "later.test"));
    });
}

/// The number of packets with data that were sent in this namespace.
fn data_packets() -> u64 {
    let counts = fs::read_to_string("/proc/self/net/netstat").unwrap();
    let [names, values] = [0, 1].map(|n| counts.lines().nth(n).unwrap().split_whitespace());
    let found = names.zip(values).find(|(name, _)| *name == "TCPOrigDataSent");
    found.unwrap().1.parse().unwrap()
}

#[test]
fn a_request_of_5_kib_leaves_in_one_packet() {
    in_network("a_request_of_5_kib_leaves_in_one_packet", "", "", || {
        let (password, server) = ("x".repeat(4700), Server::with(accept_all));
        let session = Session::login(&server.site(), &Login::new("username", &password)).unwrap();
        // The request and the response. No other packets have been sent in this namespace.
        assert_eq!(data_packets(), 2);
        session.logout().unwrap();
    });
}

/// Lets connections to `2001:db9::/64`, `2001:dba::/64` and `2001:dbb::/64` fail. Only TCP: the C library
/// would otherwise order such an address behind all others.
const FAILING: &str = "
    ip -6 route add default dev here
    ip -6 rule add to 2001:db9::/64 ipproto tcp prohibit
    ip -6 rule add to 2001:dba::/64 ipproto tcp unreachable
    ip -6 rule add to 2001:dbb::/64 ipproto tcp blackhole";

/// The addresses of a name, in the order of the C library.
fn addresses(name: &str) -> Vec<SocketAddr> {
    (name, 0).to_socket_addrs().unwrap().collect()
}

#[test]
fn an_address_that_fails_gives_way_to_the_next() {
    let hosts = "2001:db9::1 prohibited.test\n10.99.0.1 prohibited.test\n\
                 2001:dba::1 unreachable.test\n10.99.0.1 unreachable.test\n\
                 2001:dbb::1 invalid.test\n10.99.0.1 invalid.test\n";
    in_network("an_address_that_fails_gives_way_to_the_next", hosts, FAILING, || {
        let server = Server::on(TcpListener::bind("10.99.0.1:0").unwrap(), accept_all);
        for name in ["prohibited.test", "unreachable.test", "invalid.test"] {
            assert!(addresses(name)[0].is_ipv6());
            let result = Session::login(&site(name, server.addr.port()), &login());
            result.unwrap_or_else(|error| panic!("{name}: {error}")).logout().unwrap();
        }
    });
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    let hosts = hosts("many.test", 1..=40, "127.0.1.");
    in_network("all_addresses_of_a_name_are_tried", &hosts, "", || {
        let last = addresses("many.test")[39];
        let server = Server::on(TcpListener::bind(last).unwrap(), accept_all);
        let session = Session::login(&site("many.test", server.addr.port()), &login()).unwrap();
        session.logout().unwrap();
    });
}

#[test]
fn an_address_that_is_silent_for_a_second_gives_way_to_the_next() {
    let hosts = hosts("site.test", 2..=9, "2001:db8::") + "10.99.0.1 site.test\n";
    let test = "an_address_that_is_silent_for_a_second_gives_way_to_the_next";
    in_network(test, &hosts, "", || {
        let server = Server::on(TcpListener::bind("10.99.0.1:0").unwrap(), accept_all);
        let start = Instant::now();
        let session = Session::login(&site("site.test", server.addr.port()), &login()).unwrap();
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(1), "the first address was not tried: {took:?}");
        // The other family comes second, so the other seven are not waited for.
        assert!(took < SOON, "{took:?}");
        session.logout().unwrap();
    });
}

#[test]
fn the_last_address_gets_all_the_time_and_silent_ones_are_tried_again() {
    let test = "the_last_address_gets_all_the_time_and_silent_ones_are_tried_again";
    let hosts =
        "127.0.0.3 late.test\n127.0.0.2 late.test\n127.0.0.2 last.test\n127.0.0.4 last.test\n";
    in_network(test, hosts, "", || {
        for name in ["late.test", "last.test"] {
            let (listener, backlog) = silent(([127, 0, 0, 2], 0).into());
            let port = listener.local_addr().unwrap().port();
            // In the first name, both are silent. In the second, the other one refuses.
            let _other = (name == "late.test").then(|| silent(([127, 0, 0, 3], port).into()));
            let call = thread::spawn(move || LOGIN(&site(name, port)));
            // The second round is not over yet.
            let (start, mut attempts) = (Instant::now(), BTreeSet::new());
            while start.elapsed() < Duration::from_millis(3500) {
                // The address that refuses may be seen, too.
                attempts.extend(connecting().into_iter().filter(|s| !s.starts_with("0400007F")));
                thread::sleep(Duration::from_millis(10));
            }
            assert_eq!(attempts.len(), if name == "late.test" { 3 } else { 2 }, "{name}");
            drop(backlog);
            let _server = Server::on(listener, accept_all);
            call.join().unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

#[test]
fn if_all_addresses_fail_the_first_failure_is_reported() {
    let test = "if_all_addresses_fail_the_first_failure_is_reported";
    let hosts = "2001:db9::1 first.test\n10.99.0.1 first.test\n\
                 2001:db9::1 silent-last.test\n10.99.0.2 silent-last.test\n\
                 2001:db8::2 silent-first.test\n10.99.0.1 silent-first.test\n\
                 10.99.0.2 silent.test\n";
    in_network(test, hosts, FAILING, || {
        fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "1").unwrap();
        for (name, limit, kind, text) in [
            ("first.test", 1500, ErrorKind::Connect, "(Permission denied (os error 13))"),
            ("silent-last.test", 1500, ErrorKind::Connect, "(Permission denied (os error 13))"),
            ("silent-first.test", 1500, ErrorKind::Timeout, "within 1.5s (connect_timeout)"),
            // The system's own limit, 3 s.
            ("silent.test", 60_000, ErrorKind::Connect, "(Connection timed out (os error 110))"),
        ] {
            let limit = Duration::from_millis(limit);
            let error = LOGIN(&site(name, 1).connect_timeout(limit)).unwrap_err();
            assert_eq!(error.kind(), kind, "{name}: {error}");
            assert!(error.to_string().contains(text), "{name}: {error}");
        }
    });
}

#[test]
fn addresses_without_a_host_cost_no_more_than_the_limit() {
    let hosts = hosts("site.test", 11..=18, "10.99.0.");
    in_network("addresses_without_a_host_cost_no_more_than_the_limit", &hosts, "", || {
        // Each fails after 3 s.
        let limit = Duration::from_secs(4);
        let start = Instant::now();
        LOGIN(&site("site.test", 80).timeout(limit).connect_timeout(limit)).unwrap_err();
        assert!(start.elapsed() < limit + SOON, "{:?}", start.elapsed());

        let canceller = Canceller::new();
        let cancelled = site("site.test", 80).canceller(&canceller);
        let call = thread::spawn(move || LOGIN(&cancelled));
        while connecting().is_empty() {
            thread::yield_now();
        }
        let start = Instant::now();
        canceller.cancel();
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(!error.outcome_unknown() && error.to_string().ends_with("nothing was sent"));
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    });
}

/// The remote addresses and inodes of the sockets that wait for the answer to a SYN.
fn connecting() -> Vec<String> {
    let sockets = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let columns = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns.filter(|c| c[3] == "02").map(|c| [c[2], c[9]].join(" ")).collect()
}

#[test]
fn a_network_that_drops_all_packets_is_a_clear_error() {
    let test = "a_network_that_drops_all_packets_is_a_clear_error";
    in_network(test, "10.99.0.2 silent.test\n", "", || {
        let limit = Duration::from_millis(500);
        let site = || site("silent.test", 80).connect_timeout(limit);
        for (site, peer) in [
            (site(), "silent.test"),
            (site().proxy("http://silent.test:3128"), "the proxy silent.test:3128"),
        ] {
            let start = Instant::now();
            let error = Session::login(&site, &login()).unwrap_err();
            assert!((limit..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
            assert_eq!(error.kind(), ErrorKind::Timeout);
            let sentence = format!(
                "no connection to {peer} within 500ms (connect_timeout): \
                 check the address and the network, or allow more time"
            );
            assert_eq!(error.to_string(), sentence);
        }
    });
}

#[test]
fn a_proxy_that_is_not_found_is_never_bypassed() {
    in_network("a_proxy_that_is_not_found_is_never_bypassed", "127.0.0.1 site.test\n", "", || {
        let server = Server::with(accept_all);
        let site = site("site.test", server.addr.port()).proxy("http://proxy.test:3128");
        for call in [LOGIN, LOGOUT] {
            let error = call(&site).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
            let sentence = "the proxy proxy.test:3128 could not be looked up";
            assert!(error.to_string().starts_with(sentence), "{error}");
        }
        assert!(server.requests().is_empty());
    });
}
