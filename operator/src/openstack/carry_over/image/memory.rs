//! The site's metadata that a new version gets. Pure.

use super::Situation;
use crate::cloud::Wanted;
use crate::openstack::carry_over::image_plan::ImagePlan;
use crate::openstack::carry_over::metadata::{Members, Metadata};
use crate::openstack::carry_over::names::first_name;
use crate::openstack::carry_over::properties::Role;
use crate::openstack::carry_over::recognise::Mine;
use crate::openstack::carry_over::remembered;
use crate::openstack::image::Visibility;

impl<'a> Situation<'a> {
    /// The image in circulation whose metadata is carried over: the newest, if possible one that is usable.
    pub(super) fn old(&self, new: Option<&Mine<'_>>) -> Option<&Mine<'a>> {
        let other = move |mine: &&Mine<'_>| new.is_none_or(|new| new.image.id != mine.image.id);
        let live = || self.ours.iter().filter(other).filter(|mine| mine.role == Role::Current);
        live().find(|mine| mine.is_usable()).or_else(|| live().next())
    }

    /// The metadata for a new image: that of the image in circulation, or else the remembered metadata, or else that of
    /// a first registration. `None` if the members of the image in circulation have to be read first.
    pub(super) fn wish(&self, new: Option<&Mine<'_>>, wanted: &Wanted, plan: &mut ImagePlan) -> Option<Metadata> {
        match self.old(new) {
            Some(old) => self.members(old.image, plan).map(|members| Metadata::of(old.image, members)),
            None => Some(self.memory().unwrap_or_else(|| self.initial(wanted))),
        }
    }

    /// The name that the next registration gets, and the smallest disk and memory for it.
    pub(super) fn named(&self, wanted: &Wanted) -> (String, u64, u64) {
        let old = self.old(None).map(|old| Metadata::of(old.image, Members::new()));
        let metadata = old.or_else(|| self.memory()).unwrap_or_else(|| self.initial(wanted));
        let name = metadata.name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| first_name(self.settings.name, &self.request.identifier, wanted));
        (name, metadata.min_disk, metadata.min_ram)
    }

    fn initial(&self, wanted: &Wanted) -> Metadata {
        let of_vo = wanted.event.vo.as_ref().and_then(|vo| self.settings.vo_projects.get(vo));
        let of_vo = of_vo.filter(|projects| !projects.is_empty());
        let visibility = if of_vo.is_some() { Visibility::Shared } else { self.settings.visibility.clone() };
        let projects = self.settings.shared_with.iter().chain(of_vo.into_iter().flatten());
        let own = &self.snapshot().account.project;
        let projects = projects.filter(|project| *project != own && visibility == Visibility::Shared);
        let members = projects.map(|project| (project.clone(), false)).collect();
        Metadata {
            name: Some(first_name(self.settings.name, &self.request.identifier, wanted)),
            visibility,
            members,
            protected: false,
            hidden: false,
            tags: std::collections::BTreeSet::new(),
            properties: std::collections::BTreeMap::new(),
            active: true,
            min_disk: 0,
            min_ram: 0,
        }
    }

    /// The metadata that was remembered when the image was last in circulation: from the retired images, unless the
    /// record is newer.
    pub(super) fn memory(&self) -> Option<Metadata> {
        let retired = self.ours.iter().filter(|mine| mine.role == Role::Retired);
        let remembered =
            |mine: &Mine<'_>| Some((remembered::retired_since(mine.image)?, remembered::read_remembered(mine.image)?));
        let newest = retired.filter_map(remembered).max_by_key(|(since, _)| *since);
        let record = self.request.record.metadata.clone();
        match newest {
            Some((since, metadata)) => {
                let newer = self.request.record.seen.is_some_and(|seen| seen > since);
                record.filter(|_| newer).or(Some(metadata))
            }
            None => record,
        }
    }
}
