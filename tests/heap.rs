//! Heap: how much a session holds, how much a call needs, and no password in freed memory.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use files_session::{ErrorKind, Login, Session, Site};
use support::chain::{Chain, LONGEST};
use support::{Call, LOGIN, LOGOUT, Reply, Request, Server, accept_all, login};

/// Counts the bytes that each thread allocates. Searches the memory that a thread frees, if it asks
/// for that: the servers' threads hold the password as well.
struct Watching;

const PASSWORD: &str = "correct horse battery staple";

thread_local! {
    static IN_USE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    /// How often the freed memory contained the password. `None`: it is not searched.
    static FOUND: Cell<Option<usize>> = const { Cell::new(None) };
}

// SAFETY: passes everything on to the system's allocator, with the same layouts. The default
// `realloc` allocates, copies and frees.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.set(IN_USE.get().wrapping_add(layout.size()));
        PEAK.set(PEAK.get().max(IN_USE.get()));
        // Zeroed, because a server's thread may have freed this memory with a password in it.
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.set(IN_USE.get().wrapping_sub(layout.size()));
        if let Some(found) = FOUND.get() {
            // SAFETY: within the block. Volatile, because the bytes may be uninitialised.
            let byte = |i| unsafe { block.add(i).read_volatile() };
            let is_here = |start| (0..).zip(PASSWORD.bytes()).all(|(i, b)| byte(start + i) == b);
            let starts = 0..(layout.size() + 1).saturating_sub(PASSWORD.len());
            FOUND.set(Some(found + starts.filter(|start| is_here(*start)).count()));
        }
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// A site over http, and with rustls two over https: with a certificate chain of 4 KB, without and
/// with tickets.
fn sites(reply: fn(&Request) -> Reply) -> Vec<Site> {
    let mut sites = vec![Server::with(reply).site()];
    for tickets in [0, 2].into_iter().filter(|_| cfg!(feature = "rustls")) {
        let chain = Chain::new(LONGEST, &rustls::version::TLS13);
        assert!((4000..4500).contains(&chain.bytes), "{}", chain.bytes);
        let mut config = (*chain.server).clone();
        config.send_tls13_tickets = tickets;
        sites.push(Server::tls(config.into(), reply).site().ca_pem(&chain.root_pem));
    }
    sites
}

/// How often this work frees memory that contains the password.
fn passwords_freed_by(work: impl FnOnce()) -> usize {
    FOUND.set(Some(0));
    work();
    FOUND.take().unwrap()
}

#[test]
fn no_password_is_left_in_freed_memory() {
    let found = passwords_freed_by(|| drop(PASSWORD.to_owned()));
    assert_eq!(found, 1, "the allocator finds what is freed");

    let long = PASSWORD.to_owned() + &"x".repeat(9000); // longer than a write
    let login = Login::new("username", PASSWORD).otp(PASSWORD).partial_session_id(&long);
    for site in sites(|request| match request.number % 4 {
        0 => Reply::session(),
        1 => Reply::http(500, "", "{}"),
        2 => Reply::nothing().then_close(),
        _ => Reply::json(401, r#"{"type":"not-authenticated/locked-out"}"#),
    }) {
        let mut results = Vec::new();
        let log_in = |_| Session::login(&site, &login);
        let found = passwords_freed_by(|| results.extend((0..8).map(log_in)));
        assert_eq!(found, 0, "{site:?}");
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
        // Two sessions have open connections, whose buffers are freed now.
        assert_eq!(passwords_freed_by(|| drop(results)), 0, "in an open connection of {site:?}");
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn a_session_holds_at_most_36_kb_over_http_and_100_kb_over_https_and_no_connection_after_logout() {
    for site in sites(accept_all) {
        // The site keeps a limited number of tickets. After these logins it holds no more.
        for _ in 0..20 {
            Session::login(&site, &login()).unwrap().logout().unwrap();
        }
        let before = IN_USE.get();
        let session = Session::login(&site, &login()).unwrap();
        let open = IN_USE.get() - before;
        session.logout().unwrap();
        let closed = IN_USE.get() - before;
        drop(session);
        let left = IN_USE.get() - before;
        println!("{}: {open} bytes, {closed} after the logout", site.base_url());
        let limit = if site.base_url().starts_with("https") { 100_000 } else { 36_000 };
        assert!(open <= limit && closed <= 2_000 && left == 0, "{open}, {closed}, {left}");
    }
}

#[test]
fn a_flood_is_not_read_into_memory() {
    let endless = |start: &str, block: &str| Reply::pieces([start, block]).without_end();
    let (block, fields) = ("x".repeat(64 * 1024), "X: y\r\n".repeat(9999));
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(999);
    let chunk = format!("10000\r\n{block}\r\n");
    let long = "Content-Length: 99999999999\r\n\r\n{\"error\":\"";
    let chunked = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (name, flood) in [
        ("header", endless("HTTP/1.1 201 Created\r\nX: ", &block)),
        ("headers", endless("HTTP/1.1 201 Created\r\n", &fields)),
        ("hints", endless("", &hints)),
        ("announced", endless(&format!("HTTP/1.1 201 Created\r\n{long}"), &block)),
        ("chunked", endless(chunked, &chunk)),
        ("by close", endless("HTTP/1.1 201 Created\r\n\r\n{\"error\":\"", &block)),
        ("refusal", endless("HTTP/1.1 401 Unauthorized\r\n\r\n{\"error\":\"", &block)),
        ("announced refusal", endless(&format!("HTTP/1.1 500 Oops\r\n{long}"), &block)),
        ("trailers", endless(&format!("{chunked}0\r\n"), &fields)),
        ("brackets", Reply::json(401, "[".repeat(262_144))),
        ("nested data", Reply::json(401, format!(r#"{{"data":{}"#, "[".repeat(262_000)))),
        ("objects", Reply::json(201, r#"{"a":"#.repeat(50_000))),
    ] {
        let server = Server::new([flood]);
        let site = server.site().timeout(Duration::from_secs(20)).retries(0);
        let peak_of = |call: Call| {
            let before = IN_USE.get();
            PEAK.set(before);
            (call(&site), PEAK.get() - before)
        };
        let (result, needed) = peak_of(LOGIN);
        let error = result.unwrap_err();
        assert!(needed <= 300_000, "{name}: {needed} bytes ({error})");
        assert_ne!(error.kind(), ErrorKind::Timeout, "{name}: read until the time limit");
        let (_, needed) = peak_of(LOGOUT);
        assert!(needed <= 300_000, "logout, {name}: {needed} bytes");
    }
}
