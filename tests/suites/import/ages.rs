//! Databases of every age of vmcatcher's schema.

use super::check;
use super::old::{AGES, Machine};

/// From the database and the cache to a published image: the manifests are valid, and not one byte of the image is
/// downloaded.
#[tokio::test]
async fn a_database_of_every_age_becomes_manifests_and_its_images_are_not_downloaded_again() {
    for age in AGES {
        let machine = Machine::new(age);
        // In the first age everything is cached.
        let all = age == AGES[0];
        if all {
            machine.cache(&format!("cache/{}", super::old::TWO), 2, 50_000);
        }
        let imported = machine.import_with_images();
        assert_eq!(imported.code, Some(0), "{age}: {}", imported.told);
        assert!(imported.told.contains("it is on the volume"), "{age}: {}", imported.told);
        assert!(
            imported.told.contains(&age.replace("-to-", " to ").replace("before-", "before ")),
            "{}",
            imported.told
        );
        let checked = check(&machine.site);
        assert_eq!(checked.code, Some(0), "{age}: {checked:?}");
        assert_eq!(machine.site.shelf("endorsed"), [] as [String; 0], "not before the list was verified");

        let run = machine.site.run().await;
        let mut expected: Vec<_> =
            machine.images[..if all { 2 } else { 1 }].iter().map(harness::site::Served::entry).collect();
        expected.sort();
        assert_eq!(machine.site.shelf("endorsed"), expected, "{age}: {:?}", run.image(super::old::ONE));
        for image in &machine.images {
            let path = image.uri.rsplit_once('/').unwrap().1;
            assert!(machine.site.server.requests(&format!("/{path}")).is_empty(), "{age}: {path}");
        }
    }
}
