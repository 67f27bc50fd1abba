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
  },
  worker: { format: "es" },
  // Properties take long where others use the machine too.
  test: { include: ["tests/unit/**/*.test.ts"], environment: "node", testTimeout: 120_000 },
});
