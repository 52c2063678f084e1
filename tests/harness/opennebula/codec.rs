//! XML-RPC as xmlrpc-c writes it, byte for byte.

use vmcatcher_operator::opennebula::xmlrpc::{Value, decode_value};
use vmcatcher_operator::xml::{Limits, parse};

use super::world::Refusal;

/// A protocol error: `faultCode` and `faultString`.
pub type ProtocolFault = (i64, String);

/// Method and parameters of a call.
pub fn decode_call(body: &str) -> Result<(String, Vec<Value>), ProtocolFault> {
    let improper = |what: &str| (-503, format!("Call XML not a proper XML-RPC call.  {what}"));
    if body.chars().any(|c| c > '\u{ffff}') {
        return Err(improper("Call is not valid UTF-8."));
    }
    let root = parse(body, Limits { depth: 32, elements: 10_000 }).map_err(|error| improper(&error.to_string()))?;
    if root.name != "methodCall" {
        let found = &root.name;
        return Err(improper(&format!(
            "XML-RPC call should be a <methodCall> element.  Instead, we have a <{found}> element."
        )));
    }
    let parameters = root.child("params").map(|params| params.children.as_slice()).unwrap_or_default();
    let parameters = parameters.iter().map(|param| match param.child("value") {
        Some(value) => decode_value(value).map_err(|error| improper(&error.to_string())),
        None => Err(improper("a param without a value")),
    });
    Ok((root.child_text("methodName").to_owned(), parameters.collect::<Result<_, _>>()?))
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<methodResponse>\r\n";

fn array(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| format!("<value>{item}</value>\r\n")).collect();
    let items = items.concat();
    format!(
        "{HEAD}<params>\r\n<param><value><array><data>\r\n{items}</data></array></value></param>\r\n</params>\r\n</methodResponse>\r\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `[true, VALUE, 0]`.
pub(super) fn encode_success(value: &Value) -> String {
    let value = match value {
        Value::Integer(number) => format!("<i4>{number}</i4>"),
        Value::Text(text) => format!("<string>{}</string>", escape(text)),
        Value::Boolean(_) | Value::Array(_) | Value::Struct(_) => panic!("OpenNebula answers an id or a text"),
    };
    array(&["<boolean>1</boolean>".to_owned(), value, "<i4>0</i4>".to_owned()])
}

/// `[false, TEXT, CODE, OBJECT, -1]`: five items, as servers send since 5.10.
pub(super) fn encode_refusal(method: &str, refusal: &Refusal) -> String {
    array(&[
        "<boolean>0</boolean>".to_owned(),
        format!("<string>{}</string>", escape(&format!("[{method}] {}", refusal.text))),
        format!("<i4>{}</i4>", refusal.code),
        format!("<i4>{}</i4>", refusal.object),
        "<i8>-1</i8>".to_owned(),
    ])
}

/// `<fault>`.
pub fn encode_fault((code, text): &ProtocolFault) -> String {
    let text = escape(text);
    format!(
        "{HEAD}<fault>\r\n<value><struct>\r\n<member><name>faultCode</name>\r\n<value><i4>{code}</i4></value></member>\r\n\
         <member><name>faultString</name>\r\n<value><string>{text}</string></value></member>\r\n</struct></value>\r\n</fault>\r\n</methodResponse>\r\n"
    )
}
