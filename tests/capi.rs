//! The C functions, called from C and other languages as a user would, under valgrind and under
//! sanitizers, and the documented ways to build for C.

#![cfg(all(feature = "capi", unix))]

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{Read as _, Write as _, stderr};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use files_session::ErrorKind;
use regex::Regex;
use support::chain::{Chain, LONGEST, https_proxy};
use support::tls::{Ca, VALID};
use support::{
    Reply, Server, accept_all, closed_port, not_tested, small_listener, stand_in, start_stand_in,
    without_cargo_variables, without_proxies,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const HEADER: &str = "src/files_session.h";
const NOTES: &str = "tests/c/README.md";

/// The directory for this file's output.
fn out() -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi");
    fs::create_dir_all(&out).unwrap();
    out
}

/// A line for the shell, in the directory of the crate.
fn shell(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", line]).current_dir(ROOT).env_remove("RUSTFLAGS");
    without_cargo_variables(&mut shell);
    shell
}

/// Runs a program that must succeed. Returns what it prints to stdout and to stderr.
#[track_caller]
fn run(command: &mut Command) -> [String; 2] {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into());
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, printed.concat());
    printed
}

#[track_caller]
fn assert_prints_ok(command: &mut Command) {
    assert_eq!(run(command), ["ok\n", ""], "{command:?}");
}

/// The same as [`not_tested`] for tools that CI may lack.
fn skipped(test: &str, reason: &str) {
    let _ = writeln!(stderr(), "\n*** NOT TESTED, {reason}: {test}\n");
}

/// Whether a line for the shell succeeds.
fn works(line: &str) -> bool {
    shell(line).output().unwrap().status.success()
}

/// Whether a tool is installed. Reports the test if not.
fn has(tool: &str, test: &str) -> bool {
    let is_there = works(&format!("{tool} --version"));
    if !is_there {
        not_tested(test, &format!("{tool} is missing"));
    }
    is_there
}

/// The only match of a pattern in a document: its group, or the whole line.
#[track_caller]
fn documented(document: &str, pattern: &str) -> String {
    let document = fs::read_to_string(Path::new(ROOT).join(document)).unwrap();
    let pattern = Regex::new(&format!("(?m)^{pattern}$")).unwrap();
    let found: Vec<_> = pattern.captures_iter(&document).collect();
    assert_eq!(found.len(), 1, "{pattern}: {found:?}");
    found[0].iter().flatten().last().unwrap().as_str().to_owned()
}

/// The directory of both libraries. They are built once, by the documented lines.
fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = out().join("target");
        let shared = documented("README.md", "cargo rustc .* cdylib");
        let lines = shared + "\n" + &documented(NOTES, "cargo rustc .* staticlib");
        run(shell(&lines).env("CARGO_TARGET_DIR", &target));
        target.join("release")
    })
}

/// A program of `tests/c` or elsewhere, linked with the shared library. It is compiled once.
fn program(source: impl AsRef<Path>) -> PathBuf {
    static COMPILED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let (source, libraries) = (Path::new(ROOT).join("tests/c").join(source), libraries());
    let program = out().join(source.file_stem().unwrap()).with_extension("program");
    let is_cpp = source.extension().unwrap() == "cpp";
    let compiler = if is_cpp { "c++ -std=c++17" } else { "cc -std=c11 -D_GNU_SOURCE" };
    let line = format!(
        r#"{compiler} -Wall -Wextra -Wpedantic -Werror -Isrc -o "$PROGRAM" "$SOURCE" \
        -L"$LIBRARIES" -lfiles_session -lpthread -Wl,-rpath,"$LIBRARIES""#
    );
    let mut compiled = COMPILED.lock().unwrap();
    if compiled.insert(program.clone()) {
        let mut compile = shell(&line);
        run(compile.env("PROGRAM", &program).env("SOURCE", source).env("LIBRARIES", libraries));
    }
    program
}

/// Runs a documented build, but without optimisation, which is faster. Returns its target directory.
fn debug_build(pattern: &str) -> PathBuf {
    let target = out().join("debug");
    let line = documented(NOTES, pattern).replace("--release ", "");
    run(shell(&line).env("CARGO_TARGET_DIR", &target));
    target
}

