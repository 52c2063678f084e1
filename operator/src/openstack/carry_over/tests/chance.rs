//! Whatever happens in whatever order: once the faults end, there is one image in circulation, and no image of others was
//! touched.

use proptest::prelude::*;

use super::site::{IDENTIFIER, Site, Want, claim, digest};
use super::world::{FAULTS, Fault, PROJECT};
use crate::openstack::carry_over::properties::{Role, property};
use crate::openstack::carry_over::{Outcome, Verdict};
use crate::openstack::image::{Image, ImageStatus, MemberStatus, Visibility};

/// What happens.
#[derive(Debug, Clone)]
enum Event {
    /// So many passes for a version.
    Pass(Want, usize),
    /// A call that is so far away fails.
    Fault(usize, Fault),
    /// Uploads end.
    Uploaded,
    /// The process is started anew.
    Restart,
    /// The volume with the records is lost.
    RecordLost,
    /// Time passes.
    Wait(i64),
    /// A person changes the image in circulation.
    Changed(SiteChange),
    /// A person deletes an image.
    Deleted(usize),
}

#[derive(Debug, Clone)]
enum SiteChange {
    Visibility(Visibility),
    Member(MemberStatus),
    Protected(bool),
    Hidden(bool),
    Active(bool),
    Untagged,
    NoRole,
}

fn event() -> impl Strategy<Value = Event> {
    let want = prop_oneof![1 => Just(None), 4 => (1_u8..4).prop_map(Some)];
    let visibility =
        prop::sample::select(vec![Visibility::Private, Visibility::Shared, Visibility::Community, Visibility::Public]);
    let member = prop::sample::select(vec![MemberStatus::Pending, MemberStatus::Accepted, MemberStatus::Rejected]);
    let changed = prop_oneof![
        visibility.prop_map(SiteChange::Visibility),
        member.prop_map(SiteChange::Member),
        any::<bool>().prop_map(SiteChange::Protected),
        any::<bool>().prop_map(SiteChange::Hidden),
        any::<bool>().prop_map(SiteChange::Active),
        Just(SiteChange::Untagged),
        Just(SiteChange::NoRole),
    ];
    prop_oneof![
        6 => (want, 1_usize..4).prop_map(|(want, passes)| Event::Pass(want, passes)),
        3 => (0_usize..6, prop::sample::select(FAULTS.to_vec())).prop_map(|(at, fault)| Event::Fault(at, fault)),
        3 => Just(Event::Uploaded),
        1 => Just(Event::Restart),
        1 => Just(Event::RecordLost),
        1 => prop::sample::select(vec![61, 3700, 90_000]).prop_map(Event::Wait),
        3 => changed.prop_map(Event::Changed),
        1 => (0_usize..4).prop_map(Event::Deleted),
    ]
}

fn change(site: &Site, change: &SiteChange) {
    let mut world = site.model.world();
    let current = |image: &&mut Image| image.owner == PROJECT && property(image, "vmcatcher_role") == "current";
    let Some(image) = world.images.values_mut().find(current) else { return };
    let id = image.id;
    match change {
        SiteChange::Visibility(visibility) => image.visibility = visibility.clone(),
        SiteChange::Protected(protected) => image.protected = *protected,
        SiteChange::Hidden(hidden) => image.os_hidden = *hidden,
        SiteChange::Active(active) => {
            image.status = if *active { ImageStatus::Active } else { ImageStatus::Deactivated };
        }
        SiteChange::Untagged => image.tags.clear(),
        SiteChange::NoRole => drop(image.properties.remove("vmcatcher_role")),
        SiteChange::Member(status) => {
            image.visibility = Visibility::Shared;
            world.members.entry(id).or_default().insert("tenant".to_owned(), status.clone());
        }
    }
}

