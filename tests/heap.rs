//! Heap use: how much an open session holds, and no password in freed memory.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use files_session::{Login, Session, Site};
use support::{Reply, Request, Server, accept_all, login};

/// Counts the bytes that each thread has allocated. Searches freed memory for the needle, but only
/// on threads that ask for it, because the server's threads hold the password as well.
struct Watching;

const NEEDLE: &[u8] = b"correct horse battery staple";

thread_local! {
    static IN_USE: Cell<usize> = const { Cell::new(0) };
    static IS_SEARCHING: Cell<bool> = const { Cell::new(false) };
    static FOUND: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    let _ =
        IN_USE.try_with(|in_use| in_use.set(in_use.get().wrapping_add(more).wrapping_sub(less)));
}

fn is_searching() -> bool {
    IS_SEARCHING.try_with(Cell::get).unwrap_or(false)
}

/// Counts the needles in memory that is about to be freed.
///
/// # Safety
/// `block` is valid for reads of `size` bytes, which may be uninitialised.
#[allow(unsafe_code)]
unsafe fn search(block: *const u8, size: usize) {
    if !is_searching() || size < NEEDLE.len() {
        return;
    }
    let first = NEEDLE[0];
    for at in 0..=size - NEEDLE.len() {
        // SAFETY: within the block. Volatile, because the bytes may be uninitialised.
        let is_there = unsafe {
            ptr::read_volatile(block.add(at)) == first
                && (1..NEEDLE.len()).all(|i| ptr::read_volatile(block.add(at + i)) == NEEDLE[i])
        };
        if is_there {
            FOUND.set(FOUND.get() + 1);
        }
    }
}

