//! Files of checksums and simplestreams mirrors in the forms of the distributions, signed by the real `gpg`.

use harness::gpg::{Gpg, PgpForm};
use jiff::SignedDuration;
use vmcatcher_operator::api::{ChecksumImage, ChecksumsSource, SimpleStreamsSource};
use vmcatcher_operator::imagelist::{
    ChecksumsRule, ListFormat, SignedFile, SimpleStreamsRule, WantedImages, write_signed_files,
};
use vmcatcher_operator::trust::{
    AcceptRequest, Anchors, CHECKSUMS, EndorserRule, Refusal, Reverification, SIMPLE_STREAMS, VerifiedList,
    VerifyRequest, accept, reverify, verify,
};

use super::{GOOD, GPG, endorser};
use crate::trust::{ask_nothing, now, request};

const UBUNTU: &[u8] = include_bytes!("../../../data/checksums/ubuntu-SHA256SUMS");
const DEBIAN: &[u8] = include_bytes!("../../../data/checksums/debian-SHA512SUMS");
const FEDORA: &[u8] = include_bytes!("../../../data/checksums/fedora-CHECKSUM");
const INDEX: &str = include_str!("../../../data/simplestreams/index.json");
const PRODUCTS: &str = include_str!("../../../data/simplestreams/products.json");

fn greta() -> EndorserRule {
    endorser("greta", &GOOD, &GPG.export(&GOOD))
}

fn checksums(url: &str, file: &str) -> ListFormat {
    let image = ChecksumImage {
        name: "image".to_owned(),
        file: file.to_owned(),
        title: None,
        os: Some("Linux".to_owned()),
        os_version: None,
        arch: None,
    };
    let source = ChecksumsSource { url: url.to_owned(), signature: None, images: vec![image] };
    ListFormat::Checksums(ChecksumsRule::new(&source).unwrap())
}

fn ubuntu() -> ListFormat {
    checksums("https://mirror.example.org/noble/current/SHA256SUMS", r"noble-server-cloudimg-amd64\.img")
}

fn streams() -> ListFormat {
    let source = SimpleStreamsSource {
        url: "https://mirror.example.org/releases/streams/v1/index.sjson".to_owned(),
        content_id: "com.ubuntu.cloud:released:download".to_owned(),
        products: vec!["com.ubuntu.cloud:server:*:amd64".to_owned()],
        file_type: "disk1.img".to_owned(),
    };
    ListFormat::SimpleStreams(SimpleStreamsRule::new(&source).unwrap())
}

/// A message of a file with its signature.
fn sums(text: &[u8], signature: Option<&[u8]>) -> Vec<u8> {
    write_signed_files(&[(CHECKSUMS[0], SignedFile { text, signature })])
}

fn mirror(index: &[u8], products: &[u8]) -> Vec<u8> {
    let file = |text| SignedFile { text, signature: None };
    write_signed_files(&[(SIMPLE_STREAMS[0], file(index)), (SIMPLE_STREAMS[1], file(products))])
}

fn judged(message: &[u8], format: &ListFormat, endorsers: &[EndorserRule]) -> Result<VerifiedList, Refusal> {
    verify(message, &VerifyRequest { format, ..request(&Anchors::default(), endorsers, 1) }).outcome
}

/// The reason and the message; nothing for a list that is taken.
fn told(message: &[u8], format: &ListFormat, endorsers: &[EndorserRule]) -> String {
    judged(message, format, endorsers).err().map(|refusal| refusal.to_string()).unwrap_or_default()
}

fn clear(text: &str) -> Vec<u8> {
    GPG.sign(text.as_bytes(), &GOOD, PgpForm::Clear)
}

