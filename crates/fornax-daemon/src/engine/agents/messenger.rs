//! Brings orders to the hosts of agents. What cannot be delivered yet is tried again until the task
//! is over; a host takes an order that comes twice once.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use fornax_agents::host::send_order;
use fornax_core::agent::Order;

/// How long to wait before a host that could not be reached is tried again. A host that has just
/// been started makes its socket within milliseconds.
const AGAIN: Duration = Duration::from_millis(100);

/// An order on its way.
pub(in crate::engine) struct Letter {
    /// The task's folder.
    pub task_dir: PathBuf,
    /// What the agent is told.
    pub order: Order,
}

/// Starts the thread that delivers. It ends when the sender is dropped.
pub(in crate::engine) fn start() -> std::io::Result<mpsc::Sender<Letter>> {
    let (sender, letters) = mpsc::channel();
    std::thread::Builder::new()
        .name("messenger".to_owned())
        .spawn(move || deliver(&letters))?;
    Ok(sender)
}

fn deliver(letters: &mpsc::Receiver<Letter>) {
    let mut waiting: Vec<Letter> = Vec::new();
    loop {
        let next = if waiting.is_empty() {
            letters.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            letters.recv_timeout(AGAIN)
        };
        match next {
            Ok(letter) => waiting.push(letter),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.extend(letters.try_iter());
        // One host that cannot be reached keeps its own orders back, in their order, and no others.
        let mut unreachable: Vec<PathBuf> = Vec::new();
        waiting.retain(|letter| {
            if unreachable.contains(&letter.task_dir) {
                return true;
            }
            let kept = !is_done(letter);
            if kept {
                unreachable.push(letter.task_dir.clone());
            }
            kept
        });
    }
}

/// Whether an order needs no further try.
fn is_done(letter: &Letter) -> bool {
    match send_order(&letter.task_dir, &letter.order) {
        Ok(taken) => {
            if let Some(reason) = taken.refused {
                tracing::warn!(task = %letter.task_dir.display(), order = letter.order.id, reason,
                    "an agent's host refused an order");
            }
            true
        }
        Err(error) => {
            let over = letter.task_dir.join("exit.json").exists();
            if over {
                tracing::warn!(task = %letter.task_dir.display(), order = letter.order.id, %error,
                    "an order came too late for its task");
            }
            over
        }
    }
}
