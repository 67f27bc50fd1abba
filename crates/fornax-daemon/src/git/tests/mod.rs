//! Repositories whose configuration names programs, and what `git` does with them.

mod behaviour;
mod caller;
mod hostile;
mod support;

use std::cell::RefCell;
use std::collections::HashSet;

use super::Subcommand;

thread_local! {
    /// The calls that this test has made.
    static CALLS: RefCell<HashSet<Subcommand>> = RefCell::default();
}

pub(super) fn record(subcommand: Subcommand) {
    CALLS.with_borrow_mut(|calls| calls.insert(subcommand));
}
