//! How fast SHA-512 is by the crate `sha2` and by OpenSSL: the faster one is used for images.
//!
//! Run with `cargo bench -p vmcatcher-tests --bench digest`.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "its output is the figure")]

use std::time::{Duration, Instant};

use openssl::hash::{Hasher, MessageDigest};
use sha2::{Digest, Sha512};

const SIZE: usize = 256 * 1024;
const ROUNDS: usize = 2000;

fn main() {
    let block = vec![0x5a; SIZE];
    let median = |work: &dyn Fn() -> Vec<u8>| {
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                let began = Instant::now();
                assert_eq!(work().len(), 64);
                began.elapsed()
            })
            .collect();
        times.sort();
        (SIZE * ROUNDS) as u128 / times[2].as_micros()
    };
    let by_sha2 = || {
        let mut hasher = Sha512::new();
        (0..ROUNDS).for_each(|_| hasher.update(&block));
        hasher.finalize().to_vec()
    };
    let by_openssl = || {
        let mut hasher = Hasher::new(MessageDigest::sha512()).expect("SHA-512");
        (0..ROUNDS).for_each(|_| hasher.update(&block).expect("hashing"));
        hasher.finish().expect("a digest").to_vec()
    };
    assert_eq!(by_sha2(), by_openssl());
    println!("SHA-512 of {} MiB, median of 5", SIZE * ROUNDS / (1024 * 1024));
    println!("sha2     {:5} MB/s", median(&by_sha2));
    println!("OpenSSL  {:5} MB/s", median(&by_openssl));
}
