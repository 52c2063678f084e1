//! The seventeen faults of the handler that sites used before, each shown to be absent. Their order is that handler's
//! own: a failed registration first, locking last.

use std::sync::Barrier;

use harness::opennebula::{Dialect, Fault, Refusal, State};
use jiff::SignedDuration;
use vmcatcher_operator::cloud::{Reason, Source, Wanted};
use vmcatcher_operator::convert::Form;
use vmcatcher_operator::imagelist::ImageId;
use vmcatcher_operator::opennebula::carry_over::{Reference, UpdateMode};

use super::credential::{Credential, with_each_credential};
use super::site::{IDENTIFIER, ONEADMIN, Site, Want, resolves, role, wanted};

with_each_credential! {
    fault_1_a_failed_registration_costs_nothing_and_is_tried_again
    fault_2_an_error_text_is_never_taken_for_an_id
    fault_3_what_a_retired_image_has_is_never_inherited
    fault_4_an_image_wanted_again_is_born_enabled_and_as_public_as_it_was
    fault_5_a_retired_image_keeps_its_name
    fault_6_the_copy_is_waited_for
    fault_7_the_format_is_said_to_old_and_new_servers
    fault_8_an_archive_cannot_be_handed_over
    fault_9_what_was_not_copied_whole_is_never_published
    fault_10_text_of_a_list_stays_text
    fault_12_what_was_made_on_the_way_is_cleared_away
    fault_13_a_wrong_setting_is_told_and_stops_nothing_else
    fault_14_what_cannot_be_read_is_not_taken_for_withdrawn
    fault_15_every_refusal_is_told
    fault_16_an_image_in_use_is_retired_and_disabled_when_its_last_vm_ends
    fault_17_two_passes_at_once_make_one_image_and_each_reads_the_pool_once
}

/// The site gives it to somebody, or to another group.
fn given_away(site: &Site, who: Credential, image: u32) {
    site.cloud.world(|world| {
        let image = world.image(image);
        (image.uid, image.gid) = who.customer();
        image.permissions = 0o664;
    });
}

fn fault_1_a_failed_registration_costs_nothing_and_is_tried_again(who: Credential) {
    let site = who.site();
    let old = site.publish(1);
    let before = site.image(old);
    site.cloud.world(|world| world.datastores.get_mut(&1).unwrap().free_mb = 0);
    let (reason, message) = site.condition(Some(2));
    assert_eq!(reason, Reason::ImportFailed);
    assert!(message.contains("Not enough space in datastore"), "{message}");
    assert_eq!(site.image(old), before, "the old image is as it was");
    site.cloud.world(|world| {
        world.datastores.get_mut(&1).unwrap().free_mb = 1000;
        world.advance(61);
    });
    assert_ne!(site.publish(2), old);
}

fn fault_2_an_error_text_is_never_taken_for_an_id(who: Credential) {
    let site = who.site();
    site.publish(1);
    let text = "<methodResponse><params><param><value><array><data><value><boolean>1</boolean></value>\
                <value><string>Error: disk full; chown 0</string></value><value><i4>0</i4></value></data></array></value></param></params></methodResponse>";
    site.cloud.take_calls();
    site.cloud.fail(1, Fault::Garbage(text.to_owned()));
    let (reason, message) = site.condition(Some(2));
    assert_eq!(reason, Reason::CloudUnreachable, "{message}");
    let methods: Vec<_> = site.cloud.take_calls().into_iter().map(|call| call.method).collect();
    assert_eq!(methods, ["one.imagepool.info", "one.image.allocate"], "nothing is done with it");
}

fn fault_3_what_a_retired_image_has_is_never_inherited(who: Credential) {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        let site = who.site_of(Dialect::V7_4, mode);
        let old = site.publish(1);
        given_away(&site, who, old);
        site.cloud.world(|world| world.copy_failure = Some("Error copying".to_owned()));
        for _ in 0..4 {
            site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
            site.cloud.world(|world| world.advance(1));
        }
        site.cloud.world(|world| {
            world.copy_failure = None;
            world.advance(3600);
        });
        let new = site.image(site.publish(3));
        let (uid, gid) = who.customer();
        assert_eq!((new.uid, new.gid, new.permissions, new.state), (uid, gid, 0o664, State::Ready), "{mode:?}");
    }
}

