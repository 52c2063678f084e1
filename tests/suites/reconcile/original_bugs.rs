//! What the original program did wrong and this one must not.
//!
//! Its faults of security, and where each is shown not to be ours:
//!
//! | fault | shown by |
//! |---|---|
//! | a shell reads the image's address | here, `shell_text_in_an_address_is_an_address` |
//! | an identifier becomes a path | here, `an_identifier_is_never_a_path` |
//! | one endorser's credential is taken for another's | `attacks/another_ones_credential.rs` |
//! | what an expired list named stays for ever | `statements.rs`, `a_list_expires_only_after_a_fetch_was_tried_since` |
//! | so does what a revoked endorser signed | `statements.rs`, `a_person_revokes_an_endorser_or_a_credential`, `a_certificate_that_its_authority_revokes_withdraws_the_list` |
//! | another list knocks an image out by naming its identifier | `lifecycle.rs`, `two_subscriptions_that_want_one_identifier_do_not_fight` |
//! | a revoked intermediate CA goes unnoticed | `attacks/revoked_intermediate.rs` |
//! | nobody checks who signed a CRL | `attacks/forged_crl.rs` |
//! | TLS certificates are not verified | `fetch.rs`, `only_certificates_that_are_believed_are_talked_to`, `the_name_in_a_certificate_counts` |
//! | MD5 and SHA-1 are taken | `attacks/weak_digest.rs`; `trust/crossed.rs`, in every form |
//! | passwords are kept and shown in clear | `process.rs`, `credentials_are_sent_and_never_shown` |
//! | a list moves its subscription to another address | here, `a_list_does_not_move_its_subscription_and_a_query_is_sent` |
//! | an older list of the same version is taken again | `attacks/old_list_again.rs` |
//! | files that are not its own are deleted | here, `files_that_are_not_ours_survive` |

use harness::image_server::Resource;
use harness::signer::{Form, sign};
use harness::site::{LIST, Served, Site};
use jiff::SignedDuration;
use serde_json::json;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

#[tokio::test]
async fn shell_text_in_an_address_is_an_address() {
    let site = Site::new();
    let odd = "/$(touch${IFS}pwned);`id`&b=c|d.img";
    let resource = Resource::pattern(1, 50_000);
    let image = Served {
        identifier: A.to_owned(),
        version: "1".to_owned(),
        uri: site.server.url(odd),
        size: resource.size(),
        sha512: resource.sha512(),
    };
    // The client may write some of these characters percent-encoded; whatever it asks for, it asks in one piece.
    let asked = vmcatcher_operator::imagelist::SourceUrl::try_from(image.uri.clone()).unwrap();
    site.server.put(asked.url().path(), resource);
    site.publish(&site.list("1.0", &[&image]));
    assert_eq!(site.run().await.image_condition(A, "Ready"), "True Succeeded");
    assert!(!std::path::Path::new("pwned").exists() && !site.path("volume/pwned").exists());
}

#[tokio::test]
async fn an_identifier_is_never_a_path() {
    let site = Site::new();
    let good = site.serve(A, "1", 1, 50_000);
    let mut list = site.list("1.0", &[&good]);
    for identifier in ["../../evil", "/etc/evil", "..", ".hidden", "a\u{0}b"] {
        list = list.image(identifier, "1", &good.uri, good.size, &good.sha512);
    }
    site.publish(&list);
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), [good.entry()]);
    let status = run.subscription("vo");
    assert_eq!(status.images.unwrap().refused, 5);
    assert!(status.notes.iter().all(|note| note.reason == "IdentifierUnsafe"), "{:?}", status.notes);
    assert!(!site.path("evil").exists());
}

#[tokio::test]
async fn files_that_are_not_ours_survive() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.run().await;
    let strangers =
        ["notes.txt", "blobs/readme", "endorsed/default/keep.img", "partial/other", "expired/x", "state/mine.json"];
    for stranger in strangers {
        std::fs::write(site.path("volume").join(stranger), "a person's").unwrap();
    }
    site.publish(&site.list("1.1", &[]));
    site.pass_time(SignedDuration::from_hours(24 * 10));
    site.run().await;
    for stranger in strangers {
        assert_eq!(std::fs::read_to_string(site.path("volume").join(stranger)).unwrap(), "a person's", "{stranger}");
    }
}

