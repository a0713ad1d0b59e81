//! Reads a response within its limits, and classifies it.

use std::io::Read;
use std::time::Duration;

use miniserde::json::{self as miniserde_json, Array, Object, Value};
use ureq::Body;
use ureq::http::HeaderMap;

use crate::error::{ApiError, Error, ErrorKind, TwoFactor, Unexpected};
use crate::json::{self, FromValue};
use crate::limits::MAX_BODY_BYTES;
use crate::retry_after;

/// What came back, read.
pub(crate) struct Response {
    status: u16,
    retry_after: Option<Duration>,
    location: Option<String>,
    request_id: Option<String>,
    body: Vec<u8>,
}

/// A response that says that the call worked.
pub(crate) struct Success {
    status: u16,
    body: Vec<u8>,
}

impl Response {
    /// Reads a response. The body of a success is read only if it is wanted: a logout's 2xx says
    /// all, whatever comes behind it, and however slowly.
    ///
    /// A refusal stays one where its body breaks off or is too long; the body is then cut short.
    pub(crate) fn read(
        response: ureq::http::Response<Body>,
        wants_body: bool,
    ) -> Result<Response, ureq::Error> {
        let (head, body) = response.into_parts();
        let text = |name| text(&head.headers, name);
        let mut response = Response {
            status: head.status.as_u16(),
            retry_after: text("retry-after")
                .and_then(|wait| retry_after::parse(wait, text("date"))),
            location: text("location").map(without_secrets),
            request_id: text("x-request-id").map(ToOwned::to_owned),
            body: Vec::new(),
        };
        if head.status.is_redirection() || (head.status.is_success() && !wants_body) {
            return Ok(response);
        }
        // One byte more than the limit, to tell a full body from one that is cut.
        let most = MAX_BODY_BYTES + 1;
        let length = body.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(most));
        response.body.reserve(length.min(most));
        let result = body.into_reader().take(most as u64).read_to_end(&mut response.body);
        match result {
            Err(error) if head.status.is_success() => Err(error.into()),
            _ => Ok(response),
        }
    }

    /// What the response means: the one place that decides it.
    pub(crate) fn into_success(self) -> Result<Success, Error> {
        let unexpected = |reason| Error::unexpected(self.status, self.location.clone(), reason);
        match self.status {
            200..=299 => Ok(Success { status: self.status, body: self.body }),
            300..=399 => Err(unexpected(Unexpected::Redirect)),
            _ if self.speaks_for_the_api() => Err(Error::refused(self.refusal())),
            _ => Err(unexpected(Unexpected::NotThisApi)),
        }
    }

    /// Whether a status outside 2xx and 3xx is a refusal of this API, and not of some other server
    /// in its place. A JSON object is; so is a status that says all on its own (429 and 503, which
    /// gateways send for the API), and an empty body, unless with the 404 or 405 that any web
    /// server would give.
    fn speaks_for_the_api(&self) -> bool {
        match without_byte_order_mark(&self.body).trim_ascii().first() {
            Some(b'{') => self.status >= 400,
            Some(_) => matches!(self.status, 429 | 503),
            None => self.status >= 400 && !matches!(self.status, 404 | 405),
        }
    }

    /// The refusal, with all that can be read of it: a member that is missing, or of another type,
    /// takes nothing else along.
    #[cold]
    fn refusal(self) -> ApiError {
        let text = String::from_utf8_lossy(without_byte_order_mark(&self.body));
        let body = json::parse(&text).and_then(Object::from_value).unwrap_or_default();
        let mut refusal = ApiError {
            status: self.status,
            error_type: None,
            title: None,
            message: None,
            request_id: self.request_id,
            retry_after: self.retry_after,
            two_factor: None,
            host: None,
            data: None,
        };
        let (mut errors, mut data) = (None, None);
        for (name, value) in body {
            match name.as_str() {
                "type" => put(&mut refusal.error_type, value),
                "title" => put(&mut refusal.title, value),
                "error" => put(&mut refusal.message, value),
                "instance" => put(&mut refusal.request_id, value),
                "errors" => errors = Array::from_value(value),
                "data" => data = Object::from_value(value),
                _ => {}
            }
        }
        if let Some(first) = errors.and_then(|errors| errors.into_iter().next()) {
            add_first_error(&mut refusal, first);
        }
        if let Some(data) = data {
            add_data(&mut refusal, data);
        }
        if refusal.kind() == ErrorKind::TwoFactorRequired {
            refusal.two_factor.get_or_insert_default();
        }
        refusal
    }
}