fn fault_4_an_image_wanted_again_is_born_enabled_and_as_public_as_it_was(who: Credential) {
    let site = who.site();
    let old = site.publish(1);
    given_away(&site, who, old);
    site.converge(&[Want(IDENTIFIER, None)]);
    assert_eq!(site.image(old).state, State::Disabled);
    let new = site.image(site.publish(2));
    assert_eq!((new.uid, new.permissions, new.state), (who.customer().0, 0o664, State::Ready));
}

fn fault_5_a_retired_image_keeps_its_name(who: Credential) {
    let site = who.site();
    let first = site.publish(1);
    site.publish(2);
    let name = site.image(first).name;
    site.cloud.world(|world| world.advance(1000));
    site.publish(3);
    site.converge(&[Want(IDENTIFIER, None)]);
    assert_eq!(site.image(first).name, name);
    let names: std::collections::BTreeSet<_> = site.images().into_iter().map(|image| image.name).collect();
    assert_eq!(names.len(), 3);
}

fn fault_6_the_copy_is_waited_for(who: Credential) {
    let site = who.site();
    let old = site.publish(1);
    site.cloud.world(|world| world.copy_seconds = Some(600));
    for _ in 0..5 {
        let (reason, _) = site.condition(Some(2));
        assert_eq!(reason, Reason::Importing);
        site.cloud.world(|world| world.advance(100));
    }
    assert_eq!(site.image(old).name, IDENTIFIER, "the old one serves meanwhile");
    site.cloud.take_calls();
    site.cloud.world(|world| world.advance(100));
    let new = site.publish(2);
    assert_eq!(site.image(new).name, IDENTIFIER);
    assert!(site.cloud.take_calls().iter().all(|call| call.method != "one.image.allocate"));
}

fn fault_7_the_format_is_said_to_old_and_new_servers(who: Credential) {
    for (dialect, attribute) in [(Dialect::V5_12, "DRIVER"), (Dialect::V7_4, "FORMAT")] {
        for format in [Form::Qcow2, Form::Raw] {
            let mut site = who.site_of(dialect, UpdateMode::Staged);
            site.wanted = match format {
                Form::Qcow2 => wanted,
                Form::Raw => |version| {
                    let source = wanted(version).source.map(|source| Source { format: Form::Raw, ..source });
                    Wanted { source, ..wanted(version) }
                },
            };
            site.pass(&[Want(IDENTIFIER, Some(1))]).unwrap();
            let calls = site.cloud.take_calls();
            let allocate = calls.iter().find(|call| call.method == "one.image.allocate").unwrap();
            let template = format!("{:?}", allocate.parameters[0]);
            assert!(template.contains(&format!("<{attribute}>{format}</{attribute}>")), "{template}");
        }
    }
}

fn fault_8_an_archive_cannot_be_handed_over(who: Credential) {
    // There is no third form, so an OVA must have been opened and converted before a cloud hears of it.
    for format in [Form::Qcow2, Form::Raw] {
        match format {
            Form::Qcow2 | Form::Raw => {}
        }
    }
    let mut site = who.site();
    site.wanted = |version| Wanted { source: None, ..wanted(version) };
    let (reason, _) = site.condition(Some(1));
    assert_eq!(reason, Reason::Importing, "waits for the bytes");
    assert!(site.images().is_empty());
}

