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
      [["z"], "The chosen frame"],
      [["n"], "Follow now"],
      [["Enter"], "All about the chosen frame"],
      [["Escape"], "Choose nothing"],
    ],
  },
  {
    name: "Tree of frames",
    keys: [
      [["ArrowUp", "ArrowDown"], "Row above, below"],
      [["ArrowLeft", "ArrowRight"], "Fold or go to the parent, unfold or go into it"],
      [["Space"], "Fold or unfold"],
      [["Home", "End"], "First, last row"],
      [["Enter"], "All about the chosen frame"],
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
