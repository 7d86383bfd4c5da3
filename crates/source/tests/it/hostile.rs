//! What upstreams, Secrets and specs may hold: any of it is read or refused, none of it panics.

use std::collections::BTreeMap;

use borax_source::auth::challenge::Challenge;
use borax_source::auth::docker_config::Keychain;
use borax_source::oci::Repository;
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn names_and_docker_configs(name in "[a-z0-9:./@\\[\\]*]{0,30}", any in ".{0,30}", auth in "[A-Za-z0-9+/=\\n]{0,20}") {
        let mut keychain = Keychain::default();
        for key in [&name, &any] {
            let _ = Repository::parse(key).map(|repository| repository.to_string());
            let config = serde_json::json!({"auths": {key: {"auth": auth, "username": any}}}).to_string();
            for config in [config, any.clone()] {
                let data = BTreeMap::from([(".dockerconfigjson".to_owned(), config.into_bytes())]);
                if let Err(error) = keychain.add_secret("kubernetes.io/dockerconfigjson", &data) {
                    let text = error.to_string();
                    prop_assert!(auth.len() < 12 || !text.contains(&auth), "{text}");
                }
            }
        }
        let _ = keychain.resolve(&name);
        let _ = keychain.resolve(&any);
    }

    #[test]
    fn challenges(value in "[Bb]?[a-zA-Z=\", \\\\:/é]{0,40}") {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        let _ = Challenge::of(&headers);
    }
}
