//! Bytes that somebody turned: a verdict, never a panic, and never another list.

use std::sync::LazyLock;

use harness::gpg::PgpForm;
use proptest::prelude::*;
use vmcatcher_operator::trust::{EndorserRule, PublicKey, SignedMessage, join_detached};

use super::{GOOD, GPG, endorser, list, verdict};
use crate::trust::now;

/// Messages in every form, a detached signature, and keys with all that belongs to them.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let key = GPG.key("Mia Mutated", "rsa2048", "30d");
    GPG.subkey(&key, "ed25519", "30d");
    let packets = |arguments: &[&str]| GPG.run(arguments, b"");
    let mut seeds: Vec<Vec<u8>> = PgpForm::ALL.iter().map(|form| GPG.sign(&list(), &GOOD, *form)).collect();
    seeds.push(GPG.sign_as(&list(), &[&GOOD], &["--sign", "--compress-algo", "none"]));
    seeds.push(GPG.detached(&list(), &GOOD, &[]));
    seeds.push(GPG.sign_as(&list(), &[&GOOD], &["--detach-sign"]));
    seeds.push(packets(&["--export", &key]));
    seeds.push([GPG.export(&key), GPG.revocation(&key, 0)].concat());
    seeds
});

static GRETA: LazyLock<EndorserRule> = LazyLock::new(|| endorser("greta", &GOOD, &GPG.export(&GOOD)));

/// What is done to a seed: where, and which bytes take the place of how many.
type Change = (prop::sample::Index, Vec<u8>, usize);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6),
        prop::sample::select(vec![b"\n- ".to_vec(), b"\r\n".to_vec(), b"-----".to_vec(), vec![0xff; 4], vec![0; 4]]),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), bytes, 0_usize..6), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn turned_bytes_are_a_verdict(seed in any::<prop::sample::Index>(), changes in changes()) {
        let mut bytes = SEEDS[seed.index(SEEDS.len())].clone();
        for (at, put, length) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, put);
        }
        if verdict(&bytes, std::slice::from_ref(&GRETA)).is_ok() {
            let json = SignedMessage::read(&bytes).and_then(SignedMessage::into_payload).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(read, serde_json::from_slice::<serde_json::Value>(&list()).unwrap());
        }
        let _ = verdict(&join_detached(&list(), std::slice::from_ref(&bytes)), std::slice::from_ref(&GRETA));
        for key in PublicKey::read_all(&bytes).unwrap_or_default() {
            let _ = key.good_until(key.fingerprint(), now());
        }
    }
}