#[test]
fn the_files_of_the_distributions_are_read() {
    let debian =
        checksums("https://mirror.example.org/debian/SHA512SUMS", r"debian-12-generic-amd64-(?<version>[\d-]+)\.qcow2");
    let fedora = checksums(
        "https://mirror.example.org/fedora/CHECKSUM",
        r"Fedora-Cloud-Base-Generic\.x86_64-(?<version>[\d.-]+)\.qcow2",
    );
    let detached = |text: &[u8], more: &[&str]| {
        let signature = GPG.detached(text, &GOOD, more);
        assert!(GPG.verifies(&signature, Some(text)), "gpg takes it, too");
        sums(text, Some(&signature))
    };
    let cases = [
        (
            ubuntu(),
            detached(UBUNTU, &[]),
            "",
            None,
            "https://mirror.example.org/noble/current/noble-server-cloudimg-amd64.img",
        ),
        (
            debian,
            detached(DEBIAN, &["--digest-algo", "SHA512"]),
            "20240507-1740",
            None,
            "https://mirror.example.org/debian/debian-12-generic-amd64-20240507-1740.qcow2",
        ),
        (
            fedora,
            sums(&GPG.sign(FEDORA, &GOOD, PgpForm::Clear), None),
            "42-1.1",
            Some(532_217_856),
            "https://mirror.example.org/fedora/Fedora-Cloud-Base-Generic.x86_64-42-1.1.qcow2",
        ),
    ];
    for (format, message, version, size, uri) in cases {
        let list = judged(&message, &format, &[greta()]).unwrap_or_else(|refusal| panic!("{uri}: {refusal}"));
        assert_eq!(list.list().version.as_str(), "20260601120000", "the time of the signature");
        assert_eq!((list.list().created, list.list().refused.len()), (now(), 0));
        let [image] = list.list().images.as_slice() else { panic!("{:?}", list.list().images) };
        assert_eq!((image.uri.to_string().as_str(), image.size), (uri, size));
        assert!(version.is_empty() || version == image.version.as_str(), "{}", image.version);
        assert!(accept(list.clone(), &ask_nothing()).outcome.is_ok());
    }
}

#[test]
fn a_file_of_checksums_that_is_not_as_it_was_signed_is_refused() {
    let gpg = Gpg::at(now() - SignedDuration::from_hours(24 * 30));
    let (stranger, expired) = (gpg.key("Sid", "ed25519", "never"), gpg.key("Eve", "ed25519", "10d"));
    let endorsers = [greta(), endorser("eve", &expired, &gpg.export(&expired))];
    let signature = GPG.detached(UBUNTU, &GOOD, &[]);
    let changed = String::from_utf8(UBUNTU.to_vec()).unwrap().replacen(char::from(UBUNTU[0]), "0", 1).into_bytes();
    let signed = GPG.sign(UBUNTU, &GOOD, PgpForm::Clear);
    let text = String::from_utf8(signed.clone()).unwrap();
    let line = format!("{} *noble-server-cloudimg-amd64.img\n", "0".repeat(64));
    let cases = [
        ("a changed line", sums(&changed, Some(&signature)), "SignatureInvalid"),
        ("a changed line, clear", sums(text.replacen(" *noble", "0 *noble", 1).as_bytes(), None), "SignatureInvalid"),
        ("a line before", sums(format!("{line}{text}").as_bytes(), None), "Unsigned"),
        ("a line behind", sums(format!("{text}{line}").as_bytes(), None), "SignatureInvalid"),
        ("a stranger", sums(UBUNTU, Some(&gpg.detached(UBUNTU, &stranger, &[]))), "EndorserNotTrusted"),
        ("an expired key", sums(UBUNTU, Some(&gpg.detached(UBUNTU, &expired, &[]))), "CertificateExpired"),
        ("no signature", sums(UBUNTU, None), "Unsigned"),
        ("a page for a signature", sums(UBUNTU, Some(b"<html>")), "SignatureInvalid"),
        ("both forms", sums(&signed, Some(&signature)), "SignatureInvalid"),
        (
            "a weak digest",
            sums(UBUNTU, Some(&GPG.detached(UBUNTU, &GOOD, &["--digest-algo", "SHA1"]))),
            "DigestNotAllowed",
        ),
        (
            "MD5 only",
            sums(&GPG.sign(b"d41d8cd98f00b204e9800998ecf8427e  a\n", &GOOD, PgpForm::Clear), None),
            "ListMalformed",
        ),
        ("not our form", UBUNTU.to_vec(), "ListMalformed"),
        ("cut off", sums(UBUNTU, Some(&signature))[..4000].to_vec(), "ListMalformed"),
    ];
    assert_eq!(told(&sums(&signed, None), &ubuntu(), &endorsers), "");
    for (what, message, reason) in cases {
        let found = told(&message, &ubuntu(), &endorsers);
        assert!(found.starts_with(&format!("{reason}: ")), "{what}: {found:?}");
    }
}

