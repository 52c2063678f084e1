//! `pin` and `unpin`: keep one image at a version. A pin is a manifest of its own, or a line in an existing one. The
//! folder of manifests belongs to the user, so it is changed only with `--write`; without it the change is printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::kept::Kept;
use super::manifest::{Field, Manifest};
use super::versions::{Version, Wished, image, known, resolve};
use super::{NOT_GOOD, print, print_bytes};
use crate::api::ObjectKey;
use crate::fs::write_atomic;
use crate::imagelist::ImageId;

/// The first line of a file that `pin` made. `unpin` removes only such files.
const MADE: &str = "# Made by `vmcatcher-operator pin`; `unpin` removes it.";

/// Arguments of `pin`.
#[derive(Debug, clap::Args)]
pub(super) struct Pin {
    /// dc:identifier of the image
    identifier: ImageId,
    /// The version (hv:version), or the content by its sha512: 128 digits, or `sha512:` and the first 8 or more
    #[arg(value_name = "VERSION|SHA512")]
    wished: Wished,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `unpin`.
#[derive(Debug, clap::Args)]
pub(super) struct Unpin {
    /// dc:identifier of the image
    identifier: ImageId,
    #[command(flatten)]
    place: Place,
}

/// Where images and manifests are.
#[derive(Debug, clap::Args)]
struct Place {
    /// The namespace of the image, if it is in several
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    kept: Kept,
    /// The folder of manifests; without --write it is not changed
    #[arg(long, value_name = "DIR", env = "VMCATCHER_MANIFESTS")]
    manifests: Option<PathBuf>,
    /// Write the change to the folder of manifests instead of showing it: a changed line, or a new file
    #[arg(long, requires = "manifests")]
    write: bool,
}

/// Pins an image.
pub(super) fn pin(args: &Pin) -> anyhow::Result<ExitCode> {
    let place = &args.place;
    let (directory, _) = place.kept.open()?;
    let found = image(&directory, &place.kept.volume, place.namespace.as_deref(), &args.identifier)?;
    let Some((key, subscription)) = found else { return Ok(not_found(&args.identifier)) };
    let versions = known(&directory, &place.kept.volume, &key.sibling(&subscription), &args.identifier)?;
    let Some(version) = resolve(&args.wished, &versions) else {
        tracing::error!(
            "{}: expected one of the versions that accepted lists had, found {}; they had {}",
            args.identifier,
            args.wished,
            shown(&versions)
        );
        return Ok(ExitCode::from(NOT_GOOD));
    };
    let digest = version.digest.sha512().map(|digest| digest.to_string());
    let fields: [Field<'_>; 2] = match (&args.wished, &digest) {
        (Wished::Sha512(_) | Wished::Sha256(_), Some(digest)) => [("sha512", Some(digest)), ("version", None)],
        // A pin of content is by sha512, which is known once the version was downloaded.
        (Wished::Version(_) | Wished::Sha512(_) | Wished::Sha256(_), _) => {
            [("version", Some(version.version.as_str())), ("sha512", None)]
        }
    };
    match place.manifest(&key)? {
        Some(manifest) => place.edit(&manifest, &fields)?,
        None => place.add(&key, &subscription, &args.identifier, &fields)?,
    }
    tracing::info!("{} stays at version {} ({}…)", args.identifier, version.version, version.digest.short());
    Ok(ExitCode::SUCCESS)
}

/// Removes a pin.
pub(super) fn unpin(args: &Unpin) -> anyhow::Result<ExitCode> {
    let place = &args.place;
    let (directory, _) = place.kept.open()?;
    let found = image(&directory, &place.kept.volume, place.namespace.as_deref(), &args.identifier)?;
    let Some((key, _)) = found else { return Ok(not_found(&args.identifier)) };
    let Some(folder) = &place.manifests else { bail!("expected the folder of manifests (--manifests), found none") };
    let Some(manifest) = place.manifest(&key)? else {
        tracing::error!("CachedImage {key} is not pinned: no manifest in {} speaks of it", folder.display());
        return Ok(ExitCode::from(NOT_GOOD));
    };
    if ["version", "sha512"].iter().all(|name| manifest.field(name).is_none()) {
        tracing::error!("CachedImage {key} is not pinned in {}", manifest.path.display());
        return Ok(ExitCode::from(NOT_GOOD));
    }
    if is_a_pin_alone(&manifest) {
        place.remove(&manifest.path)?;
    } else {
        place.edit(&manifest, &[("version", None), ("sha512", None)])?;
    }
    tracing::info!("{} follows its list again", args.identifier);
    Ok(ExitCode::SUCCESS)
}

fn not_found(identifier: &ImageId) -> ExitCode {
    tracing::error!("NotFound: no image {:?} is kept, and no list in force has it", identifier.as_str());
    ExitCode::from(NOT_GOOD)
}

/// The newest versions, as text.
fn shown(versions: &[Version]) -> String {
    const MOST: usize = 10;
    let each = versions.iter().take(MOST).map(|one| format!("{} ({})", one.version, one.digest.short()));
    let more = if versions.len() > MOST { ", and more" } else { "" };
    format!("{}{more}", each.collect::<Vec<_>>().join(", "))
}

/// Whether `pin` made the file, and nothing was added since.
fn is_a_pin_alone(manifest: &Manifest) -> bool {
    let ours = ["subscriptionRef", "identifier", "version", "sha512"];
    manifest.text.starts_with(MADE) && manifest.is_alone() && manifest.fields().iter().all(|name| ours.contains(name))
}

impl Place {
    fn manifest(&self, key: &ObjectKey) -> anyhow::Result<Option<Manifest>> {
        self.manifests.as_ref().map_or(Ok(None), |folder| Manifest::of_image(folder, key))
    }

