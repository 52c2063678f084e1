//! Reading a folder of manifests, and its errors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn read(files: &[(&str, &str)]) -> Manifests {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Manifests::read(folder.path()).unwrap()
}

const ENDORSER: &str = "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {name: egi}\nspec: {credentials: \
                        [{name: a, x509: {subject: /CN=a, issuer: /CN=b}}]}\n";

#[test]
fn several_documents_and_folders_are_read_and_other_peoples_passed_over() {
    let both = format!("{ENDORSER}---\n{}", ENDORSER.replace("egi", "other"));
    let manifests = read(&[
        ("trust/endorsers.yaml", &both),
        ("app/deployment.yml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"),
        (".git/config.yaml", "not: [closed"),
        ("README.md", "not: [closed"),
    ]);
    assert_eq!(manifests.problems, vec![]);
    assert_eq!(manifests.others, BTreeMap::from([("apps/v1 Deployment".to_owned(), 1)]));
    assert_eq!(manifests.other_files, [PathBuf::from("README.md")]);
    let names: Vec<String> = manifests.endorsers.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["default/egi", "default/other"]);
}

#[test]
fn a_bad_document_costs_itself_and_says_where() {
    let cases = [
        (
            "spec: {credentials: [{name: a, x509: {subject: /CN=a, issuer: /CN=b}}], crlpolicy: Ignore}",
            "spec.crlpolicy: expected credentials, crlPolicy, description, trust or trustAnchors, found this field; did you mean crlPolicy?",
        ),
        ("spec: {}", "spec: expected the field credentials, found none"),
        ("spec: {credentials: 5}", "spec.credentials: expected a list, found the number 5; write - before each item"),
        ("", "expected the field spec, found none"),
    ];
    for (spec, expected) in cases {
        let bad = format!("apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {{name: bad}}\n{spec}\n");
        let manifests = read(&[("a.yaml", &format!("{bad}---\n{ENDORSER}")), ("b.yaml", "a: [b")]);
        let told: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
        let line = if spec.is_empty() { 1 } else { 4 };
        assert_eq!(told[0], format!("a.yaml: document 1, line {line}: Endorser bad: {expected}"));
        assert!(told[1].starts_with("b.yaml: document 1, line "), "{told:?}");
        assert_eq!(manifests.endorsers.len(), 1, "{spec}");
    }
}

