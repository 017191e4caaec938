//! What is answered from memory, and what is not: following a daemon's events.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docker_discovery::{
    Change, ContainerState, DistPort, Error, Family, Member, Notice, WatchState,
};
use serde_json::{Value, json};
use support::living::{Living, address, event, move_to, own, peek, until_following, until_known};
use support::{Act, Engine, answer, app, container, lookup, network, ok, until, world};

const APP: &str = "x@app";

fn set_state(container: &mut Value, state: &str) {
    container["State"] =
        json!({"Status": state, "Running": state == "running", "Paused": state == "paused"});
}

#[tokio::test]
async fn a_known_name_needs_no_request() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    let found = until_known(&resolver, APP).await;
    assert_eq!(found.address, address("127.0.0.9"));
    assert!(!found.stale);
    let asked = living.engine.asked().len();
    for name in [
        APP,
        "x@aaaaaaaaaaaa",
        &format!("x@{}", support::id("aaaaaaaaaaaa")),
    ] {
        assert_eq!(
            lookup(&resolver, name).await.unwrap().address,
            found.address
        );
        assert!(peek(&resolver, name).is_some(), "{name}");
    }
    assert_eq!(living.engine.asked().len(), asked);
    let info = own(&resolver);
    assert_eq!((info.containers, info.known), (1, 1));
}

#[tokio::test]
async fn without_watch_each_lookup_asks_and_nothing_else_does() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver_with(|settings| settings.watch = None);
    for _ in 0..3 {
        lookup(&resolver, APP).await.unwrap();
    }
    assert_eq!(living.inspects(), 3);
    assert_eq!(peek(&resolver, APP), None);
    assert_eq!(living.engine.asked().len(), 4, "one ping");
    assert_eq!(own(&resolver).watch, WatchState::Off);
}

#[tokio::test]
async fn a_restart_is_seen_at_once() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    living.change_first(|app| move_to(app, "127.0.0.10"));
    let began = Instant::now();
    living.happened("die", &app());
    living.happened("start", &app());
    until(|| peek(&resolver, APP).is_some_and(|found| found.address == address("127.0.0.10")))
        .await;
    assert!(
        began.elapsed() < Duration::from_millis(50),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn what_has_stopped_is_not_known() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    for (action, state, expected) in [
        ("die", "exited", ContainerState::Exited),
        ("pause", "paused", ContainerState::Paused),
    ] {
        until_known(&resolver, APP).await;
        living.change_first(|app| set_state(app, state));
        living.happened(action, &app());
        until(|| peek(&resolver, APP).is_none()).await;
        let limit = Duration::from_millis(100);
        assert_eq!(
            support::lookup_in(&resolver, APP, limit).await,
            Err(Error::NotRunning(expected))
        );
        living.change_first(|app| set_state(app, "running"));
        living.happened("start", &app());
        until(|| peek(&resolver, APP).is_some()).await;
    }
}

#[tokio::test]
async fn a_new_name_replaces_the_old_one() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    living.change_first(|app| app["Name"] = "/other".into());
    living.happened("rename", &container("aaaaaaaaaaaa", "other"));
    until(|| peek(&resolver, "x@other").is_some()).await;
    assert_eq!(peek(&resolver, APP), None);
    assert_eq!(lookup(&resolver, APP).await, Err(Error::NoSuchContainer));
}

#[tokio::test]
async fn two_containers_that_swap_their_names() {
    let (mut first, mut second) = (app(), container("bbbbbbbbbbbb", "other"));
    move_to(&mut second, "127.0.0.10");
    let living = Living::new(vec![first.clone(), second.clone()]).await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    until_known(&resolver, "x@other").await;
    first["Name"] = "/other".into();
    second["Name"] = "/app".into();
    living.change(|all| *all = vec![first.clone(), second.clone()]);
    living.happened("rename", &container("aaaaaaaaaaaa", "between"));
    living.happened("rename", &second);
    living.happened("rename", &first);
    let at = |name: &str| peek(&resolver, name).map(|found| found.address);
    until(|| at("x@other") == Some(address("127.0.0.9"))).await;
    until(|| at(APP) == Some(address("127.0.0.10"))).await;
    assert_eq!(at("x@between"), None);
}

