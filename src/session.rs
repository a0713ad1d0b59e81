//! A user who is logged in.

use std::fmt;

use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind, InvalidInput, Unexpected};
use crate::json::FromValue;
use crate::login::Login;
use crate::request::{AUTH_HEADER, Call, session_id_header};
use crate::response::Success;
use crate::retry::{self, Deadline};
use crate::site::Site;
use crate::text::hidden;

/// Lists the attributes once, for the struct, for reading them, and for `Debug`.
macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// A user who is logged in: the id that authenticates every later call, and the attributes
        /// that the site sent.
        ///
        /// The attributes are those of the Files.com API, under their own names; one that the site
        /// left out, or sent as `null` or as another JSON type than the API's reference gives it,
        /// is `None`. Dropping a session does not log out.
        ///
        /// ```no_run
        /// use files_session::{Login, Session, Site};
        ///
        /// # fn main() -> Result<(), files_session::Error> {
        /// let site = Site::new("https://mysite.files.com");
        /// let session = Session::login(&site, &Login::new("username", "password"))?;
        /// println!("{:?}", session.root_path);
        /// session.logout()?;
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Clone)]
        #[non_exhaustive]
        pub struct Session {
            /// The session's id: never empty, and a valid header value. A secret: who has it is
            /// logged in.
            pub id: String,
            $($(#[$doc])* pub $name: Option<$type>,)*
            site: Site,
        }

        impl Session {
            /// Reads the session that a login's response brings. Only the id must be right: the
            /// server keeps the session open, whatever else it sent.
            pub(crate) fn from_response(response: &Success, site: Site) -> Result<Session, Error> {
                let mut session = Session::from_id(String::new(), site);
                for (name, value) in response.json_object()? {
                    match name.as_str() {
                        "id" => session.id = String::from_value(value).unwrap_or_default(),
                        $(stringify!($name) => session.$name = FromValue::from_value(value),)*
                        _ => {}
                    }
                }
                let unusable = |reason| Err(response.unexpected(reason));
                match session.id.as_str() {
                    "" => unusable(Unexpected::NoId),
                    id if session_id_header(id).is_none() => unusable(Unexpected::UnfitId),
                    _ => Ok(session),
                }
            }

            fn from_id(id: String, site: Site) -> Session {
                Session { id, $($name: None,)* site }
            }
        }

        impl fmt::Debug for Session {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut f = f.debug_struct("Session");
                f.field("id", &format_args!("…"));
                $(match stringify!($name) {
                    "login_token" => f.field("login_token", &hidden(self.login_token.as_ref())),
                    name => f.field(name, &self.$name),
                };)*
                f.field("site", &self.site).finish()
            }
        }
    };
}

attributes! {
    /// The language of the session.
    language: String,
    /// A token with which the user can log in by browser, at `login_token_domain`. A secret.
    login_token: String,
    /// The address where `login_token` is good.
    login_token_domain: String,
    /// The most files that one page of a folder's listing can have, by the site's plan.
    max_dir_listing_size: i64,
    /// Whether the user can access several regions.
    multiple_regions: bool,
    /// Whether the session can only read.
    read_only: bool,
    /// The folder in which the user's session starts.
    root_path: String,
    /// Whether the site's administrator allows insecure SFTP ciphers to this user.
    sftp_insecure_ciphers: bool,
    /// The id of the site.
    site_id: i64,
    /// Whether the user must use TLS for everything.
    ssl_required: bool,
    /// Whether the site's administrator allows insecure TLS versions to this user.
    tls_disabled: bool,
    /// Whether the user must add a two-factor method before the API allows anything else. The
    /// login itself worked.
    two_factor_setup_needed: bool,
    /// Whether SMS may be that method. Sent only if one must be added.
    allowed_2fa_method_sms: bool,
    /// Whether TOTP may be that method. Sent only if one must be added.
    allowed_2fa_method_totp: bool,
    /// Whether U2F may be that method. Sent only if one must be added.
    allowed_2fa_method_u2f: bool,
    /// Whether a Yubikey may be that method. Sent only if one must be added.
    allowed_2fa_method_yubi: bool,
    /// Whether the user may give the modification times of files and folders.
    use_provided_modified_at: bool,
    /// Whether the user wants Windows line ends emulated.
    windows_mode_ftp: bool,
    /// When the session expires: an RFC 3339 time with an offset. Sent by live servers, though
    /// the reference of the API does not list it.
    timeout_at: String,
}

