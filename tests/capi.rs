//! The C ABI, called from C, C++ and Python as a user would, under valgrind and under Rust's
//! sanitizers.

#![cfg(all(feature = "capi", unix))]

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use support::tls::{Ca, VALID};
use support::{
    Reply, Server, accept_all, chain, closed_port, stand_in, start_stand_in, watchdog,
    without_proxies,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const C: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
/// POSIX threads, semaphores and sockets are not part of C11.
const POSIX: [&str; 6] = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_GNU_SOURCE"];
const CPP: [&str; 5] = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// The directory for this file's output and for the libraries.
fn out() -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi");
    fs::create_dir_all(&out).unwrap();
    out
}

/// Prints what this machine can't test, past the test runner's capture. On CI it is a failure.
#[track_caller]
fn not_tested(missing: &str, test: &str) {
    skipped(missing, test);
    assert!(env::var_os("CI").is_none(), "{missing} is missing");
}

/// The same for tools that CI may lack.
fn skipped(missing: &str, test: &str) {
    let _ = writeln!(std::io::stderr(), "\n*** NOT TESTED, {missing} is missing: {test}\n");
}

/// Whether a tool is installed.
fn is_there(command: &[&str]) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// Whether a tool is installed. Prints it if not.
#[track_caller]
fn has(tool: &str, test: &str) -> bool {
    let found = is_there(&[tool]);
    if !found {
        not_tested(tool, test);
    }
    found
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    watchdog::test();
    // Builds take long. Any other program that hangs is a failure.
    let program = Path::new(command.get_program());
    let builds = ["cargo", "rustup", "sh"].iter().any(|name| program.ends_with(name));
    let output = if builds { watchdog::busy(|| command.output()) } else { command.output() };
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Cargo with a target directory of its own.
fn cargo(target: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(ROOT).env("CARGO_TARGET_DIR", target).env_remove("RUSTFLAGS");
    cargo
}

/// A document for C's users.
fn document(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The one line of a document that starts with `start` and contains `part`.
#[track_caller]
fn documented(name: &str, start: &str, part: &str) -> String {
    let document = document(name);
    let mut lines = document.lines().filter(|line| line.starts_with(start) && line.contains(part));
    let line = lines.next().unwrap_or_else(|| panic!("{name} has no line {start} … {part}"));
    assert_eq!(lines.next(), None, "{name}: {start} … {part}");
    line.to_owned()
}

const NOTES: &str = "tests/c/README.md";

/// The directories of the libraries as plain cargo builds them, and of the shared one with a
/// SONAME. Each is built once, by the documented commands.
fn built() -> &'static (PathBuf, PathBuf) {
    static BUILT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let (plain, soname) = (out().join("plain"), out().join("soname"));
        // The linker's argument would otherwise make cargo build the plain one again.
        let (plain_target, soname_target) = (out().join("target"), out().join("soname_target"));
        let plain_line =
            |kind| format!("cargo rustc --release --features capi --crate-type {kind}");
        let soname_line = documented(NOTES, "cargo rustc", "-soname,");
        for (line, file, target, to) in [
            (soname_line, "libfiles_session.so", &soname_target, &soname),
            (plain_line("staticlib"), "libfiles_session.a", &plain_target, &plain),
            (plain_line("cdylib"), "libfiles_session.so", &plain_target, &plain),
        ] {
            assert!(document("README.md").contains(&line) || document(NOTES).contains(&line));
            run(cargo(target).args(line.split(' ').skip(1)));
            fs::create_dir_all(to).unwrap();
            // Another run of the tests may have mapped the old file.
            let _ = fs::remove_file(to.join(file));
            fs::copy(target.join("release").join(file), to.join(file)).unwrap();
        }
        (plain, soname)
    })
}

fn libraries() -> &'static Path {
    &built().0
}

/// Compiles a program and links it with the shared library.
fn program(compiler: &str, flags: &[&str], source: &Path, name: &str) -> PathBuf {
    let program = out().join(name);
    let libraries = libraries();
    run(Command::new(compiler)
        .args(flags)
        .arg(format!("-I{ROOT}/src"))
        .arg(source)
        .arg("-o")
        .arg(&program)
        .arg(format!("-L{}", libraries.display()))
        .args(["-lfiles_session", "-lpthread"])
        .arg(format!("-Wl,-rpath,{}", libraries.display())));
    program
}

fn source(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/c").join(name)
}

#[track_caller]
fn assert_prints_ok(command: &mut Command) {
    let output = run(command);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "{command:?}");
    assert!(output.stderr.is_empty(), "the library prints: {output:?}");
}

const ANY_LEAK: &str = "definite,indirect,possible";

/// Runs a program under valgrind, which fails on any error and on leaks of these kinds.
fn valgrind(program: &Path, leaks: &str) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
        .arg(format!("--show-leak-kinds={leaks}"))
        .arg(format!("--errors-for-leak-kinds={leaks}"))
        .arg(program);
    valgrind
}

