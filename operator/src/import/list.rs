//! A list that a configuration file names becomes an `ImageListSubscription`. Pure.

use serde_json::{Value, json};

use super::manifest::{Imported, Manifest};
use super::outcome::Fate;
use super::source::Source;

/// A list of a configuration file.
pub(super) struct List<'a> {
    /// The name of the subscription.
    pub(super) name: &'a str,
    /// Its address, maybe with credentials in it.
    pub(super) url: &'a str,
    /// A token, stored apart; empty for none.
    pub(super) token: &'a str,
    /// The Endorser that it names.
    pub(super) endorser: &'a str,
    /// `spec.images`.
    pub(super) images: Value,
    /// Where it was found, for people.
    pub(super) note: String,
}

impl List<'_> {
    /// Adds the subscription and its Secret. Returns what became of the entry.
    pub(super) fn add(self, imported: &mut Imported) -> Vec<Fate> {
        let password = if self.token.is_empty() { "" } else { super::source::TOKEN };
        let source = match Source::new(self.url, self.token, password) {
            Ok(source) => source,
            Err(reason) => return vec![Fate::ByHand(reason)],
        };
        let secret = source.secret(&format!("{}-credentials", self.name));
        let spec = json!({
            "source": source.spec(secret.as_ref()),
            "verify": {"endorserRefs": [{"name": self.endorser}]},
            "images": self.images,
        });
        let manifest = Manifest::new("ImageListSubscription", self.name, &spec).note(self.note);
        let mut fates = vec![Fate::Manifest(manifest.name())];
        if source.is_readable_on_the_way() {
            let how = "use https, or allow it with the annotation vmcatcher.io/allow-plain-http of the Secret";
            fates.push(Fate::ByHand(format!("its token goes over http, where others can read it; {how}")));
        }
        if let Some(secret) = secret {
            fates.push(Fate::Manifest(secret.name()));
            let note = format!("The credentials for the list of the subscription {}.", self.name);
            imported.secrets.push(secret.note(note));
        }
        imported.subscriptions.push(manifest);
        fates
    }
}
