//! One request goes out over a connection, and its response comes back.

use ureq::RequestBuilder;
use ureq::http::{HeaderValue, header};

use crate::base_url::BaseUrl;
use crate::connection::Connection;
use crate::error::{Context, Error};
use crate::input::InvalidInput;
use crate::limits::{Deadline, MAX_FIELD_BYTES};
use crate::login::Login;
use crate::response::Response;
use crate::site::Site;
use crate::socket::wipe;

/// The header that carries a session id.
pub(crate) const AUTH_HEADER: &str = "X-FilesAPI-Auth";

pub(crate) enum Request {
    /// Log in, with this body.
    Login(Vec<u8>),
    /// Log out, with this session id as the header's value.
    Logout(HeaderValue),
}

impl Request {
    pub(crate) fn login(login: &Login) -> Result<Request, InvalidInput> {
        login.to_json().map(Request::Login)
    }

    pub(crate) fn logout(session_id: &str) -> Result<Request, InvalidInput> {
        let value = HeaderValue::from_str(session_id).ok().filter(|_| is_session_id(session_id));
        let mut value = value.ok_or(INVALID_SESSION_ID)?;
        value.set_sensitive(true);
        Ok(Request::Logout(value))
    }

    /// Whether doing it twice has the same effect as doing it once.
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(self, Request::Logout(_))
    }

    /// Sends the request once, to the address of the site.
    pub(crate) fn send(
        &self,
        site: &Site,
        base_url: &BaseUrl,
        connection: &Connection,
        deadline: Deadline,
    ) -> Result<Response, Error> {
        let agent = &connection.agent;
        let endpoint = base_url.endpoint.clone();
        let result = match self {
            Request::Login(body) => with_headers(agent.post(endpoint), site)
                .header(header::CONTENT_TYPE, "application/json")
                .send(body.as_slice()),
            // Live servers send a body after a logout's 204. It must not be read as the response to
            // another request.
            Request::Logout(session_id) => with_headers(agent.delete(endpoint), site)
                .header(header::CONNECTION, "close")
                .header(AUTH_HEADER, session_id.clone())
                .call(),
        };
        let wants_body = matches!(self, Request::Login(_));
        let response = result.and_then(|response| Response::read(response, wants_body));
        let failed = |error| {
            let is_sent = connection.is_sent();
            let proxy =
                agent.config().proxy().map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
            Error::failed(error, &Context { host: base_url.authority(), proxy, is_sent, deadline })
        };
        response.map_err(failed)?.into_result()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Request::Login(body) = self {
            // It contains a password.
            wipe(body);
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

fn with_headers<Body>(request: RequestBuilder<Body>, site: &Site) -> RequestBuilder<Body> {
    let request = request.header(header::ACCEPT, "application/json");
    match &site.language {
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
