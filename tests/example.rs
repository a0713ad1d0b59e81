//! The example, run as a newcomer would.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use support::stand_in::{DEVICE_ANSWER, VARIABLES};
use support::{Server, accept_all, stand_in, start_stand_in, watchdog, without_proxies};

/// The example, built by `cargo test`.
fn example() -> Command {
    watchdog::test();
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
    let attributes = "\nlanguage: en\nhome_path: home\nsite_id: 2\nread_only: false\n\
                      timeout_at: 2026-11-22T18:00:00-05:00\nlogged out\n";
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

    for (method, code) in [("totp", "123456"), ("yubi", "123456"), ("webauthn", DEVICE_ANSWER)] {
        let printed = assert_works(&run(Some([&url, method, "password"]), &format!("{code}\r\n")));
        let start = format!("{method}: logged in at {url}\n");
        assert!(printed.starts_with(&start), "{printed}");
    }

    let refused = assert_fails(&run(Some([&url, "username", "hunter2"]), ""));
    assert!(refused.starts_with("error: Invalid username or password"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    for code in ["000000\n", ""] {
        let refused = assert_fails(&run(Some([&url, "totp", "password"]), code));
        assert!(refused.starts_with("error: Invalid username or password"), "{refused}");
    }
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
fn the_saved_session_is_private_and_removed_after_the_logout() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example_saves");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let files = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    // The saved sessions, as they are at the time of each logout.
    let saved = Arc::new(Mutex::new(Vec::new()));
    let (seen, watched) = (saved.clone(), dir.clone());
    let server = Server::with(move |request| {
        if request.line.starts_with("DELETE") {
            for file in files(&watched) {
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt;
                    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
                }
                seen.lock().unwrap().push(fs::read_to_string(file).unwrap());
            }
        }
        accept_all(request)
    });
    assert_works(&run_with(Some([&server.url(), "username", "password"]), "", &dir));
    let expected = format!("{}\n{}\n", server.url(), stand_in::SESSION_ID);
    assert_eq!(*saved.lock().unwrap(), [expected]);
    assert!(files(&dir).is_empty());
    // One user agent for all requests.
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.header("user-agent") == Some("my-tool/1.0")));
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
