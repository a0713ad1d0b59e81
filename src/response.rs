//! Reads a response within its bounds, and decides what it means.

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use miniserde::json::{self as miniserde_json, Array, Object, Value};
use ureq::Body;
use ureq::http::{HeaderMap, StatusCode};

use crate::error::{ApiError, Error, ErrorKind, IS_IT_A_SITE, TwoFactor};
use crate::json::{self, FromValue, take, take_nonempty};
use crate::limits::{MAX_BODY_BYTES, MAX_TIMEOUT};

/// A response, read within its bounds.
#[derive(Default)]
pub(crate) struct Response {
    status: StatusCode,
    headers: HeaderMap,
    /// Without a byte order mark (RFC 8259, section 8.1, allows a reader to ignore it).
    body: Vec<u8>,
}

const ERROR_CLASS: &str = "x-files-error-class";
const FILES_HOST: &str = "x-files-host";
const REQUEST_ID: &str = "x-request-id";

/// The start of the plain-text region mismatch that older servers send.
const MISMATCH_TEXT: &[u8] = b"You have connected to a URL";

impl Response {
    /// Reads a response. The body of a success is read only if it is wanted: a logout is done on
    /// any 2xx, and its body is never waited for.
    ///
    /// A refusal whose body breaks off or is too long is still a refusal, with a truncated body.
    pub(crate) fn read(
        response: ureq::http::Response<Body>,
        wants_body: bool,
    ) -> Result<Response, ureq::Error> {
        let (head, body) = response.into_parts();
        let mut response =
            Response { status: head.status, headers: head.headers, body: Vec::new() };
        if head.status.is_redirection() || (head.status.is_success() && !wants_body) {
            return Ok(response);
        }
        // One byte more than the limit shows that the body is too large.
        let limit = MAX_BODY_BYTES + 1;
        let length = body.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(limit));
        response.body.reserve(length.min(limit));
        let result = body.into_reader().take(limit as u64).read_to_end(&mut response.body);
        if response.body.starts_with(b"\xef\xbb\xbf") {
            response.body.drain(..3);
        }
        match result {
            Err(error) if head.status.is_success() => Err(error.into()),
            _ => Ok(response),
        }
    }

    /// What the response means: the one place that decides it.
    pub(crate) fn into_result(self) -> Result<Response, Error> {
        let status = self.status.as_u16();
        Err(match status {
            200..=299 => return Ok(self),
            300..=399 => {
                let target = self.header("location").map(|target| without_secrets(&target));
                Error::redirect(status, target)
            }
            403 if self.body.starts_with(MISMATCH_TEXT) => {
                let (_, mut mismatch) = self.refusal();
                mismatch.message = Some(self.text().into_owned());
                mismatch.host = self.owned(FILES_HOST);
                Error::refused(ErrorKind::RegionMismatch, mismatch)
            }
            _ if self.is_api_refusal() => {
                let (kind, refusal) = self.refusal();
                Error::refused(kind, refusal)
            }
            _ => self.unexpected("is not from the Files.com API"),
        })
    }

    /// Whether a response outside 2xx and 3xx comes from this API, not from another server. It does
    /// if a header names the error's type, if the body starts like a JSON object, if the status is
    /// 429 or 503, which gateways send for the API, or if the body is empty and the status is not
    /// 404 or 405, which any web server sends.
    fn is_api_refusal(&self) -> bool {
        let status = self.status.as_u16();
        let is_from_api = || match self.body.trim_ascii().first() {
            Some(b'{') => true,
            Some(_) => matches!(status, 429 | 503),
            None => !matches!(status, 404 | 405),
        };
        matches!(status, 400..=599) && (self.header(ERROR_CLASS).is_some() || is_from_api())
    }

    /// The refusal, with everything that can be read. Missing and mistyped members are skipped.
    #[cold]
    fn refusal(&self) -> (ErrorKind, ApiError) {
        let text = self.text();
        let mut body = json::parse(&text).and_then(Object::from_value).unwrap_or_default();
        let mut refusal = ApiError::new(self.status.as_u16());
        let mut first = first_error(&mut body);
        refusal.error_type = take_nonempty(&mut body, "type")
            .or_else(|| self.owned(ERROR_CLASS))
            .or_else(|| take_nonempty(&mut first, "type"));
        refusal.title = take_nonempty(&mut body, "title");
        refusal.message = take_message(&mut body)
            .or_else(|| take_message(&mut first))
            .or_else(|| take_nonempty(&mut first, "title"));
        refusal.request_id = take_nonempty(&mut body, "instance")
            .or_else(|| take_nonempty(&mut first, "instance"))
            .or_else(|| self.owned(REQUEST_ID));
        refusal.retry_after = self.retry_after();
        if let Some(data) = take(&mut body, "data").or_else(|| take(&mut first, "data")) {
            add_data(&mut refusal, data);
        }
        let kind = ErrorKind::from_refusal(refusal.error_type.as_deref(), refusal.status);
        match kind {
            ErrorKind::TwoFactorRequired => drop(refusal.two_factor.get_or_insert_default()),
            ErrorKind::RegionMismatch => {
                refusal.host = refusal.host.or_else(|| self.owned(FILES_HOST));
            }
            _ => {}
        }
        (kind, refusal)
    }

    /// The JSON object in the body of a success.
    pub(crate) fn json_object(&self) -> Result<Object, Error> {
        let text = self.text();
        Err(self.unexpected(match json::parse(&text) {
            _ if self.body.len() > MAX_BODY_BYTES => "is larger than 64 KiB",
            _ if text.trim_ascii().is_empty() => "is empty",
            None => "is incomplete or not JSON, or has too many values",
            Some(Value::Object(object)) => return Ok(object),
            Some(_) => "is JSON, but not an object",
        }))
    }

    /// A response that is not a valid one of the API. `reason` completes the sentence "the response
    /// …".
    #[cold]
    pub(crate) fn unexpected(&self, reason: &str) -> Error {
        let reason = match self.body.trim_ascii_start().first() {
            Some(b'<') => (
                "is a page, and not from the Files.com API",
                "give the site's own address, without a path, such as https://mysite.files.com",
            ),
            _ => (reason, IS_IT_A_SITE),
        };
        Error::unexpected(self.status.as_u16(), reason, self.retry_after())
    }

    /// The body, read leniently. `from_utf8` alone is faster.
    fn text(&self) -> Cow<'_, str> {
        let lossy = |_| String::from_utf8_lossy(&self.body);
        std::str::from_utf8(&self.body).map_or_else(lossy, Cow::Borrowed)
    }

    /// The value of a header, unless it is empty.
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes())).filter(|text| !text.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.header(name).map(Cow::into_owned)
    }

    /// `Retry-After` in seconds, up to a year.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?;
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let wait = Duration::from_secs(text.parse().ok().filter(|_| is_number)?);
        Some(wait).filter(|wait| *wait <= MAX_TIMEOUT)
    }
}

