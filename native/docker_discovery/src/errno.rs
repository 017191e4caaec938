//! The posix names of what can go wrong with a connection.

use std::fmt;
use std::io::{self, ErrorKind};

macro_rules! errnos {
    ($($name:ident $text:literal $doc:literal,)*) => {
        /// What the operating system can say to a connect, as a posix name.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Errno {
            $(#[doc = $doc] $name,)*
        }

        impl Errno {
            /// Every value, for those who need a table of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The posix name in lower case, as Erlang spells it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

errnos! {
    Econnrefused "econnrefused" "Nobody listens there.",
    Enoent "enoent" "No such socket file.",
    Eacces "eacces" "No permission for the socket file.",
    Eperm "eperm" "A firewall or a sandbox forbids it.",
    Ehostunreach "ehostunreach" "No route to that host.",
    Enetunreach "enetunreach" "No route to that network.",
    Etimedout "etimedout" "No answer in time.",
    Econnreset "econnreset" "The other side hung up.",
    Enotsock "enotsock" "The file is not a socket.",
    Emfile "emfile" "This process has too many open files.",
    Enfile "enfile" "This system has too many open files.",
    Nxdomain "nxdomain" "The host name does not resolve.",
    Eaddrnotavail "eaddrnotavail" "The address is not available, or no local port is free.",
    Einval "einval" "Not an address that can be connected to.",
    Eio "eio" "Anything else.",
}

/// The numbers that `ErrorKind` does not tell apart. The first three are the
/// same on every system that we build for; ENOTSOCK is not.
const EPERM: i32 = 1;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOTSOCK: i32 = if cfg!(target_os = "linux") { 88 } else { 38 };

impl From<&io::Error> for Errno {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(EPERM) => return Self::Eperm,
            Some(ENFILE) => return Self::Enfile,
            Some(EMFILE) => return Self::Emfile,
            Some(ENOTSOCK) => return Self::Enotsock,
            _ => {}
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Econnrefused,
            ErrorKind::NotFound => Self::Enoent,
            ErrorKind::PermissionDenied => Self::Eacces,
            ErrorKind::HostUnreachable => Self::Ehostunreach,
            ErrorKind::NetworkUnreachable => Self::Enetunreach,
            ErrorKind::TimedOut => Self::Etimedout,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Econnreset,
            ErrorKind::AddrNotAvailable => Self::Eaddrnotavail,
            ErrorKind::InvalidInput => Self::Einval,
            _ => Self::Eio,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