#[tokio::test]
async fn a_network_that_is_left_is_not_used_any_more() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    living.change_first(|app| {
        app["NetworkSettings"]["Networks"] = json!({"zzz": network("127.0.0.11", 8)});
    });
    let attributes = json!({"container": support::id("aaaaaaaaaaaa"), "name": "bridge"});
    let actor = json!({"ID": support::id("cccccccccccc"), "Attributes": attributes});
    let left = json!({"Type": "network", "Action": "disconnect", "Actor": actor, "time": 7});
    living.events.say(format!("{left}\n"));
    until(|| peek(&resolver, APP).is_some_and(|found| found.address == address("127.0.0.11")))
        .await;
}

#[tokio::test]
async fn by_hostname_and_service_once_all_that_runs_was_seen() {
    let mut web = container("bbbbbbbbbbbb", "project_web_1");
    web["Config"]["Hostname"] = "web-host.example.org".into();
    web["Config"]["Labels"] = json!({"com.docker.compose.service": "web"});
    let living = Living::new(vec![app(), web.clone()]).await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    assert_eq!(
        peek(&resolver, "x@web-host"),
        None,
        "the other one was not looked at"
    );
    let found = until_known(&resolver, "x@web-host").await;
    assert_eq!(peek(&resolver, "x@web"), Some(found));
    // A second one of that service, which nobody has looked at yet, is first seen.
    let mut twin = web.clone();
    twin["Id"] = support::id("dddddddddddd").into();
    twin["Name"] = "/project_web_2".into();
    living.change(|all| all.push(twin.clone()));
    living.happened("create", &twin);
    living.happened("start", &twin);
    until(|| own(&resolver).containers == 3).await;
    assert_eq!(peek(&resolver, "x@web"), None);
    assert!(matches!(
        lookup(&resolver, "x@web").await,
        Err(Error::Ambiguous(_))
    ));
    assert_eq!(own(&resolver).known, 3);
    // Of the others, which were known, none was asked about again.
    assert_eq!(
        living
            .engine
            .count(&format!("{}/json", support::id("aaaaaaaaaaaa"))),
        1
    );
}

#[tokio::test]
async fn an_inspect_that_an_event_overtakes_is_not_believed() {
    let living = Living::with(vec![app()], |asked| {
        // What it was like before, said long after.
        let slow = asked.path.ends_with("/app/json") && asked.nth == 2;
        slow.then(|| [vec![Act::Wait(Duration::from_millis(100))], ok(&app())].concat())
    })
    .await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    living.happened("pause", &app());
    until(|| peek(&resolver, APP).is_none()).await;
    let slow = {
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move { lookup(&resolver, APP).await })
    };
    until(|| living.engine.count("/app/json") == 2).await;
    living.change_first(|app| move_to(app, "127.0.0.10"));
    living.happened("unpause", &app());
    until(|| peek(&resolver, APP).is_some()).await;
    slow.await.unwrap().unwrap();
    let found = peek(&resolver, APP).unwrap();
    assert_eq!(found.address, address("127.0.0.10"));
}

#[tokio::test]
async fn while_the_stream_is_down_all_is_asked_and_then_known_again() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    // What happens meanwhile is told by no event.
    living.change_first(|app| move_to(app, "127.0.0.10"));
    living.events.cut();
    until(|| peek(&resolver, APP).is_none_or(|found| found.address == address("127.0.0.10"))).await;
    let found = lookup(&resolver, APP).await.unwrap();
    assert_eq!((found.address, found.stale), (address("127.0.0.10"), false));
    until(|| peek(&resolver, APP).is_some()).await;
    assert_eq!(peek(&resolver, APP).unwrap().address, address("127.0.0.10"));
    assert_eq!(own(&resolver).watch, WatchState::Following);
    let streams = living.engine.asked();
    let mut streams = streams.iter().filter(|one| one.path.contains("/events?"));
    // The daemon's own time of the last event, if there was one.
    assert!(streams.all(|one| !one.path.contains("since=")));
}

