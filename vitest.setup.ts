/**
 * Runs before each file of tests. The files of a package share what they import, and `layer` of `@effect/vitest` changes the
 * methods of `it` for good: without this, tests of later files would run with the layer of an earlier one, which is closed.
 */
import { effect, flakyTest, it, layer, live, prop, scoped, scopedLive } from "@effect/vitest"

Object.assign(it, { effect, flakyTest, layer, live, prop, scoped, scopedLive })
