//! A site that follows a repository, from the registry to the shelf of endorsed images.

use data_encoding::HEXLOWER;
use harness::image_server::{ImageServer, Resource};
use harness::oci::{Artefact, MANIFEST, Registry, ScriptedRegistry, SigningKey, digest, statement};
use harness::site::{Run, Site};
use jiff::SignedDuration;
use sha2::{Digest as _, Sha512};

use super::registry::{REPOSITORY, identifier, made, notes, publish, site_of, trust_key};

/// How an image of a tag is called on a shelf: by the SHA-512 of its bytes.
fn entry(site: &Site, tag: &str, artefact: &Artefact) -> String {
    let version = artefact.annotations["org.opencontainers.image.created"].as_str().unwrap();
    let version: jiff::Timestamp = version.parse().unwrap();
    let sha512 = HEXLOWER.encode(&Sha512::digest(&artefact.layer));
    let host = site.server.address().to_string();
    format!("{}/{}-{}", identifier(&host, tag), version.strftime("%Y%m%d%H%M%S"), &sha512[..12])
}

fn condition(run: &Run, name: &str) -> String {
    run.list_condition(name)
}

#[tokio::test]
async fn a_signed_tag_is_cached_and_follows_its_new_versions() {
    for referrers in [true, false] {
        let key = SigningKey::new();
        let site = site_of(&key);
        let registry = ScriptedRegistry::new(&site.server, referrers);
        let (first, second) = (made(&site, 5, "first"), made(&site, 4, "second"));
        publish(&registry, "22.04", &first, &key);
        registry.push(REPOSITORY, "24.04", &second);
        registry.push_bundle(REPOSITORY, &second.manifest(), &key.envelope(&statement(&second.digest())));
        publish(&registry, "latest", &made(&site, 3, "not taken"), &key);
        let run = site.run().await;
        assert_eq!(condition(&run, "SourceVerified"), "True Verified", "{:?}", run.subscription("vo"));
        let mut expected = [entry(&site, "22.04", &first), entry(&site, "24.04", &second)];
        expected.sort();
        assert_eq!(site.shelf("endorsed"), expected, "by their sha512");
        let third = made(&site, 1, "third");
        publish(&registry, "22.04", &third, &key);
        let run = site.run().await;
        assert_eq!(notes(&run), Vec::<String>::new());
        let mut expected = [entry(&site, "22.04", &third), entry(&site, "24.04", &second)];
        expected.sort();
        assert_eq!(site.shelf("endorsed"), expected);
    }
}

/// Each forgery leaves what was there where it is, and says why.
#[tokio::test]
async fn what_is_forged_never_enters_and_nothing_is_lost() {
    let (key, stranger) = (SigningKey::new(), SigningKey::new());
    let site = site_of(&key);
    let registry = ScriptedRegistry::new(&site.server, true);
    let (good, other) = (made(&site, 5, "good"), made(&site, 5, "other"));
    publish(&registry, "22.04", &good, &key);
    publish(&registry, "24.04", &other, &key);
    site.run().await;
    let mut shelf = [entry(&site, "22.04", &good), entry(&site, "24.04", &other)];
    shelf.sort();
    assert_eq!(site.shelf("endorsed"), shelf);
    let newer = |content: &str| made(&site, 1, content);

    let check = async |what: &str, reason: &str| {
        let run = site.run().await;
        assert_eq!(site.shelf("endorsed"), shelf, "{what}");
        assert_eq!(notes(&run), [reason], "{what}: {:?}", run.subscription("vo"));
    };
    registry.push(REPOSITORY, "22.04", &newer("unsigned"));
    check("unsigned", "Unsigned").await;
    publish(&registry, "22.04", &newer("of a stranger"), &stranger);
    check("a stranger's", "EndorserNotTrusted").await;
    let elsewhere = newer("elsewhere");
    registry.push(REPOSITORY, "22.04", &elsewhere);
    let payload = harness::oci::payload("registry.example.org/images/other", &elsewhere.digest());
    registry.push_simple(REPOSITORY, &elsewhere.digest(), &payload, &key.sign(&payload));
    check("a payload of another repository", "RepositoryMismatch").await;
    let broken = newer("broken");
    registry.push(REPOSITORY, "22.04", &broken);
    let payload = harness::oci::payload(&format!("{}/{REPOSITORY}", registry.host()), &broken.digest());
    registry.push_simple(REPOSITORY, &broken.digest(), &payload, "AAAA");
    check("a signature that is none", "SignatureInvalid").await;
    let tampered = newer("tampered");
    publish(&registry, "22.04", &tampered, &key);
    let resource = Resource::bytes(newer("put in its place").manifest());
    let resource = resource.header("Docker-Content-Digest", &tampered.digest()).header("Content-Type", MANIFEST);
    site.server.put(&ScriptedRegistry::manifest_path(REPOSITORY, "22.04"), resource);
    check("a tampered manifest", "MessageDigestMismatch").await;
    publish(&registry, "22.04", &made(&site, 9, "from before"), &key);
    check("a tag that moved back", "VersionRollback").await;
    let fine = newer("fine");
    publish(&registry, "22.04", &fine, &key);
    let run = site.run().await;
    assert_eq!(notes(&run), Vec::<String>::new());
    assert!(site.shelf("endorsed").contains(&entry(&site, "22.04", &fine)), "what is good enters");
}

