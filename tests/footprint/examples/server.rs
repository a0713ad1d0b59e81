//! Responds to every login and logout, over http and https: server CA_PEM_FILE. Writes its CA into
//! the file, and prints both addresses.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::{env, fs, thread};

use rustls::{ServerConnection, StreamOwned};

#[allow(dead_code)]
#[path = "../../support/tls.rs"]
mod tls;

const SESSION: &str = r#"{"id":"60525f92e859c4c3d74cb02fd176b1525901b525","language":"en","login_token":"@tok-randomcode","login_token_domain":"https://mysite.files.com","max_dir_listing_size":1,"multiple_regions":true,"read_only":true,"root_path":"","sftp_insecure_ciphers":true,"site_id":1,"ssl_required":true,"tls_disabled":true,"two_factor_setup_needed":true,"allowed_2fa_method_sms":true,"allowed_2fa_method_totp":true,"allowed_2fa_method_u2f":true,"allowed_2fa_method_yubi":true,"use_provided_modified_at":true,"windows_mode_ftp":true}"#;

fn main() -> io::Result<()> {
    let ca = tls::Ca::new();
    fs::write(env::args().nth(1).expect("a file name"), ca.pem())?;
    let config = ca.server("127.0.0.1", tls::VALID);
    let http = TcpListener::bind("127.0.0.1:0")?;
    let https = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}\nhttps://{}", http.local_addr()?, https.local_addr()?);
    thread::spawn(move || listen(&http, Ok));
    listen(&https, move |socket| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, socket))
    })
}

fn listen<S: Read + Write + Send + 'static>(
    listener: &TcpListener,
    open: impl Fn(TcpStream) -> io::Result<S>,
) -> io::Result<()> {
    for socket in listener.incoming() {
        let stream = open(socket?)?;
        thread::spawn(move || respond(&mut BufReader::new(stream)));
    }
    Ok(())
}

fn respond(stream: &mut BufReader<impl Read + Write>) -> io::Result<()> {
    let created = format!(
        "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{SESSION}",
        SESSION.len()
    );
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if stream.read_line(&mut head)? <= 2 {
                break;
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap_or(0);
            }
        }
        if head.is_empty() {
            return Ok(());
        }
        stream.read_exact(&mut vec![0; length])?;
        let post = head.starts_with("POST");
        let response = if post { &created } else { "HTTP/1.1 204 No Content\r\n\r\n" };
        stream.get_mut().write_all(response.as_bytes())?;
        stream.get_mut().flush()?;
    }
}
