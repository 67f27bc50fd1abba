// Facts about things that are compared, side by side: a column a thing, a row a fact.

import { For, Show } from "solid-js";
import type { JSX } from "solid-js";

export type Fact<T> = readonly [name: string, of: (side: T) => string];

export function Facts<T>(props: {
  label: string;
  sides: readonly T[];
  heading(side: T, place: number): JSX.Element;
  /** A fact that none of them has is left out. */
  facts: readonly Fact<T>[];
  /** Whether it is marked where they differ. */
  marked?: boolean;
  /** Rows before the facts. */
  children?: JSX.Element;
}) {
  const differs = (of: Fact<T>[1]) =>
    props.marked === true && new Set(props.sides.map(of)).size > 1;
  return (
    <div class="compare-scroll" tabindex="0" role="group" aria-label={props.label}>
      <table class="compare-facts">
        <thead>
          <tr>
            <td />
            <For each={props.sides}>
              {(side, i) => <th scope="col">{props.heading(side, i())}</th>}
            </For>
          </tr>
        </thead>
        <tbody>
          {props.children}
          <For each={props.facts.filter(([, of]) => props.sides.some((side) => of(side) !== ""))}>
            {([name, of]) => (
              <tr classList={{ differs: differs(of) }}>
                <th scope="row">
                  {name}
                  <Show when={differs(of)}>
                    <span class="differs-sign" title="They differ">
                      {" "}
                      ≠
                    </span>
                  </Show>
                </th>
                <For each={props.sides}>{(side) => <td>{of(side)}</td>}</For>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </div>
  );
}
