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