#[tokio::test]
async fn the_stream_begins_at_the_daemons_own_time() {
    let living = Living::with(vec![app()], |asked| {
        let date = "Date: Sat, 21 Nov 2026 09:22:36 GMT\r\nApi-Version: 1.41\r\n";
        (asked.path == "/_ping").then(|| answer("200 OK", date, "OK"))
    })
    .await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    let since = |text: &str| {
        let asked = living.engine.asked();
        asked.iter().any(|one| one.path.ends_with(text))
    };
    assert!(since("&since=1795252955.000000000"), "a second before");
    living.events.say(event("top", &app()));
    let late = event("start", &app()).replace(":7}", ":1795252999000000042}");
    let requests = living.inspects();
    living.events.say(late);
    until(|| living.inspects() > requests).await;
    living.events.cut();
    until(|| since("&since=1795252999.000000042")).await;
}

#[tokio::test]
async fn only_if_the_daemon_is_away_does_the_last_known_answer_serve() {
    let living = Living::new(vec![app(), container("bbbbbbbbbbbb", "other")]).await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    let known = until_known(&resolver, "x@other").await;
    living.happened("die", &app());
    until(|| peek(&resolver, APP).is_none()).await;
    living.dead.store(true, SeqCst);
    living.events.cut();
    until(|| peek(&resolver, "x@other").is_none()).await;
    let found = lookup(&resolver, "x@other").await.unwrap();
    assert!(found.stale);
    assert_eq!(found.address, known.address);
    // That it stopped was the last that was known of it.
    assert!(matches!(
        lookup(&resolver, APP).await,
        Err(Error::Connect { .. })
    ));
    assert!(matches!(own(&resolver).watch, WatchState::Lost(_)));
    living.dead.store(false, SeqCst);
    assert!(!lookup(&resolver, "x@other").await.unwrap().stale);
    until(|| peek(&resolver, "x@other").is_some()).await;
}

#[tokio::test]
async fn who_listens_is_told_that_a_daemon_goes_and_comes() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    let notices = notices(&resolver);
    // One that was never there is nobody's news.
    let nowhere = docker_discovery::Settings {
        docker_host: docker_discovery::Endpoint::parse("/nowhere/docker.sock").unwrap(),
        watch: Some(Duration::from_secs(60)),
        ..Default::default()
    };
    let absent = Arc::new(docker_discovery::Resolver::new(nowhere));
    let silence = self::notices(&absent);
    assert!(lookup(&absent, APP).await.is_err());
    until_known(&resolver, APP).await;
    for _ in 0..3 {
        living.dead.store(true, SeqCst);
        living.events.cut();
        until(|| !notices.lock().unwrap().is_empty()).await;
        let (daemon, notice) = notices.lock().unwrap().remove(0);
        assert_eq!(daemon, living.engine.endpoint.to_string());
        assert!(
            matches!(notice, Notice::Down(Error::Connect { .. })),
            "{notice:?}"
        );
        living.dead.store(false, SeqCst);
        until(|| !notices.lock().unwrap().is_empty()).await;
        assert_eq!(notices.lock().unwrap().remove(0).1, Notice::Up);
        until_following(&resolver).await;
    }
    assert_eq!(*silence.lock().unwrap(), []);
}

type Told = Arc<Mutex<Vec<(String, Notice)>>>;

/// What somebody who listens is told.
fn notices(resolver: &docker_discovery::Resolver) -> Told {
    let told = Told::default();
    let tell = Arc::clone(&told);
    resolver.listen(move |daemon, notice| {
        let notice = (daemon.to_owned(), notice.clone());
        tell.lock().unwrap().push(notice);
    });
    told
}

