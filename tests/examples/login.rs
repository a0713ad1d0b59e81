//! Logs in and out again, and shows what came: `cargo run --example login`.
//!
//! With `FILES_BASE_URL`, `FILES_USERNAME`, `FILES_PASSWORD` and, if there is one, `FILES_OTP` set
//! it does so at that site. Without any of them it starts a stand-in for Files.com in this process.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::{env, error, fmt};

use files_session::{Error, Login, Session, Site};

#[allow(dead_code)]
#[path = "../support/stand_in.rs"]
mod stand_in;

const BASE_URL: &str = "FILES_BASE_URL";
const USERNAME: &str = "FILES_USERNAME";
const PASSWORD: &str = "FILES_PASSWORD";
const OTP: &str = "FILES_OTP";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn error::Error>> {
    let given = [BASE_URL, USERNAME, PASSWORD, OTP].iter().any(|name| env::var_os(name).is_some());
    if given {
        let otp = env::var_os(OTP).map(|_| variable(OTP)).transpose()?;
        let (url, username, password) =
            (variable(BASE_URL)?, variable(USERNAME)?, variable(PASSWORD)?);
        log_in_and_out(&url, &username, &password, otp.as_deref())
    } else {
        let server = stand_in::start();
        let url = server.base_url();
        println!("a stand-in for Files.com answers at {url}; to log in to a site of yours,");
        println!("set {BASE_URL}, {USERNAME}, {PASSWORD} and, if there is one, {OTP}");
        log_in_and_out(&url, stand_in::USERNAME, stand_in::PASSWORD, None)
    }
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}

fn log_in_and_out(
    url: &str,
    username: &str,
    password: &str,
    otp: Option<&str>,
) -> Result<(), Box<dyn error::Error>> {
    let site = Site::new(url);
    let login = Login::new(username, password);
    let session = match Session::login(&site, &otp.map_or(login, |otp| login.otp(otp))) {
        Err(error) if error.two_factor().is_some() => second_factor(&site, &login, &error)?,
        result => result?,
    };
    println!("logged in as {username}");
    print_attributes(&session);
    session.logout()?;
    println!("logged out");
    Ok(())
}

fn second_factor(
    site: &Site,
    login: &Login,
    error: &Error,
) -> Result<Session, Box<dyn error::Error>> {
    let two_factor = error.two_factor().ok_or("no second factor is asked for")?;
    print!("second factor ({}): ", two_factor.methods.join(", "));
    io::stdout().flush()?;
    let mut code = String::new();
    if io::stdin().lock().read_line(&mut code)? == 0 {
        return Err(format!("{error}; no code was given").into());
    }
    Ok(Session::login(site, &login.answer(two_factor, code.trim()))?)
}

fn print_attributes(session: &Session) {
    fn print<T: fmt::Display>(name: &str, value: Option<&T>) {
        if let Some(value) = value {
            println!("{name}: {value}");
        }
    }
    let shortened = |secret: &str| {
        let shown = if secret.chars().count() >= 16 { 4 } else { 0 };
        secret.chars().take(shown).chain(['…']).collect::<String>()
    };
    print("id", Some(&shortened(&session.id)));
    print("language", session.language.as_ref());
    print("login_token", session.login_token.as_deref().map(shortened).as_ref());
    print("login_token_domain", session.login_token_domain.as_ref());
    print("max_dir_listing_size", session.max_dir_listing_size.as_ref());
    print("multiple_regions", session.multiple_regions.as_ref());
    print("read_only", session.read_only.as_ref());
    print("root_path", session.root_path.as_ref());
    print("sftp_insecure_ciphers", session.sftp_insecure_ciphers.as_ref());
    print("site_id", session.site_id.as_ref());
    print("ssl_required", session.ssl_required.as_ref());
    print("tls_disabled", session.tls_disabled.as_ref());
    print("two_factor_setup_needed", session.two_factor_setup_needed.as_ref());
    print("allowed_2fa_method_sms", session.allowed_2fa_method_sms.as_ref());
    print("allowed_2fa_method_totp", session.allowed_2fa_method_totp.as_ref());
    print("allowed_2fa_method_u2f", session.allowed_2fa_method_u2f.as_ref());
    print("allowed_2fa_method_yubi", session.allowed_2fa_method_yubi.as_ref());
    print("use_provided_modified_at", session.use_provided_modified_at.as_ref());
    print("windows_mode_ftp", session.windows_mode_ftp.as_ref());
    print("timeout_at", session.timeout_at.as_ref());
}