const ANY_LEAK: &str = "definite,indirect,possible";

/// Runs a program under valgrind, which fails on any error and on leaks of these kinds.
fn valgrind(program: &Path, leaks: &str) -> Command {
    let mut valgrind = shell(&format!(
        "exec valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds={leaks} \
         --errors-for-leak-kinds={leaks} \"$0\" \"$@\""
    ));
    valgrind.arg(program);
    valgrind
}

/// A site over https, and the CA to trust.
fn https_site() -> (Server, String) {
    let ca = Ca::new();
    (Server::tls(ca.server("127.0.0.1", VALID), accept_all), ca.pem())
}

/// Runs `all.c` over http, and over https with a private CA.
#[track_caller]
fn assert_all_works(all: impl Fn() -> Command) {
    assert_prints_ok(all().arg(start_stand_in().base_url()));
    let ((site, ca), (other, _)) = (https_site(), https_site());
    // Valgrind takes the output of ring's assembly for uninitialised.
    let mut over_https = all();
    over_https.env("VALGRIND_OPTS", "--undef-value-errors=no");
    assert_prints_ok(over_https.arg(site.url()).arg(ca).arg(other.url()));
    assert_eq!(site.methods(), ["POST", "DELETE"].repeat(2));
    assert!(other.requests().is_empty());
}

#[test]
fn every_function_works_from_c() {
    assert_all_works(|| Command::new(program("all.c")));

    let text = fs::read_to_string(Path::new(ROOT).join("tests/c/all.c")).unwrap();
    for function in functions_of_the_header() {
        let is_used = Regex::new(&format!(r"\b{function}\b")).unwrap().is_match(&text);
        assert!(is_used, "{function} is not called");
    }
}

#[test]
fn no_leak_and_no_misuse_of_memory_under_valgrind() {
    if has("valgrind", "leaks and misuse of memory through the C ABI") {
        assert_all_works(|| valgrind(&program("all.c"), ANY_LEAK));
    }
}

#[test]
fn no_misuse_of_memory_under_address_sanitizer() {
    if let Some(program) = sanitized("address", "asan", "") {
        let all = program("all");
        assert_all_works(|| Command::new(&all));
        assert_prints_ok(&mut Command::new(program("canceller")));
    }
}

#[test]
fn no_data_race_under_thread_sanitizer() {
    // Unless the standard library is instrumented too, every use of its locks looks like a race.
    if let Some(program) = sanitized("thread", "tsan", "-Zbuild-std") {
        assert_prints_ok(&mut Command::new(program("canceller")));
        assert_threads_work(&program("call"), &start_stand_in().base_url(), &Ca::new().pem());
    }
}

/// The static library, built with a sanitizer of the nightly toolchain. Compiles a program of
/// `tests/c` with it.
fn sanitized(sanitizer: &str, runtime: &str, flags: &str) -> Option<impl Fn(&str) -> PathBuf> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    const RUSTLIB: &str = "$(rustup run nightly rustc --print sysroot)/lib/rustlib";
    let test = format!("errors that {sanitizer} sanitizer finds");
    // Rust's own runtime always matches Rust's code; that of cc may not.
    let runtime = format!("{RUSTLIB}/{TARGET}/lib/librustc-nightly_rt.{runtime}.a");
    if !works(&format!("ls {runtime}")) {
        not_tested(&test, "no nightly toolchain for x86-64 Linux");
        return None;
    }
    if !flags.is_empty() && !works(&format!("ls {RUSTLIB}/src/rust/library/std")) {
        skipped(&test, "nightly's component rust-src is missing");
        return None;
    }
    let target = out().join(sanitizer);
    run(shell(&format!(
        "unset CARGO RUSTC RUSTUP_TOOLCHAIN
        rustup run nightly cargo rustc --features capi --crate-type staticlib \
        --target {TARGET} {flags}"
    ))
    .env("CARGO_TARGET_DIR", &target)
    .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}")));
    let sanitizer = sanitizer.to_owned();
    Some(move |name: &str| {
        let program = target.join(name);
        run(shell(&format!(
            r#"cc -std=c11 -D_GNU_SOURCE -g -fsanitize={sanitizer} -Isrc -c -o "$OBJECT" tests/c/{name}.c
            cc -rdynamic -o "$PROGRAM" "$OBJECT" "$LIBRARY" -Wl,--whole-archive {runtime} \
            -Wl,--no-whole-archive -lpthread -ldl -lm -lrt -lresolv"#
        ))
        .env("PROGRAM", &program)
        .env("OBJECT", program.with_extension("o"))
        .env("LIBRARY", target.join(TARGET).join("debug/libfiles_session.a")));
        program
    })
}

