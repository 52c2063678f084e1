//! Rights and calls, side by side: what an account is granted, and what it asked of the API server.

use std::collections::BTreeSet;

use harness::control_plane::RecordedCall;
use serde_json::Value;

use super::operator::Tenant;

/// `<verb> <resource>[/<subresource>].<group>`, such as `patch cachedimages/status.vmcatcher.io`.
type Right = String;

/// What the chart's roles grant its account. Rights of people are others.
fn granted(tenant: &Tenant<'_>) -> BTreeSet<Right> {
    let own = ["-l", "app.kubernetes.io/instance=site", "-o", "json"];
    let read = |kind: &str| -> Vec<Value> {
        let text = tenant.kubectl(&[&["get", kind][..], &own].concat());
        serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
    };
    let bound: BTreeSet<String> = [read("rolebindings"), read("clusterrolebindings")]
        .concat()
        .iter()
        .filter(|binding| binding["subjects"][0]["namespace"] == tenant.namespace.as_str())
        .map(|binding| binding["roleRef"]["name"].as_str().unwrap().to_owned())
        .collect();
    let roles = [read("roles"), read("clusterroles")].concat();
    let roles = roles.iter().filter(|role| bound.contains(role["metadata"]["name"].as_str().unwrap()));
    roles.flat_map(|role| role["rules"].as_array().unwrap().clone()).flat_map(|rule| rights(&rule)).collect()
}

fn rights(rule: &Value) -> Vec<Right> {
    let texts = |name: &str| -> Vec<String> {
        rule[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut all = Vec::new();
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            all.extend(texts("verbs").iter().map(|verb| right(verb, &resource, &group)));
        }
    }
    all
}

fn right(verb: &str, resource: &str, group: &str) -> Right {
    format!("{verb} {resource}.{}", if group.is_empty() { "core" } else { group })
}

/// The rights that calls needed.
fn used(calls: &[RecordedCall]) -> BTreeSet<Right> {
    let needs = |call: &RecordedCall| {
        let resource = match &call.subresource {
            Some(subresource) => format!("{}/{subresource}", call.resource),
            None => call.resource.clone(),
        };
        let mut needs = vec![right(&call.verb, &resource, &call.group)];
        // A patch that makes an object needs the right to make it, which is asked for on the way; and whoever makes an
        // object that holds up its owner's deletion must be allowed to hold that up.
        if call.verb == "patch" && call.code == 201 {
            needs.push(right("create", &resource, &call.group));
            needs.push(right("update", "imagelistsubscriptions/finalizers", &call.group));
        }
        needs
    };
    calls.iter().flat_map(needs).collect()
}

/// Everything that is granted was used, everything that was used is granted, and nothing was refused.
pub(crate) fn balances(tenant: &Tenant<'_>) {
    let account = format!("system:serviceaccount:{}:site", tenant.namespace);
    let calls = tenant.plane.calls_of(&account);
    let refused: Vec<_> = calls.iter().filter(|call| matches!(call.code, 401 | 403)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let (granted, used) = (granted(tenant), used(&calls));
    let idle: Vec<_> = granted.difference(&used).collect();
    let stolen: Vec<_> = used.difference(&granted).collect();
    assert!(idle.is_empty() && stolen.is_empty(), "granted and not used: {idle:?}; used and not granted: {stolen:?}");
    eprintln!("{} rights, all of them used, by {} calls", granted.len(), calls.len());
}
