//! A site for each kind of source, with one image of one version published, and nothing fetched yet.

use harness::gpg::Gpg;
use harness::image_server::Resource;
use harness::oci::{ScriptedRegistry, SigningKey};
use harness::site::Site;

use super::checksums::{Mirror, SUMS, line};
use super::simple_streams::{self, PRODUCTS, SOURCE};
use crate::oci::registry::{REPOSITORY, made, publish, site_of};

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    List,
    Checksums,
    SimpleStreams,
    Repository,
}

/// A site that subscribes to a source as `vo`.
pub(crate) struct Source {
    pub(crate) kind: Kind,
    pub(crate) site: Site,
    /// A file of the source that is not its first.
    pub(crate) last_file: String,
    /// The public key of who signs, as a file that people have; none for a certificate.
    pub(crate) public_key: Vec<u8>,
    /// The signed text.
    pub(crate) text: Vec<u8>,
    /// The keyring lives as long as the site.
    _gpg: Option<Gpg>,
}

/// One of each kind.
pub(crate) fn all() -> [Source; 4] {
    [list(), checksums(), streams(), repository()]
}

pub(crate) fn list() -> Source {
    let site = Site::new();
    let image = site.serve("aaaaaaaa-0000-4000-8000-000000000001", "1", 1, 10_000);
    let list = site.list("1.0", &[&image]);
    site.publish(&list);
    let (last_file, text) = ("/image.list".to_owned(), list.json());
    Source { kind: Kind::List, site, last_file, public_key: Vec::new(), text, _gpg: None }
}

pub(crate) fn checksums() -> Source {
    let mirror = Mirror::new(SUMS);
    mirror.image("noble-1.img", 1);
    let text = line("noble-1.img", 1).into_bytes();
    mirror.publish(&text);
    let (last_file, public_key) = ("/images/SHA512SUMS.gpg".to_owned(), mirror.gpg.export(&mirror.key));
    Source { kind: Kind::Checksums, site: mirror.site, last_file, public_key, text, _gpg: Some(mirror.gpg) }
}

pub(crate) fn streams() -> Source {
    let mirror = Mirror::new(SOURCE);
    let (index, products) = (simple_streams::index(&mirror), simple_streams::products(&mirror, &["20240423"]));
    simple_streams::publish(&mirror, &index, &products);
    let (last_file, public_key) = (PRODUCTS.to_owned(), mirror.gpg.export(&mirror.key));
    let text = format!("{index}\n{products}").into_bytes();
    Source { kind: Kind::SimpleStreams, site: mirror.site, last_file, public_key, text, _gpg: Some(mirror.gpg) }
}

pub(crate) fn repository() -> Source {
    let key = SigningKey::new();
    let site = site_of(&key);
    let artefact = made(&site, 5, "first");
    publish(&ScriptedRegistry::new(&site.server, true), "22.04", &artefact, &key);
    let (last_file, public_key) = (ScriptedRegistry::manifest_path(REPOSITORY, "22.04"), key.public().into_bytes());
    Source { kind: Kind::Repository, site, last_file, public_key, text: artefact.manifest(), _gpg: None }
}

impl Source {
    /// From now on the source answers this where it has its last file.
    pub(crate) fn answers(&self, resource: Resource) {
        self.site.server.put(&self.last_file, resource);
    }
}
