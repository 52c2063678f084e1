//! A list's author lets the operator fetch from a cloud's metadata service, which gives a machine's credentials to whoever
//! asks from it. The address is hidden in a form that the policy did not know, or in a redirect to it.

use std::time::Duration;

use harness::image_server::{ImageServer, Resource};
use vmcatcher_operator::fetch::{Client, ClientSettings, FetchError, Source};

/// IPv4 addresses of metadata services inside every kind of IPv6 address, services outside 169.254.0.0/16, and names.
const HIDDEN: [&str; 17] = [
    "[::ffff:0:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::]",
    "[64:ff9b:1:ff:ff:ff:a9fe:a9fe]",
    "[2001:0:a9fe:a9fe::1]",
    "[2001:0:c000:201:0:0:5601:5601]",
    "[2002:a9fe:a9fe::1]",
    "[2001:db8::5efe:a9fe:a9fe]",
    "[2001:db8::200:5efe:a9fe:a9fe]",
    "[::ffff:100.100.100.200]",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "[fd00:ec2::23]",
    "[fd20:ce::254]",
    "metadata.google.internal",
];

#[tokio::test]
async fn no_form_of_a_metadata_address_is_asked() {
    let server = ImageServer::start();
    let client = Client::new(&ClientSettings::default()).unwrap();
    for host in HIDDEN {
        let address = format!("http://{host}/latest/meta-data/iam/security-credentials/");
        server.put("/list", Resource::redirect(302, &address));
        for url in [address, server.url("/list")] {
            let source = Source::public(url.parse().unwrap());
            let error = client.fetch_list(&source, None, Duration::from_secs(5), 1 << 20).await.unwrap_err();
            assert!(matches!(error, FetchError::UrlInvalid { .. }), "{url}: {error}");
            let told = error.to_string();
            assert!(told.contains("(link-local)") || told.contains("(metadata service)"), "{url}: {told}");
        }
    }
}
