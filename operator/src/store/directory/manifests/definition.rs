//! Validates a manifest against the definition of its kind. Finds all errors, with their positions and suggestions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use super::origin::Refusal;
use crate::text::nearest;
use crate::yaml::{Step, describe, one_of, shown};

/// The fields of `metadata`, including those that an API server adds.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// All errors of a manifest.
pub(super) fn faults(definition: &CustomResourceDefinition, manifest: &Value) -> Vec<Refusal> {
    let version = definition.spec.versions.first().and_then(|version| version.schema.as_ref());
    let Some(mut schema) = version.and_then(|schema| schema.open_api_v3_schema.clone()) else { return Vec::new() };
    let properties = schema.properties.get_or_insert_default();
    properties.insert("apiVersion".to_owned(), text());
    properties.insert("kind".to_owned(), text());
    properties.insert("metadata".to_owned(), metadata());
    properties.insert("status".to_owned(), anything()); // the program's own
    let mut judge = Judge { whole: &schema, path: Vec::new(), faults: Vec::new() };
    judge.value(&schema, manifest);
    judge.faults
}

fn anything() -> JSONSchemaProps {
    JSONSchemaProps { x_kubernetes_preserve_unknown_fields: Some(true), ..JSONSchemaProps::default() }
}

fn text() -> JSONSchemaProps {
    JSONSchemaProps { type_: Some("string".to_owned()), ..JSONSchemaProps::default() }
}

fn metadata() -> JSONSchemaProps {
    let texts = JSONSchemaProps {
        type_: Some("object".to_owned()),
        additional_properties: Some(JSONSchemaPropsOrBool::Schema(Box::new(text()))),
        ..JSONSchemaProps::default()
    };
    let field = |name: &str| match name {
        "name" | "namespace" => text(),
        "labels" | "annotations" => texts.clone(),
        _ => anything(),
    };
    JSONSchemaProps {
        type_: Some("object".to_owned()),
        properties: Some(METADATA.iter().map(|name| ((*name).to_owned(), field(name))).collect()),
        ..JSONSchemaProps::default()
    }
}

struct Judge<'s> {
    whole: &'s JSONSchemaProps,
    path: Vec<Step>,
    faults: Vec<Refusal>,
}

impl Judge<'_> {
    fn add(&mut self, key: bool, quote: bool, message: String) {
        self.faults.push(Refusal { path: self.path.clone(), key, quote, message, ..Refusal::default() });
    }

    fn expected(&mut self, what: &str, found: &Value) {
        let quote = what == "text" && matches!(found, Value::Number(_) | Value::Bool(_));
        let hint = match (what, found) {
            ("a whole number" | "true or false", Value::String(_)) => "; write it without quotes",
            ("a list", _) if !found.is_null() => "; write - before each item",
            _ => "",
        };
        self.add(false, quote, format!("expected {what}, found {}{hint}", describe(found)));
    }

    fn value(&mut self, schema: &JSONSchemaProps, value: &Value) {
        if schema.x_kubernetes_int_or_string == Some(true) {
            if !(value.is_i64() || value.is_string()) {
                self.expected("a name or a number", value);
            }
            return;
        }
        match (schema.type_.as_deref(), value) {
            (_, Value::Null) if schema.nullable == Some(true) => {}
            (Some("object"), Value::Object(object)) => self.object(schema, object),
            (Some("object"), found) => {
                let fields: Vec<_> = schema.properties.iter().flatten().map(|(name, _)| name.as_str()).collect();
                let fields = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) };
                self.expected(&format!("an object{fields}"), found);
            }
            (Some("array"), Value::Array(items)) => self.items(schema, items),
            (Some("array"), found) => self.expected("a list", found),
            (Some("string"), Value::String(text)) => self.text(schema, text),
            (Some("string"), found) => self.expected("text", found),
            (Some("integer"), found) if !(found.is_i64() || found.is_u64()) => self.expected("a whole number", found),
            (Some("boolean"), found) if !found.is_boolean() => self.expected("true or false", found),
            (_, _) => {}
        }
    }

    fn text(&mut self, schema: &JSONSchemaProps, text: &str) {
        let allowed: Vec<&str> = schema.enum_.iter().flatten().filter_map(|allowed| allowed.0.as_str()).collect();
        if !allowed.is_empty() && !allowed.contains(&text) {
            let meant = nearest(text, allowed.iter().copied());
            let hint = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            self.add(false, false, format!("expected {}, found {text:?}{hint}", one_of(&allowed)));
        }
    }

    fn items(&mut self, schema: &JSONSchemaProps, items: &[Value]) {
        let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items else { return };
        for (index, value) in items.iter().enumerate() {
            self.at(Step::Item(index), |judge| judge.value(item, value));
        }
    }

    fn object(&mut self, schema: &JSONSchemaProps, object: &serde_json::Map<String, Value>) {
        let mut meant = Vec::new();
        for (name, value) in object {
            let known = schema.properties.as_ref().and_then(|properties| properties.get(name));
            let others = match &schema.additional_properties {
                Some(JSONSchemaPropsOrBool::Schema(others)) => Some(&**others),
                Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
            };
            match known.or(others) {
                // A field that is null counts as absent.
                Some(_) if value.is_null() && known.is_some() => {}
                Some(field) => self.at(Step::Field(name.clone()), |judge| judge.value(field, value)),
                None if schema.x_kubernetes_preserve_unknown_fields == Some(true) => {}
                None => meant.extend(self.unknown(schema, object, name)),
            }
        }
        for required in schema.required.iter().flatten() {
            let there = object.get(required).is_some_and(|value| !value.is_null());
            if !there && !meant.contains(required) {
                self.add(true, false, format!("expected the field {required}, found none"));
            }
        }
    }

    /// Adds the error of an unknown field. Returns the field that was probably meant.
    fn unknown(
        &mut self,
        schema: &JSONSchemaProps,
        object: &serde_json::Map<String, Value>,
        name: &str,
    ) -> Option<String> {
        let fields: Vec<&str> = schema.properties.iter().flatten().map(|(field, _)| field.as_str()).collect();
        let missing = fields.iter().copied().filter(|field| !object.contains_key(*field));
        let meant = nearest(name, missing).map(str::to_owned);
        let elsewhere = || place_of(self.whole, name, &mut Vec::new()).map(|path| format!("; it belongs to {path}"));
        let hint = meant.as_ref().map(|meant| format!("; did you mean {meant}?")).or_else(elsewhere);
        let message = format!("expected {}, found this field{}", one_of(&fields), hint.unwrap_or_default());
        self.at(Step::Field(name.to_owned()), |judge| judge.add(true, false, message));
        meant
    }

    fn at(&mut self, step: Step, judge: impl FnOnce(&mut Self)) {
        self.path.push(step);
        judge(self);
        self.path.pop();
    }
}

/// The path of an object in the spec that has a field of this name.
fn place_of(schema: &JSONSchemaProps, name: &str, path: &mut Vec<Step>) -> Option<String> {
    let properties = schema.properties.iter().flatten().filter(|(field, _)| *field != "status" && *field != "metadata");
    for (field, inner) in properties.clone() {
        if field == name && !path.is_empty() {
            return Some(shown(path));
        }
        path.push(Step::Field(field.clone()));
        if let Some(found) = place_of(inner, name, path) {
            return Some(found);
        }
        path.pop();
    }
    None
}
