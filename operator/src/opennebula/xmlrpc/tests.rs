use proptest::prelude::*;

use super::*;
use crate::xml::{Limits, is_xml_character, parse};

const LIMITS: Limits = Limits { depth: 64, elements: 5000 };

fn response(value: &str) -> String {
    format!("<methodResponse><params><param>{value}</param></params></methodResponse>")
}

fn array(items: &str) -> String {
    response(&format!("<value><array><data>{items}</data></array></value>"))
}

#[test]
fn error_arrays_of_three_to_five_items_are_read() {
    let three = "<value><boolean>0</boolean></value><value><string>no</string></value><value><i4>1024</i4></value>";
    for (rest, object) in [
        ("", None),
        ("<value><i4>7</i4></value>", Some(7)),
        ("<value><i4>-1</i4></value><value><i8>-1</i8></value>", None),
    ] {
        let answer = decode_answer(&array(&format!("{three}{rest}"))).unwrap();
        assert_eq!(answer, Answer::Failure(Failure { text: "no".to_owned(), code: 1024, object }));
    }
}

#[test]
fn a_fault_is_told_from_a_refusal() {
    let body = "<methodResponse><fault><value><struct><member><name>faultCode</name><value><i4>-506</i4></value></member>\
                <member><name>faultString</name><value><string>Method 'x' not defined</string></value></member>\
                </struct></value></fault></methodResponse>";
    let expected = Answer::Fault { code: -506, text: "Method 'x' not defined".to_owned() };
    assert_eq!(decode_answer(body).unwrap(), expected);
}

#[test]
fn what_is_no_answer_says_what_was_expected() {
    let cases = [
        ("<html><body>502 Bad Gateway</body></html>", "a methodResponse"),
        ("<methodResponse/>", "one param"),
        (&response("<value><int>1</int></value>"), "an array"),
        (&array(""), "[true, VALUE"),
        (&array("<value><boolean>2</boolean></value>"), "a boolean"),
        (&array("<value><i4>99999999999999999999</i4></value>"), "an integer"),
        (&array("<value><double>1.5</double></value>"), "int, i4"),
        ("{\"json\": true}", "one whole root element"),
    ];
    for (body, expected) in cases {
        let error = decode_answer(body).unwrap_err().to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let text = "\\PC{0,20}|[\\t\\n\\r -~]{0,20}";
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
        text.prop_filter("XML text", |text| text.chars().all(is_xml_character)).prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec(("[a-zA-Z<&]{1,8}", inner), 0..4).prop_map(Value::Struct),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back_as_they_were(value in value()) {
        let mut body = String::new();
        encode_value(&value, &mut body);
        let element = parse(&body, LIMITS).unwrap();
        prop_assert_eq!(decode_value(&element).unwrap(), value);
    }

    #[test]
    fn garbage_never_panics(body in "(<|>|/|value|array|data|methodResponse|params|param|i4|1|boolean|fault|struct|&amp;| ){0,60}") {
        let _ = decode_answer(&body);
    }

    #[test]
    fn a_call_is_one_document_whatever_its_text(method in "\\PC{0,20}", text in any::<String>()) {
        let call = encode_call(&method, &[Value::Text(text)]);
        let root = parse(&call, LIMITS).unwrap();
        prop_assert_eq!(root.children.len(), 2);
        prop_assert_eq!(root.children[1].children.len(), 1);
    }
}
