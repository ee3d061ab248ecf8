//! Which addresses a fetch may connect to.
//!
//! Public ones. Everything that leads back into the machine or its network is refused: loopback,
//! private, shared, link-local (where clouds keep their metadata), multicast, what embeds an IPv4
//! address in an IPv6 one (mapped, NAT64, 6to4, Teredo), and whatever is reserved. An operator can
//! allow a network; a host allowed by name may be private, but not link-local, so that whoever
//! rules its DNS does not get at metadata.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A host or a network that fetches may reach although it is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// A host by its name, in lower case.
    Host(String),
    /// All addresses whose first bits are those of this one.
    Network(IpAddr, u8),
}

/// Neither host nor network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a host (idp.internal), an address or a network (10.1.0.0/16)")]
pub struct InvalidAllowed;

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Public,
    /// Somebody's own network.
    Private,
    /// Nothing that anybody serves documents from.
    Never,
}

/// Whether `host`, which is at `address`, may be connected to.
pub(super) fn is_allowed(allow: &[Allowed], host: &str, address: SocketAddr) -> bool {
    let ip = address.ip();
    // A zone picks an interface of this machine.
    if matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0) {
        return false;
    }
    let listed = |wanted: &dyn Fn(&Allowed) -> bool| allow.iter().any(wanted);
    listed(&|allowed| allowed.has_address(ip))
        || match standing(ip) {
            Standing::Public => true,
            Standing::Private => listed(&|allowed| allowed.is_host(host)),
            Standing::Never => false,
        }
}

impl Allowed {
    fn is_host(&self, host: &str) -> bool {
        matches!(self, Self::Host(name) if name == host)
    }

    fn has_address(&self, address: IpAddr) -> bool {
        let Self::Network(network, bits) = self else {
            return false;
        };
        match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => same_start(
                network.to_bits().into(),
                address.to_bits().into(),
                bits + 96,
            ),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_start(network.to_bits(), address.to_bits(), *bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| InvalidAllowed)?;
            let bits: u8 = bits.parse().map_err(|_| InvalidAllowed)?;
            if bits > size(address) {
                return Err(InvalidAllowed);
            }
            return Ok(Self::Network(address, bits));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address, size(address)));
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if text.is_empty() || !text.chars().all(letters) {
            return Err(InvalidAllowed);
        }
        Ok(Self::Host(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Network(address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}

fn size(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn same_start(a: u128, b: u128, bits: u8) -> bool {
    let rest = 128 - u32::from(bits.min(128));
    (a ^ b).checked_shr(rest).unwrap_or(0) == 0
}

fn standing(address: IpAddr) -> Standing {
    match address {
        IpAddr::V4(address) => standing_v4(address),
        IpAddr::V6(address) => standing_v6(address),
    }
}

/// The registry of special addresses (RFC 6890 and its successors).
fn standing_v4(address: Ipv4Addr) -> Standing {
    match address.octets() {
        [127 | 10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => {
            Standing::Private
        }
        // This network, link-local, IETF, documentation, 6to4 relays, benchmarks, multicast and
        // reserved.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [224..=255, ..] => Standing::Never,
        _ => Standing::Public,
    }
}

fn standing_v6(address: Ipv6Addr) -> Standing {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Standing::Private,
        // Where AWS keeps its metadata, within the networks of one's own.
        [0xfd00, 0x0ec2, ..] => Standing::Never,
        [0xfc00..=0xfdff, ..] => Standing::Private,
        // IETF's own (Teredo among them), documentation, 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] => Standing::Never,
        [0x3fff, 0..=0xfff, ..] => Standing::Never,
        // Only this is given out to networks: mapped, NAT64 and link-local addresses are not in it.
        [0x2000..=0x3fff, ..] => Standing::Public,
        _ => Standing::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 443)
    }

    fn allow(texts: &[&str]) -> Vec<Allowed> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_public_addresses_are_allowed_unasked() {
        for address in [
            "8.8.8.8",
            "100.63.255.255",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(is_allowed(&[], "a", socket(address)), "{address}");
        }
        let everything_named = allow(&["a"]);
        for (address, when_named) in [
            ("127.0.0.1", true),
            ("127.255.0.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("192.168.0.1", true),
            ("100.64.0.1", true),
            ("::1", true),
            ("fc00::1", true),
            ("fd12::1", true),
            ("169.254.169.254", false),
            ("169.254.170.2", false),
            ("fd00:ec2::254", false),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("192.0.0.192", false),
            ("192.0.2.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b:1::1", false),
            ("2002:7f00:1::", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert!(!is_allowed(&[], "a", socket(address)), "{address}");
            assert_eq!(
                is_allowed(&everything_named, "a", socket(address)),
                when_named
            );
            assert!(
                !is_allowed(&everything_named, "b", socket(address)),
                "{address}"
            );
            assert!(
                is_allowed(&allow(&[address]), "b", socket(address)),
                "{address}"
            );
        }
    }

    #[test]
    fn a_zone_is_refused_whatever_is_allowed() {
        let zone = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 443, 0, 2);
        assert!(!is_allowed(
            &allow(&["fe80::/10", "a", "::/0"]),
            "a",
            zone.into()
        ));
    }

    #[test]
    fn networks_have_their_bounds() {
        for (network, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.128.0.0/9", "10.200.0.1", "10.0.0.1"),
            ("0.0.0.0/0", "127.0.0.1", "::1"),
            ("fd00::/8", "fdff::1", "fc00::1"),
            ("::/0", "::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            assert!(
                is_allowed(&allow(&[network]), "a", socket(inside)),
                "{network}"
            );
            assert!(
                !is_allowed(&allow(&[network]), "a", socket(outside)),
                "{network}"
            );
        }
        assert_eq!(
            allow(&["IdP.Internal"]),
            [Allowed::Host("idp.internal".into())]
        );
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "a/8",
            "a b",
            "*.a",
            "[::1]",
        ] {
            assert_eq!(text.parse::<Allowed>(), Err(InvalidAllowed), "{text}");
        }
    }
}