    /// Changes the image's manifest, or prints the changed document.
    fn edit(&self, manifest: &Manifest, fields: &[Field<'_>]) -> anyhow::Result<()> {
        let path = manifest.path.display();
        let edited = manifest.with(fields).with_context(|| format!("change spec by hand: {}", told(fields)))?;
        if self.write {
            manifest.replace(&edited)?;
            return print(&format!("changed {path}: {}\n", told(fields)));
        }
        tracing::info!("nothing was written (--write does): paste this in place of the document in {path}");
        print_bytes(edited.document.as_bytes())
    }

    /// Writes a manifest for an image that has none, or prints it.
    fn add(
        &self,
        key: &ObjectKey,
        subscription: &str,
        identifier: &ImageId,
        fields: &[Field<'_>],
    ) -> anyhow::Result<()> {
        let text = new_manifest(key, subscription, identifier, fields)?;
        let name = match key.namespace.as_str() {
            "default" => format!("pin-{}.yaml", key.name),
            namespace => format!("pin-{namespace}-{}.yaml", key.name),
        };
        if !self.write {
            tracing::info!("nothing was written (--write does): save this as {name} in the folder of manifests");
            return print(&text);
        }
        let path = self.manifests.as_deref().unwrap_or(Path::new(".")).join(name);
        if fs::symlink_metadata(&path).is_ok() {
            bail!("{}: expected no such file, found one that speaks of something else", path.display());
        }
        write_atomic(&path, text.as_bytes(), 0o644).with_context(|| format!("cannot write {}", path.display()))?;
        print(&format!("made {}\n", path.display()))
    }

    fn remove(&self, path: &Path) -> anyhow::Result<()> {
        if !self.write {
            return print(&format!("remove {} (--write does it)\n", path.display()));
        }
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        print(&format!("removed {}\n", path.display()))
    }
}

/// The changes of the fields, as text.
fn told(fields: &[Field<'_>]) -> String {
    let each = fields.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}: {value}"),
        None => format!("no {name}"),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn new_manifest(
    key: &ObjectKey,
    subscription: &str,
    identifier: &ImageId,
    fields: &[Field<'_>],
) -> anyhow::Result<String> {
    let namespace = if key.namespace == "default" { None } else { Some(key.namespace.as_str()) };
    let line = |indent: &str, name: &str, value: Option<&str>| -> anyhow::Result<String> {
        let Some(value) = value else { return Ok(String::new()) };
        Ok(format!("{indent}{name}: {}\n", serde_yaml::to_string(value)?.trim_end()))
    };
    let mut text = format!("{MADE}\napiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata:\n");
    text += &line("  ", "name", Some(&key.name))?;
    text += &line("  ", "namespace", namespace)?;
    text += "spec:\n  subscriptionRef:\n";
    text += &line("    ", "name", Some(subscription))?;
    text += &line("  ", "identifier", Some(identifier.as_str()))?;
    for (name, value) in fields {
        text += &line("  ", name, *value)?;
    }
    Ok(text)
}
