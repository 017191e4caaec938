//! Which hosts a node name may make us connect to. Without this, whoever can
//! make us look up a name could make us send requests to any address.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::host_addr::HostAddr;
use crate::settings::SettingError;

/// Private (RFC 1918, 6598, 4193), loopback and link-local ranges.
const DEFAULT: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "fc00::/7",
    "::1/128",
    "fe80::/10",
];

/// A list of addresses, ranges and host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHosts {
    all: bool,
    ranges: Vec<IpNet>,
    names: Vec<String>,
}

impl AllowedHosts {
    /// Each entry is an address, a CIDR range, a host name, or `*` for all.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, SettingError> {
        let mut hosts = Self {
            all: false,
            ranges: Vec::new(),
            names: Vec::new(),
        };
        for entry in entries {
            hosts.push(entry.as_ref())?;
        }
        Ok(hosts)
    }

    fn push(&mut self, entry: &str) -> Result<(), SettingError> {
        if entry == "*" {
            self.all = true;
        } else if let Ok(range) = IpNet::from_str(entry) {
            self.ranges.push(canonical(range));
        } else {
            match HostAddr::parse(entry) {
                Some(HostAddr::Ip(ip)) if is_a_host(ip.to_canonical()) => {
                    self.ranges.push(IpNet::from(ip.to_canonical()));
                }
                Some(HostAddr::Name(name)) => self.names.push(name.to_ascii_lowercase()),
                _ => {
                    return Err(SettingError {
                        setting: "allowed_hosts",
                        value: entry.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether `ip` may be connected to, where `name` resolved to it. An
    /// IPv4-mapped IPv6 address counts as the IPv4 address that it leads to.
    /// What is no host's address is not allowed by `*` either.
    pub fn allows(&self, ip: IpAddr, name: Option<&str>) -> bool {
        let ip = ip.to_canonical();
        let named = |name: &str| self.names.iter().any(|own| own.eq_ignore_ascii_case(name));
        let in_range = || self.ranges.iter().any(|range| range.contains(&ip));
        is_a_host(ip) && (self.all || in_range() || name.is_some_and(named))
    }
}

/// A connect to `0.0.0.0` or `::` leads to our own loopback (Linux), to a group
/// or everybody it leads nowhere.
fn is_a_host(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// As the addresses that are looked for in it are: `::ffff:10.0.0.0/104` is
/// `10.0.0.0/8`.
fn canonical(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return range };
    let prefix = v6.prefix_len().checked_sub(96);
    let mapped = v6.network().to_ipv4_mapped().zip(prefix);
    mapped
        .and_then(|(v4, prefix)| Ipv4Net::new(v4, prefix).ok())
        .map_or(range, IpNet::V4)
}

impl Default for AllowedHosts {
    fn default() -> Self {
        // The list is a constant, and a test parses it.
        Self::parse(&DEFAULT).unwrap_or(Self {
            all: false,
            ranges: Vec::new(),
            names: Vec::new(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn allows(hosts: &AllowedHosts, ip: &str) -> bool {
        hosts.allows(ip.parse().unwrap(), None)
    }

    #[test]
    fn by_default_private_and_loopback_only() {
        let hosts = AllowedHosts::default();
        assert_eq!(hosts, AllowedHosts::parse(&DEFAULT).unwrap());
        let inside = "10.99.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 127.0.0.1 \
                      169.254.1.1 fd00::1 ::1 fe80::1 ::ffff:10.0.0.1";
        for ip in inside.split_whitespace() {
            assert!(allows(&hosts, ip), "{ip}");
        }
        let outside = "8.8.8.8 172.32.0.1 100.128.0.1 2001:db8::1 ::ffff:8.8.8.8 0.0.0.0 :: \
                       ::10.0.0.1 64:ff9b::a00:1 2002:a00:1::1 224.0.0.1 239.255.0.1 ff02::1 \
                       255.255.255.255 240.0.0.1 0.0.0.1";
        for ip in outside.split_whitespace() {
            assert!(!allows(&hosts, ip), "{ip}");
        }
    }

    /// What a cloud's machines know as their metadata service is in a range of
    /// the default; who names other ranges leaves it out.
    #[test]
    fn link_local_is_allowed_by_default_only() {
        assert!(allows(&AllowedHosts::default(), "169.254.169.254"));
        let hosts = AllowedHosts::parse(&["10.0.0.0/8"]).unwrap();
        assert!(!allows(&hosts, "169.254.169.254") && !allows(&hosts, "127.0.0.1"));
    }

    #[test]
    fn a_name_of_the_default_is_checked_by_its_address() {
        let public = "8.8.8.8".parse().unwrap();
        assert!(!AllowedHosts::default().allows(public, Some("localhost")));
    }

    #[test]
    fn what_is_no_host_is_never_allowed() {
        for entries in [&["*"][..], &["0.0.0.0/0", "::/0"], &["a.example"]] {
            let hosts = AllowedHosts::parse(entries).unwrap();
            let none = "0.0.0.0 :: ::ffff:0.0.0.0 224.0.0.1 ff02::1 ::ffff:224.0.0.1 \
                        255.255.255.255";
            for ip in none.split_whitespace() {
                let ip: IpAddr = ip.parse().unwrap();
                assert!(!hosts.allows(ip, Some("a.example")), "{entries:?} {ip}");
            }
        }
    }

    #[test]
    fn mapped_addresses_and_ranges_are_those_of_ipv4() {
        let hosts = AllowedHosts::parse(&["::ffff:10.0.0.0/104", "::ffff:1.2.3.4"]).unwrap();
        let inside = "10.255.0.1 ::ffff:10.0.0.1 1.2.3.4 ::ffff:1.2.3.4";
        assert!(inside.split_whitespace().all(|ip| allows(&hosts, ip)));
        assert!(!allows(&hosts, "11.0.0.1") && !allows(&hosts, "::ffff:1.2.3.5"));
        let six = AllowedHosts::parse(&["::/0"]).unwrap();
        assert!(allows(&six, "2001:db8::1") && !allows(&six, "::ffff:8.8.8.8"));
    }

    #[test]
    fn entries_are_addresses_ranges_names_and_a_star() {
        let hosts = AllowedHosts::parse(&["1.2.3.4", "2001:db8::/32", "Build.Example"]).unwrap();
        assert!(allows(&hosts, "1.2.3.4") && allows(&hosts, "2001:db8:1::1"));
        assert!(!allows(&hosts, "1.2.3.5"));
        let other = "9.9.9.9".parse().unwrap();
        assert!(hosts.allows(other, Some("build.example")));
        assert!(!hosts.allows(other, Some("other.example")));
        assert!(allows(&AllowedHosts::parse(&["*"]).unwrap(), "9.9.9.9"));
    }

    #[test]
    fn a_bad_entry_is_named() {
        let no_hosts = ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1"];
        let no_entries = ["", "1.2.3.4/33", "a b", "1.2.3", "-x.y", "http://a", "a:80"];
        for bad in no_entries.into_iter().chain(no_hosts) {
            let error = AllowedHosts::parse(&["10.0.0.1", bad]).unwrap_err();
            assert_eq!(
                (error.setting, error.value.as_str()),
                ("allowed_hosts", bad)
            );
        }
    }
}
