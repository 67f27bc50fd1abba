// Shows a log: opens at its end, pages back as one scrolls up, follows while one looks at the end. Only
// the lines in sight are in the document.

import { createEffect, createMemo, createSignal, For, on, onCleanup, onMount, Show } from "solid-js";
import { ApiError } from "../api/client.ts";
import { bytes as size } from "../format.ts";
import { PLAIN, css, lookAfter, parseLine } from "./ansi.ts";
import type { Look, Span } from "./ansi.ts";
import { LogSource, PAGE_BYTES } from "./source.ts";
import type { Stream } from "./source.ts";
import { LogWindow } from "./window.ts";

interface Props {
  project: string;
  task: string;
  stream: Stream;
  /** Whether the task may still write. */
  running: boolean;
}

const LINE_PX = 18;
const OVERSCAN = 12;
/** So near to an end of what is loaded, more is loaded. */
const NEAR_PX = 40 * LINE_PX;
/** So near to the end, one is at the end. */
const AT_END_PX = 3 * LINE_PX;

export function LogViewer(props: Props) {
  let box!: HTMLDivElement;
  let log = new LogWindow(0);
  let source = new LogSource(props.project, props.task, props.stream);
  let loading = new AbortController();
  let following: AbortController | null = null;
  let busy = false;
  let frame = 0;
  /** How the text looks at the begin of each line, as far as that is worked out. */
  let looks: Look[] = [PLAIN];
  const [version, setVersion] = createSignal(0);
  const [scroll, setScroll] = createSignal(0);
  const [height, setHeight] = createSignal(0);
  const [total, setTotal] = createSignal(0);
  const [opened, setOpened] = createSignal(false);
  const [paused, setPaused] = createSignal(false);
  const [visible, setVisible] = createSignal(false);
  const [error, setError] = createSignal<ApiError | null>(null);

  const changed = () => {
    setTotal((before) => Math.max(before, log.to));
    setVersion((before) => before + 1);
  };
  const lines = createMemo(() => {
    version();
    const count = log.lines;
    // After the last newline there is nothing yet.
    return count > 0 && log.line(count - 1).text === "" ? count - 1 : count;
  });
  const shown = createMemo(() => {
    version();
    const first = Math.max(0, Math.floor(scroll() / LINE_PX) - OVERSCAN);
    const last = Math.min(lines(), Math.ceil((scroll() + height()) / LINE_PX) + OVERSCAN);
    return Array.from({ length: Math.max(0, last - first) }, (_, i) => read(first + i));
  });
  const firstShown = () => Math.max(0, Math.floor(scroll() / LINE_PX) - OVERSCAN);

  function read(index: number): { spans: Span[]; hidden: number } {
    for (let at = looks.length; at <= index; at++) looks[at] = lookAfter(log.line(at - 1).text, looks[at - 1]!);
    const line = log.line(index);
    return { spans: parseLine(line.text, looks[index]!).spans, hidden: line.hidden };
  }

  async function guarded(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (busy) return;
    busy = true;
    const { signal } = loading;
    try {
      await work(signal);
      setError(null);
    } catch (reason) {
      if (!signal.aborted) setError(reason instanceof ApiError ? reason : new ApiError(0, String(reason), null));
    } finally {
      if (!signal.aborted) busy = false;
    }
  }

  /** Opens the log at its end. */
  async function open(): Promise<void> {
    loading.abort();
    loading = new AbortController();
    busy = false;
    unfollow();
    await guarded(async (signal) => {
      const page = await source.end(signal);
      log = new LogWindow(page.from);
      looks = [PLAIN];
      log.append(page.bytes);
      setTotal(page.size);
      setOpened(true);
      setPaused(false);
      changed();
      toEnd();
    });
    follow();
  }

  function toEnd(): void {
    box.scrollTop = box.scrollHeight;
    setScroll(box.scrollTop);
  }

  async function pageBack(): Promise<void> {
    if (log.from === 0) return;
    await guarded(async (signal) => {
      const page = await source.page(Math.max(0, log.from - PAGE_BYTES), log.from, signal);
      if (page.bytes.length === 0) return;
      // Reading on while following would cut off what one is looking at.
      unfollow();
      const added = log.prepend(page.bytes);
      looks = [PLAIN];
      changed();
      box.scrollTop += added * LINE_PX;
      setScroll(box.scrollTop);
    });
  }

  async function pageOn(): Promise<void> {
    await guarded(async (signal) => {
      const page = await source.page(log.to, log.to + PAGE_BYTES, signal);
      if (page.bytes.length > 0 && page.from === log.to) add(page.bytes);
      else if (atEnd()) setPaused(false);
      if (page.size > 0) setTotal(page.size);
    });
    follow();
  }

  function add(bytes: Uint8Array): void {
    const cut = log.append(bytes);
    if (cut > 0) looks = [PLAIN];
    changed();
    if (cut > 0) box.scrollTop -= cut * LINE_PX;
  }

  /** Follows what is written, while it is looked at and there is something to come. */
  function follow(): void {
    if (following || !props.running || !visible() || paused() || !opened() || error()) return;
    const mine = new AbortController();
    following = mine;
    void (async () => {
      try {
        for await (const bytes of source.follow(log.to, mine.signal)) {
          if (mine.signal.aborted) return;
          // Taken in as fast as it comes, shown once for each animation frame.
          const cut = log.append(bytes);
          if (cut > 0) looks = [PLAIN];
          if (frame === 0) frame = requestAnimationFrame(showNew);
        }
      } catch (reason) {
        if (!mine.signal.aborted && reason instanceof ApiError) setError(reason);
      } finally {
        if (following === mine) following = null;
      }
    })();
  }

  function showNew(): void {
    frame = 0;
    changed();
    if (!paused()) toEnd();
  }

  function unfollow(): void {
    following?.abort();
    following = null;
  }

  const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX;

  function onScroll(): void {
    const before = scroll();
    setScroll(box.scrollTop);
    const isUp = box.scrollTop < before;
    if (isUp && !atEnd()) {
      setPaused(true);
      unfollow();
    }
    if (box.scrollTop < NEAR_PX) void pageBack();
    if (!isUp && paused() && atEnd()) {
      if (log.to < total() || props.running) void pageOn();
      else setPaused(false);
    }
  }

  onMount(() => {
    const seen = new IntersectionObserver(([entry]) => setVisible(entry!.isIntersecting && !document.hidden));
    const resized = new ResizeObserver(() => {
      setHeight(box.clientHeight);
      if (!paused()) toEnd();
    });
    const onVisibility = () => setVisible(!document.hidden && box.offsetParent !== null);
    seen.observe(box);
    resized.observe(box);
    document.addEventListener("visibilitychange", onVisibility);
    onCleanup(() => {
      seen.disconnect();
      resized.disconnect();
      document.removeEventListener("visibilitychange", onVisibility);
      cancelAnimationFrame(frame);
      loading.abort();
      unfollow();
    });
  });

  createEffect(on(() => [props.project, props.task, props.stream] as const, ([project, task, stream]) => {
    source = new LogSource(project, task, stream);
    setOpened(false);
    setError(null);
    void open();
  }));
  // Hidden, it holds no connection: a browser has only six.
  createEffect(on([visible, () => props.running], ([isVisible]) => {
    if (isVisible) follow();
    else unfollow();
  }));
  // The last that was written may have come between the stream's end and the task's.
  createEffect(on(() => props.running, (running, before) => {
    if (before && !running && !paused()) void open();
  }));

  return (
    <div class="log">
      <div
        ref={box}
        class="log-box"
        tabindex="0"
        role="region"
        aria-label={`${props.stream} of ${props.task}`}
        onScroll={onScroll}
      >
        <div class="log-lines" style={{ height: `${lines() * LINE_PX}px` }}>
          <div class="log-shown" style={{ transform: `translateY(${firstShown() * LINE_PX}px)` }}>
            <For each={shown()}>
              {(line) => (
                <div class="log-line">
                  <For each={line.spans}>{(span) => <LogSpan span={span} />}</For>
                  <Show when={line.hidden > 0}><i class="log-cut">… {size(line.hidden)} more in this line</i></Show>
                </div>
              )}
            </For>
          </div>
        </div>
        <Show when={opened() && total() === 0 && !error()}>
          <p class="log-empty">{props.running ? "Nothing written yet." : "Nothing was written."}</p>
        </Show>
        <Show when={error()}>{(problem) => (
          <div class="log-empty" role="alert">
            <p>{problem().message}</p>
            <p class="muted">{problem().help}</p>
            <button onClick={() => void open()}>Try again</button>
          </div>
        )}</Show>
      </div>
      <footer class="log-foot">
        <span class="muted">{range()}</span>
        <span class="spacer" />
        <Show when={paused()} fallback={<span class="muted">{props.running ? "following" : ""}</span>}>
          <button onClick={() => void open()}>Jump to end ↓</button>
        </Show>
        <a class="quiet" href={source.url()} download={`${props.task}.${props.stream}.log`}>Save</a>
      </footer>
    </div>
  );

  function range(): string {
    version();
    if (!opened() || total() === 0) return "";
    const [atStart, atEnd] = [log.from === 0, log.to >= total()];
    if (atStart && atEnd) return size(total());
    const part = `${size(log.to - log.from)} of ${size(total())}`;
    if (atStart || atEnd) return `${atStart ? "first" : "last"} ${part}`;
    return `${part}, from ${((100 * log.from) / total()).toFixed(1)} %`;
  }
}

function LogSpan(props: { span: Span }) {
  const { text, look } = props.span;
  if (look === PLAIN) return text;
  const [fg, bg] = look.inverse ? [look.bg, look.fg] : [look.fg, look.bg];
  const colour = fg === null ? (look.inverse ? "var(--background)" : undefined) : css(fg, bg !== null);
  const ground = bg === null ? (look.inverse ? "var(--text)" : undefined) : css(bg);
  return (
    <span
      style={{ color: colour, "background-color": ground }}
      classList={{ bold: look.bold, dim: look.dim, italic: look.italic, underline: look.underline, strike: look.strike }}
    >
      {text}
    </span>
  );
}