/// The stand-in over https: its URL, and a file with the CA to trust.
fn https_stand_in(name: &str) -> (Server, PathBuf) {
    let ca = Ca::new();
    let server = Server::tls(ca.server("127.0.0.1", VALID), accept_all);
    let file = out().join(name);
    fs::write(&file, ca.pem()).unwrap();
    (server, file)
}

#[test]
fn every_function_works_from_c() {
    let program = program("cc", &C, &source("all.c"), "all");
    assert_prints_ok(Command::new(&program).arg(start_stand_in().base_url()));

    // Every function of the header is called there.
    let text = fs::read_to_string(source("all.c")).unwrap();
    for function in functions_of_the_header() {
        assert!(text.contains(&format!("{function}(")), "{function} is not called");
    }
}

#[test]
fn a_challenge_is_answered_until_the_code_is_right() {
    let challenge = r#"{"type":"not-authenticated/two-factor-authentication-error",
        "data":{"two_factor_authentication_methods":["totp"],"partial_session_id":"p"}}"#;
    let wrong = r#"{"type":"not-authenticated/one-time-password-incorrect"}"#;
    let (challenge, wrong) = (Reply::json(401, challenge), Reply::json(401, wrong));
    let broken = Reply::nothing().then_close();
    let program = program("cc", &C, &source("answer.c"), "answer");
    for (first_code, first, statuses) in [
        // A mistyped code, a broken connection, another mistyped code, and the right one.
        (None, challenge, [TWO_FACTOR_REQUIRED, OTP_INCORRECT, TRANSPORT, OTP_INCORRECT, OK]),
        // The code of the login itself was wrong.
        (
            Some("999999"),
            wrong.clone(),
            [OTP_INCORRECT, OTP_INCORRECT, TRANSPORT, OTP_INCORRECT, OK],
        ),
    ] {
        let replies = [first, wrong.clone(), broken.clone(), wrong.clone(), Reply::session()];
        let server = Server::new(replies.into_iter().chain([Reply::no_content()]));
        let output = run(Command::new(&program).arg(server.url()).args(first_code));
        let printed = statuses.map(|status| status.to_string()).join("\n") + "\nok\n";
        assert_eq!(String::from_utf8(output.stdout).unwrap(), printed);
        let codes = ["000000", "123456", "000000", "123456"]
            .map(|code| format!(r#"{{"username":"2fa","password":"password","otp":"{code}"}}"#));
        let bodies: Vec<String> = server.requests().into_iter().map(|r| r.body).collect();
        assert_eq!(bodies[1..5], codes);
    }
}

#[test]
fn login_and_logout_work_over_https_with_a_private_ca() {
    let program = program("cc", &C, &source("all.c"), "all_https");
    let (server, ca) = https_stand_in("ca.pem");
    let (other, _) = https_stand_in("other.pem");
    assert_prints_ok(Command::new(&program).arg(server.url()).arg(ca).arg(other.url()));
    assert_eq!(server.methods(), ["POST", "DELETE"].repeat(2));
    assert!(other.requests().is_empty());
}

#[test]
fn no_leak_and_no_misuse_of_memory_under_valgrind() {
    if !has("valgrind", "leaks and misuse of memory through the C ABI") {
        return;
    }
    let program = program("cc", &C, &source("all.c"), "all_valgrind");
    assert_prints_ok(valgrind(&program, ANY_LEAK).arg(start_stand_in().base_url()));
    let (server, ca) = https_stand_in("ca_valgrind.pem");
    let (other, _) = https_stand_in("other_valgrind.pem");
    // Valgrind takes the output of ring's assembly for uninitialised.
    let mut valgrind = valgrind(&program, ANY_LEAK);
    valgrind.env("VALGRIND_OPTS", "--undef-value-errors=no");
    assert_prints_ok(valgrind.arg(server.url()).arg(ca).arg(other.url()));
}

#[test]
fn no_misuse_of_memory_under_address_sanitizer() {
    let Some(library) = sanitized("address", &[]) else { return };
    let link = [library.to_str().unwrap(), "-fsanitize=address"];
    let program = |name| sanitized_program("address", name, &link);
    let all = program("all");
    assert_prints_ok(Command::new(&all).arg(start_stand_in().base_url()));
    let (server, ca) = https_stand_in("ca_asan.pem");
    assert_prints_ok(Command::new(&all).arg(server.url()).arg(ca));
    assert_prints_ok(&mut Command::new(program("canceller")));
}

#[test]
fn no_data_race_under_thread_sanitizer() {
    // Unless the standard library is instrumented too, every use of its locks looks like a race.
    let Some(library) = sanitized("thread", &["-Zbuild-std"]) else { return };
    // Rust's own runtime always matches Rust's code; that of cc may not.
    let runtime = nightly_sysroot().join(format!("lib/rustlib/{SANITIZED_TARGET}/lib"));
    let runtime = runtime.join("librustc-nightly_rt.tsan.a");
    let link = [
        library.to_str().unwrap(),
        "-Wl,--whole-archive",
        runtime.to_str().unwrap(),
        "-Wl,--no-whole-archive",
    ];
    assert_prints_ok(&mut Command::new(sanitized_program("thread", "canceller", &link)));
    let threads = sanitized_program("thread", "threads", &link);
    assert_prints_ok(Command::new(threads).arg(start_stand_in().base_url()));
}

const SANITIZED_TARGET: &str = "x86_64-unknown-linux-gnu";

fn nightly_sysroot() -> PathBuf {
    let mut rustc = Command::new("rustup");
    rustc.args(["run", "nightly", "rustc", "--print", "sysroot"]);
    String::from_utf8(run(&mut rustc).stdout).unwrap().trim_end().into()
}

/// The static library, built with a sanitizer of the nightly toolchain.
fn sanitized(sanitizer: &str, flags: &[&str]) -> Option<PathBuf> {
    let test = format!("errors that {sanitizer} sanitizer finds");
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        skipped("support of this platform", &test);
        return None;
    }
    if !is_there(&["rustup", "run", "nightly", "rustc"]) {
        not_tested("a nightly toolchain", &test);
        return None;
    }
    let sources = "lib/rustlib/src/rust/library/std";
    if flags.contains(&"-Zbuild-std") && !nightly_sysroot().join(sources).exists() {
        skipped("nightly's component rust-src", &test);
        return None;
    }
    let target = out().join(sanitizer);
    let mut cargo = Command::new("rustup");
    cargo
        .args(["run", "nightly", "cargo", "rustc", "--features", "capi", "--crate-type"])
        .args(["staticlib", "--target", SANITIZED_TARGET])
        .args(flags)
        .current_dir(ROOT)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"))
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN");
    run(&mut cargo);
    Some(target.join(SANITIZED_TARGET).join("debug/libfiles_session.a"))
}

