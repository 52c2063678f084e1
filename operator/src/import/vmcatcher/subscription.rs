//! A subscription becomes an `ImageListSubscription`. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::manifest::{Imported, Manifest, Names};
use super::super::outcome::{Fate, Outcome};
use super::super::source::Source;
use super::rows::{Definition, Subscription};
use crate::imagelist::ImageId;

/// The most identifiers in a selection. Further images become objects of their own.
const MOST: usize = 1000;
/// The most endorsers of a subscription.
const MOST_ENDORSERS: usize = 16;
/// The value of `updateMode` that subscribes to new images.
const SUBSCRIBE: i64 = 3;

/// A subscription, and what other rows say about it.
pub(super) struct About<'a> {
    pub(super) subscription: &'a Subscription,
    /// The names of its Endorsers.
    pub(super) endorsers: Vec<&'a str>,
    /// Its images. `None` in the age in which all images were cached.
    pub(super) definitions: Option<Vec<&'a Definition>>,
    /// When its latest list expires or expired.
    pub(super) expires: Option<Timestamp>,
}

impl About<'_> {
    /// Adds its manifests and outcomes. Returns whether there is a subscription now.
    pub(super) fn add(&self, names: &mut Names, now: Timestamp, imported: &mut Imported) -> bool {
        let row = self.subscription;
        let tell = |imported: &mut Imported, fate| imported.outcomes.push(Outcome::new("subscription", row.id, fate));
        let source = match self.source() {
            Ok(source) => source,
            Err(reason) => {
                tell(imported, Fate::ByHand(reason));
                return false;
            }
        };
        let name = names.give(&row.identifier, &format!("subscription-{}", row.id));
        let secret = source.secret(&format!("{name}-credentials"));
        let images = self.images(&name, imported);
        let spec = self.spec(&source, secret.as_ref(), &images);
        let mut manifest = Manifest::new("ImageListSubscription", &name, &spec)
            .note(format!("vmcatcher's subscription {}", row.identifier))
            .note(row.description.clone().unwrap_or_default());
        for (note, by_hand) in self.notes(&source, now) {
            manifest = manifest.note(&note);
            if by_hand {
                tell(imported, Fate::ByHand(format!("{}: {note}", manifest.name())));
            }
        }
        tell(imported, Fate::Manifest(manifest.name()));
        if let Some(secret) = secret {
            tell(imported, Fate::Manifest(secret.name()));
            imported.secrets.push(secret.note(format!("The credentials for the list of the subscription {name}.")));
        }
        imported.subscriptions.push(manifest);
        true
    }

    fn source(&self) -> Result<Source, String> {
        let row = self.subscription;
        row.identifier.parse::<ImageId>().map_err(|error| error.to_string())?;
        if self.endorsers.is_empty() {
            let how = "so vmcatcher takes no update either. Make an Endorser (`endorser from-list`) and a subscription";
            return Err(format!("no endorser is linked to it, {how}"));
        }
        Source::new(&row.uri, &row.user, &row.password)
    }

    fn spec(&self, source: &Source, secret: Option<&Manifest>, images: &Value) -> Value {
        let row = self.subscription;
        let mut of = source.spec(secret);
        if row.trust_anchor == 2 && source.url.scheme() == "https" {
            of["tls"] = json!({"trust": "Grid"});
        }
        let references: Vec<Value> =
            self.endorsers.iter().take(MOST_ENDORSERS).map(|name| json!({"name": name})).collect();
        let mut spec = json!({
            "source": of,
            "verify": {"endorserRefs": references, "identifier": row.identifier},
            "images": images,
        });
        if !row.authorised {
            spec["suspend"] = json!(true);
        }
        spec
    }

    /// What a person should know, and whether something has to be done.
    fn notes(&self, source: &Source, now: Timestamp) -> Vec<(String, bool)> {
        let row = self.subscription;
        let mut notes = Vec::new();
        if let Some(expired) = self.expires.filter(|expires| *expires < now) {
            let what = "vmcatcher kept its images. Here nothing is taken from it if its publisher has no newer one";
            notes.push((format!("its latest list in the database expired at {expired:.0}; {what}"), true));
        }
        if source.is_readable_on_the_way() {
            let how = "use https, or allow it with the annotation vmcatcher.io/allow-plain-http of the Secret";
            notes.push((format!("its password goes over http, where others can read it; {how}"), true));
        }
        if source.url.scheme() == "file" {
            notes.push(("its list is a file: that works without a cluster only".to_owned(), false));
        }
        if row.trust_anchor != 2 && source.url.scheme() == "https" {
            let how = "if that fails with TLSError, set tls: {trust: Grid}";
            notes.push((format!("vmcatcher did not check the server's certificate. Here it is checked; {how}"), false));
        }
        if !row.authorised {
            notes.push(("it was not authorised in vmcatcher, so it is suspended here".to_owned(), false));
        }
        if self.endorsers.len() > MOST_ENDORSERS {
            notes.push((format!("only the first {MOST_ENDORSERS} of its endorsers are named"), true));
        }
        notes
    }

    /// `spec.images`, and the outcome of each of its images.
    fn images(&self, name: &str, imported: &mut Imported) -> Value {
        let every = json!([{"name": "all"}]);
        let Some(definitions) = &self.definitions else { return json!({"include": {"match": every}}) };
        let subscribes = self.subscription.update_mode == SUBSCRIBE;
        let mut named = Vec::new();
        for definition in definitions {
            let (fate, place) = fate(definition, name, subscribes, named.len());
            imported.outcomes.push(Outcome::new("ImageDefinition", definition.id, fate));
            match place {
                Place::Nowhere => {}
                Place::Named(identifier) => named.push(identifier),
                Place::Alone(identifier) => {
                    let spec = json!({"subscriptionRef": {"name": name}, "identifier": identifier});
                    imported.images.push(Manifest::new("CachedImage", &identifier.object_name(), &spec));
                }
            }
        }
        match (subscribes, named.is_empty()) {
            (true, true) => json!({"include": {"match": every}}),
            (true, false) => json!({"include": {"match": every}, "exclude": {"identifiers": named}}),
            (false, true) => json!({}),
            (false, false) => json!({"include": {"identifiers": named}}),
        }
    }
}

