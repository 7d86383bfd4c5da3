//! GitHub Apps: the exchange of a signed proof for a token, at an API of our own.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use borax_source::git::{AppToken, Credentials, GitAuth, GithubApp, GithubError, SecretData};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::ssh::ssh_keygen;

const NOW: i64 = 1_700_000_000;

/// An API that answers each request line with a status and a body; and what it was asked.
fn api(
    answers: &'static [(&'static str, u16, &'static str)],
) -> (String, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
            let (mut line, mut token, mut length) = (String::new(), String::new(), 0);
            reader.read_line(&mut line).expect("a request");
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).expect("a header");
                let (name, value) = header.trim().split_once(": ").unwrap_or_default();
                match name.to_lowercase().as_str() {
                    "" => break,
                    "authorization" => token = value.trim_start_matches("Bearer ").to_string(),
                    "content-length" => length = value.parse().expect("a number"),
                    _ => {}
                }
            }
            std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).expect("a body");
            let asked = line.trim_end_matches(" HTTP/1.1\r\n").to_string();
            let (status, body) = answers
                .iter()
                .find(|(line, ..)| *line == asked)
                .map_or((404, r#"{"message":"Not Found"}"#), |(_, status, body)| (*status, *body));
            // Recorded before it is answered: who has the answer may look at once.
            if send.send((asked, token)).is_err() {
                return;
            }
            write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
            .expect("an answer");
        }
    });
    (format!("http://{address}/api/v3"), receive)
}

fn secret(key: &str, pairs: &[(&str, &str)]) -> SecretData {
    let mut data: SecretData = [("githubAppID", "7"), ("githubAppPrivateKey", key)]
        .map(|(k, v)| (k.to_string(), v.as_bytes().to_vec()))
        .into();
    data.extend(pairs.iter().map(|(k, v)| (k.to_string(), v.as_bytes().to_vec())));
    data
}

fn token(data: &SecretData) -> Result<AppToken, GithubError> {
    GithubApp::from_secret(data)?.token(
        &GitAuth::default(),
        None,
        Duration::from_secs(10),
        &CancellationToken::new(),
        NOW,
    )
}

fn claims(key: &str, jwt: &str) -> Value {
    let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let pair = match &der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        other => RsaKeyPair::from_pkcs8(other.secret_der()),
    }
    .expect("an RSA key");
    let (text, signature) = jwt.rsplit_once('.').expect("a JWT");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let public: &[u8] = ring::signature::KeyPair::public_key(&pair).as_ref();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(text.as_bytes(), &signature)
        .expect("signed by the key");
    let claims = text.split('.').nth(1).expect("claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON")
}

const TOKEN: &str = r#"{"token":"ghs_s3cret","expires_at":"2023-11-14T23:13:20Z"}"#;

#[test]
fn an_installation_gets_a_token() {
    for format in ["PEM", "PKCS8"] {
        let (key, _) = ssh_keygen(&["-t", "rsa", "-b", "2048", "-m", format, "-N", ""]);
        let (url, asked) = api(&[("POST /api/v3/app/installations/9/access_tokens", 201, TOKEN)]);
        let data = secret(&key, &[("githubAppInstallationID", "9"), ("githubAppBaseURL", &url)]);
        assert!(GithubApp::is_in(&data));
        let token = token(&data).expect("a token");
        assert_eq!(token.expires_at, NOW + 3600);
        let (_, jwt) = asked.recv().expect("it was asked");
        assert_eq!(claims(&key, &jwt), json!({"iat": NOW - 30, "exp": NOW + 90, "iss": "7"}));
        let auth = GitAuth::default().with_app_token(&token);
        let want = Credentials::Basic {
            username: "x-access-token".to_string(),
            password: "ghs_s3cret".to_string(),
        };
        assert_eq!(auth.credentials, want);
        assert!(
            !format!("{token:?}{auth:?}{:?}", GithubApp::from_secret(&data)).contains("s3cret")
        );
    }
}

#[test]
fn an_owner_is_an_organization_or_a_user() {
    let (key, _) = ssh_keygen(&["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]);
    let (url, asked) = api(&[
        ("GET /api/v3/users/me/installation", 200, r#"{"id":3}"#),
        ("POST /api/v3/app/installations/3/access_tokens", 201, TOKEN),
    ]);
    let of = |owner: &str| {
        let pairs = [("githubAppInstallationOwner", owner), ("githubAppBaseURL", url.as_str())];
        token(&secret(&key, &pairs))
    };
    of("me").expect("a token");
    let lines: Vec<String> = asked.try_iter().map(|(line, _)| line).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v3/orgs/me/installation",
            "GET /api/v3/users/me/installation",
            "POST /api/v3/app/installations/3/access_tokens"
        ]
    );
    let text = of("no/one").expect_err("nobody").to_string();
    assert_eq!(
        text,
        format!(
            "no installation of the app found for 'no/one': GET {url}/orgs/no%2Fone/installation: 404: Not Found; GET \
             {url}/users/no%2Fone/installation: 404: Not Found"
        )
    );
}

#[test]
fn wrong_secrets_are_told_in_the_words_of_flux() {
    let text = |pairs: &[(&str, &str)]| {
        let data = pairs.iter().map(|(k, v)| (k.to_string(), v.as_bytes().to_vec())).collect();
        token(&data).expect_err("wrong").to_string()
    };
    let (id, owner, installation) = (
        ("githubAppID", "1"),
        ("githubAppInstallationOwner", "o"),
        ("githubAppInstallationID", "2"),
    );
    let tail = "must be provided to use github app authentication";
    assert_eq!(text(&[]), format!("app ID {tail}"));
    assert_eq!(text(&[id]), format!("app installation owner or ID {tail}"));
    assert_eq!(
        text(&[id, owner, installation]),
        format!("only one of app installation owner or ID {tail}")
    );
    assert_eq!(text(&[id, owner]), format!("private key {tail}"));
    let key = ("githubAppPrivateKey", "s3cret");
    assert_eq!(text(&[id, owner, key]), "could not parse private key: it is not PEM");
}
