//! Sprig's certificate functions: X.509 certificates as Go's crypto/x509 composes them for these
//! templates (key usage, server and client auth, names, basic constraints).

use std::any::Any;
use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use borax_gotmpl::{Context, FuncError, FuncMap, Object, Shape, Type, Value};
use sha2::{Digest as _, Sha256};

use super::args::{bytes, int, text};
use super::fixed;
use super::key::{Key, pem_decode, pem_encode};
use super::time::Time;
use crate::convert;
use crate::env::Env;

const CERTIFICATE: &str = "sprig.certificate";

/// Writing and reading the little of DER that certificates need.
pub(super) mod der {
    fn tagged(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        let len = body.len();
        if len < 0x80 {
            out.push(u8::try_from(len).unwrap_or(0));
        } else {
            let bytes = len.to_be_bytes();
            let skip = bytes.iter().take_while(|b| **b == 0).count();
            out.push(0x80 | u8::try_from(bytes.len() - skip).unwrap_or(0));
            out.extend_from_slice(&bytes[skip..]);
        }
        out.extend_from_slice(body);
        out
    }

    pub(in crate::funcs) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
        tagged(0x30, &parts.concat())
    }

    pub(in crate::funcs) fn oid(encoded: &[u8]) -> Vec<u8> {
        tagged(0x06, encoded)
    }

    pub(in crate::funcs) fn null() -> Vec<u8> {
        tagged(0x05, &[])
    }

    /// A non-negative integer of big-endian bytes.
    pub(in crate::funcs) fn integer(bytes: &[u8]) -> Vec<u8> {
        let skip = bytes.iter().take_while(|b| **b == 0).count().min(bytes.len().saturating_sub(1));
        let bytes = &bytes[skip..];
        let mut body = Vec::with_capacity(bytes.len() + 1);
        if bytes.first().is_some_and(|b| b & 0x80 != 0) {
            body.push(0);
        }
        body.extend_from_slice(bytes);
        tagged(0x02, &body)
    }

    pub(super) fn set(parts: &[Vec<u8>]) -> Vec<u8> {
        tagged(0x31, &parts.concat())
    }

    pub(super) fn context(number: u8, body: &[u8], constructed: bool) -> Vec<u8> {
        tagged(0x80 | number | if constructed { 0x20 } else { 0 }, body)
    }

    pub(super) fn boolean(b: bool) -> Vec<u8> {
        tagged(0x01, &[if b { 0xff } else { 0 }])
    }

    pub(super) fn octets(body: &[u8]) -> Vec<u8> {
        tagged(0x04, body)
    }

    pub(super) fn bits(body: &[u8], unused: u8) -> Vec<u8> {
        let mut all = vec![unused];
        all.extend_from_slice(body);
        tagged(0x03, &all)
    }

    pub(super) fn text(tag: u8, body: &str) -> Vec<u8> {
        tagged(tag, body.as_bytes())
    }

    /// Reads one element: tag, body, and what follows.
    pub(super) fn read(data: &[u8]) -> Option<(u8, &[u8], &[u8])> {
        let (&tag, rest) = data.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let n = usize::from(first & 0x7f);
            if n == 0 || n > 4 {
                return None;
            }
            let (bytes, rest) = rest.split_at_checked(n)?;
            (bytes.iter().fold(0, |len, b| len << 8 | usize::from(*b)), rest)
        };
        let (body, rest) = rest.split_at_checked(len)?;
        Some((tag, body, rest))
    }

    /// The whole element at the front, header included, and what follows.
    pub(super) fn take(data: &[u8]) -> Option<(&[u8], &[u8])> {
        let (_, _, rest) = read(data)?;
        Some(data.split_at(data.len() - rest.len()))
    }
}

/// A pair of PEM texts.
#[derive(Debug)]
struct Certificate {
    cert: String,
    key: String,
}

impl Object for Certificate {
    fn type_name(&self) -> Cow<'static, str> {
        CERTIFICATE.into()
    }

    fn shape(&self) -> Shape {
        Shape::Struct(vec![
            ("Cert", Value::str(self.cert.as_str())),
            ("Key", Value::str(self.key.as_str())),
        ])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What a certificate is made for.
struct Subject<'a> {
    name: &'a str,
    addresses: Vec<IpAddr>,
    hosts: Vec<String>,
    days: i64,
    is_ca: bool,
}

/// Who signs: name and key identifier of the issuer's certificate, and its key.
struct Issuer<'a> {
    name: Vec<u8>,
    key_id: Vec<u8>,
    key: &'a Key,
}

/// Steps that a key counts as: searching its primes takes up to seconds.
const KEY_STEPS: u64 = 4_000_000;

