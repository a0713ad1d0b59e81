//! The C ABI, called from C, C++ and Python as a user would, under valgrind and `AddressSanitizer`.

#![cfg(all(feature = "capi", unix))]

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use support::tls::{Ca, VALID};
use support::{
    Reply, Server, lets_in, nobody, stand_in, start_stand_in, watchdog, without_proxies,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const C: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
const CPP: [&str; 5] = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// Where this file's work goes, and where the library is built.
fn out() -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi");
    fs::create_dir_all(&out).unwrap();
    out
}

/// Says past the test runner's capture what this machine can't test. On CI it is a failure.
#[track_caller]
fn not_tested(missing: &str, test: &str) {
    let _ = writeln!(std::io::stderr(), "\n*** NOT TESTED, {missing} is missing: {test}\n");
    assert!(env::var_os("CI").is_none(), "{missing} is missing");
}

/// Whether a tool is there.
fn is_there(command: &[&str]) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// Whether a tool is there; if not, that is said.
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
    // A build takes its time; a program that stands still is what the watchdog is there for.
    let program = Path::new(command.get_program());
    let builds = ["cargo", "rustup"].iter().any(|name| program.ends_with(name));
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

fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(ROOT).env("CARGO_TARGET_DIR", out().join("target")).env_remove("RUSTFLAGS");
    cargo
}

/// What is written down for C's users.
fn document(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The one line of a document that starts and ends so, or has this in it.
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
/// SONAME; each built once, by the documented commands.
fn built() -> &'static (PathBuf, PathBuf) {
    static BUILT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let (plain, soname) = (out().join("plain"), out().join("soname"));
        let plain_line =
            |kind| format!("cargo rustc --release --features capi --crate-type {kind}");
        let soname_line = documented(NOTES, "cargo rustc", "-soname,");
        for (line, file, to) in [
            (soname_line, "libfiles_session.so", &soname),
            (plain_line("staticlib"), "libfiles_session.a", &plain),
            (plain_line("cdylib"), "libfiles_session.so", &plain),
        ] {
            assert!(document("README.md").contains(&line) || to == &soname, "{line}");
            run(cargo().args(line.split(' ').skip(1)));
            fs::create_dir_all(to).unwrap();
            // Not over a file that another run of the tests may have mapped.
            let _ = fs::remove_file(to.join(file));
            fs::copy(out().join("target/release").join(file), to.join(file)).unwrap();
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
fn says_ok(command: &mut Command) {
    let output = run(command);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "{command:?}");
    assert!(output.stderr.is_empty(), "the library prints: {output:?}");
}

/// Runs a program under valgrind: no error, and nothing left.
fn valgrind(program: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
        .args(["--show-leak-kinds=definite,indirect,possible"])
        .args(["--errors-for-leak-kinds=definite,indirect,possible"])
        .arg(program);
    valgrind
}

/// The stand-in over https: its URL, and a file with the CA to trust.
fn https_stand_in(name: &str) -> (Server, PathBuf) {
    let ca = Ca::new();
    let server = Server::tls(ca.server("127.0.0.1", VALID), lets_in);
    let file = out().join(name);
    fs::write(&file, ca.certificate.pem()).unwrap();
    (server, file)
}

#[test]
fn every_function_works_from_c() {
    let program = program("cc", &C, &source("all.c"), "all");
    says_ok(Command::new(&program).arg(start_stand_in().base_url()));

    // Every function of the header is called there.
    let text = fs::read_to_string(source("all.c")).unwrap();
    for function in functions_of_the_header() {
        assert!(text.contains(&format!("{function}(")), "{function} is not called");
    }
}

#[test]
fn login_and_logout_work_over_https_with_a_private_ca() {
    let program = program("cc", &C, &source("all.c"), "all_https");
    let (server, ca) = https_stand_in("ca.pem");
    let (other, _) = https_stand_in("other.pem");
    says_ok(Command::new(&program).arg(server.url()).arg(ca).arg(other.url()));
    assert_eq!(server.methods(), ["POST", "DELETE"].repeat(2));
    assert!(other.requests().is_empty());
}

#[test]
fn nothing_leaks_and_nothing_is_misused_under_valgrind() {
    if !has("valgrind", "leaks and misuse of memory through the C ABI") {
        return;
    }
    let program = program("cc", &C, &source("all.c"), "all_valgrind");
    says_ok(valgrind(&program).arg(start_stand_in().base_url()));
    let (server, ca) = https_stand_in("ca_valgrind.pem");
    let (other, _) = https_stand_in("other_valgrind.pem");
    // Valgrind takes what ring's assembly decrypts for uninitialised, so it is not asked for that.
    let mut valgrind = valgrind(&program);
    valgrind.env("VALGRIND_OPTS", "--undef-value-errors=no");
    says_ok(valgrind.arg(server.url()).arg(ca).arg(other.url()));
}

#[test]
fn nothing_is_misused_under_address_sanitizer() {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        let _ =
            writeln!(std::io::stderr(), "\n*** NOT TESTED on this platform: AddressSanitizer\n");
        return;
    }
    if !is_there(&["rustup", "run", "nightly", "rustc"]) {
        return not_tested("a nightly toolchain", "misuse of memory under AddressSanitizer");
    }
    let target = "x86_64-unknown-linux-gnu";
    let mut cargo = Command::new("rustup");
    cargo
        .args(["run", "nightly", "cargo", "rustc", "--features", "capi", "--crate-type"])
        .args(["staticlib", "--target", target])
        .current_dir(ROOT)
        .env("CARGO_TARGET_DIR", out().join("asan"))
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN");
    run(&mut cargo);
    let program = out().join("all_asan");
    run(Command::new("cc")
        .args(C)
        .args(["-g", "-fsanitize=address"])
        .arg(format!("-I{ROOT}/src"))
        .arg(source("all.c"))
        .arg(out().join("asan").join(target).join("debug/libfiles_session.a"))
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program));
    says_ok(Command::new(&program).arg(start_stand_in().base_url()));
    let (server, ca) = https_stand_in("ca_asan.pem");
    says_ok(Command::new(&program).arg(server.url()).arg(ca));
}