#[test]
fn a_canceller_ends_calls_in_every_phase() {
    let program = program("canceller.c");
    assert_prints_ok(&mut Command::new(&program));
    if has("valgrind", "leaks and misuse of memory around a canceller") {
        // The thread of an abandoned lookup may still be ending, so its memory is a possible leak.
        assert_prints_ok(&mut valgrind(&program, "definite,indirect"));
    }
}

#[test]
fn a_process_can_exit_during_a_call() {
    assert_prints_ok(Command::new(program("canceller.c")).arg("exit"));
}

/// Makes calls with these options, on stacks of 128 KiB.
fn call_from(program: &Path, options: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    without_proxies(&mut command).args(options).envs(environment.iter().copied());
    let [stdout, stderr] = run(&mut command);
    assert_eq!(stderr, "", "the library prints");
    stdout
}

/// Makes one call. Returns the status, and the base URL or the message.
fn call(options: &[&str]) -> (i32, String) {
    let printed = call_from(&program("call.c"), options, &[]);
    let (status, text) = printed.trim_end().split_once(' ').unwrap();
    (status.parse().unwrap(), text.to_owned())
}

const OK: i32 = 0;

/// Threads have their own sessions, and then share one.
#[track_caller]
fn assert_threads_work(program: &Path, url: &str, ca_pem: &str) {
    let options = [&format!("base_url={url}"), &format!("ca_pem={ca_pem}"), "threads=16"];
    let lines = [format!("0 {url}\n"), format!("0 {}\n", stand_in::SESSION_ID)];
    assert_eq!(call_from(program, &options, &[]), lines.map(|line| line.repeat(16)).concat());
}

#[test]
fn threads_with_small_stacks_have_their_own_sessions_and_share_one() {
    let (program, plain, (https, ca)) = (program("call.c"), start_stand_in(), https_site());
    assert_threads_work(&program, &plain.base_url(), &ca);
    assert_threads_work(&program, &https.url(), &ca);
    let (status, message) = call(&[&format!("base_url={}", plain.base_url()), "password=wrong"]);
    assert_eq!(status, ErrorKind::InvalidCredentials as i32, "{message}");
}

#[test]
fn the_longest_certificate_chain_fits_on_a_small_stack() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let [longest, other] = [LONGEST; 2].map(|length| Chain::new(length, version));
        let longer = Chain::new(LONGEST + 1, version);
        for (chain, trusted, status) in [
            (&longest, &longest, OK),
            // The last signature is wrong, which is detected where the stack is deepest.
            (&longest, &other, ErrorKind::Tls as i32),
            (&longer, &longer, ErrorKind::Tls as i32),
        ] {
            let server = Server::tls(chain.server.clone(), accept_all);
            let ca_pem = format!("ca_pem={}", trusted.root_pem);
            let (returned, text) = call(&[&format!("base_url={}", server.url()), &ca_pem]);
            assert_eq!(returned, status, "{text}");
        }
        let ca_pem = format!("ca_pem={}", longest.root_pem);
        for (site, status) in [(&longest, OK), (&other, ErrorKind::Tls as i32)] {
            let proxy = https_proxy(longest.server.clone(), site.server.clone());
            let proxy = format!("proxy={}", proxy.url());
            let (returned, text) = call(&["base_url=https://127.0.0.1:1", &proxy, &ca_pem]);
            assert_eq!(returned, status, "through a proxy: {text}");
        }
    }
}

