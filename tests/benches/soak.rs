//! `cargo bench --bench soak`: 20,000 logins and logouts from 8 threads with one `Site`, at a
//! server that drops, resets or delays 5 % of the calls.
//!
//! Each session that the server opened must end in a logout that it received, or in an error that
//! the caller received. Open files and memory must return to their initial values.

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use files_session::{Login, Session};

#[path = "../support/mod.rs"]
mod support;

use support::{Reply, Server};

const CYCLES: usize = 20_000;
const THREADS: usize = 8;

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn memory_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Waits until a number is at most its earlier value. Closing a connection takes time.
fn settles(what: &str, now: impl Fn() -> usize, at_most: usize) {
    let start = Instant::now();
    while now() > at_most {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {}, not {at_most}", now());
        thread::sleep(Duration::from_millis(50));
    }
    println!("{what}: {} (at most {at_most})", now());
}

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    // The ids of the open sessions.
    let granted = Arc::new(Mutex::new(HashSet::new()));
    let faults = Arc::new(AtomicUsize::new(0));
    let server = {
        let (granted, faults) = (granted.clone(), faults.clone());
        Server::forgetful(move |request| {
            let reply = match request.header("x-filesapi-auth") {
                Some(id) if granted.lock().unwrap().remove(id) => Reply::no_content(),
                Some(_) => Reply::json(401, r#"{"type":"not-authenticated/invalid-session"}"#),
                None => {
                    let id = format!("id-{}", request.number);
                    granted.lock().unwrap().insert(id.clone());
                    Reply::json(201, format!(r#"{{"id":"{id}"}}"#))
                }
            };
            // 5 % of the calls, spread evenly, after they were carried out.
            match request.number % 60 {
                7 | 27 | 47 => faults.fetch_add(1, Ordering::Relaxed),
                _ => return reply,
            };
            match request.number % 60 {
                7 => Reply::nothing().then_close(),
                27 => Reply::nothing().then_reset(),
                _ => reply.after(Duration::from_millis(20)),
            }
        })
    };

    let site = server.site().timeout(Duration::from_secs(10));
    let seen = Mutex::new(HashSet::new());
    let (next, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let run = |cycles: usize| {
        next.store(0, Ordering::Relaxed);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < cycles {
                        match Session::login(&site, &Login::new("username", "password")) {
                            Ok(session) => match session.logout() {
                                Ok(()) => {}
                                Err(_) => drop(seen.lock().unwrap().insert(session.id)),
                            },
                            Err(_) => drop(lost.fetch_add(1, Ordering::Relaxed)),
                        }
                    }
                });
            }
        });
    };

    run(1000);
    let (files, memory) = (open_files(), memory_kib());
    let start = Instant::now();
    run(CYCLES);
    println!(
        "{CYCLES} cycles in {:.1?}, {} faults",
        start.elapsed(),
        faults.load(Ordering::Relaxed)
    );

    let left = granted.lock().unwrap().clone();
    let seen = seen.into_inner().unwrap();
    let lost = lost.into_inner();
    // A login that was carried out but not answered is an error for its caller.
    println!(
        "open sessions: {}; failed logouts: {}; failed logins: {lost}",
        left.len(),
        seen.len()
    );
    assert!(left.len() <= seen.len() + lost, "a session was lost without an error");
    assert!(lost > 0, "no fault hit a login");
    let unanswered = left.difference(&seen).count();
    assert!(unanswered <= lost, "{unanswered} open sessions that no error reported");

    settles("open files", open_files, files + 2 * THREADS);
    settles("memory, KiB", memory_kib, memory + memory / 4);
}
