//! `CloudTarget.spec.openNebula` -> settings. Pure.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{CheckedCloud, delete_after, member};
use crate::api::{self, CloudTargetSpec, Update};
use crate::cloud::Claim;
use crate::opennebula::carry_over::{Adoptable, Reference, Settings, UpdateMode};
use crate::opennebula::template::AttributeName;
use crate::reconcile::check::SpecError;
use crate::reconcile::cloud_target::hand_over::HandOver;

/// Checks the member of an OpenNebula.
pub(super) fn check(spec: &CloudTargetSpec, claim: Claim) -> Result<(CheckedCloud, HandOver), SpecError> {
    let cloud = member(("openNebula", &spec.open_nebula), ("openStack", &spec.open_stack))?;
    Ok((CheckedCloud::OpenNebula(Box::new(settings(cloud, claim)?)), HandOver::check(&cloud.hand_over)?))
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
    let after = cloud.retired.delete_after.as_deref();
    settings.retired.delete_after = delete_after("openNebula.retired.deleteAfter", after)?;
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