#[test]
fn the_newest_signature_that_counts_is_the_version() {
    let start = now() - SignedDuration::from_hours(1);
    let mut gpg = Gpg::at(start);
    let (ann, bob, sid) =
        (gpg.key("Ann", "ed25519", "never"), gpg.key("Bob", "ed25519", "never"), gpg.key("Sid", "ed25519", "never"));
    let mut signatures = Vec::new();
    for (minutes, key) in [(10, &ann), (20, &bob), (30, &sid)] {
        gpg = gpg.set(start + SignedDuration::from_mins(minutes));
        let armoured = gpg.detached(UBUNTU, key, &[]);
        signatures.push(gpg.run(&["--dearmor"], &armoured));
    }
    let endorsers = [endorser("ann", &ann, &gpg.export(&ann)), endorser("bob", &bob, &gpg.export(&bob))];
    let list = judged(&sums(UBUNTU, Some(&signatures.concat())), &ubuntu(), &endorsers).unwrap();
    assert_eq!(list.list().created, start + SignedDuration::from_mins(20), "a stranger's signature does not count");
    assert_eq!(list.signers().len(), 2);
}

#[test]
fn an_older_signature_is_a_rollback() {
    let old = sums(&GPG.sign(UBUNTU, &GOOD, PgpForm::Clear), None);
    let later = now() + SignedDuration::from_hours(1);
    let gpg = Gpg::at(later);
    gpg.import(&GPG.export_secret(&GOOD));
    let endorsers = [greta()];
    let (format, anchors) = (ubuntu(), Anchors::default());
    let ask = VerifyRequest { format: &format, at: later, ..request(&anchors, &endorsers, 1) };
    let new = verify(&sums(&gpg.sign(UBUNTU, &GOOD, PgpForm::Clear), None), &ask).outcome.unwrap();
    let request = AcceptRequest { now: later, ..ask_nothing() };
    let last = accept(new, &request).outcome.unwrap().last_accepted();
    let found = accept(verify(&old, &ask).outcome.unwrap(), &AcceptRequest { last: Some(&last), ..request }).outcome;
    assert_eq!(found.unwrap_err().reason(), "VersionRollback");
}

#[test]
fn a_mirror_is_read_where_both_files_are_signed() {
    let message = mirror(&clear(INDEX), &clear(PRODUCTS));
    let list = judged(&message, &streams(), &[greta()]).unwrap();
    assert_eq!(list.list().version.as_str(), "20240524053905");
    assert_eq!(list.list().created.to_string(), "2024-05-24T05:39:07Z");
    let shown: Vec<String> = list
        .list()
        .images
        .iter()
        .map(|image| format!("{} {} {} {:?}", image.title, image.version, image.uri, image.size))
        .collect();
    let root = "https://mirror.example.org/releases/server/releases";
    assert_eq!(
        shown,
        [
            format!(
                "ubuntu 10.04 LTS 20150427 {root}/lucid/release-20150427/ubuntu-10.04-server-cloudimg-amd64-disk1.img Some(226099712)"
            ),
            format!(
                "ubuntu 24.04 LTS 20240523.1 {root}/noble/release-20240523.1/ubuntu-24.04-server-cloudimg-amd64.img Some(460000023)"
            ),
        ]
    );
    let beside = |text: &str| GPG.detached(text.as_bytes(), &GOOD, &[]);
    let (index, products) = (beside(INDEX), beside(PRODUCTS));
    let detached = write_signed_files(&[
        (SIMPLE_STREAMS[0], SignedFile { text: INDEX.as_bytes(), signature: Some(&index) }),
        (SIMPLE_STREAMS[1], SignedFile { text: PRODUCTS.as_bytes(), signature: Some(&products) }),
    ]);
    let again = judged(&detached, &streams(), &[greta()]).unwrap();
    assert_eq!(again.payload_digest(), list.payload_digest(), "the same texts");
}

