//! Daemons that speak TLS: what works, and each way of failing.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use docker_discovery::{
    DaemonState, DistPort, Endpoint, Errno, Error, FileFault, Resolver, Settings, TlsFault,
    TlsFiles, TlsRefusal,
};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::version::{TLS12, TLS13};
use support::tls::{Authority, Folder, Identity, Server, expired, not_yet};
use support::{Act, Engine, app, lookup, say, until, world};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const APP: &str = "x@app";

/// A resolver for a daemon at `endpoint`.
fn resolver(endpoint: &Endpoint, files: TlsFiles) -> Resolver {
    Resolver::new(Settings {
        docker_host: endpoint.clone(),
        tls: Some(files),
        ..Settings::default()
    })
}

fn fault_of(answer: Result<docker_discovery::Found, Error>, endpoint: &Endpoint) -> TlsFault {
    match answer {
        Err(Error::Tls {
            endpoint: text,
            fault,
        }) if text == endpoint.to_string() => fault,
        other => panic!("{other:?}"),
    }
}

/// What comes of a lookup at this server with these files.
async fn fault(server: &Server, folder: &Folder) -> TlsFault {
    let engine = Engine::tls(server, world(vec![app()])).await;
    let resolver = resolver(&engine.endpoint, folder.files());
    let fault = fault_of(lookup(&resolver, APP).await, &engine.endpoint);
    let state = resolver.daemons().remove(0).state;
    assert!(matches!(state, DaemonState::Down(Error::Tls { .. })));
    assert_eq!(engine.asked().len(), 0, "nothing was asked");
    fault
}

