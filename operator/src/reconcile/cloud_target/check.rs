//! `CloudTarget` spec -> checked values. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use url::Url;

use super::hand_over::HandOver;
use crate::api::{self, CloudTarget, CloudType, ImageFormat, ObjectKey, Update};
use crate::cloud::Claim;
use crate::convert::Form;
use crate::duration::parse_duration;
use crate::opennebula::carry_over::{Adoptable, Reference, Settings, UpdateMode};
use crate::opennebula::template::AttributeName;
use crate::reconcile::check::{SpecError, http_address, requested_at};
use crate::reconcile::tls::CheckedTls;

/// A target whose spec was checked.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    /// The key of the object.
    pub key: ObjectKey,
    /// The generation of the spec.
    pub generation: Option<i64>,
    /// Suspended: no call is made.
    pub suspend: bool,
    /// When it was marked for deletion.
    pub deleting: Option<Timestamp>,
    /// The request of a user to check the cloud now.
    pub requested_at: Option<String>,
    /// The image formats that the cloud accepts, the preferred one first.
    pub formats: Vec<Form>,
    /// The address of the cloud's API.
    pub endpoint: Url,
    /// The name of the Secret with the session.
    pub secret: String,
    /// The authorities for the server's certificate.
    pub tls: CheckedTls,
    /// How the cloud gets the bytes.
    pub hand_over: HandOver,
    /// What is special about this type of cloud.
    pub cloud: CheckedCloud,
}

/// What is special about a type of cloud.
#[derive(Debug, Clone)]
pub(super) enum CheckedCloud {
    /// The settings for images at an OpenNebula.
    OpenNebula(Settings),
}

impl Checked {
    /// Disables the time-based deletion of retired images while the local clock is in doubt.
    pub(super) fn by_clock(mut self, doubted: bool) -> Self {
        if doubted {
            match &mut self.cloud {
                CheckedCloud::OpenNebula(settings) => settings.retired.delete_after = None,
            }
        }
        self
    }
}

/// Checks a target. The error names the invalid field.
pub(super) fn check(object: &CloudTarget, instance: &str) -> Result<Checked, SpecError> {
    let key = ObjectKey::of(object);
    let spec = &object.spec;
    match spec.r#type {
        CloudType::OpenNebula => {}
        CloudType::Unknown => return Err(SpecError::unsupported("type", "OpenNebula")),
    }
    let missing = || SpecError::invalid("openNebula", "expected it with type OpenNebula, found none");
    let cloud = spec.open_nebula.as_ref().ok_or_else(missing)?;
    let claim = Claim { instance: instance.to_owned(), namespace: key.namespace.clone() };
    Ok(Checked {
        generation: object.metadata.generation,
        suspend: spec.suspend,
        deleting: object.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        requested_at: requested_at(object),
        formats: formats(&spec.formats)?,
        endpoint: http_address("openNebula.endpoint", &cloud.endpoint, "use secretRef")?,
        secret: cloud.secret_ref.name.clone(),
        tls: tls(&cloud.tls)?,
        hand_over: HandOver::check(&cloud.hand_over)?,
        cloud: CheckedCloud::OpenNebula(settings(cloud, claim)?),
        key,
    })
}

/// The address of a target's cloud. Fails if the spec is invalid.
pub(in crate::reconcile) fn checked_endpoint(object: &CloudTarget, instance: &str) -> Result<Url, SpecError> {
    check(object, instance).map(|checked| checked.endpoint)
}

fn formats(formats: &[ImageFormat]) -> Result<Vec<Form>, SpecError> {
    if formats.is_empty() {
        return Err(SpecError::invalid("formats", "expected at least one of qcow2 and raw, found none"));
    }
    let checked = formats.iter().map(|format| match format {
        ImageFormat::Qcow2 => Ok(Form::Qcow2),
        ImageFormat::Raw => Ok(Form::Raw),
        ImageFormat::Unknown => Err(SpecError::unsupported("formats", "qcow2 or raw")),
    });
    checked.collect()
}

fn tls(tls: &api::Tls) -> Result<CheckedTls, SpecError> {
    const FIELD: &str = "openNebula.tls.trust";
    let secret = tls.cert_secret_ref.as_ref().map(|reference| reference.name.clone());
    match (tls.trust, secret) {
        (api::TlsTrust::System, secret) => Ok(CheckedTls::System(secret)),
        (api::TlsTrust::Secret, Some(secret)) => Ok(CheckedTls::Secret(secret)),
        (api::TlsTrust::Secret, None) => {
            Err(SpecError::invalid("openNebula.tls.certSecretRef", "expected it with trust Secret, found none"))
        }
        (api::TlsTrust::Grid | api::TlsTrust::Unknown, _) => Err(SpecError::unsupported(FIELD, "System or Secret")),
    }
}

