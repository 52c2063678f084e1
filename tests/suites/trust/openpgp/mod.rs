//! OpenPGP lists, signed by the real `gpg`: every form, every defect of a key.

mod command;
mod crossed;
mod files;
mod forms;
mod keys;
mod mutations;
mod several;

use std::sync::LazyLock;

use harness::gpg::Gpg;
use harness::list::ListBuilder;
use vmcatcher_operator::trust::{
    Anchors, Credential, CredentialKind, CrlPolicy, EndorserRule, OpenPgpCredential, PublicKey, Refusal, TrustLevel,
    VerifiedList, verify,
};

use super::{IDENTIFIER, now, request};

/// One keyring for all tests of this module.
static GPG: LazyLock<Gpg> = LazyLock::new(|| Gpg::at(now()));

/// The fingerprint of a key that is good.
static GOOD: LazyLock<String> = LazyLock::new(|| GPG.key("Greta Good", "ed25519", "never"));

/// A list that names a certificate, as publishers of today's format must.
pub(crate) fn list() -> Vec<u8> {
    ListBuilder::new(IDENTIFIER, now()).endorser_names("/CN=anybody", "/CN=any CA").images(2).json()
}

/// A list that names a key by its fingerprint.
fn list_naming(name: &str) -> Vec<u8> {
    ListBuilder::new(IDENTIFIER, now()).endorser_names(name, "OpenPGP").images(2).json()
}

fn credential(fingerprint: &str, key: &[u8]) -> Credential {
    let fingerprint = fingerprint.parse().unwrap();
    let key = PublicKey::read([key], &fingerprint).map_err(|error| error.to_string());
    Credential {
        name: "key".to_owned(),
        trust: TrustLevel::Trusted,
        kind: CredentialKind::OpenPgp(OpenPgpCredential { fingerprint, key }),
    }
}

/// An endorser that is one key.
pub(crate) fn endorser(name: &str, fingerprint: &str, key: &[u8]) -> EndorserRule {
    EndorserRule {
        name: name.to_owned(),
        trust: TrustLevel::Trusted,
        crl_policy: CrlPolicy::Require,
        anchors: None,
        credentials: vec![credential(fingerprint, key)],
    }
}

/// Verifies for the endorsers alone: there is no certificate authority.
pub(crate) fn verdict(message: &[u8], endorsers: &[EndorserRule]) -> Result<VerifiedList, Refusal> {
    verify(message, &request(&Anchors::default(), endorsers, 1)).outcome
}

/// The reason and the depth, and whether it is the owner's word; nothing for a list that is taken.
pub(crate) fn told(outcome: Result<VerifiedList, Refusal>) -> String {
    match outcome {
        Ok(_) => String::new(),
        Err(refusal) => format!("{} {:?} {}", refusal.reason, refusal.depth, refusal.is_statement()),
    }
}