#[tokio::test]
async fn what_may_not_be_followed_is_asked_and_said_once() {
    for forbidden in ["/events?", "/containers/json"] {
        let living = Living::with(vec![app()], move |asked| {
            let refused = asked.path.contains(forbidden);
            refused.then(|| answer("403 Forbidden", "", "the proxy says no"))
        })
        .await;
        let resolver = living.resolver();
        let notices = notices(&resolver);
        lookup(&resolver, APP).await.unwrap();
        until(|| matches!(own(&resolver).watch, WatchState::Forbidden(_))).await;
        until(|| !notices.lock().unwrap().is_empty()).await;
        let (daemon, notice) = notices.lock().unwrap().remove(0);
        assert_eq!(daemon, living.engine.endpoint.to_string());
        let refused = matches!(notice, Notice::NotWatched(Error::Status { code: 403, .. }));
        assert!(refused, "{notice:?}");
        assert_eq!(*notices.lock().unwrap(), []);
        let inspects = living.inspects();
        for _ in 0..3 {
            lookup(&resolver, APP).await.unwrap();
        }
        assert_eq!(living.inspects(), inspects + 3, "asked each time");
        assert_eq!(peek(&resolver, APP), None);
    }
}

#[tokio::test]
async fn a_hole_in_the_stream_is_followed_by_a_new_list() {
    let long = format!("{}\n", "x".repeat(3 << 20));
    for hole in ["{not json\n", long.as_str(), "{\"Type\": 7}\n"] {
        let living = Living::new(vec![app()]).await;
        let resolver = living.resolver();
        until_known(&resolver, APP).await;
        let lists = living.engine.count("/containers/json?all=1");
        living.change_first(|app| move_to(app, "127.0.0.10"));
        living.events.say(hole);
        until(|| living.engine.count("/containers/json?all=1") > lists).await;
        until(|| peek(&resolver, APP).is_some_and(|one| one.address == address("127.0.0.10")))
            .await;
        // It goes on behind the hole, on the same connection.
        living.happened("die", &app());
        until(|| peek(&resolver, APP).is_none()).await;
    }
}

#[tokio::test]
async fn a_list_finds_what_no_event_has_told() {
    let living = Living::new(vec![app(), container("bbbbbbbbbbbb", "other")]).await;
    let resolver =
        living.resolver_with(|settings| settings.watch = Some(Duration::from_millis(100)));
    until_known(&resolver, "x@other").await;
    until_known(&resolver, APP).await;
    let steady = living.inspects();
    until(|| living.engine.count("/containers/json?all=1") > 4).await;
    assert_eq!(
        living.inspects(),
        steady,
        "what the list agrees with is not inspected again"
    );
    living.change(|all| {
        move_to(&mut all[0], "127.0.0.10");
        all.remove(1);
    });
    until(|| peek(&resolver, APP).is_some_and(|found| found.address == address("127.0.0.10")))
        .await;
    assert_eq!(peek(&resolver, "x@other"), None);
    assert_eq!(own(&resolver).containers, 1);
}

#[tokio::test]
async fn a_daemon_of_another_host_is_let_go_when_it_is_idle() {
    let engine = Engine::tcp({
        let inner = world(vec![app()]);
        move |asked| match asked.path.contains("/events?") {
            true => vec![support::say("HTTP/1.1 200 OK\r\n\r\n"), Act::Hang],
            false => inner(asked),
        }
    })
    .await;
    let resolver = engine.resolver_with(|settings| {
        settings.docker_host = docker_discovery::Endpoint::parse("unix:///nowhere").unwrap();
        settings.daemon_port = engine.port();
        settings.watch = Some(Duration::from_millis(50));
        settings.limits.watch_idle = Duration::from_millis(300);
    });
    let node = "aaaaaaaaaaaa@127.0.0.1";
    let found = lookup(&resolver, node).await.unwrap();
    assert_eq!(found.port, DistPort::Known(32768));
    until(|| peek(&resolver, node).is_some()).await;
    let other = || resolver.daemons().remove(1);
    // Who asks keeps it.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(peek(&resolver, node).is_some());
    }
    until(|| other().watch == WatchState::Off).await;
    assert_eq!((other().containers, peek(&resolver, node)), (0, None));
    lookup(&resolver, node).await.unwrap();
    until(|| peek(&resolver, node).is_some()).await;
}

