//! cloudkeeper's configuration (`cloudkeeper.yml`), and that of its back-end for OpenNebula (`cloudkeeper-one.yml`).
//!
//! cloudkeeper knows no endorsers: it believes any signer. So a person has to say who may sign each list.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::error::ImportError;
use super::list::List;
use super::manifest::{Imported, Manifest, Names};
use super::outcome::{Fate, Outcome};
use super::text_file;

/// The name of the target and of its Secret.
const TARGET: &str = "opennebula";

/// The member of each file, which is the program's name.
const CORE: &str = "cloudkeeper";
const ONE: &str = "cloudkeeper-one";

/// The trust directory that is the default of both programs.
const TRUST: &str = "/etc/grid-security/certificates";

/// How the images that are in the cloud are taken over.
const ADOPTION: &str = "cloudkeeper's images are adopted if adopt of the CloudTarget names their owner or id, and \
                        vmcatcher.io/adopt of a CachedImage the image (docs/opennebula.md)";

/// The most lists.
const MOST: usize = 1000;

/// What takes the place of a setting of cloudkeeper: nothing has to be done.
const SETTINGS_OF_CORE: [(&str, &str); 14] = [
    ("authentication", "there is no back-end: the operator itself publishes"),
    ("certificate", "there is no back-end: the operator itself publishes"),
    ("key", "there is no back-end: the operator itself publishes"),
    ("backend", "there is no back-end: the operator itself publishes"),
    ("image-dir", "images are on the volume (--volume)"),
    ("external-tools", "qemu-img is found in PATH; no nginx is needed"),
    ("binaries", "qemu-img is found in PATH; no nginx is needed"),
    ("qemu-img", "qemu-img is found in PATH; no nginx is needed"),
    ("nginx", "the operator serves images itself (--image-server)"),
    ("lock-file", "the volume has a lock"),
    ("logging", "the log is standard error (--log-format, -v, -q)"),
    ("debug", "-v"),
    ("verify-image-list", "lists are always verified"),
    ("verify-image-lists", "lists are always verified"),
];

/// The same for cloudkeeper-one.
const SETTINGS_OF_ONE: [(&str, &str); 8] = [
    ("listen-address", "there is no back-end: the operator itself publishes"),
    ("authentication", "there is no back-end: the operator itself publishes"),
    ("certificate", "there is no back-end: the operator itself publishes"),
    ("key", "there is no back-end: the operator itself publishes"),
    ("core", "there is no back-end: the operator itself publishes"),
    ("identifier", "the operator's name is --instance; it is in VMCATCHER_OPERATOR of each image"),
    ("logging", "the log is standard error (--log-format, -v, -q)"),
    ("debug", "-v"),
];

/// Reads the configuration of cloudkeeper, and of cloudkeeper-one if it is given. `volume` is the volume as the cloud's
/// front-end sees it.
pub fn read(core: &Path, one: Option<&Path>, volume: &str) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let settings = section(core, CORE)?;
    let formats = self::core(&settings, one.is_some(), &mut imported);
    if let Some(path) = one {
        let settings = section(path, ONE)?;
        let one = One(&settings);
        let mut target = one.target(volume);
        imported.outcomes.extend(one.fates().into_iter().map(|(key, fate)| Outcome::new(ONE, key, fate)));
        imported.secrets.extend(one.secret());
        if let Some(formats) = formats {
            target.object["spec"]["formats"] = formats;
        }
        imported.targets.push(target);
        imported.publish_at(TARGET);
    }
    Ok(imported)
}

fn section(path: &Path, name: &'static str) -> Result<Map<String, Value>, ImportError> {
    if let Some(Value::Object(settings)) = text_file::read(path)?.remove(name) {
        return Ok(settings);
    }
    let expected = if name == CORE { "the member cloudkeeper" } else { "the member cloudkeeper-one" };
    Err(ImportError::OtherForm { path: path.to_owned(), expected, found: "none that is an object".to_owned() })
}

/// The lists and the other settings of cloudkeeper. Returns `spec.formats` of a target.
fn core(settings: &Map<String, Value>, has_target: bool, imported: &mut Imported) -> Option<Value> {
    let mut formats = None;
    for (key, value) in settings {
        let fates = match key.as_str() {
            "image-list" | "image-lists" => lists(value, imported),
            "image-lists-file" => vec![by_hand("write each address of the file into image-lists, and import again")],
            "ca-dir" => vec![trust(value)],
            "remote-mode" if value == &Value::Bool(true) => {
                vec![by_hand(
                    "set handOver: {type: URL} of the CloudTarget, and start the operator with --image-server",
                )]
            }
            "remote-mode" => vec![Fate::NotNeeded("the cloud reads the volume (handOver)".to_owned())],
            "formats" => {
                let (taken, fates) = accepted(value, has_target);
                formats = taken;
                fates
            }
            key => vec![setting(key, &SETTINGS_OF_CORE)],
        };
        imported.outcomes.extend(fates.into_iter().map(|fate| Outcome::new(CORE, key, fate)));
    }
    formats
}

fn by_hand(reason: &str) -> Fate {
    Fate::ByHand(reason.to_owned())
}

fn setting(key: &str, known: &[(&str, &str)]) -> Fate {
    match known.iter().find(|(name, _)| *name == key) {
        Some((_, reason)) => Fate::NotNeeded((*reason).to_owned()),
        None => by_hand("this setting is not known"),
    }
}

