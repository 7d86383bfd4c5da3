//! The TLS settings of one connection: the system's certificates, a Secret's CA, a client certificate.
//!
//! One TLS stack with one provider, named here and not as a process default. As in Flux a CA adds to the system's certificates.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::auth::ClientCertificate;

/// What is wrong with the certificates of a Secret; never their content.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TlsError {
    /// The CA holds no certificate.
    #[error("ca.crt holds no PEM certificate")]
    NoCa,
    /// Something does not parse.
    #[error("{key} can't be used: {reason}")]
    Invalid {
        /// The Secret's key.
        key: &'static str,
        /// What the parser says.
        reason: String,
    },
}

/// Builds the settings. `ca` is empty for none.
pub(crate) fn client_config(
    ca: &[u8],
    client: Option<&ClientCertificate>,
) -> Result<ClientConfig, TlsError> {
    let mut roots = system_roots().clone();
    if !ca.is_empty() {
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(ca) {
            let certificate = certificate.map_err(|e| invalid("ca.crt", &e))?;
            roots.add(certificate).map_err(|e| invalid("ca.crt", &e))?;
            found += 1;
        }
        if found == 0 {
            return Err(TlsError::NoCa);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| invalid("TLS", &e))?
        .with_root_certificates(roots);
    let Some(client) = client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(&client.certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| invalid("tls.crt", &e))?;
    let key = PrivateKeyDer::from_pem_slice(&client.key).map_err(|e| invalid("tls.key", &e))?;
    builder.with_client_auth_cert(chain, key).map_err(|e| invalid("tls.crt", &e))
}

fn invalid(key: &'static str, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Invalid { key, reason: error.to_string() }
}

/// The system's certificates, read once: parsing them for every fetch would cost more than the fetch.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // A system without certificates is one where every server needs a CA in its Secret; the handshake says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}
