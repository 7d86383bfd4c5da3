//! Content digests as Flux writes them: `<algorithm>:<lower-case hex>`, computed while bytes go by.
//!
//! The algorithms are those of `--artifact-digest-algo` (opencontainers/go-digest with BLAKE3); SHA-1, which Flux only
//! registers for Git commit ids, is not a content digest here.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

/// A digest algorithm for artifacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, the default.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// BLAKE3 with 256 bits of output.
    Blake3,
}

impl Algorithm {
    /// The name before the colon, and the value of the flag.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// Length of the hash in bytes.
    fn len(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Starts hashing.
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
            Self::Sha384 => Hasher::Sha384(sha2::Sha384::new()),
            Self::Sha512 => Hasher::Sha512(sha2::Sha512::new()),
            Self::Blake3 => Hasher::Blake3(Box::new(blake3::Hasher::new())),
        }
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(name: &str) -> Result<Self, DigestError> {
        match name {
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            "blake3" => Ok(Self::Blake3),
            _ => Err(DigestError::Algorithm { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A digest: an algorithm and the hash it gave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hash: Box<[u8]>,
}

impl Digest {
    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash in lower-case hex, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(&self.hash)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Parses `algorithm:hex`. Upper-case hex and a wrong length are refused, as go-digest refuses them.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let format = || DigestError::Format { text: text.to_owned() };
        let (name, hash) = text.split_once(':').ok_or_else(format)?;
        let algorithm: Algorithm = name.parse()?;
        if hash.len() != 2 * algorithm.len() || hash.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(format());
        }
        let hash = hex::decode(hash).map_err(|_| format())?;
        Ok(Self { algorithm, hash: hash.into() })
    }
}

/// A hash being computed.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// SHA-256.
    Sha256(sha2::Sha256),
    /// SHA-384.
    Sha384(sha2::Sha384),
    /// SHA-512.
    Sha512(sha2::Sha512),
    /// BLAKE3.
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha384(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
            Self::Blake3(hash) => {
                hash.update(bytes);
            }
        }
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        let (algorithm, hash): (_, Box<[u8]>) = match self {
            Self::Sha256(hash) => (Algorithm::Sha256, hash.finalize().as_slice().into()),
            Self::Sha384(hash) => (Algorithm::Sha384, hash.finalize().as_slice().into()),
            Self::Sha512(hash) => (Algorithm::Sha512, hash.finalize().as_slice().into()),
            Self::Blake3(hash) => (Algorithm::Blake3, hash.finalize().as_bytes().as_slice().into()),
        };
        Digest { algorithm, hash }
    }
}

/// Why a text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The algorithm is none of the known.
    #[error("unsupported digest algorithm {name:?}: use sha256, sha384, sha512 or blake3")]
    Algorithm {
        /// The name that was given.
        name: String,
    },
    /// The text is not `algorithm:hex`, or the hex has the wrong length.
    #[error("invalid digest {text:?}: want <algorithm>:<lower-case hex> of the algorithm's length")]
    Format {
        /// The text that was given.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_gives_the_published_digest_of_abc() {
        let digest = |algorithm: Algorithm| {
            let mut hasher = algorithm.hasher();
            hasher.update(b"a");
            hasher.update(b"bc");
            hasher.finish().to_string()
        };
        assert_eq!(
            digest(Algorithm::Sha256),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digest(Algorithm::Sha384),
            "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7"
        );
        assert_eq!(
            digest(Algorithm::Blake3),
            "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
        for algorithm in
            [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512, Algorithm::Blake3]
        {
            let text = digest(algorithm);
            assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn malformed_digests_are_refused() {
        for text in ["", "sha256", "sha256:", "sha256:00", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        assert!(format!("sha256:{}", "A".repeat(64)).parse::<Digest>().is_err());
        assert!(format!("sha256:{}", "g".repeat(64)).parse::<Digest>().is_err());
    }
}
