//! The rules, as a table: a container, from where it is looked at, and the way.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn decode(container: &Value) -> Container {
    Container::decode(container.to_string().as_bytes()).unwrap()
}

/// On networks `blue` and `green`, with port 12345 published.
fn container() -> Value {
    let network = |v4: &str, v6: &str| {
        json!({
            "IPAddress": format!("{v4}.2"), "IPPrefixLen": 16, "Gateway": format!("{v4}.1"),
            "GlobalIPv6Address": format!("{v6}::2"), "GlobalIPv6PrefixLen": 64,
            "IPv6Gateway": format!("{v6}::1"),
        })
    };
    json!({
        "Id": "a".repeat(64),
        "HostConfig": {"NetworkMode": "blue"},
        "Config": {"Labels": {}},
        "NetworkSettings": {
            "Ports": {"12345/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": "32768"},
                {"HostIp": "::", "HostPort": "32769"},
            ]},
            "Networks": {
                "green": network("172.19.0", "fd19"),
                "blue": network("172.18.0", "fd18"),
            },
        },
    })
}

fn published(bindings: Value) -> Value {
    let mut one = container();
    one["NetworkSettings"]["Ports"]["12345/tcp"] = bindings;
    one
}

fn binding(host_ip: &str, port: &str) -> Value {
    json!({"HostIp": host_ip, "HostPort": port})
}

/// From where a container is looked at.
struct From {
    settings: Settings,
    addresses: Vec<IpAddr>,
    in_host: bool,
    on_host: bool,
    local: bool,
    host: Option<IpAddr>,
}

impl From {
    /// The Docker host itself, over the unix socket, with an address on `green`.
    fn green() -> Self {
        Self {
            settings: Settings::default(),
            addresses: vec![ip("127.0.0.1"), ip("172.19.0.1"), ip("fd19::1")],
            in_host: true,
            on_host: false,
            local: true,
            host: None,
        }
    }

    /// The Docker host, which is on neither network.
    fn beside() -> Self {
        let addresses = vec![ip("127.0.0.1"), ip("10.99.0.7")];
        Self {
            addresses,
            ..Self::green()
        }
    }

    /// Another host, asking `ContainerId@10.99.0.1`, and itself on a network
    /// with the subnet of `green`: every Docker host has such.
    fn afar() -> Self {
        let host = Some(ip("10.99.0.1"));
        Self {
            on_host: true,
            local: false,
            host,
            ..Self::green()
        }
    }

    fn mode(mut self, address: AddressMode) -> Self {
        self.settings.address = address;
        self
    }

    fn network(mut self, name: &str) -> Self {
        self.settings.network = Some(name.to_owned());
        self
    }

    fn in_container(self) -> Self {
        Self {
            in_host: false,
            ..self
        }
    }

    fn look(&self, container: &Value, family: Family, port: DistPort) -> Result<Way, Error> {
        let view = View::new(&self.addresses, self.in_host);
        let vantage = Vantage {
            settings: &self.settings,
            family,
            view: &view,
            on_host: self.on_host,
            local: self.local,
            host: self.host,
            host_name: "docker1",
        };
        route(&decode(container), port, &vantage)
    }

    /// The way with IPv4 to port 12345, as a text.
    fn way(&self, container: &Value) -> String {
        text(self.look(container, Family::Inet, DistPort::Known(12345)))
    }
}

fn text(way: Result<Way, Error>) -> String {
    match way {
        Ok(Way {
            address,
            port: DistPort::Known(port),
            via,
        }) => {
            let via = match via {
                Via::Container { network } => network,
                Via::Published => "published".to_owned(),
                Via::HostNetwork => "host".to_owned(),
            };
            format!("{address} {port} {via}")
        }
        other => format!("{other:?}"),
    }
}

