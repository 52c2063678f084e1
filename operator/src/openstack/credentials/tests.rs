use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::openstack::Interface;

type Read = Result<(Credentials, CloudSettings), CredentialsError>;

fn read_for(entries: &[(&str, &str)], cloud: Option<&str>, auth_url: &str) -> Read {
    let entries: BTreeMap<String, String> =
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let names: Vec<String> = entries.keys().cloned().collect();
    let entry = |name: &str| entries.get(name).map(|value| SecretString::from(value.clone()));
    Credentials::from_entries(entry, &names, cloud, &auth_url.parse().unwrap())
}

fn read(entries: &[(&str, &str)]) -> Read {
    read_for(entries, None, "https://k.example.org:5000/v3")
}

fn shown(read: Read) -> String {
    use secrecy::ExposeSecret as _;
    let (credentials, _) = read.unwrap();
    let secret = credentials.secret().expose_secret();
    match &credentials {
        Credentials::ApplicationCredentialId { id, .. } => format!("id {id}, {secret}"),
        Credentials::ApplicationCredentialName { name, user, .. } => format!("name {name} of {user:?}, {secret}"),
        Credentials::Password { user, project, .. } => format!("{user:?} for {project:?}, {secret}"),
    }
}

#[test]
fn each_method_is_read_from_its_entries() {
    let named = r#"Name { name: "ann", domain: Name("egi") }"#;
    let cases: [(&[(&str, &str)], String); 6] = [
        (
            &[("application_credential_id", "81cc\n"), ("application_credential_secret", "s3cret\r\n"), ("note", "x")],
            "id 81cc, s3cret".to_owned(),
        ),
        (
            &[
                ("application_credential_name", "vm"),
                ("application_credential_secret", "s3cret"),
                ("username", "ann"),
                ("user_domain_name", "egi"),
            ],
            format!("name vm of {named}, s3cret"),
        ),
        (
            &[("application_credential_name", "vm"), ("application_credential_secret", "s"), ("user_id", "1653")],
            "name vm of Id(\"1653\"), s".to_owned(),
        ),
        (
            &[("username", "ann"), ("user_domain_name", "egi"), ("password", " p w "), ("project_id", "5320")],
            format!("{named} for Id(\"5320\"),  p w "),
        ),
        (
            &[
                ("username", "ann"),
                ("user_domain_id", "default"),
                ("password", "p"),
                ("project_name", "ops"),
                ("project_domain_id", "default"),
            ],
            "Name { name: \"ann\", domain: Id(\"default\") } for Name { name: \"ops\", domain: Id(\"default\") }, p"
                .to_owned(),
        ),
        (
            &[("user_id", "1"), ("username", "ann"), ("password", "p"), ("project_id", "5"), ("project_name", "ops")],
            "Id(\"1\") for Id(\"5\"), p".to_owned(),
        ),
    ];
    for (entries, expected) in cases {
        assert_eq!(shown(read(entries)), expected);
    }
}

#[test]
fn a_mistake_in_the_entries_says_what_was_expected_and_found() {
    let cases: [(&[(&str, &str)], &str); 11] = [
        (
            &[],
            "the Secret: expected application_credential_id and application_credential_secret, or username and password",
        ),
        (&[("token", "s3cret")], "in a Secret clouds.yaml; found token"),
        (
            &[("application_credential_id", "1")],
            "expected application_credential_secret beside application_credential_id, found application_credential_id",
        ),
        (
            &[("application_credential_secret", "s3cret")],
            "expected application_credential_id or application_credential_name beside application_credential_secret",
        ),
        (
            &[("application_credential_name", "n"), ("application_credential_secret", "s3cret")],
            "expected username or user_id beside application_credential_name",
        ),
        (
            &[("application_credential_id", "1"), ("application_credential_secret", "s3cret"), ("project_id", "5")],
            "expected application_credential_id or project_id, found both: an application credential has a project",
        ),
        (
            &[("application_credential_id", "1"), ("password", "s3cret")],
            "expected application_credential_id or password, found both: they are of two methods",
        ),
        (&[("password", "s3cret")], "expected username or user_id beside password"),
        (
            &[("username", "ann"), ("password", "s3cret"), ("project_id", "5")],
            "user_domain_name or user_domain_id beside",
        ),
        (
            &[("user_id", "1"), ("password", "s3cret"), ("project_name", "ops")],
            "expected project_domain_name or project_domain_id beside project_name",
        ),
        (
            &[("user_id", "1"), ("password", "\n"), ("project_id", "5")],
            "expected a text in password, found an empty one",
        ),
    ];
    for (entries, expected) in cases {
        let error = read(entries).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    }
}

const CLOUDS: &str = "
clouds:
  site:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://k.example.org:5000/
      application_credential_id: 81cc
      application_credential_secret: s3cret
    region_name: RegionOne
    interface: internal
    identity_api_version: 3
    image_api_version: '2'
  dashboard:
    auth: {auth_url: 'https://k.example.org:5000/v3', username: ann, password: s3cret, project_id: '5320',
           project_name: ops, user_domain_name: egi}
    interface: public
    verify: true