/// Where an image is named.
enum Place {
    /// The selection needs no word of it, or it cannot be named.
    Nowhere,
    /// In the selection: as included, or as excluded if new images are subscribed.
    Named(ImageId),
    /// In a `CachedImage`, because the selection is full.
    Alone(ImageId),
}

/// What becomes of an image of the subscription `name`, whose selection names so many others.
fn fate(definition: &Definition, name: &str, subscribes: bool, others: usize) -> (Fate, Place) {
    let in_list = |words: &str| Fate::Manifest(format!("ImageListSubscription {name}{words}"));
    let identifier = match definition.identifier.parse::<ImageId>() {
        Ok(identifier) => identifier,
        Err(error) => return (Fate::ByHand(error.to_string()), Place::Nowhere),
    };
    match (definition.cached, subscribes) {
        (true, true) => (in_list(", which takes every image"), Place::Nowhere),
        (false, false) => {
            let reason = "vmcatcher did not cache it (`vmcatcher_image -a` was not run, or -r was)";
            (Fate::NotNeeded(reason.to_owned()), Place::Nowhere)
        }
        (false, true) if others < MOST => (in_list(", which excludes it"), Place::Named(identifier)),
        (false, true) => {
            (Fate::ByHand(format!("{name} can exclude at most {MOST} images: exclude it by match")), Place::Nowhere)
        }
        (true, false) if others < MOST => (in_list(""), Place::Named(identifier)),
        (true, false) => {
            (Fate::Manifest(format!("CachedImage {}", identifier.object_name())), Place::Alone(identifier))
        }
    }
}
