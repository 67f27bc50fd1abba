// What is asked of a person before something is done: a form in a dialog. It is described as data, so
// that every action has the same one. It stays open until the daemon has done it; where it refuses, what
// was typed is kept and what it says is shown.

import { createSignal, lazy, Show, Suspense } from "solid-js";

export interface Field {
  readonly name: string;
  readonly label: string;
  /** One line unless it says otherwise. */
  readonly kind?: "line" | "text" | "choice";
  readonly required?: boolean;
  /** What is in it to begin with. */
  readonly value?: string;
  /** For a choice: values and what they are called. For a line: what is suggested. */
  readonly options?: readonly (readonly [value: string, label: string])[];
  readonly hint?: string;
  /** Says what is wrong with what was typed; null where nothing is. */
  check?(value: string): string | null;
}

/** By the fields' names. */
export type Values = Readonly<Record<string, string>>;

/** What would come of it. */
export interface Preview {
  readonly text: string;
  readonly lists: readonly { readonly title: string; readonly items: readonly string[] }[];
}

export interface Form {
  readonly title: string;
  readonly text?: string;
  readonly fields?: readonly Field[];
  /** The word on the button that does it. */
  readonly does: string;
  /** Whether it takes something away. */
  readonly danger?: boolean;
  /** Shown before it is done, and needed for it. */
  preview?(): Promise<Preview>;
}

export interface Asked extends Form {
  /** Does it; what it throws is shown and the form stays. */
  send(values: Values): Promise<void>;
  closed(): void;
}

const FormDialog = lazy(() => import("./FormDialog.tsx"));
const [asked, setAsked] = createSignal<Asked | null>(null);

/** Asks, and has it done. Ends when it is done or given up. */
export function fillIn(form: Form, send: (values: Values) => Promise<void>): Promise<void> {
  asked()?.closed();
  return new Promise((resolve) => {
    const closed = () => {
      setAsked(null);
      resolve();
    };
    setAsked({ ...form, send, closed });
  });
}

export function Dialogs() {
  return (
    <Show when={asked()} keyed>
      {(form) => (
        <Suspense>
          <FormDialog form={form} />
        </Suspense>
      )}
    </Show>
  );
}
