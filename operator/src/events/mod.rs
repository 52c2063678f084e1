//! Events: what occurs to lists, images and clouds, for programs outside.
//!
//! The reconcilers find the events; the spool on the volume holds them; each sink delivers them at its own speed.

mod amqp;
pub mod cloud_event;
pub mod config;
mod delivery;
mod dispatch;
mod environment;
mod event;
mod exec;
mod figures;
mod file;
mod hub;
mod input_file;
mod progress;
mod retry;
mod settings;
mod sink;
mod sink_state;
mod spool;
mod webhook;

pub use amqp::{AmqpSink, ProgressListener};
pub use delivery::{AnySink, Deliveries, RunKind, start};
pub use dispatch::{Drained, deliver, drain};
pub use environment::{CacheDirectories, arguments, environment};
pub use event::{Event, EventType, ImageMetadata, Object, Phase, Progress};
pub use exec::{ExecSink, Verdict};
pub use figures::register_metrics;
pub use file::FileSink;
pub use hub::{Events, Veto};
pub use settings::{
    AmqpSettings, ClientTls, ContentMode, EventFilter, EventSettings, ExecSettings, FileCredentials, FileSettings,
    Handlers, SinkKind, SinkName, SinkSettings, WebhookSettings,
};
pub use sink::{Delivery, Sink, SinkError};
pub use sink_state::{Failing, SinkState, SinkStates};
pub use spool::{Appended, Reader, Records, Spool, SpoolError, SpoolStatus, SpoolView, Waiting};
pub use webhook::WebhookSink;