#[tokio::test]
async fn a_resolver_that_is_gone_follows_nothing() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    lookup(&resolver, APP).await.unwrap();
    until_following(&resolver).await;
    assert_eq!(living.events.readers(), 1);
    drop(resolver);
    living.happened("start", &app());
    until(|| {
        living.events.say("\n");
        living.events.readers() == 0
    })
    .await;
}

#[tokio::test]
async fn subscribers_are_told_what_runs_and_what_becomes_of_it() {
    let living = Living::new(vec![app(), container("bbbbbbbbbbbb", "other")]).await;
    let resolver = living.resolver();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (heard, wanted) = (Arc::clone(&told), Arc::new(AtomicBool::new(true)));
    let wants = Arc::clone(&wanted);
    let tell = move |change: Change| {
        heard.lock().unwrap().push(words(&change));
        wants.load(SeqCst)
    };
    let subscription = resolver.subscribe(None, &[], tell).unwrap();
    let count = |number: usize| {
        until({
            let told = Arc::clone(&told);
            move || told.lock().unwrap().len() >= number
        })
    };
    count(1).await;
    living.change_first(|app| set_state(app, "exited"));
    living.happened("die", &app());
    count(2).await;
    living.change_first(|app| {
        set_state(app, "running");
        move_to(app, "127.0.0.10");
    });
    living.happened("start", &app());
    count(3).await;
    // What happened while the stream was down is told when it is back.
    living.change(|all| {
        all.remove(1);
        move_to(&mut all[0], "127.0.0.11");
    });
    living.events.cut();
    count(5).await;
    let mut told_so_far = told.lock().unwrap().clone();
    told_so_far[3..].sort();
    assert_eq!(
        told_so_far,
        [
            "all app 127.0.0.9 other 127.0.0.9",
            "down app 127.0.0.9",
            "up app 127.0.0.10",
            "changed app 127.0.0.11",
            "down other 127.0.0.9",
        ]
    );
    wanted.store(false, SeqCst);
    for _ in 0..2 {
        living.happened("pause", &app());
        living.happened("unpause", &app());
    }
    until(|| told.lock().unwrap().len() == 6).await;
    until(|| own(&resolver).known == 1).await;
    assert_eq!(told.lock().unwrap().len(), 6, "the one that said no more");
    let unwatched = living.resolver_with(|settings| settings.watch = None);
    let refused = unwatched.subscribe(None, &[], |_| true);
    assert_eq!(refused.err(), Some(Error::Cancelled));
    drop(subscription);
}

fn words(change: &Change) -> String {
    let one = |member: &Member| format!("{} {}", member.container.name, member.networks[0].1);
    match change {
        Change::Snapshot(all) => {
            let all: Vec<_> = all.iter().map(one).collect();
            format!("all {}", all.join(" "))
        }
        Change::Up(member) => format!("up {}", one(member)),
        Change::Down(member) => format!("down {}", one(member)),
        Change::Changed(member) => format!("changed {}", one(member)),
    }
}

