//! A login and a logout with bare ureq and miniserde, as a real program would do it: with time
//! limits, small buffers, and a logout that closes its connection.

use std::error::Error;
use std::time::Duration;

use miniserde::{Deserialize, Serialize, json};
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::AgentScope;

/// With the roots of a PEM text, or the built-in ones if it is empty.
pub fn config(ca_pem: &str) -> Result<ConfigBuilder<AgentScope>, ureq::Error> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .timeout_connect(Some(Duration::from_secs(10)))
        .input_buffer_size(17 * 1024)
        .output_buffer_size(8 * 1024);
    if ca_pem.is_empty() {
        return Ok(config);
    }
    let mut roots: Vec<Certificate> = Vec::new();
    for item in parse_pem(ca_pem.as_bytes()) {
        if let PemItem::Certificate(certificate) = item? {
            roots.push(certificate);
        }
    }
    let tls = TlsConfig::builder().root_certs(RootCerts::from(roots)).build();
    Ok(config.tls_config(tls))
}

#[derive(Serialize)]
struct Login {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Session {
    id: String,
    language: Option<String>,
    login_token: Option<String>,
    login_token_domain: Option<String>,
    max_dir_listing_size: Option<i64>,
    multiple_regions: Option<bool>,
    read_only: Option<bool>,
    root_path: Option<String>,
    sftp_insecure_ciphers: Option<bool>,
    site_id: Option<i64>,
    ssl_required: Option<bool>,
    tls_disabled: Option<bool>,
    two_factor_setup_needed: Option<bool>,
    allowed_2fa_method_sms: Option<bool>,
    allowed_2fa_method_totp: Option<bool>,
    allowed_2fa_method_u2f: Option<bool>,
    allowed_2fa_method_yubi: Option<bool>,
    use_provided_modified_at: Option<bool>,
    windows_mode_ftp: Option<bool>,
}

pub fn cycle(agent: &ureq::Agent, url: &str) -> Result<(), Box<dyn Error>> {
    let login = Login { username: "username".into(), password: "password".into() };
    let mut response = agent
        .post(format!("{url}/api/rest/v1/sessions"))
        .header("Content-Type", "application/json")
        .send(json::to_string(&login))?;
    let session: Session = json::from_str(&response.body_mut().read_to_string()?)?;
    agent
        .delete(format!("{url}/api/rest/v1/sessions"))
        .header("X-FilesAPI-Auth", &session.id)
        .header("Connection", "close")
        .call()?;
    Ok(())
}
