//! The way to HTTP servers: through the proxy that was given, else through the environment's, as Flux's controllers go.
//!
//! Source: Go's `net/http` (`ProxyFromEnvironment`). As there, this machine itself is reached without a proxy.

use reqwest::{ClientBuilder, NoProxy};

use crate::git::Proxy;

/// What is reached without a proxy, whatever `NO_PROXY` says.
const LOCAL: &str = "localhost,127.0.0.0/8,::1";

/// Sets the proxy of a client that is being built.
pub(crate) fn through(
    builder: ClientBuilder,
    given: Option<&Proxy>,
) -> Result<ClientBuilder, reqwest::Error> {
    let Some(proxy) = given else {
        return environment(builder, |name| std::env::var(name).ok());
    };
    let mut setting = reqwest::Proxy::all(proxy.address.clone())?;
    if let Some((username, password)) = &proxy.credentials {
        setting = setting.basic_auth(username, password);
    }
    Ok(builder.proxy(setting))
}

/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in capitals or not; of `NO_PROXY` all but entries with a port.
fn environment(
    builder: ClientBuilder,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<ClientBuilder, reqwest::Error> {
    let either = |name: &str| {
        let found = variable(name).filter(|text| !text.is_empty());
        found.or_else(|| variable(&name.to_lowercase()).filter(|text| !text.is_empty()))
    };
    let mut direct = LOCAL.to_owned();
    for entry in either("NO_PROXY").unwrap_or_default().split(',').map(str::trim) {
        direct.push(',');
        direct.push_str(entry.strip_prefix('*').filter(|rest| !rest.is_empty()).unwrap_or(entry));
    }
    // No other variable counts, `ALL_PROXY` for one.
    let mut builder = builder.no_proxy();
    if let Some(address) = either("HTTP_PROXY") {
        let proxy = reqwest::Proxy::http(complete(&address))?;
        builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&direct)));
    }
    if let Some(address) = either("HTTPS_PROXY") {
        let proxy = reqwest::Proxy::https(complete(&address))?;
        builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&direct)));
    }
    Ok(builder)
}

/// An address without a scheme is one of an HTTP proxy.
fn complete(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::git::tls;

    /// A server that tells the first line of every request, and answers nothing in particular.
    fn server() -> (SocketAddr, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut head = vec![0; 4096];
                let n = stream.read(&mut head).expect("a request");
                let line = String::from_utf8_lossy(&head[..n]).lines().next().map(str::to_owned);
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).expect("the client listens");
                if sender.send(line.unwrap_or_default()).is_err() {
                    return;
                }
            }
        });
        (address, seen)
    }

    #[tokio::test]
    async fn the_environment_says_which_proxy_and_for_what_none() {
        let (proxy, seen) = server();
        let (local, reached) = server();
        let client = |variables: &[(&str, String)]| {
            let variables: HashMap<String, String> =
                variables.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
            let config = tls::client_config(&[], None).expect("a configuration");
            let builder = reqwest::Client::builder()
                .tls_backend_preconfigured(config)
                .resolve("a.direct.test", local)
                .resolve("git.test", local);
            let builder = environment(builder, |name| variables.get(name).cloned());
            builder.expect("valid").build().expect("a client")
        };
        let no_proxy = ("no_proxy", "*.direct.test, 10.0.0.0/8".to_owned());
        let proxied = client(&[("HTTP_PROXY", proxy.to_string()), no_proxy.clone()]);
        proxied.get("http://git.test/a").send().await.expect("the proxy answers");
        assert_eq!(seen.recv().expect("a request"), "GET http://git.test/a HTTP/1.1");
        // Not for this machine, nor for what is excepted.
        proxied.get(format!("http://{local}/b")).send().await.expect("the server answers");
        assert_eq!(reached.recv().expect("a request"), "GET /b HTTP/1.1");
        let port = local.port();
        proxied.get(format!("http://a.direct.test:{port}/c")).send().await.expect("an answer");
        assert_eq!(reached.recv().expect("a request"), "GET /c HTTP/1.1");
        // TLS has a variable of its own.
        proxied.get(format!("https://git.test:{port}/")).send().await.expect_err("no TLS there");
        assert!(seen.try_recv().is_err());
        let tunnelled = client(&[("https_proxy", format!("http://{proxy}")), no_proxy]);
        tunnelled.get("https://git.test/").send().await.expect_err("it opens no tunnel");
        assert_eq!(seen.recv().expect("a request"), "CONNECT git.test:443 HTTP/1.1");
        assert!(seen.try_recv().is_err());
    }
}
