//! `ImageListSubscription` spec -> checked values. Pure.

use std::num::NonZeroUsize;
use std::time::Duration;

use kube::ResourceExt;

use crate::api::{self, FINALIZER, ImageListSubscription, ImageListSubscriptionSpec, ObjectKey};
use crate::cache::SafeName;
use crate::cache::retention::Retention;
use crate::duration::{DurationError, parse_duration, parse_duration_of_at_least};
use crate::imagelist::{ImageId, ListFormat, Selection, SelectionError, SourceUrl};
use crate::reconcile::check::{SpecError, requested_at, retention, retire, targets};
use crate::reconcile::context::Settings;
use crate::reconcile::exchange::ListOrigin;
use crate::reconcile::tls::CheckedTls;
use crate::trust::Sha256Digest;

/// A subscription whose spec was checked.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The key of the object.
    pub key: ObjectKey,
    /// Its namespace, as a name on the volume.
    pub namespace: SafeName,
    /// Its name, as a name on the volume.
    pub name: SafeName,
    /// The generation of the spec.
    pub generation: Option<i64>,
    /// Where the list is.
    pub url: SourceUrl,
    /// The format of the list.
    pub format: ListFormat,
    /// The name of the Secret with the credentials.
    pub secret: Option<String>,
    /// The authorities for the server's certificate.
    pub tls: CheckedTls,
    /// `AutoEndorse`: the first signer is trusted, and no Endorser is named.
    pub auto_endorse: bool,
    /// The names of the Endorsers whose signatures are trusted.
    pub endorsers: Vec<String>,
    /// How many different Endorsers must have signed.
    pub required_endorsements: NonZeroUsize,
    /// The digest of a message that a user accepts although its version is older.
    pub accept_list: Option<Sha256Digest>,
    /// The name of the Secret with the decryption key for encrypted lists.
    pub decryption: Option<String>,
    /// The `dc:identifier` that the list must have.
    pub identifier: Option<ImageId>,
    /// The maximum age of a list, counted from its creation.
    pub max_list_age: Option<Duration>,
    /// How often the list is fetched.
    pub interval: Duration,
    /// The time-out of a fetch.
    pub timeout: Duration,
    /// Suspended: no fetch and no new version.
    pub suspend: bool,
    /// The selected images.
    pub selection: Selection,
    /// How many replaced versions are kept, and how long.
    pub retention: Retention,
    /// The targets of its images, unless an image names its own.
    pub targets: Vec<String>,
    /// How many cached images a new list may drop.
    pub removal_limit: Limit,
    /// Whether the images are retired when the object is deleted.
    pub retire: bool,
    /// The request of a user for a pass now.
    pub requested_at: Option<String>,
    /// The object is being deleted.
    pub deleting: bool,
    /// The object has our finalizer.
    pub finalizer: bool,
}

impl Checked {
    /// The source, for its list and for images on the same server.
    pub(super) fn origin(&self) -> ListOrigin {
        let registry = match &self.format {
            ListFormat::Hepix | ListFormat::Checksums(_) | ListFormat::SimpleStreams(_) => None,
            ListFormat::Oci(rule) => Some(rule.repository.clone()),
        };
        ListOrigin { url: self.url.clone(), secret: self.secret.clone(), tls: self.tls.clone(), registry }
    }
}

/// Checks a subscription. The error names the invalid field.
pub(in crate::reconcile) fn check(object: &ImageListSubscription, settings: &Settings) -> Result<Checked, SpecError> {
    let key = ObjectKey::of(object);
    let spec = &object.spec;
    let (url, format) = source(&spec.source)?;
    goes_together(spec, &format)?;
    Ok(Checked {
        namespace: key.namespace.parse().map_err(|error| SpecError::invalid("metadata.namespace", &error))?,
        name: key.name.parse().map_err(|error| SpecError::invalid("metadata.name", &error))?,
        generation: object.metadata.generation,
        url,
        format,
        secret: spec.source.secret_ref.as_ref().map(|reference| reference.name.clone()),
        tls: tls(&spec.source.tls)?,
        auto_endorse: auto_endorse(spec, settings)?,
        endorsers: endorsers(spec)?,
        required_endorsements: required_endorsements(spec)?,
        decryption: spec.verify.decryption_secret_ref.as_ref().map(|reference| reference.name.clone()),
        accept_list: optional("verify.acceptList", spec.verify.accept_list.as_deref(), str::parse)?,
        identifier: optional("verify.identifier", spec.verify.identifier.as_deref(), str::parse)?,
        max_list_age: optional("verify.maxListAge", spec.verify.max_list_age.as_deref(), parse_duration)?,
        interval: duration("interval", &spec.interval, "1m")?,
        timeout: duration("timeout", &spec.timeout, "1s")?,
        suspend: spec.suspend,
        selection: Selection::new(&spec.images).map_err(|error| selection_error(&error))?,
        retention: retention("retention", &spec.retention)?,
        targets: targets(&spec.target_refs)?,
        removal_limit: removal_limit(&spec.removal_limit)?,
        retire: retire("deletionPolicy", spec.deletion_policy)?,
        requested_at: requested_at(object),
        deleting: object.metadata.deletion_timestamp.is_some(),
        finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
        key,
    })
}

/// How what is at a source becomes a list: exactly one of the kinds of sources.
pub fn format(source: &api::ListSource) -> Result<ListFormat, SpecError> {
    self::source(source).map(|(_, format)| format)
}

