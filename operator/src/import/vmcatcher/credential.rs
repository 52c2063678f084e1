//! Endorsers and their credentials become `Endorser` objects. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::manifest::{Imported, Manifest, Names, x509_credential};
use super::super::outcome::{Fate, Outcome};
use super::rows::{Credential, Rows};
use crate::trust::DistinguishedName;

/// The most credentials of an Endorser.
const MOST: usize = 16;

/// Adds an Endorser for each endorser with a usable credential. Returns their names by the ids of the rows.
///
/// A credential belongs to the endorser that its row names. (The original joins other columns, so that with several
/// credentials one endorser could act as another.)
pub(super) fn endorsers(rows: &Rows, imported: &mut Imported) -> BTreeMap<i64, String> {
    let mut of: BTreeMap<i64, Vec<&Credential>> = BTreeMap::new();
    let known: Vec<i64> = rows.endorsers.iter().map(|endorser| endorser.id).collect();
    for credential in &rows.credentials {
        match credential.endorser.filter(|endorser| known.contains(endorser)) {
            Some(endorser) => of.entry(endorser).or_default().push(credential),
            None => by_hand(imported, credential.id, "its endorser is not in the database"),
        }
    }
    let (mut names, mut by_id) = (Names::default(), BTreeMap::new());
    for endorser in &rows.endorsers {
        let identifier = endorser.identifier.clone().unwrap_or_default();
        let credentials = of.remove(&endorser.id).unwrap_or_default();
        let usable = usable(&credentials, imported);
        if usable.is_empty() {
            let reason = "has no usable credential, so nothing can be signed by it";
            imported.outcomes.push(Outcome::new("endorser", endorser.id, Fate::NotNeeded(reason.to_owned())));
            continue;
        }
        let name = names.give(&identifier, &format!("endorser-{}", endorser.id));
        let numbered = (1..).zip(&usable);
        let entries: Vec<Value> =
            numbered.map(|(number, one)| x509_credential(number, &one.subject, &one.issuer)).collect();
        let manifest = Manifest::new("Endorser", &name, &json!({"credentials": entries}));
        let manifest = manifest.note(format!("vmcatcher's endorser {identifier}"));
        let fate = Fate::Manifest(manifest.name());
        imported.outcomes.push(Outcome::new("endorser", endorser.id, fate.clone()));
        for credential in usable {
            imported.outcomes.push(Outcome::new("endorserPrincible", credential.id, fate.clone()));
        }
        imported.endorsers.push(manifest);
        by_id.insert(endorser.id, name);
    }
    by_id
}

fn by_hand(imported: &mut Imported, id: i64, reason: &str) {
    imported.outcomes.push(Outcome::new("endorserPrincible", id, Fate::ByHand(reason.to_owned())));
}

/// The credentials whose names can be read, and that fit into one object.
fn usable<'a>(credentials: &[&'a Credential], imported: &mut Imported) -> Vec<&'a Credential> {
    let mut usable: Vec<&Credential> = Vec::new();
    for credential in credentials {
        let names = [&credential.subject, &credential.issuer];
        let wrong = names.iter().find_map(|name| match name.parse::<DistinguishedName>() {
            Ok(_) if name.len() <= 1024 => None,
            Ok(_) => Some("expected a name of at most 1024 bytes".to_owned()),
            Err(error) => Some(error.to_string()),
        });
        match wrong {
            Some(wrong) => by_hand(imported, credential.id, &wrong),
            None if usable.len() == MOST => {
                by_hand(
                    imported,
                    credential.id,
                    "an Endorser has at most 16 credentials: make another Endorser for it",
                );
            }
            None => usable.push(credential),
        }
    }
    usable
}