#[test]
fn a_mirror_that_does_not_fit_together_is_refused() {
    let gpg = Gpg::at(now());
    let stranger = gpg.key("Sid", "ed25519", "never");
    let (index, products) = (clear(INDEX), clear(PRODUCTS));
    let other = |from: &str, to: &str| clear(&PRODUCTS.replacen(from, to, 1));
    let bytes = |text: &str| text.as_bytes().to_vec();
    let changed = String::from_utf8(products.clone()).unwrap().replacen("\"sha256\": \"", "\"sha256\": \"0", 1);
    let cases = [
        ("unsigned products", index.clone(), bytes(PRODUCTS), "Unsigned: products: "),
        ("unsigned index", bytes(INDEX), products.clone(), "Unsigned: index: "),
        ("a changed product", index.clone(), bytes(&changed), "SignatureInvalid: products: "),
        (
            "a stranger's products",
            index.clone(),
            gpg.sign(PRODUCTS.as_bytes(), &stranger, PgpForm::Clear),
            "EndorserNotTrusted: ",
        ),
        (
            "another content",
            index.clone(),
            other("released:download\"", "daily:download\""),
            "ListMalformed: content_id: expected \"com.ubuntu.cloud:released:download\"",
        ),
        (
            "an older products file",
            index.clone(),
            other("Fri, 24 May 2024", "Thu, 23 May 2024"),
            "VersionRollback: expected the products file that the index has",
        ),
        ("a file of the future", index.clone(), other("Fri, 24 May 2024", "Sun, 24 May 2099"), "CreatedInFuture: "),
        ("no products", index.clone(), Vec::new(), "ListMalformed: expected the products file"),
        (
            "an index without them",
            clear(&INDEX.replace("released:download\":", "daily:download\":")),
            Vec::new(),
            "ListMalformed: index[com.ubuntu.cloud:released:download]: ",
        ),
        ("the files exchanged", products, index, "ListMalformed: format: expected \"index:1.0\""),
    ];
    for (what, index, products, expected) in cases {
        let found = told(&mirror(&index, &products), &streams(), &[greta()]);
        assert!(found.starts_with(expected), "{what}: {found:?}");
    }
}

/// Two of two endorsers must have signed each file.
#[test]
fn endorsements_are_counted_for_each_file() {
    let gpg = Gpg::at(now());
    let (ann, bob) = (gpg.key("Ann", "ed25519", "never"), gpg.key("Bob", "ed25519", "never"));
    let endorsers = [endorser("ann", &ann, &gpg.export(&ann)), endorser("bob", &bob, &gpg.export(&bob))];
    let sign = |text: &str, keys: &[&str]| gpg.sign_as(text.as_bytes(), keys, &["--clear-sign"]);
    let format = streams();
    let judge = |message: &[u8], required| {
        let anchors = Anchors::default();
        verify(message, &VerifyRequest { format: &format, ..request(&anchors, &endorsers, required) }).outcome
    };
    let both = mirror(&sign(INDEX, &[&ann, &bob]), &sign(PRODUCTS, &[&ann, &bob]));
    assert_eq!(judge(&both, 2).unwrap().signers().len(), 2);
    let one_each = mirror(&sign(INDEX, &[&ann]), &sign(PRODUCTS, &[&bob]));
    assert_eq!(judge(&one_each, 1).unwrap().signers().len(), 2);
    assert_eq!(judge(&one_each, 2).unwrap_err().reason(), "EndorsementsMissing");
    let half = mirror(&sign(INDEX, &[&ann, &bob]), &sign(PRODUCTS, &[&ann]));
    assert_eq!(judge(&half, 2).unwrap_err().reason(), "EndorsementsMissing");
}

