//! Who may annotate a `CachedImage` names somebody else's image for adoption: the operator, which may do everything at the
//! cloud, would take it, its owner and its users with it. Nothing is taken that the target's administrator did not name,
//! that is another image, or that another operator claims.

use harness::opennebula::{Cloud, Dialect};
use harness::site::Site;

use crate::reconcile::targets::{A, ALICE, at, qcow2, site, target_with};

fn named(site: &Site, image: u32) {
    site.manifest(
        "attack",
        &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata:\n  name: {A}\n  annotations: {{vmcatcher.io/adopt: \
             one/{image}}}\nspec: {{subscriptionRef: {{name: vo}}, identifier: {A}}}\n"
        ),
    );
}

fn victim(cloud: &Cloud, name: &str, attributes: &[(&str, &str)]) -> u32 {
    cloud.world(|world| {
        let id = world.put(name, ALICE, 100, 0o644);
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        world.image(id).attributes.extend(attributes);
        id
    })
}

#[tokio::test]
async fn an_image_of_a_user_or_of_another_operator_is_not_taken() {
    let claimed = [("VMCATCHER_EVENT_DC_IDENTIFIER", A), ("VMCATCHER_OPERATOR", "elsewhere/default")];
    let (none, says_so) = (&claimed[..0], &claimed[..1]);
    let victims = [
        ("alice's thesis", none, ""),
        ("alice's thesis", none, "imageIds: [0]"),
        (A, says_so, ""),
        (A, &claimed[..], "owners: [alice]"),
    ];
    for (name, attributes, allowed) in victims {
        let (site, cloud) = site(Dialect::V7_4);
        if !allowed.is_empty() {
            target_with(&site, &cloud, "one", "", &format!("adopt: {{{allowed}}}"));
        }
        let image = victim(&cloud, name, attributes);
        let before = cloud.world(|world| world.image(image).clone());
        named(&site, image);
        site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
        for _ in 0..2 {
            let run = site.run().await;
            let told = run.image_condition(A, "Published");
            assert_eq!(told, "False AdoptionRefused", "{name} {allowed}");
            let message = &at(&run, A).conditions[0].message;
            assert!(message.contains(&format!("image {image} ({name} of alice) is not adopted")), "{message}");
            assert_eq!(cloud.world(|world| world.image(image).clone()), before, "{name} {allowed}");
        }
        assert!(cloud.take_calls().iter().all(|call| !call.is_write()));
    }
}

/// Nor does the annotation disturb what is published: it is reported, and that is all.
#[tokio::test]
async fn what_is_published_stays() {
    let (site, cloud) = site(Dialect::V7_4);
    site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    let image = victim(&cloud, "alice's thesis", &[]);
    let before = cloud.world(|world| world.images.clone());
    named(&site, image);
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published");
    assert!(at(&run, A).conditions[0].message.contains("is not adopted"), "{:?}", at(&run, A).conditions);
    assert_eq!(cloud.world(|world| world.images.clone()), before);
}
