//! The operations of a reconcile on the objects of a folder.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};

use super::{Directory, EVENTS, objects};
use crate::api::{
    CachedImage, CachedImageSpec, FINALIZER, ImageListSubscription, ObjectKey, ObjectReference, Resource,
    SUBSCRIPTION_LABEL,
};
use crate::imagelist::ImageId;
use crate::store::{ConfigMapData, ObjectEvent, ResourceStore, SecretData, StoreError};

impl ResourceStore for Directory {
    fn refused_manifests(&self) -> Vec<String> {
        self.problems().iter().map(ToString::to_string).collect()
    }

    fn get<K: Resource>(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.held().objects.get(key)
    }

    fn list<K: Resource>(&self, namespace: &str) -> Vec<Arc<K>> {
        let held = self.held();
        held.objects.all::<K>().filter(|object| object.meta().namespace.as_deref() == Some(namespace)).collect()
    }

    fn all<K: Resource>(&self) -> Vec<Arc<K>> {
        self.held().objects.all().collect()
    }

    async fn secret(&self, key: &ObjectKey) -> Result<Option<SecretData>, StoreError> {
        Ok(self.held().secrets.get(key).cloned())
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<Option<ConfigMapData>, StoreError> {
        Ok(self.held().config_maps.get(key).cloned())
    }

    async fn apply_image(&self, owner: &ImageListSubscription, identifier: &ImageId) -> Result<(), StoreError> {
        let key = ObjectKey::of(owner).sibling(&identifier.object_name());
        {
            let mut held = self.held();
            if held.objects.get::<CachedImage>(&key).is_some() {
                return Ok(()); // `subscriptionRef` and `identifier` cannot change, so it says what it must
            }
            held.objects.put(objects::newborn(generated_image(owner, &key, identifier), Timestamp::now()));
        }
        self.unsaved().insert(key);
        Ok(())
    }

    async fn delete_image(&self, key: &ObjectKey) -> Result<(), StoreError> {
        {
            let mut held = self.held();
            let Some(image) = held.objects.get::<CachedImage>(key) else { return Ok(()) };
            objects::delete(&mut held.objects, &*image, Timestamp::now());
        }
        self.keep_or_forget::<CachedImage>(key).await
    }

    async fn set_finalizer<K: Resource>(&self, key: &ObjectKey, held: bool) -> Result<(), StoreError> {
        self.change::<K>(key, |object| {
            let finalizers = object.finalizers_mut();
            finalizers.retain(|name| name != FINALIZER);
            if held {
                finalizers.push(FINALIZER.to_owned());
            }
        })
        .await?;
        self.finish_deletion::<K>(key)
    }

    async fn write_status<K: Resource>(&self, key: &ObjectKey, status: K::Status) -> Result<(), StoreError> {
        self.change::<K>(key, |object| *object.status_mut() = Some(status)).await
    }

    async fn publish_event(&self, event: ObjectEvent) {
        let ObjectEvent { kind, key, warning, reason, message } = event;
        if warning {
            tracing::warn!(target: EVENTS, %kind, object = %key, reason, "{message}");
        } else {
            tracing::info!(target: EVENTS, %kind, object = %key, reason, "{message}");
        }
    }
}

/// The image that a subscription makes: with an owner reference, and only the required fields.
fn generated_image(owner: &ImageListSubscription, key: &ObjectKey, identifier: &ImageId) -> CachedImage {
    let name = owner.name_any();
    let reference = OwnerReference {
        api_version: ImageListSubscription::api_version(&()).into_owned(),
        kind: ImageListSubscription::kind(&()).into_owned(),
        name: name.clone(),
        uid: owner.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    let spec = CachedImageSpec {
        subscription_ref: ObjectReference { name: name.clone() },
        identifier: identifier.to_string(),
        version: None,
        sha512: None,
        keep_until: None,
        target_refs: None,
        suspend: false,
        retention: None,
        deletion_policy: None,
    };
    let metadata = ObjectMeta {
        name: Some(key.name.clone()),
        namespace: Some(key.namespace.clone()),
        labels: Some([(SUBSCRIPTION_LABEL.to_owned(), name)].into()),
        owner_references: Some(vec![reference]),
        ..ObjectMeta::default()
    };
    CachedImage { metadata, spec, status: None }
}
