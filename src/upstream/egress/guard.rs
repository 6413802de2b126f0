//! The egress guard decides which addresses may be connected to.
//!
//! Only public internet addresses are allowed, because a field can name any host and a name can resolve to any
//! address: without the guard, a credential could be used to explore the network that Keytile runs in. An operator
//! opens more networks with `--allow-private-egress`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Decides whether an address may be connected to.
#[derive(Debug, Clone, Default)]
pub(in crate::upstream) struct Guard {
    allowed: Vec<IpNet>,
}

impl Guard {
    pub(in crate::upstream) fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Allows every address. For hosts that only an operator can name.
    pub(in crate::upstream) fn open() -> Self {
        Self::new(vec![IpNet::V4(v4(0, 0, 0, 0, 0)), IpNet::V6(v6(0, 0, 0, 0))])
    }

    /// The address in the form to connect to, or the kind of address that is refused.
    pub(in crate::upstream) fn check(&self, address: IpAddr) -> Result<IpAddr, &'static str> {
        // An IPv4 address written as IPv6 is that IPv4 address, for the system and for the rules.
        let canonical = address.to_canonical();
        match kind(canonical) {
            Some(kind) if !self.allows(canonical) => Err(kind),
            _ => Ok(canonical),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|net| net.contains(&address))
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// The IANA IPv4 Special-Purpose Address Registry, limited to entries that are not globally reachable, and
/// multicast.
const REFUSED_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "an unspecified address"),
    (v4(10, 0, 0, 0, 8), "a private address"),
    (v4(100, 64, 0, 0, 10), "a shared address of a carrier's network"),
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    // Cloud metadata services respond at 169.254.169.254.
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    // Azure's platform endpoint has a public address, but responds only inside a virtual machine.
    (v4(168, 63, 129, 16, 32), "a cloud metadata address"),
    (v4(172, 16, 0, 0, 12), "a private address"),
    (v4(192, 0, 0, 0, 24), "a reserved address"),
    (v4(192, 0, 2, 0, 24), "a documentation address"),
    (v4(192, 88, 99, 0, 24), "a reserved address"),
    (v4(192, 168, 0, 0, 16), "a private address"),
    (v4(198, 18, 0, 0, 15), "a benchmarking address"),
    (v4(198, 51, 100, 0, 24), "a documentation address"),
    (v4(203, 0, 113, 0, 24), "a documentation address"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v4(255, 255, 255, 255, 32), "a broadcast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
];

/// Blocks in `2000::/3` that are not globally reachable, or that get a specific message.
const REFUSED_V6: &[(Ipv6Net, &str)] = &[
    // Teredo, ORCHID, benchmarking: the whole block that IANA reserves for protocols.
    (v6(0x2001, 0, 0, 23), "a reserved address"),
    (v6(0x2001, 0xdb8, 0, 32), "a documentation address"),
    // 6to4: a relay would forward it to the IPv4 address inside.
    (v6(0x2002, 0, 0, 16), "a tunnel address"),
    (v6(0x3fff, 0, 0, 20), "a documentation address"),
    (v6(0xfc00, 0, 0, 7), "a private address"),
    (v6(0xfe80, 0, 0, 10), "a link-local address"),
    (v6(0xfec0, 0, 0, 10), "a private address"),
    (v6(0xff00, 0, 0, 8), "a multicast address"),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// The kind of address that must not be connected to, or `None` for a public one.
fn kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => REFUSED_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, kind)| *kind),
        IpAddr::V6(address) if address.is_loopback() => Some("a loopback address"),
        IpAddr::V6(address) if address.is_unspecified() => Some("an unspecified address"),
        // In IPv6-only networks, public IPv4 services have such addresses (RFC 6052).
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            kind(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(address) => match REFUSED_V6.iter().find(|(net, _)| net.contains(&address)) {
            Some((_, kind)) => Some(kind),
            None if GLOBAL_UNICAST.contains(&address) => None,
            // Includes the deprecated form `::a.b.c.d`, which contains an IPv4 address.
            None => Some("a reserved address"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(address: &str) -> bool {
        Guard::default().check(address.parse().unwrap()).is_err()
    }

    #[test]
    fn only_public_addresses_pass() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.1.2.3",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(refused(address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(!refused(address), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_passes_in_every_way_to_write_it() {
        let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        assert_eq!(guard.check("10.1.2.3".parse().unwrap()), Ok("10.1.2.3".parse().unwrap()));
        assert_eq!(guard.check("::ffff:10.1.2.3".parse().unwrap()), Ok("10.1.2.3".parse().unwrap()));
        assert!(guard.check("fd12::1".parse().unwrap()).is_ok());
        assert!(guard.check("10.2.0.1".parse().unwrap()).is_err());
        assert!(guard.check("fc00::1".parse().unwrap()).is_err());
        assert!(guard.check("127.0.0.1".parse().unwrap()).is_err());
    }

    #[test]
    fn an_open_guard_lets_everything_pass() {
        for address in ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "::ffff:192.168.0.1", "8.8.8.8", "2a00:1450:4001::1"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(Guard::open().check(address), Ok(address.to_canonical()));
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_in_every_form(bits: u32) {
            let plain = Ipv4Addr::from_bits(bits);
            let verdict = kind(plain.into());
            let guard = Guard::default();
            prop_assert_eq!(guard.check(plain.to_ipv6_mapped().into()), verdict.map_or(Ok(plain.into()), Err));
            let nat64 = Ipv6Addr::from_bits(0x0064_ff9b << 96 | u128::from(bits));
            prop_assert_eq!(guard.check(nat64.into()).err(), verdict);
            // The deprecated form is refused whatever address it contains.
            prop_assert!(guard.check(plain.to_ipv6_compatible().into()).is_err());
            prop_assert!(guard.check(Ipv6Addr::from_bits(0x2002 << 112 | u128::from(bits) << 80).into()).is_err());
        }

        #[test]
        fn nothing_the_standard_library_calls_local_passes(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let local = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
                || address.is_broadcast() || address.is_documentation() || address.is_unspecified();
            prop_assert!(!local || kind(address.into()).is_some());
        }
    }
}
