//! One request goes out.

use std::time::{Duration, Instant};

use ureq::AsSendBody;
use ureq::http::{HeaderName, HeaderValue, Method, Request, header};

use crate::error::{Context, Error, InvalidInput, Stage, Unsent};
use crate::limits::{LOGIN_MAX_IDLE_AGE, MAX_HEADER_BYTES, MAX_SESSION_ID_BYTES};
use crate::login::Login;
use crate::response::{Response, Success};
use crate::site::Site;

/// The header that carries a session id.
pub(crate) const AUTH_HEADER: &str = "X-FilesAPI-Auth";

/// What is asked of the site.
pub(crate) enum Call {
    /// Log in, with this body.
    Login(Vec<u8>),
    /// Log out, with this value of the header.
    Logout(HeaderValue),
}

impl Call {
    pub(crate) fn login(login: &Login) -> Call {
        Call::Login(login.to_json())
    }

    pub(crate) fn logout(session_id: &str) -> Result<Call, InvalidInput> {
        let mut value = session_id_header(session_id).ok_or(InvalidInput::SessionId)?;
        value.set_sensitive(true);
        Ok(Call::Logout(value))
    }

    /// Whether doing it twice does no more than doing it once.
    pub(crate) fn is_idempotent(&self) -> bool {
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

/// A session id as a header's value, if it is a valid one: visible ASCII characters, up to 4 KiB.
pub(crate) fn session_id_header(id: &str) -> Option<HeaderValue> {
    let fits = (1..=MAX_SESSION_ID_BYTES).contains(&id.len());
    let visible = id.bytes().all(|byte| byte.is_ascii_graphic());
    HeaderValue::from_str(id).ok().filter(|_| fits && visible)
}

/// Sends the call once, within `limit`; `timeout` is the limit of all its tries, for an error to
/// name.
pub(crate) fn send_once(
    site: &Site,
    call: &Call,
    limit: Duration,
    timeout: Duration,
) -> Result<Success, Error> {
    let target = site.target()?;
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
    *request.uri_mut() = target.base_url.endpoint.clone();
    let json = HeaderValue::from_static("application/json");
    let (own, value) = match call {
        Call::Login(_) => (header::CONTENT_TYPE, json.clone()),
        Call::Logout(id) => (HeaderName::from_static("x-filesapi-auth"), id.clone()),
    };
    // Live servers send a body behind a logout's 204. It must not be taken for another response.
    let close = call.is_idempotent().then(|| HeaderValue::from_static("close"));
    for (name, value) in [
        (header::ACCEPT, Some(json)),
        (header::ACCEPT_LANGUAGE, target.language.cloned()),
        (header::CONNECTION, close),
        (own, Some(value)),
    ] {
        if let Some(value) = value {
            request.headers_mut().insert(name, value);
        }
    }

    let connections = site.connections();
    let config = connections.agent.config();
    let failed = |error| {
        let authority = |proxy: &ureq::Proxy| format!("{}:{}", proxy.host(), proxy.port());
        let (host, proxy) = (target.base_url.authority(), target.proxy.as_ref().map(authority));
        Error::failed(error, Context { host, proxy, timeout, config })
    };
    let start = Instant::now();
    if let Some(proxy) = &target.proxy {
        connections.look_up_proxy(proxy, limit).map_err(failed)?;
    }
    let limit = limit.saturating_sub(start.elapsed());
    if limit.is_zero() {
        let source = ureq::Error::Timeout(ureq::Timeout::Global);
        return Err(failed(Unsent { stage: Stage::Connect, by_proxy: false, source }.into()));
    }
    let max_idle_age = match call {
        Call::Login(_) => LOGIN_MAX_IDLE_AGE.min(config.max_idle_age()),
        Call::Logout(_) => config.max_idle_age(),
    };
    let request = connections
        .agent
        .configure_request(request)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_response_header_size(MAX_HEADER_BYTES)
        .proxy(target.proxy.clone())
        .max_idle_age(max_idle_age)
        .timeout_global(Some(limit))
        .build();
    let response = connections.agent.run(request).map_err(failed)?;
    let wants_body = matches!(call, Call::Login(_));
    Response::read(response, wants_body).map_err(failed)?.into_success()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_must_be_a_valid_header_value() {
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
