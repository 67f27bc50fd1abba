import solid from "vite-plugin-solid";
import { defineConfig } from "vitest/config";

// The daemon's content security policy allows files of our own and nothing inline, so nothing is
// inlined here and no polyfill is put into the page.
export default defineConfig({
  plugins: [solid({ ssr: false })],
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // What every page needs is one file, not a dozen: it packs better and comes at once.
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: "common", test: /src\/(api|commands|inbox|paths|format|router|settings|project|ui\/(?!FormDialog|Palette|Help)|actions\/(action|run|commands))|solid-js/, minShareCount: 2 }] } },
    },
  },
  worker: { format: "es" },
  // Properties take long where others use the machine too.
  test: { include: ["tests/unit/**/*.test.ts"], environment: "node", testTimeout: 120_000 },
});
