//! Arguments, tracing, hand over to a command.

fn main() {}