fn settings(cloud: &api::OpenNebula, claim: Claim) -> Result<Settings, SpecError> {
    let mut settings = Settings::new(claim, reference("openNebula.datastore", &cloud.datastore)?);
    settings.mode = match cloud.update {
        Update::Staged => UpdateMode::Staged,
        Update::InPlace => UpdateMode::InPlace,
        Update::Unknown => return Err(SpecError::unsupported("openNebula.update", "Staged or InPlace")),
    };
    settings.initial_permissions = (cloud.initial.permissions.parse())
        .map_err(|error| SpecError::invalid("openNebula.initial.permissions", &error))?;
    let group = cloud.initial.group.as_ref();
    settings.initial_group = group.map(|group| reference("openNebula.initial.group", group)).transpose()?;
    for api::VoGroup { vo, group } in &cloud.initial.vo_groups {
        settings.vo_groups.insert(vo.clone(), reference("openNebula.initial.voGroups", group)?);
    }
    settings.retired.owner = reference("openNebula.retired.owner", &cloud.retired.owner)?;
    settings.retired.group = reference("openNebula.retired.group", &cloud.retired.group)?;
    settings.adopt = cloud.adopt.as_ref().map(adoptable).transpose()?.unwrap_or_default();
    let after = cloud.retired.delete_after.as_deref().map(parse_duration).transpose();
    let after = after.map_err(|error| SpecError::invalid("openNebula.retired.deleteAfter", &error))?;
    settings.retired.delete_after = after.map(|after| SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX));
    settings.template = template(cloud)?;
    Ok(settings)
}

fn adoptable(adopt: &api::Adopt) -> Result<Adoptable, SpecError> {
    const FIELD: &str = "openNebula.adopt";
    if adopt.image_ids.is_empty() && adopt.owners.is_empty() {
        return Err(SpecError::invalid(FIELD, "expected imageIds, owners or both, found neither"));
    }
    let id = |id: &i64| {
        let bad =
            |_| SpecError::invalid("openNebula.adopt.imageIds", &format!("expected an id of 0 or more, found {id}"));
        i32::try_from(*id).and_then(u32::try_from).map_err(bad)
    };
    let images = adopt.image_ids.iter().map(id).collect::<Result<_, _>>()?;
    let owners = adopt.owners.iter().map(|owner| reference("openNebula.adopt.owners", owner));
    Ok(Adoptable { images, owners: owners.collect::<Result<_, _>>()? })
}

fn template(cloud: &api::OpenNebula) -> Result<Vec<(AttributeName, String)>, SpecError> {
    const FIELD: &str = "openNebula.template";
    if let Some((name, value)) = cloud.template.iter().find(|(_, value)| value.chars().count() > api::LONGEST_ATTRIBUTE)
    {
        let (most, found) = (api::LONGEST_ATTRIBUTE, value.chars().count());
        return Err(SpecError::invalid(FIELD, &format!("expected at most {most} characters in {name}, found {found}")));
    }
    let checked = cloud.template.iter().map(|(name, value)| Ok((name.parse()?, value.clone())));
    let checked: Result<Vec<_>, crate::opennebula::template::AttributeNameError> = checked.collect();
    let checked = checked.map_err(|error| SpecError::invalid(FIELD, &error))?;
    Settings::check_template(&checked).map_err(|error| SpecError::invalid(FIELD, &error))?;
    Ok(checked)
}

/// A number is an id, a string is a name.
fn reference(field: &str, value: &IntOrString) -> Result<Reference, SpecError> {
    match value {
        IntOrString::Int(number) => {
            let bad = |_| SpecError::invalid(field, &format!("expected an id of 0 or more, found {number}"));
            u32::try_from(*number).map(Reference::Id).map_err(bad)
        }
        IntOrString::String(name) if name.is_empty() || name.len() > 128 => {
            Err(SpecError::invalid(field, &format!("expected a name of 1 to 128 bytes, found {}", name.len())))
        }
        IntOrString::String(name) => Ok(Reference::Name(name.clone())),
    }
}
