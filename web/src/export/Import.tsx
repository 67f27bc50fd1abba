// A run from a file, to be looked at: it is held in memory only, nothing of it is sent anywhere, and
// nothing can be done with it.

import { createSignal, Show } from "solid-js";
import { bytes } from "../format.ts";
import { Loaded } from "../routes/run.tsx";
import { useTitle } from "../ui/title.ts";
import { setQuery } from "../router.ts";
import type { Content } from "../routes/content.ts";
import { LARGEST_FILE, contentOf, readDocument } from "./document.ts";
import type { RunDocument } from "./document.ts";
import "../styles/import.css";

/** What was opened, for as long as the page is: a way back leads to it. */
const [opened, setOpened] = createSignal<{
  document: RunDocument;
  content: Content;
  file: string;
} | null>(null);

export default function ImportPage() {
  const [wrong, setWrong] = createSignal<string | null>(null);
  const [reading, setReading] = createSignal(false);
  const [over, setOver] = createSignal(false);
  useTitle(() => opened()?.document.run.name ?? "Import");

  async function read(file: File | undefined): Promise<void> {
    if (!file) return;
    setWrong(null);
    setReading(true);
    try {
      if (file.size > LARGEST_FILE)
        throw new Error(
          `The file has ${bytes(file.size)}; ${bytes(LARGEST_FILE)} are the most that is read.`,
        );
      const document = readDocument(await file.text());
      setQuery("frame", null);
      setOpened({
        document,
        content: { content: contentOf(document), version: 1 },
        file: file.name,
      });
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
    } finally {
      setReading(false);
    }
  }

  function onDrop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    void read(event.dataTransfer?.files[0]);
  }

  return (
    <div
      class="import"
      classList={{ over: over() }}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={onDrop}
    >
      <Show
        when={opened()}
        keyed
        fallback={
          <div class="empty import-ask">
            <h1>Look at a run from a file</h1>
            <p>
              Choose a file that was exported as JSON, or drop it here. It stays in this page:
              nothing is sent, and nothing of it is carried out.
            </p>
            <Choose busy={reading()} onFile={(file) => void read(file)} />
            <Show when={wrong()}>{(why) => <Wrong why={why()} />}</Show>
          </div>
        }
      >
        {(shown) => (
          <>
            <div class="notice import-mark" role="note">
              <span>
                <strong>Imported, read-only.</strong> <bdi>{shown.file}</bdi>
              </span>
              <Choose busy={reading()} onFile={(file) => void read(file)} />
              <button class="quiet" onClick={() => setOpened(null)}>
                Close
              </button>
              <Show when={wrong()}>{(why) => <Wrong why={why()} />}</Show>
            </div>
            <Loaded run={shown.document.run} content={shown.content} imported={shown.document} />
          </>
        )}
      </Show>
    </div>
  );
}

function Wrong(props: { why: string }) {
  return (
    <p class="import-wrong" role="alert">
      The file cannot be shown: {props.why.slice(0, 600)}
    </p>
  );
}

function Choose(props: { busy: boolean; onFile(file: File | undefined): void }) {
  return (
    <label class="button import-choose">
      {props.busy ? "Reading…" : "Choose a file"}
      <input
        class="unseen"
        type="file"
        accept="application/json,.json"
        disabled={props.busy}
        onChange={(event) => {
          props.onFile(event.currentTarget.files?.[0]);
          event.currentTarget.value = "";
        }}
      />
    </label>
  );
}