/// A C program with the same sanitizer.
fn sanitized_program(sanitizer: &str, name: &str, link: &[&str]) -> PathBuf {
    let program = out().join(format!("{name}_{sanitizer}"));
    let object = program.with_extension("o");
    run(Command::new("cc")
        .args(POSIX)
        .args(["-g", &format!("-fsanitize={sanitizer}")])
        .arg(format!("-I{ROOT}/src"))
        .args(["-c", "-o"])
        .args([&object, &source(&format!("{name}.c"))]));
    run(Command::new("cc").args(["-rdynamic", "-o"]).args([&program, &object]).args(link).args([
        "-lpthread",
        "-ldl",
        "-lm",
        "-lrt",
        "-lresolv",
    ]));
    program
}

#[test]
fn threads_with_small_stacks_have_their_own_sessions_and_share_one() {
    let program = program("cc", &C, &source("threads.c"), "threads");
    assert_prints_ok(Command::new(&program).arg(start_stand_in().base_url()));
    let (server, ca) = https_stand_in("ca_threads.pem");
    assert_prints_ok(Command::new(&program).arg(server.url()).arg(fs::read_to_string(ca).unwrap()));
}

#[test]
fn a_canceller_ends_calls_in_every_phase() {
    let program = program("cc", &POSIX, &source("canceller.c"), "canceller");
    assert_prints_ok(&mut Command::new(&program));
    if has("valgrind", "leaks and misuse of memory around a canceller") {
        // The thread of an abandoned lookup may still be ending, so its memory is a possible leak.
        assert_prints_ok(&mut valgrind(&program, "definite,indirect"));
    }
}

#[test]
fn a_process_can_exit_during_a_call() {
    let program = program("cc", &POSIX, &source("canceller.c"), "canceller_exit");
    assert_prints_ok(Command::new(program).arg("exit"));
}

/// The program that makes one call, built once.
fn caller() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| program("cc", &POSIX, &source("call.c"), "call"))
}

/// One call with these options: the status, and base URL or message.
fn call(options: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let stdout = call_output(options, environment);
    let (status, text) = stdout.trim_end().split_once(' ').unwrap();
    (status.parse().unwrap(), text.to_owned())
}

fn call_output(options: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(caller());
    without_proxies(&mut command);
    let output = run(command.args(options).envs(environment.iter().copied()));
    assert!(output.stderr.is_empty(), "the library prints: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const OK: i32 = 0;
const INVALID_INPUT: i32 = 1;
const CONNECT: i32 = 2;
const TLS: i32 = 3;
const TIMEOUT: i32 = 4;
const TRANSPORT: i32 = 5;
const TWO_FACTOR_REQUIRED: i32 = 20;
const OTP_INCORRECT: i32 = 22;

#[test]
fn retries_are_3_by_default_a_given_number_or_none() {
    let attempts_with = |retries: &str| {
        // It breaks off every handshake, so nothing is sent, and the login is retried.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("base_url=https://{}", listener.local_addr().unwrap());
        let attempts = Arc::new(AtomicUsize::new(0));
        let counter = attempts.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                drop(connection);
            }
        });
        let (status, message) = call(&[&url, &format!("retries={retries}")], &[]);
        assert_eq!(status, TLS, "{message}");
        attempts.load(Ordering::SeqCst)
    };
    thread::scope(|scope| {
        let rows = [("0", 4), ("2", 3), ("1", 2), ("-1", 1), ("-2147483648", 1)];
        for (retries, attempts) in rows {
            scope.spawn(move || assert_eq!(attempts_with(retries), attempts, "retries={retries}"));
        }
    });
}

