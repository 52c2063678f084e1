//! The response to a call.

use super::value::{Value, ValueError, decode_value};
use crate::xml::{Limits, parse};

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
