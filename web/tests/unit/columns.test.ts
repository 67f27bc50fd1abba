import { expect, test } from "vitest";
import type { FrameView } from "../../src/api/types.gen.ts";
import { FrameTable } from "../../src/model/columns.ts";
import { FRAME_STATUSES } from "../../src/model/status.ts";
import { forSeeds } from "./random.ts";
import { frame, frameColumns } from "./views.ts";

const RUN = "RUN-20261121-001";

test("rows come back as they were last written, whether singly or as columns", async () => {
  await forSeeds(100, (random) => {
    const table = new FrameTable();
    const expected = new Map<string, FrameView>();
    for (let round = 0; round < 20; round++) {
      const rows = Array.from({ length: random.below(30) }, () =>
        frame(RUN, `f-${random.below(60)}`, random.chance(0.5) ? null : "f-0", {
          status: random.pick(FRAME_STATUSES),
          title: `title ${random.below(5)}`,
          reason: random.chance(0.5) ? null : `because ${random.below(3)}`,
          started_ms: random.chance(0.5) ? null : random.below(1e9),
          group: random.chance(0.5),
          depends_on: random.chance(0.5) ? [] : ["f-1"],
        }),
      );
      if (random.chance(0.5)) for (const row of rows) table.upsert(row);
      else table.load(frameColumns(rows), [...rows.keys()]);
      for (const row of rows) expected.set(row.id, row);
    }
    expect(table.length).toBe(expected.size);
    for (const [id, row] of expected) expect(table.get(table.row(id)!)).toEqual(row);
  });
});

test("a status that is not known is refused, not taken for another", () => {
  const odd = { ...frame(RUN, "f-1", null), status: "melted" } as unknown as FrameView;
  expect(() => new FrameTable().upsert(odd)).toThrow("melted");
});

test("a table that was packed and went to another thread is the same, and goes on", async () => {
  await forSeeds(60, (random) => {
    const row = (i: number) =>
      frame(RUN, `f-${i}`, i === 0 ? null : `f-${random.below(40)}`, {
        title: random.pick(["", "né 漢字 🔥", "x".repeat(500), `title ${i}`]),
        depends_on: Array.from({ length: random.below(4) }, () => `f-${random.below(60)}`),
        usage: random.chance(0.5)
          ? null
          : {
              input: 1,
              output: i,
              cache_read: 2,
              cache_write: 3,
              reasoning: 0,
              cost_usd: random.chance(0.5) ? null : 0.5,
              estimated: random.chance(0.5),
            },
        spans: random.chance(0.5) ? [] : [{ doing: "waiting", from_ms: i }],
      });
    const expected = new Map<string, FrameView>();
    let table = new FrameTable();
    for (let round = 0; round < 4; round++) {
      for (let many = random.below(20); many > 0; many--) {
        const view = row(random.below(40));
        table.upsert(view);
        expected.set(view.id, view);
      }
      table = new FrameTable().unpack(structuredClone(table.pack()));
      for (const [id, view] of expected) expect(table.get(table.row(id)!)).toEqual(view);
      expect(table.length).toBe(expected.size);
      expect(table.row("f-none")).toBeUndefined();
    }
  });
});