/// Takes the message of a refusal: a text, or an object with a `message`, or a list of such objects.
fn take_message(refusal: &mut Object) -> Option<String> {
    let mut error = refusal.remove("error")?;
    if let Value::Array(list) = error {
        error = list.into_iter().next()?;
    }
    match error {
        Value::Object(mut object) => take_nonempty(&mut object, "message"),
        text => String::from_value(text).filter(|text| !text.is_empty()),
    }
}

/// Takes the first of a refusal's `errors`: an object like the refusal itself, or its message.
fn first_error(body: &mut Object) -> Object {
    let mut object = Object::new();
    match take(body, "errors").and_then(|errors: Array| errors.into_iter().next()) {
        Some(Value::Object(first)) => return first,
        Some(message) => drop(object.insert("error".to_owned(), message)),
        None => {}
    }
    object
}

/// Adds `data`, and the host and the second factor in it.
fn add_data(refusal: &mut ApiError, mut data: Object) {
    refusal.data = Some(miniserde_json::to_string(&data));
    refusal.host = take_nonempty(&mut data, "host");
    let methods: Option<Array> = take(&mut data, "two_factor_authentication_methods");
    let two_factor = TwoFactor {
        methods: methods.into_iter().flatten().filter_map(String::from_value).collect(),
        partial_session_id: take_nonempty(&mut data, "partial_session_id"),
        asked_by: None,
    };
    refusal.two_factor = Some(two_factor).filter(|found| *found != TwoFactor::default());
}

/// The target of a redirect, without the parts that may contain a secret.
fn without_secrets(location: &str) -> String {
    let target = location.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = target.split_at(target.find("//").map_or(0, |start| start + 2));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}{path}")
}
