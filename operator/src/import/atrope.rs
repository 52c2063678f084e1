//! atrope's sources: a YAML file (`hepix.yaml`, `lists.yaml`) with an object for each list.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::error::ImportError;
use super::list::List;
use super::manifest::{Imported, Manifest, Names, x509_credential};
use super::outcome::{Fate, Outcome};
use super::text_file;
use crate::imagelist::ImageId;
use crate::trust::DistinguishedName;

/// The most lists of a file, and the most images of a list.
const MOST: usize = 1000;

/// Reads a file of sources.
pub fn read(path: &Path) -> Result<Imported, ImportError> {
    let sources = text_file::read(path)?;
    if sources.len() > MOST {
        let of = "lists".to_owned();
        return Err(ImportError::TooMuch { path: path.to_owned(), most: MOST as u64, of });
    }
    let place = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut reading = Reading::default();
    for (name, source) in &sources {
        let fates = reading.source(name, source).unwrap_or_else(|fate| vec![fate]);
        reading.imported.outcomes.extend(fates.into_iter().map(|fate| Outcome::new(&place, name, fate)));
    }
    Ok(reading.imported)
}

#[derive(Default)]
struct Reading {
    imported: Imported,
    names: Names,
    endorsers: BTreeMap<(String, String), String>,
}

impl Reading {
    /// The fates of a source; as an error if it is in no manifest.
    fn source(&mut self, name: &str, source: &Value) -> Result<Vec<Fate>, Fate> {
        let by_hand = |reason: String| Fate::ByHand(reason);
        let source = source.as_object().ok_or_else(|| by_hand("expected an object, found another value".to_owned()))?;
        if source.get("enabled") == Some(&Value::Bool(false)) {
            return Err(Fate::NotNeeded("it is disabled in atrope".to_owned()));
        }
        let text = |field: &str| source.get(field).and_then(Value::as_str).unwrap_or_default();
        if text("url").is_empty() {
            return Err(by_hand("expected an address in url, found none".to_owned()));
        }
        let images = images(source).map_err(by_hand)?;
        let endorser = self.endorser(source.get("endorser")).map_err(by_hand)?;
        let own = self.names.give(name, "list");
        let note = format!("atrope's source {name}");
        let list = List { name: &own, url: text("url"), token: text("token"), endorser: &endorser, images, note };
        let mut fates = list.add(&mut self.imported);
        for (field, how) in [
            ("prefix", "an image's name is its title or identifier; there is no prefix"),
            ("project", "name it in initial.members of a CloudTarget (docs/openstack.md)"),
        ] {
            if !text(field).is_empty() {
                fates.push(by_hand(format!("its {field} is for the cloud: {how}")));
            }
        }
        let known = ["url", "enabled", "images", "subscribed images", "prefix", "project", "endorser", "token"];
        for field in source.keys().filter(|field| !known.contains(&field.as_str())) {
            fates.push(by_hand(format!("the field {field} is not known")));
        }
        Ok(fates)
    }

    /// The name of the Endorser with these names of a certificate.
    fn endorser(&mut self, endorser: Option<&Value>) -> Result<String, String> {
        let name = |field: &str| -> Result<String, String> {
            let text = endorser.and_then(|endorser| endorser.get(field)).and_then(Value::as_str);
            let text = text.ok_or_else(|| format!("expected endorser with dn and ca, found no {field}"))?;
            text.parse::<DistinguishedName>().map_err(|error| error.to_string())?;
            Ok(text.to_owned())
        };
        let (subject, issuer) = (name("dn")?, name("ca")?);
        if let Some(known) = self.endorsers.get(&(subject.clone(), issuer.clone())) {
            return Ok(known.clone());
        }
        let common_name = subject.rsplit_once("CN=").map_or(subject.as_str(), |(_, name)| name);
        let name = self.names.give(common_name, "endorser");
        let spec = json!({"credentials": [x509_credential(1, &subject, &issuer)]});
        self.imported.endorsers.push(Manifest::new("Endorser", &name, &spec));
        self.endorsers.insert((subject, issuer), name.clone());
        Ok(name)
    }
}

/// `spec.images`: the named images, or all.
fn images(source: &Map<String, Value>) -> Result<Value, String> {
    let named = ["images", "subscribed images"].iter().find_map(|field| source.get(*field)?.as_array());
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return Ok(json!({"include": {"match": [{"name": "all"}]}}));
    };
    if named.len() > MOST {
        return Err(format!("expected at most {MOST} images, found {}", named.len()));
    }
    let identifier = |value: &Value| -> Result<ImageId, String> {
        value.as_str().unwrap_or_default().parse::<ImageId>().map_err(|error| error.to_string())
    };
    let identifiers = named.iter().map(identifier).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"include": {"identifiers": identifiers}}))
}
