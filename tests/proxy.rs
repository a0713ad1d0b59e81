//! Through a proxy, past it, and not at all.

mod support;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;

use files_session::{ErrorKind, Session, Site, agent_config, ureq};
use support::{Reply, Server, example, lets_in, login, nobody};

/// A proxy that leads every CONNECT to one address on this machine, and keeps what it got.
struct Tunnel {
    addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    fn to(target: SocketAddr) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = heads.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut client, kept) = (stream.unwrap(), kept.clone());
                thread::spawn(move || -> io::Result<()> {
                    let (mut head, mut reader) =
                        (String::new(), BufReader::new(client.try_clone()?));
                    while reader.read_line(&mut head)? > 2 {}
                    kept.lock().unwrap().push(head);
                    let mut server = TcpStream::connect(target)?;
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                    let mut back = (server.try_clone()?, client.try_clone()?);
                    thread::spawn(move || io::copy(&mut back.0, &mut back.1));
                    io::copy(&mut client, &mut server).map(drop)
                });
            }
        });
        Tunnel { addr, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn through(site: Site, proxy: &str) -> Site {
    let proxy = ureq::Proxy::new(proxy).unwrap();
    site.retries(0).agent(agent_config().proxy(Some(proxy)).build().into())
}

#[test]
fn a_call_goes_through_a_proxy() {
    let server = Server::with(lets_in);
    let proxy = Tunnel::to(server.addr);
    let site = through(
        Site::new("http://mysite.test.invalid").allow_http(),
        &format!("http://user:secret@{}", proxy.addr),
    );
    Session::login(&site, &login()).unwrap().logout().unwrap();
    assert_eq!(server.methods(), ["POST", "DELETE"]);
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "login and logout share one tunnel");
    // The name is the proxy's to look up.
    assert!(heads[0].starts_with("CONNECT mysite.test.invalid:80 HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ="), "{heads:?}");
}

fn run_example(url: &str, variables: &[(&str, &str)]) -> Output {
    example("login")
        .env("FILES_BASE_URL", url)
        .env("FILES_USERNAME", "username")
        .env("FILES_PASSWORD", "password")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn a_proxy_is_taken_from_the_environment() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"] {
        let server = Server::with(lets_in);
        let proxy = Tunnel::to(server.addr);
        let output = run_example(&server.url(), &[(name, &format!("http://{}", proxy.addr))]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(proxy.heads().len(), 1, "{name}");
    }
}

#[test]
fn no_proxy_is_respected() {
    let server = Server::with(lets_in);
    let nobody = format!("http://{}", nobody());
    let output =
        run_example(&server.url(), &[("HTTPS_PROXY", &nobody), ("NO_PROXY", "a,127.0.0.1")]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.methods(), ["POST", "DELETE"]);
}

#[test]
fn what_stays_on_this_machine_takes_no_proxy_elsewhere() {
    let server = Server::with(lets_in);
    // The name of the proxy is none, so the call could not get far with it.
    let proxy = [("HTTPS_PROXY", "http://proxy.test.invalid:3128")];
    let output = run_example(&server.url(), &proxy);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.methods(), ["POST", "DELETE"]);
}

#[test]
fn a_proxy_that_refuses_is_a_clear_error() {
    for (reply, says) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"),
    ] {
        let proxy = Server::new([Reply::raw(reply).then_close()]);
        let url = format!("http://user:hunter2@{}", proxy.addr);
        let site = through(Site::new("https://mysite.test.invalid"), &url).retries(3);
        let error = Session::login(&site, &login()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        let said = error.to_string();
        assert!(said.contains("the proxy refused") && said.contains(says), "{said}");
        let all = format!("{error} {error:?} {site:?}");
        assert!(!all.contains("hunter2") && !all.contains("dXNlcj"), "{all}");
        assert_eq!(proxy.requests().len(), 1, "a refusal is not repeated");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_a_clear_error() {
    let url = format!("http://user:hunter2@{}", nobody());
    let site = through(Site::new("https://mysite.test.invalid"), &url);
    let error = Session::login(&site, &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn a_socks_proxy_of_the_environment_is_not_passed_by_in_silence() {
    let server = Server::with(lets_in);
    for scheme in ["socks5", "socks5h", "socks4"] {
        let proxy = format!("{scheme}://user:hunter2@127.0.0.1:9");
        let output = run_example(&server.url(), &[("ALL_PROXY", &proxy)]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("SOCKS") && !said.contains("hunter2"), "{said}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_socks_proxy_of_an_agent_is_a_clear_error() {
    let site = through(Site::new("http://127.0.0.1:9"), "socks5://user:hunter2@127.0.0.1:9");
    let error = Session::login(&site.allow_http(), &login()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    let all = format!("{error} {error:?}");
    assert!(all.contains("SOCKS") && !all.contains("hunter2"), "{all}");
}