#[test]
fn retries_are_3_by_default_or_as_set_or_none_if_negative() {
    thread::scope(|scope| {
        for (retries, requests) in [(0, 4), (2, 3), (1, 2), (-1, 1), (i32::MIN, 1)] {
            scope.spawn(move || {
                let server = Server::with(|request| {
                    let is_login = request.line.starts_with("POST");
                    if is_login { Reply::session() } else { Reply::http(500, "", "{}") }
                });
                let options =
                    [&format!("base_url={}", server.url()), &*format!("retries={retries}")];
                assert_eq!(call(&options).0, OK);
                assert_eq!(server.methods()[1..], vec!["DELETE"; requests], "{retries}");
            });
        }
    });
}

#[test]
fn plain_http_beyond_this_machine_needs_allow_http() {
    let proxy = Server::new([Reply::http(403, "", "")]);
    let (site, proxy) = ("base_url=http://mysite.test.invalid", format!("proxy={}", proxy.url()));
    for (allow_http, kind, part) in [
        ("allow_http=0", ErrorKind::InvalidInput, "set allow_http"),
        ("allow_http=1", ErrorKind::Connect, "the proxy 127.0.0.1"),
        // Some languages' true is -1.
        ("allow_http=4294967295", ErrorKind::Connect, "the proxy 127.0.0.1"),
    ] {
        let (status, message) = call(&[site, &proxy, allow_http]);
        assert!(status == kind as i32 && message.contains(part), "{status} {message}");
    }
}

#[test]
fn time_limits_are_kept_and_named() {
    // The first server is silent after the request. The second never accepts the connection that
    // the kernel has established, so the handshake never ends.
    let silent = Server::new([Reply::nothing().then_silence()]);
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = format!("https://{}", deaf.local_addr().unwrap());
    program("call.c"); // The time to build it doesn't count.
    for (url, setting) in [(silent.url(), "timeout"), (deaf, "connect_timeout")] {
        let options = [&format!("base_url={url}"), &format!("{setting}_ms=700"), "retries=-1"];
        let start = Instant::now();
        let (status, message) = call(&options);
        let took = start.elapsed();
        assert_eq!(status, ErrorKind::Timeout as i32, "{message}");
        assert!(message.contains(&format!("700ms ({setting})")), "{message}");
        assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(9), "{took:?}");
    }
}

#[test]
fn the_proxy_is_the_options_or_none_or_the_environments() {
    // A non-loopback address of this machine, with a closed port.
    let closed = closed_port();
    let url = format!("base_url=https://0.0.0.0:{}", closed.addr.port());
    let [environments, options] = [(); 2].map(|()| Server::new([Reply::http(403, "", "")]));
    let option = format!("proxy={}", options.url());
    for (proxy, requests) in [(&[][..], (1, 0)), (&["proxy="], (1, 0)), (&[&*option], (1, 1))] {
        let arguments = [&[&*url, "retries=-1"], proxy].concat();
        let variable = ("https_proxy", &*environments.url());
        let printed = call_from(&program("call.c"), &arguments, &[variable]);
        assert!(printed.starts_with(&format!("{} ", ErrorKind::Connect as i32)), "{printed}");
        let received = (environments.requests().len(), options.requests().len());
        assert_eq!(received, requests, "{proxy:?}: {printed}");
    }
}

#[test]
fn the_options_arrive() {
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
    assert_eq!(call(&options), (OK, server.url()));
    for request in server.requests() {
        assert_eq!(request.header("user-agent"), Some("my-tool/1.0"));
        assert_eq!(request.header("accept-language"), Some("de"));
    }
    let body = r#"{"username":"u","password":"p","otp":"1","partial_session_id":"x"}"#;
    assert_eq!(server.requests()[0].body, body);
}

/// A Rust program ignores SIGPIPE, a C program ends by it.
#[test]
fn a_write_to_a_broken_connection_raises_no_signal() {
    // Most of the request doesn't fit into the buffers.
    let listener = small_listener();
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
        let (status, message) = call(&[&url, &password]);
        assert_eq!(status, ErrorKind::Transport as i32, "{message}");
        message.contains("(os error 32)")
    };
    // Some calls notice the FIN or the reset before they write again.
    assert!((0..100).any(|_| fails_with_epipe()));
}