/// A list in force: as long as its files verify, with the rule that the subscription has now.
#[test]
fn a_list_in_force_is_verified_again() {
    let gpg = Gpg::at(now());
    let (ann, bob) = (gpg.key("Ann", "ed25519", "never"), gpg.key("Bob", "ed25519", "never"));
    let endorsers = |ann_key: &[u8]| [endorser("ann", &ann, ann_key), endorser("bob", &bob, &gpg.export(&bob))];
    let good = endorsers(&gpg.export(&ann));
    let (format, anchors) = (streams(), Anchors::default());
    let sign = |text: &str, key: &str| gpg.sign(text.as_bytes(), key, PgpForm::Clear);
    let message = mirror(&sign(INDEX, &ann), &sign(PRODUCTS, &bob));
    let ask = VerifyRequest { format: &format, ..request(&anchors, &good, 1) };
    let last = accept(verify(&message, &ask).outcome.unwrap(), &ask_nothing()).outcome.unwrap().last_accepted();
    let Reverification::InForce(same) = reverify(&message, &last, &ask) else { panic!("in force") };
    assert_eq!((&same.list().version, same.list().created), (&last.version, last.created));
    let revoked = endorsers(&[gpg.export(&ann), gpg.revocation(&ann, 1)].concat());
    let ask_then = VerifyRequest { format: &format, ..request(&anchors, &revoked, 1) };
    let Reverification::Withdrawn(_, refusal) = reverify(&message, &last, &ask_then) else { panic!("withdrawn") };
    assert_eq!(refusal.reason(), "CertificateRevoked", "one of the two files has no signer left");
    let ask_then = VerifyRequest { format: &format, ..request(&anchors, &good[1..], 1) };
    assert!(matches!(reverify(&message, &last, &ask_then), Reverification::Frozen(..)), "an absence only freezes");
    let changed = mirror(&sign(INDEX, &ann), &sign(&PRODUCTS.replacen("226099712", "226099713", 1), &bob));
    assert!(matches!(reverify(&changed, &last, &ask), Reverification::Broken(_)));
    let other = checksums("https://mirror.example.org/other/SHA256SUMS", ".*");
    let of_sums = sums(&sign(std::str::from_utf8(UBUNTU).unwrap(), &ann), None);
    let format = ubuntu();
    let ask = VerifyRequest { format: &format, ..request(&anchors, &good, 1) };
    let last = accept(verify(&of_sums, &ask).outcome.unwrap(), &ask_nothing()).outcome.unwrap().last_accepted();
    assert!(matches!(reverify(&of_sums, &last, &ask), Reverification::InForce(_)));
    let ask = VerifyRequest { format: &other, ..ask };
    assert!(matches!(reverify(&of_sums, &last, &ask), Reverification::Broken(_)), "another address is another list");
}

/// Of a large mirror, only the images that are wanted are kept.
#[test]
fn images_that_are_not_wanted_are_left_out() {
    let (format, anchors, endorsers) = (streams(), Anchors::default(), [greta()]);
    let (selection, known) = (vmcatcher_operator::imagelist::Selection::default(), std::collections::BTreeSet::new());
    let wanted = Some(WantedImages { selection: &selection, known: &known });
    let ask = VerifyRequest { format: &format, wanted, ..request(&anchors, &endorsers, 1) };
    let list = verify(&mirror(&clear(INDEX), &clear(PRODUCTS)), &ask).outcome.unwrap();
    assert_eq!((list.list().images.len(), list.list().left_out.images), (0, 2));
}