impl Session {
    /// Logs in: one `POST`.
    ///
    /// A login that the site may have carried out is never sent a second time. A user of another
    /// region is logged in there, if the site names a host under `files.com`; the session then
    /// belongs to that host, which [`base_url`](Session::base_url) names.
    ///
    /// # Errors
    ///
    /// Any [`Error`]. Worth a `match` on its [`kind`](Error::kind) are
    /// [`TwoFactorRequired`](ErrorKind::TwoFactorRequired) (answer it with [`Login::answer`]),
    /// [`InvalidCredentials`](ErrorKind::InvalidCredentials),
    /// [`OtpIncorrect`](ErrorKind::OtpIncorrect) and [`LockedOut`](ErrorKind::LockedOut).
    pub fn login(site: &Site, login: &Login) -> Result<Session, Error> {
        let site = match login.asked_by() {
            Some(origin) => site.at(BaseUrl::parse(origin)?),
            None => site.clone(),
        };
        let deadline = Deadline::new(site.time_limit());
        let call = Call::login(login);
        let refused = match retry::send(&site, &call, deadline) {
            Ok(response) => return Session::from_response(&response, site),
            Err(error) => error.asked_by(site.origin()),
        };
        let Some(region) = region(&refused) else { return Err(refused) };
        let site = site.at(region);
        match retry::send(&site, &call, deadline) {
            Ok(response) => Session::from_response(&response, site),
            Err(error) => Err(error.asked_by(site.origin())),
        }
    }

    /// The session with this id, from a file or from an earlier process, to log it out or to use
    /// its [`auth_header`](Session::auth_header). Nothing is sent, and all other attributes are
    /// `None`.
    ///
    /// Save [`base_url`](Session::base_url) beside the id: after a login that was sent on to
    /// another region it is not the address that was given to the login.
    ///
    /// ```no_run
    /// use files_session::{Session, Site};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let saved = std::fs::read_to_string("session")?;
    /// let (base_url, id) = saved.split_once('\n').ok_or("not a saved session")?;
    /// let session = Session::resume(&Site::new(base_url), id.trim_end())?;
    /// session.logout()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) where the id is not a valid header value (it is
    /// empty or longer than 4 KiB, or has white space, a control character or a non-ASCII one in
    /// it), and where no call could use the site.
    pub fn resume(site: &Site, id: impl Into<String>) -> Result<Session, Error> {
        let id = id.into();
        session_id_header(&id).ok_or(InvalidInput::SessionId)?;
        site.target()?;
        Ok(Session::from_id(id, site.clone()))
    }

    /// Logs out: one `DELETE`, repeated where no response came or the server failed.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; it may then be called again. A session that has ended already is
    /// [`InvalidSession`](ErrorKind::InvalidSession).
    pub fn logout(&self) -> Result<(), Error> {
        let call = Call::logout(&self.id)?;
        retry::send(&self.site, &call, Deadline::new(self.site.time_limit())).map(drop)
    }

    /// The origin where this session lives, such as `https://app-eu.files.com`: where all other
    /// requests go, and what to save beside the id. After a login that was sent on to another
    /// region it is not the one that the caller named.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.site.origin()
    }

    /// Name and value of the header that authenticates any other request to the API, with any
    /// HTTP client. Send it to [`base_url`](Session::base_url) only.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let site = files_session::Site::default();
    /// # let session = files_session::Session::resume(&site, "id")?;
    /// use files_session::ureq;
    /// use std::time::Duration;
    ///
    /// let (name, value) = session.auth_header();
    /// let url = format!("{}/api/rest/v1/site", session.base_url());
    /// let mut response = ureq::get(url)
    ///     .config()
    ///     .max_redirects(0) // or else the id goes where a redirect points
    ///     .timeout_global(Some(Duration::from_secs(20))) // ureq has no limit by default
    ///     .build()
    ///     .header(name, value)
    ///     .call()?;
    /// println!("{}", response.body_mut().read_to_string()?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn auth_header(&self) -> (&'static str, &str) {
        (AUTH_HEADER, &self.id)
    }
}

/// Where a login is sent once more: what a region mismatch names, if it is under `files.com`.
fn region(error: &Error) -> Option<BaseUrl> {
    let mismatch = error.api().filter(|_| error.kind() == ErrorKind::RegionMismatch)?;
    BaseUrl::region(mismatch.host.as_deref()?)
}