#[test]
fn plain_http_beyond_this_machine_needs_allow_http() {
    let proxy = Server::new([Reply::http(403, "", "")]);
    let proxy = format!("proxy={}", proxy.url());
    let site = "base_url=http://mysite.test.invalid";
    let (status, message) = call(&[site, &proxy, "allow_http=0"], &[]);
    assert_eq!(status, INVALID_INPUT, "{message}");
    assert!(message.contains("set allow_http"), "{message}");
    // Some languages' true is -1.
    for allow_http in ["allow_http=1", "allow_http=4294967295"] {
        let (status, message) = call(&[site, &proxy, allow_http], &[]);
        assert_eq!(status, CONNECT, "{message}");
        assert!(message.contains("the proxy 127.0.0.1"), "{message}");
    }
}

#[test]
fn time_limits_are_kept_and_named() {
    // The first server is silent after the request. The second never accepts the connection that
    // the kernel has established, so the handshake never ends.
    let silent = Server::new([Reply::nothing().then_silence()]);
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = format!("https://{}", deaf.local_addr().unwrap());
    caller(); // The time to build it doesn't count.
    for (url, setting) in [(silent.url(), "timeout"), (deaf, "connect_timeout")] {
        let start = Instant::now();
        let options = [&format!("base_url={url}"), &format!("{setting}_ms=700"), "retries=-1"];
        let (status, message) = call(&options, &[]);
        let took = start.elapsed();
        assert_eq!(status, TIMEOUT, "{message}");
        assert!(message.contains(&format!("700ms ({setting})")), "{message}");
        assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(9), "{took:?}");
    }
}

#[test]
fn the_error_for_an_untrusted_certificate_names_ca_pem() {
    let (server, _) = https_stand_in("unused.pem");
    let (status, message) = call(&[&format!("base_url={}", server.url())], &[]);
    assert_eq!(status, TLS, "{message}");
    assert!(
        message.contains("trusted certificates (set ca_pem for a private authority)"),
        "{message}"
    );
    assert!(server.requests().is_empty());
}

/// The program makes each call on a stack of 128 KiB.
#[test]
fn the_longest_certificate_chain_fits_on_a_small_stack() {
    let root = chain::Root::new();
    let ca_pem = &format!("ca_pem={}", root.certificate.pem());
    let other = &format!("ca_pem={}", chain::Root::new().certificate.pem());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = Server::tls(root.server(chain::LONGEST, version), accept_all);
        let url = &format!("base_url={}", server.url());
        assert_eq!(call(&[url, ca_pem], &[]), (OK, server.url()));
        // Its last signature is wrong, which is detected where the stack is deepest.
        let (status, message) = call(&[url, other], &[]);
        assert_eq!(status, TLS, "{message}");

        // A longer chain is rejected.
        let longer = Server::tls(root.server(chain::LONGEST + 1, version), accept_all);
        let (status, message) = call(&[&format!("base_url={}", longer.url()), ca_pem], &[]);
        assert_eq!(status, TLS, "{message}");
    }
}

#[test]
fn the_longest_certificate_chain_fits_on_a_small_stack_through_an_https_proxy() {
    let (root, other) = (chain::Root::new(), chain::Root::new());
    let ca_pem = &format!("ca_pem={}", root.certificate.pem());
    let version = &rustls::version::TLS13;
    let url = "https://127.0.0.1:1";
    for (site, status) in [(&root, OK), (&other, TLS)] {
        let proxy = chain::https_proxy(
            root.server(chain::LONGEST, version),
            site.server(chain::LONGEST, version),
        );
        let proxy = &format!("proxy={}", proxy.url());
        let (returned, message) = call(&[&format!("base_url={url}"), proxy, ca_pem], &[]);
        assert_eq!(returned, status, "{message}");
    }
}

#[test]
fn the_proxy_is_the_options_or_none_or_the_environments() {
    // A non-loopback address of this machine, with a closed port.
    let closed = closed_port();
    let url = format!("base_url=https://0.0.0.0:{}", closed.addr.port());
    let refusing = || Server::new([Reply::http(403, "", "")]);
    for (option, requests) in [(None, (1, 0)), (Some(""), (0, 0)), (Some("a proxy"), (0, 1))] {
        let (in_environment, in_option) = (refusing(), refusing());
        let option = option.map(|text| match text {
            "" => "proxy=".to_owned(),
            _ => format!("proxy={}", in_option.url()),
        });
        let mut options = vec![&*url, "retries=-1"];
        options.extend(option.as_deref());
        let (status, message) = call(&options, &[("https_proxy", &in_environment.url())]);
        let received = (in_environment.requests().len(), in_option.requests().len());
        assert_eq!(received, requests, "{message}");
        assert_eq!(status, CONNECT, "{message}");
        assert_eq!(message.contains("the proxy 127.0.0.1"), requests != (0, 0), "{message}");
    }
    let (status, message) = call(&[&url], &[("https_proxy", "socks5://127.0.0.1")]);
    assert_eq!(status, INVALID_INPUT);
    assert!(message.contains("https_proxy is a SOCKS proxy"), "{message}");
}

