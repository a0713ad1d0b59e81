//! Responds to every login and logout on a loopback port, which it prints.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

const SESSION: &str = r#"{"id":"60525f92e859c4c3d74cb02fd176b1525901b525","language":"en","login_token":"@tok-randomcode","login_token_domain":"https://mysite.files.com","max_dir_listing_size":1,"multiple_regions":true,"read_only":true,"root_path":"","sftp_insecure_ciphers":true,"site_id":1,"ssl_required":true,"tls_disabled":true,"two_factor_setup_needed":true,"allowed_2fa_method_sms":true,"allowed_2fa_method_totp":true,"allowed_2fa_method_u2f":true,"allowed_2fa_method_yubi":true,"use_provided_modified_at":true,"windows_mode_ftp":true}"#;

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    let created = format!(
        "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{SESSION}",
        SESSION.len()
    );
    for stream in listener.incoming() {
        let (mut stream, created) = (BufReader::new(stream?), created.clone());
        thread::spawn(move || -> std::io::Result<()> {
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
            }
        });
    }
    Ok(())
}
