//! XML-RPC (xmlrpc.com/spec): writes calls and parses responses.

use std::fmt::Write as _;

use crate::xml::{Element, Limits, XmlError, escape, parse};

/// The limits of a response. Responses of OpenNebula are an array of three to five scalars, or a fault.
const LIMITS: Limits = Limits { depth: 16, elements: 2000 };

/// A response of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `[true, VALUE, …]`: an id, or a text (a document, a version).
    Success(Value),
    /// `[false, TEXT, CODE, …]`.
    Failure(Failure),
    /// An XML-RPC fault: an unknown method, a wrong parameter.
    Fault {
        /// `faultCode`, such as -506.
        code: i64,
        /// `faultString`.
        text: String,
    },
}

/// A call that OpenNebula refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The message, which starts with `[method] `.
    pub text: String,
    /// 0x0100 authentication … 0x10000 replication.
    pub code: i64,
    /// The id of the affected object, if it is given (since 5.4).
    pub object: Option<i64>,
}

/// Parses a response. Error arrays have 3 items up to 5.2, 4 up to 5.8, and 5 since then.
pub fn decode_answer(body: &str) -> Result<Answer, ValueError> {
    let root = parse(body, LIMITS)?;
    if root.name != "methodResponse" {
        return Err(ValueError::unexpected("a methodResponse", &root.name));
    }
    if let Some(fault) = root.child("fault") {
        let value = fault.child("value").ok_or_else(|| ValueError::unexpected("a value in the fault", "none"))?;
        return decode_fault(decode_value(value)?);
    }
    let value = root.child("params").and_then(|params| params.child("param")).and_then(|param| param.child("value"));
    let value = value.ok_or_else(|| ValueError::unexpected("one param with a value", "none"))?;
    match decode_value(value)? {
        Value::Array(items) => decode_items(items),
        other => Err(ValueError::unexpected("an array", &format!("{other:?}"))),
    }
}

fn decode_items(items: Vec<Value>) -> Result<Answer, ValueError> {
    let count = items.len();
    let mut items = items.into_iter();
    match (items.next(), items.next(), items.next(), items.next()) {
        (Some(Value::Boolean(true)), Some(value), _, _) => Ok(Answer::Success(value)),
        (Some(Value::Boolean(false)), Some(Value::Text(text)), Some(Value::Integer(code)), object) => {
            let object = match object {
                Some(Value::Integer(number)) if number >= 0 => Some(number),
                _ => None,
            };
            Ok(Answer::Failure(Failure { text, code, object }))
        }
        _ => Err(ValueError::unexpected("[true, VALUE, …] or [false, TEXT, CODE, …]", &format!("{count} items"))),
    }
}

fn decode_fault(value: Value) -> Result<Answer, ValueError> {
    let Value::Struct(members) = value else { return Err(ValueError::unexpected("a struct in the fault", "none")) };
    let (mut code, mut text) = (None, None);
    for (name, member) in members {
        match (name.as_str(), member) {
            ("faultCode", Value::Integer(number)) => code = Some(number),
            ("faultString", Value::Text(string)) => text = Some(string),
            _ => {}
        }
    }
    match (code, text) {
        (Some(code), Some(text)) => Ok(Answer::Fault { code, text }),
        _ => Err(ValueError::unexpected("faultCode and faultString", "a fault without them")),
    }
}

/// A value of a type that OpenNebula uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `i4`, `int` or `i8`.
    Integer(i64),
    /// `boolean`: 0 or 1.
    Boolean(bool),
    /// `string`, or a value without a type.
    Text(String),
    /// `array`.
    Array(Vec<Value>),
    /// `struct`, in the order of its members.
    Struct(Vec<(String, Value)>),
}

/// The document is not valid XML-RPC, or not what OpenNebula should return.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is not valid XML.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is XML, but not as specified by XML-RPC or OpenNebula.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What was expected.
        expected: &'static str,
        /// What was found, shortened.
        found: String,
    },
}

impl ValueError {
    pub(crate) fn unexpected(expected: &'static str, found: &str) -> Self {
        Self::Unexpected { expected, found: format!("{:?}", found.chars().take(60).collect::<String>()) }
    }
}

/// A call: `methodCall` with these parameters.
pub fn encode_call(method: &str, parameters: &[Value]) -> String {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<methodCall><methodName>");
    body.push_str(&escape(method));
    body.push_str("</methodName><params>");
    for parameter in parameters {
        body.push_str("<param>");
        encode_value(parameter, &mut body);
        body.push_str("</param>");
    }
    body.push_str("</params></methodCall>\n");
    body
}

/// Appends `<value>…</value>`. Integers that do not fit 32 bits are written as `i8`, as in OpenNebula.
pub fn encode_value(value: &Value, body: &mut String) {
    body.push_str("<value>");
    match value {
        Value::Integer(number) => {
            let name = if i32::try_from(*number).is_ok() { "int" } else { "i8" };
            // Writing to a String cannot fail.
            let _ = write!(body, "<{name}>{number}</{name}>");
        }
        Value::Boolean(flag) => {
            let _ = write!(body, "<boolean>{}</boolean>", u8::from(*flag));
        }
        Value::Text(text) => {
            let _ = write!(body, "<string>{}</string>", escape(text));
        }
        Value::Array(items) => {
            body.push_str("<array><data>");
            for item in items {
                encode_value(item, body);
            }
            body.push_str("</data></array>");
        }
        Value::Struct(members) => {
            body.push_str("<struct>");
            for (name, member) in members {
                let _ = write!(body, "<member><name>{}</name>", escape(name));
                encode_value(member, body);
                body.push_str("</member>");
            }
            body.push_str("</struct>");
        }
    }
    body.push_str("</value>");
}

/// Parses a `<value>` element. Its depth was limited when the XML was parsed.
pub fn decode_value(element: &Element) -> Result<Value, ValueError> {
    if element.name != "value" {
        return Err(ValueError::unexpected("a value", &element.name));
    }
    let Some(typed) = element.children.first() else { return Ok(Value::Text(element.text.clone())) };
    match typed.name.as_str() {
        "i4" | "int" | "i8" => {
            let number = typed.text.trim().parse().map_err(|_| ValueError::unexpected("an integer", &typed.text))?;
            Ok(Value::Integer(number))
        }
        "boolean" => match typed.text.trim() {
            "0" => Ok(Value::Boolean(false)),
            "1" => Ok(Value::Boolean(true)),
            other => Err(ValueError::unexpected("a boolean 0 or 1", other)),
        },
        "string" => Ok(Value::Text(typed.text.clone())),
        "array" => {
            let data = typed.child("data").ok_or_else(|| ValueError::unexpected("data in the array", "none"))?;
            data.children.iter().map(decode_value).collect::<Result<_, _>>().map(Value::Array)
        }
        "struct" => typed.children.iter().map(decode_member).collect::<Result<_, _>>().map(Value::Struct),
        other => Err(ValueError::unexpected("int, i4, i8, boolean, string, array or struct", other)),
    }
}

fn decode_member(element: &Element) -> Result<(String, Value), ValueError> {
    match (element.name.as_str(), element.child("value")) {
        ("member", Some(value)) => Ok((element.child_text("name").to_owned(), decode_value(value)?)),
        (other, _) => Err(ValueError::unexpected("a member with a value", other)),
    }
}

#[cfg(test)]
mod tests;
