//! A few lines at the bottom of the terminal that are drawn again in place.

use std::fmt::Write;

use crate::failure::Failure;
use crate::out;

/// What was drawn last.
#[derive(Default)]
pub struct Live {
    lines: usize,
}

impl Live {
    /// Draws the lines over those of the last time. None may be wider than the terminal, nor may
    /// they be more than fit: what has scrolled away cannot be drawn over.
    pub fn draw(&mut self, lines: &[String]) -> Result<(), Failure> {
        let mut frame = String::new();
        self.back_to_top(&mut frame);
        for line in lines {
            if out::has_color() {
                frame.push_str(line);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(frame, "{}", anstream::adapter::strip_str(line));
            }
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J");
        self.lines = lines.len();
        out::raw(frame.as_bytes())
    }

    /// Leaves what is drawn where it is; the next drawing begins below.
    pub fn leave(&mut self) {
        self.lines = 0;
    }

    /// Takes what is drawn away.
    pub fn clear(&mut self) -> Result<(), Failure> {
        self.draw(&[])
    }

    fn back_to_top(&self, frame: &mut String) {
        frame.push('\r');
        if self.lines > 0 {
            let _ = write!(frame, "\x1b[{}A", self.lines);
        }
    }
}
