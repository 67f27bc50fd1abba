//! The walls: known secrets and matches of a person's own rules, which the built-in rules do not
//! look into.

use super::exact::Hit;
use super::rules::Rules;
use super::text::Text;

/// The search for walls, ahead of the built-in rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Walls {
    /// No wall begins before this place, other than those passed.
    clear: usize,
    /// What each search last came to: the known secrets', then each custom rule's. `None` where it
    /// has to search (again) from `clear`.
    ahead: Vec<Option<Hit>>,
}

/// How far the text goes before a wall.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach<'r> {
    /// To a wall of this kind.
    Wall {
        start: usize,
        end: usize,
        kind: &'r str,
    },
    /// To where a wall may begin, once more has come.
    Maybe(usize),
    /// To its end.
    End,
}

impl Walls {
    /// What comes before this place is not looked at again.
    pub(super) fn settled(&self) -> usize {
        self.clear
    }

    /// Forgets the first `count` bytes.
    pub(super) fn forget(&mut self, count: usize) {
        self.clear -= count;
        for hit in &mut self.ahead {
            if let Some(Hit::At { start, end }) = hit {
                // A hit that was passed does not count any more, wherever it was.
                *start = start.saturating_sub(count);
                *end = end.saturating_sub(count);
            }
        }
    }

    /// More has come: a search that met the end of the text has to look again.
    pub(super) fn more(&mut self, rules: &Rules) {
        self.ahead.resize(1 + rules.customs().len(), None);
        for hit in &mut self.ahead {
            if !matches!(hit, Some(Hit::At { .. })) {
                *hit = None;
            }
        }
    }

    /// A wall that begins at `start` was replaced.
    pub(super) fn pass(&mut self, start: usize) {
        self.clear = start + 1;
    }

    /// Where the replacement that ends at `done` ends once the known secrets that begin inside it
    /// are counted in, and whether that is the last word.
    pub(super) fn overlap(&mut self, rules: &Rules, text: &Text<'_>, done: usize) -> (usize, bool) {
        let Some(exact) = rules.exact() else {
            self.clear = self.clear.max(done);
            return (done, true);
        };
        let mut done = done;
        while self.clear < done {
            match exact.at(text, self.clear) {
                Hit::Maybe(_) => return (done, false),
                Hit::At { end, .. } => done = done.max(end),
                Hit::None => {}
            }
            self.clear += 1;
        }
        (done, true)
    }

    /// How far the text goes from `clear` on: of all walls, to the one that begins first, and of
    /// those to the longest.
    pub(super) fn reach<'r>(&mut self, rules: &'r Rules, text: &Text<'_>) -> Reach<'r> {
        let mut reach = Reach::End;
        for (at, ahead) in self.ahead.iter_mut().enumerate() {
            let custom = at.checked_sub(1).map(|at| &rules.customs()[at]);
            let passed = matches!(ahead, Some(Hit::At { start, .. }) if *start < self.clear);
            let hit = match *ahead {
                Some(hit) if !passed => hit,
                _ => match (custom, rules.exact()) {
                    (Some(custom), _) => custom.find(text, self.clear),
                    (None, Some(exact)) => exact.find(text, self.clear),
                    (None, None) => Hit::None,
                },
            };
            *ahead = Some(hit);
            let kind = custom.map_or("env", |custom| custom.kind.as_str());
            reach = reach.nearer(hit, kind);
        }
        self.clear = match reach {
            Reach::Wall { start, .. } | Reach::Maybe(start) => start,
            Reach::End => text.len(),
        };
        reach
    }
}

impl<'r> Reach<'r> {
    fn nearer(self, hit: Hit, kind: &'r str) -> Self {
        match (hit, self) {
            (Hit::None, reach) => reach,
            (Hit::Maybe(start), Reach::Wall { start: other, .. } | Reach::Maybe(other))
                if other < start =>
            {
                self
            }
            (Hit::Maybe(start), _) => Reach::Maybe(start),
            (Hit::At { start, .. }, Reach::Maybe(other)) if other <= start => self,
            (
                Hit::At { start, end },
                Reach::Wall {
                    start: other,
                    end: its,
                    ..
                },
            ) if (other, std::cmp::Reverse(its)) <= (start, std::cmp::Reverse(end)) => self,
            (Hit::At { start, end }, _) => Reach::Wall { start, end, kind },
        }
    }
}
