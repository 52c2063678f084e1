//! `CloudTarget` spec -> checked values. Pure.

mod of_opennebula;
mod of_openstack;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::hand_over::HandOver;
use crate::api::{self, CloudAccess, CloudTarget, CloudType, ImageFormat, ObjectKey};
use crate::cloud::Claim;
use crate::convert::Form;
use crate::duration::parse_duration;
use crate::reconcile::check::{SpecError, http_address, requested_at};
use crate::reconcile::tls::CheckedTls;
use crate::{opennebula, openstack};

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
    OpenNebula(Box<opennebula::carry_over::Settings>),
    /// The settings for images at an OpenStack, and how its services are found.
    OpenStack(Box<openstack::Settings>, OpenStackAccess),
}

/// How the services of an OpenStack are found.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenStackAccess {
    /// The region of Glance in the catalogue.
    pub region: Option<String>,
    /// Which address in the catalogue is used.
    pub interface: Option<openstack::Interface>,
    /// The entry of the Secret's `clouds.yaml`.
    pub cloud: Option<String>,
}

impl Checked {
    /// Disables the time-based deletion of retired images while the local clock is in doubt.
    pub(super) fn by_clock(mut self, doubted: bool) -> Self {
        if doubted {
            match &mut self.cloud {
                CheckedCloud::OpenNebula(settings) => settings.retired.delete_after = None,
                CheckedCloud::OpenStack(settings, _) => settings.delete_after = None,
            }
        }
        self
    }
}

/// Checks a target. The error names the invalid field.
pub(super) fn check(object: &CloudTarget, instance: &str) -> Result<Checked, SpecError> {
    let key = ObjectKey::of(object);
    let spec = &object.spec;
    let claim = Claim { instance: instance.to_owned(), namespace: key.namespace.clone() };
    let (cloud, hand_over) = match spec.r#type {
        CloudType::OpenNebula => of_opennebula::check(spec, claim)?,
        CloudType::OpenStack => of_openstack::check(spec, claim)?,
        CloudType::Unknown => return Err(SpecError::unsupported("type", "OpenNebula or OpenStack")),
    };
    let access =
        spec.access().ok_or_else(|| SpecError::invalid("type", "expected the member that it names, found none"))?;
    Ok(Checked {
        generation: object.metadata.generation,
        suspend: spec.suspend,
        deleting: object.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        requested_at: requested_at(object),
        formats: formats(&spec.formats)?,
        endpoint: endpoint(&access)?,
        secret: access.secret_ref.name.clone(),
        tls: tls(&access)?,
        hand_over,
        cloud,
        key,
    })
}

/// The member that `type` names. Fails if it is missing, or if there is a member of another type.
fn member<'a, T, U>(own: (&str, &'a Option<T>), other: (&str, &Option<U>)) -> Result<&'a T, SpecError> {
    if other.1.is_some() {
        return Err(SpecError::invalid(other.0, &format!("expected none beside {}, found one", own.0)));
    }
    own.1.as_ref().ok_or_else(|| SpecError::invalid(own.0, "expected it with this type, found none"))
}

fn endpoint(access: &CloudAccess<'_>) -> Result<Url, SpecError> {
    let name = match access.member {
        "openStack" => "authUrl",
        _ => "endpoint",
    };
    http_address(&format!("{}.{name}", access.member), access.address, "use secretRef")
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

fn tls(access: &CloudAccess<'_>) -> Result<CheckedTls, SpecError> {
    let field = |name: &str| format!("{}.tls.{name}", access.member);
    let secret = access.tls.cert_secret_ref.as_ref().map(|reference| reference.name.clone());
    match (access.tls.trust, secret) {
        (api::TlsTrust::System, secret) => Ok(CheckedTls::System(secret)),
        (api::TlsTrust::Secret, Some(secret)) => Ok(CheckedTls::Secret(secret)),
        (api::TlsTrust::Secret, None) => {
            Err(SpecError::invalid(field("certSecretRef"), "expected it with trust Secret, found none"))
        }
        (api::TlsTrust::Grid | api::TlsTrust::Unknown, _) => {
            Err(SpecError::unsupported(field("trust"), "System or Secret"))
        }
    }
}

/// When retired images are deleted; `None` means never.
fn delete_after(field: &str, text: Option<&str>) -> Result<Option<SignedDuration>, SpecError> {
    let after = text.map(parse_duration).transpose().map_err(|error| SpecError::invalid(field, &error))?;
    Ok(after.map(|after| SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX)))
}
