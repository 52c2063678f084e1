//! Keys: expired, revoked, weak, bound wrongly.

use harness::gpg::{Gpg, PgpForm};
use jiff::{SignedDuration, Timestamp};
use vmcatcher_operator::trust::{
    AcceptRequest, AlgorithmPolicy, Anchors, EndorserRule, Fingerprint, LastAccepted, PublicKey, Reverification,
    VerifyRequest, accept, reverify, verify,
};

use super::{GOOD, GPG, endorser, list, told, verdict};
use crate::trust::{ask_nothing, now, request};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What comes of a list that a key signs, as text and as packets.
fn by(key: &str, signer: &str, exported: &[u8]) -> String {
    let [text, packets] = [PgpForm::Clear, PgpForm::Binary]
        .map(|form| told(verdict(&GPG.sign(&list(), signer, form), &[endorser("only", key, exported)])));
    assert_eq!(text, packets);
    text
}

#[test]
fn kinds_of_keys() {
    let invalid = "EndorserNotTrusted Some(0) false";
    let table = [
        ("rsa2048", ""),
        ("rsa3072", ""),
        ("nistp256", ""),
        ("nistp384", ""),
        ("nistp521", ""),
        ("ed25519", ""),
        ("rsa1024", invalid),
        ("dsa2048", invalid),
    ];
    for (algorithm, expected) in table {
        let key = GPG.key(&format!("Kind {algorithm}"), algorithm, "never");
        let exported = GPG.export(&key);
        assert_eq!(by(&key, &key, &exported), expected, "{algorithm}");
        let read = PublicKey::read([&exported[..]], &key.parse().unwrap());
        assert_eq!(read.is_ok(), expected.is_empty(), "{algorithm}: {read:?}");
    }
}

#[test]
fn subkeys() {
    let key = GPG.key("Sue Subkeys", "ed25519", "never");
    let (first, second) = (GPG.subkey(&key, "rsa3072", "30d"), GPG.subkey(&key, "ed25519", "never"));
    let weak = GPG.subkey(&key, "rsa1024", "never");
    let exported = GPG.export(&key);
    for (case, credential, signer, expected) in [
        ("primary by itself", &key, &key, ""),
        ("a subkey of the primary", &key, &first, ""),
        ("another subkey", &key, &second, ""),
        ("the subkey that is named", &first, &first, ""),
        ("another than the one that is named", &first, &second, "EndorserNotTrusted Some(0) false"),
        ("the primary of the one that is named", &first, &key, "EndorserNotTrusted Some(0) false"),
        ("a weak one", &key, &weak, "KeyTooWeak Some(0) false"),
    ] {
        assert_eq!(by(credential, signer, &exported), expected, "{case}");
    }
    let read = |named: &str| {
        let named: Fingerprint = named.parse().unwrap();
        PublicKey::read([&exported[..]], &named).unwrap().good_until(&named, now())
    };
    assert_eq!(read(&key), Ok(None), "one of its keys never ends");
    assert_eq!(read(&first), Ok(Some(now() + DAY * 30)));
    GPG.revoke_subkey(&key, 1, 3);
    let exported = GPG.export(&key);
    assert_eq!(by(&key, &second, &exported), "");
    let signed = GPG.run(&["--local-user", &format!("{second}!"), "--clear-sign", "--output", "-"], &list());
    assert_eq!(told(verdict(&signed, &[endorser("only", &key, &exported)])), "");
}

/// A subkey is revoked: retired ones freeze, compromised ones withdraw.
#[test]
fn revoked_subkeys() {
    for (reason, expected) in [(1, "true"), (2, "false"), (3, "false"), (0, "true")] {
        let key = GPG.key(&format!("Rex Subkey {reason}"), "ed25519", "never");
        let subkey = GPG.subkey(&key, "ed25519", "never");
        let message = GPG.sign(&list(), &subkey, PgpForm::Clear);
        let by_primary = GPG.sign(&list(), &key, PgpForm::Clear);
        GPG.revoke_subkey(&key, 1, reason);
        let endorsers = [endorser("rex", &key, &GPG.export(&key))];
        let expected = format!("CertificateRevoked Some(0) {expected}");
        assert_eq!(told(verdict(&message, &endorsers)), expected, "reason {reason}");
        assert_eq!(told(verdict(&by_primary, &endorsers)), "", "reason {reason}");
    }
}

