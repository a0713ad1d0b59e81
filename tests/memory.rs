//! Peak memory of a call, with servers that send too much.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::time::Duration;

use files_session::{ErrorKind, Session};
use support::{Reply, Server, login};

/// The peak memory of this process since the last call of this function, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak = line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak
}

#[test]
fn a_flood_is_not_read_into_memory() {
    let block = vec![b'x'; 64 * 1024];
    let chunk = [b"10000\r\n", &block[..], b"\r\n"].concat();
    let head = |head: &str| format!("HTTP/1.1 {head}\r\n\r\n{{\"error\":\"").into_bytes();
    let endless = |start: Vec<u8>, block: &[u8]| Reply::pieces([&start, block]).without_end();

    let floods = [
        ("header", endless(b"HTTP/1.1 201 Created\r\nX: ".to_vec(), &block)),
        ("headers", endless(b"HTTP/1.1 201 Created\r\n".to_vec(), &b"X: y\r\n".repeat(9999))),
        ("hints", endless(vec![], &b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(999))),
        ("announced", endless(head("201 Created\r\nContent-Length: 99999999999"), &block)),
        (
            "chunked",
            endless(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), &chunk),
        ),
        ("by close", endless(head("201 Created"), &block)),
        ("refusal", endless(head("401 Unauthorized"), &block)),
        ("announced refusal", endless(head("500 Oops\r\nContent-Length: 99999999999"), &block)),
        (
            "trailers",
            endless(
                b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".to_vec(),
                &b"X: y\r\n".repeat(9999),
            ),
        ),
        ("brackets", Reply::json(401, "[".repeat(262_144))),
        ("nested data", Reply::json(401, format!(r#"{{"data":{}"#, "[".repeat(262_000)))),
        ("objects", Reply::json(201, r#"{"a":"#.repeat(50_000))),
    ];

    let ordinary = Server::new([Reply::session()]);
    let _ = Session::login(&ordinary.site(), &login()).unwrap();
    peak();
    let _ = Session::login(&ordinary.site(), &login()).unwrap();
    let normal = peak();
    for (name, flood) in floods {
        let server = Server::new([flood]);
        let site = server.site().timeout(Duration::from_secs(20));
        peak();
        let error = Session::login(&site, &login()).unwrap_err();
        let needed = peak();
        assert!(needed <= normal + 2048, "{name}: {needed} KiB, not {normal} KiB ({error})");
        assert_ne!(error.kind(), ErrorKind::Timeout, "{name}: read until the time limit");
        let _ = Session::resume(&site.retries(0), "id").unwrap().logout();
        let needed = peak();
        assert!(needed <= normal + 2048, "logout, {name}: {needed} KiB, not {normal} KiB");
    }
}
