//! A response is an error whose sentence is suitable for a terminal, or a session with a valid id.

#![no_main]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex};
use std::thread;

use files_session::{Login, Session, Site};

static RESPONSE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A server that sends the response on each connection.
static SITE: LazyLock<Site> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).read(&mut [0; 4096]);
            let _ = (&stream).write_all(&RESPONSE.lock().unwrap());
        }
    });
    Site::new(&url).retries(0)
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let status = [201, 302, 401, 403, 404, 503][usize::from(first % 6)];
    let mut response = format!("HTTP/1.1 {status} X\r\n\r\n").into_bytes();
    response.extend(body);
    *RESPONSE.lock().unwrap() = response;
    match Session::login(&SITE, &Login::new("username", "password")) {
        Ok(session) => drop(Session::resume(&SITE, &session.id).unwrap()),
        Err(error) => {
            let (sentence, _) = (error.to_string(), format!("{error:#?}"));
            assert!(sentence.len() < 16_000 && !sentence.chars().any(char::is_control));
        }
    }
});
