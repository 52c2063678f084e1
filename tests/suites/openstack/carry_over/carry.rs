//! What the new image has of the old one, as Glance has it afterwards.

use harness::openstack::{DTEAM, Image, Member, OPS};

use super::site::{IDENTIFIER, PROJECT, Site, Want, property};

/// What the site decided about an image.
#[derive(Debug, Clone)]
struct Case {
    name: String,
    visibility: &'static str,
    members: Vec<(&'static str, &'static str)>,
    bits: u8,
}

fn cases() -> Vec<Case> {
    let kinds: [(&str, Vec<(&str, &str)>); 7] = [
        ("private", vec![]),
        ("shared", vec![]),
        ("shared", vec![(OPS, "pending")]),
        ("shared", vec![(OPS, "accepted")]),
        ("shared", vec![(OPS, "accepted"), (DTEAM, "pending")]),
        ("community", vec![]),
        ("public", vec![]),
    ];
    let mut all = Vec::new();
    for (kind, (visibility, members)) in kinds.into_iter().enumerate() {
        for bits in 0..8 {
            let name = format!("{kind}-{bits}");
            all.push(Case { name, visibility, members: members.clone(), bits });
        }
    }
    all
}

impl Case {
    fn give(&self, image: &mut Image) {
        self.visibility.clone_into(&mut image.visibility);
        (image.protected, image.os_hidden) = (self.bits & 1 != 0, self.bits & 2 != 0);
        if self.bits & 4 != 0 {
            "deactivated".clone_into(&mut image.status);
        }
        let member = |(project, status): &(&str, &str)| Member {
            project: (*project).to_owned(),
            status: (*status).to_owned(),
            created: 0,
            updated: 0,
        };
        image.members = self.members.iter().map(member).collect();
        image.name = Some(format!("Site's {}", self.name));
        image.tags.insert("gold".to_owned());
        image.properties.insert("hw_disk_bus".to_owned(), "scsi".to_owned());
    }

    /// What must be the same of both: all but the acceptance of members, which takes an administrator.
    fn shown(image: &Image, accepts: bool) -> String {
        let member = |member: &Member| format!("{} {}", member.project, if accepts { &member.status } else { "" });
        let mut members: Vec<String> = image.members.iter().map(member).collect();
        members.sort();
        format!(
            "{:?} {} {} {} {} {members:?} {:?} {}",
            image.name,
            image.visibility,
            image.protected,
            image.os_hidden,
            image.status,
            image.tags,
            property(image, "hw_disk_bus")
        )
    }
}

fn everything_is_carried_over(site: &Site, accepts: bool) {
    let cases = cases();
    site.cloud.world(|world| world.member_may_publicise = true);
    let first: Vec<_> = cases.iter().map(|case| Want(&case.name, Some(1))).collect();
    let second: Vec<_> = cases.iter().map(|case| Want(&case.name, Some(2))).collect();
    site.converge(&first);
    let mut expected = Vec::new();
    site.cloud.world(|world| {
        for case in &cases {
            let of_case = |image: &&mut Image| property(image, "vmcatcher_event_dc_identifier") == case.name;
            let image = world.images.values_mut().find(of_case).unwrap();
            assert_eq!((image.visibility.as_str(), image.os_hidden), ("private", false), "private at first");
            case.give(image);
            expected.push(Case::shown(image, accepts));
        }
    });
    site.converge(&second);
    let images = site.images();
    assert_eq!(images.len(), cases.len() * 2, "nothing is created twice");
    for (case, expected) in cases.iter().zip(&expected) {
        let role = |role: &str| {
            let own = |image: &&Image| property(image, "vmcatcher_event_dc_identifier") == case.name;
            images.iter().filter(own).find(|image| property(image, "vmcatcher_role") == role).unwrap()
        };
        let (new, old) = (role("current"), role("retired"));
        assert_eq!(Case::shown(new, accepts), *expected, "{case:?}");
        assert_eq!(property(new, "vmcatcher_event_hv_version"), "4.2");
        let left = (old.visibility.as_str(), old.os_hidden, old.protected, old.status.as_str(), old.members.len());
        assert_eq!(left, ("private", true, false, "deactivated", 0), "{case:?}");
        assert!(old.name.as_ref().unwrap().starts_with(&format!("Site's {}_2", case.name)), "{:?}", old.name);
        assert!(old.tags.contains("vmcatcher-retired") && property(old, "vmcatcher_event_hv_version") == "4.1");
    }
    // Back to the first version, whose images are retired: nothing is uploaded.
    site.cloud.take_calls();
    site.converge(&first);
    assert!(site.cloud.take_calls().iter().all(|call| !call.name().ends_with("/file")));
    let images = site.images();
    let current = images.iter().filter(|image| property(image, "vmcatcher_role") == "current");
    let mut found: Vec<String> = current.map(|image| Case::shown(image, accepts)).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn everything_is_carried_over_by_a_member() {
    everything_is_carried_over(&Site::new(), false);
}

#[test]
fn everything_is_carried_over_by_an_administrator_with_accepted_members() {
    everything_is_carried_over(&Site::of_administrator(), true);
}

#[test]
fn an_image_of_a_tenant_with_our_properties_is_never_touched() {
    let site = Site::new();
    site.converge(&[Want(IDENTIFIER, Some(1))]);
    let copy = site.cloud.world(|world| {
        let own = world.images.values().next().unwrap().clone();
        let id = world.put("EGI Ubuntu", OPS);
        let copy = Image { id, owner: OPS.to_owned(), visibility: "public".to_owned(), ..own };
        world.images.insert(id, copy.clone());
        copy
    });
    for want in [Some(2), Some(1), None, Some(1)] {
        site.converge(&[Want(IDENTIFIER, want)]);
        site.restart();
        site.kept.0.lock().unwrap().clear();
        assert_eq!(site.images().into_iter().find(|image| image.id == copy.id).as_ref(), Some(&copy), "{want:?}");
    }
    let own = site.images().into_iter().filter(|image| image.owner == PROJECT);
    assert_eq!(own.count(), 2, "the same two, whatever was lost");
}
