//! Credentials, certificates, proxies: to whom they are shown and to whom not.

use super::*;

#[tokio::test]
async fn tokens_are_fetched_once_renewed_and_shown_to_no_one_else() {
    let access = Access::Token {
        username: "user".to_owned(),
        password: "pass".to_owned(),
        identity: "refresh-me".to_owned(),
    };
    let registry = Registry::start(RegistryOptions { access, ..RegistryOptions::default() });
    let digest = registry.push_flux_artifact("org/app", "latest", FILES, &[]);
    let open = |entry: &str| OciSource {
        keychain: keychain(&registry, entry),
        ..source(&registry, "org/app")
    };
    let client = client();
    for entry in [
        r#"{"username":"user","password":"pass"}"#,
        r#"{"auth":"dXNlcjpwYXNz"}"#,
        r#"{"identitytoken":"refresh-me"}"#,
    ] {
        assert_eq!(
            revision(&client, &open(entry)).await,
            Ok(format!("latest@{digest}")),
            "{entry}"
        );
    }
    registry.take_seen();
    let source = open(r#"{"username":"user","password":"pass"}"#);
    revision(&client, &source).await.unwrap();
    assert_eq!(registry.take_lines(), ["HEAD /v2/org/app/manifests/latest"], "the token is kept");
    // A token that is refused is renewed once.
    registry.break_requests("HEAD", Fault::Status(401, Vec::new(), String::new()), 1);
    revision(&client, &source).await.unwrap();
    assert_eq!(
        registry.take_lines(),
        [
            "HEAD /v2/org/app/manifests/latest",
            "GET /token?scope=repository%3Aorg%2Fapp%3Apull&service=test-registry",
            "HEAD /v2/org/app/manifests/latest",
        ]
    );
    let wrong =
        revision(&client, &open(r#"{"username":"user","password":"s3cret"}"#)).await.unwrap_err();
    let realm = format!("http://{}/token", registry.host());
    assert_eq!(
        wrong,
        format!(
            "failed to determine artifact digest: GET {realm}: UNAUTHORIZED: incorrect username or password"
        )
    );
}

#[tokio::test]
async fn basic_and_ready_made_bearer_credentials() {
    for (access, entry) in [
        (
            Access::Basic("user".to_owned(), "pass".to_owned()),
            r#"{"username":"user","password":"pass"}"#,
        ),
        (Access::Bearer("ready".to_owned()), r#"{"registrytoken":"ready"}"#),
    ] {
        let registry = Registry::start(RegistryOptions { access, ..RegistryOptions::default() });
        let digest = registry.push_flux_artifact("org/app", "latest", FILES, &[]);
        let source = source(&registry, "org/app");
        let good = OciSource { keychain: keychain(&registry, entry), ..source.clone() };
        assert_eq!(revision(&client(), &good).await, Ok(format!("latest@{digest}")));
        let error = client().resolve(&source, &LayerSelector::default()).await.unwrap_err();
        assert_eq!(error.reason(), "OCIArtifactPullFailed");
        let text = chain(&error);
        assert!(text.starts_with("failed to determine artifact digest: GET http://"), "{text}");
    }
}

#[tokio::test]
async fn certificates_are_checked_unless_told_otherwise() {
    let tls = TestTls::generate();
    let digest_of =
        |registry: &Registry| registry.push_flux_artifact("org/app", "latest", FILES, &[]);
    let options = RegistryOptions { tls: Some(tls.clone()), ..RegistryOptions::default() };
    let registry = Registry::start(options.clone());
    let want = Ok(format!("latest@{}", digest_of(&registry)));
    let with = |registry: &Registry, connection: Connection| OciSource {
        connection,
        ..source(registry, "org/app")
    };
    let ca = || Connection { ca: tls.ca.clone().into_bytes(), ..Connection::default() };
    assert_eq!(revision(&client(), &with(&registry, ca())).await, want);
    let insecure = Connection { insecure: true, ..Connection::default() };
    assert_eq!(revision(&client(), &with(&registry, insecure)).await, want);
    let unknown = revision(&client(), &with(&registry, Connection::default())).await.unwrap_err();
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");

    let registry = Registry::start(RegistryOptions { mutual_tls: true, ..options });
    let want = Ok(format!("latest@{}", digest_of(&registry)));
    let certificate = ClientCertificate {
        certificate: tls.client_certificate.clone().into_bytes(),
        key: tls.client_key.clone().into_bytes(),
    };
    let mutual = Connection { client: Some(certificate), ..ca() };
    assert_eq!(revision(&client(), &with(&registry, mutual)).await, want);
    assert!(revision(&client(), &with(&registry, ca())).await.is_err());
    let bad = Connection { ca: b"s3cret".to_vec(), ..Connection::default() };
    let error =
        client().resolve(&with(&registry, bad), &LayerSelector::default()).await.unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed");
    let url = registry.url("org/app");
    assert_eq!(
        chain(&error),
        format!("failed to generate transport for '{url}': ca.crt holds no PEM certificate")
    );
}

#[tokio::test]
async fn redirects_carry_no_credentials_away_and_do_not_weaken() {
    let tls = TestTls::generate();
    let elsewhere = Registry::start(RegistryOptions::default());
    elsewhere.push_flux_artifact("org/app", "latest", FILES, &[]);
    let access = Access::Basic("user".to_owned(), "pass".to_owned());
    let registry =
        Registry::start(RegistryOptions { access: access.clone(), ..RegistryOptions::default() });
    let layer = {
        registry.push_flux_artifact("org/app", "latest", FILES, &[]);
        registry.first_layer("org/app", "latest")
    };
    let entry = r#"{"username":"user","password":"pass"}"#;
    let secret = OciSource { keychain: keychain(&registry, entry), ..source(&registry, "org/app") };
    registry.break_requests("/blobs/", Fault::Redirect(format!("http://{}", elsewhere.host())), 1);
    let (_dir, storage) = storage();
    pull(&secret, &LayerSelector::default(), &storage).await.unwrap();
    let seen = elsewhere.take_seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].line.as_str(), seen[0].authorization.as_str()),
        (&*format!("GET /v2/org/app/blobs/{layer}"), "")
    );

    // A redirect that leaves TLS is not followed.
    let options = RegistryOptions { tls: Some(tls.clone()), access, ..RegistryOptions::default() };
    let registry = Registry::start(options);
    registry.push_flux_artifact("org/app", "latest", FILES, &[]);
    registry.break_requests(
        "manifests/latest",
        Fault::Redirect(format!("http://{}", elsewhere.host())),
        9,
    );
    let connection = Connection { ca: tls.ca.into_bytes(), ..Connection::default() };
    let keychain = keychain(&registry, entry);
    let secret = OciSource { keychain, connection, ..source(&registry, "org/app") };
    let error = revision(&client(), &secret).await.unwrap_err();
    assert!(error.ends_with("it leads from https to http"), "{error}");
    assert_eq!(elsewhere.take_seen(), []);
}

#[tokio::test]
async fn a_realm_that_is_weaker_or_within_gets_no_credentials() {
    let tls = TestTls::generate();
    let thief = Registry::start(RegistryOptions::default());
    for (realm, reason) in [
        (
            format!("http://{}/token", thief.host()),
            "http is not allowed for a registry that is reached by https",
        ),
        ("https://169.254.169.254/token".to_owned(), "its host is a private or link-local address"),
        (
            "https://[::ffff:10.0.0.1]/token".to_owned(),
            "its host is a private or link-local address",
        ),
        ("file:///etc/passwd".to_owned(), "it must be https (or http for insecure registries)"),
        ("token".to_owned(), "it is not a URL"),
    ] {
        let access = Access::Token {
            username: "u".to_owned(),
            password: "p".to_owned(),
            identity: String::new(),
        };
        let options = RegistryOptions {
            access,
            tls: Some(tls.clone()),
            realm: Some(realm.clone()),
            ..RegistryOptions::default()
        };
        let registry = Registry::start(options);
        let connection = Connection { ca: tls.ca.clone().into_bytes(), ..Connection::default() };
        let keychain = keychain(&registry, r#"{"username":"u","password":"p"}"#);
        let secret = OciSource { keychain, connection, ..source(&registry, "org/app") };
        let error = revision(&client(), &secret).await.unwrap_err();
        let want = format!("invalid realm {realm:?} in www-authenticate: {reason}");
        assert!(error.contains(&want), "{error}");
    }
    assert_eq!(thief.take_seen(), []);
}

#[tokio::test]
async fn a_proxy_is_used_for_the_registry() {
    // Asked in a proxy's way the registry answers for any host.
    let proxy = Registry::start(RegistryOptions::default());
    let digest = proxy.push_flux_artifact("org/app", "latest", FILES, &[]);
    let data =
        BTreeMap::from([("address".to_owned(), format!("http://{}", proxy.host()).into_bytes())]);
    let connection = Connection {
        proxy: Some(Proxy::from_secret(&data).unwrap()),
        insecure: true,
        ..Connection::default()
    };
    let url = "oci://registry.invalid/org/app".to_owned();
    let source = OciSource { url, connection, ..OciSource::default() };
    assert_eq!(revision(&client(), &source).await, Ok(format!("latest@{digest}")));
    let lines = proxy.take_lines();
    assert!(lines.contains(&"HEAD /v2/org/app/manifests/latest".to_owned()), "{lines:?}");
}