/// A certificate of revocation beside the key, in its own block or taken into it.
#[test]
fn revoked_keys() {
    for (reason, expected) in [(0, "true"), (1, "true"), (2, "false"), (3, "false")] {
        let expected = |depth: u32| format!("CertificateRevoked Some({depth}) {expected}");
        let own = Gpg::at(now());
        let key = own.key("Rita Revoked", "ed25519", "never");
        let subkey = own.subkey(&key, "ed25519", "never");
        let before = own.export(&key);
        let signed = |signer: &str| own.sign(&list(), signer, PgpForm::Clear);
        let (by_primary, by_subkey) = (signed(&key), signed(&subkey));
        let revocation = own.revocation(&key, reason);
        own.import(&revocation);
        for exported in
            [[before.clone(), revocation.clone()].concat(), own.export(&key), [before, own.export(&key)].concat()]
        {
            let endorsers = [endorser("rita", &key, &exported)];
            assert_eq!(told(verdict(&by_primary, &endorsers)), expected(0), "reason {reason}");
            assert_eq!(told(verdict(&by_subkey, &endorsers)), expected(1), "reason {reason}");
        }
        let other = endorser("greta", &GOOD, &[GPG.export(&GOOD), revocation].concat());
        assert_eq!(told(verdict(&GPG.sign(&list(), &GOOD, PgpForm::Clear), &[other])), "", "another key's revocation");
    }
}

/// A key may name another one that can revoke it.
#[test]
fn designated_revokers() {
    let own = Gpg::at(now());
    let (key, revoker) = (own.key("Dora", "ed25519", "never"), own.key("Rob Revoker", "ed25519", "never"));
    let message = own.sign(&list(), &key, PgpForm::Clear);
    own.talk(&["--edit-key", &key], &format!("addrevoker\n{revoker}\ny\nsave\n"));
    let before = own.export(&key);
    let judge = |exported: &[u8]| told(verdict(&message, &[endorser("dora", &key, exported)]));
    assert_eq!(judge(&before), "");
    let revocation = own.talk(&["--armor", "--desig-revoke", &key], "y\n1\n\ny\n");
    let revoker = own.export(&revoker);
    assert_eq!(
        judge(&[before.clone(), revocation.clone(), revoker.clone()].concat()),
        "CertificateRevoked Some(0) true"
    );
    assert_eq!(judge(&[before, revocation].concat()), "CertificateRevoked Some(0) false", "not proved: frozen");
}

#[test]
fn dates() {
    let own = Gpg::at(now() - DAY * 100);
    let key = own.key("Eve Expiring", "ed25519", "30d");
    let message = own.sign(&list(), &key, PgpForm::Clear);
    let short = own.export(&key);
    let at = |message: &[u8], exported: &[u8], at: Timestamp| {
        let endorsers = [endorser("eve", &key, exported)];
        told(verify(message, &VerifyRequest { at, ..request(&Anchors::default(), &endorsers, 1) }).outcome)
    };
    let made = now() - DAY * 100;
    assert_eq!(at(&message, &short, made + DAY), "");
    assert_eq!(at(&message, &short, made + DAY * 30 - SignedDuration::from_secs(1)), "");
    assert_eq!(at(&message, &short, made + DAY * 30), "CertificateExpired Some(0) false");
    assert_eq!(at(&message, &short, made - DAY), "PurposeMismatch Some(0) false", "before there was a key");
    own.run_at(made + DAY * 20, &["--quick-set-expire", &key, "200d"], b"");
    let longer = own.export(&key);
    assert_eq!(at(&message, &longer, now()), "", "its owner gave it more time");
    own.run_at(made + DAY * 40, &["--quick-set-expire", &key, "1d"], b"");
    assert_eq!(at(&message, &own.export(&key), now()), "CertificateExpired Some(0) false");
    let own = own.set(now() + DAY);
    own.run(&["--quick-set-expire", &key, "never"], b"");
    let exported = own.export(&key);
    let future = own.sign(&list(), &key, PgpForm::Clear);
    assert_eq!(at(&future, &exported, now() + DAY), "");
    assert_eq!(at(&future, &longer, now()), "CertificateNotYetValid Some(0) false");
    let ending = own.sign_as(&list(), &[&key], &["--clear-sign", "--default-sig-expire", "2d"]);
    assert_eq!(at(&ending, &exported, now() + DAY * 2), "");
    assert_eq!(at(&ending, &exported, now() + DAY * 3), "CertificateExpired Some(0) false");
}

/// SHA-1 and MD5, in the signature and in what binds the key.
#[test]
fn weak_digests() {
    let key = GPG.key("Will Weak", "rsa2048", "never");
    let exported = GPG.export(&key);
    let own = Gpg::at(now());
    own.run(
        &["--cert-digest-algo", "SHA1", "--quick-generate-key", "Old <old@example.org>", "rsa2048", "sign", "never"],
        b"",
    );
    let old = own.fingerprints("Old").remove(0);
    let weak = "DigestNotAllowed Some(0) false";
    for (digest, refused, allowed) in
        [("SHA1", weak, true), ("MD5", "DigestBroken Some(0) false", true), ("RIPEMD160", weak, false)]
    {
        let allow = AlgorithmPolicy { allow_sha1: true, allow_md5: true, ..AlgorithmPolicy::default() };
        for more in [["--clear-sign", "--digest-algo", digest], ["--sign", "--digest-algo", digest]] {
            let message = GPG.sign_as(&list(), &[&key], &more);
            let endorsers = [endorser("will", &key, &exported)];
            let anchors = Anchors::default();
            let ask = request(&anchors, &endorsers, 1);
            assert_eq!(told(verify(&message, &ask).outcome), refused, "{digest}");
            let expected = if allowed { "" } else { refused };
            assert_eq!(
                told(verify(&message, &VerifyRequest { algorithms: allow, ..ask }).outcome),
                expected,
                "{digest}"
            );
        }
    }
    let message = own.sign(&list(), &old, PgpForm::Clear);
    let bound_weakly = told(verdict(&message, &[endorser("old", &old, &own.export(&old))]));
    assert_eq!(bound_weakly, "DigestNotAllowed Some(0) false", "a key that is bound by SHA-1");
}