#[test]
fn the_header_compiles_in_every_standard() {
    let file = out().join("standards.c");
    let text = "#include \"files_session.h\"\n\
                #if FILES_SESSION_VERSION_NUMBER < 0x000400\n#error\n#endif\n\
                static const char header[] = FILES_SESSION_AUTH_HEADER \": \";\n\
                int main(void) { files_session_options options = FILES_SESSION_OPTIONS_INIT; \
                return options.size != sizeof options || header[0] != 'X'; }\n";
    fs::write(&file, text).unwrap();
    let c = "c89 c99 c11 c17 c2x".split(' ').map(|standard| ("cc -x c", standard));
    let cpp = "c++98 c++11 c++14 c++17 c++20 c++2b".split(' ');
    for (compiler, standard) in c.chain(cpp.map(|standard| ("c++ -x c++", standard))) {
        let compiler = format!("{compiler} -std={standard} -fsyntax-only");
        if !works(&format!("{compiler} /dev/null")) {
            not_tested("the header in every standard", &format!("{compiler} fails"));
            continue;
        }
        for api in ["", "'-DFILES_SESSION_API=__attribute__((visibility(\"default\")))'"] {
            let warnings = "-Wall -Wextra -Wpedantic -Wmissing-field-initializers -Werror";
            let line = format!("{compiler} {warnings} {api} -Isrc $FILE");
            run(shell(&line).env("FILE", &file));
        }
    }
}

#[test]
fn the_wrapper_for_cpp_works() {
    if has("c++", "the wrapper for C++") {
        let (program, server) = (program("cpp.cpp"), start_stand_in());
        assert_prints_ok(Command::new(&program).arg(server.base_url()));
        if has("valgrind", "leaks of the wrapper for C++") {
            assert_prints_ok(valgrind(&program, ANY_LEAK).arg(server.base_url()));
        }
    }
}

#[test]
fn the_wrapper_for_python_works() {
    let server = start_stand_in();
    let session_py = "tests/c/session.py $FILES_SESSION_LIBRARY";
    let valgrind = "valgrind --quiet --error-exitcode=99 --undef-value-errors=no";
    if has("python3", "the wrapper for Python") {
        let line = format!("python3 {session_py} {}", server.base_url());
        assert_prints_ok(&mut in_language(&line));
        if has("valgrind", "misuse of memory by the wrapper for Python") {
            assert_prints_ok(
                in_language(&format!("{valgrind} {line}")).env("PYTHONMALLOC", "malloc"),
            );
        }
    }
}

