//! The example, run as a newcomer would.

mod support;

use std::io::Write;
use std::process::{Output, Stdio};

use support::{example, stand_in, start_stand_in};

const VARIABLES: [&str; 4] = ["FILES_BASE_URL", "FILES_USERNAME", "FILES_PASSWORD", "FILES_OTP"];

fn run(variables: &[(&str, &str)], input: &str) -> Output {
    let mut command = example("login");
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn works(output: &Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn fails(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn without_environment_it_logs_in_at_its_own_stand_in() {
    let said = works(&run(&[], ""));
    assert!(said.starts_with("a stand-in for Files.com answers at http://127.0.0.1:"), "{said}");
    assert!(
        said.contains("\nlogged in as username\n") && said.ends_with("\nlogged out\n"),
        "{said}"
    );
    // Every attribute, the secrets shortened.
    let attributes: serde_json::Value = serde_json::from_str(stand_in::SESSION).unwrap();
    for (name, value) in attributes.as_object().unwrap() {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        match name.as_str() {
            "id" => assert!(said.contains("\nid: 6052…\n"), "{said}"),
            "login_token" => assert!(said.contains("\nlogin_token: …\n"), "{said}"),
            "new_attribute" => {}
            name => assert!(said.contains(&format!("\n{name}: {value}\n")), "{name}: {said}"),
        }
    }
    assert!(!said.contains(stand_in::SESSION_ID) && !said.contains("randomcode"), "{said}");
}

#[test]
fn with_environment_it_logs_in_at_that_site() {
    let server = start_stand_in();
    let url = server.base_url();
    let with = |username, password| {
        [
            ("FILES_BASE_URL", url.as_str()),
            ("FILES_USERNAME", username),
            ("FILES_PASSWORD", password),
        ]
    };
    let said = works(&run(&with("username", "password"), ""));
    assert!(
        said.starts_with("logged in as username\n") && said.ends_with("\nlogged out\n"),
        "{said}"
    );

    let with_otp = [&with("totp", "password")[..], &[("FILES_OTP", "123456")]].concat();
    assert!(works(&run(&with_otp, "")).contains("logged in as totp"));

    for method in ["totp", "yubi"] {
        let said = works(&run(&with(method, "password"), "123456\n"));
        let asked = format!("second factor ({method}): logged in as {method}");
        assert!(said.starts_with(&asked), "{said}");
    }

    let said = fails(&run(&with("username", "wrong"), ""));
    assert!(said.contains("error: Invalid username or password"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
    assert!(fails(&run(&with("totp", "password"), "000000\n")).contains("check the user name"));
    assert!(fails(&run(&with("totp", "password"), "")).contains("no code was given"));
    assert!(fails(&run(&with("username", "password")[..2], "")).contains("FILES_PASSWORD"));
    let plain =
        [("FILES_BASE_URL", "http://mysite.test.invalid"), with("u", "p")[1], with("u", "p")[2]];
    assert!(fails(&run(&plain, "")).contains("use https"));
}