fn happen(site: &Site, event: &Event) {
    match event {
        Event::Pass(want, passes) => {
            for _ in 0..*passes {
                let _ = site.pass(*want);
                site.model.world().advance(1);
            }
        }
        Event::Fault(at, fault) => {
            let mut world = site.model.world();
            world.fault = Some((world.writes + at, *fault));
        }
        Event::Uploaded => site.model.world().finish_uploads(),
        Event::Restart => site.restart(),
        Event::RecordLost => {
            site.kept.0.lock().unwrap().clear();
            site.restart();
        }
        Event::Wait(seconds) => site.model.world().advance(*seconds),
        Event::Changed(what) => change(site, what),
        Event::Deleted(number) => {
            let mut world = site.model.world();
            let own = |image: &&Image| image.owner == PROJECT && !property(image, "vmcatcher_operator").is_empty();
            let own: Vec<_> = world.images.values().filter(own).map(|image| image.id).collect();
            if let Some(id) = own.get(*number) {
                world.images.remove(id);
                world.members.remove(id);
            }
        }
    }
}

/// Images of others that claim to be this one: of another project, of another operator, and without a claim.
fn strangers(site: &Site) -> Vec<Image> {
    let claim = claim().to_string();
    let mut world = site.model.world();
    let digest = digest(1).to_string();
    let properties = [
        ("vmcatcher_event_dc_identifier", IDENTIFIER),
        ("vmcatcher_operator", claim.as_str()),
        ("vmcatcher_role", "current"),
        ("vmcatcher_event_sl_checksum_sha512", digest.as_str()),
    ];
    let foreign = world.put("a-tenant", &properties);
    let unclaimed = world.put(PROJECT, &properties[..1]);
    for id in [foreign, unclaimed] {
        let image = world.images.get_mut(&id).unwrap();
        image.tags.insert("vmcatcher".to_owned());
        image.visibility = Visibility::Public;
    }
    [foreign, unclaimed].map(|id| world.images[&id].clone()).to_vec()
}

fn check(site: &Site, want: Want, outcome: &Outcome, strangers: &[Image]) {
    let context = format!("{outcome:#?}\n{:#?}", site.images());
    let images = site.images();
    for stranger in strangers {
        assert!(images.contains(stranger), "{stranger:?} was changed: {context}");
    }
    let own = images.iter().filter(|image| image.owner == PROJECT && image.tags.contains("vmcatcher"));
    let own: Vec<&Image> = own.filter(|image| !property(image, "vmcatcher_operator").is_empty()).collect();
    let of = |role: Role| own.iter().filter(|image| Role::read(image) == Some(role)).collect::<Vec<_>>();
    assert_eq!(of(Role::Staged).len(), 0, "{context}");
    for image in of(Role::Retired) {
        assert!(image.os_hidden && image.visibility == Visibility::Private, "{context}");
    }
    match (want, &outcome.verdict) {
        (None, Verdict::Retired) => assert_eq!(of(Role::Current).len(), 0, "{context}"),
        (Some(version), Verdict::Published { id }) => {
            let current = of(Role::Current);
            assert_eq!(current.iter().map(|image| image.id).collect::<Vec<_>>(), [*id], "{context}");
            let sent = digest(if site.converts { version + 100 } else { version }).to_string();
            assert_eq!(current[0].os_hash_value.as_deref(), Some(sent.as_str()), "{context}");
        }
        other => panic!("{other:?}: {context}"),
    }
    let world = site.model.world();
    let pairs = own.iter().filter(|image| property(image, "vmcatcher_role") == "retired").filter(|image| {
        world.members.get(&image.id).is_some_and(|members| !members.is_empty())
            && image.visibility == Visibility::Shared
    });
    assert_eq!(pairs.count(), 0, "{context}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_always_ends_well(
        events in prop::collection::vec(event(), 1..25),
        want in prop_oneof![1 => Just(None), 5 => (1_u8..4).prop_map(Some)],
        administrator in any::<bool>(),
        converts in any::<bool>(),
    ) {
        let mut site = Site::new();
        site.converts = converts;
        site.model.world().account.is_administrator = administrator;
        let strangers = strangers(&site);
        for event in &events {
            happen(&site, event);
        }
        site.model.world().fault = None;
        site.restart();
        let outcome = site.converge(want);
        check(&site, want, &outcome, &strangers);
    }
}
