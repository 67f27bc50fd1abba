//! The number that decides whether a command line and a daemon understand each other.
//!
//! It counts changes of the API that make an older side misread a newer one. Versions of the program
//! that differ with the same number work together.

use fornax_core::error::{Error, ErrorKind};

/// The protocol that this program speaks. Increment it with every incompatible change of the routes
/// that the command line, `fornax hook`, `fornax mcp` or the OpenCode plugin use; the plugin has the
/// same number in `integrations/opencode/fornax.js`. Daemons from before the number are 0.
pub const PROTOCOL: u32 = 1;

/// Why a command cannot use a daemon that speaks the protocol `theirs`.
#[must_use]
pub fn mismatch(theirs: u32) -> Error {
    let message = format!(
        "the running daemon speaks protocol {theirs}, and this program speaks protocol {PROTOCOL}"
    );
    let help = "`fornax up --restart` replaces the daemon with this version; tasks live on";
    Error::new(ErrorKind::Conflict, message).with_help(help)
}
