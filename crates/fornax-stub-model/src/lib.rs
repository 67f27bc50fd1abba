//! A scripted stand-in for model providers, on loopback only.
//!
//! Real coding agents talk to it as they would to their provider; a [`Script`] says what
//! the "model" answers. So a test, or a rehearsal of a plan, runs the whole real path
//! (agent, tools, files, git) without a network, a key or a bill, and the same way twice.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fornax_stub_model::{Options, Script, StubModel};
//!
//! let script = Script::parse(r#"{"rules": [{"id": "hi", "reply": {"text": "Hello."}}]}"#)?;
//! let stub = StubModel::start(script, Options::default()).await?;
//! println!("point an agent at {}/v1", stub.base_url());
//! stub.wait_for("hi").await?;
//! stub.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is built
//! A request comes in through `server`; its `wire` module reduces it to a `Conversation`; the
//! script chooses a reply for that (`choose`); the reply's variables are filled in (`fill`);
//! the same wire module writes it as an answer of its API, and `playback` sends that at the
//! pace, and with the accident, that the reply asks for. What came and how it ended goes to
//! the `record`. Only `wire` knows an API: a further one is a further module there.
#![doc = include_str!("../SCRIPT.md")]

mod choose;
mod conversation;
mod fill;
mod playback;
pub mod recipes;
mod record;
mod reply;
mod script;
mod server;
mod stub;
mod wire;

pub use record::{Outcome, RequestRecord};
pub use script::{Script, ScriptError};
pub use stub::{Options, StubError, StubModel};
pub use wire::Api;
