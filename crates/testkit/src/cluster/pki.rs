//! The keys and certificates of one control plane: made at each start, kept in its own folder.
//!
//! Owns the certificate authority, the server's certificate, the clients' certificates and the
//! service account key. Refuses to know where the files go.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate and its key, PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Everything a control plane needs to trust and be trusted.
pub(super) struct Pki {
    /// Signs the server's and the clients' certificates.
    pub(super) authority: Pair,
    /// kube-apiserver's, for 127.0.0.1 and the in-cluster names.
    pub(super) server: Pair,
    /// A member of `system:masters` for each name asked for, in that order.
    pub(super) masters: Vec<Pair>,
    /// Signs service account tokens.
    pub(super) service_account_key: String,
    /// Checks service account tokens.
    pub(super) service_account_public_key: String,
}

impl Pki {
    /// Fresh keys.
    ///
    /// `service_ip` is the cluster address of the `kubernetes` service; `masters` are the users who
    /// may do everything.
    pub(super) fn generate(service_ip: &str, masters: &[&str]) -> Result<Self, rcgen::Error> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name = name("borax-test-ca", None);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority =
            Pair { certificate: ca.self_signed(&ca_key)?.pem(), key: ca_key.serialize_pem() };
        let issuer = Issuer::new(ca, ca_key);

        let names = [
            "localhost",
            "127.0.0.1",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            service_ip,
        ];
        let mut server = CertificateParams::new(names.map(str::to_owned))?;
        server.distinguished_name = name("kube-apiserver", None);
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];

        let master = |user: &&str| {
            let mut params = CertificateParams::default();
            params.distinguished_name = name(user, Some("system:masters"));
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            signed(params, &issuer)
        };

        let service_account = KeyPair::generate()?;
        Ok(Self {
            authority,
            server: signed(server, &issuer)?,
            masters: masters.iter().map(master).collect::<Result<_, _>>()?,
            service_account_key: service_account.serialize_pem(),
            service_account_public_key: service_account.public_key_pem(),
        })
    }
}

fn signed(
    mut params: CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<Pair, rcgen::Error> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?.pem();
    Ok(Pair { certificate, key: key.serialize_pem() })
}

/// Kubernetes reads the common name as the user and the organisation as the group.
fn name(common: &str, organisation: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation);
    }
    name
}