#[tokio::test]
async fn a_repository_without_an_endorsed_tag_is_refused_as_a_list() {
    let (key, stranger) = (SigningKey::new(), SigningKey::new());
    let site = site_of(&key);
    let registry = ScriptedRegistry::new(&site.server, true);
    let artefact = made(&site, 1, "a");
    registry.push(REPOSITORY, "22.04", &artefact);
    assert_eq!(condition(&site.run().await, "SourceVerified"), "False Unsigned");
    registry.sign(REPOSITORY, &artefact, &stranger);
    assert_eq!(condition(&site.run().await, "SourceVerified"), "False EndorserNotTrusted");
    registry.sign(REPOSITORY, &artefact, &key);
    assert_eq!(condition(&site.run().await, "SourceVerified"), "True Verified", "a signature that came later");
    assert_eq!(site.shelf("endorsed"), [entry(&site, "22.04", &artefact)]);
    registry.untag(REPOSITORY, "22.04");
    assert_eq!(condition(&site.run().await, "SourceVerified"), "False ListMalformed", "no tag is left");
    assert_eq!(site.shelf("endorsed"), [entry(&site, "22.04", &artefact)], "absence removes nothing");
}

/// Who may sign is a person's word: a key that is held back freezes, one that is revoked takes its images out.
#[tokio::test]
async fn a_revoked_key_takes_out_what_it_signed_and_nothing_else() {
    let (ann, bob) = (SigningKey::new(), SigningKey::new());
    let site = site_of(&ann);
    trust_key(&site, "bob", &bob, "");
    let registry = ScriptedRegistry::new(&site.server, true);
    let (one, two) = (made(&site, 5, "one"), made(&site, 4, "two"));
    publish(&registry, "22.04", &one, &ann);
    publish(&registry, "24.04", &two, &bob);
    let host = site.server.address().to_string();
    let verify = "verify: {endorserRefs: [{name: endorser}, {name: bob}]}";
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{oci: \
         {{repository: \"{host}/{REPOSITORY}\", insecure: true, tags: \"*\"}}}}\n  {verify}\n  images: {{include: {{match: \
         [{{name: all}}]}}}}\n"
    ));
    let run = site.run().await;
    assert_eq!(run.subscription("vo").list.unwrap().signers.len(), 2);
    let mut both = [entry(&site, "22.04", &one), entry(&site, "24.04", &two)];
    both.sort();
    assert_eq!(site.shelf("endorsed"), both);
    trust_key(&site, "bob", &bob, "trust: Hold");
    let run = site.run().await;
    assert_eq!(condition(&run, "SourceVerified"), "False EndorserOnHold", "{:?}", run.subscription("vo"));
    assert_eq!(site.shelf("endorsed"), both, "nothing is taken away");
    trust_key(&site, "bob", &bob, "trust: Revoked");
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), [entry(&site, "22.04", &one)], "{:?}", run.subscription("vo"));
    trust_key(&site, "endorser", &ann, "trust: Revoked");
    let run = site.run().await;
    assert_eq!(condition(&run, "Ready"), "False EndorserRevoked");
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
}

/// What a registry answers when it does not work, and what the subscription then says. Nothing is lost meanwhile.
#[tokio::test]
async fn a_registry_in_trouble_loses_nothing_and_is_asked_again() {
    let key = SigningKey::new();
    let site = site_of(&key);
    let registry = ScriptedRegistry::new(&site.server, true);
    let artefact = made(&site, 5, "first");
    publish(&registry, "22.04", &artefact, &key);
    site.run().await;
    let shelf = [entry(&site, "22.04", &artefact)];
    assert_eq!(site.shelf("endorsed"), shelf);
    let newer = made(&site, 1, "second");
    publish(&registry, "22.04", &newer, &key);
    let tags = format!("/v2/{REPOSITORY}/tags/list");
    let list = r#"{"name": "images/ubuntu", "tags": ["22.04"]}"#;
    let manifest = ScriptedRegistry::manifest_path(REPOSITORY, "22.04");
    for (path, status, reason) in [
        (&tags, 401, "AuthenticationFailed"),
        (&tags, 403, "AuthenticationFailed"),
        (&tags, 404, "HTTPError"),
        (&tags, 429, "HTTPError"),
        (&tags, 500, "HTTPError"),
        (&manifest, 404, "HTTPError"),
        (&manifest, 500, "HTTPError"),
    ] {
        site.server.put(path, Resource::status(status).header("Retry-After", "7"));
        let run = site.run().await;
        assert_eq!(condition(&run, "FetchFailed"), format!("True {reason}"), "{path} {status}");
        assert_eq!(condition(&run, "Ready"), "True Succeeded", "the list in force is as good as before");
        assert_eq!(site.shelf("endorsed"), shelf, "{path} {status}");
        site.server.put(&tags, Resource::bytes(list));
    }
    site.server.put(&tags, Resource::bytes("<html>"));
    assert_eq!(condition(&site.run().await, "FetchFailed"), "True HTTPError");
    publish(&registry, "22.04", &newer, &key);
    let run = site.run().await;
    assert_eq!(condition(&run, "FetchFailed"), "absent");
    assert_eq!(site.shelf("endorsed"), [entry(&site, "22.04", &newer)]);
}

