// A question before something that cannot be taken back.

import { createEffect, createSignal, Show } from "solid-js";

interface Question {
  title: string;
  text: string;
  /** The word on the button that does it. */
  action: string;
  answer(yes: boolean): void;
}

const [question, setQuestion] = createSignal<Question | null>(null);

/** Asks. Anything but the button that does it is a no. */
export function confirm(title: string, text: string, action: string): Promise<boolean> {
  question()?.answer(false);
  return new Promise((resolve) => {
    setQuestion({
      title, text, action,
      answer(yes) {
        setQuestion(null);
        resolve(yes);
      },
    });
  });
}

export function Dialogs() {
  return <Show when={question()} keyed>{(asked) => <Dialog asked={asked} />}</Show>;
}

function Dialog(props: { asked: Question }) {
  let dialog!: HTMLDialogElement;
  createEffect(() => dialog.showModal());
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={() => props.asked.answer(false)}>
      <h2 id="dialog-title">{props.asked.title}</h2>
      <p>{props.asked.text}</p>
      <div class="dialog-actions">
        <button onClick={() => props.asked.answer(false)}>Cancel</button>
        <button class="danger" onClick={() => props.asked.answer(true)}>{props.asked.action}</button>
      </div>
    </dialog>
  );
}