pub(super) fn add(f: &mut FuncMap, env: &Arc<dyn Env>) {
    use Type::{Int, List, Str as S};
    const CERT: Type = Type::Struct(CERTIFICATE);
    let host = Arc::clone(env);
    fixed(f, "genPrivateKey", &[S], move |cx, a| {
        cx.spend(KEY_STEPS)?;
        Ok(Value::str(Key::generate(host.as_ref(), &text(&a[0]))))
    });
    fixed(f, "buildCustomCert", &[S, S], |_, a| build_custom(bytes(&a[0]), bytes(&a[1])));
    for (name, with_key) in [("genCA", false), ("genCAWithKey", true)] {
        let host = Arc::clone(env);
        let mut params = vec![S, Int];
        params.extend(with_key.then_some(S));
        fixed(f, name, &params, move |cx, a| {
            let key = key_for(cx, host.as_ref(), a.get(2))?;
            let name = text(&a[0]);
            let days = int(&a[1]);
            let subject =
                Subject { name: &name, addresses: vec![], hosts: vec![], days, is_ca: true };
            issue(host.as_ref(), &subject, &key, None)
        });
    }
    for (name, with_key) in [("genSelfSignedCert", false), ("genSelfSignedCertWithKey", true)] {
        let host = Arc::clone(env);
        let mut params = vec![S, List, List, Int];
        params.extend(with_key.then_some(S));
        fixed(f, name, &params, move |cx, a| {
            let key = key_for(cx, host.as_ref(), a.get(4))?;
            let name = text(&a[0]);
            issue(host.as_ref(), &subject(&name, a)?, &key, None)
        });
    }
    for (name, with_key) in [("genSignedCert", false), ("genSignedCertWithKey", true)] {
        let host = Arc::clone(env);
        let mut params = vec![S, List, List, Int, CERT];
        params.extend(with_key.then_some(S));
        fixed(f, name, &params, move |cx, a| {
            let key = key_for(cx, host.as_ref(), a.get(5))?;
            let name = text(&a[0]);
            let Value::Object(ca) = &a[4] else {
                return Err("unable to decode certificate".into());
            };
            let part = |name: &str| {
                ca.field(name).map(|v| convert::text(&v).to_text().into_owned()).unwrap_or_default()
            };
            let Some((_, der)) = pem_decode(&part("Cert")) else {
                return Err("unable to decode certificate".into());
            };
            let Some((issuer_name, key_id)) = read_certificate(&der) else {
                return Err(
                    "error parsing certificate: decodedSignerCert.Bytes: x509: malformed certificate"
                        .into(),
                );
            };
            let signer = Key::from_pem(&part("Key"))
                .map_err(|e| format!("error parsing private key: {e}"))?;
            let issuer = Issuer { name: issuer_name, key_id, key: &signer };
            issue(host.as_ref(), &subject(&name, a)?, &key, Some(issuer))
        });
    }
}

fn key_for(cx: &mut Context<'_>, env: &dyn Env, pem: Option<&Value>) -> Result<Key, FuncError> {
    cx.spend(KEY_STEPS)?;
    Ok(match pem {
        Some(pem) => Key::from_pem(&text(pem)).map_err(|e| format!("parsing private key: {e}"))?,
        None => Key::rsa(env, 2048)?,
    })
}

fn subject<'a>(name: &'a str, a: &[Value]) -> Result<Subject<'a>, FuncError> {
    let mut addresses = Vec::new();
    for item in convert::items(&a[1]).unwrap_or_default() {
        let Value::Str(s) = &item else {
            let shown = convert::text(&item).to_text().into_owned();
            return Err(format!("error parsing ip: {shown} is not a string").into());
        };
        let s = s.to_text();
        addresses.push(s.parse().map_err(|_| format!("error parsing ip: {s}"))?);
    }
    let mut hosts = Vec::new();
    for item in convert::items(&a[2]).unwrap_or_default() {
        let Value::Str(s) = &item else {
            let shown = convert::text(&item).to_text().into_owned();
            let message = format!("error processing alternate dns name: {shown} is not a string");
            return Err(message.into());
        };
        hosts.push(s.to_text().into_owned());
    }
    Ok(Subject { name, addresses, hosts, days: int(&a[3]), is_ca: false })
}

fn build_custom(cert: &[u8], key: &[u8]) -> Result<Value, FuncError> {
    let decode = |data: &[u8]| super::encode::decode_base64(data).ok();
    let Some(cert) = decode(cert) else {
        return Err("unable to decode base64 certificate".into());
    };
    let Some(key) = decode(key) else {
        return Err("unable to decode base64 private key".into());
    };
    let cert = String::from_utf8_lossy(&cert).into_owned();
    let key = String::from_utf8_lossy(&key).into_owned();
    let Some((_, der)) = pem_decode(&cert) else {
        return Err("unable to decode certificate".into());
    };
    if read_certificate(&der).is_none() {
        return Err(
            "error parsing certificate: decodedCert.Bytes: x509: malformed certificate".into()
        );
    }
    Key::from_pem(&key).map_err(|e| format!("error parsing private key: {e}"))?;
    Ok(Value::Object(Rc::new(Certificate { cert, key })))
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];

