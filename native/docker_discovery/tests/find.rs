//! Which container a name means.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use docker_discovery::{ContainerId, ContainerState, Error};
use serde_json::{Value, json};
use support::living::{Living, until_following};
use support::{Engine, answer, container, id, lookup, network, ok, pings, world};

const A: &str = "aaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbb";

fn ids(starts: &[&str]) -> Vec<ContainerId> {
    starts
        .iter()
        .map(|start| ContainerId::parse(&id(start)).unwrap())
        .collect()
}

fn with(mut container: Value, path: &str, value: Value) -> Value {
    *container.pointer_mut(path).unwrap() = value;
    container
}

fn stopped(container: Value, state: &str) -> Value {
    with(container, "/State", json!({"Status": state}))
}

fn service(container: Value, name: &str) -> Value {
    with(
        container,
        "/Config/Labels",
        json!({"com.docker.compose.service": name}),
    )
}

fn aliased(container: Value, alias: &str) -> Value {
    let mut bridge = network("127.0.0.9", 8);
    bridge["Aliases"] = json!([alias]);
    with(container, "/NetworkSettings/Networks/bridge", bridge)
}

/// The id that the name leads to, in a world of these containers.
async fn find(containers: Vec<Value>, name: &str) -> Result<ContainerId, Error> {
    let engine = Engine::unix(world(containers)).await;
    let found = lookup(&engine.resolver(), name).await;
    found.map(|found| found.container.id)
}

fn is(answer: Result<ContainerId, Error>, start: &str) -> bool {
    answer.is_ok_and(|found| found == ids(&[start])[0])
}

#[tokio::test]
async fn by_name_and_by_short_and_long_id() {
    let long = id(A);
    for reference in ["app", A, &long] {
        let all = vec![container(A, "app"), container(B, "other")];
        assert!(
            is(find(all, &format!("x@{reference}")).await, A),
            "{reference}"
        );
    }
}

#[tokio::test]
async fn by_hostname_alias_and_compose_service() {
    let host = |name: &str| with(container(A, "app"), "/Config/Hostname", json!(name));
    let mut dns = network("127.0.0.9", 8);
    dns["DNSNames"] = json!(["this"]);
    let all = [
        host("this"),
        host("this.example.com"),
        aliased(container(A, "app"), "this"),
        with(container(A, "app"), "/NetworkSettings/Networks/bridge", dns),
        service(container(A, "proj_this_1"), "this"),
    ];
    for one in all {
        let answer = find(vec![container(B, "other"), one.clone()], "x@this").await;
        assert!(is(answer, A), "{one}");
    }
}

#[tokio::test]
async fn what_is_nowhere_is_no_such_container() {
    for name in ["x@nope", "x@cccccccccccc", "x@ap", "x@aaaa", "x@App"] {
        let answer = find(vec![container(A, "app")], name).await;
        assert_eq!(answer, Err(Error::NoSuchContainer), "{name}");
    }
}

#[tokio::test]
async fn a_prefix_that_docker_answers_is_not_taken_for_the_name() {
    // Docker's inspect takes any prefix of an id; "aa" may well be a hostname.
    let named = with(container(B, "other"), "/Config/Hostname", json!("aa"));
    assert!(is(find(vec![container(A, "app"), named], "x@aa").await, B));
}

#[tokio::test]
async fn an_answer_about_another_container_is_never_used() {
    let engine = Engine::unix(pings(|asked| match asked.path.contains("?all=1") {
        true => ok(&json!([])),
        false => ok(&container(B, "other")),
    }))
    .await;
    let resolver = engine.resolver();
    for name in ["x@app".to_owned(), format!("x@{A}")] {
        assert_eq!(lookup(&resolver, &name).await, Err(Error::NoSuchContainer));
    }
}

#[tokio::test]
async fn of_several_the_one_that_runs() {
    let all = vec![
        service(stopped(container(A, "p_web_1"), "exited"), "web"),
        service(container(B, "p_web_2"), "web"),
    ];
    assert!(is(find(all, "x@web").await, B));
    let all = vec![
        service(stopped(container(A, "p_web_1"), "exited"), "web"),
        aliased(container(B, "other"), "web"),
    ];
    assert!(is(find(all, "x@web").await, B));
}

#[tokio::test]
async fn several_that_run_are_ambiguous_unless_a_network_tells() {
    let two = || {
        vec![
            service(container(B, "p_web_1"), "web"),
            service(container(A, "p_web_2"), "web"),
        ]
    };
    assert_eq!(
        find(two(), "x@web").await,
        Err(Error::Ambiguous(ids(&[A, B])))
    );

    let mut all = two();
    all[0]["NetworkSettings"]["Networks"]["front"] = network("127.0.0.8", 8);
    let engine = Engine::unix(world(all.clone())).await;
    let resolver = engine.resolver_with(|settings| settings.network = Some("front".into()));
    let found = lookup(&resolver, "x@web").await.unwrap();
    assert_eq!(found.container.id, ids(&[B])[0]);

    all[0]["Config"]["Labels"]["epmd-docker.network"] = json!("front");
    assert!(is(find(all, "x@web").await, B));
}

