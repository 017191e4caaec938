//! Which hosts a node name may make us connect to. Without this, whoever can
//! make us look up a name could make us send requests to any address.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::host_addr::HostAddr;
use crate::settings::SettingError;

/// Private (RFC 1918, 6598, 4193), loopback and link-local ranges.
const DEFAULT: [&str; 10] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "fc00::/7",
    "::1/128",
    "fe80::/10",
    "localhost",
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
            self.ranges.push(range);
        } else {
            match HostAddr::parse(entry) {
                Some(HostAddr::Ip(ip)) => self.ranges.push(IpNet::from(ip)),
                Some(HostAddr::Name(name)) => self.names.push(name.to_ascii_lowercase()),
                None => {
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
    pub fn allows(&self, ip: IpAddr, name: Option<&str>) -> bool {
        let ip = ip.to_canonical();
        let named = |name: &str| self.names.iter().any(|own| own.eq_ignore_ascii_case(name));
        self.all || self.ranges.iter().any(|range| range.contains(&ip)) || name.is_some_and(named)
    }
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
        let outside = "8.8.8.8 172.32.0.1 100.128.0.1 2001:db8::1 ::ffff:8.8.8.8 0.0.0.0";
        for ip in outside.split_whitespace() {
            assert!(!allows(&hosts, ip), "{ip}");
        }
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
        for bad in ["", "1.2.3.4/33", "a b", "1.2.3", "-x.y", "http://a"] {
            let error = AllowedHosts::parse(&["10.0.0.1", bad]).unwrap_err();
            assert_eq!(
                (error.setting, error.value.as_str()),
                ("allowed_hosts", bad)
            );
        }
    }
}
