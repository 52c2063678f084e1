//! Which method does what, with the types of its parameters.

use vmcatcher_operator::opennebula::xmlrpc::Value;

use super::codec::{self, ProtocolFault, encode_refusal, encode_success};
use super::world::{Dialect, Refusal, World};

/// The kinds of parameters, to tell a wrong one as xmlrpc-c does.
fn integer(parameters: &[Value], at: usize) -> Result<i64, ProtocolFault> {
    match parameters.get(at) {
        Some(Value::Integer(number)) => Ok(*number),
        Some(_) => Err((-501, "Parameter that is supposed to be integer is not".to_owned())),
        None => Err((-501, "Not enough parameters".to_owned())),
    }
}

fn boolean(parameters: &[Value], at: usize) -> Result<bool, ProtocolFault> {
    match parameters.get(at) {
        Some(Value::Boolean(flag)) => Ok(*flag),
        Some(_) => Err((-501, "Parameter that is supposed to be boolean is not".to_owned())),
        None => Err((-501, "Not enough parameters".to_owned())),
    }
}

fn text(parameters: &[Value], at: usize) -> Result<&str, ProtocolFault> {
    match parameters.get(at) {
        Some(Value::Text(text)) => Ok(text),
        Some(_) => Err((-501, "Parameter that is supposed to be string is not".to_owned())),
        None => Err((-501, "Not enough parameters".to_owned())),
    }
}

impl World {
    /// The body of the answer to a call.
    pub fn answer(&mut self, method: &str, parameters: &[Value]) -> String {
        if method == "one.imagepool.info" {
            self.clock += self.read_seconds;
        }
        self.settle();
        let answer = match self.dispatch(method, parameters) {
            Ok(Ok(value)) => encode_success(&value),
            Ok(Err(refusal)) => encode_refusal(method, &refusal),
            Err(fault) => codec::encode_fault(&fault),
        };
        self.settle();
        answer
    }

    fn dispatch(&mut self, method: &str, given: &[Value]) -> Result<Result<Value, Refusal>, ProtocolFault> {
        if given.is_empty() && method.starts_with("one.") && self.dialect == Dialect::V7_4 {
            let text = "Unexpected error executing code for particular method, detected by Xmlrpc-c method registry code.  \
                        Method did not fail; rather, it did not complete at all.  Subscript of xmlrpc_c::paramList out of bounds";
            return Err((-500, text.to_owned()));
        }
        // The types are looked at before the session is.
        let Some(run) = self.prepare(method, given)? else {
            return Err((-506, format!("Method '{method}' not defined")));
        };
        let user = match self.authenticate(text(given, 0)?) {
            Ok(user) => user,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(run(self, &user))
    }
}

type Run = Box<dyn FnOnce(&mut World, &super::User) -> Result<Value, Refusal>>;

fn id(done: Result<u32, Refusal>) -> Result<Value, Refusal> {
    done.map(Value::from)
}

impl World {
    /// A call with its parameters taken apart; none for a method that is not there.
    fn prepare(&self, method: &str, given: &[Value]) -> Result<Option<Run>, ProtocolFault> {
        if let Some(run) = self.prepare_read(method, given)? {
            return Ok(Some(run));
        }
        if !CHANGES.contains(&method) {
            return Ok(None);
        }
        if method == "one.image.allocate" {
            let (template, datastore) = (text(given, 1)?.to_owned(), integer(given, 2)?);
            return Ok(Some(Box::new(move |world, user| id(world.allocate(user, &template, datastore)))));
        }
        let image = integer(given, 1)?;
        Ok(Some(match method {
            "one.image.update" => {
                let (template, how) = (text(given, 2)?.to_owned(), integer(given, 3).unwrap_or(0));
                Box::new(move |world, user| id(world.update(user, image, &template, how)))
            }
            "one.image.rename" => {
                let name = text(given, 2)?.to_owned();
                Box::new(move |world, user| id(world.rename(user, image, &name)))
            }
            "one.image.chown" => {
                let (uid, gid) = (integer(given, 2)?, integer(given, 3)?);
                Box::new(move |world, user| id(world.chown(user, image, uid, gid)))
            }
            "one.image.chmod" => {
                let mut bits = [0; 9];
                for (place, bit) in bits.iter_mut().enumerate() {
                    *bit = integer(given, place + 2)?;
                }
                Box::new(move |world, user| id(world.chmod(user, image, bits)))
            }
            "one.image.enable" => {
                let enable = boolean(given, 2)?;
                Box::new(move |world, user| id(world.enable(user, image, enable)))
            }
            "one.image.persistent" => {
                let persistent = boolean(given, 2)?;
                Box::new(move |world, user| id(world.persistent(user, image, persistent)))
            }
            "one.image.chtype" => {
                let kind = text(given, 2)?.to_owned();
                Box::new(move |world, user| id(world.change_type(user, image, &kind)))
            }
            "one.image.clone" => {
                let (name, datastore) = (text(given, 2)?.to_owned(), integer(given, 3).unwrap_or(-1));
                Box::new(move |world, user| id(world.clone_image(user, image, &name, datastore)))
            }
            "one.image.lock" => {
                let (level, test) = (integer(given, 2)?, boolean(given, 3).unwrap_or(false));
                Box::new(move |world, user| id(world.lock(user, image, level, test)))
            }
            "one.image.unlock" => Box::new(move |world, user| id(world.unlock(user, image))),
            _ => {
                let force = boolean(given, 2).unwrap_or(false);
                Box::new(move |world, user| id(world.delete(user, image, force)))
            }
        }))
    }

    fn prepare_read(&self, method: &str, given: &[Value]) -> Result<Option<Run>, ProtocolFault> {
        let version = match self.dialect {
            Dialect::V5_12 => "5.12.12",
            Dialect::V7_4 => "7.4.0",
        };
        Ok(Some(match method {
            "one.system.version" => Box::new(move |_, _| Ok(Value::Text(version.to_owned()))),
            "one.image.info" => {
                let image = integer(given, 1)?;
                Box::new(move |world, user| world.image_info(user, image).map(Value::Text))
            }
            "one.imagepool.info" => {
                let (filter, start, end) = (integer(given, 1)?, integer(given, 2)?, integer(given, 3)?);
                Box::new(move |world, user| world.image_pool(user, filter, start, end).map(Value::Text))
            }
            "one.user.info" => {
                let other = integer(given, 1)?;
                Box::new(move |world, user| world.user_info(user, other).map(Value::Text))
            }
            "one.userpool.info" => Box::new(|world, user| Ok(Value::Text(world.user_pool(user)))),
            "one.grouppool.info" => Box::new(|world, user| Ok(Value::Text(world.group_pool(user)))),
            "one.datastorepool.info" => Box::new(|world, _| Ok(Value::Text(world.datastore_pool()))),
            _ => return Ok(None),
        }))
    }
}

/// The calls that change an image.
const CHANGES: [&str; 12] = [
    "one.image.allocate",
    "one.image.update",
    "one.image.rename",
    "one.image.chown",
    "one.image.chmod",
    "one.image.enable",
    "one.image.persistent",
    "one.image.chtype",
    "one.image.clone",
    "one.image.lock",
    "one.image.unlock",
    "one.image.delete",
];
