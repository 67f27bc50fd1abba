import solid from "vite-plugin-solid";
import { defineConfig } from "vitest/config";
import type { Plugin } from "vite";

/** What every page, the list of runs and a run itself are made of. */
const FIRST = ["index", "common", "start", "runs", "run", "laidout", "Panel"];

/** Tells the browser that nearly all in those files is needed at once: it then compiles them while they come, on
 *  another thread. See https://github.com/WICG/explicit-javascript-compile-hints-file-based. */
const compileHints: Plugin = {
  name: "compile-hints",
  generateBundle: {
    // After the bundler has put its own first line into them.
    order: "post",
    handler(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === "chunk" && FIRST.includes(file.name))
          file.code = `//# allFunctionsCalledOnLoad\n${file.code}`;
      }
    },
  },
};

// The daemon's content security policy allows files of our own and nothing inline, so nothing is
// inlined here and no polyfill is put into the page.
export default defineConfig({
  plugins: [solid({ ssr: false }), compileHints],
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // What every page needs is one file, not a dozen: it packs better and comes at once.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            {
              name: "common",
              test: /src\/(api|commands|inbox|paths|format|router|settings|project|ui\/(?!FormDialog|Palette|Help)|actions\/(action|run|commands))|solid-js/,
              minShareCount: 2,
            },
          ],
        },
      },
    },
  },
  worker: { format: "es" },
  // Properties take long where others use the machine too.
  test: { include: ["tests/unit/**/*.test.ts"], environment: "node", testTimeout: 120_000 },
});