fn fault_9_what_was_not_copied_whole_is_never_published(who: Credential) {
    let site = who.site();
    site.publish(1);
    site.cloud.world(|world| {
        let file = harness::opennebula::File {
            size_mb: 10,
            format: "qcow2".to_owned(),
            sha1: Some("cd".repeat(20)),
            ..harness::opennebula::File::default()
        };
        world.files.insert("/var/lib/vmcatcher/endorsed/2.qcow2".to_owned(), file);
    });
    site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
    let (reason, message) = site.condition(Some(2));
    assert_eq!(reason, Reason::ImportFailed, "the cloud checks SHA1 while it copies");
    assert!(message.contains("Error copying /var/lib/vmcatcher/endorsed/2.qcow2"), "{message}");
    let images = site.images();
    assert!(
        images.iter().all(|image| image.attributes["VMCATCHER_EVENT_HV_VERSION"] == "4.1"),
        "the failed one is gone"
    );
}

fn fault_10_text_of_a_list_stays_text(who: Credential) {
    const EVIL: &str = "x\"\nPATH=\"/etc/shadow\"\nA=\"</TEMPLATE><PATH>/etc/shadow</PATH>]]> \\";
    let mut site = who.site();
    site.wanted = |version| {
        let mut wanted = wanted(version);
        wanted.event.title = Some(EVIL.to_owned());
        wanted.event.description = Some(EVIL.to_owned());
        wanted.event.comments = Some("\u{1F600} \u{0} emoji".to_owned());
        wanted
    };
    let image = site.image(site.publish(1));
    assert_eq!(image.path, "/var/lib/vmcatcher/endorsed/1.qcow2");
    assert_eq!(image.attributes["DESCRIPTION"], EVIL.replace("]]>", "]] >"));
    assert_eq!(image.attributes["VMCATCHER_EVENT_SL_COMMENTS"], "\u{fffd}  emoji");
    let ours = |name: &String| {
        name.starts_with("VMCATCHER_") || ["DESCRIPTION", "DEV_PREFIX", "SHA1"].contains(&name.as_str())
    };
    assert!(image.attributes.keys().all(ours), "{:?}", image.attributes.keys());
    site.cloud.take_calls();
    site.pass(&[Want(IDENTIFIER, Some(1))]).unwrap();
    assert_eq!(site.cloud.take_calls().len(), 1, "what was cleaned is not taken for a difference");
}

#[test]
fn fault_11_nothing_is_a_shell_word_or_a_path() {
    for text in ["../../evil", "a/b", "$(id)", "a b", "-rf", "a;b", ""] {
        assert!(text.parse::<ImageId>().is_err(), "{text:?}");
    }
}

fn fault_12_what_was_made_on_the_way_is_cleared_away(who: Credential) {
    let site = who.site();
    site.publish(1);
    site.cloud.world(|world| world.copy_seconds = None);
    site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
    site.pass(&[Want(IDENTIFIER, Some(3))]).unwrap();
    site.cloud.world(|world| {
        world.copy_seconds = Some(0);
        world.advance(4 * 3600);
    });
    if who != Credential::Oneadmin {
        // What is being copied goes by force alone, which is an administrator's.
        for _ in 0..2 {
            site.pass(&[Want(IDENTIFIER, Some(4))]).unwrap();
            site.cloud.world(|world| world.advance(1));
        }
        let outcome = site.pass(&[Want(IDENTIFIER, Some(4))]).unwrap().outcomes.remove(0);
        let refused = |note: &String| note.contains("Not authorized to perform ADMIN IMAGE");
        assert_eq!((outcome.notes.len(), outcome.notes.iter().all(refused)), (2, true), "{:?}", outcome.notes);
        site.cloud.world(|world| world.images.retain(|_, image| image.state != State::Locked));
    }
    site.publish(4);
    site.converge(&[Want(IDENTIFIER, None)]);
    let roles: Vec<_> = site.images().iter().map(|image| role(image).to_owned()).collect();
    assert_eq!(roles, ["retired", "retired"], "the two uploads that never ended are gone");
}