/// Puts a string with something in it into its place.
fn put(place: &mut Option<String>, value: Value) {
    if let Some(text) = String::from_value(value).filter(|text| !text.is_empty()) {
        *place = Some(text);
    }
}

/// The first of a refusal's `errors` speaks where the refusal itself does not: a string, or an
/// object of the same shape.
fn add_first_error(refusal: &mut ApiError, first: Value) {
    let (mut error_type, mut message, mut title) = (None, None, None);
    match first {
        Value::Object(first) => {
            for (name, value) in first {
                match name.as_str() {
                    "type" => put(&mut error_type, value),
                    "error" => put(&mut message, value),
                    "title" => put(&mut title, value),
                    _ => {}
                }
            }
        }
        first => put(&mut message, first),
    }
    refusal.error_type = refusal.error_type.take().or(error_type);
    refusal.message = refusal.message.take().or(message).or(title);
}

/// What a refusal's `data` says of another host, and of the second factor.
fn add_data(refusal: &mut ApiError, data: Object) {
    refusal.data = Some(miniserde_json::to_string(&data));
    let mut two_factor = TwoFactor::default();
    for (name, value) in data {
        match name.as_str() {
            "host" => put(&mut refusal.host, value),
            "partial_session_id" => put(&mut two_factor.partial_session_id, value),
            "two_factor_authentication_methods" => {
                let methods = Array::from_value(value).into_iter().flatten();
                two_factor.methods = methods.filter_map(String::from_value).collect();
            }
            _ => {}
        }
    }
    if two_factor != TwoFactor::default() {
        refusal.two_factor = Some(two_factor);
    }
}

impl Success {
    /// A 204 without anything.
    pub(crate) fn no_content() -> Success {
        Success { status: 204, body: Vec::new() }
    }

    #[cfg(fuzzing)]
    pub(crate) fn created(body: &[u8]) -> Success {
        Success { status: 201, body: body.to_vec() }
    }

    /// The JSON object in the body.
    pub(crate) fn json_object(&self) -> Result<Object, Error> {
        let value = self.json().map_err(|reason| self.unexpected(reason))?;
        Object::from_value(value).ok_or_else(|| self.unexpected(Unexpected::NotAnObject))
    }

    fn json(&self) -> Result<Value, Unexpected> {
        if self.body.len() > MAX_BODY_BYTES {
            return Err(Unexpected::TooLarge);
        }
        let text = std::str::from_utf8(without_byte_order_mark(&self.body))
            .map_err(|_| Unexpected::NotUtf8)?
            .trim_ascii();
        match text.as_bytes().first() {
            None => Err(Unexpected::Empty),
            Some(b'<') => Err(Unexpected::NotThisApi),
            Some(_) => json::parse(text).ok_or(Unexpected::NotJson),
        }
    }

    pub(crate) fn unexpected(&self, reason: Unexpected) -> Error {
        Error::unexpected(self.status, None, reason)
    }
}

#[cfg(fuzzing)]
impl Response {
    pub(crate) fn of(status: u16, body: &[u8]) -> Response {
        let body = body.to_vec();
        Response { status, retry_after: None, location: None, request_id: None, body }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Some servers put one before their JSON, which RFC 8259, 8.1 lets a reader ignore.
fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// A redirect's target, less what may be secret in it.
fn without_secrets(location: &str) -> String {
    let target = location.split(['?', '#']).next().unwrap_or_default();
    match target.split_once("//") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}//{host}{path}")
        }
        None => target.to_owned(),
    }
}
