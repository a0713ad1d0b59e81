//! An answer is read, within its bounds, and told apart: done, refused, or none of this API's.

use std::io::Read;
use std::time::Duration;

use ureq::Body;
use ureq::http::{HeaderMap, Response, header};

use crate::error::{ApiError, Error, ErrorKind, TwoFactor, Unexpected};
use crate::json;
use crate::retry_after;

/// The most that is read of an answer's body, in bytes.
pub(crate) const MOST_BODY: usize = 256 * 1024;

/// What came back, read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    location: Option<String>,
    request_id: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    /// Reads an answer. The body of a success is read only if it is wanted: a logout's 2xx says
    /// all, whatever comes behind it, and however slowly.
    ///
    /// A refusal stays one where its body breaks off or is too long; the body is then cut short.
    pub(crate) fn read(response: Response<Body>, wanted: bool) -> Result<Answer, ureq::Error> {
        let (head, body) = response.into_parts();
        let text = |name| text(&head.headers, name);
        let mut answer = Answer {
            status: head.status.as_u16(),
            retry_after: text("retry-after")
                .and_then(|wait| retry_after::parse(wait, text("date"))),
            location: text("location").map(without_secrets),
            request_id: text("x-request-id").map(ToOwned::to_owned),
            body: Vec::new(),
        };
        if head.status.is_redirection() || (head.status.is_success() && !wanted) {
            return Ok(answer);
        }
        // One byte more than the most, to tell a full body from one that is cut.
        let length = body.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(MOST_BODY));
        answer.body.reserve(length.min(MOST_BODY) + 1);
        let result = body.into_reader().take(MOST_BODY as u64 + 1).read_to_end(&mut answer.body);
        match result {
            Err(error) if head.status.is_success() => Err(error.into()),
            _ => Ok(answer),
        }
    }

    /// An answer with this body.
    #[cfg(fuzzing)]
    pub(crate) fn of(status: u16, body: &[u8]) -> Answer {
        Answer { status, body: body.to_vec(), ..Answer::no_content() }
    }

    /// A 204 without anything.
    pub(crate) fn no_content() -> Answer {
        Answer { status: 204, retry_after: None, location: None, request_id: None, body: vec![] }
    }

    /// What the answer means: the one place that decides it. A success comes back as it is.
    pub(crate) fn or_error(self) -> Result<Answer, Error> {
        match self.status {
            200..=299 => Ok(self),
            300..=399 => Err(self.unexpected(Unexpected::Redirect)),
            _ if self.speaks_for_the_api() => Err(Error::Api(Box::new(self.refusal()))),
            _ => Err(self.unexpected(Unexpected::NotThisApi)),
        }
    }

    /// Whether a status outside 2xx and 3xx is a refusal of this API, and not of some other
    /// server in its place. A JSON object is; so is a status that says all on its own (429 and
    /// 503, which gateways send for the API), and an empty body, unless with the 404 or 405 that
    /// any web server would give.
    fn speaks_for_the_api(&self) -> bool {
        match self.body.trim_ascii().first() {
            Some(b'{') => self.status >= 400,
            Some(_) => matches!(self.status, 429 | 503),
            None => self.status >= 400 && !matches!(self.status, 404 | 405),
        }
    }

    /// Whether a logout is refused because there is no such session (any more).
    pub(crate) fn says_no_such_session(&self) -> bool {
        self.status >= 400
            && self.speaks_for_the_api()
            && matches!(
                self.refusal().kind(),
                ErrorKind::InvalidSession | ErrorKind::NotAuthenticated | ErrorKind::NotFound
            )
    }

    /// The refusal, with all that can be read of it. Member by member, so that one of a surprising
    /// type, or a body that is cut short, takes nothing else along.
    fn refusal(&self) -> ApiError {
        let body = String::from_utf8_lossy(&self.body);
        let string = |object: &str, name: &str| {
            json::member(object, name)
                .and_then(json::parse::<String>)
                .filter(|text| !text.is_empty())
        };
        let first = json::member(&body, "errors").and_then(|errors| json::elements(errors).next());
        let of_first = |name: &str| first.and_then(|first| string(first, name));
        let data = json::member(&body, "data")
            .filter(|data| data.starts_with('{') && json::parse::<json::Leaf>(data).is_some());

        let mut refusal = ApiError {
            status: self.status,
            error_type: string(&body, "type").or_else(|| of_first("type")),
            title: string(&body, "title"),
            message: string(&body, "error")
                .or_else(|| first.and_then(json::parse::<String>))
                .or_else(|| of_first("error"))
                .or_else(|| of_first("title")),
            request_id: string(&body, "instance").or_else(|| self.request_id.clone()),
            retry_after: self.retry_after,
            two_factor: data.and_then(two_factor),
            host: data.and_then(|data| string(data, "host")),
            data: data.map(ToOwned::to_owned),
        };
        if refusal.kind() == ErrorKind::TwoFactorRequired {
            refusal.two_factor.get_or_insert_default();
        }
        refusal
    }

    /// The body of a success as JSON text: an object, as far as its first character says.
    pub(crate) fn json_object(&self) -> Result<&str, Unexpected> {
        if self.body.len() > MOST_BODY {
            return Err(Unexpected::TooLarge);
        }
        let text = std::str::from_utf8(&self.body).map_err(|_| Unexpected::NotUtf8)?.trim_ascii();
        match text.as_bytes().first() {
            None => Err(Unexpected::Empty),
            Some(b'{') => Ok(text),
            Some(b'<') => Err(Unexpected::NotThisApi),
            Some(_) if json::parse::<json::Leaf>(text).is_some() => Err(Unexpected::NotAnObject),
            Some(_) => Err(Unexpected::NotJson),
        }
    }

    pub(crate) fn unexpected(self, reason: Unexpected) -> Error {
        Error::UnexpectedResponse { status: self.status, location: self.location, reason }
    }
}

/// Whether the header announces a body where HTTP allows none. ureq does not read it, and it would
/// be taken for the next answer. Files.com's 204 to a logout is such a one.
pub(crate) fn has_stray_body(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let announced = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    announced && matches!(response.status().as_u16(), 204 | 304)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A redirect's target, less what may be secret in it.
fn without_secrets(location: &str) -> String {
    let target = location.split(['?', '#']).next().unwrap_or_default();
    match target.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => target.to_owned(),
    }
}

/// What a refusal's `data` says of the second factor.
fn two_factor(data: &str) -> Option<TwoFactor> {
    let methods = json::member(data, "two_factor_authentication_methods");
    let two_factor = TwoFactor {
        methods: methods.into_iter().flat_map(json::elements).filter_map(json::parse).collect(),
        partial_session_id: json::member(data, "partial_session_id").and_then(json::parse),
    };
    (two_factor != TwoFactor::default()).then_some(two_factor)
}