#[tokio::test]
async fn the_nodes_of_a_daemon_by_label_and_published_port() {
    let labelled = |id: &str, labels: Value| {
        let mut one = container(id, id);
        one["Config"]["Labels"] = labels;
        one
    };
    let mut stopped = labelled("cccccccccccc", json!({"epmd-docker.node": "gone"}));
    set_state(&mut stopped, "exited");
    let mut quiet = container("dddddddddddd", "quiet");
    quiet["NetworkSettings"]["Ports"] = json!({});
    let living = Living::new(vec![
        app(),
        labelled(
            "bbbbbbbbbbbb",
            json!({"epmd-docker.node": "one@x, two", "epmd-docker.port": "7"}),
        ),
        labelled("eeeeeeeeeeee", json!({"epmd-docker.port.three": "8"})),
        stopped,
        quiet,
    ])
    .await;
    for watch in [None, Some(Duration::from_secs(60))] {
        let resolver = living.resolver_with(|settings| settings.watch = watch);
        for _ in 0..2 {
            let limit = Duration::from_secs(5);
            let names = resolver.names(None, Family::Inet, limit).await.unwrap();
            let names: Vec<_> = names
                .iter()
                .map(|(name, port)| (name.as_str(), *port))
                .collect();
            let eid = ("aaaaaaaaaaaa", 32768);
            assert_eq!(names, [eid, ("one", 7), ("three", 8), ("two", 7)]);
        }
    }
    living.dead.store(true, SeqCst);
    let resolver = living.resolver();
    let names = resolver
        .names(None, Family::Inet, Duration::from_secs(5))
        .await;
    assert!(matches!(names, Err(Error::Connect { .. })));
}

/// Events of ever new containers, and containers with ever more aliases, do not fill our memory; what
/// is asked is answered all the same.
#[tokio::test]
async fn a_daemon_that_tells_of_too_much_is_not_followed() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver_with(|settings| settings.limits.max_containers = 100);
    until_known(&resolver, APP).await;
    for action in ["create", "start"] {
        until_following(&resolver).await;
        let new = |i: usize| container(&format!("{i:012x}"), "new");
        let told: String = (1..1000).map(|i| event(action, &new(i))).collect();
        living.events.say(told);
        let many = Error::BadResponse("it tells of more than 100 containers".into());
        until(|| own(&resolver).watch == WatchState::Lost(many.clone())).await;
        assert_eq!(own(&resolver).containers, 0);
        lookup(&resolver, APP).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_held_on_to_of_containers_is_bounded_together() {
    let with_aliases = |i: usize| {
        let mut one = container(&format!("{i:012x}"), &format!("c{i}"));
        let aliases: Vec<_> = (0..100).map(|j| format!("alias{i}-{j}")).collect();
        one["NetworkSettings"]["Networks"]["bridge"]["Aliases"] = json!(aliases);
        one
    };
    let all: Vec<_> = (1..30).map(with_aliases).collect();
    let living = Living::new(all.clone()).await;
    let resolver = living.resolver_with(|settings| settings.limits.max_known = 20_000);
    let lost = WatchState::Lost(Error::TooLarge(20_000));
    lookup(&resolver, "x@c1").await.unwrap();
    until_following(&resolver).await;
    // Who wants to hear of all has them all inspected.
    let _all = resolver.subscribe(None, &[], |_| true).unwrap();
    until(|| own(&resolver).watch == lost).await;
    assert_eq!(own(&resolver).containers, 0);
    lookup(&resolver, "x@c2").await.unwrap();
}

#[tokio::test]
async fn a_container_that_says_too_much_of_itself_is_refused() {
    let mut big = app();
    let aliases: Vec<_> = (0..40_000).map(|i| format!("alias{i}")).collect();
    big["NetworkSettings"]["Networks"]["bridge"]["Aliases"] = json!(aliases);
    let mut long = container("bbbbbbbbbbbb", "long");
    long["Config"]["Env"] = json!(["A=".to_owned() + &"a".repeat(1 << 20)]);
    let living = Living::new(vec![big, long]).await;
    let resolver = living.resolver();
    assert_eq!(
        lookup(&resolver, APP).await,
        Err(Error::TooLarge(256 << 10))
    );
    assert!(lookup(&resolver, "x@long").await.is_ok());
}
