//! The custom resource definitions, generated from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::{CachedImage, CloudTarget, Endorser, ImageListSubscription};

/// The custom resource definitions of all kinds, ordered by name.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut all = vec![CachedImage::crd(), CloudTarget::crd(), Endorser::crd(), ImageListSubscription::crd()];
    all.iter_mut().for_each(default_status);
    for version in all.iter_mut().flat_map(|crd| &mut crd.spec.versions) {
        version.schema.iter_mut().filter_map(|schema| schema.open_api_v3_schema.as_mut()).for_each(settle);
    }
    all
}

/// Says what the derived schema leaves open: numbers in the formats that API servers know (they warn of others), and the
/// bounds of conditions (as in apimachinery's meta/v1 `Condition`).
fn settle(schema: &mut JSONSchemaProps) {
    schema.format = schema.format.take().map(|format| match format.as_str() {
        "uint8" | "uint16" => "int32".to_owned(),
        "uint32" | "uint64" => "int64".to_owned(),
        _ => format,
    });
    for (name, property) in schema.properties.iter_mut().flatten() {
        if name == "conditions"
            && let Some(JSONSchemaPropsOrArray::Schema(condition)) = &mut property.items
        {
            bound_condition(condition);
        }
        settle(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        settle(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        settle(values);
    }
}

fn bound_condition(condition: &mut JSONSchemaProps) {
    for (name, field) in condition.properties.iter_mut().flatten() {
        match name.as_str() {
            "type" => field.max_length = Some(316),
            "reason" => field.max_length = Some(1024),
            "message" => field.max_length = Some(32_768),
            "status" => field.enum_ = Some(["True", "False", "Unknown"].map(|status| JSON(status.into())).into()),
            _ => {}
        }
    }
}

/// Gives `status` its default, so that a new object is never taken for one that was looked at (kstatus).
fn default_status(crd: &mut CustomResourceDefinition) {
    let schemas = crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    let properties = schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()?.properties.as_mut());
    for status in properties.filter_map(|properties| properties.get_mut("status")) {
        status.default = Some(JSON(serde_json::json!({ "observedGeneration": -1 })));
    }
}