/// Each with its error.
const NOT_UNDERSTOOD: [(&str, &str); 22] = [
    (
        "kind: Endorser\nmetadata: {name: a}\n",
        "line 1: expected the field apiVersion, such as vmcatcher.io/v1alpha1, found none",
    ),
    (
        "apiversion: vmcatcher.io/v1alpha1\nkind: Endorser\n",
        "line 1: apiversion: expected the field apiVersion, such as vmcatcher.io/v1alpha1, found apiversion",
    ),
    (
        "apiVersion: 1\nkind: Endorser\n",
        "line 1: apiVersion: expected text, such as vmcatcher.io/v1alpha1, found the number 1",
    ),
    (
        "apiVersion: vmcatcher.io/v1alpha1\n",
        "line 1: expected the field kind, such as ImageListSubscription, found none",
    ),
    (
        "apiVersion: vmcatcher/v1alpha1\nkind: Endorser\nmetadata: {name: a}\n",
        "line 1: Endorser a: apiVersion: expected vmcatcher.io/v1alpha1, found vmcatcher/v1alpha1",
    ),
    (
        "apiVersion: vmcather.io/v1alpha1\nkind: Endorsr\n",
        "line 1: Endorsr: apiVersion: expected vmcatcher.io/v1alpha1, found vmcather.io/v1alpha1",
    ),
    (
        "kind: CachedImage\napiVersion: v1\n",
        "line 2: CachedImage: apiVersion: expected vmcatcher.io/v1alpha1, found v1",
    ),
    (
        "apiVersion: vmcatcher.io/v1\nkind: Endorser\n",
        "line 1: Endorser: apiVersion: expected vmcatcher.io/v1alpha1, found vmcatcher.io/v1",
    ),
    (
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscripton\n",
        "line 2: ImageListSubscripton: kind: expected CachedImage, CloudTarget, Endorser, ImageListSubscription, found ImageListSubscripton; did you mean ImageListSubscription?",
    ),
    (
        "- apiVersion: v1\n- kind: List\n",
        "line 1: expected an object with apiVersion, kind, metadata and spec, found a list; write each item as a document, with --- between them",
    ),
    (
        "just words\n",
        "line 1: expected an object with apiVersion, kind, metadata and spec, found the text \"just words\"",
    ),
    ("apiVersion: v1\nkind: List\n", "line 1: List: items: expected a list of manifests, found none"),
    (
        "apiVersion: v1\nkind: List\nitems:\n- kind: Endorser\n",
        "line 4: expected the field apiVersion, such as vmcatcher.io/v1alpha1, found none",
    ),
    (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\nstringdata: {token: x}\n",
        "line 4: Secret t: stringdata: expected type, immutable, data, stringData, binaryData, found this field; did you mean stringData?",
    ),
    (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\nstringData:\n  token: 12345\n",
        "line 5: Secret t: stringData.token: expected text, found something else; write it between quotes",
    ),
    (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\nsops: {}\n",
        "line 1: Secret t: expected a Secret that can be read, found one that SOPS has encrypted: decrypt it first",
    ),
    (
        "apiVersion: v1\nkind: List\nkind: List\n",
        "line 3: expected each key once in its object, found \"kind\" again at line 3 column 1",
    ),
    ("a:\n\tb: 1\n", "a tab is here"),
    ("metadata: {name: {{ .Values.name }}}\n", "a template is rendered first, such as by `helm template`"),
    (
        "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {nmae: a}\nspec: {credentials: []}\n",
        "found this field; did you mean name?",
    ),
    ("", "expected manifests, found an empty file; remove the file to remove what it held"),
    (
        "# all of it\n---\n# is commented out\n",
        "expected manifests, found an empty file; remove the file to remove what it held",
    ),
];

#[test]
fn nothing_that_is_not_understood_is_dropped_silently() {
    for (text, expected) in NOT_UNDERSTOOD {
        let manifests = read(&[("a.yaml", text)]);
        let told: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
        assert!(
            told.len() == 1 && told[0].starts_with("a.yaml: ") && told[0].ends_with(expected),
            "{text}\n{told:?}\n{expected}"
        );
        assert!(manifests.is_broken(Path::new("a.yaml")));
    }
}

#[test]
fn an_empty_document_between_others_is_told_and_one_at_the_end_is_none() {
    let manifests =
        read(&[("a.yaml", &format!("---\n{ENDORSER}---\n# nothing\n---\n{}---\n", ENDORSER.replace("egi", "other")))]);
    let told: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["a.yaml: document 2, line 6: expected a manifest, found an empty document; take out one ---"]);
    assert_eq!(manifests.endorsers.len(), 2);
    let many = read(&[("a.yaml", &format!("{}{ENDORSER}", "---\na: 1\n---\na: [\n".repeat(500)))]);
    assert_eq!(many.problems.len(), MOST_PROBLEMS + 1);
    assert_eq!(many.problems[MOST_PROBLEMS].message, "980 more problems of this file are not shown");
}

const SUBSCRIPTION: &str = "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata:\n  name: vo\nspec:\n  \
                            source:\n    url: https://example.org/list\n  verify:\n    endorserRefs: [{name: egi}]\n";

