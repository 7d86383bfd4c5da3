//! How a HelmRepository is reached: its Secrets, made a connection over HTTP or to a registry.
//!
//! Behaviour: source-controller v1.9 `internal/helm/getter/client_opts.go`, `internal/helm/registry/auth.go`; fluxcd/pkg
//! `runtime/secrets`.

use std::sync::Arc;

use borax_api::source::{CloudProvider, HelmRepository};
use borax_source::auth::docker_config::{Keychain, RegistryAuth};
use borax_source::git::ClientCertificate;
use borax_source::helm_repo::{Connection, address};
use borax_source::oci;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::secrets::{self, SecretData};
use super::summary::Problem;
use crate::shared::Shared;

/// What the Secrets of a HelmRepository hold.
#[derive(Default)]
struct Access {
    ca: Vec<u8>,
    client: Option<ClientCertificate>,
    login: Option<(String, String)>,
    secret: Option<Secret>,
}

/// Refuses logins that only a cloud's own services know.
pub(super) fn refuse_provider(repository: &HelmRepository) -> Result<(), Problem> {
    let spec = &repository.spec;
    match spec.provider() {
        CloudProvider::Generic => Ok(()),
        // As in Flux a Secret goes before the provider.
        _ if spec.secret_ref.is_some() || !spec.is_oci() => Ok(()),
        other => Err(Problem::unsupported(
            &format!("spec.provider: {other} of HelmRepository '{}'", repository.name_any()),
            "give the login in spec.secretRef with the provider generic",
        )),
    }
}

/// How to reach the repository at `url` (normalised) with the settings of `repository`.
///
/// # Errors
/// A Secret is missing or holds nothing usable.
pub(super) async fn http(
    shared: &Arc<Shared>,
    repository: &HelmRepository,
    url: &str,
) -> Result<Connection, String> {
    let access = access(shared, repository).await?;
    Ok(Connection {
        url: url.to_owned(),
        login: access.login,
        pass_credentials: repository.spec.pass_credentials,
        ca: access.ca,
        client: access.client,
        timeout: repository.spec.timeout(),
    })
}

/// How to reach the registry at `url` (normalised) with the settings of `repository`.
///
/// # Errors
/// As [`http`].
pub(super) async fn registry(
    shared: &Arc<Shared>,
    repository: &HelmRepository,
    url: &str,
) -> Result<(Keychain, oci::Connection), String> {
    let access = access(shared, repository).await?;
    let host = address::host(url);
    let keychain = match access.secret {
        None => Keychain::default(),
        Some(secret) => {
            let wrap =
                |error: String| format!("failed to configure OCI registry authentication: {error}");
            keychain(&host, secret, access.login).map_err(wrap)?
        }
    };
    let connection = oci::Connection {
        ca: access.ca,
        client: access.client,
        proxy: None,
        insecure: repository.spec.insecure,
    };
    Ok((keychain, connection))
}

fn keychain(
    host: &str,
    secret: Secret,
    login: Option<(String, String)>,
) -> Result<Keychain, String> {
    const DOCKER: &str = "kubernetes.io/dockerconfigjson";
    let name = secret.name_any();
    if secret.type_.as_deref() != Some(DOCKER) {
        return Ok(match login {
            Some((username, password)) => {
                Keychain::of(host, RegistryAuth::Basic { username, password })
            }
            None => Keychain::default(),
        });
    }
    let mut keychain = Keychain::default();
    keychain
        .add_secret(DOCKER, &secrets::data(secret))
        .map_err(|error| format!("unable to load Docker config from Secret '{name}': {error}"))?;
    if keychain.resolve(host) == RegistryAuth::Anonymous {
        return Err(format!("no auth config for '{host}' in the docker-registry Secret '{name}'"));
    }
    Ok(keychain)
}

