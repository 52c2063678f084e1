//! What `import` makes is what an API server takes.

use std::fs;

use harness::control_plane::ControlPlane;

use super::old::{AGES, Machine, Row};

/// Databases of every age, with images left out, taken as they appear, and credentials.
#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn manifests_of_an_import_apply() {
    let plane = ControlPlane::shared().await;
    let client = plane.client().await;
    for age in AGES {
        let namespace = plane.namespace(&client, "import").await;
        let machine = Machine::new(age);
        let mut more = Row::new(2, "vo-list", "https://vo.example.org/image.list");
        (more.user, more.password, more.update_mode) = ("token", "x-oauth-basic", 3);
        machine.old.subscription(&more, 1);
        fs::write(machine.site.path("one_auth"), "oneadmin:password").unwrap();
        let auth = machine.site.path("one_auth").display().to_string();
        let ran = machine.import(&["--opennebula", "https://one.example.org:2633/RPC2", "--one-auth", &auth]);
        assert_eq!(ran.code, Some(0), "{age}: {ran:?}");
        let manifests = machine.site.path("manifests").display().to_string();
        let told = plane.kubectl_says(&namespace, &["apply", "-f", &manifests]);
        for kind in ["endorser", "imagelistsubscription", "cloudtarget"] {
            assert!(told.contains(&format!("{kind}.vmcatcher.io/")), "{age}: {told}");
        }
        let lists = plane.kubectl_says(&namespace, &["get", "ils", "-o", "name"]);
        assert_eq!(lists.lines().count(), 2, "{age}: {lists}");
    }
}
