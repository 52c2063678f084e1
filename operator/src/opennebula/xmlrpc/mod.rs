//! XML-RPC (xmlrpc.com/spec): calls written, answers read.

mod answer;
mod value;

pub use answer::{Answer, Failure, decode_answer};
pub use value::{Value, ValueError, decode_value, encode_call, encode_value};

#[cfg(test)]
mod tests;
