// Shows a log: opens at its end or at a line, pages back as one scrolls up, follows while one looks at the
// end. Only the rows in sight are in the document.

import {
  createEffect,
  createMemo,
  createSignal,
  For,
  on,
  onCleanup,
  onMount,
  Show,
} from "solid-js";
import { bytes as size } from "../format.ts";
import { connection } from "../state.ts";
import { tellDone, tellFailed } from "../ui/Toast.tsx";
import { parseLine } from "./ansi.ts";
import { Find } from "./Find.tsx";
import { Finder } from "./finder.ts";
import { hashOf, readLines } from "./lines.ts";
import type { Lines } from "./lines.ts";
import { Log } from "./log.ts";
import { keptWrap, keepWrap } from "./wrap.ts";
import { Row, RowCache } from "./Row.tsx";
import { rowStarts, Rows } from "./rows.ts";
import { LogSource } from "./source.ts";
import type { Hit, Stream } from "./source.ts";

export interface LogProps {
  project: string;
  task: string;
  stream: Stream;
  /** Whether the task may still write. */
  running: boolean;
  /** The lines that the address names; opens there. */
  lines: Lines | null;
  onLines(lines: Lines): void;
  /** Where the log has a page of its own; null on that page. */
  own: string | null;
}

const LINE_PX = 18;
const OVERSCAN = 12;
/** So near to an end of what is loaded, more is loaded. */
const NEAR_PX = 40 * LINE_PX;
/** So near to the end, one is at the end. */
const AT_END_PX = 3 * LINE_PX;

/** Another log is another viewer. */
export function LogViewer(props: LogProps) {
  return (
    <Show when={`${props.project}/${props.task}/${props.stream}`} keyed>
      {(_) => <View {...props} />}
    </Show>
  );
}

