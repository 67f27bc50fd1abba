import { expect, test } from "vitest";
import { cost, count, isUsed, tokens, usageInFull } from "../../src/format.ts";
import { NOTHING_USED } from "./views.ts";

test("tokens and money are short, and what is reckoned is marked", () => {
  const usage = {
    ...NOTHING_USED,
    input: 12_345,
    output: 678,
    reasoning: 100,
    cost_usd: 0.0042,
    estimated: true,
  };
  expect(tokens(usage)).toBe("13k");
  expect(cost(usage)).toBe("~$0.0042");
  expect(usageInFull(usage)).toBe("12345 in, 678 out, 100 of the output thinking");
  expect(cost({ ...usage, cost_usd: 1.2, estimated: false })).toBe("$1.20");
  expect(cost({ ...usage, cost_usd: 999.994, estimated: false })).toBe("$999.99");
  expect(cost({ ...usage, cost_usd: 999.996, estimated: false })).toBe("$1,000");
  expect(cost({ ...usage, cost_usd: 1_234_567.5, estimated: true })).toBe("~$1,234,568");
  expect(cost(NOTHING_USED)).toBeNull();
  expect(isUsed(NOTHING_USED)).toBe(false);
});

test("numbers are short, and rounded ones stand where they belong", () => {
  const said = [
    0, 999, 999.6, 1_000, 9_949, 9_951, 999_499, 999_501, 999_949_999, 999_950_000, 5_234_600_000,
  ].map(count);
  expect(said).toEqual([
    "0",
    "999",
    "1.0k",
    "1.0k",
    "9.9k",
    "10k",
    "999k",
    "1.0M",
    "999.9M",
    "1.0B",
    "5.2B",
  ]);
});
