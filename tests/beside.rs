//! Features of ureq that another crate enables change nothing.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::tls::{Ca, VALID};
use support::{Reply, Server, accept_all, not_tested, stand_in, without_cargo_variables};

#[test]
fn features_that_another_crate_enables_change_nothing() {
    let test = "features_that_another_crate_enables_change_nothing";
    if !Path::new("tests/beside").exists() {
        return not_tested(test, "the package does not contain the other crate");
    }
    if cfg!(target_os = "linux") {
        let status = Command::new("pkg-config").args(["--exists", "openssl"]).status();
        if !status.is_ok_and(|status| status.success()) {
            return not_tested(test, "OpenSSL's headers are missing");
        }
    }
    let http = Server::with(|request| match accept_all(request) {
        _ if request.number == 0 => {
            Reply::http(201, "Set-Cookie: user=alice\r\n", stand_in::SESSION)
        }
        _ if request.line == "POST /" => Reply::http(200, "Set-Cookie: user=control\r\n", ""),
        reply => reply,
    });
    let (ca, other_ca) = (Ca::new(), Ca::named("another CA"));
    let https = Server::tls(ca.server("127.0.0.1", VALID), accept_all);

    let ca_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("beside.pem");
    fs::write(&ca_file, ca.pem()).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    without_cargo_variables(&mut cargo)
        .args(["run", "--quiet", "--locked", "--package=beside"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("SSL_CERT_FILE", ca_file)
        .env("HTTP_URL", http.url())
        .env("HTTPS_URL", https.url())
        .env("CA_PEM", ca.pem())
        .env("OTHER_CA_PEM", other_ca.pem());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let requests = http.requests();
    let header = |name| requests.iter().map(|request| request.header(name)).collect::<Vec<_>>();
    // In order: two logins and two logouts, of alice and bob in turn, and two requests by ureq.
    let [ours, by_ureq] = [Some("identity"), Some("gzip, br")];
    assert_eq!(header("accept-encoding"), [ours, ours, ours, ours, by_ureq, by_ureq]);
    let [login, bobs_login, _, bobs_logout, _, control] = header("cookie")[..] else {
        panic!("{requests:?}");
    };
    assert_eq!([login, bobs_login, bobs_logout, control], [None, None, None, Some("user=control")]);

    // The untrusted certificate was not retried.
    assert_eq!(https.connections(), 4);
    assert_eq!(https.methods(), ["POST", "DELETE"].repeat(2));
}
