//! From files to one list of frames: nested frames and the plans that plans use are laid out, each
//! frame after the one that holds it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::config;
use super::diagnostic::{At, Problem, Report, Span, show};
use super::keys::{FrameKeys, PlanKeys};
use super::read::{List, Read};
use super::settings::{self, Settings};
use super::variables::{Allow, Scope as Known};
use super::{Loader, Source, document};
use fornax_core::template::{Template, Variable};

/// How many frames a plan has at most, those of the plans that it uses counted.
const MAX_FRAMES: usize = 100_000;
/// How deep plans use plans.
const MAX_USES: usize = 16;
/// How long the joined name of a nested frame gets, in bytes.
const MAX_KEY: usize = 512;

/// One use of one plan's file.
pub(crate) struct Unit {
    pub keys: Rc<PlanKeys>,
    /// The plan's defaults.
    pub settings: Settings,
    /// What `{inputs.NAME}` stands for: in the outermost plan itself, in one that is used what the
    /// outer plan gives it.
    pub inputs: BTreeMap<String, Template>,
    /// The file's name.
    file_name: String,
}

/// A frame, or the root.
pub(crate) struct Item {
    pub key: String,
    pub parent: Option<usize>,
    /// The use of the plan in whose file it is written.
    pub unit: usize,
    /// Where its siblings are looked up.
    pub level: usize,
    /// Its own frames, if it holds any.
    pub inner: Option<usize>,
    /// The use of the plan whose frames it holds.
    pub uses: Option<usize>,
    /// None for the root.
    pub frame: Option<Rc<FrameKeys>>,
    pub at: Span,
    /// What it waits for, with the place that says so.
    pub depends_on: Vec<(usize, Span)>,
}

/// The frames of one list.
pub(crate) struct Level {
    /// The frame that holds them.
    pub owner: usize,
    /// The level around it in the same file.
    outer: Option<usize>,
    pub ids: HashMap<String, usize>,
    pub items: Vec<usize>,
    /// The name of the frame whose results are the owner's.
    pub result: Option<At<String>>,
}

/// All frames, laid out.
pub(crate) struct Layout {
    pub units: Vec<Unit>,
    pub items: Vec<Item>,
    pub levels: Vec<Level>,
}

impl Layout {
    /// The frame that a name means at a level: a sibling, else a frame further out in the same
    /// file; after a dot one inside of it.
    pub fn find(&self, level: usize, name: &str) -> Option<usize> {
        let mut ids = name.split('.');
        let first = ids.next()?;
        let mut outward = Some(level);
        let start = std::iter::from_fn(|| {
            let level = &self.levels[outward?];
            outward = level.outer;
            Some(level.ids.get(first).copied())
        })
        .flatten()
        .next()?;
        ids.try_fold(start, |item, id| {
            let item = &self.items[item];
            // The frames of a plan that is used are its own business.
            let inner = item.inner.filter(|_| item.uses.is_none())?;
            self.levels[inner].ids.get(id).copied()
        })
    }

    /// The names that can be meant at a level.
    pub fn names(&self, level: usize) -> impl Iterator<Item = &str> {
        let mut outward = Some(level);
        std::iter::from_fn(move || {
            let level = &self.levels[outward?];
            outward = level.outer;
            Some(level.ids.keys().map(String::as_str))
        })
        .flatten()
    }
}

/// Lays out the plan that was read from `file`.
pub(crate) fn expand(
    file: u32,
    keys: Rc<PlanKeys>,
    loader: Loader<'_>,
    report: &mut Report,
) -> Layout {
    let mut expander = Expander {
        loader,
        files: HashMap::new(),
        by_name: HashMap::new(),
        using: Vec::new(),
        layout: Layout {
            units: Vec::new(),
            items: Vec::new(),
            levels: Vec::new(),
        },
        full: false,
        report,
    };
    expander.root(file, keys);
    expander.layout
}

pub(crate) fn read(file: u32, report: &mut Report) -> Option<Rc<PlanKeys>> {
    let node = document::parse(file, report)?;
    PlanKeys::read(&node, report).map(Rc::new)
}

/// A plan's file that was read, or none where it could not be.
type File = Option<(String, Rc<PlanKeys>)>;

struct Expander<'a> {
    loader: Loader<'a>,
    /// What is used, by the using file's name and the path that stands there.
    files: HashMap<(String, String), File>,
    /// The same by its own name: two ways to write one path lead to one file.
    by_name: HashMap<String, File>,
    /// The plans that are being laid out, the outermost first.
    using: Vec<String>,
    layout: Layout,
    /// Whether the limit on frames is met.
    full: bool,
    report: &'a mut Report,
}

