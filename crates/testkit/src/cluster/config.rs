//! What the programs of a control plane are told: arguments and configuration files.
//!
//! Owns every flag and why it is there; pure. Refuses to know how programs are run.

use std::path::Path;

use super::Options;

/// The cluster addresses of services.
pub(super) const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The address the `kubernetes` service gets in [`SERVICE_RANGE`].
pub(super) const SERVICE_IP: &str = "10.96.0.1";

/// Where one control plane listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) etcd: u16,
    pub(super) etcd_peer: u16,
    pub(super) apiserver: u16,
}

/// Requests are counted at Metadata level, once each, when answered.
pub(super) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
";

pub(super) const STAGES: &str = include_str!("stages.yaml");

fn flags(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

pub(super) fn etcd(folder: &Path, ports: Ports) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    flags(&[
        ("data-dir", &path(folder, "etcd")),
        ("listen-client-urls", &client),
        ("advertise-client-urls", &client),
        ("listen-peer-urls", &peer),
        ("initial-advertise-peer-urls", &peer),
        ("initial-cluster", &format!("default={peer}")),
        // The data need not survive a power cut, and the disk is the slowest part of a test machine.
        ("unsafe-no-fsync", "true"),
        ("log-level", "warn"),
    ])
}

pub(super) fn apiserver(folder: &Path, ports: Ports, options: &Options) -> Vec<String> {
    let file = |name| path(folder, name);
    let mut args = flags(&[
        ("etcd-servers", &format!("http://127.0.0.1:{}", ports.etcd)),
        ("bind-address", "127.0.0.1"),
        ("secure-port", &ports.apiserver.to_string()),
        ("advertise-address", "127.0.0.1"),
        // The `kubernetes` service may not point to a loopback address.
        ("endpoint-reconciler-type", "none"),
        ("tls-cert-file", &file("server.crt")),
        ("tls-private-key-file", &file("server.key")),
        ("client-ca-file", &file("ca.crt")),
        ("service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
        ("service-account-key-file", &file("sa.pub")),
        ("service-account-signing-key-file", &file("sa.key")),
        ("service-cluster-ip-range", SERVICE_RANGE),
        ("authorization-mode", "RBAC"),
        ("allow-privileged", "true"),
        // A new node would stay tainted until the node lifecycle controller has looked at it; that
        // controller is off, so that a paused kwok evicts nothing.
        ("disable-admission-plugins", "TaintNodesByCondition"),
        ("profiling", "false"),
    ]);
    if options.audit {
        args.extend(flags(&[
            ("audit-policy-file", &file("audit-policy.yaml")),
            ("audit-log-path", &file("audit.log")),
        ]));
    }
    args.extend(options.apiserver_args.iter().cloned());
    args
}

pub(super) fn controller_manager(folder: &Path) -> Vec<String> {
    let file = |name| path(folder, name);
    flags(&[
        ("kubeconfig", &file("controller-manager.kubeconfig")),
        ("service-account-private-key-file", &file("sa.key")),
        ("root-ca-file", &file("ca.crt")),
        ("cluster-signing-cert-file", &file("ca.crt")),
        ("cluster-signing-key-file", &file("ca.key")),
        ("leader-elect", "false"),
        ("secure-port", "0"),
        ("controllers", "*,-node-lifecycle-controller,-taint-eviction-controller"),
        // The defaults (20 and 30) would make the controllers, not what is tested, the slow part.
        ("kube-api-qps", "300"),
        ("kube-api-burst", "600"),
    ])
}

pub(super) fn scheduler(folder: &Path) -> Vec<String> {
    let file = |name| path(folder, name);
    flags(&[
        ("kubeconfig", &file("scheduler.kubeconfig")),
        ("authentication-skip-lookup", "true"),
        ("secure-port", "0"),
        ("leader-elect", "false"),
        ("kube-api-qps", "300"),
        ("kube-api-burst", "600"),
    ])
}

pub(super) fn kwok(folder: &Path) -> Vec<String> {
    let file = |name| path(folder, name);
    flags(&[
        ("kubeconfig", &file("kwok.kubeconfig")),
        ("config", &file("stages.yaml")),
        ("manage-all-nodes", "true"),
        // Leases would be a write every ten seconds in everybody's request counts.
        ("node-lease-duration-seconds", "0"),
    ])
}

/// A user's kubeconfig.
pub(super) fn kubeconfig(port: u16, ca: &str, certificate: &str, key: &str) -> String {
    use base64::Engine as _;
    let b64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         current-context: borax-test\n\
         contexts:\n\
         - name: borax-test\n  \
           context: {{cluster: borax-test, user: user}}\n\
         clusters:\n\
         - name: borax-test\n  \
           cluster:\n    \
             server: https://127.0.0.1:{port}\n    \
             certificate-authority-data: {}\n\
         users:\n\
         - name: user\n  \
           user:\n    \
             client-certificate-data: {}\n    \
             client-key-data: {}\n",
        b64(ca),
        b64(certificate),
        b64(key),
    )
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}
