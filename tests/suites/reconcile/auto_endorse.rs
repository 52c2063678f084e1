//! `verify.mode: AutoEndorse`: the first signer that leads to an anchor, and then only that one.

use harness::list::ListBuilder;
use harness::pki::{CertificateSpec, Identity, Reason};
use harness::signer::{Form, sign};
use harness::site::{LIST, Run, Served, Site};
use jiff::SignedDuration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// A site whose subscription believes the first signer, and no Endorser at all.
fn site() -> (Site, Served) {
    let mut site = Site::new();
    site.allow_auto_endorse = true;
    site.forget("endorser-endorser");
    subscribe(&site, "mode: AutoEndorse");
    let image = site.serve(A, "1", 1, 20_000);
    (site, image)
}

fn subscribe(site: &Site, verify: &str) {
    let url = site.server.url("/image.list");
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}}}\n  verify: {{{verify}}}\n  images: {{include: {{match: [{{name: all}}]}}}}\n"
    ));
}

/// Some time later, a list of this version, which this identity signs and is named in.
async fn publish(site: &Site, version: &str, identity: &Identity, image: &Served) -> Run {
    site.pass_time(SignedDuration::from_mins(5));
    let list = ListBuilder::new(LIST, site.now()).version(version).created(site.now()).endorser(identity);
    let list = list.image(&image.identifier, &image.version, &image.uri, image.size, &image.sha512);
    site.publish_message(&sign(&list.json(), identity, Form::Detached));
    site.run().await
}

fn told(run: &Run) -> (String, Option<String>) {
    (run.list_condition("SourceVerified"), run.list_version())
}

#[tokio::test]
async fn the_first_signer_is_believed_and_then_nobody_else() {
    let (site, image) = site();
    let run = publish(&site, "1.0", &site.pki.stranger, &image).await;
    assert_eq!(told(&run), ("False IssuerUnknown".to_owned(), None), "only one who leads to an anchor is seen first");
    let run = publish(&site, "1.1", &site.pki.endorser, &image).await;
    assert_eq!(told(&run), ("True Verified".to_owned(), Some("1.1".to_owned())));
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    let status = run.subscription("vo");
    let said = &status.conditions.iter().find(|one| one.type_ == "SourceVerified").unwrap().message;
    assert!(
        said.contains("CN=Erin Endorser") && said.contains("the first signer that was seen (AutoEndorse)"),
        "{said}"
    );
    assert!(status.list.unwrap().signers[0].subject.ends_with("CN=Erin Endorser"));

    let run = publish(&site, "1.2", &site.pki.second, &image).await;
    assert_eq!(told(&run), ("False EndorserNotTrusted".to_owned(), Some("1.1".to_owned())));
    let renewed = site.pki.intermediate.issue(&CertificateSpec::person(harness::pki::ENDORSER, site.pki.now));
    let run = publish(&site, "1.3", &renewed, &image).await;
    assert_eq!(told(&run), ("True Verified".to_owned(), Some("1.3".to_owned())), "a renewed certificate is the same");
}

/// The volume knows the first signer, and so does the status: either is enough.
#[tokio::test]
async fn the_first_signer_outlives_the_status_and_the_volumes_memory() {
    for lost in ["volume/state/resources", "volume/state/lists", "volume/lists", ""] {
        let (site, image) = site();
        publish(&site, "1.0", &site.pki.endorser, &image).await;
        if !lost.is_empty() {
            std::fs::remove_dir_all(site.path(lost)).unwrap();
        }
        if lost.ends_with("state/lists") {
            std::fs::remove_dir_all(site.path("volume/lists")).unwrap();
        }
        let run = publish(&site, "1.1", &site.pki.second, &image).await;
        assert_eq!(run.list_condition("SourceVerified"), "False EndorserNotTrusted", "lost: {lost:?}");
        let run = publish(&site, "1.2", &site.pki.endorser, &image).await;
        assert_eq!(run.list_condition("SourceVerified"), "True Verified", "lost: {lost:?}");
    }
}

#[tokio::test]
async fn whom_a_ca_or_a_person_revokes_goes_out() {
    let (site, image) = site();
    publish(&site, "1.0", &site.pki.endorser, &image).await;
    site.trust("bad", &site.pki.endorser, "trust: Revoked");
    assert_eq!(site.run().await.list_condition("Ready"), "False EndorserRevoked");
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    site.forget("endorser-bad");
    assert_eq!(site.run().await.list_condition("Ready"), "True Succeeded", "a person takes it back");

    let crl = site.pki.intermediate.crl(site.pki.now).revoke(&site.pki.endorser, Some(Reason::KeyCompromise)).der();
    let hash = format!("{:08x}.r0", site.pki.intermediate.certificate.subject_name_hash());
    std::fs::write(site.path("trust").join(hash), crl).unwrap();
    assert_eq!(site.run().await.list_condition("Ready"), "False CertificateRevoked");
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    let run = publish(&site, "1.1", &site.pki.second, &image).await;
    assert_eq!(
        run.list_condition("SourceVerified"),
        "False EndorserNotTrusted",
        "nobody takes the place of who was first"
    );
}

#[tokio::test]
async fn it_is_off_unless_the_operator_allows_it() {
    let (mut site, image) = site();
    publish(&site, "1.0", &site.pki.endorser, &image).await;
    site.allow_auto_endorse = false;
    let run = publish(&site, "1.1", &site.pki.endorser, &image).await;
    assert_eq!(run.list_condition("Stalled"), "True InvalidSpec");
    let ready = run.subscription("vo").conditions.into_iter().find(|one| one.type_ == "Ready").unwrap();
    assert!(ready.message.contains("--allow-auto-endorse"), "{ready:?}");
    assert_eq!(site.shelf("endorsed"), [image.entry()], "what is there stays");
}

/// Whoever signed the list in force is the first signer; endorsers that are named take over again.
#[tokio::test]
async fn one_may_change_from_one_mode_to_the_other() {
    let (site, image) = site();
    site.trust("endorser", &site.pki.endorser, "");
    subscribe(&site, "endorserRefs: [{name: endorser}]");
    publish(&site, "1.0", &site.pki.endorser, &image).await;
    subscribe(&site, "mode: AutoEndorse");
    let run = publish(&site, "1.1", &site.pki.second, &image).await;
    assert_eq!(run.list_condition("SourceVerified"), "False EndorserNotTrusted");
    site.trust("second", &site.pki.second, "");
    subscribe(&site, "endorserRefs: [{name: second}]");
    let run = publish(&site, "1.2", &site.pki.second, &image).await;
    assert_eq!(told(&run), ("True Verified".to_owned(), Some("1.2".to_owned())));
}
