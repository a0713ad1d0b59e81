//! The C ABI, called from C, C++ and Python as a user would, under valgrind and `AddressSanitizer`.

#![cfg(feature = "capi")]

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use support::tls::{Ca, VALID};
use support::{Server, lets_in, stand_in};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const C: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
const CPP: [&str; 5] = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// Where this file's work goes, and where the library is built.
fn out() -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi");
    fs::create_dir_all(&out).unwrap();
    out
}

/// Whether a tool is there. One that is not is said past the test runner's capture, and on CI it
/// is a failure.
fn has(tool: &str, test: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        let _ = writeln!(std::io::stderr(), "\n*** NOT TESTED, {tool} is missing: {test}\n");
        assert!(env::var_os("CI").is_none(), "{tool} is missing");
    }
    found
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
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

/// The directory of the libraries, built once by the README's commands.
fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
        for crate_type in ["cdylib", "staticlib"] {
            let command =
                format!("cargo rustc --release --features capi --crate-type {crate_type}");
            assert!(readme.contains(&command), "{command}");
            run(cargo().args(command.split(' ').skip(1)));
        }
        out().join("target/release")
    })
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
    says_ok(Command::new(&program).arg(stand_in::start().base_url()));

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
    says_ok(valgrind(&program).arg(stand_in::start().base_url()));
    let (server, ca) = https_stand_in("ca_valgrind.pem");
    let (other, _) = https_stand_in("other_valgrind.pem");
    // Valgrind takes what ring's assembly decrypts for uninitialised, so it is not asked for that.
    let mut valgrind = valgrind(&program);
    valgrind.env("VALGRIND_OPTS", "--undef-value-errors=no");
    says_ok(valgrind.arg(server.url()).arg(ca).arg(other.url()));
}

#[test]
fn nothing_is_misused_under_address_sanitizer() {
    let nightly = Command::new("rustup").args(["run", "nightly", "rustc", "--version"]).output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        let _ = writeln!(std::io::stderr(), "\n*** NOT TESTED, no nightly: AddressSanitizer\n");
        return;
    }
    let target = "x86_64-unknown-linux-gnu";
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        return;
    }
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
    says_ok(Command::new(&program).arg(stand_in::start().base_url()));
    let (server, ca) = https_stand_in("ca_asan.pem");
    says_ok(Command::new(&program).arg(server.url()).arg(ca));
}

#[test]
fn eight_threads_have_a_session_each() {
    let program = program("cc", &C, &source("threads.c"), "threads");
    says_ok(Command::new(&program).arg(stand_in::start().base_url()));
}

#[test]
fn the_header_works_from_cpp() {
    if has("c++", "the header from C++") {
        let program = program("c++", &CPP, &source("cpp.cpp"), "cpp");
        says_ok(Command::new(&program).arg(stand_in::start().base_url()));
    }
}

#[test]
fn the_library_works_from_python() {
    if has("python3", "the library from Python") {
        let library = libraries().join("libfiles_session.so");
        let mut python = Command::new("python3");
        says_ok(python.arg(source("session.py")).arg(library).arg(stand_in::start().base_url()));
    }
}

/// The first fenced block of the README that starts so.
fn block_of_the_readme(start: &str) -> String {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let (_, rest) = readme.split_once(start).unwrap_or_else(|| panic!("{start} is not there"));
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_program_of_the_readme_works_as_it_stands() {
    let file = out().join("readme.c");
    fs::write(&file, block_of_the_readme("```c\n")).unwrap();
    let shared = program("cc", &C, &file, "readme");

    // The static library, with the line of the README.
    let line = block_of_the_readme("```sh\ncc -o login login.c target/release/libfiles_session.a");
    let fixed = out().join("readme_static");
    run(Command::new("cc")
        .args(C)
        .arg(format!("-I{ROOT}/src"))
        .arg(&file)
        .arg(libraries().join("libfiles_session.a"))
        .args(line.split_ascii_whitespace().filter(|word| word.starts_with("-l")))
        .arg("-o")
        .arg(&fixed));

    let server = stand_in::start();
    for program in [shared, fixed] {
        let mut command = Command::new(&program);
        command
            .env("FILES_BASE_URL", server.base_url())
            .env("FILES_USERNAME", stand_in::USERNAME)
            .env("FILES_PASSWORD", stand_in::PASSWORD);
        let output = run(&mut command);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, format!("{}\n", stand_in::SESSION_ID));

        let output = command.env("FILES_PASSWORD", "wrong").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("check the user name and the password"), "{said}");
    }
}

fn functions_of_the_header() -> BTreeSet<String> {
    let header = fs::read_to_string(Path::new(ROOT).join("src/files_session.h")).unwrap();
    // Declarations start in the first column; what is in comments does not.
    let declared = header.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    declared
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn exactly_the_functions_of_the_header_are_exported() {
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
fn the_shared_library_is_small() {
    let size = fs::metadata(libraries().join("libfiles_session.so")).unwrap().len();
    assert!(size <= 1_720_000, "{size} bytes");
}
