//! The custom resource definitions, generated from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt;

use super::{CachedImage, CloudTarget, Endorser, ImageListSubscription};

/// The custom resource definitions of all kinds, ordered by name.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut all = vec![CachedImage::crd(), CloudTarget::crd(), Endorser::crd(), ImageListSubscription::crd()];
    all.iter_mut().for_each(default_status);
    all
}

/// Gives `status` its default, so that a new object is never taken for one that was looked at (kstatus).
fn default_status(crd: &mut CustomResourceDefinition) {
    let schemas = crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    let properties = schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()?.properties.as_mut());
    for status in properties.filter_map(|properties| properties.get_mut("status")) {
        status.default = Some(JSON(serde_json::json!({ "observedGeneration": -1 })));
    }
}