fn fault_13_a_wrong_setting_is_told_and_stops_nothing_else(who: Credential) {
    let mut site = who.site();
    site.settings.vo_groups = [("atlas".to_owned(), Reference::Name("nobody-has-this".to_owned()))].into();
    site.cloud.world(|world| world.put("other", ONEADMIN, 0, 0o600));
    site.pass(&[Want(IDENTIFIER, Some(1))]).unwrap();
    let (reason, message) = site.condition(Some(1));
    assert_eq!(reason, Reason::ImportFailed);
    assert!(message.contains("a group named \"nobody-has-this\""), "{message}");
    site.settings.vo_groups.clear();
    site.publish(1);
}

fn fault_14_what_cannot_be_read_is_not_taken_for_withdrawn(who: Credential) {
    let site = who.site();
    let image = site.publish(1);
    let before = site.image(image);
    for fault in [Fault::Garbage("<IMAGE_POOL/>".to_owned()), Fault::HalfAnswer] {
        site.cloud.take_calls();
        site.cloud.fail(0, fault.clone());
        site.cloud.fail(1, fault);
        assert!(site.pass(&[Want(IDENTIFIER, Some(2))]).is_err());
        assert!(site.cloud.take_calls().iter().all(|call| !call.is_write()));
        site.cloud.recover();
    }
    assert_eq!(site.image(image), before);
    // Nor is an image that nobody asks about in this pass.
    site.converge(&[Want("another", Some(1))]);
    assert_eq!(site.image(image), before);
}

fn fault_15_every_refusal_is_told(who: Credential) {
    let refusal = Refusal { code: 8192, text: "The frontend is on fire.".to_owned(), object: -1 };
    let site = who.site();
    site.publish(1);
    let calls = {
        site.publish(2);
        site.publish(1);
        site.cloud.take_calls();
        site.publish(2);
        site.cloud.take_calls()
    };
    let writes = calls.iter().filter(|call| call.is_write()).count();
    for at in 1..=writes {
        let site = who.site();
        site.publish(1);
        site.publish(2);
        site.publish(1);
        site.cloud.fail(at, Fault::Refuse(refusal.clone()));
        let outcome = site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap().outcomes.remove(0);
        let told = format!("{} {:?} {}", outcome.verdict, outcome.unfinished, outcome.notes.join(" "));
        assert!(told.contains("The frontend is on fire."), "write {at}: {told}");
    }
}

fn fault_16_an_image_in_use_is_retired_and_disabled_when_its_last_vm_ends(who: Credential) {
    let mut site = who.site();
    site.settings.retired.delete_after = Some(SignedDuration::from_hours(24));
    let old = site.publish(1);
    site.cloud.world(|world| world.start_vm(old, 7));
    site.publish(2);
    let image = site.image(old);
    assert_eq!((image.state, role(&image)), (State::Used, "retired"));
    assert_eq!(image.owner_and_mode(), who.retired());
    site.cloud.world(|world| world.advance(25 * 3600));
    site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
    assert_eq!(site.image(old).state, State::Used, "never deleted while a VM has it");
    site.cloud.world(|world| world.stop_vms(old));
    site.converge(&[Want(IDENTIFIER, Some(2))]);
    assert!(site.images().iter().all(|image| image.id != old), "its time was up");
}

fn fault_17_two_passes_at_once_make_one_image_and_each_reads_the_pool_once(who: Credential) {
    let site = who.site();
    site.publish(1);
    site.cloud.take_calls();
    let (endpoint, settings, records) = (&site.cloud, &site.settings, &site.kept);
    let requests = [site.request(Want(IDENTIFIER, Some(2)))];
    let (barrier, now) = (Barrier::new(2), site.now());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let client = super::site::client(endpoint, who.session());
                let publisher = vmcatcher_operator::opennebula::carry_over::Publisher::new(client, settings.clone());
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                barrier.wait();
                runtime.block_on(publisher.pass(&requests, records, now)).unwrap();
            });
        }
    });
    let reads = site.cloud.take_calls().iter().filter(|call| call.method == "one.imagepool.info").count();
    assert_eq!(reads, 2);
    site.publish(2);
    assert_eq!(site.images().len(), 2);
    assert!(site.cloud.world(|world| resolves(world, IDENTIFIER, who.owner().0)));
}