/// A line for the shell that runs a program in another language.
fn in_language(line: &str) -> Command {
    let libraries = libraries().display();
    let mut command = shell(line);
    command
        .env("DECLARATIONS", out().join("declarations.h"))
        .env("FILES_SESSION_LIBRARY", format!("{libraries}/libfiles_session.so"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", "tests/c")
        .env("CLASSPATH", "/usr/share/java/jna.jar")
        .env("CGO_CFLAGS", format!("-I{ROOT}/src"))
        .env("CGO_LDFLAGS", format!("-L{libraries} -Wl,-rpath,{libraries}"));
    command
}

/// The documented line that prints what `LuaJIT`, PHP and cffi read of the header.
fn declarations() -> String {
    format!("cd src; {}", documented(HEADER, r" \*     (grep .*)"))
}

#[test]
fn the_header_is_read_by_cffi() {
    let code = "import cffi, os, sys; ffi = cffi.FFI(); ffi.cdef(sys.stdin.read())
library = ffi.dlopen(os.environ['FILES_SESSION_LIBRARY'])
print(ffi.string(library.files_session_version()).decode())";
    if !works("python3 -c 'import cffi'") {
        return not_tested("the header with cffi", "cffi is missing");
    }
    let line = format!("{} | python3 -c \"$CODE\"", declarations());
    let [version, _] = run(in_language(&line).env("CODE", code));
    assert_eq!(version.trim_end(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn programs_in_other_languages_log_in_and_out() {
    run(&mut in_language(&format!("{} > $DECLARATIONS", declarations())));
    for (if_missing, installed, line) in [
        (not_tested as fn(&str, &str), "python3 -V", "python3 tests/c/languages/login.py"),
        (not_tested, "luajit -v", "luajit tests/c/languages/login.lua $DECLARATIONS"),
        (not_tested, "php -r 'FFI::cdef();'", "php tests/c/languages/login.php $DECLARATIONS"),
        (skipped, "ruby -rfiddle -e ''", "ruby tests/c/languages/login.rb"),
        (skipped, "node -e 'require(\"koffi\")'", "node tests/c/languages/login.js"),
        (skipped, "go version", "go run tests/c/languages/login.go"),
        (skipped, "java -version && ls $CLASSPATH", "java tests/c/languages/Login.java"),
    ] {
        if works(installed) {
            assert_logs_in(&mut in_language(line));
        } else {
            if_missing(line, &format!("{installed} fails"));
        }
    }
}

/// A directory where documented lines work unchanged. It contains `login.c` (the README's program),
/// `src`, and the libraries in `target/release`.
fn workplace(name: &str) -> PathBuf {
    let place = out().join(name);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join("target")).unwrap();
    let program = documented("README.md", "```c\n(?s:(.*?))```");
    fs::write(place.join("login.c"), program).unwrap();
    symlink(Path::new(ROOT).join("src"), place.join("src")).unwrap();
    symlink(libraries(), place.join("target/release")).unwrap();
    place
}

/// Runs a login program with the right password and a wrong one.
#[track_caller]
fn assert_logs_in(command: &mut Command) {
    let server = start_stand_in();
    command.env("FILES_BASE_URL", server.base_url()).env("FILES_USERNAME", stand_in::USERNAME);
    let [stdout, _] = run(command.env("FILES_PASSWORD", stand_in::PASSWORD));
    assert_eq!(stdout, format!("logged in at {}\n", server.base_url()));

    let output = command.env("FILES_PASSWORD", "wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("check the user name and the password"), "{stderr}");
}

#[test]
fn the_program_of_the_readme_works_unchanged() {
    let place = workplace("readme");
    for (document, line) in
        [("README.md", "cc .* -lfiles_session -Wl,-rpath.*"), (NOTES, "cc -s -Wl,--gc-sections .*")]
    {
        run(shell(&documented(document, line)).current_dir(&place));
        assert_logs_in(&mut Command::new(place.join("login")));
    }
    // An example must have no warnings.
    program(place.join("login.c"));
}

#[test]
fn the_program_at_the_start_of_the_header_compiles() {
    let pattern = r" \*     files_session_options options (?s:.*?)_logout\(session, NULL\);\n.*";
    let program_text = documented(HEADER, pattern).replace("\n *", "\n").replacen(" *", "", 1);
    let text = format!(
        "#include \"files_session.h\"\n#include <stdio.h>\nint main(void)\n\
         {{\n{program_text}\nreturn 0;\n}}\n"
    );
    let file = out().join("header_program.c");
    fs::write(&file, text).unwrap();
    program(file);
}

#[test]
fn a_static_library_for_another_machine_links_by_the_documented_lines() {
    for (target, compiler) in [
        ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc"),
        ("x86_64-pc-windows-gnu", "x86_64-w64-mingw32-gcc"),
    ] {
        let installed =
            format!("ls $(rustc --print=target-libdir --target {target}) && {compiler} --version");
        if !works(&installed) {
            skipped(&format!("a program for {target}"), &format!("{installed} fails"));
            continue;
        }
        let built = debug_build(&format!("(?:CC_.*)?cargo rustc .* {target}")).join(target);
        let place = workplace(target);
        let expected = place.join("target").join(target);
        fs::create_dir(&expected).unwrap();
        symlink(built.join("debug"), expected.join("release")).unwrap();
        run(shell(&documented(NOTES, &format!("{compiler} .*"))).current_dir(&place));
    }
}

#[test]
fn the_shared_library_of_plain_cargo_can_have_a_soname() {
    let library = debug_build("cargo rustc .*-soname,.*").join("debug/libfiles_session.so");
    let [dynamic, _] = run(Command::new("readelf").arg("-d").arg(library));
    let version = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR")].join(".");
    assert!(dynamic.contains(&format!("soname: [libfiles_session.so.{version}]")), "{dynamic}");
}

#[test]
fn cargo_c_installs_what_pkg_config_finds() {
    let test = "an installation by cargo-c, and pkg-config";
    if !works("cargo cinstall --version") {
        // CI sets this if no cargo-c fits the toolchain.
        let is_absent = env::var_os("FILES_SESSION_CARGO_C").is_some_and(|state| state == "absent");
        return (if is_absent { skipped } else { not_tested })(test, "cargo-c is missing");
    }
    if !has("pkg-config", test) {
        return;
    }
    let (place, prefix) = (workplace("cargo_c"), out().join("prefix"));
    let _ = fs::remove_dir_all(&prefix);
    let in_prefix = |line: &str| {
        let mut shell = shell(&line.replace("/usr/local", "$PREFIX"));
        shell.env("PREFIX", &prefix).env("CARGO_TARGET_DIR", out().join("cargo_c_target"));
        shell
    };
    let line = documented(NOTES, "cargo cinstall .*--prefix=/usr/local");
    run(&mut in_prefix(&(line + " --libdir=lib")));

    let export = documented(NOTES, r"export PKG_CONFIG_PATH=\$PREFIX.*");
    for (line, library_path) in [
        (r"cc .*-Wl,-rpath,\$PREFIX.*", ""),
        (r"cc -o login login.c \$\(pkg-config --cflags --libs files_session\)", "lib"),
        // This library is linked statically, the system's dynamically.
        (r"cc .*pkg-config --variable=libdir.*", ""),
        // Everything is linked statically.
        (r"cc -static .*", ""),
    ] {
        let line = format!("{export}\n{}", documented(NOTES, line));
        run(in_prefix(&line).current_dir(&place));
        let mut login = Command::new(place.join("login"));
        assert_logs_in(login.env("LD_LIBRARY_PATH", library_path).current_dir(&prefix));
    }

    // The notes remove all files that were installed.
    let files = || run(&mut in_prefix("find $PREFIX ! -type d"))[0].clone();
    assert!(files().lines().count() >= 6, "{}", files());
    run(&mut in_prefix(&documented(NOTES, "rm .*libfiles_session.*")));
    assert_eq!(files(), "");
}

fn functions_of_the_header() -> BTreeSet<String> {
    let header = fs::read_to_string(Path::new(ROOT).join(HEADER)).unwrap();
    let pattern = Regex::new(r"(?m)^FILES_SESSION_API [^(]*?(\w+)\(").unwrap();
    pattern.captures_iter(&header).map(|found| found[1].to_owned()).collect()
}

#[test]
fn exactly_the_functions_of_the_header_are_exported() {
    let library = libraries().join("libfiles_session.so");
    let [symbols, _] = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library));
    let exported = symbols.lines().filter_map(|line| line.split(' ').next_back());
    let declared = functions_of_the_header();
    assert!(declared.len() > 30, "{declared:?}");
    assert_eq!(exported.map(ToOwned::to_owned).collect::<BTreeSet<_>>(), declared);
}

#[cfg(target_env = "gnu")]
#[test]
fn the_shared_library_needs_no_newer_glibc_than_any_program_of_the_toolchain() {
    let version = Regex::new(r"@GLIBC_2\.(\d+)").unwrap();
    let newest = |file: &Path| {
        let [symbols, _] = run(Command::new("nm").arg("-D").arg(file));
        version.captures_iter(&symbols).map(|v| v[1].parse::<u32>().unwrap()).max().unwrap()
    };
    let library = libraries().join("libfiles_session.so");
    let needed = newest(&library);
    assert!(needed <= newest(&env::current_exe().unwrap()), "glibc 2.{needed}");
    // Nor does it use relocations that an older glibc lacks.
    let bytes = fs::read(library).unwrap();
    assert!(!bytes.windows(17).any(|name| name == b"GLIBC_ABI_DT_RELR"));
}