/// A Rust program ignores SIGPIPE, a C program ends by it.
#[test]
fn a_write_to_a_broken_connection_raises_no_signal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Most of the request doesn't fit into the buffers.
    socket2::SockRef::from(&listener).set_recv_buffer_size(1).unwrap();
    let url = format!("base_url=http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.read_exact(&mut [0]).unwrap();
            // A FIN, and a reset because the rest of the request is unread.
            stream.shutdown(Shutdown::Write).unwrap();
        }
    });
    let password = format!("password={}", "x".repeat(65_000));
    let fails_with_epipe = || {
        let (status, message) = call(&[&url, &password], &[]);
        assert_eq!(status, TRANSPORT, "{message}");
        message.contains("(os error 32)")
    };
    // Some calls notice the FIN or the reset before they write again.
    assert!((0..100).any(|_| fails_with_epipe()));
}

#[test]
fn the_other_options_arrive() {
    let server = Server::with(accept_all);
    let url = format!("base_url={}", server.url());
    let options = [
        &url,
        "username=u",
        "password=p",
        "otp=1",
        "partial_session_id=x",
        "language=de",
        "user_agent=my-tool/1.0",
    ];
    assert_eq!(call(&options, &[]), (OK, server.url()));
    for request in server.requests() {
        assert_eq!(request.header("user-agent"), Some("my-tool/1.0"));
        assert_eq!(request.header("accept-language"), Some("de"));
    }
    let request = &server.requests()[0];
    assert_eq!(
        request.body,
        r#"{"username":"u","password":"p","otp":"1","partial_session_id":"x"}"#
    );
}

#[test]
fn the_header_compiles_in_every_standard() {
    let text = "#define FILES_SESSION_API __attribute__((visibility(\"default\")))\n\
                #include \"files_session.h\"\n\
                #if FILES_SESSION_VERSION_NUMBER < 0x000400\n#error\n#endif\n\
                static const char header[] = FILES_SESSION_AUTH_HEADER \": \";\n\
                int main(void) { files_session_options options = FILES_SESSION_OPTIONS_INIT; \
                return options.size != sizeof options || header[0] != 'X'; }\n";
    let c = ["c89", "c99", "c11", "c17", "c2x"].map(|standard| ("cc", "c", standard));
    let cpp = ["c++98", "c++11", "c++14", "c++17", "c++20", "c++2b"];
    let cpp = cpp.map(|standard| ("c++", "c++", standard));
    for (compiler, language, standard) in [&c[..], &cpp].concat() {
        let compile = |file: &Path| {
            let mut command = Command::new(compiler);
            command
                .arg(format!("-std={standard}"))
                .args(["-Wall", "-Wextra", "-Wpedantic", "-Wmissing-field-initializers"])
                .args(["-Werror", "-fsyntax-only", "-x", language])
                .arg(format!("-I{ROOT}/src"))
                .arg(file);
            command
        };
        let (file, plain, empty) =
            (out().join("standards.c"), out().join("plain.c"), out().join("empty.c"));
        fs::write(&file, text).unwrap();
        fs::write(&plain, text.split_once('\n').unwrap().1).unwrap();
        fs::write(&empty, "int main(void) { return 0; }\n").unwrap();
        if compile(&empty).output().is_ok_and(|output| output.status.success()) {
            run(&mut compile(&file));
            run(&mut compile(&plain));
        } else {
            not_tested(&format!("{compiler} -std={standard}"), "the header in that standard");
        }
    }
}

#[test]
fn the_wrapper_for_cpp_works() {
    if has("c++", "the wrapper for C++") {
        let program = program("c++", &CPP, &source("cpp.cpp"), "cpp");
        let server = start_stand_in();
        assert_prints_ok(Command::new(&program).arg(server.base_url()));
        if has("valgrind", "leaks of the wrapper for C++") {
            assert_prints_ok(valgrind(&program, ANY_LEAK).arg(server.base_url()));
        }
    }
}

#[test]
fn the_wrapper_for_python_works() {
    if has("python3", "the wrapper for Python") {
        let (server, library) = (start_stand_in(), libraries().join("libfiles_session.so"));
        let run = |command: &mut Command| {
            command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONMALLOC", "malloc");
            let command = command.arg(source("session.py")).arg(&library);
            assert_prints_ok(command.arg(server.base_url()));
        };
        run(&mut Command::new("python3"));
        if has("valgrind", "misuse of memory by the wrapper for Python") {
            let mut valgrind = Command::new("valgrind");
            let flags = ["--quiet", "--error-exitcode=99", "--undef-value-errors=no", "python3"];
            run(valgrind.args(flags));
        }
    }
}

