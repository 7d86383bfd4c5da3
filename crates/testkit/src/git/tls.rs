//! Certificates for a test server and its clients, of an authority nobody else trusts.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

/// A certificate authority, a server's certificate for `localhost` and `127.0.0.1`, and a client's. All PEM.
#[derive(Clone, Debug)]
pub struct TestTls {
    /// The authority's certificate.
    pub ca: String,
    /// The server's certificate.
    pub certificate: String,
    /// The server's key.
    pub key: String,
    /// The client's certificate.
    pub client_certificate: String,
    /// The client's key.
    pub client_key: String,
}

impl TestTls {
    /// Fresh keys.
    pub fn generate() -> Self {
        let made = || -> Result<Self, rcgen::Error> {
            let ca_key = KeyPair::generate()?;
            let mut ca = CertificateParams::default();
            ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            let ca_pem = ca.self_signed(&ca_key)?.pem();
            let issuer = Issuer::new(ca, ca_key);
            let server_key = KeyPair::generate()?;
            let names = ["localhost", "127.0.0.1"].map(str::to_string);
            let mut server = CertificateParams::new(names)?;
            server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let client_key = KeyPair::generate()?;
            let mut client = CertificateParams::default();
            client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            Ok(Self {
                ca: ca_pem,
                certificate: server.signed_by(&server_key, &issuer)?.pem(),
                key: server_key.serialize_pem(),
                client_certificate: client.signed_by(&client_key, &issuer)?.pem(),
                client_key: client_key.serialize_pem(),
            })
        };
        made().expect("keys and certificates can be made")
    }

    /// The server's settings; with `mutual` only for clients of the same authority.
    pub(crate) fn server_config(&self, mutual: bool) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificates = |pem: &str| -> Vec<CertificateDer<'static>> {
            CertificateDer::pem_slice_iter(pem.as_bytes())
                .collect::<Result<_, _>>()
                .expect("our own certificates parse")
        };
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions");
        let builder = match mutual {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(&self.ca) {
                    roots.add(certificate).expect("our own authority is valid");
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .expect("there is a root");
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("our own key parses");
        let config = builder
            .with_single_cert(certificates(&self.certificate), key)
            .expect("key and certificate belong together");
        Arc::new(config)
    }
}
