//! Addresses of clients: the networks that an operator writes down, and the blocks by which
//! clients are counted.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network in CIDR notation (RFC 4632, RFC 4291 §2.3), or a single address.
///
/// An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`) is the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that addresses of the network share: at most 32 or 128.
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is no address, or what follows the slash is no length.
    #[error("expected an address or a network such as 192.0.2.1, 10.0.0.0/8 or fd00::/8")]
    Malformed,
    /// Another network may have been meant.
    #[error("the address has bits beyond the prefix; the network would be {0}")]
    BeyondPrefix(Network),
}

impl Network {
    /// Whether the address is in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix) == self.address
    }

    /// Whether every address of its kind is in it.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }
}

/// The address with nothing but its first bits.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let kept = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(kept));
            IpAddr::V4((address.to_bits() & mask.unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(kept));
            IpAddr::V6((address.to_bits() & mask.unwrap_or(0)).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        let bits = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits(written),
            Some(prefix) => length(prefix)
                .filter(|prefix| *prefix <= bits(written))
                .ok_or(NetworkError::Malformed)?,
        };
        let address = written.to_canonical();
        let prefix = match bits(written) - bits(address) {
            0 => prefix,
            // Shorter ones have more than IPv4 addresses in them.
            more => prefix.checked_sub(more).ok_or(NetworkError::Malformed)?,
        };
        let network = Self {
            address: masked(address, prefix),
            prefix,
        };
        if network.address != address {
            return Err(NetworkError::BeyondPrefix(network));
        }
        Ok(network)
    }
}

/// Digits without a sign or a leading zero.
fn length(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (plain && !padded).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix == whole {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The addresses that one client is likely to have: an IPv4 address, or 64 bits of an IPv6 one,
/// which is what the smallest customer of a provider gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressBlock {
    /// One address.
    V4(u32),
    /// A /64.
    V6(u64),
}

impl AddressBlock {
    /// The block of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_have_what_their_prefix_says() {
        for (network, inside, outside) in [
            (
                "192.0.2.1",
                &["192.0.2.1", "::ffff:192.0.2.1"][..],
                &["192.0.2.2", "::1"][..],
            ),
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255"],
                &["11.0.0.0", "9.255.255.255"],
            ),
            ("0.0.0.0/0", &["0.0.0.0", "255.1.2.3"], &["::1"]),
            ("::1", &["::1"], &["::2", "0.0.0.1"]),
            ("fd00::/8", &["fd00::", "fdff::1"], &["fe00::", "10.0.0.1"]),
            ("2001:db8::/33", &["2001:db8:7fff::1"], &["2001:db8:8000::"]),
            ("::/0", &["::", "ff::"], &["1.2.3.4"]),
            ("::ffff:10.0.0.0/104", &["10.1.1.1"], &["11.0.0.1"]),
        ] {
            let network: Network = network.parse().unwrap();
            for address in inside {
                assert!(
                    network.contains(address.parse().unwrap()),
                    "{network} {address}"
                );
            }
            for address in outside {
                assert!(
                    !network.contains(address.parse().unwrap()),
                    "{network} {address}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "*",
            "localhost",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "::/129",
            "::/1/2",
            "10.0.0.1:80",
            "[::1]",
            "fe80::1%eth0",
            "/8",
            "::ffff:10.0.0.0/80",
            " 10.0.0.1",
            "010.0.0.1",
        ] {
            assert_eq!(
                text.parse::<Network>(),
                Err(NetworkError::Malformed),
                "{text:?}"
            );
        }
        let beyond = "10.0.0.1/8".parse::<Network>().unwrap_err();
        assert!(beyond.to_string().ends_with("10.0.0.0/8"), "{beyond}");
    }

    #[test]
    fn a_block_is_what_one_client_has() {
        let block = |text: &str| AddressBlock::of(text.parse().unwrap());
        assert_eq!(block("2001:db8::1"), block("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(block("2001:db8::1"), block("2001:db8:0:1::1"));
        assert_eq!(block("192.0.2.1"), block("::ffff:192.0.2.1"));
        assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn a_network_reads_back_as_it_is_written(bits: u128, prefix in 0_u8..=128, four: bool) {
            let (address, prefix) = if four {
                let [a, b, c, d, ..] = bits.to_be_bytes();
                (IpAddr::from([a, b, c, d]), prefix / 4)
            } else {
                (IpAddr::from(bits.to_be_bytes()).to_canonical(), prefix)
            };
            let prefix = if address.is_ipv4() { prefix.min(32) } else { prefix };
            let network = Network { address: masked(address, prefix), prefix };
            prop_assert!(network.contains(address));
            prop_assert!(network.contains(network.address));
            // A short prefix of an IPv6 address may leave one that is an IPv4 address.
            prop_assume!(network.address == network.address.to_canonical());
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f:./ ]{0,50}") {
            if let Ok(network) = text.parse::<Network>() {
                prop_assert_eq!(network.to_string().parse(), Ok(network));
            }
        }
    }
}
