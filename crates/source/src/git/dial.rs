//! A TCP connection to an SSH server, straight or through a proxy (SOCKS5, or HTTP's CONNECT). HTTP has its client's own.
//!
//! Sources: RFC 1928, RFC 1929, RFC 9110 section 9.3.6.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::auth::Proxy;

/// The longest answer to CONNECT that is read.
const MAX_HEAD: usize = 16 * 1024;

/// Connects to `host`. The proxy resolves the name when there is one.
pub(crate) async fn dial(host: &str, port: u16, proxy: Option<&Proxy>) -> io::Result<TcpStream> {
    let Some(proxy) = proxy else {
        return TcpStream::connect((host, port)).await;
    };
    let address = (
        proxy.address.host_str().unwrap_or_default().trim_matches(['[', ']']),
        proxy.address.port_or_known_default().unwrap_or(1080),
    );
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|e| io::Error::new(e.kind(), format!("proxy {}: {e}", proxy.address)))?;
    let opened = match proxy.address.scheme() {
        "http" => connect(&mut stream, host, port, proxy).await,
        "socks5" | "socks5h" => socks(&mut stream, host, port, proxy).await,
        scheme => Err(io::Error::other(format!(
            "'{scheme}' proxies are not supported for SSH: use socks5 or http"
        ))),
    };
    opened.map_err(|e| io::Error::new(e.kind(), format!("proxy {}: {e}", proxy.address)))?;
    Ok(stream)
}

async fn socks(stream: &mut TcpStream, host: &str, port: u16, proxy: &Proxy) -> io::Result<()> {
    let method = match proxy.credentials {
        None => 0,
        Some(_) => 2,
    };
    stream.write_all(&[5, 1, method]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen != [5, method] {
        return Err(io::Error::other("it takes none of our ways to log in"));
    }
    if let Some((username, password)) = &proxy.credentials {
        let mut login = vec![1];
        push_string(&mut login, username)?;
        push_string(&mut login, password)?;
        stream.write_all(&login).await?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await?;
        if answer[1] != 0 {
            return Err(io::Error::other("it refused the credentials"));
        }
    }
    let mut request = vec![5, 1, 0];
    match host.parse() {
        Ok(std::net::IpAddr::V4(ip)) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        Ok(std::net::IpAddr::V6(ip)) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
        Err(_) => {
            request.push(3);
            push_string(&mut request, host)?;
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer[1] != 0 {
        return Err(io::Error::other(format!("it can't connect (code {})", answer[1])));
    }
    let rest = match answer[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(io::Error::other("its answer makes no sense")),
    };
    let mut bound = vec![0; rest + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

fn push_string(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length = u8::try_from(text.len())
        .map_err(|_| io::Error::other("a name is longer than SOCKS5 allows"))?;
    out.push(length);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

async fn connect(stream: &mut TcpStream, host: &str, port: u16, proxy: &Proxy) -> io::Result<()> {
    let target = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some((username, password)) = &proxy.credentials {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        request.push_str(&format!("Proxy-Authorization: Basic {pair}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(io::Error::other("its answer is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" => Ok(()),
        status => Err(io::Error::other(format!("it can't connect (status {status})"))),
    }
}
