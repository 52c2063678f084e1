//! A signed file of checksums as a source, over a real server: SHA256SUMS and SHA512SUMS, detached and clear-signed.

use harness::gpg::{Gpg, PgpForm};
use harness::image_server::Resource;
use harness::site::{Run, Site};
use jiff::SignedDuration;
use vmcatcher_operator::trust::Sha256Digest;

use super::openpgp::trust_key;

/// A site that follows a file of checksums on its server, and the key of who signs it.
pub(crate) struct Mirror {
    pub(crate) site: Site,
    pub(crate) gpg: Gpg,
    pub(crate) key: String,
}

impl Mirror {
    pub(crate) fn new(source: &str) -> Self {
        let site = Site::new();
        let gpg = Gpg::at(site.now());
        let key = gpg.key("Ann", "ed25519", "5d");
        trust_key(&site, &key, &gpg.export(&key));
        let mirror = Self { site, gpg, key };
        mirror.subscribe(source, "");
        mirror
    }

    /// Writes the subscription `vo`; `more` are lines of its spec.
    pub(crate) fn subscribe(&self, source: &str, more: &str) {
        let root = self.site.server.url("");
        let source = source.replace("ROOT", &root);
        self.site.manifest("subscription-vo", &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: \
             {source}\n  verify: {{endorserRefs: [{{name: endorser}}]}}\n  images: {{include: {{match: [{{name: \
             all}}]}}}}\n  {more}\n"
        ));
    }

    /// Puts the time forward, for a new signature.
    pub(super) fn pass_minute(mut self) -> Self {
        self.site.pass_time(SignedDuration::from_mins(1));
        self.gpg = self.gpg.set(self.site.now());
        self
    }

    /// Puts bytes on the server, with a validator that follows from them.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let etag = format!("\"{}\"", Sha256Digest::of(bytes));
        self.site.server.put(path, Resource::bytes(bytes).etag(&etag));
    }

    /// Puts an image on the server. Returns the first digits of its sha512, as on a shelf.
    pub(crate) fn image(&self, name: &str, seed: u64) -> String {
        let image = Resource::pattern(seed, 10_000).etag(&format!("\"{seed}\""));
        let digest = image.sha512()[..12].to_owned();
        self.site.server.put(&format!("/images/{name}"), image);
        digest
    }

    /// Puts a text and its detached signature on the server.
    pub(crate) fn publish(&self, text: &[u8]) {
        self.put("/images/SHA512SUMS.gpg", &self.gpg.detached(text, &self.key, &[]));
        self.put("/images/SHA512SUMS", text);
    }

    /// What people see: version and digest of each image.
    pub(super) fn endorsed(&self) -> Vec<String> {
        let entries = self.site.shelf("endorsed");
        entries.iter().map(|entry| entry.split_once('/').unwrap().1.to_owned()).collect()
    }
}

/// One run: `Status Reason` of `SourceVerified`, and the message of `Ready`.
pub(super) async fn verified(site: &Site) -> (String, Run) {
    let run = site.run().await;
    (run.list_condition("SourceVerified"), run)
}

/// A source of one image in `SHA512SUMS`.
pub(crate) const SUMS: &str = r"{checksums: {url: 'ROOT/images/SHA512SUMS', images: [{name: noble, file: 'noble-(?<version>\d+)\.img', title: Ubuntu, os: Linux}]}}";

/// A line of GNU coreutils.
pub(crate) fn line(name: &str, seed: u64) -> String {
    format!("{} *{name}\n", Resource::pattern(seed, 10_000).sha512())
}

/// A site with the first version of the image in force.
async fn settled() -> (Mirror, String, String) {
    let mirror = Mirror::new(SUMS);
    let digest = mirror.image("noble-1.img", 1);
    let text = line("noble-1.img", 1);
    mirror.publish(text.as_bytes());
    let (found, run) = verified(&mirror.site).await;
    assert_eq!(found, "True Verified", "{:?}", run.subscription("vo").conditions);
    assert_eq!(mirror.endorsed(), [format!("1-{digest}")]);
    (mirror, text, digest)
}

