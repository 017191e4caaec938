//! The ways that may lead to a container, each with what speaks against it.
//! The choice is made from this list, and `explain` shows it.

use std::net::IpAddr;

use crate::found::Via;

/// One address and port by which a container may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `None` where there is not even an address.
    pub address: Option<IpAddr>,
    /// `None` where it is not known: the epmd at the address has to be asked.
    pub port: Option<u16>,
    /// How it leads to the container.
    pub via: Via,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the way to take.
    Taken,
    /// It leads there too, but another one is nearer; the rank that it has,
    /// where the lowest wins.
    Spare(u8),
    /// It does not lead there, or must not be used.
    Refused(Refusal),
}

/// What speaks against a candidate.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The setting `address` asks for another kind.
    NotWanted,
    /// The node name names the Docker host, so the published port counts.
    NameOfHost,
    /// The daemon runs elsewhere, and every host has the same private networks.
    OtherHost,
    /// The setting `network`, or the container's label, names another one.
    OtherNetwork,
    /// It is of the other address family.
    OtherFamily,
    /// We have no address in that network.
    NotShared,
    /// The container does not publish its distribution port.
    NotPublished,
    /// Only the container's epmd knows the port, and it tells the one inside.
    PortUnknown,
    /// It is the loopback of another machine.
    Loopback,
    /// The host has no address of the family.
    NoHostAddress,
    /// It is the network of the host, and we are in a container.
    InContainer,
    /// `allowed_hosts` forbids it.
    HostNotAllowed,
}

impl Candidate {
    pub(crate) fn new(
        address: Option<IpAddr>,
        port: Option<u16>,
        via: Via,
        verdict: Verdict,
    ) -> Self {
        Self {
            address,
            port,
            via,
            verdict,
        }
    }

    pub(crate) fn is_refused(&self, refusal: Refusal) -> bool {
        self.verdict == Verdict::Refused(refusal)
    }

    /// Marks the best one: the lowest rank, then the lowest address and port;
    /// the container's own addresses are in the order of their networks.
    pub(crate) fn take_best(candidates: &mut [Self]) {
        let best = candidates
            .iter_mut()
            .filter_map(|one| match one.verdict {
                Verdict::Spare(rank) => {
                    let place = (one.via == Via::Published).then_some((one.address, one.port));
                    Some(((rank, place), one))
                }
                _ => None,
            })
            .min_by_key(|(key, _)| *key);
        if let Some((_, best)) = best {
            best.verdict = Verdict::Taken;
        }
    }
}
