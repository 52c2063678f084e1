//! XML-RPC values, and calls with values as parameters.

use std::fmt::Write as _;

use crate::xml::{Element, XmlError, escape};

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
