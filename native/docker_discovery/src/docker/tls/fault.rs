//! Why there is no TLS session with a daemon.

use std::fmt;
use std::io::{self, ErrorKind};

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::files::FileFault;

/// Names of a certificate that are handed on, and characters of each text.
const MAX_NAMES: usize = 8;
const MAX_TEXT: usize = 256;

/// Why there is no TLS session with a daemon.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// A file of ours cannot be used.
    File {
        /// Its path.
        path: String,
        /// Why not.
        fault: FileFault,
    },
    /// What answers there speaks something else.
    NotTls,
    /// The other side hung up during the handshake.
    Closed,
    /// The other side said nothing, or not enough, in time.
    Timeout,
    /// The two sides have no TLS version in common: ours are 1.2 and 1.3.
    NoCommonVersion,
    /// No CA that we know has signed the daemon's certificate.
    UnknownCa,
    /// The daemon's certificate is for these names, and not for the one asked.
    WrongName(Vec<String>),
    /// The daemon's certificate has expired.
    Expired,
    /// The daemon's certificate is not valid yet.
    NotYetValid,
    /// Anything else about the daemon's certificate, in rustls's words.
    BadCertificate(String),
    /// The daemon wants a certificate of ours, and was shown none.
    ClientCertificateRequired,
    /// The daemon does not take our certificate.
    ClientCertificateRefused(TlsRefusal),
    /// Another alert of the daemon: its name.
    Alert(String),
    /// Anything else, in rustls's words.
    Other(String),
}

/// What a daemon says of a certificate of ours that it does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRefusal {
    /// Its CA has not signed it.
    UnknownCa,
    /// It has expired, or is not valid yet.
    Expired,
    /// It was revoked.
    Revoked,
    /// It may not be used so.
    Forbidden,
    /// No more than that.
    Bad,
}

impl TlsRefusal {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCa => "unknown_ca",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Forbidden => "forbidden",
            Self::Bad => "bad_certificate",
        }
    }

    fn of(alert: AlertDescription) -> Option<Self> {
        match alert {
            AlertDescription::UnknownCA => Some(Self::UnknownCa),
            AlertDescription::CertificateExpired => Some(Self::Expired),
            AlertDescription::CertificateRevoked => Some(Self::Revoked),
            AlertDescription::AccessDenied | AlertDescription::UnsupportedCertificate => {
                Some(Self::Forbidden)
            }
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError => Some(Self::Bad),
            _ => None,
        }
    }
}

impl TlsFault {
    /// What ended a handshake; `None` is an error of the network. `shown` is
    /// whether we have a certificate to show.
    pub(super) fn of_handshake(error: &io::Error, shown: bool) -> Option<Self> {
        Self::of_stream(error, shown).or(match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => Some(Self::Closed),
            _ => None,
        })
    }

    /// The same for a session that was there already.
    pub(super) fn of_stream(error: &io::Error, shown: bool) -> Option<Self> {
        let told = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(match told {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert, shown),
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::NoCommonVersion,
            other => Self::Other(bounded(&other.to_string())),
        })
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            // Another CA of the same name: its signature is all that differs.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownCa,
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = presented.iter().take(MAX_NAMES);
                Self::WrongName(names.map(|name| bounded(bare(name))).collect())
            }
            CertificateError::NotValidForName => Self::WrongName(Vec::new()),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            other => Self::BadCertificate(bounded(&other.to_string())),
        }
    }

    fn of_alert(alert: AlertDescription, shown: bool) -> Self {
        match (alert, TlsRefusal::of(alert)) {
            (AlertDescription::CertificateRequired, _) => Self::ClientCertificateRequired,
            (AlertDescription::ProtocolVersion, _) => Self::NoCommonVersion,
            // In TLS 1.2 a server has no better word for it.
            (_, Some(_)) if !shown => Self::ClientCertificateRequired,
            (_, Some(refusal)) => Self::ClientCertificateRefused(refusal),
            (alert, None) => Self::Alert(alert.as_str().unwrap_or("unknown").to_owned()),
        }
    }
}

/// webpki says `DnsName("host1")` and `IpAddress(10.0.0.1)`.
fn bare(name: &str) -> &str {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn bounded(text: &str) -> String {
    let plain = text.chars().filter(|character| !character.is_control());
    plain.take(MAX_TEXT).collect()
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, fault } => write!(f, "{path} cannot be used: {}", fault.as_str()),
            Self::NotTls => f.write_str("what listens there does not speak TLS"),
            Self::Closed => f.write_str("it hung up during the handshake"),
            Self::Timeout => f.write_str("it did not answer the handshake in time"),
            Self::NoCommonVersion => f.write_str("it speaks neither TLS 1.2 nor 1.3"),
            Self::UnknownCa => f.write_str("its certificate is of a CA that is not in ca.pem"),
            Self::WrongName(names) => {
                f.write_str("its certificate is for other names:")?;
                names.iter().try_for_each(|name| write!(f, " {name}"))
            }
            Self::Expired => f.write_str("its certificate has expired"),
            Self::NotYetValid => f.write_str("its certificate is not valid yet"),
            Self::BadCertificate(text) => write!(f, "its certificate cannot be used: {text}"),
            Self::ClientCertificateRequired => f.write_str("it wants a client certificate"),
            Self::ClientCertificateRefused(refusal) => {
                write!(f, "it refuses the client certificate: {}", refusal.as_str())
            }
            Self::Alert(name) => write!(f, "it sent the alert {name}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