#[tokio::test]
async fn state_that_is_damaged_costs_no_image_and_is_told() {
    for garbage in ["", "{", "[]", "null", "\u{0}\u{0}\u{0}"] {
        let site = Site::new();
        let image = site.serve(A, "1", 1, 50_000);
        site.publish(&site.list("1.0", &[&image]));
        site.run().await;
        std::fs::write(site.path("volume/state/lists/default/vo.json"), garbage).unwrap();
        std::fs::write(site.path("volume/state/resources/default/imagelistsubscriptions/vo.yaml"), garbage).unwrap();
        std::fs::write(site.path(&format!("volume/state/resources/default/cachedimages/{A}.yaml")), garbage).unwrap();
        let run = site.run().await;
        assert_eq!(site.shelf("endorsed"), [image.entry()], "{garbage:?}");
        assert_eq!(run.list_condition("Ready"), "True Succeeded", "{garbage:?}: mended from what is on the volume");
        assert_eq!(run.image_condition(A, "Ready"), "True Succeeded", "{garbage:?}");
        assert_eq!(site.server.requests(&format!("/{A}-1.img")).len(), 1, "{garbage:?}");
        assert!(site.path("volume/state/lists/default/vo.json.corrupt-1").exists(), "{garbage:?}: set aside");
    }
}

#[tokio::test]
async fn damaged_state_does_not_open_the_way_back() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("2.0", &[&image]));
    site.run().await;
    std::fs::write(site.path("volume/state/lists/default/vo.json"), "{").unwrap();
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.0", &[&image]));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False VersionRollback");
    assert_eq!(run.list_version().as_deref(), Some("2.0"));
}

#[tokio::test]
async fn text_of_any_language_is_kept() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let title = "Ñandú 日本 🐧 \u{202e}gnp";
    let entry = json!({"hv:image": {
        "dc:title": title, "dc:description": "é\n\"quoted\"", "dc:identifier": A, "hv:size": image.size, "hv:uri": image.uri,
        "hv:version": "1", "sl:arch": "x86_64", "sl:checksum:sha512": image.sha512, "sl:comments": "ü", "sl:os": "Linux",
        "sl:osversion": "9", "hv:hypervisor": "kvm"
    }});
    site.publish(&site.list("1.0", &[]).raw_image(entry));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    assert_eq!(run.image(A).unwrap().image.unwrap().title, title);
}

#[tokio::test]
async fn a_dead_server_holds_only_its_own_subscription() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.server.put("/silent.list", Resource::silent());
    site.subscribe_to("silent", &site.server.url("/silent.list"), "timeout: 1s");
    site.subscribe_to("refused", "http://127.0.0.1:9/image.list", "timeout: 5s");
    site.subscribe_to("nowhere", "http://no.such.host.invalid/image.list", "timeout: 5s");
    site.server.put("/garbage.list", Resource::bytes(vec![0xff; 4096]));
    site.subscribe_to("garbage", &site.server.url("/garbage.list"), "");
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "True Succeeded");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    let reason = |name: &str| {
        harness::site::told(vmcatcher_operator::api::HasConditions::condition(&run.subscription(name), "Ready"))
    };
    assert_eq!(reason("silent"), "False Timeout");
    assert_eq!(reason("refused"), "False HTTPError");
    assert_eq!(reason("nowhere"), "False HTTPError");
    assert_eq!(reason("garbage"), "False Unsigned");
}

#[tokio::test]
async fn a_list_does_not_move_its_subscription_and_a_query_is_sent() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let message = sign(&site.list("1.0", &[&image]).json(), &site.pki.endorser, Form::Detached);
    site.server.put("/store", Resource::bytes(message));
    site.subscribe_to("vo", &site.server.url("/store?list=vo&x=1"), "");
    site.run().await;
    site.run().await;
    let asked: Vec<String> = site.server.requests("/store").into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/store?list=vo&x=1", "/store?list=vo&x=1"], "hv:uri of the list names another place");
}

#[tokio::test]
async fn an_image_dropped_by_one_list_and_kept_by_another_is_found_by_its_content() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.run().await;
    site.pass_time(SignedDuration::from_mins(5));
    let moved = Served { identifier: B.to_owned(), uri: site.server.url("/elsewhere"), ..image.clone() };
    site.publish(&site.list("1.1", &[&moved]));
    let run = site.run().await;
    assert_eq!(run.image_condition(B, "Ready"), "True Succeeded");
    assert_eq!(site.server.requests("/elsewhere").len(), 0);
    assert_eq!(run.list_version().as_deref(), Some("1.1"));
    assert_eq!(run.subscription("vo").list.unwrap().identifier, LIST);
}