const NO_HOST_ADDRESS: &str = r#"Err(NoHostAddress("docker1"))"#;
const NOT_PUBLISHED: &str = "Err(NotPublished(12345))";
const NO_NETWORK: &str = r#"Err(NoNetwork(["blue", "green"]))"#;

#[test]
fn a_shared_network_comes_first_then_the_published_port() {
    use AddressMode::{Container, Published};
    let one = container();
    let cases = [
        (From::green(), "172.19.0.2 12345 green"),
        (From::green().in_container(), "172.19.0.2 12345 green"),
        (From::green().mode(Container), "172.19.0.2 12345 green"),
        (From::green().mode(Published), "127.0.0.1 32768 published"),
        (From::beside(), "127.0.0.1 32768 published"),
        (From::beside().in_container(), "172.18.0.1 32768 published"),
        (From::beside().mode(Container), NO_NETWORK),
        (From::green().network("green"), "172.19.0.2 12345 green"),
        (From::green().network("blue"), "127.0.0.1 32768 published"),
        (From::green().network("blue").mode(Container), NO_NETWORK),
        (From::green().network("red"), NO_NETWORK),
        (
            From::green().network("red").mode(Published),
            "127.0.0.1 32768 published",
        ),
    ];
    for (number, (from, expected)) in cases.into_iter().enumerate() {
        assert_eq!(from.way(&one), expected, "case {number}");
    }
}

#[test]
fn of_two_shared_networks_the_first_by_name_unless_a_label_tells() {
    let mut from = From::green();
    from.addresses.push(ip("172.18.0.1"));
    let mut one = container();
    assert_eq!(from.way(&one), "172.18.0.2 12345 blue");
    one["Config"]["Labels"]["epmd-docker.network"] = json!("green");
    assert_eq!(from.way(&one), "172.19.0.2 12345 green");
    assert_eq!(from.network("blue").way(&one), "172.18.0.2 12345 blue");
}

#[test]
fn a_containers_own_address_is_of_no_use_on_another_host() {
    use AddressMode::Container;
    let one = container();
    assert_eq!(From::afar().way(&one), "10.99.0.1 32768 published");
    assert_eq!(From::afar().mode(Container).way(&one), NO_NETWORK);
    let remote = From {
        on_host: false,
        ..From::afar()
    };
    assert_eq!(remote.way(&one), "10.99.0.1 32768 published");
    // Our own daemon behind a proxy, and the user says that it is here.
    assert_eq!(remote.mode(Container).way(&one), "172.19.0.2 12345 green");
    // The host is ours: published all the same, unless the user wants it so.
    let local = || From {
        local: true,
        ..From::afar()
    };
    assert_eq!(local().way(&one), "10.99.0.1 32768 published");
    assert_eq!(local().mode(Container).way(&one), "172.19.0.2 12345 green");
}

#[test]
fn an_address_without_a_prefix_is_on_no_network_of_ours() {
    let mut one = container();
    one["NetworkSettings"]["Networks"]["green"]["IPPrefixLen"] = json!(0);
    assert_eq!(From::green().way(&one), "127.0.0.1 32768 published");
    one["NetworkSettings"]["Networks"]["green"]["IPPrefixLen"] = json!(255);
    assert_eq!(From::green().way(&one), "127.0.0.1 32768 published");
}

