//! A crate whose build script logs in is built and run against the stand-in.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{not_tested, stand_in, start_stand_in};

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("build_script")
}

fn cargo(command: &str, url: &str, username: &str, password: &str) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([command, "--quiet", "--locked", "--package=build-script"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", target())
        .env("FILES_BASE_URL", url)
        .env("FILES_USERNAME", username)
        .env("FILES_PASSWORD", password)
        // The script's own request would use a proxy, even to a loopback host. cargo may need them.
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    cargo.output().unwrap()
}

#[test]
fn a_build_script_logs_in_fetches_a_value_and_logs_out() {
    if !Path::new("tests/build_script").exists() {
        return not_tested("a build script", "the package does not contain the other crate");
    }
    let server = start_stand_in();
    let output = cargo("run", &server.base_url(), stand_in::USERNAME, stand_in::PASSWORD);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "built for My Site\n");
    assert_eq!(stderr, "", "success prints nothing");

    let output = cargo("build", &server.base_url(), "nobody", "wrong-password");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let lines: Vec<&str> =
        stderr.lines().filter(|line| line.starts_with("error: build-script")).collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(lines[0].contains("check the user name and the password"), "{stderr}");
    assert!(!stderr.contains("wrong-password") && !stderr.contains("panicked"), "{stderr}");

    // cargo stores the values of the variables that a build script declares.
    if cfg!(windows) {
        return;
    }
    let find = |text| Command::new("grep").args(["-rlF", text]).arg(target()).output().unwrap();
    assert!(!find("FILES_USERNAME").stdout.is_empty());
    assert_eq!(String::from_utf8_lossy(&find("wrong-password").stdout), "");
}
