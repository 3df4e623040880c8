//! TCP ports on 127.0.0.1.
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::Error;

/// Whether a server could listen there now. Only that answers it: a connect would miss who does not answer.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The addresses of the router. IPv6 only where the machine has it.
pub(crate) fn loopback_addresses(port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    addresses
}

/// A free port for a server. Below the range from which the kernel takes ports for outgoing connections, so
/// that it is still free after a restart; from a place that differs by group, so that two groups that start
/// together do not race for the same ports.
pub(crate) fn choose(seed: u64, taken: &BTreeSet<u16>) -> Result<u16, Error> {
    let width = u64::from(TO - FROM);
    (0..width)
        .map(|step| FROM + u16::try_from((seed + step) % width).expect("the remainder is below the width"))
        .find(|port| !taken.contains(port) && is_free(*port))
        .ok_or(Error::NoFreePort { from: FROM, to: TO })
}

const FROM: u16 = 15_000;
const TO: u16 = 31_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_neither_a_taken_nor_a_known_port() {
        let first = choose(7, &BTreeSet::new()).unwrap();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        assert!(!is_free(first));
        let second = choose(7, &BTreeSet::new()).unwrap();
        assert_ne!(first, second);
        assert_ne!(choose(7, &BTreeSet::from([second])).unwrap(), second);
    }
}