#[tokio::test]
async fn an_image_is_cached_and_follows_the_file() {
    let (mirror, text, first) = settled().await;
    let run = mirror.site.run().await;
    let list = run.subscription("vo").list.unwrap();
    assert_eq!((list.title.as_str(), list.signers.len()), ("SHA512SUMS", 1));
    let images = mirror.site.server.requests("/images/noble-1.img").len();
    let mirror = mirror.pass_minute();
    let second = mirror.image("noble-2.img", 2);
    mirror.publish(format!("{text}{}", line("noble-2.img", 2)).as_bytes());
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    assert_eq!(mirror.endorsed(), [format!("2-{second}")]);
    assert_eq!(mirror.site.server.requests("/images/noble-1.img").len(), images, "nothing is downloaded twice");
    let archived = mirror.site.shelf("expired");
    assert!(archived.iter().any(|entry| entry.ends_with(&format!("1-{first}"))), "{archived:?}");
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_sent_again() {
    let (mirror, text, _) = settled().await;
    let mirror = mirror.pass_minute();
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    let requests = |path: &str| mirror.site.server.requests(path).last().unwrap().status;
    assert_eq!((requests("/images/SHA512SUMS"), requests("/images/SHA512SUMS.gpg")), (304, 304));
    let version = mirror.site.run().await.list_version();
    mirror.put("/images/SHA512SUMS.gpg", &mirror.gpg.detached(text.as_bytes(), &mirror.key, &[]));
    let (found, run) = verified(&mirror.site).await;
    assert_eq!(found, "True Verified");
    assert!(run.list_version() > version, "a renewed signature of the same file is seen");
}

#[tokio::test]
async fn what_is_not_signed_as_it_must_be_changes_nothing() {
    let (mirror, text, first) = settled().await;
    let old_signature = mirror.gpg.detached(text.as_bytes(), &mirror.key, &[]);
    let mirror = mirror.pass_minute();
    let second = mirror.image("noble-2.img", 2);
    let newer = format!("{text}{}", line("noble-2.img", 2));
    let stranger = mirror.gpg.key("Sid", "ed25519", "never");
    let stays = |what: &str| assert_eq!(mirror.endorsed(), [format!("1-{first}")], "{what}");
    mirror.publish(newer.as_bytes());
    mirror.put("/images/SHA512SUMS", newer.replacen(' ', "  ", 1).as_bytes());
    assert_eq!(verified(&mirror.site).await.0, "False SignatureInvalid");
    stays("a changed line");
    mirror.publish(newer.as_bytes());
    mirror.put("/images/SHA512SUMS.gpg", &mirror.gpg.detached(newer.as_bytes(), &stranger, &[]));
    assert_eq!(verified(&mirror.site).await.0, "False EndorserNotTrusted");
    stays("a stranger");
    mirror.site.server.put("/images/SHA512SUMS.gpg", Resource::status(404));
    assert_eq!(verified(&mirror.site).await.0, "False Unsigned");
    stays("no signature");
    mirror.site.server.put("/images/SHA512SUMS.gpg", Resource::status(500));
    let run = mirror.site.run().await;
    assert_eq!(run.list_condition("FetchFailed"), "True HTTPError", "it is not known whether there is one");
    stays("a server that fails");
    mirror.publish(newer.as_bytes());
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    assert_eq!(mirror.endorsed(), [format!("2-{second}")]);
    mirror.put("/images/SHA512SUMS.gpg", &old_signature);
    mirror.put("/images/SHA512SUMS", text.as_bytes());
    assert_eq!(verified(&mirror.site).await.0, "False VersionRollback");
    assert_eq!(mirror.endorsed(), [format!("2-{second}")]);
    let mirror = mirror.pass_minute();
    mirror.site.pass_time(SignedDuration::from_hours(24 * 6));
    mirror.publish(newer.as_bytes());
    assert_eq!(verified(&mirror.site).await.0, "False CertificateExpired");
    assert_eq!(mirror.endorsed(), [format!("2-{second}")], "an expired key");
}

#[tokio::test]
async fn an_image_that_the_file_does_not_have_stays() {
    let (mirror, _, first) = settled().await;
    let mirror = mirror.pass_minute();
    mirror.publish(line("other.img", 3).as_bytes());
    let (found, run) = verified(&mirror.site).await;
    assert_eq!(found, "True Verified");
    let status = run.subscription("vo");
    assert_eq!(status.images.unwrap().refused, 1);
    assert!(
        status.notes[0].message.starts_with("noble: expected a file that its pattern matches"),
        "{:?}",
        status.notes
    );
    assert_eq!(mirror.endorsed(), [format!("1-{first}")]);
}

#[tokio::test]
async fn another_address_is_another_list() {
    let (mirror, text, first) = settled().await;
    mirror.put("/other/SHA512SUMS.gpg", &mirror.gpg.detached(text.as_bytes(), &mirror.key, &[]));
    mirror.put("/other/SHA512SUMS", text.as_bytes());
    mirror.subscribe(&SUMS.replace("/images/", "/other/"), "");
    assert_eq!(verified(&mirror.site).await.0, "False IdentifierMismatch");
    assert_eq!(mirror.endorsed(), [format!("1-{first}")], "nothing is lost");
    mirror.subscribe(SUMS, "");
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    assert_eq!(mirror.endorsed(), [format!("1-{first}")]);
}

/// What a command prints over the volume of a site.
fn shown(site: &Site, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_operator"));
    let output = command.args(arguments).arg("--volume").arg(site.path("volume")).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Clear-signed with sizes, as Fedora does it, and with digests of SHA-256; a signature with an address of its own.
#[tokio::test]
async fn other_forms() {
    let clear = r"{checksums: {url: 'ROOT/images/CHECKSUM', images: [{name: cloud, file: 'cloud-(?<version>[\d.-]+)\.qcow2'}]}}";
    let mirror = Mirror::new(clear);
    let bytes: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    let sha512 = Resource::bytes(bytes.clone()).sha512()[..12].to_owned();
    let sha256 = Sha256Digest::of(&bytes).to_string().replace("sha256:", "");
    mirror.put("/images/cloud-42-1.1.qcow2", &bytes);
    let name = "cloud-42-1.1.qcow2";
    let text = format!("# {name}: {} bytes\nSHA256 ({name}) = {sha256}\n", bytes.len());
    mirror.put("/images/CHECKSUM", &mirror.gpg.sign(text.as_bytes(), &mirror.key, PgpForm::Clear));
    let (found, run) = verified(&mirror.site).await;
    assert_eq!(found, "True Verified", "{:?}", run.subscription("vo").conditions);
    assert_eq!(mirror.endorsed(), [format!("42-1.1-{sha512}")]);
    let shown = shown(&mirror.site, &["get", "images", "--available", "-o", "json"]);
    assert!(shown.contains(&sha512) && shown.contains("cloud-42-1.1.qcow2"), "what was learned is shown: {shown}");
    let list = self::shown(&mirror.site, &["list", "show", "vo"]);
    assert!(list.contains("cloud") && list.contains("42-1.1"), "{list}");
    let apart =
        clear.replace("url: 'ROOT/images/CHECKSUM'", "url: 'ROOT/images/SUMS', signature: 'ROOT/keys/SUMS.sig'");
    let mirror = Mirror::new(&apart);
    mirror.put("/images/cloud-42-1.1.qcow2", &bytes);
    let text = format!("{sha256}  {name}\n");
    mirror.put("/images/SUMS", text.as_bytes());
    assert_eq!(verified(&mirror.site).await.0, "False Unsigned");
    mirror.put("/keys/SUMS.sig", &mirror.gpg.detached(text.as_bytes(), &mirror.key, &[]));
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    assert_eq!(mirror.endorsed(), [format!("42-1.1-{sha512}")]);
}
