//! Credentials of lists go into Secrets apart, and nowhere else; and what else of a subscription a person has to know.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::old::{AGES, Machine, Row};
use super::{check, operator};

#[test]
fn credentials_are_in_the_secrets_and_nowhere_else() {
    let machine = Machine::new(AGES[4]);
    let mut token = Row::new(2, "vo-list", "https://vo.example.org/image.list");
    (token.user, token.password, token.update_mode) = ("s3cret-token", "x-oauth-basic", 3);
    machine.old.subscription(&token, 1);
    machine.old.subscription(&Row::new(3, "in-the-address", "https://me:s3cret-word@lists.example.org:8443/a"), 1);
    let printed = operator(&["import", "vmcatcher", machine.old.path.to_str().unwrap()]);
    assert!(printed.code == Some(0) && printed.told.contains("2 Secrets not printed"), "{printed:?}");
    assert!(printed.shown.contains("name: vo-list-credentials"), "{}", printed.shown);
    for text in [&printed.shown, &printed.told] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    let ran = machine.import(&[]);
    assert!(ran.code == Some(0) && !ran.told.contains("s3cret"), "{ran:?}");
    let path = machine.site.path("manifests/secrets.yaml");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let secrets = fs::read_to_string(path).unwrap();
    for expected in
        ["token: s3cret-token", "password: s3cret-word", "username: me", "allowed-hosts: lists.example.org:8443"]
    {
        assert!(secrets.contains(expected), "{expected}: {secrets}");
    }
    let lists = fs::read_to_string(machine.site.path("manifests/subscriptions.yaml")).unwrap();
    assert!(lists.contains("url: https://lists.example.org:8443/a") && !lists.contains("s3cret"), "{lists}");
    let checked = check(&machine.site);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

/// The original sent passwords over http. Here a person has to allow it.
#[test]
fn a_password_over_http_is_left_for_a_person() {
    let machine = Machine::new(AGES[3]);
    let mut row = Row::new(2, "plain", "http://lists.example.org/a");
    (row.user, row.password) = ("me", "s3cret");
    machine.old.subscription(&row, 1);
    let ran = machine.import(&[]);
    assert!(ran.code == Some(1) && ran.told.contains("vmcatcher.io/allow-plain-http"), "{ran:?}");
}

/// More images than a selection has: the others are objects of their own, and nothing is lost.
#[test]
fn more_images_than_a_selection_can_name_are_all_there() {
    let machine = Machine::new(AGES[4]);
    for number in 0..1005 {
        let insert = "INSERT INTO \"ImageDefinition\" VALUES (?1, ?2, 0, 1, 1)";
        machine.old.connection.execute(insert, (100 + number, format!("image-{number}"))).unwrap();
    }
    let ran = machine.import(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.told);
    let images = fs::read_to_string(machine.site.path("manifests/images.yaml")).unwrap();
    assert_eq!(images.matches("kind: CachedImage").count(), 6, "{images}");
    let checked = check(&machine.site);
    assert_eq!(checked.code, Some(0), "{}", checked.told);
}

/// vmcatcher kept the images of an expired list for ever, so a person has to know that it is not so here.
#[test]
fn a_list_that_expired_is_left_for_a_person() {
    let machine = Machine::new(AGES[4]);
    let expire = "UPDATE \"imageListInstance\" SET expires = '2014-02-01 00:00:00.000000'";
    machine.old.connection.execute_batch(expire).unwrap();
    let ran = machine.import(&[]);
    assert!(ran.code == Some(1) && ran.told.contains("expired at 2014-02-01T00:00:00Z"), "{ran:?}");
    let checked = check(&machine.site);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}