";

#[test]
fn a_clouds_file_is_read_as_people_have_it() {
    let chosen = |name| read_for(&[("clouds.yaml", CLOUDS)], Some(name), "https://K.example.org:5000/v3/");
    assert_eq!(shown(chosen("site")), "id 81cc, s3cret");
    let settings = chosen("site").unwrap().1;
    assert_eq!((settings.region.as_deref(), settings.interface), (Some("RegionOne"), Some(Interface::Internal)));
    let dashboard = r#"Name { name: "ann", domain: Name("egi") } for Id("5320"), s3cret"#;
    assert_eq!(shown(chosen("dashboard")), dashboard);
    assert_eq!(chosen("dashboard").unwrap().1.region, None);
    let json = r#"{"clouds": {"a": {"auth": {"user_id": "1", "password": "p", "project_id": "5"}}}}"#;
    assert_eq!(shown(read(&[("clouds.yaml", json)])), "Id(\"1\") for Id(\"5\"), p");
}

#[test]
fn a_mistake_in_a_clouds_file_says_what_was_expected_and_found() {
    let auth = "{auth: {user_id: '1', password: s3cret, project_id: '5'}";
    let with = |more: &str| format!("clouds: {{a: {auth}, {more}}}}}");
    let cases = [
        ("clouds: {}".to_owned(), "clouds.yaml: expected a cloud, found nothing"),
        ("cloud: {}".to_owned(), "clouds.yaml: expected an object clouds, found cloud"),
        ("clouds: {a: 1}".to_owned(), "expected an object as cloud \"a\", found a"),
        ("clouds: {a: {}}".to_owned(), "cloud \"a\": expected an object with the credentials in auth, found nothing"),
        ("clouds: {a: {auth: {}}}".to_owned(), "cloud \"a\": expected application_credential_id and"),
        ("clouds: [\n".to_owned(), "clouds.yaml, line "),
        ("clouds: {}\n---\nclouds: {}\n".to_owned(), "clouds.yaml, line 2: expected one document"),
        (CLOUDS.to_owned(), "expected the configuration to choose one of the clouds, found site, dashboard"),
        (
            "clouds: {a: {auth: {user_id: '1', password: 12345, project_id: '5'}}}".to_owned(),
            "in password, found a number, which needs quotes",
        ),
        (with("verify: false"), "expected no verify, found false: the server's certificate is always verified"),
        (with("verify: 'False'"), "expected no verify, found false"),
        (with("insecure: true"), "expected no insecure, found true"),
        (
            with("cacert: /etc/ca.pem"),
            "expected no cacert, found a text (a path): the certificate authority is configured by tls",
        ),
        (with("cert: /etc/c.pem"), "expected no cert, found a text (a path): the client certificate"),
        (
            with("auth_type: v3oidcpassword"),
            "expected password, v3password or v3applicationcredential in auth_type, found \"v3oidcpassword\"",
        ),
        (with("identity_api_version: 2"), "expected 3 in identity_api_version, found \"2\""),
        (with("interface: everywhere"), "expected public, internal or admin in interface, found \"everywhere\""),
        (with("region_name: 1"), "expected a text in region_name, found a number"),
        (
            "clouds: {a: {auth: {auth_url: 'https://u:s3cret@other.example.org/v3'}}}".to_owned(),
            "cloud \"a\": expected auth_url https://k.example.org:5000/v3, as configured, found https://other.example.org/v3",
        ),
        ("clouds: {a: {auth: {auth_url: k.example.org}}}".to_owned(), "expected an address in auth_url"),
    ];
    for (file, expected) in cases {
        let error = read(&[("clouds.yaml", &file)]).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    }
    let chosen = |entries, cloud| read_for(entries, Some(cloud), "https://k.example.org:5000").unwrap_err().to_string();
    let error = chosen(&[("clouds.yaml", CLOUDS)], "other");
    assert_eq!(error, "clouds.yaml: expected the cloud \"other\", found site, dashboard");
    let error = chosen(&[("password", "s3cret")], "site");
    assert_eq!(error, "expected clouds.yaml in the Secret, because the cloud \"site\" is chosen; found password");
    let error = read(&[("clouds.yaml", CLOUDS), ("password", "s3cret")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "expected clouds.yaml or the entries of one method in the Secret, found clouds.yaml and password"
    );
}

#[test]
fn a_secret_is_not_shown() {
    let (credentials, _) =
        read_for(&[("clouds.yaml", CLOUDS)], Some("dashboard"), "https://k.example.org:5000").unwrap();
    assert!(!format!("{credentials:?}").contains("s3cret"), "{credentials:?}");
}

proptest! {
    #[test]
    fn nothing_panics(file in "(clouds:|auth:|password:|\\PC|[-a:{}\\[\\]&*! \n]){0,40}", cloud in "\\PC{0,4}") {
        let _ = read(&[("clouds.yaml", &file)]);
        let _ = read_for(&[("clouds.yaml", &file)], Some(&cloud), "https://k.example.org:5000");
    }
}