/// A change of the subscription, and its errors.
const MISTAKES: [(&str, &str, &[&str]); 9] = [
    (
        "url:",
        "uri:",
        &[
            "line 7: ImageListSubscription vo: spec.source.uri: expected checksums, oci, secretRef, simpleStreams, tls or url, found this field; did you mean url?",
        ],
    ),
    ("verify:", "verfy:", &["line 8: ImageListSubscription vo: spec.verfy: expected "]),
    (
        "    endorserRefs: [{name: egi}]",
        "    mode: Enforce\n  endorserRefs: [{name: egi}]",
        &["line 10: ImageListSubscription vo: spec.endorserRefs: expected "],
    ),
    (
        "[{name: egi}]",
        "{name: egi}",
        &[
            "line 9: ImageListSubscription vo: spec.verify.endorserRefs: expected a list, found an object; write - before each item",
        ],
    ),
    (
        "[{name: egi}]",
        "[{name: 1.10}]",
        &[
            "line 9: ImageListSubscription vo: spec.verify.endorserRefs[0].name: expected text, found 1.10 without quotes; quote it: \"1.10\"",
        ],
    ),
    (
        "    url: https://example.org/list\n",
        "    url: https://example.org/list\n  suspend: \"yes\"\n",
        &[
            "line 8: ImageListSubscription vo: spec.suspend: expected true or false, found the text \"yes\"; write it without quotes",
        ],
    ),
    (
        "  name: vo\n",
        "  name: vo\n  labels: {a: true}\n",
        &[
            "line 5: ImageListSubscription vo: metadata.labels.a: expected text, found true without quotes; quote it: \"true\"",
        ],
    ),
    (
        "    url: https://example.org/list\n  verify:\n    endorserRefs: [{name: egi}]\n",
        "    secretref: {name: a}\n    url: 5\n  verify:\n    mode: 1\n",
        &[
            "line 7: ImageListSubscription vo: spec.source.secretref: expected checksums, oci, secretRef, simpleStreams, tls or url, found this field; did you mean secretRef?",
            "line 8: ImageListSubscription vo: spec.source.url: expected text, found 5 without quotes; quote it: \"5\"",
            "line 10: ImageListSubscription vo: spec.verify.mode: expected text, found 1 without quotes; quote it: \"1\"",
        ],
    ),
    (
        "https://example.org/list\n",
        "https://example.org/list\n  timeout: 9999999999999999999999\n",
        &["line 8: ImageListSubscription vo: spec.timeout: expected text"],
    ),
];

#[test]
fn however_much_is_wrong_it_is_told_in_short() {
    let entries = "{x: 1}, ".repeat(20_000);
    let text = SUBSCRIPTION.replace("[{name: egi}]", &format!("[{entries}]"));
    let manifests = read(&[
        ("a.yaml", &text),
        ("b.yaml", &format!("apiVersion: vmcatcher.io/v1\nkind: {}\n", "x".repeat(1 << 20))),
    ]);
    assert_eq!(manifests.problems.len(), MOST_PROBLEMS + 2, "{:?}", manifests.problems.last());
    assert!(manifests.problems.iter().all(|problem| problem.to_string().len() < 2000));
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |whole, line| whole + "  " + line + "\n")
}

#[test]
fn a_mistake_is_told_with_its_path_its_line_and_what_was_meant() {
    for (right, wrong, expected) in MISTAKES {
        let text = SUBSCRIPTION.replace(right, wrong);
        assert_ne!(text, SUBSCRIPTION, "{right}");
        let manifests = read(&[("a.yaml", &text)]);
        let told: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(&format!("a.yaml: document 1, {expected}")), "{told}\n{expected}");
        }
        let items = indented(&text);
        let list = read(&[("a.yaml", &format!("apiVersion: v1\nkind: List\nitems:\n-\n{items}"))]);
        assert_eq!(list.problems.len(), expected.len(), "{:#?}", list.problems);
        assert_eq!(list.problems[0].line, manifests.problems[0].line.map(|line| line + 4), "{:#?}", list.problems);
    }
    assert_eq!(read(&[("a.yaml", SUBSCRIPTION)]).problems, vec![]);
}

#[test]
fn a_list_is_expanded_and_one_bad_item_costs_itself() {
    let item = |name: &str| indented(&ENDORSER.replace("egi", name));
    let text = format!("apiVersion: v1\nkind: List\nitems:\n-\n{}-\n  kind: X\n-\n{}", item("a"), item("b"));
    let manifests = read(&[("a.yaml", &text)]);
    assert_eq!(manifests.endorsers.len(), 2);
    assert_eq!(manifests.problems.len(), 1, "{:?}", manifests.problems);
    let json = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "vmcatcher.io/v1alpha1", "kind": "Endorser", "metadata": {"name": "a"}, "spec": {"credentials": []}},
    ]});
    assert_eq!(read(&[("a.JSON", &json.to_string()), ("b.YML", &ENDORSER.replace("egi", "b"))]).endorsers.len(), 2);
}

