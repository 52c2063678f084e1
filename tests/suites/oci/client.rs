//! The calls of the distribution API: pages of tags, bounds, and what a registry may not lead the client to.

use harness::image_server::{ImageServer, Resource};
use vmcatcher_operator::fetch::{Client, ClientSettings, FetchError, RealmRule, Registry, RegistryAccess, Source};
use vmcatcher_operator::imagelist::oci::Repository;

const TAGS: &str = "/v2/images/ubuntu/tags/list";

/// The tags of the repository on a server, or the reason and the message.
async fn tags(server: &ImageServer) -> Result<Vec<String>, String> {
    let client = Client::new(&ClientSettings::default()).unwrap();
    let repository: Repository = format!("{}/images/ubuntu", server.address()).parse().unwrap();
    let registry = Some(RegistryAccess { repository: repository.clone(), realms: RealmRule::none() });
    let source = Source { registry, ..Source::public(repository.address(true, "tags/list").unwrap()) };
    let tags = Registry::new(&client, &source, &repository, true).tags().await;
    let told = |error: FetchError| format!("{}: {error}", error.reason());
    tags.map(|(tags, _)| tags.iter().map(ToString::to_string).collect()).map_err(told)
}

#[tokio::test]
async fn tags_are_read_page_by_page() {
    let server = ImageServer::start();
    let page = |tags: &str, next: Option<&str>| {
        let resource = Resource::bytes(format!(r#"{{"name": "images/ubuntu", "tags": {tags}}}"#));
        next.map_or(resource.clone(), |next| resource.header("Link", &format!("<{next}>; rel=\"next\"")))
    };
    server.put(TAGS, page(r#"["20.04", "not a tag", "22.04"]"#, Some(&format!("{TAGS}?n=1000&last=22.04"))));
    server.put(&format!("{TAGS}?n=1000&last=22.04"), page(r#"["24.04"]"#, None));
    assert_eq!(tags(&server).await, Ok(vec!["20.04".to_owned(), "22.04".to_owned(), "24.04".to_owned()]));
    server.put(TAGS, page("null", None));
    assert_eq!(tags(&server).await, Ok(Vec::new()), "an empty repository");
}

#[tokio::test]
async fn pages_and_answers_are_bounded_and_of_one_address() {
    let server = ImageServer::start();
    let other = ImageServer::start();
    other.put(TAGS, Resource::bytes(r#"{"tags": []}"#));
    let list = |tags: &str| Resource::bytes(format!(r#"{{"tags": {tags}}}"#));
    let next = |to: &str| list("[]").header("Link", &format!("<{to}>; rel=\"next\""));
    let many: Vec<String> = (0..10_001).map(|number| format!("\"t{number}\"")).collect();
    for (answer, expected) in [
        (next(&other.url(TAGS)), "URLInvalid"),
        (next("/v2/another/tags/list"), "URLInvalid"),
        (next(TAGS), "HTTPError: http://"),
        (list(&format!("[{}]", many.join(","))), "HTTPError"),
        (list("7"), "HTTPError"),
        (Resource::bytes("<html>"), "HTTPError"),
        (Resource::zeros(2 << 20), "TooLarge"),
        (Resource::status(429), "HTTPError"),
    ] {
        server.put(TAGS, answer);
        let found = tags(&server).await.unwrap_err();
        assert!(found.starts_with(expected), "{found}");
    }
    assert!(other.all_requests().is_empty(), "another server is not asked");
}
