// For those who doubt the page: with `?debug` in the address, `await fornax.state()` in the browser's
// console tells which moment of the daemon the page shows, and a hash of all that it holds. Two pages at
// one moment must have the same hash.

import { connection, mirror } from "./state.ts";
import { stateHash } from "./sync/hash.ts";

const state = async () => {
  const at = { ...mirror.at };
  return { ...at, hash: await stateHash(mirror), connection: connection() };
};

Object.assign(window, { fornax: { state } });
