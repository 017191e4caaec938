//! What four engines really send, and what no engine should.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FIXTURES: [(&str, &str, &str); 4] = [
    (
        "tbx",
        "172.17.0.5",
        include_str!("../../../tests/fixtures/docker-20.10.24.json"),
    ),
    (
        "a1",
        "172.17.0.2",
        include_str!("../../../tests/fixtures/docker-26.1.5.json"),
    ),
    (
        "a2",
        "172.17.0.2",
        include_str!("../../../tests/fixtures/docker-28.5.2.json"),
    ),
    (
        "p1",
        "10.88.0.2",
        include_str!("../../../tests/fixtures/podman-4.3.1.json"),
    ),
];

fn decode(value: &Value) -> Result<Container, Error> {
    Container::decode(value.to_string().as_bytes())
}

fn fixture(number: usize) -> Value {
    serde_json::from_str(FIXTURES[number].2).unwrap()
}

#[test]
fn the_answers_of_four_engines_are_read() {
    for (name, address, json) in FIXTURES {
        let container = Container::decode(json.as_bytes()).unwrap();
        assert_eq!(&*container.name, name);
        assert_eq!(container.not_running(), None);
        assert_eq!(*container.config.hostname, container.id.as_str()[..12]);
        let networks: Vec<_> = container.network_settings.networks().collect();
        let (ip, prefix) = networks[0].1.address(true).unwrap();
        assert_eq!(
            (networks.len(), ip.to_string().as_str(), prefix),
            (1, address, 16)
        );
        assert_eq!(networks[0].1.address(false), None);
        let bindings: Vec<_> = container.network_settings.bindings(12345).collect();
        assert!(
            bindings.iter().all(|(_, port)| *port > 30000),
            "{bindings:?}"
        );
        // Podman names no address.
        assert_eq!(bindings.len(), if name == "p1" { 1 } else { 2 });
        assert_eq!(bindings[0].0.is_none(), name == "p1");
        assert!(container.network_settings.bindings(80).next().is_none());
    }
}

#[test]
fn only_our_labels_and_one_number_are_kept() {
    let mut one = fixture(0);
    one["Config"]["Env"] = json!(["COOKIE=s3cr3t", "ERL_DIST_PORT=4000", "X=\u{e9}\"\\n"]);
    one["Config"]["Labels"] = json!({
        "secret": "s3cr3t", "epmd-docker.port": "1", "com.docker.compose.service": "web",
        "epmd-docker.odd": null,
    });
    let container = decode(&one).unwrap();
    assert_eq!(container.config.dist_port.0, Some(4000));
    assert_eq!(container.config.labels.get("epmd-docker.port"), Some("1"));
    assert_eq!(container.config.labels.get("epmd-docker.odd"), Some(""));
    assert_eq!(container.config.labels.get("secret"), None);
    assert!(!format!("{container:?}").contains("s3cr3t"));
}

#[test]
fn null_and_absence_are_the_default() {
    let id = "a".repeat(64);
    let bare = decode(&json!({"Id": id})).unwrap();
    assert_eq!(bare.not_running(), Some(ContainerState::Unknown));
    let nulls = json!({
        "Id": id, "Name": null, "State": {"Status": null, "Running": true},
        "Config": {"Hostname": null, "Env": null, "Labels": null, "ExposedPorts": null},
        "HostConfig": {"PortBindings": null, "PublishAllPorts": null, "NetworkMode": null},
        "NetworkSettings": {"Ports": {"1/tcp": null}, "Networks": {"a": null, "b": {
            "IPAddress": null, "IPPrefixLen": null, "Aliases": null, "DNSNames": null,
        }}},
    });
    let container = decode(&nulls).unwrap();
    assert_eq!(container.not_running(), None);
    assert_eq!(container.network_settings.names(), ["a", "b"]);
    for part in ["State", "Config", "HostConfig", "NetworkSettings"] {
        assert!(decode(&json!({"Id": id, part: null})).is_ok());
    }
}

#[test]
fn the_state_comes_before_the_ports_as_podman_lists_them_for_ever() {
    let mut one = fixture(3);
    for (status, state) in [
        ("exited", ContainerState::Exited),
        ("stopped", ContainerState::Exited),
        ("configured", ContainerState::Created),
        ("restarting", ContainerState::Restarting),
        ("removing", ContainerState::Removing),
        ("dead", ContainerState::Dead),
        ("new-in-2030", ContainerState::Unknown),
    ] {
        one["State"]["Status"] = json!(status);
        assert_eq!(decode(&one).unwrap().not_running(), Some(state));
    }
    one["State"] = json!({"Status": "running", "Running": true, "Paused": true});
    assert_eq!(
        decode(&one).unwrap().not_running(),
        Some(ContainerState::Paused)
    );
}