/// The address of a source, and its format.
fn source(source: &api::ListSource) -> Result<(SourceUrl, ListFormat), SpecError> {
    ListFormat::of(source).map_err(|error| SpecError::invalid(error.path(), error.message()))
}

/// What goes with a kind of source. There is no first signer to believe without a certificate, and only an image list
/// can be encrypted.
fn goes_together(spec: &ImageListSubscriptionSpec, format: &ListFormat) -> Result<(), SpecError> {
    let kind = match format {
        ListFormat::Hepix => return Ok(()),
        ListFormat::Checksums(_) => "checksums",
        ListFormat::SimpleStreams(_) => "simpleStreams",
        ListFormat::Oci(_) => "oci",
    };
    if spec.verify.mode != api::VerifyMode::Enforce {
        let message = format!("expected Enforce with source.{kind}, found another mode");
        return Err(SpecError::invalid("verify.mode", &message));
    }
    if spec.verify.decryption_secret_ref.is_some() {
        let message = format!("expected none with source.{kind}, found one");
        return Err(SpecError::invalid("verify.decryptionSecretRef", &message));
    }
    Ok(())
}

fn auto_endorse(spec: &ImageListSubscriptionSpec, settings: &Settings) -> Result<bool, SpecError> {
    const FIELD: &str = "verify.mode";
    match spec.verify.mode {
        api::VerifyMode::Enforce => Ok(false),
        api::VerifyMode::AutoEndorse if settings.allow_auto_endorse => Ok(true),
        api::VerifyMode::AutoEndorse => Err(SpecError::invalid(
            FIELD,
            "expected Enforce, for the operator was started without --allow-auto-endorse",
        )),
        api::VerifyMode::Unknown => Err(SpecError::unsupported(FIELD, "Enforce or AutoEndorse")),
    }
}

fn endorsers(spec: &ImageListSubscriptionSpec) -> Result<Vec<String>, SpecError> {
    let names: Vec<String> = spec.verify.endorser_refs.iter().map(|reference| reference.name.clone()).collect();
    let message = match (spec.verify.mode, names.len()) {
        (api::VerifyMode::AutoEndorse, 0) | (api::VerifyMode::Enforce | api::VerifyMode::Unknown, 1..=16) => {
            return Ok(names);
        }
        (api::VerifyMode::AutoEndorse, found) => format!("expected none with mode: AutoEndorse, found {found}"),
        (api::VerifyMode::Enforce | api::VerifyMode::Unknown, found) => {
            format!("expected 1 to 16 Endorsers, found {found}")
        }
    };
    Err(SpecError::invalid("verify.endorserRefs", &message))
}

fn required_endorsements(spec: &ImageListSubscriptionSpec) -> Result<NonZeroUsize, SpecError> {
    let required = usize::from(spec.verify.required_endorsements);
    let most = spec.verify.endorser_refs.len().max(1);
    NonZeroUsize::new(required).filter(|required| required.get() <= most).ok_or_else(|| {
        let message = format!("expected 1 to {most}, the number of endorserRefs, found {required}");
        SpecError::invalid("verify.requiredEndorsements", &message)
    })
}

fn optional<T, E: std::fmt::Display>(
    field: &str,
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, SpecError> {
    text.map(parse).transpose().map_err(|error| SpecError::invalid(field, &error))
}

/// The text of a selection error begins with the path of its field.
fn selection_error(error: &SelectionError) -> SpecError {
    let text = error.to_string();
    let (path, message) = text.split_once(": ").unwrap_or(("spec.images", &text));
    SpecError::invalid(path.trim_start_matches("spec."), message)
}

fn duration(field: &str, text: &str, least: &'static str) -> Result<Duration, SpecError> {
    parse_duration_of_at_least(text, least).map_err(|error: DurationError| SpecError::invalid(field, &error))
}

fn removal_limit(limit: &api::RemovalLimit) -> Result<Limit, SpecError> {
    if limit.percent > 100 {
        let message = format!("expected at most 100, found {}", limit.percent);
        return Err(SpecError::invalid("removalLimit.percent", &message));
    }
    Ok(Limit { percent: limit.percent, free: limit.free as usize })
}

fn tls(tls: &api::Tls) -> Result<CheckedTls, SpecError> {
    let secret = tls.cert_secret_ref.as_ref().map(|reference| reference.name.clone());
    match (tls.trust, secret) {
        (api::TlsTrust::System, secret) => Ok(CheckedTls::System(secret)),
        (api::TlsTrust::Grid, None) => Ok(CheckedTls::Grid),
        (api::TlsTrust::Grid, Some(_)) => {
            Err(SpecError::invalid("source.tls.certSecretRef", "expected none with trust: Grid, found one"))
        }
        (api::TlsTrust::Secret, Some(secret)) => Ok(CheckedTls::Secret(secret)),
        (api::TlsTrust::Secret, None) => {
            Err(SpecError::invalid("source.tls.certSecretRef", "expected a Secret with ca.crt, found none"))
        }
        (api::TlsTrust::Unknown, _) => Err(SpecError::unsupported("source.tls.trust", "System, Grid or Secret")),
    }
}

/// How many cached images a list may drop without the approval of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The allowed percentage of the cached images.
    pub percent: u8,
    /// This number is always allowed, whatever its percentage.
    pub free: usize,
}