#[test]
fn of_several_bindings_the_widest_counts() {
    let (any, v6, podman) = (
        binding("0.0.0.0", "1"),
        binding("::", "2"),
        binding("", "3"),
    );
    let (host, other) = (binding("10.99.0.1", "4"), binding("10.99.0.9", "5"));
    let (second, loopback) = (binding("10.99.0.8", "6"), binding("127.0.0.1", "7"));
    let (zero, odd) = (binding("0.0.0.0", "0"), binding("0.0.0.0", "x"));
    let garbage = binding("nowhere", "8");
    let cases = [
        (json!([&any, &v6]), "10.99.0.1 1 published"),
        (json!([&v6, &other, &any]), "10.99.0.1 1 published"),
        (json!([&other, &podman]), "10.99.0.1 3 published"),
        (json!([&other, &host]), "10.99.0.1 4 published"),
        (json!([&loopback, &other, &second]), "10.99.0.8 6 published"),
        (json!([&loopback]), "Err(LoopbackOnly(12345))"),
        (json!([&zero, &odd, &garbage, &v6]), NOT_PUBLISHED),
        (json!([]), NOT_PUBLISHED),
        (json!(null), NOT_PUBLISHED),
    ];
    for (bindings, expected) in cases {
        assert_eq!(
            From::afar().way(&published(bindings.clone())),
            expected,
            "{bindings}"
        );
    }
    // On the Docker host itself its loopback will do, in a container not.
    let own = published(json!([&loopback]));
    assert_eq!(From::beside().way(&own), "127.0.0.1 7 published");
    assert_eq!(
        From::beside().in_container().way(&own),
        "Err(LoopbackOnly(12345))"
    );
}

#[test]
fn each_family_has_its_own_way() {
    let way = |from: From, one: &Value| text(from.look(one, Family::Inet6, DistPort::Known(12345)));
    let one = container();
    assert_eq!(way(From::green(), &one), "fd19::2 12345 green");
    assert_eq!(way(From::beside(), &one), "::1 32769 published");
    assert_eq!(
        way(From::beside().in_container(), &one),
        "fd18::1 32769 published"
    );
    let from = From {
        host: Some(ip("fd99::1")),
        ..From::afar()
    };
    assert_eq!(way(from, &one), "fd99::1 32769 published");
}

#[test]
fn a_container_without_the_family_says_so() {
    let way = |one: &Value, family| {
        let way = |from: From| text(from.look(one, family, DistPort::Known(12345)));
        let host = match family {
            Family::Inet => ip("10.99.0.1"),
            Family::Inet6 => ip("fd99::1"),
        };
        let host = Some(host);
        [
            way(From::green()),
            way(From {
                host,
                ..From::afar()
            }),
        ]
    };
    let (v4, v6) = (binding("0.0.0.0", "1"), binding("::", "2"));
    let mut v4_only = published(json!([&v4]));
    v4_only["NetworkSettings"]["Networks"] =
        json!({"green": {"IPAddress": "172.19.0.2", "IPPrefixLen": 16}});
    let no_network = r#"Err(NoNetwork(["green"]))"#;
    assert_eq!(way(&v4_only, Family::Inet6), [no_network, NOT_PUBLISHED]);
    let in_v4 = ["172.19.0.2 12345 green", "10.99.0.1 1 published"];
    assert_eq!(way(&v4_only, Family::Inet), in_v4);
    let mut v6_only = published(json!([&v6]));
    v6_only["NetworkSettings"]["Networks"] = json!({"green": {
        "IPAddress": "", "GlobalIPv6Address": "fd19::2", "GlobalIPv6PrefixLen": 64,
    }});
    assert_eq!(way(&v6_only, Family::Inet), [no_network, NOT_PUBLISHED]);
    let in_v6 = ["fd19::2 12345 green", "fd99::1 2 published"];
    assert_eq!(way(&v6_only, Family::Inet6), in_v6);
}

#[test]
fn a_host_without_the_family_is_not_an_unpublished_port() {
    let way = |from: From, one: &Value| text(from.look(one, Family::Inet6, DistPort::Known(12345)));
    // The host is known by an IPv4 address only.
    let nameless = || From {
        host: None,
        ..From::afar()
    };
    assert_eq!(way(nameless(), &container()), NO_HOST_ADDRESS);
    let mut one = published(json!([binding("0.0.0.0", "1")]));
    assert_eq!(way(nameless(), &one), NOT_PUBLISHED);
    let specific = published(json!([binding("::", "1"), binding("fd99::1", "2")]));
    assert_eq!(way(nameless(), &specific), "fd99::1 2 published");
    one["HostConfig"]["NetworkMode"] = json!("host");
    assert_eq!(way(nameless(), &one), NO_HOST_ADDRESS);
    let local = From {
        local: true,
        on_host: false,
        ..nameless()
    };
    assert_eq!(way(local, &container()), "fd19::2 12345 green");
}

