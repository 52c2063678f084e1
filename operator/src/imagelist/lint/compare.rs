//! Compares a list with the one that it replaces.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::super::{ImageList, ListedImage};
use super::Report;

pub(super) fn check(report: &mut Report, previous: &ImageList, list: &ImageList) {
    let path = |key: &str| format!("hv:imagelist.{key}");
    if list.identifier != previous.identifier {
        let message = format!("expected {} as before, found {}", previous.identifier, list.identifier);
        let advice = "sites know the list by it and refuse another one (IdentifierMismatch): keep it for good";
        report.error(path("dc:identifier"), message, advice);
    }
    let (old, new) = (&previous.version, &list.version);
    match new.compare(old) {
        Ordering::Less => {
            let message = format!("expected a version higher than {old}, found {new}, which is lower");
            let advice = "sites refuse it (VersionRollback); to go back, publish the old images under a higher version";
            report.error(path("hv:version"), message, advice);
        }
        Ordering::Equal if list != previous && list.created <= previous.created => {
            let message =
                format!("expected a version higher than {old}, found {new} again and no later dc:date:created");
            report.error(path("hv:version"), message, "sites refuse it (Replay): raise the version and the date");
        }
        Ordering::Equal if list != previous => {
            let message = format!("expected a version higher than {old}, found {new} again");
            report.warn(
                path("hv:version"),
                message,
                "raise the version with every change, so that people can tell them apart",
            );
        }
        Ordering::Equal | Ordering::Greater => {}
    }
    if new.compare(old).is_gt() && list.created <= previous.created {
        let message = format!("expected a time after {}, found {}", previous.created, list.created);
        report.warn(path("dc:date:created"), message, "set the time of signing");
    }
    check_images(report, previous, list);
}

fn check_images(report: &mut Report, previous: &ImageList, list: &ImageList) {
    let before: HashMap<&str, &ListedImage> =
        previous.images.iter().map(|image| (image.identifier.as_str(), image)).collect();
    for image in &list.images {
        let Some(old) = before.get(image.identifier.as_str()) else { continue };
        let path = format!("image {}", image.identifier);
        if image.version.compare(&old.version).is_lt() {
            let message = format!("expected a version of at least {}, found {}", old.version, image.version);
            report.warn(path.clone(), message, "sites show the newest version: raise it");
        }
        if image.sha512 != old.sha512 && image.version == old.version {
            let message = format!("another file under version {}, as before", image.version);
            report.warn(path, message, "raise hv:version of the image whenever its file changes");
        }
    }
    let after: std::collections::HashSet<&str> = list.images.iter().map(|image| image.identifier.as_str()).collect();
    for image in previous.images.iter().filter(|image| !after.contains(image.identifier.as_str())) {
        let message = format!("{:?} is no longer listed", image.title);
        report.note(format!("image {}", image.identifier), message, "sites take it out");
    }
}
