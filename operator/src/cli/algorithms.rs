//! Options for weak digests and keys, of every command that verifies signatures.

use clap::ValueEnum;

use crate::trust::{AlgorithmPolicy, KeyStrength};

/// Exceptions for old archives.
#[derive(Debug, clap::Args)]
pub(super) struct Algorithms {
    /// Accept signatures with this outdated digest too: for old archives
    #[arg(long, value_enum, value_name = "DIGEST")]
    allow_digest: Vec<WeakDigest>,
    /// The weakest key that may sign, in bits of security: 112 is RSA of 2048 bits or a curve of 224, 80 is RSA of 1024
    /// bits (for old archives), 0 any key. An OpenPGP key never has less than 112
    #[arg(long, value_name = "BITS", default_value_t = 112, value_parser = clap::value_parser!(u16).range(0..=256))]
    min_key_strength: u16,
}

/// Digests that are refused unless `--allow-digest` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeakDigest {
    Sha1,
    Md5,
}

impl Algorithms {
    /// The policy of these options.
    pub(super) fn policy(&self) -> AlgorithmPolicy {
        let allowed = |digest| self.allow_digest.contains(&digest);
        AlgorithmPolicy {
            allow_sha1: allowed(WeakDigest::Sha1),
            allow_md5: allowed(WeakDigest::Md5),
            weakest_key: KeyStrength::of_bits(self.min_key_strength),
        }
    }
}
