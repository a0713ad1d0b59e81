//! A request goes out, and perhaps goes out again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::thread;
use std::time::{Duration, Instant};

use ureq::AsSendBody;
use ureq::http::{HeaderName, HeaderValue, Method, Request, header};

use crate::answer::{self, Answer};
use crate::connect;
use crate::error::{Error, ErrorKind, InvalidInput};
use crate::login::{self, Login};
use crate::site::{MOST_HEADER, Site};

/// The header that carries a session id.
pub(crate) const AUTH_HEADER: &str = "X-FilesAPI-Auth";

/// The same, as HTTP has it on its way.
const AUTH_HEADER_LOWER: &str = "x-filesapi-auth";

/// How often a call is tried again, unless set.
pub(crate) const RETRIES: u32 = 3;

/// The wait before the first retry; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What is asked of the site.
pub(crate) enum Call {
    /// Log in, with this body.
    Login(Vec<u8>),
    /// Log out, with this header.
    Logout(HeaderValue),
}

impl Call {
    pub(crate) fn login(login: &Login) -> Call {
        Call::Login(login::body(login).into_bytes())
    }

    pub(crate) fn logout(session_id: &str) -> Result<Call, InvalidInput> {
        let mut value = session_id_header(session_id).ok_or(InvalidInput::SessionId)?;
        value.set_sensitive(true);
        Ok(Call::Logout(value))
    }

    /// Whether doing it twice does no more than doing it once.
    fn is_idempotent(&self) -> bool {
        matches!(self, Call::Logout(_))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Call::Login(body) = self {
            // There is a password in it. `black_box` keeps the compiler from leaving it out.
            body.fill(0);
            std::hint::black_box(body);
        }
    }
}

/// A session id as a header's value, if it can stand there: visible ASCII characters, up to 4 KiB.
pub(crate) fn session_id_header(id: &str) -> Option<HeaderValue> {
    let fits = (1..=4096).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    HeaderValue::from_str(id).ok().filter(|_| fits)
}

/// The time limit of a call, from its start to its end, whatever it does in between.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn of(site: &Site) -> Deadline {
        Deadline { start: Instant::now(), limit: site.limit() }
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }
}

/// Sends the call, as often as the rules allow, and returns the last answer.
pub(crate) fn send(site: &Site, call: &Call, deadline: Deadline) -> Result<Answer, Error> {
    let mut may_have_worked = false;
    for retry in 0.. {
        let result = send_once(site, call, deadline);
        let outcome = Outcome::of(&result);
        if may_have_worked && matches!(&result, Ok(answer) if answer.says_no_such_session()) {
            return Ok(Answer::no_content());
        }
        let retries_left = site.most_retries().saturating_sub(retry);
        match wait_before_retry(call.is_idempotent(), outcome, retry) {
            Some(wait) if retries_left > 0 && wait < deadline.left() => thread::sleep(wait),
            _ => return result,
        }
        may_have_worked |= matches!(outcome, Outcome::Unanswered | Outcome::ServerError);
    }
    unreachable!("the retries are counted down")
}

/// What is known of a try, as far as it decides whether there is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// No connection could be made, and nothing was sent.
    NotSent,
    /// It was sent, and no whole answer came: the site may have received it, or not.
    Unanswered,
    /// 429 or 503 with a `Retry-After`: the site did not look at it.
    Postponed(Duration),
    /// Another 5xx: the site received it, and may have carried it out or not.
    ServerError,
    /// An answer, or a failure that will be the same the next time.
    Final,
}

impl Outcome {
    fn of(result: &Result<Answer, Error>) -> Outcome {
        match result {
            Ok(answer) => match (answer.status, answer.retry_after) {
                (429 | 503, Some(wait)) => Outcome::Postponed(wait),
                (500..=599, _) => Outcome::ServerError,
                _ => Outcome::Final,
            },
            Err(Error::Transport(transport)) => match transport.kind {
                ErrorKind::Tls => Outcome::Final,
                _ if connect::was_not_made(&transport.source) => Outcome::NotSent,
                ErrorKind::Connect => Outcome::Final,
                _ => Outcome::Unanswered,
            },
            Err(_) => Outcome::Final,
        }
    }
}

/// Whether a call may be sent again after such a try, and how long to wait before: the one place
/// that decides it. Retries that are used up and a limit that is reached end it, too.
fn wait_before_retry(idempotent: bool, outcome: Outcome, retry: u32) -> Option<Duration> {
    match (outcome, idempotent) {
        (Outcome::NotSent, _) => Some(backoff(retry)),
        (Outcome::Postponed(wait), _) => Some(wait),
        (Outcome::Unanswered | Outcome::ServerError, true) => Some(backoff(retry)),
        // The site may have received the login, and a second one would open a second session,
        // send a second code, or count as a second failure.
        (Outcome::Unanswered | Outcome::ServerError, false) => None,
        (Outcome::Final, _) => None,
    }
}

/// 0.5 s, 1 s, 2 s and so on, give or take a quarter, so that clients that failed together do not
/// come back together.
fn backoff(retry: u32) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1000;
    let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(retry.min(16)));
    doubled * 3 / 4 + doubled / 2 * u32::try_from(random).unwrap_or(0) / 1000
}

