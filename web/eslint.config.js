// What `npm run lint` checks in addition to the types and the formatting.

import js from "@eslint/js";
import solid from "eslint-plugin-solid/configs/typescript";
import globals from "globals";
import ts from "typescript-eslint";

/** The rules of a shared configuration, with its warnings as errors. */
function withoutWarnings(rules) {
  return Object.fromEntries(
    Object.entries(rules).map(([name, level]) => [name, level === 1 ? "error" : level]),
  );
}

export default ts.config(
  { ignores: ["dist/", "src/api/types.gen.ts"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  ts.configs.recommended,
  {
    rules: {
      // Terminal escapes and control characters are what the page and its tests look for in logs.
      "no-control-regex": "off",
      // The same exceptions as in tsc: a name with an underscore, and a property that is left out of
      // the rest.
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", ignoreRestSiblings: true },
      ],
    },
  },
  {
    // The rules that need types: those that find errors which tsc does not, and take little time.
    files: ["src/**/*.{ts,tsx}"],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-for-in-array": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-base-to-string": "error",
      "@typescript-eslint/restrict-plus-operands": "error",
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: solid.plugins,
    rules: {
      ...withoutWarnings(solid.rules),
      // Many components read a prop once: their parents make a new one for another run, task or row
      // (a keyed <Show>, <For>). The two rules cannot see that, nor that helpers such as `sparing`
      // track the functions that they are given.
      "solid/reactivity": "off",
      "solid/components-return-once": "off",
    },
  },
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: { globals: { ...globals.node, ...globals.browser } },
  },
);