/// Subject and subject key identifier of a certificate.
fn read_certificate(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate, _) = der::read(der)?;
    let (_, mut tbs, _) = der::read(certificate)?;
    if tbs.first() == Some(&0xa0) {
        (_, tbs) = der::take(tbs)?;
    }
    // Serial, algorithm, issuer, validity.
    for _ in 0..4 {
        (_, tbs) = der::take(tbs)?;
    }
    let (name, mut tbs) = der::take(tbs)?;
    let mut key_id = Vec::new();
    while let Some((tag, body, rest)) = der::read(tbs) {
        if tag == 0xa3 {
            let (_, mut extensions, _) = der::read(body)?;
            while let Some((_, extension, rest)) = der::read(extensions) {
                if extension.get(2..5) == Some(SUBJECT_KEY_ID) {
                    let (_, value, _) = der::read(&extension[5..])?;
                    key_id = der::read(value)?.1.to_vec();
                }
                extensions = rest;
            }
        }
        tbs = rest;
    }
    Some((name.to_vec(), key_id))
}

fn name(common: &str) -> Vec<u8> {
    if common.is_empty() {
        return der::sequence(&[]);
    }
    let printable = |b: u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&b);
    let tag = if common.bytes().all(printable) { 0x13 } else { 0x0c };
    let attribute = der::sequence(&[der::oid(COMMON_NAME), der::text(tag, common)]);
    der::sequence(&[der::set(&[attribute])])
}

fn moment(at: &Time) -> Vec<u8> {
    let year: i64 = at.format("2006").parse().unwrap_or(1970);
    if (1950..2050).contains(&year) {
        der::text(0x17, &at.format("060102150405Z"))
    } else {
        der::text(0x18, &at.format("20060102150405Z"))
    }
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![der::oid(id)];
    if critical {
        parts.push(der::boolean(true));
    }
    parts.push(der::octets(value));
    der::sequence(&parts)
}

fn issue(
    env: &dyn Env,
    subject: &Subject<'_>,
    key: &Key,
    issuer: Option<Issuer<'_>>,
) -> Result<Value, FuncError> {
    let mut serial = [0; 16];
    env.random(&mut serial);
    let (seconds, _) = env.now();
    let from = Time::unix(seconds, 0);
    let until = Time::unix(seconds.saturating_add(subject.days.saturating_mul(86_400)), 0);
    let info = key.public_info()?;
    let key_id = Sha256::digest(&info)[..20].to_vec();
    let own_name = name(subject.name);
    let (issuer_name, authority, signer) = match &issuer {
        Some(i) => (i.name.clone(), i.key_id.clone(), i.key),
        None => (own_name.clone(), Vec::new(), key),
    };
    let usage: u8 = if subject.is_ca { 0b1010_0100 } else { 0b1010_0000 };
    let unused = u8::try_from(usage.trailing_zeros()).unwrap_or(0);
    let purpose = |n: u8| der::oid(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, n]);
    let constraints =
        if subject.is_ca { der::sequence(&[der::boolean(true)]) } else { der::sequence(&[]) };
    let mut extensions = vec![
        extension(&[0x55, 0x1d, 0x0f], true, &der::bits(&[usage], unused)),
        extension(&[0x55, 0x1d, 0x25], false, &der::sequence(&[purpose(1), purpose(2)])),
        extension(&[0x55, 0x1d, 0x13], true, &constraints),
    ];
    if subject.is_ca {
        extensions.push(extension(SUBJECT_KEY_ID, false, &der::octets(&key_id)));
    }
    if !authority.is_empty() && issuer_name != own_name {
        let value = der::sequence(&[der::context(0, &authority, false)]);
        extensions.push(extension(&[0x55, 0x1d, 0x23], false, &value));
    }
    let mut names: Vec<Vec<u8>> =
        subject.hosts.iter().map(|h| der::context(2, h.as_bytes(), false)).collect();
    names.extend(subject.addresses.iter().map(|ip| match ip {
        IpAddr::V4(ip) => der::context(7, &ip.octets(), false),
        IpAddr::V6(ip) => der::context(7, &ip.octets(), false),
    }));
    if !names.is_empty() {
        extensions.push(extension(&[0x55, 0x1d, 0x11], false, &der::sequence(&names)));
    }
    let algorithm = signer.signature_algorithm();
    let tbs = der::sequence(&[
        der::context(0, &der::integer(&[2]), true),
        der::integer(&serial),
        algorithm.clone(),
        issuer_name,
        der::sequence(&[moment(&from), moment(&until)]),
        own_name,
        info,
        der::context(3, &der::sequence(&extensions), true),
    ]);
    let signature = der::bits(&signer.sign(&tbs), 0);
    let certificate = der::sequence(&[tbs, algorithm, signature]);
    let cert = pem_encode("CERTIFICATE", &certificate);
    Ok(Value::Object(Rc::new(Certificate { cert, key: key.to_pem()? })))
}
