// Short facts in a row. Each is in an element of its own, so that one that is written from right to left,
// or turns the direction, does not take its neighbours with it.

import { For } from "solid-js";

export function Facts(props: { of: readonly (string | null)[]; between?: string }) {
  const known = () => props.of.filter((fact) => fact !== null);
  return (
    <For each={known()}>
      {(fact, i) => (
        <>
          {i() > 0 ? (props.between ?? " · ") : ""}
          <span>{fact}</span>
        </>
      )}
    </For>
  );
}
