//! A line of a journal as a line for a person.

use fornax_core::time::Time;
use serde::Deserialize;

use crate::out::{BLUE, DIM, GREEN, RED, YELLOW, paint};
use crate::render::time;
use crate::text::one_line;

/// The part of a record that is shown. Read leniently: the journal may be a newer version's.
#[derive(Deserialize)]
struct Shown {
    seq: u64,
    ts: Time,
    #[serde(default)]
    frame_id: Option<String>,
    event: String,
    #[serde(default)]
    summary: String,
}

/// The event in one line; a line that is no record is shown as it is.
pub fn line(json: &str, now_ms: i64) -> String {
    let Ok(shown) = serde_json::from_str::<Shown>(json) else {
        return one_line(json);
    };
    let style = match shown.event.rsplit('_').next() {
        Some("completed") => GREEN,
        Some("failed" | "timeout" | "lost") => RED,
        Some("blocked" | "cancelled" | "stopping" | "signalled" | "scheduled") => YELLOW,
        Some("started") => BLUE,
        _ => DIM,
    };
    format!(
        "{}  {}  {}  {}  {}",
        paint(DIM, &format!("{:>5}", shown.seq)),
        paint(DIM, &time::moment(shown.ts.0, now_ms)),
        paint(
            DIM,
            &format!("{:<8}", one_line(shown.frame_id.as_deref().unwrap_or("-")))
        ),
        paint(style, &format!("{:<20}", one_line(&shown.event))),
        one_line(&shown.summary),
    )
}
