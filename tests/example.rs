//! The example, run as a newcomer would.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::stand_in::{DEVICE_ANSWER, VARIABLES};
use support::{Reply, Server, stand_in, start_stand_in, without_proxies};

/// The example, built by `cargo test`.
fn example() -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.extend(["examples", &format!("login{}", std::env::consts::EXE_SUFFIX)]);
    assert!(path.exists(), "{} is missing: `cargo test` builds it", path.display());
    let mut command = Command::new(path);
    without_proxies(&mut command);
    command
}

/// Runs the example with these values of its variables, and this text to read.
fn run(account: Option<[&str; 3]>, input: &str) -> Output {
    run_with(account, input, &std::env::temp_dir())
}

fn run_with(account: Option<[&str; 3]>, input: &str, temp_dir: &Path) -> Output {
    let mut command = example();
    for (i, name) in VARIABLES.into_iter().enumerate() {
        match account {
            Some(values) => command.env(name, values[i]),
            None => command.env_remove(name),
        };
    }
    command.env("TMPDIR", temp_dir).env("TMP", temp_dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What it printed.
#[track_caller]
fn assert_works(output: &Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The error that it printed.
#[track_caller]
fn assert_fails(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn without_variables_it_logs_in_at_a_stand_in() {
    let printed = assert_works(&run(None, ""));
    assert!(printed.starts_with("a stand-in for Files.com runs at http://127.0.0.1:"), "{printed}");
    let attributes = "\nlanguage: \"en\"\nhome_path: \"home\"\n\
                      timeout_at: \"2999-12-31T18:00:00-05:00\"\nlogged out\n";
    assert!(printed.ends_with(attributes), "{printed}");
    assert!(!printed.contains(stand_in::SESSION_ID), "{printed}");
}

#[test]
fn with_variables_it_logs_in_at_that_site() {
    let server = start_stand_in();
    let url = server.base_url();
    let printed = assert_works(&run(Some([&url, "username", "password"]), ""));
    assert!(printed.starts_with(&format!("logged in at {url}\n")), "{printed}");
    assert!(printed.ends_with("\nlogged out\n"), "{printed}");

    for (user, method, code) in [
        ("2fa", "totp", "123 456"),
        ("yubi", "yubi", "123456"),
        ("webauthn", "webauthn", DEVICE_ANSWER),
    ] {
        let printed = assert_works(&run(Some([&url, user, "password"]), &format!("{code}\r\n")));
        let start = format!("code of [\"{method}\"]: logged in at {url}\n");
        assert!(printed.starts_with(&start), "{printed}");
    }

    let refused = assert_fails(&run(Some([&url, "username", "hunter2"]), ""));
    assert!(refused.starts_with("error: Invalid username or password"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    // A wrong code, and the end of the input.
    let refused = assert_fails(&run(Some([&url, "2fa", "password"]), "000000\n"));
    assert!(refused.starts_with("Incorrect code ("), "{refused}");
    assert!(refused.ends_with("error: no code was given\n"), "{refused}");
    let invalid = assert_fails(&run(Some(["http://mysite.test.invalid", "u", "p"]), ""));
    assert!(invalid.contains("use https"), "{invalid}");
}

#[test]
fn a_missing_variable_is_named() {
    let mut command = example();
    let output = command.env(VARIABLES[0], "http://127.0.0.1:9").env_remove(VARIABLES[1]).output();
    assert!(assert_fails(&output.unwrap()).starts_with("error: FILES_USERNAME: "));
}

#[test]
fn no_saved_session_is_left_behind_if_the_logout_is_refused() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example_saves");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    // The server's text doesn't reach the terminal as it is.
    let session = r#"{"id":"x","home_path":"\u001b[2J"}"#;
    let server = Server::new([Reply::json(201, session), Reply::json(403, "{}")]);
    let output = run_with(Some([&server.url(), "username", "password"]), "", &dir);
    assert!(assert_fails(&output).starts_with("error: "));
    assert!(!output.stdout.contains(&0x1b));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    // One user agent for all requests.
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.header("user-agent") == Some("my-tool/1.0")));
}

#[test]
fn help_prints_a_usage_line() {
    let output = example().arg("--help").output().unwrap();
    assert_eq!(assert_works(&output), "usage: cargo run --example login [-- --serve]\n");
    assert_eq!(example().arg("--other").output().unwrap().status.code(), Some(2));
}

#[test]
fn with_serve_it_runs_the_stand_in_and_prints_the_variables() {
    let mut command = example();
    let mut child = command.arg("--serve").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.filter(|line| !line.starts_with('#')).take(3).collect();
    let values = VARIABLES.map(|name| {
        let start = format!("export {name}=");
        lines.iter().find_map(|line| line.strip_prefix(&start)).expect(name)
    });
    let outputs = [run(Some(values), ""), run(Some(values), "")];
    child.kill().unwrap();
    child.wait().unwrap();
    for output in outputs {
        assert_works(&output);
    }
}
