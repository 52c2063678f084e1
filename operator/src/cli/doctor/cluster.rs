//! The API server: its definitions, and the rights of the account of this command.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};

use super::finding::{Area, Finding};
use crate::api::{GROUP, crds};
use crate::text::with_causes;

/// A right that the operator needs.
pub(super) struct Right {
    /// The API group.
    pub group: &'static str,
    /// The resource, or `resource/subresource`.
    pub resource: &'static str,
    /// What is done with it.
    pub verbs: &'static [&'static str],
}

/// The rights that the operator needs in each namespace that it follows, as the chart gives them.
pub(super) const RIGHTS: &[Right] = &[
    Right { group: GROUP, resource: "endorsers", verbs: &["list", "watch"] },
    Right { group: GROUP, resource: "cloudtargets", verbs: &["get", "list", "watch", "patch"] },
    Right { group: GROUP, resource: "imagelistsubscriptions", verbs: &["get", "list", "watch", "patch"] },
    Right { group: GROUP, resource: "cachedimages", verbs: &["get", "list", "watch", "create", "patch", "delete"] },
    Right { group: GROUP, resource: "endorsers/status", verbs: &["patch"] },
    Right { group: GROUP, resource: "cloudtargets/status", verbs: &["patch"] },
    Right { group: GROUP, resource: "imagelistsubscriptions/status", verbs: &["patch"] },
    Right { group: GROUP, resource: "cachedimages/status", verbs: &["patch"] },
    Right { group: GROUP, resource: "imagelistsubscriptions/finalizers", verbs: &["update"] },
    Right { group: "", resource: "events", verbs: &["create"] },
    Right { group: "", resource: "secrets", verbs: &["get"] },
    Right { group: "", resource: "configmaps", verbs: &["get"] },
];
const APPLY: &str = "vmcatcher-operator crds | kubectl apply -f -";

/// What is wrong with an API server. `namespaces` are those that are followed; none means all.
pub(super) async fn findings(client: Client, server: &str, namespaces: &[String]) -> Vec<Finding> {
    if let Err(error) = client.apiserver_version().await {
        let mend = "kubectl cluster-info: is $KUBECONFIG right, and does the API server run?";
        return vec![Finding::wrong(Area::Cluster, server, with_causes(&error), mend)];
    }
    let mut found = definitions(&client).await;
    let scopes: Vec<Option<&str>> = match namespaces {
        [] => vec![None],
        named => named.iter().map(|name| Some(name.as_str())).collect(),
    };
    for scope in scopes {
        found.extend(rights(&client, server, scope).await);
    }
    found
}

/// The definitions: each is there, and has every field of this program. An account that may not read definitions asks
/// which resources the server has.
async fn definitions(client: &Client) -> Vec<Finding> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let mut found = Vec::new();
    for own in crds() {
        let name = own.name_any();
        let message = match api.get_opt(&name).await {
            Ok(Some(installed)) => missing(&own, &installed)
                .map(|field| format!("expected the definition of this program, found one without the field {field}")),
            Ok(None) => Some("expected the definition, found none".to_owned()),
            Err(kube::Error::Api(status)) if status.code == 403 => match is_served(client, &own).await {
                Ok(true) => None,
                Ok(false) => Some("expected the definition, found none".to_owned()),
                Err(error) => Some(with_causes(&error)),
            },
            Err(error) => Some(with_causes(&error)),
        };
        found.extend(message.map(|message| Finding::wrong(Area::Cluster, &name, message, APPLY)));
    }
    found
}

/// Whether the server has a resource, by its discovery, which every account may read.
async fn is_served(client: &Client, definition: &CustomResourceDefinition) -> Result<bool, kube::Error> {
    let version = definition.spec.versions.first().map(|version| version.name.as_str()).unwrap_or_default();
    match client.list_api_group_resources(&format!("{GROUP}/{version}")).await {
        Ok(list) => Ok(list.resources.iter().any(|resource| resource.name == definition.spec.names.plural)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

/// The first field of a definition that another one does not have.
pub(super) fn missing(own: &CustomResourceDefinition, other: &CustomResourceDefinition) -> Option<String> {
    own.spec.versions.iter().find_map(|version| {
        let Some(there) = other.spec.versions.iter().find(|there| there.name == version.name) else {
            return Some(format!("versions: {}", version.name));
        };
        let schema = |version: &CustomResourceDefinitionVersion| version.schema.clone()?.open_api_v3_schema;
        missing_field(&schema(version)?, &schema(there).unwrap_or_default(), "")
    })
}

fn missing_field(own: &JSONSchemaProps, other: &JSONSchemaProps, path: &str) -> Option<String> {
    for (name, property) in own.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let Some(there) = other.properties.as_ref().and_then(|properties| properties.get(name)) else {
            return Some(path);
        };
        if let Some(deeper) = missing_field(property, there, &path) {
            return Some(deeper);
        }
    }
    let items = |schema: &JSONSchemaProps| match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some((**items).clone()),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
    };
    missing_field(&items(own)?, &items(other).unwrap_or_default(), &format!("{path}[]"))
}

/// The rights in a namespace, or in all.
async fn rights(client: &Client, server: &str, namespace: Option<&str>) -> Vec<Finding> {
    let api = Api::<SelfSubjectAccessReview>::all(client.clone());
    let place = namespace.map_or_else(|| server.to_owned(), |namespace| format!("{server} namespace {namespace}"));
    let mut denied = Vec::new();
    for Right { group, resource, verbs } in RIGHTS {
        for verb in *verbs {
            match api.create(&PostParams::default(), &review(namespace, group, resource, verb)).await {
                Ok(review) if review.status.as_ref().is_some_and(|status| status.allowed) => {}
                Ok(_) => denied.push(format!("{verb} {resource}")),
                Err(error) => {
                    let mend = "kubectl auth can-i --list: may the account ask for its own rights?";
                    return vec![Finding::wrong(Area::Cluster, place, with_causes(&error), mend)];
                }
            }
        }
    }
    if denied.is_empty() {
        return Vec::new();
    }
    let message = format!("expected the rights of the operator, found these to be missing: {}", denied.join(", "));
    let mend = "helm upgrade; or kubectl apply -f config/vmcatcher-operator.yaml; with --namespace NAME for named ones";
    vec![Finding::wrong(Area::Cluster, place, message, mend)]
}

fn review(namespace: Option<&str>, group: &str, resource: &str, verb: &str) -> SelfSubjectAccessReview {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        namespace: namespace.map(str::to_owned),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() }
}
