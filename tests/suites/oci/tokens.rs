//! Registries that want tokens, and where credentials go.

use harness::image_server::{ImageServer, Resource};
use harness::oci::{Registry, ScriptedRegistry, SigningKey};
use harness::site::Site;

use super::registry::{REPOSITORY, made, publish, site_of, subscribe};

/// Writes the Secret `registry` with a user and a password.
fn secret(site: &Site, hosts: &str) {
    site.manifest("secret", &format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: registry\n  annotations: {{vmcatcher.io/allowed-hosts: {hosts:?}, \
         vmcatcher.io/allow-plain-http: \"true\"}}\nstringData: {{username: robot$site, password: word}}\n"
    ));
}

/// Makes every path of the registry want a token, which a server of tokens gives to `robot$site`.
fn want_token(registry: &ScriptedRegistry<'_>, tokens: &ImageServer, good_for: u32) {
    let challenge =
        format!("Bearer realm=\"{}\",service=\"test\",scope=\"repository:a:push,pull\"", tokens.url("/token"));
    registry.lock(&challenge, "t0ken");
    let answer = format!(r#"{{"token": "t0ken", "expires_in": {good_for}}}"#);
    tokens.put("/token", Resource::bytes(answer).basic("robot$site", "word"));
}

/// A registry with an artefact, and its host.
fn published<'s>(site: &'s Site, key: &SigningKey) -> (ScriptedRegistry<'s>, String) {
    let registry = ScriptedRegistry::new(&site.server, true);
    let host = registry.host();
    publish(&registry, "22.04", &made(site, 5, "first"), key);
    (registry, host)
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_for_pulling_only() {
    let key = SigningKey::new();
    let (site, tokens) = (site_of(&key), ImageServer::start());
    let (registry, host) = published(&site, &key);
    want_token(&registry, &tokens, 300);
    let run = site.run().await;
    assert_eq!(run.list_condition("FetchFailed"), "True AuthenticationFailed", "no Secret");
    secret(&site, &host);
    subscribe(&site, &host, "secretRef: {name: registry}", "");
    let run = site.run().await;
    assert_eq!(run.list_condition("FetchFailed"), "True AuthenticationFailed", "the Secret names no server of tokens");
    let message =
        run.subscription("vo").conditions.iter().find(|one| one.type_ == "FetchFailed").unwrap().message.clone();
    assert!(message.contains("may not have the credentials"), "{message}");
    let without = |request: &harness::image_server::Request| !request.headers.contains_key("authorization");
    assert!(tokens.requests("/token").iter().all(without), "no credentials went there");
    secret(&site, &format!("{host},{}", tokens.address()));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "True Verified", "{:?}", run.subscription("vo"));
    assert_eq!(site.shelf("endorsed").len(), 1, "the disk too");
    let asked: Vec<_> = tokens.requests("/token").into_iter().filter(|request| !without(request)).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(
        asked[0]
            .target
            .ends_with(&format!("?service=test&scope=repository%3A{}%3Apull", REPOSITORY.replace('/', "%2F"))),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_told() {
    let key = SigningKey::new();
    let (site, tokens) = (site_of(&key), ImageServer::start());
    let (registry, host) = published(&site, &key);
    secret(&site, &format!("{host},{}", tokens.address()));
    subscribe(&site, &host, "secretRef: {name: registry}", "");
    want_token(&registry, &tokens, 300);
    for (answer, reason) in [
        (Resource::bytes(r#"{"token": ""}"#), "AuthenticationFailed"),
        (Resource::bytes("t0ken"), "AuthenticationFailed"),
        (Resource::bytes(r#"{"token": "another"}"#), "AuthenticationFailed"),
        (Resource::status(401), "AuthenticationFailed"),
        (Resource::status(500), "HTTPError"),
        (Resource::zeros(1 << 20), "TooLarge"),
    ] {
        tokens.put("/token", answer);
        let run = site.run().await;
        assert_eq!(run.list_condition("FetchFailed"), format!("True {reason}"));
        let message = format!("{:?}", run.subscription("vo").conditions);
        assert!(!message.contains("t0ken") && !message.contains("word\""), "{message}");
    }
}