impl Expander<'_> {
    fn root(&mut self, file: u32, keys: Rc<PlanKeys>) {
        let declared = keys.inputs.iter().flat_map(|inputs| &inputs.value.0);
        let inputs = declared.map(|(name, _)| {
            let variable = Variable::Input(name.value.clone());
            (name.value.clone(), Template::variable(variable))
        });
        let inputs = inputs.collect();
        let at = Span {
            file,
            line: 1,
            column: 1,
            ..Span::default()
        };
        let file_name = self.report.file(file).name.clone();
        let itself = Some((file_name.clone(), Rc::clone(&keys)));
        self.by_name.insert(file_name.clone(), itself);
        let unit = self.unit(Rc::clone(&keys), file_name, inputs);
        self.layout.items.push(Item {
            key: String::new(),
            parent: None,
            unit,
            level: 0,
            inner: None,
            uses: Some(unit),
            frame: None,
            at,
            depends_on: Vec::new(),
        });
        self.body(
            0,
            unit,
            None,
            keys.frames.as_ref(),
            settings::text(&keys.result),
        );
        self.layout.items[0].key = self.root_key(&keys);
    }

    /// The plan's name as a key that none of its frames has.
    fn root_key(&self, keys: &PlanKeys) -> String {
        let name = keys.name.as_ref().map_or("", |name| &name.value.0);
        let mut key = super::slug(name);
        while self
            .layout
            .levels
            .first()
            .is_some_and(|level| level.ids.contains_key(&key))
        {
            key.push_str("-plan");
        }
        key
    }

    fn unit(
        &mut self,
        keys: Rc<PlanKeys>,
        file_name: String,
        inputs: BTreeMap<String, Template>,
    ) -> usize {
        for (name, _) in keys.inputs.iter().flat_map(|inputs| &inputs.value.0) {
            config::check_id("input", name, self.report);
        }
        let defaults = keys.defaults.as_ref().map(|defaults| &defaults.value);
        let settings = Settings::of_defaults(defaults, self.report);
        self.using.push(file_name.clone());
        self.layout.units.push(Unit {
            keys,
            settings,
            inputs,
            file_name,
        });
        self.layout.units.len() - 1
    }

    /// Lays out a list of frames under `owner`.
    fn body(
        &mut self,
        owner: usize,
        unit: usize,
        outer: Option<usize>,
        frames: Option<&At<List<Rc<FrameKeys>>>>,
        result: Option<At<String>>,
    ) {
        let level = self.layout.levels.len();
        self.layout.items[owner].inner = Some(level);
        self.layout.levels.push(Level {
            owner,
            outer,
            ids: HashMap::new(),
            items: Vec::new(),
            result,
        });
        let Some(frames) = frames else { return };
        if frames.value.0.is_empty() {
            self.report
                .push(Problem::at(frames.at, "there are no frames in it"));
        }
        for frame in &frames.value.0 {
            self.frame(owner, unit, level, frame);
        }
    }

    fn frame(&mut self, owner: usize, unit: usize, level: usize, frame: &At<Rc<FrameKeys>>) {
        if self.full {
            return;
        }
        let item = self.layout.items.len();
        if item > MAX_FRAMES {
            self.full = true;
            let message = format!("the plan has more than {MAX_FRAMES} frames");
            self.report.push(Problem::at(frame.at, message));
            return;
        }
        let at = frame.value.id.as_ref().map_or(frame.at, |id| id.at);
        let key = self.key(owner, level, frame, item);
        self.layout.levels[level].items.push(item);
        self.layout.items.push(Item {
            key,
            parent: Some(owner),
            unit,
            level,
            inner: None,
            uses: None,
            frame: Some(Rc::clone(&frame.value)),
            at,
            depends_on: Vec::new(),
        });
        let keys = &frame.value;
        if let Some(frames) = &keys.frames {
            let result = settings::text(&keys.result);
            self.body(item, unit, Some(level), Some(frames), result);
        } else if let Some(path) = settings::text(&keys.uses) {
            self.used(item, unit, &path);
        }
    }

    /// Checks a frame's name and joins it with the names of those that hold it.
    fn key(
        &mut self,
        owner: usize,
        level: usize,
        frame: &At<Rc<FrameKeys>>,
        item: usize,
    ) -> String {
        // One without an id has been reported; it still has to be told from the others.
        let Some(id) = settings::text(&frame.value.id) else {
            return format!("?{item}");
        };
        config::check_id("frame", &id, self.report);
        let first = *self.layout.levels[level]
            .ids
            .entry(id.value.clone())
            .or_insert(item);
        if first != item {
            let message = format!("there are two frames {}", show(&id.value));
            let first = self.layout.items[first].at;
            self.report
                .push(Problem::at(id.at, message).related(first, "the first stands here"));
        }
        if owner == 0 {
            return id.value;
        }
        let key = format!("{}.{}", self.layout.items[owner].key, id.value);
        if key.len() > MAX_KEY {
            let message = format!("the frame's joined name is longer than {MAX_KEY} bytes");
            self.report.push(Problem::at(id.at, message));
            self.full = true;
        }
        key
    }

    /// Lays out the frames of the plan at `path` under `owner`.
    fn used(&mut self, owner: usize, from: usize, path: &At<String>) {
        if self.using.len() > MAX_USES {
            let message = format!("plans use plans more than {MAX_USES} deep");
            self.report.push(Problem::at(path.at, message));
            return;
        }
        let Some((name, keys)) = self.file(from, path) else {
            return;
        };
        if let Some(start) = self.using.iter().position(|using| *using == name) {
            let circle = &self.using[start..];
            let message = format!(
                "plans use one another in a circle: {} -> {name}",
                circle.join(" -> ")
            );
            self.report.push(Problem::at(path.at, message));
            return;
        }
        if keys.on_failure.is_some() {
            let message = format!("`on_failure` of {name} means nothing here");
            let problem = Problem::at(path.at, message).warning();
            self.report
                .push(problem.help("the outermost plan says what a failure means for the rest"));
        }
        let inputs = self.with(owner, from, path, &keys);
        let unit = self.unit(Rc::clone(&keys), name, inputs);
        self.layout.items[owner].uses = Some(unit);
        self.body(
            owner,
            unit,
            None,
            keys.frames.as_ref(),
            settings::text(&keys.result),
        );
        self.using.pop();
    }

    fn file(&mut self, from: usize, path: &At<String>) -> File {
        let from = self.layout.units[from].file_name.clone();
        let asked = (from, path.value.clone());
        if let Some(file) = self.files.get(&asked) {
            return file.clone();
        }
        let file = match (self.loader)(&asked.0, &asked.1) {
            Ok(source) => self.read_used(source),
            Err(error) => {
                let message = format!("cannot read {}: {error}", show(&path.value));
                self.report.push(
                    Problem::at(path.at, message)
                        .help("the path is looked up from the folder of this file"),
                );
                None
            }
        };
        self.files.insert(asked, file.clone());
        file
    }

    fn read_used(&mut self, source: Source) -> File {
        let name = source.name.clone();
        if let Some(known) = self.by_name.get(&name) {
            return known.clone();
        }
        let file = self.report.add_file(source);
        let read = read(file, self.report).map(|keys| (name.clone(), keys));
        self.by_name.insert(name, read.clone());
        read
    }

    /// The inputs of a plan that is used: what `with` gives, else their defaults.
    fn with(
        &mut self,
        owner: usize,
        from: usize,
        path: &At<String>,
        used: &PlanKeys,
    ) -> BTreeMap<String, Template> {
        let frame = self.layout.items[owner].frame.clone();
        let with = frame.as_ref().and_then(|frame| frame.with.as_ref());
        let with = with.map_or(&[][..], |with| &with.value.0);
        let declared = used.inputs.as_ref();
        let declared = declared.map_or(&[][..], |inputs| &inputs.value.0);
        let names = || declared.iter().map(|(name, _)| name.value.as_str());
        let known = Known {
            inputs: &self.layout.units[from].inputs,
            deps: &|_| None,
        };
        let mut given: BTreeMap<&str, Template> = BTreeMap::new();
        for (name, value) in with {
            if !names().any(|known| known == name.value) {
                let message = format!("the plan that is used has no input {}", show(&name.value));
                self.report
                    .push(Problem::at(name.at, message).suggest(&name.value, names()));
            }
            // What cannot be read has been reported; nothing stands for it.
            let template = settings::parse(value, self.report);
            let bound = template.map(|template| {
                known.check(&template, Allow::With, self.report);
                known.bind(&template.value)
            });
            given.insert(&name.value, bound.unwrap_or_default());
        }
        let mut inputs = BTreeMap::new();
        for (name, input) in declared {
            let default = input.value.0.default.as_ref();
            let default = default.map(|default| Template::literal(default.value.0.clone()));
            let value = given.remove(name.value.as_str()).or(default);
            if value.is_none() {
                let message = format!("the input {} of the plan is not given", show(&name.value));
                self.report.push(
                    Problem::at(path.at, message)
                        .help(format!("add it: `with: {{{}: ...}}`", name.value))
                        .related(name.at, "it is declared here, without a default"),
                );
            }
            inputs.insert(name.value.clone(), value.unwrap_or_default());
        }
        inputs
    }
}
