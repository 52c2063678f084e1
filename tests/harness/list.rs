//! Image lists as text, for whoever has to sign one.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::pki::Identity;

/// An image list to be: everything has a good value until it is set.
#[derive(Debug, Clone)]
pub struct ListBuilder {
    identifier: String,
    version: String,
    created: Timestamp,
    expires: Timestamp,
    endorsers: Vec<(String, String)>,
    images: Vec<Value>,
    extra: Map<String, Value>,
}

impl ListBuilder {
    /// A list that was created an hour before this time and expires four weeks after it.
    pub fn new(identifier: &str, now: Timestamp) -> Self {
        let hour = SignedDuration::from_hours(1);
        Self {
            identifier: identifier.to_owned(),
            version: "1.0".to_owned(),
            created: seconds(now - hour),
            expires: seconds(now + hour * 24 * 28),
            endorsers: Vec::new(),
            images: Vec::new(),
            extra: Map::new(),
        }
    }

    #[must_use]
    pub fn version(self, version: &str) -> Self {
        Self { version: version.to_owned(), ..self }
    }

    #[must_use]
    pub fn created(self, created: Timestamp) -> Self {
        Self { created: seconds(created), ..self }
    }

    #[must_use]
    pub fn expires(self, expires: Timestamp) -> Self {
        Self { expires: seconds(expires), ..self }
    }

    /// `hv:endorser` names this one; a second call makes it an array.
    #[must_use]
    pub fn endorser(self, identity: &Identity) -> Self {
        self.endorser_names(&identity.subject(), &identity.issuer())
    }

    #[must_use]
    pub fn endorser_names(mut self, subject: &str, issuer: &str) -> Self {
        self.endorsers.push((subject.to_owned(), issuer.to_owned()));
        self
    }

    /// One more key of the list.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.extra.insert(key.to_owned(), value);
        self
    }

    /// One more image, by its identifier, version, address, size in bytes and SHA-512.
    #[must_use]
    pub fn image(mut self, identifier: &str, version: &str, uri: &str, size: u64, sha512: &str) -> Self {
        self.images.push(image(identifier, version, uri, size, sha512));
        self
    }

    /// One more image, whatever it is.
    #[must_use]
    pub fn raw_image(mut self, image: Value) -> Self {
        self.images.push(image);
        self
    }

    /// So many images, all different.
    #[must_use]
    pub fn images(mut self, count: u32) -> Self {
        for number in 0..count {
            let identifier = format!("{number:08x}-0000-4000-8000-000000000000");
            let uri = format!("https://images.example.org/{number}.qcow2");
            self.images.push(image(&identifier, "1.0", &uri, 1 << 30, &format!("{number:0128x}")));
        }
        self
    }

    /// The text that is signed.
    pub fn json(&self) -> Vec<u8> {
        let endorser = |(subject, issuer): &(String, String)| json!({"hv:x509": {"dc:creator": "Erin Endorser", "hv:email": "erin@example.org", "hv:dn": subject, "hv:ca": issuer}});
        let endorsers: Vec<Value> = self.endorsers.iter().map(endorser).collect();
        let endorsers = if let [only] = endorsers.as_slice() { only.clone() } else { Value::Array(endorsers) };
        let mut list = json!({
            "dc:date:created": self.created.to_string(),
            "dc:date:expires": self.expires.to_string(),
            "dc:identifier": self.identifier,
            "dc:description": "Images for tests",
            "dc:title": "Test images",
            "dc:source": "https://lists.example.org/",
            "hv:version": self.version,
            "hv:uri": "https://lists.example.org/image.list",
            "hv:endorser": endorsers,
            "hv:images": self.images,
        });
        list.as_object_mut().unwrap().extend(self.extra.clone());
        let mut text = serde_json::to_vec_pretty(&json!({"hv:imagelist": list})).unwrap();
        text.push(b'\n');
        text
    }
}

fn image(identifier: &str, version: &str, uri: &str, size: u64, sha512: &str) -> Value {
    json!({"hv:image": {
        "dc:title": format!("Image {identifier}"),
        "dc:description": "An image for tests",
        "dc:identifier": identifier,
        "hv:size": size,
        "hv:uri": uri,
        "hv:version": version,
        "hv:hypervisor": "kvm",
        "hv:format": "qcow2",
        "sl:checksum:sha512": sha512,
        "sl:arch": "x86_64",
        "sl:os": "Linux",
        "sl:osversion": "12",
        "sl:comments": "",
    }})
}

/// Lists have whole seconds.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap()
}