#[test]
fn eight_threads_with_small_stacks_have_sessions_of_their_own() {
    let program = program("cc", &C, &source("threads.c"), "threads");
    says_ok(Command::new(&program).arg(start_stand_in().base_url()));
    let (server, ca) = https_stand_in("ca_threads.pem");
    says_ok(Command::new(&program).arg(server.url()).arg(fs::read_to_string(ca).unwrap()));
}

#[test]
fn a_cancelled_thread_ends_after_the_call() {
    // POSIX threads and semaphores are not in C11 alone.
    let flags = [&C[..], &["-D_GNU_SOURCE"]].concat();
    says_ok(&mut Command::new(program("cc", &flags, &source("cancel.c"), "cancel")));
}

/// The program that makes one call, built once.
fn caller() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| program("cc", &C, &source("call.c"), "call"))
}

/// One call with these options: the status, and base URL or message.
fn call(options: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(caller());
    without_proxies(&mut command);
    let output = run(command.args(options).envs(environment.iter().copied()));
    assert!(output.stderr.is_empty(), "the library prints: {output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (status, text) = said.trim_end().split_once(' ').unwrap();
    (status.parse().unwrap(), text.to_owned())
}

const OK: i32 = 0;
const INVALID_INPUT: i32 = 1;
const CONNECT: i32 = 2;
const TLS: i32 = 3;
const TIMEOUT: i32 = 4;
const SERVICE_UNAVAILABLE: i32 = 16;

#[test]
fn retries_are_3_by_default_as_many_as_said_or_none() {
    for (retries, requests) in
        [("0", 4), ("2", 3), ("1", 2), ("-1", 1), ("-2147483648", 1), ("5", 6)]
    {
        let server = Server::new([Reply::http(503, "Retry-After: 0\r\n", "")]);
        let (status, said) =
            call(&[&format!("base_url={}", server.url()), &format!("retries={retries}")], &[]);
        assert_eq!(status, SERVICE_UNAVAILABLE, "{said}");
        assert_eq!(server.requests().len(), requests, "retries={retries}");
    }
}

#[test]
fn plain_http_beyond_this_machine_needs_allow_http() {
    let proxy = Server::new([Reply::http(403, "", "")]);
    let proxy = format!("proxy={}", proxy.url());
    let site = "base_url=http://mysite.test.invalid";
    for allow_http in ["allow_http=0", "allow_http=2", "allow_http=4294967295"] {
        let (status, said) = call(&[site, &proxy, allow_http], &[]);
        assert_eq!(status, INVALID_INPUT, "{said}");
        assert!(said.contains("allow_http") && !said.contains("allow_http("), "{said}");
    }
    let (status, said) = call(&[site, &proxy, "allow_http=1"], &[]);
    assert_eq!(status, CONNECT, "{said}");
    assert!(said.contains("the proxy 127.0.0.1"), "{said}");
}

#[test]
fn time_limits_are_kept_and_named() {
    // The one is reached in silence after the request, the other before the handshake's end: the
    // system connects, and nobody answers.
    let silent = Server::new([Reply::nothing().then_silence()]);
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = format!("https://{}", deaf.local_addr().unwrap());
    caller(); // What it takes to build is no part of the time.
    for (url, setting) in [(silent.url(), "timeout_ms"), (deaf, "connect_timeout_ms")] {
        let start = Instant::now();
        let options = [&format!("base_url={url}"), &format!("{setting}=700"), "retries=-1"];
        let (status, said) = call(&options, &[]);
        let took = start.elapsed();
        assert_eq!(status, TIMEOUT, "{said}");
        assert!(said.contains("700ms") && said.contains(&format!("({setting})")), "{said}");
        assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(9), "{took:?}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_a_case_for_ca_pem() {
    let (server, _) = https_stand_in("not_given.pem");
    let (status, said) = call(&[&format!("base_url={}", server.url())], &[]);
    assert_eq!(status, TLS, "{said}");
    assert!(said.contains("give its certificate as ca_pem"), "{said}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_proxy_is_the_options_or_none_or_the_environments() {
    // This machine, by an address that is not a loopback one.
    let nobody = nobody();
    let url = format!("base_url=https://0.0.0.0:{}", nobody.addr.port());
    let refusing = || Server::new([Reply::http(403, "", "")]);
    for (named, expected) in
        [(None, "environment"), (Some(""), "neither"), (Some("named"), "named")]
    {
        let (environments, other) = (refusing(), refusing());
        let option = match named {
            None => String::new(),
            Some("") => "proxy=".to_owned(),
            Some(_) => format!("proxy={}", other.url()),
        };
        let mut options = vec![&*url, "retries=-1"];
        options.extend(Some(&*option).filter(|option| !option.is_empty()));
        let (status, said) = call(&options, &[("https_proxy", &environments.url())]);
        let asked = (environments.requests().len(), other.requests().len());
        match expected {
            "environment" => assert_eq!(asked, (1, 0), "{said}"),
            "named" => assert_eq!(asked, (0, 1), "{said}"),
            _ => assert_eq!(asked, (0, 0), "{said}"),
        }
        assert_eq!(status, CONNECT, "{said}");
        assert_eq!(said.contains("the proxy 127.0.0.1"), expected != "neither", "{said}");
    }
    let (status, said) = call(&[&url], &[("https_proxy", "socks5://127.0.0.1")]);
    assert_eq!(status, INVALID_INPUT);
    assert!(said.contains("https_proxy is a SOCKS proxy"), "{said}");
}

#[test]
fn the_rest_of_the_options_arrives() {
    let server = Server::with(lets_in);
    let url = format!("base_url={}", server.url());
    let options =
        [&url, "username=u", "password=p", "otp=1", "partial_session_id=x", "language=de"];
    assert_eq!(call(&options, &[]), (OK, server.url()));
    let request = &server.requests()[0];
    assert_eq!(
        request.body,
        r#"{"username":"u","password":"p","otp":"1","partial_session_id":"x"}"#
    );
    assert_eq!(request.header("accept-language"), Some("de"));
    assert_eq!(call(&["resume=id"], &[]), (OK, "https://app.files.com".to_owned()));
}

#[test]
fn the_header_is_good_for_every_standard() {
    let text = "#include \"files_session.h\"\n\
                int main(void) { files_session_options options = FILES_SESSION_OPTIONS_INIT; \
                return options.size != sizeof options; }\n";
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
        let (file, nothing) = (out().join("standards.c"), out().join("nothing.c"));
        fs::write(&file, text).unwrap();
        fs::write(&nothing, "int main(void) { return 0; }\n").unwrap();
        if compile(&nothing).output().is_ok_and(|output| output.status.success()) {
            run(&mut compile(&file));
        } else {
            not_tested(&format!("{compiler} -std={standard}"), "the header in that standard");
        }
    }
}

#[test]
fn the_wrapper_for_cpp_works() {
    if has("c++", "the wrapper for C++") {
        let program = program("c++", &CPP, &source("cpp.cpp"), "cpp");
        says_ok(Command::new(&program).arg(start_stand_in().base_url()));
    }
}

#[test]
fn the_wrapper_for_python_works() {
    if has("python3", "the wrapper for Python") {
        let library = libraries().join("libfiles_session.so");
        let mut python = Command::new("python3");
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        says_ok(python.arg(source("session.py")).arg(library).arg(start_stand_in().base_url()));
    }
}

/// The first fenced block of the README that starts so.
fn block_of_the_readme(start: &str) -> String {
    let readme = document("README.md");
    let (_, rest) = readme.split_once(start).unwrap_or_else(|| panic!("{start} is not there"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// A directory where documented lines work as they stand: with `login.c`, the README's program,
/// with `src`, and with the libraries in `target/release`.
fn workplace(name: &str, libraries: &Path) -> PathBuf {
    let place = out().join(name);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join("target")).unwrap();
    fs::write(place.join("login.c"), block_of_the_readme("```c\n")).unwrap();
    symlink(Path::new(ROOT).join("src"), place.join("src")).unwrap();
    symlink(libraries, place.join("target/release")).unwrap();
    place
}

/// Runs a documented line as it stands.
#[track_caller]
fn run_line(line: &str, place: &Path) -> Output {
    run(Command::new("sh").args(["-e", "-c", line]).current_dir(place))
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
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("{}\n", stand_in::SESSION_ID));

    let output = command.env("FILES_PASSWORD", "wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("check the user name and the password"), "{said}");
}

#[test]
fn the_program_of_the_readme_works_as_it_stands() {
    for (name, library) in [("readme", "-lfiles_session -Wl,-rpath"), ("readme_static", ".a ")] {
        let place = workplace(name, libraries());
        run_line(&documented("README.md", "cc ", library), &place);
        logs_in(&mut Command::new(place.join("login")));
    }
    // It is an example, so it has no warnings.
    let strict = workplace("readme_strict", libraries());
    program("cc", &C, &strict.join("login.c"), "readme_strict/login");
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

    // A program that is linked with it asks for that name, and no other.
    let place = workplace("with_soname", soname);
    run_line(&documented("README.md", "cc ", "-lfiles_session -Wl,-rpath"), &place);
    let run_without = Command::new(place.join("login")).output().unwrap();
    assert!(String::from_utf8_lossy(&run_without.stderr).contains(name));
    symlink("target/release/libfiles_session.so", place.join(name)).unwrap();
    logs_in(Command::new(place.join("login")).env("LD_LIBRARY_PATH", &place));
}

#[test]
fn beside_another_static_library_in_rust_the_shared_one_works() {
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
        // Set where cargo-c can't be had for this toolchain.
        if env::var_os("FILES_SESSION_CARGO_C").is_some_and(|state| state == "absent") {
            let _ = writeln!(std::io::stderr(), "\n*** NOT TESTED, no cargo-c: {test}\n");
            return;
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
    run(cargo().args(line.split(' ').skip(1)).args(["--libdir", "lib"]));

    let (place, lib) = (workplace("cargo_c", libraries()), prefix.join("lib"));
    let found = |line: String| {
        let _ = fs::remove_file(place.join("login"));
        run(Command::new("sh")
            .args(["-e", "-c", &line])
            .current_dir(&place)
            .env("PKG_CONFIG_PATH", lib.join("pkgconfig")));
        Command::new(place.join("login"))
    };
    logs_in(
        found(documented(NOTES, "cc ", "pkg-config --cflags --libs")).env("LD_LIBRARY_PATH", &lib),
    );
    // This library is in the program, the system's are not.
    logs_in(&mut found(documented(NOTES, "cc ", "pkg-config --variable=libdir")));
    // All are; the C library's own name look-up wants that of the same version at run time.
    logs_in(&mut found(documented(NOTES, "cc ", "-static")));

    // What the notes say to remove is all that is there.
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
    run(Command::new("sh").args(["-e", "-c", &removed]).env("PREFIX", &prefix));
    let left: Vec<_> = installed.iter().filter(|path| path.is_symlink() || path.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn functions_of_the_header() -> BTreeSet<String> {
    let header = document("src/files_session.h");
    // Declarations start in the first column; what is in comments does not.
    let declared = header.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    declared
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
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
    // Nor does it ask for one by relocations that an older one does not know.
    let library = fs::read(libraries().join("libfiles_session.so")).unwrap();
    assert!(!library.windows(17).any(|name| name == b"GLIBC_ABI_DT_RELR"));
}
