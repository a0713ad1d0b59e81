//! A logged-in user.

use std::fmt;

use ureq::Agent;

use crate::base_url::BaseUrl;
use crate::error::Error;
use crate::json::read;
use crate::login::Login;
use crate::request::{AUTH_HEADER, Call, INVALID_SESSION_ID, is_session_id};
use crate::response::Success;
use crate::retry::send;
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
/// session.logout()?;
/// result
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Session {
    /// The session's id: never empty, and a valid header value. A secret: anyone who has it is
    /// logged in.
    pub id: String,
    /// The language of the session.
    pub language: Option<String>,
    /// A token with which the user can log in in a browser, at `login_token_domain`. A secret.
    pub login_token: Option<String>,
    /// The address where `login_token` is valid.
    pub login_token_domain: Option<String>,
    /// The maximum number of files in one page of a folder listing. It depends on the site's plan.
    pub max_dir_listing_size: Option<i64>,
    /// Whether the user can access several regions.
    pub multiple_regions: Option<bool>,
    /// Whether the session is read-only.
    pub read_only: Option<bool>,
    /// The folder in which the session starts. On newer servers, the folder that the session is
    /// restricted to; it then starts in `home_path`.
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
    /// Keeps the login's connection open for the logout.
    agent: Option<Agent>,
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
        let site = match login.challenge_origin() {
            Some(origin) => site.with_base_url(BaseUrl::parse(origin)?),
            None => site.clone(),
        };
        let (success, site) = send(&site, &Call::login(login)?, None)?;
        let canceller = site.canceller.clone();
        match Session::from_response(success, site) {
            // The cancellation may have cut off the body.
            Err(_) if canceller.is_cancelled() => Err(Error::cancelled()),
            result => result,
        }
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
        site.target()?.proxy()?;
        Ok(Session::from_id(id.to_owned(), site.clone()))
    }

    /// Logs out: one `DELETE`, over the login's connection if it is still open.
    ///
    /// It is retried after a broken or missing response, and after 429 and any 5xx. Any 2xx means
    /// success; its body is never waited for. If an earlier attempt may have succeeded, "no such
    /// session" counts as success.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; the call may then be repeated. For a session that has already ended, it is
    /// [`InvalidSession`](crate::ErrorKind::InvalidSession), or on some servers
    /// [`NotAuthenticated`](crate::ErrorKind::NotAuthenticated).
    pub fn logout(&self) -> Result<(), Error> {
        let call = Call::logout(&self.id)?;
        send(&self.site, &call, self.agent.as_ref()).map(drop)
    }

    /// The origin where this session lives, such as `https://app-eu.files.com`. After a login that
    /// moved to another region it differs from the address that the caller gave. Save it beside the
    /// id, and send other requests there.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.site.origin()
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
    #[must_use]
    pub fn auth_header(&self) -> (&'static str, &str) {
        (AUTH_HEADER, &self.id)
    }

    /// Reads the session from the response to a login. Only the id must be valid: the session is
    /// open at the server, even if other attributes are invalid.
    pub(crate) fn from_response(mut response: Success, site: Site) -> Result<Session, Error> {
        let mut session = Session::from_id(String::new(), site);
        // One pass over the members is cheaper than one search per attribute.
        for (name, value) in response.json_object()? {
            match &*name {
                "id" => session.id = read(value).unwrap_or_default(),
                "language" => session.language = read(value),
                "login_token" => session.login_token = read(value),
                "login_token_domain" => session.login_token_domain = read(value),
                "max_dir_listing_size" => session.max_dir_listing_size = read(value),
                "multiple_regions" => session.multiple_regions = read(value),
                "read_only" => session.read_only = read(value),
                "root_path" => session.root_path = read(value),
                "sftp_insecure_ciphers" => session.sftp_insecure_ciphers = read(value),
                "site_id" => session.site_id = read(value),
                "ssl_required" => session.ssl_required = read(value),
                "tls_disabled" => session.tls_disabled = read(value),
                "two_factor_setup_needed" => session.two_factor_setup_needed = read(value),
                "allowed_2fa_method_sms" => session.allowed_2fa_method_sms = read(value),
                "allowed_2fa_method_totp" => session.allowed_2fa_method_totp = read(value),
                "allowed_2fa_method_u2f" => session.allowed_2fa_method_u2f = read(value),
                "allowed_2fa_method_yubi" => session.allowed_2fa_method_yubi = read(value),
                "use_provided_modified_at" => session.use_provided_modified_at = read(value),
                "windows_mode_ftp" => session.windows_mode_ftp = read(value),
                "timeout_at" => session.timeout_at = read(value),
                "home_path" => session.home_path = read(value),
                "allowed_2fa_method_webauthn" => session.allowed_2fa_method_webauthn = read(value),
                _ => {}
            }
        }
        if session.id.is_empty() {
            return Err(response.unexpected("has no session id"));
        }
        if !is_session_id(&session.id) {
            return Err(response.unexpected(
                "has a session id that is longer than 4 KiB, or not a valid header value",
            ));
        }
        session.agent = response.agent.take();
        Ok(session)
    }

    fn from_id(id: String, site: Site) -> Session {
        Session {
            id,
            language: None,
            login_token: None,
            login_token_domain: None,
            max_dir_listing_size: None,
            multiple_regions: None,
            read_only: None,
            root_path: None,
            sftp_insecure_ciphers: None,
            site_id: None,
            ssl_required: None,
            tls_disabled: None,
            two_factor_setup_needed: None,
            allowed_2fa_method_sms: None,
            allowed_2fa_method_totp: None,
            allowed_2fa_method_u2f: None,
            allowed_2fa_method_yubi: None,
            use_provided_modified_at: None,
            windows_mode_ftp: None,
            timeout_at: None,
            home_path: None,
            allowed_2fa_method_webauthn: None,
            site,
            agent: None,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &format_args!("…"))
            .field("language", &self.language)
            .field("login_token", &redacted(self.login_token.as_ref()))
            .field("login_token_domain", &self.login_token_domain)
            .field("max_dir_listing_size", &self.max_dir_listing_size)
            .field("multiple_regions", &self.multiple_regions)
            .field("read_only", &self.read_only)
            .field("root_path", &self.root_path)
            .field("sftp_insecure_ciphers", &self.sftp_insecure_ciphers)
            .field("site_id", &self.site_id)
            .field("ssl_required", &self.ssl_required)
            .field("tls_disabled", &self.tls_disabled)
            .field("two_factor_setup_needed", &self.two_factor_setup_needed)
            .field("allowed_2fa_method_sms", &self.allowed_2fa_method_sms)
            .field("allowed_2fa_method_totp", &self.allowed_2fa_method_totp)
            .field("allowed_2fa_method_u2f", &self.allowed_2fa_method_u2f)
            .field("allowed_2fa_method_yubi", &self.allowed_2fa_method_yubi)
            .field("use_provided_modified_at", &self.use_provided_modified_at)
            .field("windows_mode_ftp", &self.windows_mode_ftp)
            .field("timeout_at", &self.timeout_at)
            .field("home_path", &self.home_path)
            .field("allowed_2fa_method_webauthn", &self.allowed_2fa_method_webauthn)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}