#[test]
fn what_belongs_to_charts_and_kustomizations_is_counted() {
    let manifests = read(&[
        ("chart/Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n"),
        ("chart/values.yaml", "a: 1\n"),
        ("chart/values.schema.json", "{\"type\": \"object\"}"),
        ("chart/templates/a.yaml", "kind: {{ .Values.kind }}\n"),
        ("chart/templates/b.yaml", ENDORSER),
        ("kustomization.yaml", "resources: [a.yaml]\n"),
        ("app.yaml", "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: x}\n"),
        ("values.yaml", "a: 1\n"),
    ]);
    let told: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].starts_with("values.yaml: document 1, line 1: expected the field"), "{told:?}");
    let others = [
        ("Helm template", 1),
        ("file of a chart or a kustomization", 4),
        ("kustomize.toolkit.fluxcd.io/v1 Kustomization", 1),
    ];
    assert_eq!(manifests.others, others.map(|(what, count)| (what.to_owned(), count)).into());
    assert_eq!(manifests.endorsers.len(), 1, "one of ours is taken wherever it lies");
}

#[test]
fn files_that_cannot_be_read_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("inside/deeper")).unwrap();
    fs::write(path("inside/deeper/egi.yaml"), ENDORSER).unwrap();
    std::os::unix::fs::symlink("nowhere.yaml", path("broken.yaml")).unwrap();
    std::os::unix::fs::symlink("inside", path("link")).unwrap();
    std::os::unix::fs::symlink("inside/deeper/egi.yaml", path("linked.yaml")).unwrap();
    fs::write(path("latin.yaml"), b"a: 1\nb: caf\xe9\n").unwrap();
    fs::write(path("utf16.yaml"), b"\xff\xfea\0").unwrap();
    let manifests = Manifests::read(folder.path()).unwrap();
    let mut told: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
    told.sort();
    assert!(told[0].starts_with("broken.yaml: cannot read it: No such file"), "{told:?}");
    assert_eq!(told[1], "latin.yaml: expected UTF-8, found other bytes in line 2");
    assert_eq!(told[2], "link: expected a folder, found a link to one, which is not followed");
    assert!(told[3].starts_with("linked.yaml: document 1, line 3: Endorser egi: metadata.name: expected one object of this kind called default/egi, found another in inside/deeper/egi.yaml"), "{told:?}");
    assert_eq!(told[4], "utf16.yaml: expected UTF-8, found other bytes in line 1");
    assert!(manifests.is_broken(Path::new("link/deeper/egi.yaml")) && !manifests.is_broken(Path::new("linked")));
}

#[test]
fn names_that_are_no_names_are_refused() {
    for name in ["../x", "A", "", "a/b"] {
        let manifests = read(&[("a.yaml", &ENDORSER.replace("name: egi", &format!("name: {name:?}")))]);
        assert!(manifests.problems[0].message.contains("metadata.name"), "{:?}", manifests.problems);
    }
    let twice = read(&[("a.yaml", ENDORSER), ("b.yaml", ENDORSER)]);
    let expected = "metadata.name: expected one object of this kind called default/egi, found another in a.yaml";
    assert_eq!(twice.problems[0].to_string(), format!("b.yaml: document 1, line 3: Endorser egi: {expected}"));
}

#[test]
fn a_secret_is_read_in_both_forms_and_never_told() {
    use secrecy::ExposeSecret;
    let encoded = STANDARD.encode("s3cret");
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: t}}\ndata: {{a: {encoded}}}\nstringData: {{b: plain}}\n"
    );
    let manifests = read(&[("a.yaml", &text)]);
    let secret = &manifests.secrets[&ObjectKey::new("default", "t")].0;
    let entry = |name: &str| secret.entries[name].expose_secret().to_vec();
    assert_eq!((entry("a"), entry("b")), (b"s3cret".to_vec(), b"plain".to_vec()));
    let bad = read(&[("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\ndata: {a: s3cret!}\n")]);
    assert!(!bad.problems[0].to_string().contains("s3cret"), "{:?}", bad.problems);
}