fn send_once(site: &Site, call: &Call, deadline: Deadline) -> Result<Answer, Error> {
    let mut bytes: &[u8];
    let mut nothing = ();
    let (method, body) = match call {
        Call::Login(body) => {
            bytes = body;
            (Method::POST, bytes.as_body())
        }
        Call::Logout(_) => (Method::DELETE, nothing.as_body()),
    };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = site.endpoint()?.clone();
    let headers = request.headers_mut();
    let json = HeaderValue::from_static("application/json");
    if let Some(language) = site.accept_language()? {
        headers.insert(header::ACCEPT_LANGUAGE, language.clone());
    }
    match call {
        Call::Login(_) => headers.insert(header::CONTENT_TYPE, json.clone()),
        Call::Logout(id) => headers.insert(HeaderName::from_static(AUTH_HEADER_LOWER), id.clone()),
    };
    headers.insert(header::ACCEPT, json);

    let failed = |source| Error::transport(site.host(), deadline.limit, source);
    let agent = site.http_agent();
    let mut config = agent
        .configure_request(request)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_response_header_size(MOST_HEADER)
        .timeout_global(Some(deadline.left()));
    if site.passes_proxy_by() {
        config = config.proxy(None);
    }
    if site.takes_fresh_connection() {
        config = config.max_idle_age(Duration::ZERO);
    }
    let response = agent.run(config.build()).map_err(failed)?;
    if answer::has_stray_body(&response) {
        site.distrust_idle_connections();
    }
    Answer::read(response, matches!(call, Call::Login(_))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_is_tried_again() {
        let (login, logout) = (false, true);
        let soon = Duration::from_secs(7);
        for (call, outcome, wait) in [
            (login, Outcome::NotSent, Some(FIRST_WAIT)),
            (login, Outcome::Unanswered, None),
            (login, Outcome::Postponed(soon), Some(soon)),
            (login, Outcome::ServerError, None),
            (login, Outcome::Final, None),
            (logout, Outcome::NotSent, Some(FIRST_WAIT)),
            (logout, Outcome::Unanswered, Some(FIRST_WAIT)),
            (logout, Outcome::Postponed(soon), Some(soon)),
            (logout, Outcome::ServerError, Some(FIRST_WAIT)),
            (logout, Outcome::Final, None),
        ] {
            let waits = wait_before_retry(call, outcome, 0);
            match wait {
                Some(FIRST_WAIT) => assert!(waits.is_some_and(|w| w < 2 * FIRST_WAIT)),
                _ => assert_eq!(waits, wait),
            }
        }
    }

    #[test]
    fn the_waits_double_and_differ() {
        for (retry, doubled) in [(0, 500), (1, 1000), (2, 2000), (3, 4000)] {
            let waits: Vec<u128> = (0..50).map(|_| backoff(retry).as_millis()).collect();
            assert!(waits.iter().all(|w| (doubled * 3 / 4..=doubled * 5 / 4).contains(w)));
            assert!(waits.iter().any(|w| *w != waits[0]), "no jitter");
        }
        assert!(backoff(u32::MAX) > Duration::from_secs(1000));
    }

    #[test]
    fn what_a_try_tells() {
        let answered = |status, retry_after: Option<u64>| {
            let retry_after = retry_after.map(Duration::from_secs);
            let mut answer = Answer::no_content();
            (answer.status, answer.retry_after) = (status, retry_after);
            Outcome::of(&Ok(answer))
        };
        for (status, retry_after, outcome) in [
            (201, None, Outcome::Final),
            (301, None, Outcome::Final),
            (401, None, Outcome::Final),
            (401, Some(1), Outcome::Final),
            (429, None, Outcome::Final),
            (429, Some(1), Outcome::Postponed(Duration::from_secs(1))),
            (500, None, Outcome::ServerError),
            (502, Some(1), Outcome::ServerError),
            (503, None, Outcome::ServerError),
            (503, Some(1), Outcome::Postponed(Duration::from_secs(1))),
        ] {
            assert_eq!(answered(status, retry_after), outcome, "{status} {retry_after:?}");
        }

        let io = |kind: io::ErrorKind| ureq::Error::Io(kind.into());
        for (source, outcome) in [
            (ureq::Error::HostNotFound, Outcome::NotSent),
            (ureq::Error::ConnectionFailed, Outcome::NotSent),
            (ureq::Error::Timeout(ureq::Timeout::Connect), Outcome::NotSent),
            (io(io::ErrorKind::ConnectionRefused), Outcome::NotSent),
            (io(io::ErrorKind::ConnectionReset), Outcome::Unanswered),
            (io(io::ErrorKind::UnexpectedEof), Outcome::Unanswered),
            // An established connection can end so, too.
            (io(io::ErrorKind::HostUnreachable), Outcome::Unanswered),
            (ureq::Error::Timeout(ureq::Timeout::RecvResponse), Outcome::Unanswered),
            (ureq::Error::BodyStalled, Outcome::Unanswered),
            (ureq::Error::ConnectProxyFailed("407".into()), Outcome::Final),
            (io(io::ErrorKind::InvalidData), Outcome::Final),
            (ureq::Error::TlsRequired, Outcome::Final),
            (ureq::Error::RequireHttpsOnly("http://x".into()), Outcome::Final),
        ] {
            let shown = source.to_string();
            let error = Error::transport(String::new(), Duration::ZERO, source);
            assert_eq!(Outcome::of(&Err(error)), outcome, "{shown}");
        }
    }

    #[test]
    fn a_session_id_must_fit_into_a_header() {
        for (id, fits) in [
            ("60525f92e859c4c3d74cb02fd176b1525901b525", true),
            ("~!@#$%^&*()_+-=[]{}|;':\",./<>?", true),
            ("x".repeat(4096).as_str(), true),
            ("x".repeat(4097).as_str(), false),
            ("", false),
            (" id", false),
            ("i d", false),
            ("id\n", false),
            ("id\r\nX-Evil: 1", false),
            ("id\0", false),
            ("id\x7f", false),
            ("ïd", false),
        ] {
            assert_eq!(session_id_header(id).is_some(), fits, "{id:?}");
        }
    }
}
