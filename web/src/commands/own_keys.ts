// The keys that parts of the page have for themselves while they have the focus. Those parts hear them
// first, so they clash with no command; help lists them.

export interface OwnKeys {
  readonly name: string;
  readonly keys: readonly (readonly [keys: readonly string[], title: string])[];
}

export const OWN_KEYS: readonly OwnKeys[] = [
  {
    name: "Chart",
    keys: [
      [["ArrowUp", "ArrowDown"], "Parent, first child"],
      [["ArrowLeft", "ArrowRight"], "Frame before, after"],
      [["w", "s"], "Zoom in, out (also + and -)"],
      [["a", "d"], "Earlier, later"],
      [["PageUp", "PageDown"], "Up, down"],
      [["0"], "Everything"],
      [["z"], "The chosen frame alone"],
      [["n"], "Follow now"],
      [["Space"], "Fold or unfold the chosen frame"],
      [["i"], "Fold or show idle time"],
      [["]", "["], "Next frame that the filter finds, the one before"],
      [["t"], "A few words about the chosen frame"],
      [["Enter"], "All about the chosen frame"],
      [["Escape"], "Close the words, choose nothing"],
    ],
  },
  {
    name: "Tree of frames",
    keys: [
      [["ArrowUp", "ArrowDown"], "Row above, below"],
      [["ArrowLeft", "ArrowRight"], "Fold or go to the parent, unfold or go into it"],
      [["Space"], "Fold or unfold"],
      [["PageUp", "PageDown"], "A page up, down"],
      [["Home", "End"], "First, last row"],
      [["Enter"], "All about the chosen frame"],
      [["Escape"], "Choose nothing"],
    ],
  },
  {
    name: "Graph",
    keys: [
      [["ArrowLeft", "ArrowRight"], "What it waits for, what waits for it"],
      [["ArrowUp", "ArrowDown"], "What lies above, below"],
      [["PageUp", "PageDown"], "The group around, into a group"],
      [["Space"], "Open or close a group"],
      [["w", "a"], "Move (also s and d)"],
      [["Plus", "-"], "Zoom in, out"],
      [["0"], "Everything"],
      [["Enter"], "All about the chosen frame"],
      [["Escape"], "Choose nothing"],
    ],
  },
  {
    name: "Table",
    keys: [
      [["ArrowUp", "ArrowDown"], "Frame above, below (also Page Up and Page Down)"],
      [["Home", "End"], "First, last frame"],
      [["Enter"], "All about the chosen frame"],
      [["Escape"], "Choose nothing"],
    ],
  },
  {
    name: "Minimap's edges",
    keys: [
      [["ArrowLeft", "ArrowRight"], "Earlier, later"],
      [["PageDown", "PageUp"], "The same, further"],
      [["Home", "End"], "The begin, the end of the run"],
    ],
  },
  {
    name: "Edge of the panel",
    keys: [
      [["ArrowUp", "ArrowDown"], "Larger, smaller (at the side: Left, Right)"],
      [["Home", "End"], "As small, as large as it can be"],
    ],
  },
  {
    name: "Log",
    keys: [
      [["/", "Mod+F"], "Find in the whole log"],
      [["n", "Shift+N"], "Next line that is found, the one before"],
      [["g", "Home"], "To the begin"],
      [["Shift+G", "End"], "To the end, and follow"],
      [[":"], "Go to a line"],
      [["w"], "Wrap long lines"],
    ],
  },
  {
    name: "Inbox",
    keys: [
      [["ArrowUp", "ArrowDown"], "Item above, below"],
      [["Home", "End"], "First, last item"],
      [["Enter"], "Answer"],
      [["Escape"], "Back from an answer to its item"],
    ],
  },
];
