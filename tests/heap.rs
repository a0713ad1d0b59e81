//! What is on the heap: how much an open session holds, and no password in what was freed.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use files_session::{Login, Session};
use support::{Reply, Server, lets_in};

/// Counts the bytes that each thread has in use, and looks for the needle in what a thread frees
/// that asks for it. The server's threads have the password, too, and are not looked at.
struct Watching;

const NEEDLE: &[u8] = b"correct horse battery staple";

thread_local! {
    static IN_USE: Cell<usize> = const { Cell::new(0) };
    static LOOKS: Cell<bool> = const { Cell::new(false) };
    static FOUND: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    let _ =
        IN_USE.try_with(|in_use| in_use.set(in_use.get().wrapping_add(more).wrapping_sub(less)));
}

/// Whether the needle is in freed memory.
///
/// # Safety
/// `block` is good for reads of `size` bytes, whether they were ever written or not.
#[allow(unsafe_code)]
unsafe fn look(block: *const u8, size: usize) {
    if !LOOKS.try_with(Cell::get).unwrap_or(false) || size < NEEDLE.len() {
        return;
    }
    let first = NEEDLE[0];
    for at in 0..=size - NEEDLE.len() {
        // SAFETY: within the block. Volatile, because the bytes may never have been written.
        let is_there = unsafe {
            ptr::read_volatile(block.add(at)) == first
                && (1..NEEDLE.len()).all(|i| ptr::read_volatile(block.add(at + i)) == NEEDLE[i])
        };
        if is_there {
            FOUND.set(FOUND.get() + 1);
        }
    }
}

// SAFETY: all of it is done by the system's allocator, by the same layouts.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as the caller promises; the block is still there.
        unsafe {
            look(block, layout.size());
            System.dealloc(block, layout);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as the caller promises; the block is still there. It may move, and is looked at
        // as if it did.
        unsafe {
            look(block, layout.size());
            System.realloc(block, layout, size)
        }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

fn in_use() -> usize {
    IN_USE.get()
}

#[test]
fn no_password_is_left_in_freed_memory() {
    let password = std::str::from_utf8(NEEDLE).unwrap();
    let login = Login::new("username", password).otp(password).partial_session_id(password);
    let replies = [
        Reply::session(),
        Reply::http(500, "", "{}"),
        Reply::nothing().then_close(),
        Reply::json(401, r#"{"type":"not-authenticated/locked-out"}"#),
    ];
    let server = Server::with(move |request| replies[request.number % replies.len()].clone());
    let site = server.site();
    // A copy that is freed is found, or this test shows nothing.
    let found = looking(|| drop(password.to_owned()));
    assert_eq!(found, 1, "the allocator does not look");

    let found = looking(|| {
        for _ in 0..8 {
            let _ = Session::login(&site, &login);
        }
    });
    assert_eq!(found, 0, "the password is in freed memory");
    // An idle connection's buffers are freed with the site.
    let found = looking(|| drop(site));
    assert_eq!(found, 0, "the password is in the buffer of an idle connection");
}

/// How often the needle is in what is freed by this work.
fn looking(work: impl FnOnce()) -> usize {
    FOUND.set(0);
    LOOKS.set(true);
    work();
    LOOKS.set(false);
    FOUND.get()
}

/// What an open session holds, and what is left of it after the logout.
fn held(site: &files_session::Site) -> (usize, usize) {
    let start = in_use();
    let site = site.clone();
    let session = Session::login(&site, &support::login()).unwrap();
    let open = in_use().saturating_sub(start);
    session.logout().unwrap();
    let closed = in_use().saturating_sub(start);
    drop(session);
    (open, closed)
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn an_open_session_over_http_holds_at_most_40_kb() {
    let server = Server::with(lets_in);
    let (open, closed) = held(&server.site());
    println!("http: open {open}, after the logout {closed}");
    assert!(open <= 40_000, "{open} bytes");
    assert!(closed <= 4_000, "{closed} bytes are left of the connection");
}

#[cfg(all(feature = "rustls", target_os = "linux", target_pointer_width = "64"))]
#[test]
fn an_open_session_over_https_holds_at_most_130_kb() {
    use files_session::agent_config;
    use files_session::ureq::tls::{Certificate, RootCerts, TlsConfig};
    use support::tls::{Ca, VALID};

    let ca = Ca::new();
    let server = Server::tls(ca.server("127.0.0.1", VALID), lets_in);
    // As many roots as are built in.
    let others: Vec<Ca> = (0..150).map(|i| Ca::named(&i.to_string())).collect();
    let roots = others.iter().chain([&ca]);
    let roots: Vec<_> =
        roots.map(|ca| Certificate::from_der(ca.certificate.der()).to_owned()).collect();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build();
    let site = server.site().config(agent_config().tls_config(tls).build());
    // What the first connection of a process sets up for good is not the session's.
    held(&site);
    let (open, closed) = held(&site);
    println!("https: open {open}, after the logout {closed}");
    assert!(open <= 130_000, "{open} bytes");
    assert!(closed <= 4_000, "{closed} bytes are left of the connection");
}