#[test]
fn what_only_epmd_knows_cannot_be_published() {
    let one = container();
    let look = |from: From| from.look(&one, Family::Inet, DistPort::Epmd);
    assert_eq!(look(From::green()).map(|way| way.port), Ok(DistPort::Epmd));
    assert_eq!(look(From::beside()), Err(Error::NotPublished(4369)));
}

#[test]
fn on_the_hosts_network_the_address_is_the_hosts() {
    let mut one = container();
    one["HostConfig"]["NetworkMode"] = json!("host");
    one["NetworkSettings"] = json!({"Ports": {}, "Networks": {"host": {"IPAddress": ""}}});
    assert_eq!(From::green().way(&one), "127.0.0.1 12345 host");
    assert_eq!(
        From::green().in_container().way(&one),
        r#"Err(NoNetwork(["host"]))"#
    );
    assert_eq!(From::afar().way(&one), "10.99.0.1 12345 host");
    one["HostConfig"]["NetworkMode"] = json!("none");
    one["NetworkSettings"] = json!({"Networks": {"none": {"IPAddress": ""}}});
    assert_eq!(From::green().way(&one), r#"Err(NoNetwork(["none"]))"#);
}

#[test]
fn the_distribution_port_is_the_first_that_is_known() {
    let settings = |remote_port| Settings {
        remote_port,
        ..Settings::default()
    };
    let port = |labels: Value, env: Value, on_host, remote| {
        let mut one = container();
        one["Config"] = json!({"Labels": labels, "Env": env});
        crate::dist_port::dist_port(&decode(&one), "app", on_host, &settings(remote)).0
    };
    let known = DistPort::Known;
    let both = || json!({"epmd-docker.port": "2", "epmd-docker.port.app": "1"});
    let env = || json!(["ERL_DIST_PORT=3", "OTHER=9"]);
    assert_eq!(port(both(), env(), true, Some(4)), known(1));
    assert_eq!(
        port(json!({"epmd-docker.port": "2"}), env(), true, Some(4)),
        known(2)
    );
    assert_eq!(
        port(json!({"epmd-docker.port.b": "1"}), env(), true, Some(4)),
        known(3)
    );
    assert_eq!(port(json!(null), json!(null), true, Some(4)), known(4));
    assert_eq!(port(json!(null), json!(null), true, None), known(12345));
    assert_eq!(port(json!(null), json!(null), false, None), DistPort::Epmd);
    for bad in ["", "0", "65536", "-1", "+1", "1x", "99999999999999999999"] {
        let env = json!([format!("ERL_DIST_PORT={bad}")]);
        let labels = json!({"epmd-docker.port": bad, "epmd-docker.port.app": bad});
        assert_eq!(port(labels, env, false, Some(0)), DistPort::Epmd, "{bad}");
    }
}

/// Else a daemon of another host could name our own loopback.
#[test]
fn a_mapped_binding_is_one_of_ipv4() {
    let bound = |host_ip: &str| published(json!([binding(host_ip, "1")]));
    assert_eq!(
        From::afar().way(&bound("::ffff:127.0.0.1")),
        "Err(LoopbackOnly(12345))"
    );
    let all = From::afar().way(&bound("::ffff:0.0.0.0"));
    assert_eq!(all, "10.99.0.1 1 published");
    let over_v6 = From {
        host: Some(ip("fd99::1")),
        ..From::afar()
    };
    let port = DistPort::Known(12345);
    let way = over_v6.look(&bound("::ffff:127.0.0.1"), Family::Inet6, port);
    assert_eq!(text(way), "Err(NotPublished(12345))");
}
