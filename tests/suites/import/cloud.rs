//! A site whose images vmcatcher's handler registered in OpenNebula: they are taken over, and updates keep their rights.

use std::fs;

use harness::opennebula::{Cloud, Dialect};
use harness::site::Served;

use super::check;
use super::old::{AGES, Machine, ONE};

const ALICE: u32 = 2;

/// Registers an image as the original's handler did.
fn registered(cloud: &Cloud, image: &Served, owner: u32) -> u32 {
    cloud.world(|world| {
        let id = world.put(ONE, owner, 1, 0o640);
        let attributes = &mut world.image(id).attributes;
        attributes.insert("VMCATCHER_EVENT_DC_IDENTIFIER".to_owned(), ONE.to_owned());
        attributes.insert("VMCATCHER_EVENT_SL_CHECKSUM_SHA512".to_owned(), image.sha512.clone());
        id
    })
}

/// The machine with a cloud, imported.
fn moved(owner: u32) -> (Machine, Cloud, u32) {
    let machine = Machine::new(AGES[4]);
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.world(|world| {
        world.add_user(ALICE, "alice", "alicepw", 1);
        world.reads(&machine.site.path(""));
    });
    let id = registered(&cloud, &machine.images[0], owner);
    let path = |name: &str| machine.site.path(name).display().to_string();
    fs::write(machine.site.path("one_auth"), "oneadmin:opennebula-test\n").unwrap();
    let (auth, cache, volume) = (path("one_auth"), path("cache"), path("volume"));
    let endpoint = cloud.endpoint();
    let cloud_of = ["--opennebula", &endpoint, "--one-auth", &auth, "--event", "python vmcatcher_eventHndl_ON"];
    let ran = machine.import(&[&cloud_of[..], &["--cache", &cache, "--volume", &volume]].concat());
    assert!(ran.code == Some(0) && !ran.told.contains("opennebula-test"), "{ran:?}");
    assert!(ran.told.contains("takes the place of vmcatcher_eventHndl_ON"), "{}", ran.told);
    let checked = check(&machine.site);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    (machine, cloud, id)
}

#[tokio::test]
async fn an_image_of_the_handler_is_taken_over_and_nothing_is_registered_again() {
    let (machine, cloud, id) = moved(0);
    let run = machine.site.run().await;
    assert_eq!(run.image_condition(ONE, "Published"), "True Published", "{:?}", run.image(ONE));
    cloud.world(|world| {
        assert_eq!(world.named(ONE).len(), 1);
        let image = world.image(id);
        assert_eq!(
            (image.owner_and_mode(), image.attributes["VMCATCHER_OPERATOR"].as_str()),
            ((0, 1, 0o640), "site/default")
        );
    });
}

/// Two people have to agree: the notes of clouds.yaml say how, and are followed here.
#[tokio::test]
async fn an_image_that_was_given_away_is_adopted_by_the_notes_in_the_manifest() {
    let (machine, cloud, id) = moved(ALICE);
    let path = machine.site.path("manifests/clouds.yaml");
    let clouds = fs::read_to_string(&path).unwrap();
    assert!(clouds.contains("#   adopt: {imageIds: [4711]}"), "{clouds}");
    fs::write(&path, clouds.replace("    datastore:", &format!("    adopt: {{imageIds: [{id}]}}\n    datastore:")))
        .unwrap();
    machine.site.manifest(
        "adopted",
        &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata:\n  name: {ONE}\n  annotations: \
             {{vmcatcher.io/adopt: opennebula/{id}}}\nspec: {{subscriptionRef: {{name: {}}}, identifier: {ONE}}}\n",
            harness::site::LIST
        ),
    );
    assert_eq!(check(&machine.site).code, Some(0));
    for _ in 0..3 {
        machine.site.run().await;
        machine.site.pass_time(jiff::SignedDuration::from_mins(11));
    }
    let run = machine.site.run().await;
    assert_eq!(run.image_condition(ONE, "Published"), "True Published", "{:?}", run.image(ONE));
    cloud.world(|world| {
        let now = world.named(ONE);
        assert_eq!(now.len(), 1, "one image has the name");
        assert_eq!(now[0].owner_and_mode(), (ALICE, 1, 0o640), "with the rights of the adopted one");
    });
}
