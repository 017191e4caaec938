//! What a daemon may answer wrong, and what becomes of it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use docker_discovery::Error;
use serde_json::json;
use support::{Act, Engine, answer, app, lookup, ok, pings, say};

const APP: &str = "x@app";

#[tokio::test]
async fn a_body_that_ends_early_is_a_bad_response_and_is_not_asked_again() {
    let engine = Engine::unix(pings(|_| {
        vec![
            say("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"Id\":"),
            Act::Close,
        ]
    }))
    .await;
    let answer = lookup(&engine.resolver(), APP).await;
    assert!(matches!(answer, Err(Error::BadResponse(_))), "{answer:?}");
    assert_eq!(engine.count("/app/json"), 1);
}

#[tokio::test]
async fn a_body_without_end_is_too_large() {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let engine = Engine::unix(pings(move |_| {
        vec![say(head), Act::Endless(chunk.clone().into_bytes())]
    }))
    .await;
    let resolver = engine.resolver_with(|settings| settings.limits.max_body = 1 << 20);
    assert_eq!(lookup(&resolver, APP).await, Err(Error::TooLarge(1 << 20)));
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_refused_unread() {
    let engine = Engine::unix(pings(|_| {
        vec![
            say("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
            Act::Hang,
        ]
    }))
    .await;
    assert_eq!(
        lookup(&engine.resolver(), APP).await,
        Err(Error::TooLarge(8 << 20))
    );
}

#[tokio::test]
async fn a_body_in_many_pieces_is_put_together() {
    let body = app().to_string();
    let chunks: String = body
        .as_bytes()
        .chunks(7)
        .map(|piece| {
            format!(
                "{:x}\r\n{}\r\n",
                piece.len(),
                String::from_utf8_lossy(piece)
            )
        })
        .collect();
    let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let engine = Engine::unix(pings(move |_| {
        let (one, two) = text.split_at(text.len() / 2);
        vec![say(one), Act::Wait(Duration::from_millis(5)), say(two)]
    }))
    .await;
    assert!(lookup(&engine.resolver(), APP).await.is_ok());
}

#[tokio::test]
async fn a_status_keeps_the_daemons_words() {
    let long = "é".repeat(1000);
    let cases = [
        (
            "500 Internal Server Error",
            "plain\r\ntext\n",
            500,
            "plaintext",
        ),
        (
            "500 Internal Server Error",
            r#"{"message":" no\u001b[31m "}"#,
            500,
            "no[31m",
        ),
        ("301 Moved Permanently", "", 301, ""),
        ("400 Bad Request", "bad", 400, "bad"),
        ("503 Service Unavailable", &long, 503, &long[..512]),
    ];
    for (status, body, code, message) in cases {
        let (status, body) = (status.to_owned(), body.to_owned());
        let headers = "Location: http://127.0.0.1:1/\r\n";
        let engine = Engine::unix(pings(move |_| answer(&status, headers, &body))).await;
        let expected = Error::Status {
            code,
            message: message.to_owned(),
        };
        assert_eq!(lookup(&engine.resolver(), APP).await, Err(expected));
        assert_eq!(engine.count("/app/json"), 1);
    }
}

#[tokio::test]
async fn what_is_not_http_or_not_json_is_a_bad_response() {
    let mut wrong_type = app();
    wrong_type["State"] = json!("secret cookie");
    let mut env = app();
    env["Config"]["Env"] = json!("COOKIE=secret");
    let cut = app().to_string().split_at(200).0.to_owned();
    let answers = [
        vec![say("SSH-2.0-OpenSSH\r\n\r\n")],
        answer("200 OK", "", "<html>secret</html>"),
        answer("200 OK", "", &cut),
        answer("200 OK", "", "[1, 2]"),
        ok(&json!({"Id": "../../secret"})),
        ok(&json!({"Name": "/app"})),
        ok(&wrong_type),
        ok(&env),
    ];
    for acts in answers {
        let engine = Engine::unix(pings(move |_| acts.clone())).await;
        match lookup(&engine.resolver(), APP).await {
            Err(Error::BadResponse(detail)) => {
                assert!(!detail.contains("secret"), "{detail}");
                assert!(detail.chars().count() <= 200, "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
}
