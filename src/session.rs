//! A user who is logged in.

use std::fmt;

use miniserde::Deserialize;

use crate::answer::Answer;
use crate::error::{Error, ErrorKind, InvalidInput, Unexpected};
use crate::json::{self, Leaf};
use crate::login::Login;
use crate::send::{self, AUTH_HEADER, Call, Deadline};
use crate::site::Site;
use crate::text::hidden;

/// Lists the attributes once, for the struct, for reading them, and for `Debug`.
macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// A user who is logged in: the id that authenticates every later call, and the attributes
        /// that the site sent.
        ///
        /// The attributes are those of the Files.com API, under their own names; one that the site
        /// left out, or sent as `null`, is `None`. Dropping a session does not log out.
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
            /// The session's id: never empty, and fit for a header. A secret: who has it is
            /// logged in.
            pub id: String,
            $($(#[$doc])* pub $name: Option<$type>,)*
            site: Site,
        }

        /// The session object as it is sent.
        #[derive(Deserialize)]
        struct Wire {
            id: Option<Leaf>,
            $($name: Option<Leaf>,)*
        }

        impl Session {
            fn from_wire(wire: Wire, site: Site) -> Result<Session, Unexpected> {
                let (mut id, mut wrong) = (None, None);
                fill(&mut id, wire.id, "id", &mut wrong);
                let mut session = Session::from_id(id.unwrap_or_default(), site);
                $(fill(&mut session.$name, wire.$name, stringify!($name), &mut wrong);)*
                match wrong {
                    Some(name) => Err(Unexpected::WrongType(name)),
                    None if session.id.is_empty() => Err(Unexpected::NoId),
                    None if send::session_id_header(&session.id).is_none() => {
                        Err(Unexpected::UnfitId)
                    }
                    None => Ok(session),
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
    /// A login that the site may have received is never sent a second time. A user who logs in
    /// at another region is logged in there, if the site names a host under `files.com`; the
    /// session then belongs to that host.
    ///
    /// # Errors
    ///
    /// Any [`Error`]. Worth a `match` on its [`kind`](Error::kind) are
    /// [`TwoFactorRequired`](ErrorKind::TwoFactorRequired) (answer it with [`Login::answer`]),
    /// [`InvalidCredentials`](ErrorKind::InvalidCredentials),
    /// [`OtpIncorrect`](ErrorKind::OtpIncorrect) and [`LockedOut`](ErrorKind::LockedOut).
    pub fn login(site: &Site, login: &Login) -> Result<Session, Error> {
        let deadline = Deadline::of(site);
        let call = Call::login(login);
        let mut site = site.clone();
        let mut result = send::send(&site, &call, deadline).and_then(Answer::or_error);
        if let Some(host) = result.as_ref().err().and_then(region_host) {
            site = site.at(host);
            result = send::send(&site, &call, deadline).and_then(Answer::or_error);
        }
        Session::from_answer(result?, site)
    }

    /// The session with this id, from a file or from an earlier process, to log it out or to use
    /// its [`auth_header`](Session::auth_header). Nothing is sent, and all other attributes are
    /// `None`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the id can't stand in a header: it is empty or longer than
    /// 4 KiB, or has white space, a control character or a non-ASCII one in it.
    pub fn resume(site: &Site, id: impl Into<String>) -> Result<Session, Error> {
        let id = id.into();
        send::session_id_header(&id).ok_or(InvalidInput::SessionId)?;
        Ok(Session::from_id(id, site.clone()))
    }

    /// Logs out: one `DELETE`, repeated where no answer came or the server failed.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; it may then be called again. A session that has ended already is
    /// [`InvalidSession`](ErrorKind::InvalidSession).
    pub fn logout(&self) -> Result<(), Error> {
        let call = Call::logout(&self.id)?;
        send::send(&self.site, &call, Deadline::of(&self.site))?.or_error()?;
        Ok(())
    }

    /// Name and value of the header that authenticates any other request to the API, with any
    /// HTTP client.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let site = files_session::Site::default();
    /// # let session = files_session::Session::resume(&site, "id")?;
    /// let (name, value) = session.auth_header();
    /// let url = "https://mysite.files.com/api/rest/v1/folders";
    /// let body = files_session::ureq::get(url).header(name, value).call()?.into_body();
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn auth_header(&self) -> (&'static str, &str) {
        (AUTH_HEADER, &self.id)
    }

    pub(crate) fn from_answer(answer: Answer, site: Site) -> Result<Session, Error> {
        let session = answer.json_object().and_then(|text| {
            let wire = json::parse(text).ok_or(Unexpected::NotJson)?;
            Session::from_wire(wire, site)
        });
        session.map_err(|reason| answer.unexpected(reason))
    }
}

/// Puts a member into its field, or notes that it is of another type.
#[inline(never)]
fn fill<T: TryFrom<Leaf>>(
    field: &mut Option<T>,
    member: Option<Leaf>,
    name: &'static str,
    wrong: &mut Option<&'static str>,
) {
    match member.map(T::try_from) {
        Some(Ok(value)) => *field = Some(value),
        Some(Err(_)) => *wrong = Some(name),
        None => {}
    }
}

/// The host to which a login is sent once more: named by a region mismatch, and under `files.com`.
fn region_host(error: &Error) -> Option<&str> {
    match error {
        Error::Api(api) if api.kind() == ErrorKind::RegionMismatch => {
            api.host.as_deref().filter(|host| is_under_files_com(host))
        }
        _ => None,
    }
}

/// Whether `host` is a bare host name under `files.com`.
fn is_under_files_com(host: &str) -> bool {
    let bare = host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    let host = host.to_ascii_lowercase();
    let below = host.strip_suffix(".files.com");
    bare && below.is_some_and(|below| !below.is_empty() && !below.split('.').any(str::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_hosts_under_files_com() {
        for host in ["eu.files.com", "EU.Files.Com", "a-1.b.files.com"] {
            assert!(is_under_files_com(host), "{host}");
        }
        for host in [
            "",
            "files.com",
            ".files.com",
            "a..files.com",
            "evilfiles.com",
            "files.com.evil.example",
            "eu.files.com:8443",
            "eu.files.com/",
            "https://eu.files.com",
            "evil.example/.files.com",
            "user@eu.files.com",
            "evil.example?.files.com",
            "evil.example#.files.com",
            "evil.example\\.files.com",
            "eu.files.com\n",
            "eu .files.com",
            "éu.files.com",
        ] {
            assert!(!is_under_files_com(host), "{host}");
        }
    }
}