/// Listens on a port of this machine and does this to whoever connects.
async fn listener(greeting: &'static [u8], hangs: bool) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut hello = [0; 1024];
                let _ = stream.read(&mut hello).await;
                let _ = stream.write_all(greeting).await;
                if hangs {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    Endpoint::parse(&format!("tcp://127.0.0.1:{port}")).unwrap()
}

#[tokio::test]
async fn both_versions_by_address_and_by_name() {
    let authority = Authority::new("ca");
    let folder = Folder::new(&authority.pem(), Some(&authority.good()));
    for version in [&TLS13, &TLS12] {
        let server = Server {
            versions: vec![version],
            ..Server::of(&authority)
        };
        let engine = Engine::tls(&server, world(vec![app()])).await;
        for host in ["127.0.0.1", "localhost"] {
            let text = format!("tcp://{host}:{}", engine.port());
            let resolver = resolver(&Endpoint::parse(&text).unwrap(), folder.files());
            let found = lookup(&resolver, APP).await.unwrap();
            assert_eq!(found.container.daemon, text);
            let daemon = resolver.daemons().remove(0);
            assert!(daemon.tls && daemon.state == DaemonState::Up);
        }
    }
}

#[tokio::test]
async fn a_daemon_of_another_host_has_tls_settings_of_its_own() {
    let authority = Authority::new("ca");
    let own = Engine::unix(world(vec![])).await;
    let engine = Engine::tls(&Server::of(&authority), world(vec![app()])).await;
    let folder = Folder::new(&authority.pem(), Some(&authority.good()));
    let resolver = own.resolver_with(|settings| {
        settings.daemon_port = engine.port();
        // A unix socket knows no TLS, whatever this says.
        settings.tls = Some(TlsFiles::in_dir("/no/such/folder"));
        settings.remote_tls = Some(folder.files());
    });
    let found = lookup(&resolver, "aaaaaaaaaaaa@127.0.0.1").await.unwrap();
    assert_eq!(found.port, DistPort::Known(32768));
    assert_eq!(found.container.daemon, engine.endpoint.to_string());
    assert_eq!(lookup(&resolver, APP).await, Err(Error::NoSuchContainer));
    let tls: Vec<bool> = resolver.daemons().iter().map(|one| one.tls).collect();
    assert_eq!(tls, [false, true]);
}

#[tokio::test]
async fn a_daemon_that_asks_for_no_certificate_needs_none() {
    let authority = Authority::new("ca");
    let server = Server {
        clients: None,
        ..Server::of(&authority)
    };
    let engine = Engine::tls(&server, world(vec![app()])).await;
    let folder = Folder::new(&authority.pem(), None);
    let resolver = resolver(&engine.endpoint, folder.files());
    assert!(lookup(&resolver, APP).await.is_ok());
}

#[tokio::test]
async fn a_certificate_of_the_daemon_that_is_not_good() {
    let authority = Authority::new("ca");
    let folder = Folder::new(&authority.pem(), Some(&authority.good()));
    let with = |identity: Identity| Server {
        identity,
        ..Server::of(&authority)
    };
    let names = ["127.0.0.1"];
    let cases = [
        (Authority::new("other").good(), TlsFault::UnknownCa),
        (Authority::new("ca").good(), TlsFault::UnknownCa),
        (authority.issue(&names, expired), TlsFault::Expired),
        (authority.issue(&names, not_yet), TlsFault::NotYetValid),
        (
            authority.issue(&["host1", "10.0.0.1"], |_| {}),
            TlsFault::WrongName(vec!["host1".into(), "10.0.0.1".into()]),
        ),
    ];
    for (identity, expected) in cases {
        assert_eq!(fault(&with(identity), &folder).await, expected);
    }
    let clients_only = authority.issue(&names, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let fault = fault(&with(clients_only), &folder).await;
    assert!(matches!(fault, TlsFault::BadCertificate(_)), "{fault:?}");
}

/// In TLS 1.3 the daemon says so only when it is asked something.
#[tokio::test]
async fn a_certificate_of_ours_that_the_daemon_does_not_take() {
    let authority = Authority::new("ca");
    let refused = TlsFault::ClientCertificateRefused;
    let cases = [
        (None, TlsFault::ClientCertificateRequired),
        (
            Some(Authority::new("other").good()),
            refused(TlsRefusal::UnknownCa),
        ),
        (
            Some(authority.issue(&[], expired)),
            refused(TlsRefusal::Expired),
        ),
    ];
    for version in [&TLS13, &TLS12] {
        for (own, expected) in &cases {
            let server = Server {
                versions: vec![version],
                ..Server::of(&authority)
            };
            let folder = Folder::new(&authority.pem(), own.as_ref());
            assert_eq!(fault(&server, &folder).await, *expected, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_port_where_nobody_speaks_tls() {
    let authority = Authority::new("ca");
    let folder = Folder::new(&authority.pem(), Some(&authority.good()));
    let plain = Engine::tcp(|_| vec![say("HTTP/1.1 400 Bad Request\r\n\r\n"), Act::Close]).await;
    let http = listener(b"HTTP/1.1 400 Bad Request\r\n\r\n", false).await;
    let ssh = listener(b"SSH-2.0-OpenSSH_9.2\r\n", true).await;
    let closes = listener(b"", false).await;
    // TLS 1.0, as a server answers that has nothing newer: alert, fatal, protocol_version.
    let old = listener(&[21, 3, 1, 0, 2, 2, 70], false).await;
    for (endpoint, expected) in [
        (http, TlsFault::NotTls),
        (ssh, TlsFault::NotTls),
        (closes, TlsFault::Closed),
        (old, TlsFault::NoCommonVersion),
    ] {
        let resolver = resolver(&endpoint, folder.files());
        assert_eq!(fault_of(lookup(&resolver, APP).await, &endpoint), expected);
    }
    // The other way round: a daemon with TLS answers plain HTTP, and says what is wrong.
    assert!(lookup(&plain.resolver(), APP).await.is_err());
}

#[tokio::test]
async fn silence_in_the_handshake_ends_in_time() {
    let authority = Authority::new("ca");
    let folder = Folder::new(&authority.pem(), None);
    let silent = listener(b"", true).await;
    let mut settings = Settings {
        docker_host: silent.clone(),
        tls: Some(folder.files()),
        ..Settings::default()
    };
    settings.limits.connect_timeout = Duration::from_millis(100);
    let start = Instant::now();
    let answer = lookup(&Resolver::new(settings), APP).await;
    assert_eq!(fault_of(answer, &silent), TlsFault::Timeout);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new("ca");
    let engine = Engine::tls(&Server::of(&authority), world(vec![app()])).await;
    let folder = Folder::new(&authority.pem(), Some(&authority.good()));
    let resolver = resolver(&engine.endpoint, folder.files());
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let other_key = authority.good().key;
    let large = "x".repeat((1 << 20) + 1);
    let cases: [(&str, &str, FileFault); 9] = [
        ("ca.pem", "", FileFault::NoCertificate),
        ("ca.pem", "no PEM", FileFault::NoCertificate),
        ("ca.pem", no_der, FileFault::NoCertificate),
        ("ca.pem", &large, FileFault::TooLarge),
        ("cert.pem", "no PEM", FileFault::NoCertificate),
        ("cert.pem", no_der, FileFault::NoCertificate),
        ("key.pem", "no PEM", FileFault::NoKey),
        ("key.pem", encrypted, FileFault::NoKey),
        ("key.pem", &other_key, FileFault::KeyMismatch),
    ];
    for (name, text, expected) in cases {
        let good = std::fs::read(folder.path(name)).unwrap();
        folder.put(name, text);
        let answer = lookup(&resolver, APP).await;
        let path = folder.path(name).display().to_string();
        let expected = TlsFault::File {
            path,
            fault: expected,
        };
        assert_eq!(fault_of(answer, &engine.endpoint), expected);
        folder.put(name, good);
    }
    assert_eq!(engine.connections(), 0, "the daemon was not bothered");
    assert!(lookup(&resolver, APP).await.is_ok());
}

#[tokio::test]
async fn files_that_are_not_there_are_named() {
    let authority = Authority::new("ca");
    let engine = Engine::tls(&Server::of(&authority), world(vec![app()])).await;
    let absent = FileFault::Unreadable(Errno::Enoent);
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        let folder = Folder::new(&authority.pem(), Some(&authority.good()));
        let resolver = resolver(&engine.endpoint, folder.files());
        let path = folder.path(name);
        std::fs::remove_file(&path).unwrap();
        let expected = |fault| TlsFault::File {
            path: path.display().to_string(),
            fault,
        };
        let answer = lookup(&resolver, APP).await;
        assert_eq!(fault_of(answer, &engine.endpoint), expected(absent));
        std::fs::create_dir(&path).unwrap();
        let answer = lookup(&resolver, APP).await;
        assert_eq!(
            fault_of(answer, &engine.endpoint),
            expected(FileFault::NotAFile)
        );
    }
}

/// What is on disk counts from the next connection on: here there is one for each request.
#[tokio::test]
async fn rotated_files_are_in_use_without_a_restart() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let closing = |asked: &support::Asked| {
        let mut acts = world(vec![app()])(asked);
        acts.push(Act::Close);
        acts
    };
    let engine = Engine::tls(&Server::of(&new), closing).await;
    let folder = Folder::new(&old.pem(), Some(&old.good()));
    let resolver = resolver(&engine.endpoint, folder.files());
    let answer = lookup(&resolver, APP).await;
    assert_eq!(fault_of(answer, &engine.endpoint), TlsFault::UnknownCa);
    // Both CAs, while daemons are on their way from one to the other.
    folder.put("ca.pem", old.pem() + &new.pem());
    let answer = lookup(&resolver, APP).await;
    let refused = TlsFault::ClientCertificateRefused(TlsRefusal::UnknownCa);
    assert_eq!(fault_of(answer, &engine.endpoint), refused);
    for _ in 0..3 {
        folder.own(&new.good());
        assert!(lookup(&resolver, APP).await.is_ok());
    }
    folder.own(&new.issue(&[], expired));
    let answer = lookup(&resolver, APP).await;
    let refused = TlsFault::ClientCertificateRefused(TlsRefusal::Expired);
    assert_eq!(fault_of(answer, &engine.endpoint), refused);
}

/// The watch follows over TLS, and comes back by itself with new files.
#[tokio::test]
async fn the_watch_uses_rotated_files_too() {
    let authority = Authority::new("ca");
    let feed = support::Feed::default();
    let events = feed.clone();
    let engine = Engine::tls(&Server::of(&authority), move |asked| {
        match asked.path.contains("/events?") {
            true => vec![say("HTTP/1.1 200 OK\r\n\r\n"), Act::Feed(events.clone())],
            false => world(vec![app()])(asked),
        }
    })
    .await;
    let folder = Folder::new(&authority.pem(), Some(&Authority::new("other").good()));
    let resolver = engine.resolver_with(|settings| {
        settings.watch = Some(Duration::from_secs(60));
        settings.tls = Some(folder.files());
    });
    assert!(lookup(&resolver, APP).await.is_err());
    let watch = || resolver.daemons().remove(0).watch;
    until(|| {
        matches!(
            watch(),
            docker_discovery::WatchState::Lost(Error::Tls { .. })
        )
    })
    .await;
    folder.own(&authority.good());
    until(|| watch() == docker_discovery::WatchState::Following).await;
    feed.cut();
    until(|| feed.readers() == 1 && watch() == docker_discovery::WatchState::Following).await;
    assert!(lookup(&resolver, APP).await.is_ok());
}
