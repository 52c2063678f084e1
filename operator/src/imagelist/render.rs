//! Converts an [`ImageList`] back to its document.

use serde_json::{Map, Value, json};

use super::model::{ImageList, ListedImage, NamedEndorser};

impl ImageList {
    /// The document in the current form, with all kept keys and without the refused images.
    ///
    /// Parsing it gives the same list. Dates are in UTC, sizes are numbers, and a single endorser is an object.
    pub fn to_json(&self) -> Value {
        let endorsers: Vec<Value> = self.endorsers.iter().map(endorser).collect();
        let endorser = if let [only] = endorsers.as_slice() { only.clone() } else { Value::Array(endorsers) };
        let mut list = members([
            ("dc:date:created", self.created.to_string().into()),
            ("dc:date:expires", self.expires.to_string().into()),
            ("dc:identifier", self.identifier.as_str().into()),
            ("dc:title", self.title.as_str().into()),
            ("dc:description", self.description.as_str().into()),
            ("dc:source", self.source.as_str().into()),
            ("hv:version", self.version.as_str().into()),
            ("hv:uri", self.uri.as_str().into()),
            ("hv:endorser", endorser),
        ]);
        add(&mut list, "ad:vo", self.vo.as_deref());
        list.extend(self.extra.clone());
        list.insert("hv:images".to_owned(), self.images.iter().map(|one| json!({"hv:image": image(one)})).collect());
        json!({ "hv:imagelist": list })
    }
}

fn endorser(named: &NamedEndorser) -> Value {
    json!({"hv:x509": {
        "hv:dn": named.subject,
        "hv:ca": named.issuer,
        "hv:email": named.email,
        "dc:creator": named.creator,
    }})
}

fn image(image: &ListedImage) -> Value {
    let mut members = members([
        ("dc:identifier", image.identifier.as_str().into()),
        ("hv:version", image.version.as_str().into()),
        ("dc:title", image.title.as_str().into()),
        ("dc:description", image.description.as_str().into()),
        ("hv:size", image.size.into()),
        ("sl:checksum:sha512", image.sha512.to_string().into()),
        ("hv:uri", image.uri.url().as_str().into()),
        ("sl:os", image.os.as_str().into()),
        ("sl:osversion", image.os_version.as_str().into()),
        ("sl:arch", image.arch.as_str().into()),
        ("hv:hypervisor", image.hypervisor.as_str().into()),
        ("sl:comments", image.comments.as_str().into()),
    ]);
    add(&mut members, "hv:format", image.format.as_deref());
    add(&mut members, "ad:mpuri", image.mpuri.as_deref());
    add(&mut members, "dc:date:expires", image.expires.map(|date| date.to_string()).as_deref());
    members.extend(image.extra.clone());
    Value::Object(members)
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn add(members: &mut Map<String, Value>, key: &str, text: Option<&str>) {
    if let Some(text) = text {
        members.insert(key.to_owned(), text.into());
    }
}
