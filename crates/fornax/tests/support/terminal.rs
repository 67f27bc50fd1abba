//! A terminal for a command. `script` (util-linux) gives it.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::{PATIENCE, Place};

/// A command at a terminal of 90 columns and 20 lines.
pub struct Terminal {
    script: Child,
    output: Receiver<Vec<u8>>,
    pub seen: String,
}

impl Terminal {
    pub fn open(place: &Place, args: &str) -> Terminal {
        let binary = env!("CARGO_BIN_EXE_fornax");
        let line = format!("stty cols 90 rows 20 && exec {binary} {args}");
        let inside = place.command(&[]);
        let mut command = Command::new("script");
        command.args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &line,
            "/dev/null",
        ]);
        command.env_clear().current_dir(place.dir());
        command.envs(
            inside
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut script = command.spawn().unwrap();
        let mut stdout = script.stdout.take().unwrap();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut block) {
                if sender.send(block[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            script,
            output,
            seen: String::new(),
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.script
            .stdin
            .as_mut()
            .unwrap()
            .write_all(keys.as_bytes())
            .unwrap();
    }

    /// Waits until the text has been shown.
    pub fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let more = self.output.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("{text:?} is not shown: {:?}", self.seen));
            self.seen += &String::from_utf8_lossy(&more);
        }
    }

    /// Waits for the end: the exit code, and all that was shown.
    pub fn end(mut self) -> (i32, String) {
        while let Ok(more) = self.output.recv_timeout(PATIENCE) {
            self.seen += &String::from_utf8_lossy(&more);
        }
        let code = self.script.wait().unwrap().code().unwrap();
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Only a test that failed leaves it running; what runs in it is the place's to end.
        if self.script.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.script.kill();
        }
    }
}