// SAFETY: passes everything on to the system's allocator, with the same layouts.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // Zeroed, because a server's thread may have freed this memory with a password in it.
        // SAFETY: as the caller promises.
        unsafe { if is_searching() { System.alloc_zeroed(layout) } else { System.alloc(layout) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as the caller promises; the block is not freed yet.
        unsafe {
            search(block, layout.size());
            System.dealloc(block, layout);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as the caller promises; the block is not freed yet. It is searched because it may
        // move.
        unsafe {
            search(block, layout.size());
            let block = System.realloc(block, layout, size);
            if is_searching() && size > layout.size() && !block.is_null() {
                block.add(layout.size()).write_bytes(0, size - layout.size());
            }
            block
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
    let found = needles_freed_by(|| drop(NEEDLE.to_vec()));
    assert_eq!(found, 1, "the allocator finds what is freed");
    find_password(|reply| {
        let server = Server::with(reply);
        let site = server.site();
        (server, site)
    });
}

/// Logs in at a server that accepts, refuses and closes the connection, and searches what is freed.
fn find_password(start: impl Fn(fn(&Request) -> Reply) -> (Server, Site)) {
    let password = std::str::from_utf8(NEEDLE).unwrap();
    let login = Login::new("username", password).otp(password).partial_session_id(password);
    let (_server, site) = start(|request| match request.number % 4 {
        0 => Reply::session(),
        1 => Reply::http(500, "", "{}"),
        2 => Reply::nothing().then_close(),
        _ => Reply::json(401, r#"{"type":"not-authenticated/locked-out"}"#),
    });
    let mut results = Vec::new();
    let found = needles_freed_by(|| results.extend((0..8).map(|_| Session::login(&site, &login))));
    assert_eq!(found, 0, "the password is in freed memory");
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    // Two sessions have open connections, whose buffers are freed now.
    let found = needles_freed_by(|| drop(results));
    assert_eq!(found, 0, "the password is in the buffer of an idle connection");
}

/// How often the needle is in memory that this work frees.
fn needles_freed_by(work: impl FnOnce()) -> usize {
    FOUND.set(0);
    IS_SEARCHING.set(true);
    work();
    IS_SEARCHING.set(false);
    FOUND.get()
}

/// Heap bytes of a site, a session of it, or both.
#[derive(Debug)]
struct Held {
    /// By an open session, without what its site held before.
    open: usize,
    /// By a session after its logout, without what its site held before.
    closed: usize,
    /// By a session after its logout, and its site.
    together: usize,
    /// After both were dropped.
    left: usize,
}

/// Measures a site's second session. The first one makes the site's TLS configuration.
fn held(site: impl Fn() -> Site) -> Held {
    let log_in = |site: &Site| Session::login(site, &login()).unwrap();
    // Some things are initialised once for the whole process.
    log_in(&site()).logout().unwrap();

    let start = in_use();
    let site = site();
    log_in(&site).logout().unwrap();
    let site_only = in_use();
    let session = log_in(&site);
    let open = in_use() - site_only;
    session.logout().unwrap();
    let (closed, together) = (in_use() - site_only, in_use() - start);
    drop((session, site));
    Held { open, closed, together, left: in_use().wrapping_sub(start) }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn a_session_over_http_holds_at_most_36_kb_while_open_and_4_kb_after_the_logout() {
    let server = Server::with(accept_all);
    let held = held(|| server.site());
    println!("http: {held:?}");
    assert!(held.open <= 36_000 && held.closed <= 2_000, "{held:?}");
    assert!(held.together <= 4_000 && held.left == 0, "{held:?}");
}

#[cfg(all(
    any(feature = "rustls", feature = "native-tls"),
    target_os = "linux",
    target_pointer_width = "64"
))]
mod https {
    use std::sync::Arc;

    use files_session::ErrorKind;
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    };
    use rustls::ServerConfig;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::server::NoServerSessionStorage;

    use super::*;
    use support::tls::Ca;

    /// A server's configuration with a certificate chain of about 4 KB, and its root as PEM text.
    fn server_config(has_tickets: bool) -> (Arc<ServerConfig>, String) {
        #[cfg(feature = "native-tls")]
        openssl::watch();

        let keys: Vec<KeyPair> = (0..3).map(|_| KeyPair::generate().unwrap()).collect();
        let params = |name: &str, is_ca| {
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            if is_ca {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
            // A comment stands for the larger keys and longer names of real certificates: an
            // IA5String of 1,700 bytes.
            let text = [&[0x16, 0x82, 0x06, 0xa4], &[b'x'; 1700][..]].concat();
            let comment = CustomExtension::from_oid_content(&[2, 16, 840, 1, 113_730, 1, 13], text);
            params.custom_extensions.push(comment);
            params
        };
        let (root, intermediate) = (params("root", true), params("intermediate", true));
        let root_certificate = root.self_signed(&keys[0]).unwrap();
        let root = Issuer::new(root, &keys[0]);
        let intermediate_certificate = intermediate.signed_by(&keys[1], &root).unwrap();
        let intermediate = Issuer::new(intermediate, &keys[1]);
        let leaf = params("127.0.0.1", false).signed_by(&keys[2], &intermediate).unwrap();
        let chain = vec![leaf.der().clone(), intermediate_certificate.der().clone()];
        let size: usize = chain.iter().map(|certificate| certificate.len()).sum();
        assert!((4000..4500).contains(&size), "{size}");

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(keys[2].serialize_der()).into())
            .unwrap();
        if !has_tickets {
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        (Arc::new(config), root_certificate.pem())
    }

    #[test]
    fn no_password_is_left_in_freed_memory_over_https() {
        let (config, root) = server_config(true);
        find_password(|reply| {
            let server = Server::tls(config.clone(), reply);
            let site = server.site().ca_pem(&root);
            (server, site)
        });
    }

    #[test]
    fn a_session_over_https_holds_at_most_100_kb_while_open_and_40_kb_after_the_logout() {
        // As many roots as are built in.
        let other_roots: String = (0..150).map(|i| Ca::named(&i.to_string()).pem()).collect();
        for has_tickets in [false, true] {
            let (config, root) = server_config(has_tickets);
            let server = Server::tls(config, accept_all);
            let one_root = held(|| server.site().ca_pem(&root));
            println!("https, tickets: {has_tickets}, one root: {one_root:?}");
            assert!(one_root.open <= 100_000 && one_root.together <= 40_000, "{one_root:?}");
            // Nothing of the connection. A site keeps the tickets of each.
            assert!(has_tickets || one_root.closed <= 2_000, "{one_root:?}");

            let pem = root + &other_roots;
            let many_roots = held(|| server.site().ca_pem(&pem));
            println!("https, tickets: {has_tickets}, {} bytes of roots: {many_roots:?}", pem.len());
            assert!(many_roots.open <= 100_000, "{many_roots:?}");
            // OpenSSL needs 5 KB for each.
            if cfg!(feature = "rustls") {
                let roots = many_roots.together - one_root.together;
                assert!(roots <= pem.len() * 5 / 4, "{roots} of {}", pem.len());
            }
            assert_eq!((one_root.left, many_roots.left), (0, 0));
        }
    }

    #[test]
    fn a_site_keeps_a_limited_number_of_tickets() {
        let (config, root) = server_config(true);
        let server = Server::tls(config, accept_all);
        let growth = |site: &Site| {
            let before = in_use();
            (0..20).for_each(|_| Session::login(site, &login()).unwrap().logout().unwrap());
            in_use() - before
        };
        growth(&server.site().ca_pem(&root));
        let start = in_use();
        let site = server.site().ca_pem(&root);
        growth(&site);
        println!("https, after 20 logins: the site holds {}", in_use() - start);
        assert_eq!(growth(&site), 0);
    }

    /// The login fails because the root is not trusted, but it creates the site's TLS
    /// configuration.
    #[test]
    fn a_site_with_default_roots_holds_at_most_40_kb_with_rustls() {
        let server = Server::tls(server_config(true).0, accept_all);
        let refused = |site: &Site| {
            let error = Session::login(site, &login()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        };
        refused(&server.site());
        let start = in_use();
        let site = server.site();
        refused(&site);
        let site_only = in_use() - start;
        println!("https, default roots: the site holds {site_only}");
        drop(site);
        // OpenSSL keeps the text of a thread's last error.
        let left = in_use().saturating_sub(start);
        assert!(left < 100, "{left}");
        // The system's roots, of which there are about 150.
        let limit = match () {
            () if cfg!(feature = "platform-verifier") => 150_000,
            () if cfg!(feature = "native-tls") && !cfg!(feature = "rustls") => 1_200_000,
            () => 40_000,
        };
        assert!(site_only <= limit, "{site_only}");
    }

    /// OpenSSL allocates with malloc, which the allocator above doesn't see.
    #[cfg(feature = "native-tls")]
    #[allow(unsafe_code)]
    mod openssl {
        use std::ffi::{c_char, c_int, c_void};
        use std::sync::Once;

        use crate::{count, search};

        type Malloc = unsafe extern "C" fn(usize, *const c_char, c_int) -> *mut c_void;
        type Realloc =
            unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void;
        type Free = unsafe extern "C" fn(*mut c_void, *const c_char, c_int);

        unsafe extern "C" {
            fn CRYPTO_set_mem_functions(malloc: Malloc, realloc: Realloc, free: Free) -> c_int;
        }

        /// Counts and searches what OpenSSL allocates. OpenSSL must not have allocated before.
        pub fn watch() {
            static ONCE: Once = Once::new();
            // SAFETY: the functions do what malloc, realloc and free do.
            ONCE.call_once(|| unsafe {
                assert_eq!(CRYPTO_set_mem_functions(malloc, realloc, free), 1);
            });
        }

        unsafe extern "C" fn malloc(size: usize, _: *const c_char, _: c_int) -> *mut c_void {
            // SAFETY: OpenSSL checks for null; so does malloc_usable_size.
            unsafe {
                let block = libc::malloc(size);
                count(libc::malloc_usable_size(block), 0);
                block
            }
        }

        unsafe extern "C" fn realloc(
            block: *mut c_void,
            size: usize,
            _: *const c_char,
            _: c_int,
        ) -> *mut c_void {
            // SAFETY: `block` is null, or one of these functions returned it.
            unsafe {
                let old_size = libc::malloc_usable_size(block);
                search(block.cast(), old_size);
                let block = libc::realloc(block, size);
                count(libc::malloc_usable_size(block), old_size);
                block
            }
        }

        unsafe extern "C" fn free(block: *mut c_void, _: *const c_char, _: c_int) {
            // SAFETY: as above.
            unsafe {
                let size = libc::malloc_usable_size(block);
                search(block.cast(), size);
                count(0, size);
                libc::free(block);
            }
        }
    }
}
