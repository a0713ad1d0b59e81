//! A proxy that opens tunnels.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy that opens a tunnel for each CONNECT, and records the requests.
pub struct Tunnel {
    pub addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// Every tunnel leads to `target`.
    pub fn to(target: SocketAddr) -> Tunnel {
        Tunnel::by(move |_| target)
    }

    /// A tunnel leads to the address that `target` returns for a host.
    pub fn by(target: impl Fn(&str) -> SocketAddr + Send + Sync + 'static) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new((target, heads.clone()));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut client, shared) = (stream.unwrap(), shared.clone());
                thread::spawn(move || -> io::Result<()> {
                    let (mut head, mut reader) =
                        (String::new(), BufReader::new(client.try_clone()?));
                    while reader.read_line(&mut head)? > 2 {}
                    let host = head.split([' ', ':']).nth(1).unwrap_or_default().to_owned();
                    shared.1.lock().unwrap().push(head);
                    let mut server = TcpStream::connect(shared.0(&host))?;
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                    let mut back = (server.try_clone()?, client.try_clone()?);
                    thread::spawn(move || {
                        let _ = io::copy(&mut back.0, &mut back.1);
                        back.1.shutdown(Shutdown::Both)
                    });
                    io::copy(&mut client, &mut server)?;
                    server.shutdown(Shutdown::Both)
                });
            }
        });
        Tunnel { addr, heads }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The heads of the requests.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}