async fn access(shared: &Arc<Shared>, repository: &HelmRepository) -> Result<Access, String> {
    let spec = &repository.spec;
    let namespace = repository.namespace().unwrap_or_default();
    let mut access = Access::default();
    let get = async |name: &str, what: &str| {
        let secret = secrets::get(&shared.cluster, &namespace, name).await;
        secret.map_err(|error| {
            error.replacen("failed to get secret", &format!("failed to get {what} secret"), 1)
        })
    };
    if let Some(reference) = &spec.cert_secret_ref {
        let secret = get(&reference.name, "TLS authentication").await?;
        let id = format!("{namespace}/{}", reference.name);
        let found = certificates(&id, &secrets::data(secret)).and_then(|found| {
            found.ok_or_else(|| {
                format!(
                    "secret '{id}' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'"
                )
            })
        });
        let wrap = |error| format!("failed to construct Helm client's TLS config: {error}");
        (access.ca, access.client) = found.map_err(wrap)?;
    }
    let Some(reference) = &spec.secret_ref else { return Ok(access) };
    let secret = get(&reference.name, "authentication").await?;
    let id = format!("{namespace}/{}", reference.name);
    let data = secrets::data(secret.clone());
    let wrap = |error| format!("failed to detect authentication methods: {error}");
    access.login = login(&id, &data).map_err(wrap)?;
    if spec.cert_secret_ref.is_none()
        && let Some((ca, client)) = certificates(&id, &data).map_err(wrap)?
    {
        tracing::warn!(
            object = %crate::store::key_of(repository),
            "certificates in spec.secretRef are deprecated; use spec.certSecretRef"
        );
        (access.ca, access.client) = (ca, client);
    }
    access.secret = Some(secret);
    Ok(access)
}

/// User name and password: both or neither.
fn login(id: &str, data: &SecretData) -> Result<Option<(String, String)>, String> {
    let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
    let malformed = |present: &str, missing: &str| {
        Err(format!(
            "secret '{id}': malformed basic auth - has '{present}' but missing '{missing}'"
        ))
    };
    match (data.get("username"), data.get("password")) {
        (Some(username), Some(password)) => Ok(Some((text(username), text(password)))),
        (Some(_), None) => malformed("username", "password"),
        (None, Some(_)) => malformed("password", "username"),
        (None, None) => Ok(None),
    }
}

type Certificates = (Vec<u8>, Option<ClientCertificate>);

/// A CA, a client's certificate with its key, or both; the keys of old go after today's.
fn certificates(id: &str, data: &SecretData) -> Result<Option<Certificates>, String> {
    let take = |key: &str, old: &str| {
        let filled = |key: &str| data.get(key).filter(|value| !value.is_empty()).cloned();
        filled(key).or_else(|| filled(old))
    };
    let ca = take("ca.crt", "caFile");
    let client = match (take("tls.crt", "certFile"), take("tls.key", "keyFile")) {
        (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            return Err(format!("secret '{id}' has a client certificate without its 'tls.key'"));
        }
        (None, Some(_)) => {
            return Err(format!("secret '{id}' has 'tls.key' without its 'tls.crt'"));
        }
    };
    if ca.is_none() && client.is_none() {
        return Ok(None);
    }
    Ok(Some((ca.unwrap_or_default(), client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(fields: &[(&str, &str)]) -> SecretData {
        fields.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_login_is_whole_or_none() {
        assert_eq!(login("ns/s", &data(&[])), Ok(None));
        let both = data(&[("username", "u"), ("password", "p")]);
        assert_eq!(login("ns/s", &both), Ok(Some(("u".to_owned(), "p".to_owned()))));
        assert_eq!(
            login("ns/s", &data(&[("username", "u")])).unwrap_err(),
            "secret 'ns/s': malformed basic auth - has 'username' but missing 'password'"
        );
    }

    #[test]
    fn certificates_come_under_new_and_old_names() {
        let (ca, client) =
            certificates("s", &data(&[("caFile", "c"), ("certFile", "x"), ("keyFile", "y")]))
                .unwrap()
                .unwrap();
        assert_eq!(ca, b"c");
        assert!(client.is_some_and(|client| client.certificate == b"x" && client.key == b"y"));
        assert!(certificates("s", &data(&[("tls.crt", "x")])).is_err());
        assert_eq!(certificates("s", &data(&[("tls.crt", "")])).unwrap().map(|_| ()), None);
    }

    #[test]
    fn a_docker_config_must_know_the_host() {
        let mut secret =
            Secret { type_: Some("kubernetes.io/dockerconfigjson".into()), ..Secret::default() };
        secret.metadata.name = Some("s".into());
        let json = br#"{"auths":{"a.io":{"username":"u","password":"p"}}}"#;
        let data = [(".dockerconfigjson".to_owned(), k8s_openapi::ByteString(json.to_vec()))];
        secret.data = Some(data.into());
        assert!(keychain("a.io", secret.clone(), None).is_ok());
        assert_eq!(
            keychain("b.io", secret, None).unwrap_err(),
            "no auth config for 'b.io' in the docker-registry Secret 's'"
        );
    }
}