#[test]
fn what_is_no_public_key() {
    let good: Fingerprint = GOOD.parse().unwrap();
    let public = GPG.export(&GOOD);
    let other = GPG.export(&GPG.key("Otto Other", "ed25519", "never"));
    let refused = |bytes: &[u8]| PublicKey::read([bytes], &good).unwrap_err().to_string();
    assert!(refused(&GPG.export_secret(&GOOD)).contains("found a secret one"));
    assert!(refused(b"").contains("found none"), "{}", refused(b""));
    assert!(refused(&other).contains("expected the key"), "{}", refused(&other));
    assert!(refused(&public[..public.len() / 2]).contains("cut off"));
    assert!(refused(&GPG.sign(&list(), &GOOD, PgpForm::Armor)).contains("PGP MESSAGE"));
    assert!(refused(&GPG.detached(&list(), &GOOD, &[])).contains("PGP SIGNATURE"));
    assert!(refused(&[&public[..], b"more"].concat()).contains("found"));
    assert!(refused(&vec![b'\n'; (1 << 20) + 1]).contains("at most 1048576 bytes"));
    assert!(PublicKey::read([&[other, public].concat()[..]], &good).is_ok(), "a keyring");
}

/// What became of the list in force, as the reconcile asks in each pass.
fn stands(message: &[u8], last: &LastAccepted, endorsers: &[EndorserRule], at: Timestamp) -> String {
    let anchors = Anchors::default();
    match reverify(message, last, &VerifyRequest { at, ..request(&anchors, endorsers, 1) }) {
        Reverification::InForce(_) => "InForce".to_owned(),
        Reverification::Frozen(_, refusal) => format!("Frozen {}", refusal.reason),
        Reverification::Withdrawn(_, refusal) => format!("Withdrawn {}", refusal.reason),
        Reverification::Broken(refusal) => format!("Broken {}", refusal.reason),
    }
}

#[test]
fn the_list_in_force_stands_freezes_and_goes() {
    let own = Gpg::at(now());
    let key = own.key("Fred Force", "ed25519", "30d");
    let subkey = own.subkey(&key, "ed25519", "30d");
    let exported = own.export(&key);
    for signer in [&key, &subkey] {
        let message = own.sign(&list(), signer, PgpForm::Clear);
        let endorsers = [endorser("fred", &key, &exported)];
        let verified = verdict(&message, &endorsers).unwrap();
        let last = accept(verified, &AcceptRequest { now: now(), ..ask_nothing() }).outcome.unwrap().last_accepted();
        assert_eq!(stands(&message, &last, &endorsers, now()), "InForce");
        assert_eq!(stands(&message, &last, &endorsers, now() + DAY * 99), "InForce", "the key ended meanwhile");
        let revoked = |reason| [exported.clone(), own.revocation(&key, reason)].concat();
        let with = |exported: &[u8]| [endorser("fred", &key, exported)];
        assert_eq!(stands(&message, &last, &with(&revoked(1)), now() + DAY), "Withdrawn CertificateRevoked");
        assert_eq!(stands(&message, &last, &with(&revoked(2)), now() + DAY), "Frozen CertificateRevoked");
        assert_eq!(stands(&message, &last, &with(b""), now()), "Frozen EndorserNotTrusted", "its key is gone");
        assert_eq!(
            stands(&message, &last, &[endorser("greta", &GOOD, &GPG.export(&GOOD))], now()),
            "Frozen EndorserNotTrusted"
        );
        let mut by_a_person = with(&exported);
        by_a_person[0].trust = vmcatcher_operator::trust::TrustLevel::Revoked;
        assert_eq!(stands(&message, &last, &by_a_person, now()), "Withdrawn EndorserNotTrusted");
        let mut gone = with(b"");
        gone[0].credentials[0].trust = vmcatcher_operator::trust::TrustLevel::Revoked;
        assert_eq!(
            stands(&message, &last, &gone, now()),
            "Withdrawn EndorserNotTrusted",
            "revoked, and its key is gone"
        );
        gone[0].credentials[0].trust = vmcatcher_operator::trust::TrustLevel::Hold;
        assert_eq!(stands(&message, &last, &gone, now()), "Frozen EndorserNotTrusted");
        let tampered = String::from_utf8(message.clone()).unwrap().replace("Images for tests", "Images for fools");
        assert_eq!(stands(tampered.as_bytes(), &last, &endorsers, now()), "Broken SignatureInvalid");
    }
}
