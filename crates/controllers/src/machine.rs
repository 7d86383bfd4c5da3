//! The machine as chart templates see it: its clock, its randomness, its name resolution.

use std::net::ToSocketAddrs as _;

use borax_helm::Env;
use rand::RngCore as _;
use rand::rngs::OsRng;

/// The machine this process runs on.
pub struct Machine;

impl Env for Machine {
    fn now(&self) -> (i64, u32) {
        let now = jiff::Timestamp::now();
        (now.as_second(), now.subsec_nanosecond().unsigned_abs())
    }

    fn random(&self, buffer: &mut [u8]) {
        // Keys and passwords come of it: none at all is better than some that can be guessed, so it ends in a panic
        // where the system has no randomness.
        OsRng.fill_bytes(buffer);
    }

    fn lookup_host(&self, name: &str) -> Vec<String> {
        let found = (name, 0).to_socket_addrs();
        found.into_iter().flatten().map(|address| address.ip().to_string()).collect()
    }
}
