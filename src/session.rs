//! A logged-in user.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use miniserde::json::Object;

use crate::call::call;
use crate::connection::Connection;
use crate::error::Error;
use crate::json::take;
use crate::login::Login;
use crate::request::{AUTH_HEADER, INVALID_SESSION_ID, Request, is_session_id};
use crate::site::Site;
use crate::text::redacted;

/// The session of a logged-in user. [`login`](Session::login) or [`resume`](Session::resume)
/// creates it, and [`logout`](Session::logout) ends it. [`auth_header`](Session::auth_header)
/// authenticates all other API requests.
///
/// The fields are the attributes of the Files.com API, under their own names. One that the site
/// left out, or sent as `null` or with an unexpected JSON type, is `None`.
///
/// Dropping a session does not log out. Log out first and handle the result of the work afterwards,
/// so that an early return can't skip the logout:
///
/// ```no_run
/// use files_session::{Login, Session, Site};
///
/// # fn work(session: &Session) -> Result<(), files_session::Error> { Ok(()) }
/// # fn main() -> Result<(), files_session::Error> {
/// let site = Site::new("https://mysite.files.com");
/// let session = Session::login(&site, &Login::new("username", "password"))?;
/// let result = work(&session);
/// let ended = session.logout();
/// let value = result?;
/// ended?;
/// # Ok(value)
/// # }
/// ```
#[derive(Clone)]
#[must_use = "dropping a session does not log out"]
#[non_exhaustive]
pub struct Session {
    /// The session's id: never empty, and a valid header value. A secret: anyone who has it is
    /// logged in.
    pub id: String,
    /// The language of the session.
    pub language: Option<String>,
    /// A token for logging in with a browser, at `login_token_domain`. A secret.
    pub login_token: Option<String>,
    /// The address where `login_token` is valid.
    pub login_token_domain: Option<String>,
    /// The maximum number of files in one page of a folder listing. It depends on the site's plan.
    pub max_dir_listing_size: Option<i64>,
    /// Whether the user can access several regions.
    pub multiple_regions: Option<bool>,
    /// Whether the session is read-only.
    pub read_only: Option<bool>,
    /// The session's start folder. On newer servers, the folder to which the session is restricted;
    /// the start folder is then `home_path`.
    pub root_path: Option<String>,
    /// Whether the site's administrator allows insecure SFTP ciphers for this user.
    pub sftp_insecure_ciphers: Option<bool>,
    /// The id of the site.
    pub site_id: Option<i64>,
    /// Whether the user must use TLS for everything.
    pub ssl_required: Option<bool>,
    /// Whether the site's administrator allows insecure TLS versions for this user.
    pub tls_disabled: Option<bool>,
    /// Whether the user must add a two-factor method before the API allows anything else. The
    /// login itself worked.
    pub two_factor_setup_needed: Option<bool>,
    /// Whether the method to add may be SMS. Sent only if one must be added.
    pub allowed_2fa_method_sms: Option<bool>,
    /// Whether the method to add may be TOTP. Sent only if one must be added.
    pub allowed_2fa_method_totp: Option<bool>,
    /// Whether the method to add may be U2F. Sent only if one must be added.
    pub allowed_2fa_method_u2f: Option<bool>,
    /// Whether the method to add may be a Yubikey. Sent only if one must be added.
    pub allowed_2fa_method_yubi: Option<bool>,
    /// Whether the user may set the modification times of files and folders.
    pub use_provided_modified_at: Option<bool>,
    /// Whether the user wants Windows line endings emulated.
    pub windows_mode_ftp: Option<bool>,
    /// When the session expires: an RFC 3339 time with an offset. Not in the API's reference.
    pub timeout_at: Option<String>,
    /// The folder in which the user starts. Not in the API's reference.
    pub home_path: Option<String>,
    /// Whether the method to add may be `WebAuthn`. Sent only if one must be added; newer servers
    /// send it in place of `allowed_2fa_method_u2f`. Not in the API's reference.
    pub allowed_2fa_method_webauthn: Option<bool>,
    site: Site,
    /// The login's connection, for the first logout.
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Session {
    /// Logs in: one `POST`.
    ///
    /// A login is sent once. It is retried only if no connection could be made. If a response
    /// over https reports that the user or site belongs to another region, and names a host under
    /// `files.com`, the login is sent once more, to that host. [`base_url`](Session::base_url) then
    /// returns its origin.
    ///
    /// # Errors
    ///
    /// Any [`Error`]. Some kinds are worth a `match`: `TwoFactorRequired` (answer it with
    /// [`Login::answer`]), `InvalidCredentials`, `OtpIncorrect` and `LockedOut`; see
    /// [`ErrorKind`](crate::ErrorKind).
    pub fn login(site: &Site, login: &Login) -> Result<Session, Error> {
        let asked_by = login.asked_by.map(|address| site.with_base_url(address.clone()));
        let site = asked_by.as_ref().unwrap_or(site);
        let (response, site, connection) = call(site, &Request::login(login)?, None)?;
        let mut session = Session::read(&mut response.json_object()?, site);
        if session.id.is_empty() {
            return Err(response.unexpected("has no session id"));
        }
        if !is_session_id(&session.id) {
            let reason = "has a session id that is longer than 4 KiB, or not a valid header value";
            return Err(response.unexpected(reason));
        }
        session.connection = Arc::new(Mutex::new(Some(connection)));
        Ok(session)
    }

    /// Makes a session from a saved id, such as one from a file or an earlier process. Sends
    /// nothing; all other attributes are `None`.
    ///
    /// The id is a secret, so save it in a file with mode 0600, together with the
    /// [`base_url`](Session::base_url):
    ///
    /// ```no_run
    /// use files_session::{Session, Site};
    /// use std::{fs, io::Write};
    ///
    /// fn save(session: &Session) -> std::io::Result<()> {
    ///     let _ = fs::remove_file("session"); // an existing file would keep its mode
    ///     let mut options = fs::OpenOptions::new();
    ///     options.write(true).create_new(true);
    ///     #[cfg(unix)]
    ///     std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    ///     let mut file = options.open("session")?;
    ///     write!(file, "{}\n{}\n", session.base_url(), session.id)
    /// }
    ///
    /// fn load() -> Result<Session, Box<dyn std::error::Error>> {
    ///     let saved = fs::read_to_string("session")?;
    ///     let mut lines = saved.lines();
    ///     let (base_url, id) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    ///     Ok(Session::resume(&Site::new(base_url), id)?)
    /// }
    /// ```
    ///
    /// The session may have expired in the meantime. `GET {base_url}/api/rest/v1/site` with the
    /// [`auth_header`](Session::auth_header) shows whether it is still valid. A site may bind a
    /// session to the IP address and the `User-Agent` of its login, so resume it with the same
    /// [`user_agent`](Site::user_agent).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the id is not a valid header value (it
    /// is empty, longer than 4 KiB, or contains white space, a control character or a non-ASCII
    /// one), or if the settings of the site would make every call fail.
    pub fn resume(site: &Site, id: &str) -> Result<Session, Error> {
        if !is_session_id(id) {
            return Err(INVALID_SESSION_ID.into());
        }
        site.checked()?;
        site.current_proxy()?;
        Ok(Session { id: id.to_owned(), ..Session::read(&mut Object::new(), site.clone()) })
    }

    /// Logs out: one `DELETE`, over the login's connection if it is still open.
    ///
    /// It is retried if no connection could be made, if the response is broken or missing, and
    /// after 429 and any 5xx (except `site-disabled`). If the login's connection turns out to be
    /// closed, the request is sent again at once over a new one; that is not counted as a retry.
    /// Any 2xx means success; its body is never waited for. If an earlier attempt may have
    /// succeeded, "no such session" counts as success.
    ///
    /// If several logouts run at once, on clones too, the first uses the login's connection; the
    /// others open new ones.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; the call may then be repeated. For a session that has already ended, it is
    /// [`InvalidSession`](crate::ErrorKind::InvalidSession), or on some servers
    /// [`NotAuthenticated`](crate::ErrorKind::NotAuthenticated).
    pub fn logout(&self) -> Result<(), Error> {
        let request = Request::logout(&self.id)?;
        let kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        call(&self.site, &request, kept).map(drop)
    }

    /// The origin where this session lives, such as `https://app-eu.files.com`. After a login that
    /// moved to another region it differs from the address that the caller gave. Save it beside the
    /// id, and send other requests there.
    pub fn base_url(&self) -> &str {
        self.site.base_url()
    }

    /// The site with all its settings, at the address where this session lives.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Name and value of the header that authenticates other API requests, with any HTTP client.
    /// Send it to [`base_url`](Session::base_url) only.
    ///
    /// A site may bind a session to the IP address and the `User-Agent` of its login, so send the
    /// same `User-Agent` with other requests. This checks whether the session is still valid:
    ///
    /// ```no_run
    /// use files_session::{Login, Session, Site};
    /// use std::time::Duration;
    ///
    /// const USER_AGENT: &str = "my-tool/1.0";
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let site = Site::new("https://mysite.files.com").user_agent(USER_AGENT);
    /// let session = Session::login(&site, &Login::new("username", "password"))?;
    /// let (name, value) = session.auth_header();
    /// let agent: ureq::Agent = ureq::Agent::config_builder()
    ///     .user_agent(USER_AGENT)
    ///     .max_redirects(0) // otherwise ureq sends the id to a redirect's target
    ///     .timeout_global(Some(Duration::from_secs(20))) // ureq has no limit by default
    ///     .build()
    ///     .into();
    /// let url = format!("{}/api/rest/v1/site", session.base_url());
    /// let site = agent.get(url).header(name, value).call()?.body_mut().read_to_string()?;
    /// println!("{site}");
    /// session.logout()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn auth_header(&self) -> (&'static str, &str) {
        (AUTH_HEADER, &self.id)
    }

