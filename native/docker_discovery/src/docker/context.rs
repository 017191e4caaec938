//! Docker contexts: their names, and why one cannot be used.

use std::fmt;

pub(crate) mod store;

use super::endpoint::EndpointError;
use crate::errno::Errno;
use crate::error::Error;

/// The context that stands for "no context".
const DEFAULT: &str = "default";

/// The name of a Docker context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextName(String);

/// The one that stands for no context.
impl Default for ContextName {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl ContextName {
    /// As Docker has it: a letter or digit, then at least one of those or of `_.+-`.
    pub fn parse(text: &str) -> Result<Self, ContextFault> {
        let mut characters = text.chars();
        let begins = characters
            .next()
            .is_some_and(|one| one.is_ascii_alphanumeric());
        let goes_on = |one: char| one.is_ascii_alphanumeric() || "_.+-".contains(one);
        let rest = characters.as_str();
        if begins && !rest.is_empty() && rest.chars().all(goes_on) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ContextFault::BadName)
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The error of a context that cannot be used.
    pub(crate) fn failed(&self, fault: ContextFault) -> Error {
        Error::Context {
            name: self.0.clone(),
            fault,
        }
    }

    /// Docker names the folders of a context by this.
    fn digest(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.0.as_bytes());
        let hex = |byte: &u8| format!("{byte:02x}");
        digest.as_ref().iter().map(hex).collect()
    }
}

/// Why a Docker context cannot be used.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextFault {
    /// No context can have that name.
    BadName,
    /// There is none of that name.
    NotFound,
    /// This file of it cannot be read.
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system said.
        errno: Errno,
    },
    /// This file of it is not what Docker writes.
    Malformed(String),
    /// Its endpoint is none for us.
    Endpoint(EndpointError),
    /// It asks not to verify the daemon's certificate.
    Unverified,
}

impl fmt::Display for ContextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName => f.write_str("that is not the name of a context"),
            Self::NotFound => f.write_str("there is none of that name"),
            Self::Unreadable { path, errno } => write!(f, "{path} cannot be read: {errno}"),
            Self::Malformed(path) => write!(f, "{path} is not what Docker writes"),
            Self::Endpoint(error) => error.fmt(f),
            Self::Unverified => {
                f.write_str("it does not verify the daemon's certificate (SkipTLSVerify)")
            }
        }
    }
}
