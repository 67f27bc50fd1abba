import { expect, test } from "vitest";
import { remembered } from "../../src/model/remembered.ts";

test("what is asked for again as it was is not made again", () => {
  let made = 0;
  const ask = remembered(
    (of: { name: string }, ...more: number[]) => `${of.name} ${more.join()} ${(made += 1)}`,
  );
  const [one, other] = [{ name: "one" }, { name: "other" }];
  expect([ask(one, 1, NaN), ask(other, 1, NaN), ask(one, 1, NaN)]).toEqual([
    "one 1,NaN 1",
    "other 1,NaN 2",
    "one 1,NaN 1",
  ]);
  expect([ask(one, 2), ask(one, 1, NaN)]).toEqual(["one 2 3", "one 1,NaN 4"]);
});