/// The bytes of a disk: changed ones never enter, and a connection that is cut goes on where it was, also from a store that
/// the registry sends the client to.
#[tokio::test]
async fn a_layer_is_resumed_and_must_be_the_signed_one() {
    let key = SigningKey::new();
    let site = site_of(&key);
    let registry = ScriptedRegistry::new(&site.server, true);
    let store = ImageServer::start();
    let artefact = made(&site, 5, "first");
    publish(&registry, "22.04", &artefact, &key);
    let path = format!("/v2/{REPOSITORY}/blobs/{}", digest(&artefact.layer));
    let mut changed = artefact.layer.clone();
    changed[0] ^= 1;
    site.server.put(&path, Resource::bytes(changed));
    let run = site.run().await;
    let image = identifier(&registry.host(), "22.04");
    assert_eq!(run.image_condition(&image, "Cached"), "False ChecksumMismatch");
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    site.server.put(&path, Resource::redirect(307, &store.url("/disk?X-Signature=s3cret")));
    store.put("/disk", Resource::bytes(artefact.layer.clone()).etag("\"v1\"").cut_every(9_000));
    site.pass_time(SignedDuration::from_mins(2));
    let run = site.run().await;
    assert_eq!(run.image_condition(&image, "Cached"), "True Succeeded", "{:?}", run.image(&image));
    assert_eq!(site.shelf("endorsed"), [entry(&site, "22.04", &artefact)]);
    let ranges: Vec<_> = store.requests("/disk").into_iter().filter_map(|request| request.range).collect();
    assert!(ranges.contains(&"bytes=9000-".to_owned()), "{ranges:?}");
}

/// An unchanged repository costs few requests, and no manifest or signature is fetched again.
#[tokio::test]
async fn an_unchanged_repository_is_cheap() {
    for (referrers, expected) in [(true, [1, 6, 2]), (false, [1, 6, 1])] {
        let key = SigningKey::new();
        let site = site_of(&key);
        let registry = ScriptedRegistry::new(&site.server, referrers);
        for (tag, content) in [("22.04", "one"), ("24.04", "two")] {
            publish(&registry, tag, &made(&site, 5, content), &key);
        }
        let bundled = made(&site, 4, "three");
        registry.push(REPOSITORY, "20.04", &bundled);
        registry.push_bundle(REPOSITORY, &bundled.manifest(), &key.envelope(&statement(&bundled.digest())));
        site.run().await;
        assert_eq!(site.shelf("endorsed").len(), 3);
        let before = site.server.all_requests().len();
        site.run().await;
        let asked: Vec<_> = site.server.all_requests().split_off(before);
        let count = |test: &dyn Fn(&str, &str) -> bool| {
            asked.iter().filter(|request| test(&request.method, &request.target)).count()
        };
        let lists = count(&|_, target| target.contains("/tags/list"));
        let heads = count(&|method, _| method == "HEAD");
        let blobs = count(&|_, target| target.contains("/blobs/"));
        assert_eq!((lists, blobs), (expected[0], 0), "{asked:?}");
        assert!(heads <= expected[1] && asked.len() <= 10, "{} requests, {heads} heads: {asked:?}", asked.len());
    }
}

/// One manifest by its digest. Its tags are not asked for, so that its signatures are looked for where they may be.
#[tokio::test]
async fn a_manifest_is_followed_by_its_digest() {
    for referrers in [true, false] {
        let key = SigningKey::new();
        let site = site_of(&key);
        let registry = ScriptedRegistry::new(&site.server, referrers);
        let (pinned, newer) = (made(&site, 5, "pinned"), made(&site, 1, "newer"));
        let pin = |artefact: &Artefact| {
            site.manifest("subscription-vo", &format!(
                "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: \
                 {{oci: {{repository: \"{}/{REPOSITORY}\", insecure: true, digest: \"{}\"}}}}\n  verify: {{endorserRefs: \
                 [{{name: endorser}}]}}\n  images: {{include: {{match: [{{name: all}}]}}}}\n",
                registry.host(),
                artefact.digest()
            ));
        };
        registry.push(REPOSITORY, "22.04", &pinned);
        registry.push_bundle(REPOSITORY, &pinned.manifest(), &key.message_signature(&pinned.manifest()));
        publish(&registry, "24.04", &newer, &key);
        for artefact in [&pinned, &newer, &pinned] {
            pin(artefact);
            let run = site.run().await;
            assert_eq!(condition(&run, "SourceVerified"), "True Verified", "{:?}", run.subscription("vo"));
            let sha512 = HEXLOWER.encode(&Sha512::digest(&artefact.layer));
            let shelf = site.shelf("endorsed");
            assert!(shelf.len() == 1 && shelf[0].ends_with(&sha512[..12]), "{shelf:?}");
        }
    }
}
