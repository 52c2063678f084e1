//! Digests of a stream of bytes.

use openssl::hash::{Hasher, MessageDigest};

use crate::imagelist::Sha512Digest;

/// The digests that the cache keeps of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) sha512: Sha512Digest,
    pub(super) sha1: [u8; 20],
}

/// Computes SHA-512 and SHA-1. It uses OpenSSL, which is the fastest for images in the benchmark `digest`.
pub(super) struct ImageHasher {
    sha512: Hasher,
    sha1: Hasher,
}

impl ImageHasher {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { sha512: Hasher::new(MessageDigest::sha512())?, sha1: Hasher::new(MessageDigest::sha1())? })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sha512.update(bytes)?;
        self.sha1.update(bytes)?;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> std::io::Result<Digests> {
        let (mut sha512, mut sha1) = ([0; 64], [0; 20]);
        sha512.copy_from_slice(&self.sha512.finish()?);
        sha1.copy_from_slice(&self.sha1.finish()?);
        Ok(Digests { sha512: Sha512Digest::from_bytes(sha512), sha1 })
    }
}
