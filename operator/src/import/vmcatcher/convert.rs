//! The rows of a database become manifests. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::manifest::{Imported, Names};
use super::super::outcome::{Fate, Outcome};
use super::super::seed::Known;
use super::credential;
use super::rows::{Definition, Instance, Rows};
use super::subscription::About;

/// Makes manifests, with the outcome of each row, and finds the images that the manifests want.
pub(super) fn convert(rows: &Rows, now: Timestamp) -> (Imported, Vec<Known>) {
    let mut imported = Imported { outcomes: rows.outcomes.clone(), ..Imported::default() };
    let endorsers = credential::endorsers(rows, &mut imported);
    let links = links(rows, &endorsers, &mut imported);
    let expiries: BTreeMap<i64, Timestamp> =
        rows.messages.iter().filter_map(|message| Some((message.id, message.expires?))).collect();
    let mut of: BTreeMap<i64, Vec<&Definition>> = BTreeMap::new();
    for definition in rows.definitions.iter().flatten() {
        of.entry(definition.subscription.unwrap_or(i64::MIN)).or_default().push(definition);
    }
    let (mut names, mut made) = (Names::default(), BTreeSet::new());
    for subscription in &rows.subscriptions {
        let about = About {
            subscription,
            endorsers: links.get(&subscription.id).cloned().unwrap_or_default(),
            definitions: rows.definitions.as_ref().map(|_| of.get(&subscription.id).cloned().unwrap_or_default()),
            expires: subscription.latest.and_then(|latest| expiries.get(&latest).copied()),
        };
        if about.add(&mut names, now, &mut imported) {
            made.insert(subscription.id);
        }
    }
    for definition in of.iter().filter(|(subscription, _)| !made.contains(subscription)).flat_map(|(_, all)| all) {
        let fate = Fate::ByHand("its subscription is not in the manifests".to_owned());
        imported.outcomes.push(Outcome::new("ImageDefinition", definition.id, fate));
    }
    for message in &rows.messages {
        let reason = "each list is fetched and verified again; accepted ones are kept on the volume";
        imported.outcomes.push(Outcome::new("imageListInstance", message.id, Fate::NotNeeded(reason.to_owned())));
    }
    let known = images(rows, &made, &mut imported);
    (imported, known)
}

/// The names of the Endorsers of each subscription.
fn links<'a>(
    rows: &Rows,
    endorsers: &'a BTreeMap<i64, String>,
    imported: &mut Imported,
) -> BTreeMap<i64, Vec<&'a str>> {
    let known: BTreeSet<i64> = rows.subscriptions.iter().map(|subscription| subscription.id).collect();
    let mut found: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for link in &rows.links {
        let subscription = link.subscription.filter(|id| known.contains(id));
        let fate = match (subscription, link.endorser.and_then(|id| endorsers.get(&id))) {
            (Some(subscription), Some(endorser)) => {
                let all = found.entry(subscription).or_default();
                if !all.contains(&endorser.as_str()) {
                    all.push(endorser);
                }
                Fate::Manifest(format!("endorserRefs, with Endorser {endorser}"))
            }
            (None, _) => Fate::NotNeeded("its subscription was deleted".to_owned()),
            (Some(_), None) => Fate::ByHand("its endorser is not in the manifests".to_owned()),
        };
        imported.outcomes.push(Outcome::new("subscriptionAuth", link.id, fate));
    }
    found
}

/// The images that the manifests want, of the latest list that the database has.
fn images(rows: &Rows, made: &BTreeSet<i64>, imported: &mut Imported) -> Vec<Known> {
    let definitions: BTreeMap<i64, &Definition> =
        rows.definitions.iter().flatten().map(|definition| (definition.id, definition)).collect();
    let latest: BTreeSet<i64> = rows
        .subscriptions
        .iter()
        .filter(|subscription| made.contains(&subscription.id))
        .filter_map(|subscription| subscription.latest)
        .collect();
    let mut known = Vec::new();
    for instance in &rows.instances {
        let fate = match wanted(instance, &definitions, rows.definitions.is_some(), (made, &latest)) {
            Err(reason) => Fate::NotNeeded(reason.to_owned()),
            Ok(identifier) => match instance.sha512.to_lowercase().parse() {
                Err(_) => Fate::ByHand("its sha512 is no digest, so no file can be it".to_owned()),
                Ok(digest) => {
                    let version = instance.version.clone().unwrap_or_default();
                    known.push(Known { identifier: identifier.to_owned(), version, digest, size: instance.size });
                    Fate::NotNeeded("its bytes are looked for with --cache; its text comes with the list".to_owned())
                }
            },
        };
        imported.outcomes.push(Outcome::new("ImageInstance", instance.id, fate));
    }
    known
}

/// The identifier of a wanted image, or why it is not wanted.
fn wanted<'a>(
    instance: &'a Instance,
    definitions: &BTreeMap<i64, &'a Definition>,
    has_definitions: bool,
    (made, latest): (&BTreeSet<i64>, &BTreeSet<i64>),
) -> Result<&'a str, &'static str> {
    if !has_definitions {
        let is_latest = instance.message.is_some_and(|message| latest.contains(&message));
        let identifier = instance.identifier.as_deref().filter(|_| is_latest);
        return identifier.ok_or("an older version, or of no list that is followed");
    }
    let definition = instance.definition.and_then(|id| definitions.get(&id)).ok_or("its image was deleted")?;
    if !definition.subscription.is_some_and(|subscription| made.contains(&subscription)) {
        return Err("its subscription is not in the manifests");
    }
    if definition.latest != Some(instance.id) {
        return Err("an older version");
    }
    if definition.cached { Ok(&definition.identifier) } else { Err("vmcatcher did not cache it") }
}
