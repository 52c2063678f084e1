//! A change that is cut off anywhere, or whose calls fail, one at a time: the next pass goes on from there.

use std::collections::BTreeMap;

use harness::openstack::{Answer, Call, Fault, Image, Member, OPS, World};
use vmcatcher_operator::imagelist::ImageId;
use vmcatcher_operator::openstack::carry_over::Record;

use super::site::{IDENTIFIER, Site, Want, property};

/// What happens in the passes under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Register,
    Update,
    Revive,
    Withdraw,
}

struct Start {
    world: World,
    records: BTreeMap<ImageId, Record>,
}

impl Action {
    fn wants(self) -> Want<'static> {
        Want(
            IDENTIFIER,
            match self {
                Self::Register | Self::Revive => Some(1),
                Self::Update => Some(2),
                Self::Withdraw => None,
            },
        )
    }

    /// The image in circulation is shared with a project that accepted it, and has a name and a property of the site.
    fn start(self, site: &Site) -> Start {
        let last = match self {
            Self::Register => None,
            Self::Update | Self::Withdraw => Some(1),
            Self::Revive => {
                site.converge(&[Want(IDENTIFIER, Some(1))]);
                Some(2)
            }
        };
        if last.is_some() {
            site.converge(&[Want(IDENTIFIER, last)]);
            site.cloud.world(|world| {
                let current = |image: &&mut Image| property(image, "vmcatcher_role") == "current";
                let image = world.images.values_mut().find(current).unwrap();
                (image.visibility, image.name) = ("shared".to_owned(), Some("Ours".to_owned()));
                image.properties.insert("hw_disk_bus".to_owned(), "scsi".to_owned());
                let (project, status) = (OPS.to_owned(), "accepted".to_owned());
                image.members.push(Member { project, status, created: 0, updated: 0 });
            });
            site.converge(&[Want(IDENTIFIER, last)]);
        }
        Start { world: site.cloud.world(|world| world.clone()), records: site.kept.0.lock().unwrap().clone() }
    }
}

fn restore(site: &Site, start: &Start) {
    site.restart();
    site.cloud.recover();
    site.cloud.world(|world| *world = start.world.clone());
    site.kept.0.lock().unwrap().clone_from(&start.records);
    site.cloud.take_calls();
    site.cloud.seen();
}

/// Whether a user finds the image as the site wants it.
fn is_found(world: &World) -> bool {
    world.images.values().any(|image| {
        image.name.as_deref() == Some("Ours")
            && (image.visibility.as_str(), image.status.as_str(), image.os_hidden) == ("shared", "active", false)
            && property(image, "hw_disk_bus") == "scsi"
            && image.members.iter().any(|member| member.project == OPS)
    })
}

/// What is seen of all images once all is done: ids and times left out.
fn summary(site: &Site) -> Vec<String> {
    let shown = |image: &Image| {
        let name = image.name.clone().unwrap_or_default();
        let members: Vec<&str> = image.members.iter().map(|member| member.project.as_str()).collect();
        let [role, version, bus] =
            ["vmcatcher_role", "vmcatcher_event_hv_version", "hw_disk_bus"].map(|name| property(image, name));
        let name = name.split("_20").next().unwrap_or_default();
        let Image { visibility, status, os_hidden, tags, size, .. } = image;
        format!("{role} {name} {visibility} {status} {os_hidden} {members:?} {tags:?} {version} {bus} {size:?}")
    };
    let mut all: Vec<String> = site.images().iter().map(shown).collect();
    all.sort();
    all
}

fn uploads(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.name().ends_with("/file") && call.done).count()
}

/// Runs a change whole, then again once for each of its calls and each way that call can go wrong.
fn cut_everywhere(action: Action) {
    let site = Site::new();
    let start = action.start(&site);
    restore(&site, &start);
    if matches!(action, Action::Update | Action::Revive) {
        site.cloud.watch(move |call, world| (call.is_write() && !is_found(world)).then(|| call.name()));
    }
    site.converge(&[action.wants()]);
    assert_eq!(site.cloud.seen(), [""; 0]);
    let whole = site.cloud.take_calls();
    let expected = summary(&site);
    for (at, call) in whole.iter().enumerate() {
        let faults = [
            None,
            Some(Fault::Drop),
            Some(Fault::LoseAnswer),
            Some(Fault::HalfAnswer),
            Some(Fault::Refuse(Answer::refuse(503, "Something went wrong."))),
            Some(Fault::Refuse(Answer::refuse(409, "Something else happens."))),
            Some(Fault::DoneBut(Answer::refuse(504, "The gateway has no time."))),
            Some(Fault::Garbage("<html>Bad gateway</html>".to_owned())),
            Some(Fault::Cut(1000)),
        ];
        // A read that goes wrong changes nothing, however it does.
        for fault in faults.into_iter().filter(|fault| fault.is_none() || call.is_write()) {
            restore(&site, &start);
            match &fault {
                Some(fault) => site.cloud.fail(at, fault.clone()),
                None => site.cloud.die_after(at),
            }
            let context = format!("{action:?}, call {at} ({}) {fault:?}", call.name());
            for _ in 0..4 {
                let _ = site.pass(&[action.wants()]);
                site.uploaded();
                site.cloud.world(|world| world.advance(1));
            }
            site.cloud.recover();
            site.restart();
            site.converge(&[action.wants()]);
            assert_eq!(site.cloud.seen(), [""; 0], "{context}");
            assert_eq!(summary(&site), expected, "{context}");
            assert_eq!(uploads(&site.cloud.take_calls()), uploads(&whole), "{context}: nothing is uploaded twice");
        }
    }
}

#[test]
fn a_first_registration_can_be_cut_anywhere() {
    cut_everywhere(Action::Register);
}

#[test]
fn an_update_can_be_cut_anywhere() {
    cut_everywhere(Action::Update);
}

#[test]
fn a_revival_can_be_cut_anywhere() {
    cut_everywhere(Action::Revive);
}

#[test]
fn a_withdrawal_can_be_cut_anywhere() {
    cut_everywhere(Action::Withdraw);
}
