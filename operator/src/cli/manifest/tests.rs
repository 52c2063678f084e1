use super::*;

const IMAGE: &str = "# Users need it.\napiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata:\n  name: a # the \
                     identifier\nspec:\n  subscriptionRef:\n    name: atlas\n  # Which one.\n  identifier: a\n\n  \
                     keepUntil: \"2027-01-31T00:00:00Z\" # moved by then\n";

fn of(text: &str) -> (tempfile::TempDir, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), text).unwrap();
    let manifest = Manifest::of_image(folder.path(), &ObjectKey::new("default", "a")).unwrap().unwrap();
    (folder, manifest)
}

fn with(text: &str, fields: &[Field<'_>]) -> Result<String, String> {
    of(text).1.with(fields).map(|edited| edited.text).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_field_is_added_changed_and_taken_away_and_nothing_else_changes() {
    let other = "---\n# Another.\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n--- # the image\n";
    for before in ["", other] {
        for after in ["", "---\n# the end\nkind: List\nitems: []\n", "...\n"] {
            let text = format!("{before}{IMAGE}{after}");
            let pinned = with(&text, &[("version", Some("1.0"))]).unwrap();
            let line = "  identifier: a\n  version: '1.0'\n";
            assert_eq!(pinned, text.replace("  identifier: a\n", line));
            let again = with(&pinned, &[("version", Some("2 # b")), ("sha512", None)]).unwrap();
            assert_eq!(again, pinned.replace("'1.0'", "'2 # b'"));
            assert_eq!(with(&again, &[("version", None), ("sha512", None)]).unwrap(), text);
        }
    }
}

#[test]
fn comments_quotes_and_line_ends_stay() {
    let text = IMAGE.replace("  identifier: a\n", "  \"identifier\": a\n  version: \"1 # x\"  # until it boots\n");
    assert_eq!(with(&text, &[("version", Some("3"))]).unwrap(), text.replace("\"1 # x\"", "'3'"));
    for (value, rest) in [("'it''s # b'", " # 'c'"), (r##""a\"# b""##, "   # \"c\""), ("plain#", "")] {
        let text = IMAGE.replace("  identifier: a\n", &format!("  identifier: a\n  version: {value}{rest}\n"));
        assert_eq!(with(&text, &[("version", Some("3"))]).unwrap(), text.replace(value, "'3'"));
    }
    let windows = IMAGE.replace('\n', "\r\n");
    let pinned = with(&windows, &[("version", Some("b"))]).unwrap();
    assert_eq!(pinned, windows.replace("identifier: a\r\n", "identifier: a\r\n  version: b\r\n"));
    let open_end = "apiVersion: a\nkind: CachedImage\nmetadata: {name: a}\nspec:\n    identifier: a";
    assert_eq!(with(open_end, &[("version", Some("b"))]).unwrap(), format!("{open_end}\n    version: b\n"));
    let long = IMAGE.replace("  identifier: a\n", "  version:\n    >-\n      1\n  identifier: a\n");
    assert_eq!(with(&long, &[("version", None)]).unwrap(), IMAGE);
}

/// What cannot be changed line by line is refused: a wrong guess would be another wish than the person's.
#[test]
fn another_form_is_refused() {
    let head = "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {name: a}\n";
    for spec in [
        "spec: {subscriptionRef: {name: atlas}, identifier: a}\n",
        "spec: &x\n  identifier: a\n",
        "? spec\n: {identifier: a}\n",
        "spec:\n  {identifier: a}\n",
    ] {
        let refused = with(&format!("{head}{spec}"), &[("version", Some("1"))]);
        if let Ok(text) = refused {
            panic!("{spec}: {text}");
        }
    }
    let anchored = format!("{head}spec:\n  identifier: a\n  version: &v '1'\n  sha512: *v\n");
    assert!(with(&anchored, &[("version", None)]).is_err());
    assert!(
        with("{\"kind\": \"CachedImage\", \"metadata\": {\"name\": \"a\"}, \"spec\": {}}", &[("version", None)])
            .is_err()
    );
}

#[test]
fn a_file_is_replaced_whole_and_only_where_it_is_what_was_read() {
    let (folder, manifest) = of(IMAGE);
    fs::set_permissions(&manifest.path, fs::Permissions::from_mode(0o640)).unwrap();
    let edited = manifest.with(&[("version", Some("1"))]).unwrap();
    manifest.replace(&edited).unwrap();
    assert_eq!(fs::read_to_string(&manifest.path).unwrap(), edited.text);
    assert_eq!(fs::metadata(&manifest.path).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(manifest.replace(&edited).unwrap_err().to_string().contains("changed in the meantime"));
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&manifest.path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &manifest.path).unwrap();
    assert!(manifest.replace(&edited).unwrap_err().to_string().contains("a regular file"));
}

#[test]
fn the_image_is_found_by_kind_name_and_namespace() {
    let folder = tempfile::tempdir().unwrap();
    let (other, broken) = (IMAGE.replace("name: a #", "namespace: b\n  name: a #"), "kind: [");
    fs::write(folder.path().join("a.yaml"), format!("{other}---\n{}", IMAGE.replace("CachedImage", "Endorser")))
        .unwrap();
    fs::write(folder.path().join("b.yaml"), broken).unwrap();
    let find = |namespace: &str| Manifest::of_image(folder.path(), &ObjectKey::new(namespace, "a")).unwrap();
    assert!(find("default").is_none() && find("b").is_some());
    fs::write(folder.path().join("c.yaml"), IMAGE).unwrap();
    let found = find("default").unwrap();
    assert!(found.is_alone() && !find("b").unwrap().is_alone());
    assert_eq!(found.fields(), ["subscriptionRef", "identifier", "keepUntil"]);
    assert_eq!(found.field("identifier"), Some("a"));
}
