//! `CloudTarget.spec.openStack` -> settings. Pure.

use uuid::Uuid;

use super::{CheckedCloud, OpenStackAccess, delete_after, member};
use crate::api::{self, CloudTargetSpec, OpenStack, OpenStackName, OpenStackVisibility, Update};
use crate::cloud::Claim;
use crate::openstack::settings::{Adoptable, NameFrom, Settings, Transfer};
use crate::openstack::{Interface, Visibility};
use crate::reconcile::check::SpecError;
use crate::reconcile::cloud_target::hand_over::HandOver;

/// Checks the member of an OpenStack.
pub(super) fn check(spec: &CloudTargetSpec, claim: Claim) -> Result<(CheckedCloud, HandOver), SpecError> {
    let cloud = member(("openStack", &spec.open_stack), ("openNebula", &spec.open_nebula))?;
    let hand_over = HandOver::check_openstack(&cloud.hand_over)?;
    let mut settings = settings(cloud, claim)?;
    settings.transfer = match hand_over {
        HandOver::Upload => Transfer::Upload,
        HandOver::Path(_) | HandOver::Url(_) => Transfer::Import,
    };
    let access = OpenStackAccess {
        region: name("openStack.region", cloud.region.as_deref())?,
        interface: cloud.interface.map(interface).transpose()?,
        cloud: name("openStack.cloud", cloud.cloud.as_deref())?,
    };
    Ok((CheckedCloud::OpenStack(Box::new(settings), access), hand_over))
}

fn settings(cloud: &OpenStack, claim: Claim) -> Result<Settings, SpecError> {
    let mut settings = Settings::new(claim);
    match cloud.update {
        Update::Staged => {}
        Update::InPlace => {
            let message = "expected Staged, the only order: Glance lets two images have one name; found InPlace";
            return Err(SpecError::invalid("openStack.update", message));
        }
        Update::Unknown => return Err(SpecError::unsupported("openStack.update", "Staged")),
    }
    settings.name = match cloud.initial.name {
        OpenStackName::Title => NameFrom::Title,
        OpenStackName::Identifier => NameFrom::Identifier,
        OpenStackName::Unknown => return Err(SpecError::unsupported("openStack.initial.name", "Title or Identifier")),
    };
    initial(cloud, &mut settings)?;
    Settings::check_properties(&cloud.properties)
        .map_err(|error| SpecError::invalid("openStack.properties", &error))?;
    if let Some((name, value)) =
        cloud.properties.iter().find(|(_, value)| value.chars().count() > api::LONGEST_PROPERTY)
    {
        let (most, found) = (api::LONGEST_PROPERTY, value.chars().count());
        let message = format!("expected at most {most} characters in {name}, found {found}");
        return Err(SpecError::invalid("openStack.properties", &message));
    }
    settings.properties = cloud.properties.clone();
    settings.adopt = cloud.adopt.as_ref().map(adoptable).transpose()?.unwrap_or_default();
    settings.delete_after = delete_after("openStack.retired.deleteAfter", cloud.retired.delete_after.as_deref())?;
    Ok(settings)
}

fn initial(cloud: &OpenStack, settings: &mut Settings) -> Result<(), SpecError> {
    const VISIBILITY: &str = "openStack.initial.visibility";
    settings.visibility = match cloud.initial.visibility {
        OpenStackVisibility::Private => Visibility::Private,
        OpenStackVisibility::Shared => Visibility::Shared,
        OpenStackVisibility::Community => Visibility::Community,
        OpenStackVisibility::Public => Visibility::Public,
        OpenStackVisibility::Unknown => {
            return Err(SpecError::unsupported(VISIBILITY, "Private, Shared, Community or Public"));
        }
    };
    if !cloud.initial.members.is_empty() && cloud.initial.visibility != OpenStackVisibility::Shared {
        let message = format!("expected members with visibility: Shared only, found {:?}", cloud.initial.visibility);
        return Err(SpecError::invalid("openStack.initial.members", &message));
    }
    for member in &cloud.initial.members {
        settings.shared_with.insert(project("openStack.initial.members", member)?);
    }
    for api::VoProject { vo, project_id } in &cloud.initial.vo_projects {
        if vo.is_empty() {
            return Err(SpecError::invalid("openStack.initial.voProjects.vo", "expected the name of a VO, found none"));
        }
        let project = project("openStack.initial.voProjects.projectId", project_id)?;
        settings.vo_projects.entry(vo.clone()).or_default().insert(project);
    }
    Ok(())
}

/// The id of a project: 32 hexadecimal digits in most clouds; LDAP and others have longer ones.
fn project(field: &str, text: &str) -> Result<String, SpecError> {
    let is_id = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_id {
        return Ok(text.to_owned());
    }
    let message = format!("expected the id of a project (openstack project show NAME -f value -c id), found {text:?}");
    Err(SpecError::invalid(field, &message))
}

fn adoptable(adopt: &api::OpenStackAdopt) -> Result<Adoptable, SpecError> {
    const FIELD: &str = "openStack.adopt.imageIds";
    if adopt.image_ids.is_empty() {
        return Err(SpecError::invalid(FIELD, "expected at least one id of an image, found none"));
    }
    let id = |text: &String| {
        let bad = |_| SpecError::invalid(FIELD, &format!("expected the id of an image, a UUID, found {text:?}"));
        text.parse::<Uuid>().map_err(bad)
    };
    Ok(Adoptable { images: adopt.image_ids.iter().map(id).collect::<Result<_, _>>()? })
}

fn interface(interface: api::Interface) -> Result<Interface, SpecError> {
    match interface {
        api::Interface::Public => Ok(Interface::Public),
        api::Interface::Internal => Ok(Interface::Internal),
        api::Interface::Admin => Ok(Interface::Admin),
        api::Interface::Unknown => Err(SpecError::unsupported("openStack.interface", "Public, Internal or Admin")),
    }
}

/// A name that is not empty, if there is one.
fn name(field: &str, text: Option<&str>) -> Result<Option<String>, SpecError> {
    match text {
        Some("") => Err(SpecError::invalid(field, "expected a name, found an empty text")),
        text => Ok(text.map(str::to_owned)),
    }
}
