//! Certificates and keys on disk, and what TLS makes of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, InconsistentKeys, RootCertStore};

use super::fault::TlsFault;
use crate::errno::Errno;

/// A bundle of all public CAs has 200 KiB.
const MAX_FILE: u64 = 1 << 20;

/// The files with which a daemon is spoken to, as Docker's own client names
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CAs, one of which has signed the daemon's certificate.
    pub ca: PathBuf,
    /// Our own certificate, with what leads from it to its CA.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// `ca.pem`, `cert.pem` and `key.pem` in a folder. Where neither of the
    /// latter two is there, the daemon is shown no certificate.
    pub fn in_dir(dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref();
        Self {
            ca: dir.join("ca.pem"),
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        }
    }

    /// Reads them. What was made of them before serves again where they have
    /// not changed: their time or size would not tell that for sure.
    pub(super) fn load(
        &self,
        before: Option<Arc<Credentials>>,
    ) -> Result<Arc<Credentials>, TlsFault> {
        let contents = self.read()?;
        match before {
            Some(before) if before.contents == contents => Ok(before),
            _ => Ok(Arc::new(Credentials {
                config: Arc::new(self.config(&contents)?),
                has_certificate: contents.own.is_some(),
                contents,
            })),
        }
    }

    fn read(&self) -> Result<Contents, TlsFault> {
        let absent = FileFault::Unreadable(Errno::Enoent);
        let ca = read(&self.ca).map_err(at(&self.ca))?;
        let own = match (read(&self.cert), read(&self.key)) {
            (Err(cert), Err(key)) if cert == absent && key == absent => None,
            (cert, key) => Some((cert.map_err(at(&self.cert))?, key.map_err(at(&self.key))?)),
        };
        Ok(Contents { ca, own })
    }

    fn config(&self, contents: &Contents) -> Result<ClientConfig, TlsFault> {
        let mut roots = RootCertStore::empty();
        for ca in certificates(&contents.ca).map_err(at(&self.ca))? {
            let added = roots.add(ca).map_err(|_| FileFault::NoCertificate);
            added.map_err(at(&self.ca))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsFault::Other(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match &contents.own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let own = SingleCertAndKey::from(self.own(cert, key)?);
                builder.with_client_cert_resolver(Arc::new(own))
            }
        };
        // A proxy must not choose HTTP/2.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Each connection is to check everything anew: a certificate that has expired since, for
        // one. There are few of them.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn own(&self, cert: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsFault> {
        let chain = certificates(cert).map_err(at(&self.cert))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| FileFault::NoKey);
        let key = ring::sign::any_supported_type(&key.map_err(at(&self.key))?);
        let key = key.map_err(|_| at(&self.key)(FileFault::NoKey))?;
        let own = CertifiedKey::new(chain, key);
        match own.keys_match() {
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(at(&self.key)(FileFault::KeyMismatch))
            }
            Err(rustls::Error::InvalidCertificate(CertificateError::BadEncoding)) => {
                Err(at(&self.cert)(FileFault::NoCertificate))
            }
            // What else rustls minds, the daemon need not: X.509 version 1, for one, which
            // Docker's own client shows too.
            _ => Ok(own),
        }
    }
}

/// Why a file cannot be used.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It cannot be read.
    Unreadable(Errno),
    /// It is a folder, a pipe or the like.
    NotAFile,
    /// It is longer than any such file.
    TooLarge,
    /// There is no certificate in it, or one that makes no sense.
    NoCertificate,
    /// There is no private key in it that can be used without a password.
    NoKey,
    /// The key is not the one of the certificate beside it.
    KeyMismatch,
}

impl FileFault {
    /// Its word; the posix name where the operating system gave one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable(errno) => errno.as_str(),
            Self::NotAFile => "not_a_file",
            Self::TooLarge => "too_large",
            Self::NoCertificate => "no_certificate",
            Self::NoKey => "no_key",
            Self::KeyMismatch => "key_mismatch",
        }
    }
}

/// What was read, and what came of it.
pub(crate) struct Credentials {
    contents: Contents,
    pub(super) config: Arc<ClientConfig>,
    /// Whether there is a certificate to show to the daemon.
    pub(super) has_certificate: bool,
}

#[derive(PartialEq, Eq)]
struct Contents {
    ca: Vec<u8>,
    /// Certificate and key.
    own: Option<(Vec<u8>, Vec<u8>)>,
}

fn at(path: &Path) -> impl Fn(FileFault) -> TlsFault {
    move |fault| TlsFault::File {
        path: path.display().to_string(),
        fault,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileFault> {
    let unreadable = |error: io::Error| FileFault::Unreadable(Errno::from(&error));
    // To open a pipe would wait for who writes it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(FileFault::NotAFile);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(FileFault::TooLarge),
        false => Ok(bytes),
    }
}

/// At least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(FileFault::NoCertificate),
    }
}
