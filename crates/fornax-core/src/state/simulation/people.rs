//! What people do in the simulation.

use super::*;

impl World {
    /// A person stops, retries, pauses or holds something, or lets it go on.
    pub(super) fn meddle(&mut self) {
        let frames: Vec<FrameId> = self
            .state
            .frames_like("f-")
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let frame = frames[usize::try_from(self.random.below(frames.len() as u64)).unwrap()];
        let run = self.state.frame(frame).unwrap().run;
        let reason = "a person wants it".to_owned();
        let target = match self.random.below(3) {
            0 => Target::Run(run),
            1 => Target::Frame(frame),
            _ => Target::Task(TaskId { frame, attempt: 1 }),
        };
        let command = match self.random.below(12) {
            6 | 7 => Command::Pause { target },
            8 | 9 => Command::Unpause { target },
            10 => Command::Checkpoint {
                frame,
                session: "cli".parse().unwrap(),
                question: None,
            },
            11 => return self.answer_one(frame),
            0 => Command::Stop {
                target: Target::Frame(frame),
                reason,
            },
            1 => Command::Stop {
                target: Target::Task(TaskId { frame, attempt: 1 }),
                reason,
            },
            2 => Command::Stop {
                target: Target::Run(run),
                reason,
            },
            3 => Command::Retry {
                target: Target::Run(run),
                from: None,
            },
            4 => Command::Retry {
                target: Target::Run(run),
                from: Some(frame),
            },
            _ => Command::Retry {
                target: Target::Frame(frame),
                from: None,
            },
        };
        self.command(&Actor::HUMAN, &command);
    }

    /// A person says of the first frame that waits for it, from `frame` on, whether it begins.
    fn answer_one(&mut self, frame: FrameId) {
        let waits = |(id, frame): (&FrameId, &Frame)| {
            Some((*id, frame.asks().next()?.checkpoint.id.clone()))
        };
        let mut asks: Vec<_> = self.state.frames.iter().filter_map(waits).collect();
        asks.sort_unstable();
        let from = asks.partition_point(|(id, _)| *id < frame);
        if let Some((_, checkpoint)) = asks.get(from).cloned() {
            let answer = if self.random.chance(700) {
                "go on"
            } else {
                "block: not now"
            };
            let answer = answer.to_owned();
            self.command(&Actor::HUMAN, &Command::Resolve { checkpoint, answer });
        }
    }

    /// People take off all pauses, and let everything begin.
    pub(super) fn let_all_go_on(&mut self) {
        let runs = self.state.runs().filter(|(_, run)| run.paused);
        let mut paused: Vec<Target> = runs.map(|(id, _)| Target::Run(id)).collect();
        let mut frames: Vec<_> = self.state.frames.iter().collect();
        frames.sort_unstable_by_key(|(id, _)| **id);
        paused.extend(
            frames
                .iter()
                .filter(|(_, frame)| frame.paused)
                .map(|(id, _)| Target::Frame(**id)),
        );
        let asked: Vec<String> = frames
            .iter()
            .filter_map(|(_, frame)| Some(frame.asks().next()?.checkpoint.id.clone()))
            .collect();
        for target in paused {
            assert!(self.command(&Actor::HUMAN, &Command::Unpause { target }));
        }
        for checkpoint in asked {
            let answer = "go on".to_owned();
            self.command(&Actor::HUMAN, &Command::Resolve { checkpoint, answer });
        }
    }
}
