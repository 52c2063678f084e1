//! Reports what the program would do for each object, without doing it. No list server and no cloud is contacted.

use super::check::SpecError;
use super::context::Settings;
use super::{cloud_target, endorser, image, subscription};
use crate::api::{
    CachedImage, CloudAccess, CloudTarget, Endorser, FilesSource, ImageListSubscription, Kind, ObjectKey,
    ObjectReference, Resource,
};
use crate::imagelist::ListFormat;
use crate::store::{ResourceStore, StoreError};

/// The result for one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: ObjectKey,
    /// The server that would be contacted, as text for people; empty if there is none.
    pub asks: String,
    /// What prevents the object from working: errors in its spec, and references to objects that do not exist.
    pub problems: Vec<String>,
}

/// Checks all objects of the store.
pub async fn survey<S: ResourceStore>(store: &S, settings: &Settings) -> Result<Vec<Surveyed>, StoreError> {
    let mut found = Vec::new();
    for object in store.all::<Endorser>() {
        let look = Look::new(store, &*object, endorser::check(&object));
        found.push(look.endorser(&object).await?);
    }
    for object in store.all::<CloudTarget>() {
        let endpoint = cloud_target::checked_endpoint(&object, &settings.instance);
        let look = Look::new(store, &*object, endpoint.as_ref().map_err(Clone::clone));
        found.push(look.target(&object, endpoint.ok().as_ref()).await?);
    }
    for object in store.all::<ImageListSubscription>() {
        let look = Look::new(store, &*object, subscription::check(&object, settings));
        found.push(look.subscription(&object).await?);
    }
    for object in store.all::<CachedImage>() {
        let look = Look::new(store, &*object, image::can_work(&object));
        found.push(look.image(&object));
    }
    Ok(found)
}

struct Look<'c, S> {
    store: &'c S,
    surveyed: Surveyed,
}

impl<'c, S: ResourceStore> Look<'c, S> {
    fn new<K: Resource, T>(store: &'c S, object: &K, checked: Result<T, SpecError>) -> Self {
        let problems = checked.err().map(|error| error.to_string()).into_iter().collect();
        let surveyed = Surveyed { kind: K::KIND, key: ObjectKey::of(object), asks: String::new(), problems };
        Self { store, surveyed }
    }

    async fn endorser(mut self, object: &Endorser) -> Result<Surveyed, StoreError> {
        self.files("trustAnchors", object.spec.trust_anchors.as_ref()).await?;
        for credential in &object.spec.credentials {
            let keys = credential.open_pgp.as_ref().and_then(|key| key.public_key_from.as_ref());
            self.files(&format!("credentials[{}].openPGP.publicKeyFrom", credential.name), keys).await?;
        }
        Ok(self.surveyed)
    }

    async fn target(mut self, object: &CloudTarget, endpoint: Option<&url::Url>) -> Result<Surveyed, StoreError> {
        if let Some(CloudAccess { member, secret_ref, tls, .. }) = object.spec.access() {
            self.secret(&format!("{member}.secretRef"), Some(secret_ref)).await?;
            self.secret(&format!("{member}.tls.certSecretRef"), tls.cert_secret_ref.as_ref()).await?;
        }
        if let Some(endpoint) = endpoint {
            self.surveyed.asks = asks(endpoint, None, object.spec.suspend);
        }
        Ok(self.surveyed)
    }

    async fn subscription(mut self, object: &ImageListSubscription) -> Result<Surveyed, StoreError> {
        let spec = &object.spec;
        self.secret("source.secretRef", spec.source.secret_ref.as_ref()).await?;
        self.secret("source.tls.certSecretRef", spec.source.tls.cert_secret_ref.as_ref()).await?;
        self.secret("verify.decryptionSecretRef", spec.verify.decryption_secret_ref.as_ref()).await?;
        self.objects::<Endorser>("verify.endorserRefs", &spec.verify.endorser_refs);
        self.objects::<CloudTarget>("targetRefs", &spec.target_refs);
        if let Ok((url, _)) = ListFormat::of(&spec.source) {
            self.surveyed.asks = asks(url.url(), Some(&spec.interval), spec.suspend);
        }
        Ok(self.surveyed)
    }

    fn image(mut self, object: &CachedImage) -> Surveyed {
        let spec = &object.spec;
        self.objects::<ImageListSubscription>("subscriptionRef", std::slice::from_ref(&spec.subscription_ref));
        self.objects::<CloudTarget>("targetRefs", spec.target_refs.as_deref().unwrap_or_default());
        self.surveyed
    }

    fn objects<K: Resource>(&mut self, field: &str, references: &[ObjectReference]) {
        for reference in references {
            let key = self.surveyed.key.sibling(&reference.name);
            let there = self.store.get::<K>(&key).is_some();
            self.expect(there, field, &format!("{} {key}", K::KIND));
        }
    }

    async fn files(&mut self, field: &str, source: Option<&FilesSource>) -> Result<(), StoreError> {
        let Some(FilesSource { config_map_ref, secret_ref }) = source else { return Ok(()) };
        self.secret(&format!("{field}.secretRef"), secret_ref.as_ref()).await?;
        let Some(reference) = config_map_ref else { return Ok(()) };
        let key = self.surveyed.key.sibling(&reference.name);
        let there = self.store.config_map(&key).await?.is_some();
        self.expect(there, &format!("{field}.configMapRef"), &format!("ConfigMap {key}"));
        Ok(())
    }

    async fn secret(&mut self, field: &str, reference: Option<&ObjectReference>) -> Result<(), StoreError> {
        let Some(reference) = reference else { return Ok(()) };
        let key = self.surveyed.key.sibling(&reference.name);
        let there = self.store.secret(&key).await?.is_some();
        self.expect(there, field, &format!("Secret {key}"));
        Ok(())
    }

    fn expect(&mut self, there: bool, field: &str, what: &str) {
        if !there {
            self.surveyed.problems.push(format!("spec.{field}: expected the {what}, found none"));
        }
    }
}

/// An address without its query and fragment, which may be secret, and its interval, as text.
fn asks(url: &url::Url, interval: Option<&str>, suspend: bool) -> String {
    if suspend {
        return "nothing, while suspend is true".to_owned();
    }
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    let hidden = if url.query().is_some() { "?…" } else { "" };
    let often = interval.map(|interval| format!(" every {interval}")).unwrap_or_default();
    format!("{shown}{hidden}{often}")
}