#[test]
fn a_port_is_about_to_be_published_while_it_is_asked_for_and_no_port_is_listed() {
    let mut one = fixture(0);
    assert!(!decode(&one).unwrap().is_about_to_publish(12345));
    one["NetworkSettings"]["Ports"] = json!({});
    assert!(decode(&one).unwrap().is_about_to_publish(12345));
    assert!(!decode(&one).unwrap().is_about_to_publish(4000));
    one["HostConfig"]["PortBindings"] = json!({});
    assert!(!decode(&one).unwrap().is_about_to_publish(12345));
    one["HostConfig"]["PublishAllPorts"] = json!(true);
    assert!(decode(&one).unwrap().is_about_to_publish(12345));
}

#[test]
fn json_of_any_depth_does_not_overflow_the_stack() {
    let deep = |open: &str, close: &str| {
        let text = format!("{}1{}", open.repeat(1 << 20), close.repeat(1 << 20));
        let id = "a".repeat(64);
        [
            text.clone(),
            format!(r#"{{"Id":"{id}","Unknown":{text}}}"#),
            format!(r#"{{"Id":"{id}","Config":{{"Labels":{text}}}}}"#),
            format!(r#"{{"Id":"{id}","NetworkSettings":{{"Ports":{{"1/tcp":{text}}}}}}}"#),
        ]
    };
    for text in deep("[", "]").into_iter().chain(deep(r#"{"a":"#, "}")) {
        if let Ok(container) = Container::decode(text.as_bytes()) {
            use_it(&container);
        }
    }
}

/// Every place in a JSON document, as a pointer.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            pointers(value, &format!("{at}/{key}"), all);
        }),
        Value::Array(list) => {
            let numbered = list.iter().enumerate();
            numbered.for_each(|(number, value)| pointers(value, &format!("{at}/{number}"), all));
        }
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, 1, {"a": []}])),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ]
}

/// Uses whatever was decoded, as a lookup would.
fn use_it(container: &Container) {
    let _ = (
        container.not_running(),
        container.network_host(),
        container.is_called("x"),
    );
    let _ = container.is_about_to_publish(12345);
    let settings = &container.network_settings;
    let _ = settings.bindings(12345).count();
    for (_, network) in settings.networks() {
        let _ = (
            network.address(true),
            network.address(false),
            network.gateway(true),
        );
    }
}

/// As Docker keeps it, who writes such a label by hand.
#[test]
fn half_a_surrogate_pair_in_a_label_harms_nobody() {
    let mut one = fixture(0);
    one["Config"]["Labels"] = json!({"a": "x", "epmd-docker.port": "7", "epmd-docker.node": "y"});
    let text = one.to_string().replace(r#""a":"x""#, r#""a":"\ud800""#);
    let text = text.replace(r#""y""#, r#""y\udc00""#);
    let container = Container::decode(text.as_bytes()).unwrap();
    assert_eq!(container.config.labels.get("epmd-docker.port"), Some("7"));
}

proptest! {
    #[test]
    fn a_value_of_another_type_is_read_or_refused(
        number in 0..FIXTURES.len(), place in any::<prop::sample::Index>(), value in any_value(),
    ) {
        let mut one = fixture(number);
        let mut places = Vec::new();
        pointers(&one, "", &mut places);
        *one.pointer_mut(&places[place.index(places.len())]).unwrap() = value;
        if let Ok(container) = decode(&one) {
            use_it(&container);
        }
    }

    #[test]
    fn a_text_that_is_cut_off_is_refused(
        number in 0..FIXTURES.len(), place in any::<prop::sample::Index>(),
    ) {
        let text = FIXTURES[number].2.trim_end().as_bytes();
        let cut = &text[..place.index(text.len())];
        prop_assert!(matches!(Container::decode(cut), Err(Error::BadResponse(_))));
    }

    #[test]
    fn a_text_with_a_wrong_byte_is_read_or_refused(
        number in 0..FIXTURES.len(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut text = FIXTURES[number].2.as_bytes().to_vec();
        let place = place.index(text.len());
        text[place] = byte;
        if let Ok(container) = Container::decode(&text) {
            use_it(&container);
        }
    }
}
