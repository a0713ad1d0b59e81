//! Sends one request, over the kept connection or a new one.

use std::time::{Duration, Instant};

use ureq::http::{HeaderValue, header};
use ureq::{Agent, RequestBuilder, Timeout};

use crate::error::{ConnectError, Context, Error, InvalidInput, Limit, Stage};
use crate::limits::MAX_FIELD_BYTES;
use crate::login::Login;
use crate::response::{Response, Success};
use crate::site::{Site, Target};

/// The header that carries a session id.
pub(crate) const AUTH_HEADER: &str = "X-FilesAPI-Auth";

pub(crate) enum Call {
    /// Log in, with this body.
    Login(Vec<u8>),
    /// Log out, with this session id as the header's value.
    Logout(HeaderValue),
}

impl Call {
    pub(crate) fn login(login: &Login) -> Result<Call, InvalidInput> {
        login.to_json().map(Call::Login)
    }

    pub(crate) fn logout(session_id: &str) -> Result<Call, InvalidInput> {
        let value = HeaderValue::from_str(session_id).ok().filter(|_| is_session_id(session_id));
        let mut value = value.ok_or(INVALID_SESSION_ID)?;
        value.set_sensitive(true);
        Ok(Call::Logout(value))
    }

    /// Whether doing it twice has the same effect as doing it once.
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(self, Call::Logout(_))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Call::Login(body) = self {
            // It contains a password. `black_box` keeps the compiler from removing the `fill`.
            body.fill(0);
            std::hint::black_box(body);
        }
    }
}

pub(crate) const INVALID_SESSION_ID: InvalidInput = InvalidInput::new(
    "the session id is not a valid header value (it is empty, longer than 4 KiB, or contains white \
     space, a control character or a non-ASCII one): give the id as the login returned it",
);

/// Whether a session id is a valid header value: visible ASCII characters, up to 4 KiB.
pub(crate) fn is_session_id(id: &str) -> bool {
    let is_valid_len = (1..=MAX_FIELD_BYTES).contains(&id.len());
    is_valid_len && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Sends the call once, within `limit`: over the connection of `kept`, or over a new one if `kept`
/// is `None`.
pub(crate) fn send_once(
    site: &Site,
    call: &Call,
    kept: Option<&Agent>,
    limit: Duration,
) -> Result<Success, Error> {
    let start = Instant::now();
    let target = site.target()?;
    let proxy = if kept.is_none() { target.proxy()? } else { None };
    let call_limit = Limit { setting: "timeout", length: site.timeout };
    let connect_limit = Limit { setting: "connect_timeout", length: site.connect_timeout };
    let is_connect_shorter = connect_limit.length < limit;
    let context = Context {
        host: target.base_url.authority(),
        is_https: target.base_url.is_https(),
        proxy: proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host(), proxy.port())),
        connect: if is_connect_shorter { connect_limit } else { call_limit },
        call: call_limit,
    };
    let failed = |error| Error::failed(error, &context);

    let agent = match kept {
        Some(agent) => agent.clone(),
        None => {
            let (by_proxy, deadline) = (proxy.is_some(), limit.min(connect_limit.length));
            let mark = |(stage, source)| failed(ConnectError { stage, by_proxy, source }.into());
            let host = match &proxy {
                Some(proxy) => (proxy.host(), proxy.port()),
                None => (target.base_url.host(), target.base_url.port()),
            };
            let addresses = site.shared.look_up(host, deadline, &site.canceller).map_err(mark)?;
            let connect = deadline.saturating_sub(start.elapsed());
            // ureq treats a limit of zero as one second.
            if connect.is_zero() {
                return Err(mark((Stage::Connect, ureq::Error::Timeout(Timeout::Connect))));
            }
            let limit = limit.saturating_sub(start.elapsed());
            site.shared.agent(target.config(proxy, limit, connect), addresses)
        }
    };
    let _watch = site.canceller.watch(&agent);
    let endpoint = target.base_url.endpoint.clone();
    let response = match call {
        Call::Login(body) => with_headers(agent.post(endpoint), &target)
            .header(header::CONTENT_TYPE, "application/json")
            .send(body.as_slice()),
        Call::Logout(session_id) => {
            // Live servers send a body after a logout's 204. It must not be read as the response to
            // another request.
            let request = with_headers(agent.delete(endpoint), &target)
                .header(header::CONNECTION, "close")
                .header(AUTH_HEADER, session_id.clone());
            match kept {
                // The agent still has the login's limit.
                Some(_) => request.config().timeout_global(Some(limit)).build().call(),
                None => request.call(),
            }
        }
    };
    let wants_body = matches!(call, Call::Login(_));
    let response = Response::read(response.map_err(failed)?, wants_body).map_err(failed)?;
    let mut success = response.into_success()?;
    success.agent = Some(agent);
    Ok(success)
}

fn with_headers<Body>(request: RequestBuilder<Body>, target: &Target) -> RequestBuilder<Body> {
    let request = request.header(header::ACCEPT, "application/json");
    match target.language {
        Some(language) => request.header(header::ACCEPT_LANGUAGE, language.clone()),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_must_be_a_valid_header_value() {
        for (id, is_valid) in [
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
            assert_eq!(is_session_id(id), is_valid, "{id:?}");
        }
    }
}
