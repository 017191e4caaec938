//! Every error is one sentence, and every posix name is Erlang's.

#![allow(clippy::unwrap_used)]

use std::io;

use docker_discovery::{
    ContainerId, ContainerState, ContextFault, Errno, Error, FileFault, TlsFault, TlsRefusal,
};

fn all() -> Vec<Error> {
    let endpoint = || "unix:///run/docker.sock".to_owned();
    let id = ContainerId::parse("0123456789ab").unwrap();
    vec![
        Error::NoSuchContainer,
        Error::NotRunning(ContainerState::Exited),
        Error::Ambiguous(vec![id.clone(), id]),
        Error::NotPublished(4369),
        Error::LoopbackOnly(12345),
        Error::NoNetwork(vec!["bridge".into()]),
        Error::HostNotAllowed("8.8.8.8".into()),
        Error::BadNodeName("a\nb".into()),
        Error::Connect {
            endpoint: endpoint(),
            errno: Errno::Enoent,
        },
        Error::Tls {
            endpoint: endpoint(),
            fault: TlsFault::Expired,
        },
        Error::Context {
            name: "prod".into(),
            fault: ContextFault::NotFound,
        },
        Error::Context {
            name: "prod".into(),
            fault: ContextFault::Unreadable {
                path: "/m.json".into(),
                errno: Errno::Eacces,
            },
        },
        Error::Status {
            code: 500,
            message: "broken".into(),
        },
        Error::BadResponse("line 1 column 2".into()),
        Error::TooLarge(8),
        Error::Timeout,
        Error::Busy,
        Error::Cancelled,
    ]
}

#[test]
fn each_error_says_what_it_holds_in_one_line() {
    let all: Vec<String> = all().iter().map(Error::to_string).collect();
    for text in &all {
        assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        assert_eq!(all.iter().filter(|other| *other == text).count(), 1);
    }
    let holds = [
        "exited",
        "0123456789ab 0123456789ab",
        "4369",
        "12345",
        "bridge",
        "8.8.8.8",
        "a\\nb",
        "unix:///run/docker.sock: enoent",
        "expired",
        "\"prod\" cannot be used: there is none of that name",
        "/m.json cannot be read: eacces",
        "500: broken",
        "line 1 column 2",
        "8 bytes",
    ];
    for part in holds {
        assert!(all.iter().any(|text| text.contains(part)), "{part}");
    }
}

#[test]
fn each_way_in_which_tls_fails_says_so_in_one_line() {
    let file = |fault| TlsFault::File {
        path: "/c/key.pem".into(),
        fault,
    };
    let faults = [
        file(FileFault::Unreadable(Errno::Enoent)),
        file(FileFault::NotAFile),
        file(FileFault::TooLarge),
        file(FileFault::NoCertificate),
        file(FileFault::NoKey),
        file(FileFault::KeyMismatch),
        TlsFault::NotTls,
        TlsFault::Closed,
        TlsFault::Timeout,
        TlsFault::NoCommonVersion,
        TlsFault::UnknownCa,
        TlsFault::WrongName(vec!["host1".into()]),
        TlsFault::Expired,
        TlsFault::NotYetValid,
        TlsFault::BadCertificate("invalid purpose".into()),
        TlsFault::ClientCertificateRequired,
        TlsFault::ClientCertificateRefused(TlsRefusal::UnknownCa),
        TlsFault::ClientCertificateRefused(TlsRefusal::Expired),
        TlsFault::ClientCertificateRefused(TlsRefusal::Revoked),
        TlsFault::ClientCertificateRefused(TlsRefusal::Forbidden),
        TlsFault::ClientCertificateRefused(TlsRefusal::Bad),
        TlsFault::Alert("InternalError".into()),
        TlsFault::Other("no more entropy".into()),
    ];
    let all: Vec<String> = faults.iter().map(TlsFault::to_string).collect();
    for text in &all {
        assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        assert_eq!(all.iter().filter(|other| *other == text).count(), 1);
    }
    assert!(all[0].contains("/c/key.pem") && all[0].contains("enoent"));
}

#[test]
fn what_the_system_says_has_its_posix_name() {
    let cases = [
        (io::ErrorKind::ConnectionRefused, "econnrefused"),
        (io::ErrorKind::NotFound, "enoent"),
        (io::ErrorKind::PermissionDenied, "eacces"),
        (io::ErrorKind::TimedOut, "etimedout"),
        (io::ErrorKind::BrokenPipe, "econnreset"),
        (io::ErrorKind::HostUnreachable, "ehostunreach"),
        (io::ErrorKind::Other, "eio"),
    ];
    for (kind, name) in cases {
        assert_eq!(Errno::from(&io::Error::from(kind)).as_str(), name);
    }
    for (code, name) in [
        (1, "eperm"),
        (2, "enoent"),
        (13, "eacces"),
        (23, "enfile"),
        (24, "emfile"),
    ] {
        assert_eq!(
            Errno::from(&io::Error::from_raw_os_error(code)).to_string(),
            name
        );
    }
    assert!(
        Errno::ALL
            .iter()
            .all(|one| one.as_str().bytes().all(|b| b.is_ascii_lowercase()))
    );
}
