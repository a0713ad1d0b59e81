//! Responses with random damage: no panic, and no session without a valid id.

mod support;

use files_session::{ErrorKind, Session};
use support::{Reply, Server, login, stand_in};

/// A reproducible sequence of pseudo-random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }
}

const PIECES: [&[u8]; 16] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"\\ud800",
    b"\\u0000",
    b"\r\n",
    b"\r\n\r\n",
    b"-1",
    b"\xff",
    b"id",
];

fn damage(response: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = response.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(8)).min(bytes.len());
        match random.below(6) {
            0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            4 => drop(bytes.splice(at..end, PIECES[random.below(PIECES.len())].iter().copied())),
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[test]
fn ten_thousand_damaged_responses_are_errors_or_sessions_with_a_valid_id() {
    let body = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let responses = [
        body("201 Created", stand_in::SESSION),
        body("201 Created", r#"{"id":"x"}"#),
        body(
            "401 Unauthorized",
            r#"{"type":"not-authenticated/two-factor-authentication-error","http-code":"401",
            "error":"2FA","data":{"two_factor_authentication_methods":["totp"],
            "partial_session_id":"p"},"errors":[{"error":"m"}]}"#,
        ),
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n5\r\n:\"x\"}\r\n0\r\n\r\n".to_vec(),
        b"HTTP/1.1 503 Unavailable\r\nRetry-After: 1\r\n\r\n{}".to_vec(),
    ];
    let server = Server::with(move |request| {
        let mut random = Random(request.number as u64);
        let response = &responses[random.below(responses.len())];
        Reply::raw(damage(response, &mut random)).then_close()
    });
    let site = server.site();
    let (mut sessions, mut errors) = (0, 0);
    for _ in 0..10_000 {
        match Session::login(&site, &login()) {
            Ok(session) => {
                assert!(!session.id.is_empty() && session.id.bytes().all(|b| b.is_ascii_graphic()));
                sessions += 1;
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
                let kinds = [ErrorKind::InvalidInput, ErrorKind::Connect, ErrorKind::Tls];
                assert!(!kinds.contains(&error.kind()), "{text}");
                errors += 1;
            }
        }
    }
    // Too little or too much damage would test nothing.
    assert!(sessions > 100 && errors > 5000, "{sessions} sessions, {errors} errors");
}