#[test]
fn programs_in_other_languages_log_in_and_out() {
    let declarations = out().join("declarations.h");
    let line = "grep -v '^#include' src/files_session.h | cc -E -P - > $DECLARATIONS";
    let prepared = |line: &str| {
        let mut command = shell(line);
        command
            .current_dir(ROOT)
            .env("DECLARATIONS", &declarations)
            .env("FILES_SESSION_LIBRARY", libraries().join("libfiles_session.so"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONPATH", "tests/c")
            .env("CGO_CFLAGS", format!("-I{ROOT}/src"))
            .env("CGO_LDFLAGS", format!("-L{0} -Wl,-rpath,{0}", libraries().display()));
        command
    };
    run(&mut prepared(line));
    for (installed, line) in [
        ("python3 --version", "python3 tests/c/languages/login.py"),
        ("ruby -rfiddle -e ''", "ruby tests/c/languages/login.rb"),
        ("luajit -v", "luajit tests/c/languages/login.lua $DECLARATIONS"),
        ("php -r 'FFI::cdef();'", "php tests/c/languages/login.php $DECLARATIONS"),
        ("node -e 'require(\"koffi\")'", "node tests/c/languages/login.js"),
        ("go version", "go run tests/c/languages/login.go"),
        (
            "java -version && ls /usr/share/java/jna.jar",
            "java -cp /usr/share/java/jna.jar tests/c/languages/Login.java",
        ),
    ] {
        if prepared(installed).output().unwrap().status.success() {
            watchdog::busy(|| logs_in(&mut prepared(line)));
        } else {
            skipped(installed, line);
        }
    }
}

/// The first fenced block of a document in this language.
fn block(name: &str, language: &str) -> String {
    let document = document(name);
    let start = format!("```{language}\n");
    let (_, rest) = document.split_once(&start).unwrap_or_else(|| panic!("no block of {language}"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// A directory where documented lines work unchanged. It contains `login.c` (the README's program),
/// `src`, and the libraries in `target/release`.
fn workplace(name: &str, libraries: &Path) -> PathBuf {
    let place = out().join(name);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join("target")).unwrap();
    fs::write(place.join("login.c"), block("README.md", "c")).unwrap();
    symlink(Path::new(ROOT).join("src"), place.join("src")).unwrap();
    symlink(libraries, place.join("target/release")).unwrap();
    place
}

/// Runs a documented line unchanged.
#[track_caller]
fn run_line(line: &str, place: &Path) -> Output {
    run(shell(line).current_dir(place))
}

fn shell(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", line]);
    shell
}

/// Runs the README's program with the right password and a wrong one.
#[track_caller]
fn logs_in(command: &mut Command) {
    let server = start_stand_in();
    command
        .env("FILES_BASE_URL", server.base_url())
        .env("FILES_USERNAME", stand_in::USERNAME)
        .env("FILES_PASSWORD", stand_in::PASSWORD);
    let output = run(command);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout, format!("logged in at {}\n", server.base_url()));

    let output = command.env("FILES_PASSWORD", "wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("check the user name and the password"), "{stderr}");
}

#[test]
fn the_program_of_the_readme_works_unchanged() {
    for (document, name, start, part) in [
        ("README.md", "readme", "cc ", "-lfiles_session -Wl,-rpath"),
        (NOTES, "readme_static", "cc -s ", "-Wl,--gc-sections"),
    ] {
        let place = workplace(name, libraries());
        run_line(&documented(document, start, part), &place);
        logs_in(&mut Command::new(place.join("login")));
    }
    // An example must have no warnings.
    let strict = workplace("readme_strict", libraries());
    program("cc", &C, &strict.join("login.c"), "readme_strict/login");
}

#[test]
fn the_header_is_read_by_luajit_php_and_cffi() {
    let line = document("src/files_session.h");
    let line = line.lines().find_map(|line| line.strip_prefix(" *     grep ")).unwrap();
    let place = out().join("preprocessed");
    fs::create_dir_all(&place).unwrap();
    fs::copy(format!("{ROOT}/src/files_session.h"), place.join("files_session.h")).unwrap();
    run(shell(&format!("grep {line} > header")).current_dir(&place));
    let library = libraries().join("libfiles_session.so");
    for (program, code) in [
        (
            &["luajit", "-e"][..],
            "local ffi = require('ffi'); ffi.cdef(io.open('header'):read('*a'));
            local library = ffi.load(os.getenv('LIBRARY'));
            print(ffi.string(library.files_session_version()))",
        ),
        (
            &["php", "-d", "ffi.enable=1", "-r"],
            "echo FFI::cdef(file_get_contents('header'), getenv('LIBRARY'))->files_session_version();",
        ),
        (
            &["python3", "-c"],
            "import cffi, os; ffi = cffi.FFI(); ffi.cdef(open('header').read());
library = ffi.dlopen(os.environ['LIBRARY']); print(ffi.string(library.files_session_version()))",
        ),
    ] {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(code).env("LIBRARY", &library).current_dir(&place);
        match command.output() {
            Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("No module named") => {
                let printed = String::from_utf8_lossy(&output.stdout);
                assert!(printed.contains(env!("CARGO_PKG_VERSION")), "{program:?}: {output:?}");
            }
            _ => not_tested(program[0], "reading the header with its FFI"),
        }
    }
}

#[test]
fn the_program_at_the_start_of_the_header_compiles() {
    let header = document("src/files_session.h");
    let lines = header.lines().map(|line| line.strip_prefix(" *").unwrap_or(line));
    let program_lines: Vec<&str> = lines
        .skip_while(|line| !line.starts_with("     "))
        .take_while(|line| line.is_empty() || line.starts_with("     "))
        .collect();
    assert!(program_lines.len() > 10, "{program_lines:?}");
    let file = out().join("header_program.c");
    let text = format!(
        "#include \"files_session.h\"\n#include <stdio.h>\nint main(void)\n{{\n{}\nreturn 0;\n}}\n",
        program_lines.join("\n")
    );
    fs::write(&file, text).unwrap();
    program("cc", &C, &file, "header_program");
}

#[test]
fn the_symbols_for_core_dumps_can_be_kept() {
    if !has("nm", "the symbols of the shared library") {
        return;
    }
    let symbols = |library: &Path| run(Command::new("nm").arg(library)).stdout.len();
    let line = documented(NOTES, "CARGO_PROFILE_RELEASE_STRIP=false ", "cdylib");
    // A target directory of its own, so that the other libraries need not be built again.
    let target = out().join("unstripped");
    run(shell(&line).current_dir(ROOT).env("CARGO_TARGET_DIR", &target).env_remove("RUSTFLAGS"));
    assert_eq!(symbols(&libraries().join("libfiles_session.so")), 0);
    assert!(symbols(&target.join("release/libfiles_session.so")) > 10_000);
}

#[test]
fn a_static_library_for_another_machine_links_by_the_documented_lines() {
    for (target, compiler, build) in [
        ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc", "CC_aarch64_unknown_linux_gnu="),
        ("x86_64-pc-windows-gnu", "x86_64-w64-mingw32-gcc", "cargo rustc "),
    ] {
        let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
        let mut libraries_of_target = Command::new(rustc);
        libraries_of_target.args(["--print=target-libdir", "--target", target]);
        let directory = String::from_utf8(run(&mut libraries_of_target).stdout).unwrap();
        if !Path::new(directory.trim_end()).exists() || !is_there(&[compiler]) {
            skipped(compiler, &format!("a program for {target}"));
            continue;
        }
        let mut command = shell(&documented(NOTES, build, target));
        run(command.current_dir(ROOT).env("CARGO_TARGET_DIR", out().join("target")));
        let place = workplace(target, libraries());
        symlink(out().join("target").join(target), place.join("target").join(target)).unwrap();
        run_line(&documented(NOTES, compiler, target), &place);
    }
}

#[test]
fn the_shared_library_of_plain_cargo_can_have_a_soname() {
    if !has("readelf", "the SONAME of the shared library") {
        return;
    }
    let (plain, soname) = built();
    let dynamic = |directory: &Path| {
        let file = directory.join("libfiles_session.so");
        String::from_utf8(run(Command::new("readelf").arg("-d").arg(file)).stdout).unwrap()
    };
    assert!(!dynamic(plain).contains("SONAME"));
    let name = concat!(
        "libfiles_session.so.",
        env!("CARGO_PKG_VERSION_MAJOR"),
        ".",
        env!("CARGO_PKG_VERSION_MINOR")
    );
    assert!(dynamic(soname).contains(&format!("soname: [{name}]")), "{}", dynamic(soname));

    // A program that is linked with it needs a file of that name.
    let place = workplace("with_soname", soname);
    run_line(&documented("README.md", "cc ", "-lfiles_session -Wl,-rpath"), &place);
    let run_without = Command::new(place.join("login")).output().unwrap();
    assert!(String::from_utf8_lossy(&run_without.stderr).contains(name));
    symlink("target/release/libfiles_session.so", place.join(name)).unwrap();
    logs_in(Command::new(place.join("login")).env("LD_LIBRARY_PATH", &place));
}

#[test]
fn the_shared_library_works_with_another_static_library_in_rust() {
    let place = workplace("two_in_rust", libraries());
    fs::write(
        place.join("other.rs"),
        "#[unsafe(no_mangle)]\npub extern \"C\" fn other(n: u8) -> usize { vec![n; n.into()].len() }",
    )
    .unwrap();
    fs::write(
        place.join("main.c"),
        "#include \"files_session.h\"\n#include <stdio.h>\nsize_t other(unsigned char n);\n\
         int main(void) { return other(7) != 7 || puts(files_session_version()) < 0; }",
    )
    .unwrap();
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    run(Command::new(rustc)
        .args(["--edition=2024", "-O", "--crate-type=staticlib", "other.rs"])
        .current_dir(&place));
    run_line(&documented(NOTES, "cc ", "libother.a"), &place);
    let output = run(Command::new(place.join("main")).env("LD_LIBRARY_PATH", libraries()));
    let version = concat!(env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), version);
}

#[test]
fn cargo_c_installs_what_pkg_config_finds() {
    let test = "an installation by cargo-c, and pkg-config";
    if !is_there(&[env!("CARGO"), "cinstall"]) {
        // Set if no cargo-c fits this toolchain.
        if env::var_os("FILES_SESSION_CARGO_C").is_some_and(|state| state == "absent") {
            return skipped("cargo-c", test);
        }
        return not_tested("cargo-c", test);
    }
    if !has("pkg-config", test) {
        return;
    }
    let prefix = out().join("prefix");
    let _ = fs::remove_dir_all(&prefix);
    let line = documented(NOTES, "cargo cinstall", "--prefix=/usr/local");
    let line = line.replace("/usr/local", prefix.to_str().unwrap());
    let target = out().join("cargo_c_target");
    run(cargo(&target).args(line.split(' ').skip(1)).args(["--libdir", "lib"]));

    let (place, lib) = (workplace("cargo_c", libraries()), prefix.join("lib"));
    let found = |line: String| {
        let _ = fs::remove_file(place.join("login"));
        // The line that finds a library in another prefix.
        let line = documented(NOTES, "export PKG_CONFIG_PATH", "$PREFIX") + "\n" + &line;
        run(shell(&line).current_dir(&place).env("PREFIX", &prefix));
        Command::new(place.join("login"))
    };
    logs_in(&mut found(documented(NOTES, "cc ", "-Wl,-rpath,$PREFIX")));
    logs_in(
        found(documented(NOTES, "cc -o login login.c $(pkg-config --cflags --libs", ""))
            .env("LD_LIBRARY_PATH", &lib),
    );
    // This library is linked statically, the system's dynamically.
    logs_in(&mut found(documented(NOTES, "cc ", "pkg-config --variable=libdir")));
    // Everything is linked statically.
    logs_in(&mut found(documented(NOTES, "cc ", "-static")));

    if is_there(&["cmake"]) {
        let project = "cmake_minimum_required(VERSION 3.13)\nproject(login C)\n\
                       add_executable(login login.c)\n";
        fs::write(place.join("CMakeLists.txt"), project.to_owned() + &block(NOTES, "cmake"))
            .unwrap();
        found("cmake -S . -B build && cmake --build build".to_owned());
        logs_in(&mut Command::new(place.join("build/login")));
    } else {
        skipped("cmake", "an installation by cargo-c, and CMake");
    }

    // The notes remove all files that were installed.
    let mut installed = BTreeSet::new();
    let mut directories = vec![prefix.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                directories.push(path);
            } else {
                installed.insert(path);
            }
        }
    }
    let removed = documented(NOTES, "rm ", "libfiles_session").replace("/usr/local", "$PREFIX");
    assert!(installed.len() >= 6, "{installed:?}");
    run(shell(&removed).env("PREFIX", &prefix));
    let left: Vec<_> = installed.iter().filter(|path| path.is_symlink() || path.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn functions_of_the_header() -> BTreeSet<String> {
    let header = document("src/files_session.h");
    let declarations = header.split("\nFILES_SESSION_API ").skip(1);
    declarations
        .filter_map(|text| text.split_once('(')?.0.rsplit([' ', '*', '\n']).next())
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn exactly_the_functions_of_the_header_are_exported() {
    if !has("nm", "that nothing else is exported") {
        return;
    }
    let mut nm = Command::new("nm");
    nm.args(["-D", "--defined-only"]).arg(libraries().join("libfiles_session.so"));
    let symbols = String::from_utf8(run(&mut nm).stdout).unwrap();
    let exported: BTreeSet<String> = symbols
        .lines()
        .filter_map(|line| line.split(' ').next_back())
        .map(ToOwned::to_owned)
        .collect();
    let declared = functions_of_the_header();
    assert!(declared.len() > 30, "{declared:?}");
    assert_eq!(exported, declared);
}

#[test]
fn the_shared_library_needs_no_newer_glibc_than_any_program_of_the_toolchain() {
    if !cfg!(target_env = "gnu") || !has("nm", "which glibc the shared library needs") {
        return;
    }
    let newest = |file: &Path| {
        let symbols = run(Command::new("nm").arg("-D").arg(file)).stdout;
        let symbols = String::from_utf8(symbols).unwrap();
        let versions = symbols.lines().filter_map(|line| {
            let version = line.split_once("@GLIBC_")?.1;
            version.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()
        });
        versions.max().unwrap()
    };
    let library = newest(&libraries().join("libfiles_session.so"));
    assert!(library <= newest(&env::current_exe().unwrap()), "glibc {library:?}");
    // Nor does it use relocations that an older glibc lacks.
    let library = fs::read(libraries().join("libfiles_session.so")).unwrap();
    assert!(!library.windows(17).any(|name| name == b"GLIBC_ABI_DT_RELR"));
}