function View(props: LogProps) {
  let box!: HTMLDivElement;
  let ruler!: HTMLSpanElement;
  const source = new LogSource(props.project, props.task, props.stream);
  const [scroll, setScroll] = createSignal(0);
  const [height, setHeight] = createSignal(0);
  const [cells, setCells] = createSignal(80);
  const [wrap, setWrap] = createSignal(keptWrap());
  const [visible, setVisible] = createSignal(false);
  const [finding, setFinding] = createSignal(false);
  const [note, setNote] = createSignal<string | null>(null);
  const rows = new Rows();
  const finder = new Finder(source);
  const log = new Log(source, { staying, toEnd, toLine }, () => props.running && visible());
  const cache = new RowCache();
  let held: { window: unknown; from: number; lines: number } = { window: null, from: 0, lines: 0 };
  let shownLines: string | null = null;

  const count = createMemo(() => {
    log.version();
    const { window, lines } = log;
    const isMore = held.window === window && held.from === window.from && lines >= held.lines;
    rows.update(
      lines,
      wrap() ? cells() : null,
      (line) => text(line),
      isMore ? Math.max(0, held.lines - 1) : 0,
    );
    held = { window, from: window.from, lines };
    return rows.count;
  });
  const first = () => Math.max(0, Math.floor(scroll() / LINE_PX) - OVERSCAN);
  const shown = createMemo(() => {
    finder.version();
    log.version();
    const last = Math.min(count(), Math.ceil((scroll() + height()) / LINE_PX) + OVERSCAN);
    return cache.take(
      Array.from({ length: Math.max(0, last - first()) }, (_, i) => row(first() + i)),
    );
  });
  const digits = createMemo(() => {
    log.version();
    return String(log.number(log.lines) ?? 1_000).length;
  });

  const parse = (index: number) => parseLine(log.window.line(index).text, log.look(index));
  const text = (index: number) =>
    parse(index)
      .spans.map((span) => span.text)
      .join("");

  function row(at: number): Row {
    const index = rows.lineOf(at);
    const part = at - rows.rowOf(index);
    const { hidden, text: raw } = log.window.line(index);
    const starts = rows.width === null ? [0] : rowStarts(text(index), rows.width);
    const offset = log.window.lineAt(index);
    const number = log.number(index);
    const hit = finder.at(offset);
    return {
      key: `${offset}:${part}`,
      raw,
      look: log.look(index),
      number: part === 0 ? number : null,
      from: starts[part] ?? 0,
      to: starts[part + 1] ?? Infinity,
      hidden: part === starts.length - 1 ? hidden : 0,
      hit,
      isCurrent: hit !== undefined && hit === finder.hits[finder.current],
      isLinked:
        number !== null &&
        props.lines !== null &&
        number >= props.lines.from &&
        number <= props.lines.to,
      isStderr: source.stream === "stderr" ? false : log.streams.isStderr(offset),
    };
  }

  function toEnd(): void {
    box.scrollTop = box.scrollHeight;
    setScroll(box.scrollTop);
  }

  function toLine(index: number): void {
    count();
    box.scrollTop = rows.rowOf(index) * LINE_PX - Math.floor(box.clientHeight / 3);
    setScroll(box.scrollTop);
  }

  /** The place in the log at the top of what is in sight. */
  const top = () =>
    log.lines === 0
      ? 0
      : log.window.lineAt(
          Math.min(rows.lineOf(Math.floor(box.scrollTop / LINE_PX)), log.lines - 1),
        );

  function staying(change: () => void): void {
    const at = top();
    const into = box.scrollTop - rows.rowOf(Math.max(0, log.window.lineOf(at))) * LINE_PX;
    change();
    count();
    const index = log.window.lineOf(at);
    if (index >= 0) box.scrollTop = rows.rowOf(index) * LINE_PX + into;
    setScroll(box.scrollTop);
  }

  const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX;

  function onScroll(): void {
    const before = scroll();
    setScroll(box.scrollTop);
    const isUp = box.scrollTop < before;
    if (isUp && !atEnd()) log.pause();
    if (box.scrollTop < NEAR_PX) void log.pageBack();
    if (box.scrollTop > before && log.paused() && atEnd()) {
      if (log.window.to < log.total() || props.running) void log.pageOn(atEnd);
      else log.resume();
    }
  }

  async function goToLines(lines: Lines): Promise<void> {
    shownLines = hashOf(lines);
    setNote(null);
    const found = await log.openLine(lines.from);
    if (found !== null && found.line < lines.from)
      setNote(`There is no line ${lines.from}: this is the last${props.running ? " so far" : ""}.`);
  }

  function choose(lines: Lines): void {
    shownLines = hashOf(lines);
    setNote(null);
    props.onLines(lines);
  }

  function onNumber(number: number, extend: boolean): void {
    const from = extend && props.lines !== null ? props.lines.from : number;
    choose({ from: Math.min(from, number), to: Math.max(from, number) });
  }

  function show(hit: Hit | null): void {
    if (hit !== null) void log.openAt(hit);
  }

  function toggleWrap(): void {
    staying(() => setWrap(!wrap()));
    keepWrap(wrap());
  }

  const ACTIONS: Record<string, () => void> = {
    "/": () => setFinding(true),
    n: () => show(finder.step(1, top())),
    N: () => show(finder.step(-1, top())),
    g: () => void log.openLine(1),
    Home: () => void log.openLine(1),
    G: () => void log.open(),
    End: () => void log.open(),
    w: toggleWrap,
    ":": () => box.parentElement!.querySelector<HTMLInputElement>(".log-goto")!.focus(),
  };

  function onKeyDown(event: KeyboardEvent): void {
    const isFind =
      (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "f";
    const action = isFind
      ? ACTIONS["/"]
      : event.ctrlKey || event.metaKey || event.altKey || event.target !== box
        ? undefined
        : ACTIONS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  function measure(): void {
    setHeight(box.clientHeight);
    const width = ruler.scrollWidth / 100;
    const gutter = box.querySelector(".log-number")?.getBoundingClientRect().width ?? 60;
    if (width > 0) setCells(Math.max(20, Math.floor((box.clientWidth - gutter - 28) / width)));
  }

  onMount(() => {
    const seen = new IntersectionObserver(([entry]) =>
      setVisible(entry!.isIntersecting && !document.hidden),
    );
    const resized = new ResizeObserver(() => {
      const isAtEnd = !log.paused();
      staying(measure);
      if (isAtEnd) toEnd();
    });
    const onVisibility = () => setVisible(!document.hidden && box.offsetParent !== null);
    seen.observe(box);
    resized.observe(box);
    document.addEventListener("visibilitychange", onVisibility);
    onCleanup(() => {
      seen.disconnect();
      resized.disconnect();
      document.removeEventListener("visibilitychange", onVisibility);
      finder.clear();
      log.close();
    });
    if (props.lines === null) void log.open();
  });

  createEffect(
    on(
      () => props.lines,
      (lines) => {
        if (lines !== null && hashOf(lines) !== shownLines) void goToLines(lines);
      },
    ),
  );
  createEffect(on([digits, log.opened], () => measure(), { defer: true }));
  // Hidden, it holds no connection: a browser has only six. One that broke with the daemon is opened
  // again when the daemon is back.
  createEffect(
    on([visible, () => props.running, () => connection() === "live"], ([isVisible, , isLive]) => {
      if (!isVisible) log.unfollow();
      else if (isLive) log.follow();
    }),
  );
  // The last that was written may have come between the stream's end and the task's.
  createEffect(
    on(
      () => props.running,
      (running, before) => {
        if (before && !running && !log.paused()) void log.open();
      },
    ),
  );

  return (
    <div class="log" onKeyDown={onKeyDown} style={{ "--digits": `${digits()}ch` }}>
      <Show when={finding()}>
        <Find
          finder={finder}
          total={log.total()}
          place={top}
          onShow={show}
          onClose={() => {
            setFinding(false);
            finder.clear();
            box.focus();
          }}
        />
      </Show>
      <div
        ref={box}
        class="log-box"
        tabindex="0"
        role="region"
        aria-label={`${props.stream} of ${props.task}`}
        aria-keyshortcuts="Control+F / n N g G w :"
        onScroll={onScroll}
      >
        <span class="log-ruler" ref={ruler} aria-hidden="true">
          {"0".repeat(100)}
        </span>
        <div
          class="log-lines"
          classList={{ wrapped: wrap() }}
          style={{ height: `${count() * LINE_PX}px` }}
        >
          <div class="log-shown" style={{ transform: `translateY(${first() * LINE_PX}px)` }}>
            <For each={shown()}>{(shownRow) => <Row row={shownRow} onNumber={onNumber} />}</For>
          </div>
        </div>
        <Show when={log.opened() && log.total() === 0 && !log.error()}>
          <p class="log-empty">{props.running ? "Nothing written yet." : "Nothing was written."}</p>
        </Show>
        <Show when={log.error()}>
          {(problem) => (
            <div class="log-empty" role="alert">
              <p>{problem().message}</p>
              <p class="muted">{problem().help}</p>
              <button onClick={() => void log.open()}>Try again</button>
            </div>
          )}
        </Show>
      </div>
      <Show when={note() ?? unordered()}>
        {(text) => (
          <p class="log-note" role="status">
            {text()}
          </p>
        )}
      </Show>
      <Foot />
    </div>
  );

  function Foot() {
    return (
      <footer class="log-foot">
        <span class="muted">{range()}</span>
        <Show
          when={log.paused()}
          fallback={<span class="muted">{props.running ? "following" : ""}</span>}
        >
          <button onClick={() => void log.open()}>Jump to end ↓</button>
        </Show>
        <span class="spacer" />
        <form
          onSubmit={(event) => {
            event.preventDefault();
            submitLines(event.currentTarget);
          }}
        >
          <input
            class="log-goto"
            name="lines"
            aria-label="Go to line, or lines such as 120-140"
            placeholder="line"
            autocomplete="off"
            inputmode="numeric"
          />
        </form>
        <Show when={props.lines}>
          {(lines) => (
            <button onClick={() => void copyLink()}>
              Copy link to{" "}
              {lines().from === lines().to
                ? `line ${lines().from}`
                : `lines ${lines().from} to ${lines().to}`}
            </button>
          )}
        </Show>
        <button class="quiet" aria-pressed={finding()} onClick={() => setFinding(true)}>
          Find
        </button>
        <button class="quiet" aria-pressed={wrap()} onClick={toggleWrap}>
          Wrap
        </button>
        <Show when={props.own}>
          {(own) => (
            <a
              class="quiet"
              href={own()}
              title="Open in a page of its own"
              aria-label="Open in a page of its own"
            >
              ⤢
            </a>
          )}
        </Show>
        <a class="quiet" href={source.url()} download={`${props.task}.${props.stream}.log`}>
          Save
        </a>
      </footer>
    );
  }

  function submitLines(form: HTMLFormElement): void {
    const input = form.elements.namedItem("lines") as HTMLInputElement;
    const lines = readLines(input.value);
    input.setCustomValidity(lines === null ? "A line, or lines such as 120-140" : "");
    if (lines === null) {
      input.reportValidity();
      return;
    }
    input.value = "";
    choose(lines);
    void goToLines(lines);
    box.focus();
  }

  async function copyLink(): Promise<void> {
    try {
      await navigator.clipboard.writeText(location.href);
      tellDone("Copied the link.");
    } catch (error) {
      tellFailed(error);
    }
  }

  /** What is said of a merged log whose order is not known. */
  function unordered(): string | null {
    log.version();
    const { orderedTo } = log.streams;
    if (source.stream !== "merged" || orderedTo === null) return null;
    if (orderedTo >= log.window.to && !(props.running && orderedTo === 0 && log.total() === 0))
      return null;
    return orderedTo === 0
      ? "This task writes its outputs itself, so their order is not known: standard output comes first."
      : "From some place on, the order of the two is not known: there, standard output comes first.";
  }

  function range(): string {
    log.version();
    const total = log.total();
    if (!log.opened() || total === 0) return "";
    const [isStart, isEnd] = [log.window.from === 0, log.window.to >= total];
    if (isStart && isEnd) return size(total);
    const part = `${size(log.window.to - log.window.from)} of ${size(total)}`;
    if (isStart || isEnd) return `${isStart ? "first" : "last"} ${part}`;
    return `${part}, from ${((100 * log.window.from) / total).toFixed(1)} %`;
  }
}
