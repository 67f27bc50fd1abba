// What of a run can be kept as a file. What makes the files is loaded when it is asked for.

import { createSignal, For, onCleanup } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { useCommands } from "../commands/registry.ts";
import type { Content } from "../routes/content.ts";
import { tellDone, tellFailed } from "../ui/Toast.tsx";
import type { JournalRecord } from "./document.ts";
import type { Format } from "./save.ts";

const FORMATS: readonly { format: Format; keys: string; title: string; what: string }[] = [
  { format: "json", keys: "x j", title: "JSON", what: "all of it; can be opened here again" },
  { format: "trace", keys: "x t", title: "Chrome trace", what: "for Perfetto, speedscope" },
  { format: "svg", keys: "x s", title: "SVG", what: "the whole chart as a drawing" },
  { format: "png", keys: "x p", title: "PNG", what: "the whole chart as a picture" },
  { format: "view", keys: "x v", title: "PNG of the view", what: "the chart as it is in sight" },
];

export function ExportMenu(props: {
  run: RunView;
  content: Content;
  now(): number;
  events: readonly JournalRecord[] | null;
  chart: boolean;
}) {
  let menu!: HTMLDetailsElement;
  let summary!: HTMLElement;
  let items!: HTMLUListElement;
  const [busy, setBusy] = createSignal(false);
  const offered = () => FORMATS.filter(({ format }) => format !== "view" || props.chart);

  async function keep(format: Format): Promise<void> {
    menu.open = false;
    setBusy(true);
    try {
      const { save } = await import("./save.ts");
      await save(format, {
        run: props.run,
        content: props.content.content,
        now_ms: Math.round(props.now()),
        events: props.events,
      });
      tellDone("Exported.");
    } catch (error) {
      tellFailed(error);
    } finally {
      setBusy(false);
    }
  }

  useCommands(() =>
    offered().map(({ format, keys, title }) => ({
      id: `export.${format}`,
      title: `Export the run as ${title}`,
      group: "Run",
      keys: [keys],
      run: () => void keep(format),
    })),
  );
  const away = (event: Event) => {
    if (!menu.contains(event.target as Node)) menu.open = false;
  };
  document.addEventListener("pointerdown", away);
  document.addEventListener("focusin", away);
  onCleanup(() => {
    document.removeEventListener("pointerdown", away);
    document.removeEventListener("focusin", away);
  });

  /** To the left of its button's right edge; to the right where a long name has moved the button too far left. */
  function place(): void {
    const room =
      summary.getBoundingClientRect().right -
      document.getElementById("main")!.getBoundingClientRect().left;
    menu.classList.toggle("to-right", menu.open && items.offsetWidth > room);
  }

  return (
    <details
      class="export"
      ref={menu}
      onToggle={place}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !menu.open) return;
        event.stopPropagation();
        menu.open = false;
        summary.focus();
      }}
    >
      <summary ref={summary} class="button" aria-busy={busy()}>
        {busy() ? "Exporting…" : "Export"}
      </summary>
      <ul class="export-items" ref={items}>
        <For each={offered()}>
          {({ format, title, what }) => (
            <li>
              <button class="quiet" onClick={() => void keep(format)}>
                <strong>{title}</strong> <span class="muted">{what}</span>
              </button>
            </li>
          )}
        </For>
      </ul>
    </details>
  );
}