    /// Reads the attributes from a response. Only the id must be valid: the session is open at the
    /// server, even if other attributes are missing or mistyped.
    fn read(attributes: &mut Object, site: Site) -> Session {
        Session {
            id: take(attributes, "id").unwrap_or_default(),
            language: take(attributes, "language"),
            login_token: take(attributes, "login_token"),
            login_token_domain: take(attributes, "login_token_domain"),
            max_dir_listing_size: take(attributes, "max_dir_listing_size"),
            multiple_regions: take(attributes, "multiple_regions"),
            read_only: take(attributes, "read_only"),
            root_path: take(attributes, "root_path"),
            sftp_insecure_ciphers: take(attributes, "sftp_insecure_ciphers"),
            site_id: take(attributes, "site_id"),
            ssl_required: take(attributes, "ssl_required"),
            tls_disabled: take(attributes, "tls_disabled"),
            two_factor_setup_needed: take(attributes, "two_factor_setup_needed"),
            allowed_2fa_method_sms: take(attributes, "allowed_2fa_method_sms"),
            allowed_2fa_method_totp: take(attributes, "allowed_2fa_method_totp"),
            allowed_2fa_method_u2f: take(attributes, "allowed_2fa_method_u2f"),
            allowed_2fa_method_yubi: take(attributes, "allowed_2fa_method_yubi"),
            use_provided_modified_at: take(attributes, "use_provided_modified_at"),
            windows_mode_ftp: take(attributes, "windows_mode_ftp"),
            timeout_at: take(attributes, "timeout_at"),
            home_path: take(attributes, "home_path"),
            allowed_2fa_method_webauthn: take(attributes, "allowed_2fa_method_webauthn"),
            site,
            connection: Arc::default(),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Session");
        shown.field("id", &format_args!("…"));
        let token = redacted(self.login_token.as_ref());
        let attributes: [(&str, Option<&dyn fmt::Debug>); 21] = [
            ("language", debug(&self.language)),
            ("login_token", debug(&token)),
            ("login_token_domain", debug(&self.login_token_domain)),
            ("max_dir_listing_size", debug(&self.max_dir_listing_size)),
            ("multiple_regions", debug(&self.multiple_regions)),
            ("read_only", debug(&self.read_only)),
            ("root_path", debug(&self.root_path)),
            ("sftp_insecure_ciphers", debug(&self.sftp_insecure_ciphers)),
            ("site_id", debug(&self.site_id)),
            ("ssl_required", debug(&self.ssl_required)),
            ("tls_disabled", debug(&self.tls_disabled)),
            ("two_factor_setup_needed", debug(&self.two_factor_setup_needed)),
            ("allowed_2fa_method_sms", debug(&self.allowed_2fa_method_sms)),
            ("allowed_2fa_method_totp", debug(&self.allowed_2fa_method_totp)),
            ("allowed_2fa_method_u2f", debug(&self.allowed_2fa_method_u2f)),
            ("allowed_2fa_method_yubi", debug(&self.allowed_2fa_method_yubi)),
            ("use_provided_modified_at", debug(&self.use_provided_modified_at)),
            ("windows_mode_ftp", debug(&self.windows_mode_ftp)),
            ("timeout_at", debug(&self.timeout_at)),
            ("home_path", debug(&self.home_path)),
            ("allowed_2fa_method_webauthn", debug(&self.allowed_2fa_method_webauthn)),
        ];
        for (name, value) in attributes {
            value.map(|value| shown.field(name, value));
        }
        shown.field("site", &self.site).finish_non_exhaustive()
    }
}

/// An attribute for `Debug`, if it is there.
#[allow(clippy::ref_option, reason = "it keeps the list short")]
fn debug<T: fmt::Debug>(attribute: &Option<T>) -> Option<&dyn fmt::Debug> {
    attribute.as_ref().map(|value| value as &dyn fmt::Debug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, FromValue};

    #[test]
    fn attributes_are_read_one_by_one() {
        let members: Vec<_> = (0..3000).map(|n| format!(r#""attribute_{n}":"","#)).collect();
        let members = members.concat();
        let objects = r#"{"a":1},"#.repeat(400);
        let commas = ",[{".repeat(2000);
        for (body, root_path) in [
            (r#"{"id":"x"}"#, None),
            (r#"{"id":"x","root_path":null,"site_id":null}"#, None),
            (r#"{"site_id":"1","read_only":1,"language":{},"id":"x","root_path":"r"}"#, Some("r")),
            (r#"{"new":{"id":"y","a":[1,{"b":null}]},"id":"x","":0,"other":1e300}"#, None),
            (&format!(r#"{{{members}"id":"x"}}"#), None),
            (&format!(r#"{{"new":[{objects}1],"id":"x"}}"#), None),
            (&format!(r#"{{"root_path":"{commas}","id":"x"}}"#), Some(&*commas)),
        ] {
            let mut attributes = Object::from_value(json::parse(body).unwrap()).unwrap();
            let session = Session::read(&mut attributes, Site::default());
            assert_eq!((&*session.id, session.root_path.as_deref()), ("x", root_path));
            assert!(session.site_id.is_none() && session.language.is_none(), "{body:.100}");
        }
    }
}