#[tokio::test]
async fn an_ambiguous_answer_names_at_most_sixteen() {
    let start = |number: usize| format!("{number:0>12}");
    let web = |number| service(container(&start(number), &format!("web_{number}")), "web");
    match find((0..20).map(web).collect(), "x@web").await {
        Err(Error::Ambiguous(all)) => {
            assert_eq!(all.len(), 16);
            assert!(all.is_sorted());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_id_prefix_of_two_containers_is_ambiguous() {
    let (one, two) = (format!("{A}1"), format!("{A}2"));
    let all = || vec![container(&two, "two"), container(&one, "one")];
    let expected = Err(Error::Ambiguous(ids(&[&one, &two])));
    assert_eq!(find(all(), &format!("x@{A}")).await, expected);
    let engine = Engine::tcp(world(all())).await;
    let resolver = engine.resolver_with(|settings| settings.daemon_port = engine.port());
    let answer = lookup(&resolver, &format!("{A}@127.0.0.1")).await;
    assert_eq!(answer.map(|found| found.container.id), expected);
}

#[tokio::test]
async fn an_id_means_the_container_of_that_id_and_not_of_that_name() {
    let impostor = container(B, A);
    for (all, expected) in [
        (
            vec![impostor.clone(), container(A, "app")],
            Ok(ids(&[A])[0].clone()),
        ),
        (vec![impostor], Err(Error::NoSuchContainer)),
    ] {
        let engine = Engine::tcp(world(all)).await;
        let resolver = engine.resolver_with(|settings| settings.daemon_port = engine.port());
        let answer = lookup(&resolver, &format!("{A}@127.0.0.1")).await;
        assert_eq!(answer.map(|found| found.container.id), expected);
    }
}

#[tokio::test]
async fn a_stopped_one_says_its_state() {
    let cases = [
        ("paused", ContainerState::Paused),
        ("exited", ContainerState::Exited),
        ("frozen", ContainerState::Unknown),
    ];
    for (state, expected) in cases {
        for name in ["x@app", "x@web"] {
            let one = service(stopped(container(A, "app"), state), "web");
            let answer = find(vec![one], name).await;
            assert_eq!(answer, Err(Error::NotRunning(expected)), "{name}");
        }
    }
}

#[tokio::test]
async fn one_container_that_cannot_be_read_does_not_hide_another() {
    let all = vec![container(A, "odd"), aliased(container(B, "other"), "this")];
    let odd = |asked: &support::Asked| asked.path.contains(&id(A));
    let engine = |all: Vec<Value>| {
        let world = world(all);
        Engine::unix(move |asked| match odd(asked) {
            true => answer("500 Internal Server Error", "", "odd"),
            false => world(asked),
        })
    };
    let found = lookup(&engine(all.clone()).await.resolver(), "x@this").await;
    assert_eq!(found.unwrap().container.id, ids(&[B])[0]);
    // Where nothing else is found it may have been the one.
    let answer = lookup(&engine(all).await.resolver(), "x@that").await;
    assert!(
        matches!(answer, Err(Error::Status { code: 500, .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_search_looks_at_a_bounded_number() {
    let start = |number: usize| format!("{number:0>12}");
    let all = (0..30).map(|number| container(&start(number), &format!("c{number}")));
    let engine = Engine::unix(world(all.collect())).await;
    let resolver = engine.resolver_with(|settings| settings.limits.max_inspected = 10);
    assert_eq!(
        lookup(&resolver, "x@nope").await,
        Err(Error::Busy),
        "it may be one of the others"
    );
    assert_eq!(engine.count("/json"), 1 + 10);
}

#[tokio::test]
async fn each_search_gets_further_where_the_events_are_followed() {
    let start = |number: usize| format!("{number:0>12}");
    let mut all: Vec<_> = (0..30)
        .map(|number| container(&start(number), &format!("c{number}")))
        .collect();
    all[29]["Config"]["Hostname"] = "last".into();
    let living = Living::new(all).await;
    let resolver = living.resolver_with(|settings| settings.limits.max_inspected = 10);
    lookup(&resolver, "x@c0").await.unwrap();
    until_following(&resolver).await;
    let mut answers = Vec::new();
    while !answers.last().is_some_and(Result::is_ok) {
        assert!(answers.len() < 5, "{answers:?}");
        answers.push(
            lookup(&resolver, "x@last")
                .await
                .map(|found| found.container.id),
        );
    }
    assert_eq!(answers[0], Err(Error::Busy));
    assert_eq!(answers.last(), Some(&Ok(ids(&[&start(29)]).remove(0))));
    // Now all is known, and so is what is nowhere.
    assert_eq!(
        lookup(&resolver, "x@nope").await,
        Err(Error::NoSuchContainer)
    );
}
