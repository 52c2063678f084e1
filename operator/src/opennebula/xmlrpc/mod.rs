//! XML-RPC (xmlrpc.com/spec): writes calls and parses responses.

mod answer;
mod value;

pub use answer::{Answer, Failure, decode_answer};
pub use value::{Value, ValueError, decode_value, encode_call, encode_value};

#[cfg(test)]
mod tests;