/// The texts of a list, of one text, or of nothing.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().filter_map(Value::as_str).take(MOST).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

fn lists(value: &Value, imported: &mut Imported) -> Vec<Fate> {
    let mut names = Names::default();
    let mut fates = Vec::new();
    for url in texts(value) {
        let name = names.give(named_by(url), "list");
        let endorser = format!("{name}-signer");
        let images = json!({"include": {"match": [{"name": "all"}]}});
        let note = "cloudkeeper took every image of this list.".to_owned();
        let list = List { name: &name, url, token: "", endorser: &endorser, images, note };
        let added = list.add(imported);
        if added.iter().any(|fate| matches!(fate, Fate::Manifest(_))) {
            let how = format!("vmcatcher-operator endorser from-list ADDRESS --name {endorser}");
            fates.push(Fate::ByHand(format!(
                "say who may sign the list of {name}, which cloudkeeper did not ask: {how}"
            )));
        }
        fates.extend(added);
    }
    if fates.is_empty() {
        fates.push(by_hand("expected the addresses of lists, found none"));
    }
    fates
}

/// What a list is called by: the last part of its address before the file, such as the VO.
fn named_by(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let last = parts.len().checked_sub(2).and_then(|place| parts.get(place)).copied().unwrap_or_default();
    // The host may follow credentials.
    last.rsplit('@').next().unwrap_or_default()
}

fn trust(value: &Value) -> Fate {
    match value.as_str().map(|path| path.trim_end_matches('/')) {
        None | Some(TRUST) => Fate::NotNeeded(format!("the trust directory {TRUST} is the default")),
        Some(path) => Fate::ByHand(format!("start the operator with --trust {path}")),
    }
}

/// `spec.formats`, of the formats that cloudkeeper converted to.
fn accepted(value: &Value, has_target: bool) -> (Option<Value>, Vec<Fate>) {
    let (known, others): (Vec<&str>, Vec<&str>) =
        texts(value).into_iter().partition(|format| ["qcow2", "raw"].contains(format));
    let mut fates: Vec<Fate> = others
        .iter()
        .map(|format| Fate::ByHand(format!("images are not converted to {format}, only to qcow2 and raw")))
        .collect();
    if !has_target {
        fates.push(by_hand("set formats of the CloudTarget, or give --one"));
    } else if !known.is_empty() {
        fates.push(Fate::Manifest(format!("CloudTarget {TARGET}")));
    }
    ((!known.is_empty()).then(|| json!(known)), fates)
}

/// The settings of cloudkeeper-one.
struct One<'a>(&'a Map<String, Value>);

impl One<'_> {
    fn text(&self, part: &str, key: &str) -> Option<&str> {
        self.0.get(part)?.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    fn texts(&self, part: &str, key: &str) -> Vec<&str> {
        self.0.get(part).and_then(|part| part.get(key)).map(texts).unwrap_or_default()
    }

    /// Its OpenNebula.
    fn target(&self, volume: &str) -> Manifest {
        let mut one = json!({
            "endpoint": self.text("opennebula", "endpoint").unwrap_or("http://localhost:2633/RPC2"),
            "secretRef": {"name": TARGET},
            "datastore": self.texts("opennebula", "datastores").first().copied().unwrap_or("default"),
            "handOver": {"type": "Path", "path": {"prefix": volume}},
        });
        if let Some(permissions) = self.text("appliances", "permissions") {
            one["initial"] = json!({"permissions": permissions});
        }
        let users = self.texts("opennebula", "users");
        if !users.is_empty() {
            one["adopt"] = json!({"owners": users});
        }
        Manifest::new("CloudTarget", TARGET, &json!({"type": "OpenNebula", "openNebula": one}))
            .note("Check handOver: the volume as OpenNebula's front-end sees it, and SAFE_DIRS of the datastore.")
    }

    /// The log-in, if it is in the file.
    fn secret(&self) -> Option<Manifest> {
        let secret = self.text("opennebula", "secret")?;
        Some(Manifest::secret(TARGET, &json!({"one_auth": secret})).note("The log-in at OpenNebula."))
    }

    /// What became of each setting.
    fn fates(&self) -> Vec<(String, Fate)> {
        let others = self.0.keys().filter(|key| !["opennebula", "appliances"].contains(&key.as_str()));
        let mut fates: Vec<_> = others.map(|key| (key.clone(), setting(key, &SETTINGS_OF_ONE))).collect();
        fates.push(("opennebula".to_owned(), Fate::Manifest(format!("CloudTarget {TARGET}"))));
        let left = [
            (true, "opennebula", ADOPTION),
            (
                self.texts("opennebula", "datastores").len() > 1,
                "datastores",
                "a CloudTarget has one datastore: the first was taken",
            ),
            (
                self.text("appliances", "template-dir").is_some(),
                "template-dir",
                "no VM templates are made: let yours name the images by NAME",
            ),
            (
                self.text("opennebula", "secret").is_none(),
                "secret",
                "write the log-in of ONE_AUTH or ~/.one/one_auth into a Secret opennebula: one_auth",
            ),
        ];
        fates.extend(left.iter().filter(|(is, ..)| *is).map(|(_, key, reason)| ((*key).to_owned(), by_hand(reason))));
        fates
    }
}
