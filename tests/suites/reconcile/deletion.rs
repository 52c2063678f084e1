//! What becomes of images when their objects are deleted.

use harness::site::Site;
use vmcatcher_operator::api::{CachedImage, ImageListSubscription};
use vmcatcher_operator::store::ResourceStore as _;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

async fn settled(policy: &str) -> (Site, String) {
    let site = Site::new();
    site.subscribe(policy);
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.run().await;
    (site, image.entry())
}

#[tokio::test]
async fn a_subscription_that_goes_leaves_its_images_or_archives_them() {
    for (policy, endorsed, expired) in [("", 1, 0), ("deletionPolicy: Orphan", 1, 0), ("deletionPolicy: Retire", 0, 1)]
    {
        let (site, _) = settled(policy).await;
        site.forget("subscription-vo");
        let run = site.run().await;
        assert_eq!((site.shelf("endorsed").len(), site.shelf("expired").len()), (endorsed, expired), "{policy}");
        assert_eq!(run.directory.all::<CachedImage>().len(), 0, "{policy}");
        assert_eq!(run.directory.all::<ImageListSubscription>().len(), 0, "{policy}");
    }
}

#[tokio::test]
async fn an_image_made_by_hand_goes_by_its_own_word() {
    for (policy, endorsed) in [("Orphan", 1), ("Retire", 0)] {
        let site = Site::new();
        let image = site.serve(A, "1", 1, 50_000);
        site.publish(&site.list("1.0", &[&image]));
        site.subscribe_to("vo", &site.server.url("/image.list"), "suspend: false");
        site.manifest("image", &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {{name: {A}}}\nspec: {{subscriptionRef: {{name: \
             vo}}, identifier: {A}, deletionPolicy: {policy}}}\n"
        ));
        let run = site.run().await;
        assert_eq!(run.image_condition(A, "Ready"), "True Succeeded", "made by hand, it needs no selection");
        site.forget("image");
        let run = site.run().await;
        assert_eq!(site.shelf("endorsed").len(), endorsed, "{policy}");
        assert!(run.image(A).is_none());
    }
}

#[tokio::test]
async fn a_generated_image_that_is_deleted_is_made_again_and_nothing_is_archived() {
    let (site, entry) = settled("deletionPolicy: Retire").await;
    site.manifest("image", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {{name: {A}}}\nspec: {{subscriptionRef: {{name: vo}}, \
         identifier: {A}}}\n"
    ));
    site.run().await;
    site.forget("image");
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    assert_eq!(site.shelf("endorsed"), [entry]);
    assert_eq!(site.shelf("expired"), Vec::<String>::new());
}
